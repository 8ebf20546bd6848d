//! Importing: verify everything, then write it again under a lineage and an epoch of its own.
//!
//! ```text
//!  survey ──▶ verify all ──▶ claim an epoch ──▶ read again, seal, upload, publish ──▶ ... ──▶ the same chain hash at the end
//!                 │               ▲
//!             any damage:         └── a killed import: the head is of this database's id, and its chain is on ours: go on there
//!             nothing is written
//! ```
//! The id of an imported database follows from its name and its first entry. So an import that was killed finds what it began, and any
//! other database under the name is refused. The lineage is random, as of every new database.

use std::collections::BTreeMap;

use graphstream_format::{ChainHash, Lineage};
use graphstream_remote::{
    Committed, DatabaseId, HeadRead, Identity, LeaderSession, LocalChain, LocalError, LocalSegment,
    OwnerNonce, Remote, SessionOptions,
};
use graphstream_storage::PutBody;
use sha2::{Digest, Sha256};

use super::sealing::Sealing;
use super::walk::{Scratch, Walk};
use super::{
    CheckedObject, ObjectState, Predecessor, PredecessorError, PredecessorSurvey, PredecessorTotals,
};
use crate::threads::blocking;
use crate::{Error, Result};

/// Where the commit times of imported entries come from. They never decrease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportTimes {
    /// When the predecessor created the entry's segment: its own clock, exact to a segment (default).
    #[default]
    Segment,
    /// The entry's own time, which the application said.
    Entry,
}

/// How to import.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Where commit times come from.
    pub times: ImportTimes,
    /// A segment is ended once its payloads have so many bytes (default: 4 MiB).
    pub segment_bytes_max: u64,
    /// Whether to write to a store that does not keep conditions on puts (default: no).
    pub allow_unconditional_store: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { times: ImportTimes::Segment, segment_bytes_max: 4 << 20, allow_unconditional_store: false }
    }
}

impl ImportOptions {
    /// Sets where commit times come from.
    #[must_use]
    pub fn with_times(mut self, times: ImportTimes) -> Self {
        self.times = times;
        self
    }

    /// Sets when a segment is ended, in bytes of payloads.
    #[must_use]
    pub fn with_segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes.max(1);
        self
    }

    /// Allows a store that does not keep conditions on puts.
    #[must_use]
    pub fn with_allow_unconditional_store(mut self, allow: bool) -> Self {
        self.allow_unconditional_store = allow;
        self
    }
}

/// What an import did.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ImportReport {
    /// Entries that an earlier import had written.
    pub continued_after: u64,
    /// Segments written now.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is committed.
    pub committed: Committed,
    /// The new database.
    pub identity: Identity,
}

/// A verified database of the predecessor that is to be imported.
#[derive(Debug)]
pub struct Import {
    source: Predecessor,
    remote: Remote,
    survey: PredecessorSurvey,
    totals: PredecessorTotals,
    known: BTreeMap<u64, ChainHash>,
    database_id: DatabaseId,
    /// What an earlier import has left.
    begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    lineage: Lineage,
    committed: Committed,
}

/// What the source knows of its chain.
#[derive(Debug)]
struct SourceChain {
    last: (u64, ChainHash),
    known: BTreeMap<u64, ChainHash>,
}

impl LocalChain for SourceChain {
    fn last(&self) -> (u64, ChainHash) {
        self.last
    }

    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError> {
        Ok(self.known.get(&sequence).copied())
    }
}

impl Import {
    /// Verifies the whole source, and looks what stands under the new name. Writes nothing; `sink` gets what each object is.
    ///
    /// # Errors
    /// [`PredecessorError`]: the first thing that is wrong with the source, after all of it was told to `sink`; [`PredecessorError::Exists`];
    /// [`Error::Remote`].
    pub async fn prepare(
        source: Predecessor,
        remote: Remote,
        mut sink: impl FnMut(&CheckedObject),
    ) -> Result<Self> {
        let mut survey = source.survey().await?;
        let head = match remote.read_head(None).await? {
            HeadRead::Found(stored) => Some(stored.head),
            HeadRead::Missing | HeadRead::NotModified => None,
        };
        if head.is_none()
            && let Some(evidence) = remote.evidence().await?
        {
            let key = remote.head_key()?;
            return Err(graphstream_remote::Error::HeadMissing { key, evidence: Some(evidence) }.into());
        }
        let mut wrong: Option<PredecessorError> = None;
        for error in survey.damaged.drain(..) {
            let unreadable = CheckedObject::unreadable(error);
            sink(&unreadable);
            if let ObjectState::Bad(error) = unreadable.state {
                wrong.get_or_insert(error);
            }
        }
        let scratch = Scratch::new()?;
        // What is committed, and where epochs started, must be on the source's chain.
        let wanted = head.iter().flat_map(|head| {
            let starts = head.epochs().iter().map(|row| row.start_sequence);
            starts.chain([head.committed().sequence]).collect::<Vec<_>>()
        });
        let mut walk = Walk::new(scratch.file(), &survey.objects, wanted.chain([1]));
        let count = survey.objects.len();
        for (at, object) in survey.objects.iter().enumerate() {
            let (next, (), checked) = walk.object(&source, object, at + 1 == count, ()).await?;
            walk = next;
            for checked in checked {
                sink(&checked);
                if let ObjectState::Bad(error) = checked.state {
                    wrong.get_or_insert(error);
                }
            }
        }
        if let Some(error) = wrong {
            return Err(error.into());
        }
        let totals = walk.totals();
        let known = walk.into_known();
        let database = remote.layout().database().to_string();
        let first = known.get(&1).copied().unwrap_or(ChainHash::ZERO);
        let database_id = derived_id(&database, first);
        let begun = match head {
            None => None,
            Some(head) if head.database_id() == database_id && head.committed().sequence <= totals.last => {
                Some(Begun { lineage: head.lineage(), committed: head.committed() })
            }
            Some(_) => return Err(PredecessorError::Exists { database }.into()),
        };
        Ok(Self { source, remote, survey, totals, known, database_id, begun })
    }

