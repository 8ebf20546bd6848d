//! Where a leader's journal begins when its directory holds none.
//!
//! ```text
//!   directory        store                   continue_from_head    what happens
//!   a journal        anything                either                it is opened, and compared with the head
//!   none             nothing                 either                a new journal, at sequence 1
//!   none             objects, but no head    either                HeadMissing; the directory is not touched
//!   none, or empty   a head                  no                    NoJournal (empty: Behind); not touched
//!   none, or empty   a head                  yes                   begins right behind what is committed
//! ```
//! A lost disk and a mistyped path look the same from here, so going on is never decided by the leader: it would number its entries
//! from 1 again, or go on without what was only *synced* on the other disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::{ChainHash, Position};
use graphstream_journal::{Fs, Journal, JournalBuilder, JournalDir, StartingPoint, StdFs};
use graphstream_remote::{
    Committed, HeadRead, Identity, LeaderSession, LocalChain, LocalError, OwnerNonce, Remote, SessionOptions,
    StoredHead,
};

use crate::threads::blocking;
use crate::{Error, Result};

/// What a journal without entries continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    identity: Identity,
    committed: Committed,
    /// The position that is committed: of an encrypted history the head alone does not say it.
    position: Position,
}

/// What the directory holds.
enum Found {
    /// No journal, or no directory.
    Nothing,
    /// A journal that never had an entry.
    Empty,
    Journal,
}

impl Beginning {
    /// Looks whether the journal in `path` continues a history that is published, and which. `None`: it has entries of its own, or there is no
    /// history. Changes nothing in the directory.
    pub(super) async fn of(
        path: &Path,
        fs: &Arc<dyn Fs>,
        remote: &Remote,
        allowed: bool,
    ) -> Result<Option<Self>> {
        let found = look(path.to_path_buf(), Arc::clone(fs)).await?;
        if matches!(found, Found::Journal) || (matches!(found, Found::Empty) && !allowed) {
            return Ok(None);
        }
        let head = match remote.read_head(None).await? {
            HeadRead::Found(stored) => *stored,
            HeadRead::Missing | HeadRead::NotModified => {
                return match remote.evidence().await? {
                    None => Ok(None),
                    evidence => {
                        let key = remote.head_key()?;
                        Err(graphstream_remote::Error::HeadMissing { key, evidence }.into())
                    }
                };
            }
        };
        if !allowed {
            return Err(Error::NoJournal {
                path: path.to_path_buf(),
                database: remote.layout().database().to_string(),
                committed: Box::new(head.head.committed()),
            });
        }
        trusted(remote, &head).await.map(Some)
    }

    /// Sets a new journal up behind it. One without entries is moved forward to it.
    pub(super) fn set_up(self, builder: JournalBuilder) -> JournalBuilder {
        let Self { identity, committed, position } = self;
        let builder = builder.database_id(*identity.database_id.as_bytes()).lineage(identity.lineage);
        if committed.sequence == 0 {
            return builder;
        }
        tracing::warn!(
            after = committed.sequence,
            lineage = %identity.lineage,
            "continuing a published history without the journal that wrote it"
        );
        builder.starting_point(StartingPoint {
            sequence: committed.sequence,
            chain_hash: position.chain_hash,
            commit_ms: committed.commit_ms,
        })
    }
}

/// Sets up the journal of a lost disk, for an application that appends beside its shipper: what is appended there continues what
/// is committed in `remote`. Returns that; `None` when there is nothing to be done: the journal has entries, or nothing is published.
///
/// The database that the application writes to must stand at exactly that position: restore it first.
///
/// # Errors
/// [`Error::Journal`]; [`Error::Remote`] without the store, or with a damaged head.
pub async fn continue_from_head(dir: impl AsRef<Path>, remote: &Remote) -> Result<Option<Committed>> {
    let fs: Arc<dyn Fs> = Arc::new(StdFs);
    let Some(beginning) = Beginning::of(dir.as_ref(), &fs, remote, true).await? else { return Ok(None) };
    let (path, keys) = (dir.as_ref().to_path_buf(), remote.keys().cloned());
    blocking("setting up the journal", move || {
        let mut builder = beginning.set_up(Journal::builder(path));
        if let Some(keys) = keys {
            builder = builder.keys(keys);
        }
        let (journal, report) = builder.open()?;
        journal.close()?;
        Ok((report.position.sequence == beginning.committed.sequence).then_some(beginning.committed))
    })
    .await
}

async fn look(path: PathBuf, fs: Arc<dyn Fs>) -> Result<Found> {
    blocking("looking for the journal", move || match JournalDir::open_on(&path, fs) {
        Ok(dir) if dir.segment_sequences()?.is_empty() => Ok(Found::Empty),
        Ok(_) => Ok(Found::Journal),
        Err(graphstream_journal::Error::NotAJournal { .. }) => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    })
    .await
}

/// The head as a leader trusts it: compared with the epoch objects. Otherwise a head that was put back would be continued.
async fn trusted(remote: &Remote, stored: &StoredHead) -> Result<Beginning> {
    let identity = Identity::new(stored.head.database_id(), stored.head.lineage());
    let position = remote.committed_position(stored).await?;
    let nonce = OwnerNonce::random(remote.randomness())?;
    let options = SessionOptions::default().with_create(false);
    let session = LeaderSession::open(remote.clone(), identity, nonce, options, &AtHead(position)).await?;
    let committed = session.committed();
    // Somebody may have published meanwhile.
    let position = match session.head() {
        Some(newer) if committed.sequence != position.sequence => remote.committed_position(newer).await?,
        _ => position,
    };
    Ok(Beginning { identity, committed, position })
}

/// A journal that ends with the head.
struct AtHead(Position);

impl LocalChain for AtHead {
    fn last(&self) -> (u64, ChainHash) {
        (self.0.sequence, self.0.chain_hash)
    }

    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError> {
        Ok((sequence == self.0.sequence).then_some(self.0.chain_hash))
    }
}
