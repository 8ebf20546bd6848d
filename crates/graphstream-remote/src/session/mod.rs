//! A leader's dealings with the head: open, claim, publish, learn that it was fenced.
//!
//! ```text
//!            open                     claim                          publish ◄─┐
//!   head ──► start check ──► compare ──► swap epoch + 1 ──► epoch object ──► swap committed
//!            (epoch/ vs head)   ▲          │ 412, unknown       │                │ 412, unknown
//!                               └──────────┘ read, compare      │ missing: help  ▼
//!                                            again              ▼            read: ours → retry or counted
//!                                                       uploads allowed      rival's → epoch object stands
//!                                                                                    → Fenced { fenced_after }
//! ```
//! The session holds no lock and no lease: the head's compare-and-swap decides. After `Fenced` it does nothing more.

mod claim;
mod decide;
mod publish;
mod start;
mod upload;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use graphstream_format::ChainHash;
use graphstream_storage::Key;

pub use decide::Comparison;
pub use publish::Published;
pub use upload::{LocalSegment, SegmentUploader, UploadedSegment};

use crate::error::{Error, LocalError, Result};
use crate::{Committed, EpochRow, Floor, HeadRead, Identity, OwnerNonce, Remote, StoredHead};

/// What a leader's journal knows about its own chain.
pub trait LocalChain: Send + Sync {
    /// The last entry's sequence and the chain hash after it; 0 and zeros for an empty journal.
    fn last(&self) -> (u64, ChainHash);

    /// The chain hash after the entry `sequence`; `None` if the journal does not reach so far, or no longer.
    ///
    /// # Errors
    /// Whatever reading the journal fails with.
    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError>;
}

/// That another leader took over, and what that means for the entries of this one.
///
/// Before anybody who waits for an entry after `fenced_after` is told so, the leader durably notes `fenced_after`: at its next
/// start those entries move aside, even when no rival has committed anything there. Waiters up to `fenced_after` are
/// *stored*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fenced {
    /// Our epoch.
    pub epoch: u32,
    /// The first epoch that is not ours.
    pub by_epoch: u32,
    /// Who claimed that.
    pub by_owner: OwnerNonce,
    /// The last sequence of ours that is history, for good.
    pub fenced_after: u64,
    /// What the head says is committed now, by whomever.
    pub committed: Committed,
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, by_epoch, by_owner, fenced_after, .. } = self;
        write!(
            f,
            "fenced: the leader of epoch {epoch} was replaced by owner {by_owner} with epoch {by_epoch}; \
             its entries after sequence {fenced_after} are not part of the history"
        )
    }
}

/// How to open a session.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Whether a head may be created when the store has nothing of this database. A journal that was ever published must
    /// not allow it.
    pub create: bool,
    /// What is known to have been published: a head below it is an error.
    pub floor: Option<Floor>,
    /// With keys: what the journal says is plain in it, because encryption was turned on later. A plain head is taken, and keyed by the
    /// claim, if it commits nothing behind this; any other is refused. 0 for a journal that was encrypted from its beginning.
    pub plain_up_to: u64,
}

impl SessionOptions {
    /// Allows the creation of a head.
    #[must_use]
    pub fn with_create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Refuses heads below this.
    #[must_use]
    pub fn with_floor(mut self, floor: Option<Floor>) -> Self {
        self.floor = floor;
        self
    }

    /// Takes a plain head up to here, and keys it.
    #[must_use]
    pub fn with_plain_up_to(mut self, plain_up_to: u64) -> Self {
        self.plain_up_to = plain_up_to;
        self
    }
}

/// The epoch that a session owns (or owned).
#[derive(Debug)]
struct Claim {
    /// Head and row by which the epoch object is rendered.
    row: EpochRow,
    /// What both the session and its uploaders must know.
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The epoch object is known to stand.
    epoch_stands: AtomicBool,
    fenced: OnceLock<Fenced>,
}

/// A leader's session on one database. One per start of the process: its nonce is never used again.
#[derive(Debug)]
pub struct LeaderSession {
    remote: Remote,
    head_key: Key,
    identity: Identity,
    nonce: OwnerNonce,
    options: SessionOptions,
    /// The newest head that was read or written; `None` while the database does not exist.
    stored: Option<StoredHead>,
    /// A chain hash that the caller found in published segments.
    known: Option<(u64, ChainHash)>,
    claim: Option<Claim>,
}