    /// What the source holds.
    #[must_use]
    pub fn totals(&self) -> PredecessorTotals {
        self.totals
    }

    /// The last entry that an earlier import has committed; 0 without one.
    #[must_use]
    pub fn continues_after(&self) -> u64 {
        self.begun.map_or(0, |begun| begun.committed.sequence)
    }

    /// Writes the new database: claims an epoch, uploads, publishes. `progress` is told the committed sequence. Killed at any point,
    /// the same import goes on where it was; memory is bounded by one entry, disk by one object of the source and what is made of it.
    ///
    /// # Errors
    /// [`Error::Remote`]; [`Error::UnconditionalStore`]; [`PredecessorError::Changed`]; [`Error::Cache`], [`Error::Local`] for scratch files.
    pub async fn run(self, options: ImportOptions, mut progress: impl FnMut(u64)) -> Result<ImportReport> {
        let Self { source, remote, survey, totals, known, database_id, begun } = self;
        let conditions = remote.probe_conditions().await?;
        if !(conditions.hold() || conditions.can_put() && options.allow_unconditional_store) {
            return Err(Error::UnconditionalStore { store: remote.backend().describe(), conditions });
        }
        let lineage = match begun {
            Some(begun) => begun.lineage,
            None => Lineage::from_bytes(remote.randomness().bytes16()?),
        };
        let identity = Identity::new(database_id, lineage);
        let nonce = OwnerNonce::random(remote.randomness())?;
        let chain = SourceChain { last: (totals.last, totals.chain_hash), known };
        let session = SessionOptions::default().with_create(begun.is_none());
        let mut session = LeaderSession::open(remote, identity, nonce, session, &chain).await?;
        let committed = session.committed();
        let mut report =
            ImportReport { continued_after: committed.sequence, segments: 0, bytes: 0, committed, identity };
        if begun.is_some() && committed.sequence >= totals.last {
            return Ok(report);
        }
        session.claim(&chain, now_ms()).await?;
        let scratch = Scratch::new()?;
        let from = (committed.sequence, committed.commit_ms);
        let mut sealing =
            Sealing::new(scratch.path(), lineage, options.times, options.segment_bytes_max, from);
        let mut walk = Walk::new(scratch.file(), &survey.objects, []);
        let count = survey.objects.len();
        for (at, object) in survey.objects.iter().enumerate() {
            let (next, written, checked) = walk.object(&source, object, at + 1 == count, sealing).await?;
            (walk, sealing) = (next, written);
            for checked in checked {
                if let ObjectState::Bad(error) = checked.state {
                    return Err(error.into());
                }
            }
            if at + 1 == count {
                sealing = blocking("sealing a segment", move || {
                    sealing.finish()?;
                    Ok(sealing)
                })
                .await?;
            }
            let segments = sealing.take();
            if !segments.is_empty() {
                publish(&mut session, &chain, segments, &mut report).await?;
                progress(report.committed.sequence);
            }
        }
        if walk.totals().chain_hash != chain.last.1
            && let Some(last) = survey.objects.last()
        {
            return Err(PredecessorError::Changed { key: last.key.clone() }.into());
        }
        Ok(report)
    }
}

/// Uploads segments and publishes them; their files go.
async fn publish(
    session: &mut LeaderSession,
    chain: &SourceChain,
    segments: Vec<LocalSegment>,
    report: &mut ImportReport,
) -> Result<()> {
    let uploader = session.uploader()?;
    let mut uploaded = Vec::with_capacity(segments.len());
    for segment in segments {
        uploaded.push(uploader.upload(&segment).await?);
        report.segments += 1;
        report.bytes += segment.size;
        if let PutBody::File(path) = &segment.body {
            // What stays is only space, until the directory goes.
            let _ = std::fs::remove_file(path);
        }
    }
    report.committed = session.publish(&uploaded, chain).await?.committed;
    Ok(())
}

/// The id of what is imported under this name from a history with this first entry.
fn derived_id(database: &str, first: ChainHash) -> DatabaseId {
    let mut sha256 = Sha256::new();
    sha256.update(b"graphstream import 1\0");
    sha256.update(database.as_bytes());
    sha256.update(b"\0");
    sha256.update(first.as_bytes());
    let digest: [u8; 32] = sha256.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    DatabaseId::from_bytes(id)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}