impl LeaderSession {
    /// Reads the head, checks it against the epoch objects, and compares the journal with it. Changes nothing except that
    /// missing epoch objects of the head are created.
    ///
    /// `nonce` is drawn once per start of the process.
    ///
    /// # Errors
    /// [`Error::HeadMissing`] when there was one; [`Error::OtherDatabase`], [`Error::OtherLineage`];
    /// [`Error::EpochAboveHead`], [`Error::EpochObjectDiffers`], [`Error::Rewound`]; [`Error::Fork`];
    /// [`Error::LocalChainMissing`], [`Error::Local`]; [`Error::Storage`].
    pub async fn open(
        remote: Remote,
        identity: Identity,
        nonce: OwnerNonce,
        options: SessionOptions,
        local: &dyn LocalChain,
    ) -> Result<Self> {
        let head_key = remote.head_key()?;
        let mut session =
            Self { remote, head_key, identity, nonce, options, stored: None, known: None, claim: None };
        session.stored = session.read_checked(None).await?;
        if let Some(stored) = &session.stored {
            decide::compare(&stored.head, local, None, session.remote.proofs())?;
        }
        Ok(session)
    }

    /// The database.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The nonce of this start.
    #[must_use]
    pub fn nonce(&self) -> OwnerNonce {
        self.nonce
    }

    /// The newest head that the session has read or written; `None` for a database that does not exist yet.
    #[must_use]
    pub fn head(&self) -> Option<&StoredHead> {
        self.stored.as_ref()
    }

    /// What is committed, as far as the session knows.
    #[must_use]
    pub fn committed(&self) -> Committed {
        self.stored.as_ref().map_or(Committed::NOTHING, |stored| stored.head.committed())
    }

    /// The claimed epoch; `None` before the claim.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        self.claim.as_ref().map(|claim| claim.row.epoch)
    }

    /// The sequence that was committed when the epoch was claimed: the first segment starts right after it.
    #[must_use]
    pub fn epoch_start(&self) -> Option<u64> {
        self.claim.as_ref().map(|claim| claim.row.start_sequence)
    }

    /// That this leader was fenced, once it knows.
    #[must_use]
    pub fn fenced(&self) -> Option<Fenced> {
        self.claim.as_ref().and_then(|claim| claim.shared.fenced.get().copied())
    }

    /// Compares the journal with the newest head that was read.
    ///
    /// # Errors
    /// [`Error::Fork`], [`Error::LocalChainMissing`], [`Error::Local`].
    pub fn compare(&self, local: &dyn LocalChain) -> Result<Comparison> {
        match &self.stored {
            Some(stored) => decide::compare(&stored.head, local, self.known, self.remote.proofs()),
            None => Ok(Comparison::Agrees),
        }
    }

    /// Tells the session a chain hash that the caller found in *history* segments of this database, after the entry
    /// `sequence`. It lets a journal that ends there and is behind claim before it has caught up. What is committed stays
    /// in every later history, so the proof does not age.
    pub fn prove(&mut self, sequence: u64, chain_hash: ChainHash) {
        self.known = Some((sequence, chain_hash));
    }

    /// Looks whether the head changed, with a conditional read: how an idle leader learns that it was fenced.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::HeadMissing`], [`Error::Rewound`], [`Error::Fork`]; [`Error::Storage`]; before the
    /// claim [`Error::NotClaimed`].
    pub async fn check(&mut self, local: &dyn LocalChain) -> Result<()> {
        self.refuse_fenced()?;
        let version = self.stored.as_ref().map(|stored| stored.version.clone());
        match self.remote.read_head(version.as_ref()).await? {
            HeadRead::NotModified => Ok(()),
            read => self.settle(read, local).await,
        }
    }

    fn refuse_fenced(&self) -> Result<()> {
        self.fenced().map_or(Ok(()), |fenced| Err(Error::Fenced(Box::new(fenced))))
    }

    fn claimed(&self) -> Result<&Claim> {
        self.claim.as_ref().ok_or(Error::NotClaimed)
    }
}
