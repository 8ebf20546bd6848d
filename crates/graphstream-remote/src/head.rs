//! The head: the one object that says what is committed, and by whom. Small, replaced by compare-and-swap only.
//!
//! ```text
//!  created (epoch 0, nothing committed) ──claim──► epoch e+1, owner ──publish──► committed grows ──claim──► ...
//! ```
//! A [`Head`] in memory is always consistent: it was created by this module's transitions or passed every check of
//! [`Head::parse`]. What is checked there is what the rest of the crate relies on.

use graphstream_format::{ChainHash, Lineage};
use serde::{Deserialize, Serialize};

use crate::ids::hex_text;
use crate::names::COMMIT_MS_MAX;
use crate::{DatabaseId, EpochObject, EpochRow, OwnerNonce, SegmentName, SnapshotName, WriteId};

/// How many of the newest segments a head names.
pub const WINDOW_SEGMENTS_MAX: usize = 64;
/// How many epochs a head keeps. Each start of a leader that committed something adds one; compaction lets them go.
pub const EPOCHS_MAX: usize = 8192;
/// The largest head that is read, in bytes.
pub const HEAD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is published: every entry up to `sequence`, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Committed {
    /// The last committed sequence; 0 for none.
    pub sequence: u64,
    /// The chain hash at `sequence`.
    #[serde(with = "hex_text")]
    pub chain_hash: ChainHash,
    /// Commit time of that entry, in ms since 1970; 0 for none. Never decreases.
    pub commit_ms: i64,
}

impl Committed {
    /// Nothing committed.
    pub const NOTHING: Self = Self { sequence: 0, chain_hash: ChainHash::ZERO, commit_ms: 0 };

    /// All fields.
    #[must_use]
    pub fn new(sequence: u64, chain_hash: ChainHash, commit_ms: i64) -> Self {
        Self { sequence, chain_hash, commit_ms }
    }
}

/// A segment as the head's window names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowSegment {
    /// Its name, of level 0.
    pub name: SegmentName,
    /// Bytes of the object.
    pub size: u64,
    /// SHA-256 of the object.
    pub sha256: [u8; 32],
}

impl WindowSegment {
    /// All fields.
    #[must_use]
    pub fn new(name: SegmentName, size: u64, sha256: [u8; 32]) -> Self {
        Self { name, size, sha256 }
    }
}

/// Why bytes are not a head (or not an epoch object).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadProblem {
    /// Not JSON, or not exactly the documented fields.
    #[error("it is not JSON of the documented shape")]
    Json(#[from] serde_json::Error),
    /// Written by a newer graphstream, or not by graphstream.
    #[error("its format is {found}, this version reads {supported}")]
    Format {
        /// The format that it claims.
        found: u64,
        /// The format that we read.
        supported: u32,
    },
    /// Fields that contradict each other.
    #[error("{0}")]
    Inconsistent(Inconsistency),
}

/// Which promise among a head's fields is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// An epoch without an owner, or the reverse.
    #[error("the epoch's owner is missing, or epoch 0 has one")]
    Owner,
    /// `epochs` does not end with the epoch and its owner, is not ascending, starts beyond `committed`, or is too long.
    #[error("`epochs` is not an ascending list that ends with the head's epoch and owner")]
    Epochs,
    /// A sequence with two chain hashes, or a chain hash before the first entry.
    #[error("the chain hashes of `epochs` and `committed` contradict each other")]
    Chain,
    /// The window is not a contiguous run of level-0 segments that ends at `committed`, or too long.
    #[error("`segments` is not a contiguous run of level-0 segments that ends at the committed sequence")]
    Window,
    /// The snapshot lies beyond `committed`.
    #[error("`snapshot` is beyond the committed sequence")]
    Snapshot,
    /// A commit time out of range.
    #[error("the committed time is out of range")]
    CommitTime,
}

/// The content of `head.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    database_id: DatabaseId,
    lineage: Lineage,
    revision: u64,
    write_id: WriteId,
    epoch: u32,
    owner: Option<OwnerNonce>,
    epochs: Vec<EpochRow>,
    committed: Committed,
    segments: Vec<WindowSegment>,
    snapshot: Option<SnapshotName>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    format: u32,
    database_id: DatabaseId,
    #[serde(with = "hex_text")]
    lineage: Lineage,
    revision: u64,
    write_id: WriteId,
    epoch: u32,
    owner: Option<OwnerNonce>,
    epochs: Vec<EpochRow>,
    committed: Committed,
    segments: Vec<WindowJson>,
    snapshot: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowJson {
    key: String,
    size: u64,
    #[serde(with = "hex_text")]
    sha256: [u8; 32],
}

/// Reads the version before the shape, so that a newer shape is named as such.
pub(crate) fn check_format(bytes: &[u8], supported: u32) -> Result<(), HeadProblem> {
    #[derive(Deserialize)]
    struct Probe {
        format: u64,
    }
    let Probe { format } = serde_json::from_slice(bytes)?;
    if format == u64::from(supported) {
        Ok(())
    } else {
        Err(HeadProblem::Format { found: format, supported })
    }
}

impl Head {
    /// The version of the JSON shape that we write and read.
    pub const FORMAT: u32 = 1;

    /// The head of a new database: epoch 0, nothing committed. Nothing is ever published under it; it is claimed first.
    #[must_use]
    pub fn created(database_id: DatabaseId, lineage: Lineage, write_id: WriteId) -> Self {
        Self {
            database_id,
            lineage,
            revision: 0,
            write_id,
            epoch: 0,
            owner: None,
            epochs: Vec::new(),
            committed: Committed::NOTHING,
            segments: Vec::new(),
            snapshot: None,
        }
    }

    /// The head after a claim: the next epoch, which starts at what is committed now. An epoch that committed nothing
    /// leaves the list. `None` when no epoch is left to claim or the list is full.
    #[must_use]
    pub fn claimed(&self, owner: OwnerNonce, write_id: WriteId, claimed_ms: i64) -> Option<Self> {
        let epoch = self.epoch.checked_add(1)?;
        let mut next = self.next(write_id)?;
        let Committed { sequence, chain_hash, .. } = self.committed;
        next.epochs.retain(|row| row.start_sequence < sequence);
        if next.epochs.len() >= EPOCHS_MAX {
            return None;
        }
        next.epochs.push(EpochRow::new(epoch, owner, sequence, chain_hash, claimed_ms));
        next.epoch = epoch;
        next.owner = Some(owner);
        Some(next)
    }

    /// The head after publication of `run`, which continues right after what is committed and ends at `chain_hash`.
    /// `None` when it does not continue there, is not of this epoch and level 0, or is empty.
    #[must_use]
    pub fn published(&self, run: &[WindowSegment], chain_hash: ChainHash, write_id: WriteId) -> Option<Self> {
        let mut next = self.next(write_id)?;
        let mut last = self.committed.sequence;
        for segment in run {
            let name = &segment.name;
            let follows = last.checked_add(1) == Some(name.first());
            if !follows || name.level() != 0 || name.epoch() != self.epoch {
                return None;
            }
            last = name.last();
        }
        let commit_ms = run.last()?.name.commit_ms().max(self.committed.commit_ms);
        next.committed = Committed::new(last, chain_hash, commit_ms);
        next.segments.extend_from_slice(run);
        let beyond = next.segments.len().saturating_sub(WINDOW_SEGMENTS_MAX);
        next.segments.drain(..beyond);
        Some(next)
    }

    fn next(&self, write_id: WriteId) -> Option<Self> {
        let revision = self.revision.checked_add(1)?;
        Some(Self { revision, write_id, ..self.clone() })
    }

    /// The object's bytes; equal heads have equal bytes.
    ///
    /// # Errors
    /// [`HeadProblem::Json`], which does not happen for these types.
    pub fn render(&self) -> Result<Vec<u8>, HeadProblem> {
        let window = |segment: &WindowSegment| WindowJson {
            key: segment.name.to_string(),
            size: segment.size,
            sha256: segment.sha256,
        };
        let json = Json {
            format: Self::FORMAT,
            database_id: self.database_id,
            lineage: self.lineage,
            revision: self.revision,
            write_id: self.write_id,
            epoch: self.epoch,
            owner: self.owner,
            epochs: self.epochs.clone(),
            committed: self.committed,
            segments: self.segments.iter().map(window).collect(),
            snapshot: self.snapshot.as_ref().map(ToString::to_string),
        };
        let mut bytes = serde_json::to_vec(&json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses an object's bytes and checks every field against the others.
    ///
    /// # Errors
    /// [`HeadProblem`].
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadProblem> {
        check_format(bytes, Self::FORMAT)?;
        let json: Json = serde_json::from_slice(bytes)?;
        Self::try_from(json).map_err(HeadProblem::Inconsistent)
    }

    /// The database.
    #[must_use]
    pub fn database_id(&self) -> DatabaseId {
        self.database_id
    }

    /// The history that is committed.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// Counts the heads of this database, within an epoch without holes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The attempt that wrote it.
    #[must_use]
    pub fn write_id(&self) -> WriteId {
        self.write_id
    }

    /// The newest epoch; 0 when nobody has claimed one.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Who owns the newest epoch; `None` at epoch 0.
    #[must_use]
    pub fn owner(&self) -> Option<OwnerNonce> {
        self.owner
    }

    /// Epochs with entries in the retained history, ascending; the last is the newest, which may have none yet.
    #[must_use]
    pub fn epochs(&self) -> &[EpochRow] {
        &self.epochs
    }

    /// What is committed.
    #[must_use]
    pub fn committed(&self) -> Committed {
        self.committed
    }

    /// The newest segments, ascending; empty or ending at the committed sequence.
    #[must_use]
    pub fn segments(&self) -> &[WindowSegment] {
        &self.segments
    }

    /// The newest snapshot that the head's owner knows.
    #[must_use]
    pub fn snapshot(&self) -> Option<SnapshotName> {
        self.snapshot
    }

    /// The row of the newest epoch; `None` at epoch 0.
    #[must_use]
    pub fn current_row(&self) -> Option<&EpochRow> {
        self.epochs.last()
    }

    /// The epoch object that belongs to a row of this head.
    #[must_use]
    pub fn epoch_object(&self, row: &EpochRow) -> EpochObject {
        EpochObject::new(self.database_id, self.lineage, *row)
    }

    fn check(&self) -> Result<(), Inconsistency> {
        self.check_epochs()?;
        self.check_window()?;
        if !(0..=COMMIT_MS_MAX).contains(&self.committed.commit_ms) {
            return Err(Inconsistency::CommitTime);
        }
        if self.snapshot.is_some_and(|snapshot| snapshot.sequence() > self.committed.sequence) {
            return Err(Inconsistency::Snapshot);
        }
        Ok(())
    }

    fn check_epochs(&self) -> Result<(), Inconsistency> {
        let Self { epochs, committed, .. } = self;
        if (self.epoch == 0) != self.owner.is_none() {
            return Err(Inconsistency::Owner);
        }
        // What epoch 0 committed: nothing.
        if self.epoch == 0 && committed.sequence != 0 {
            return Err(Inconsistency::Epochs);
        }
        let newest = epochs.last().map(|row| (row.epoch, Some(row.owner)));
        let expected = (self.epoch > 0).then_some((self.epoch, self.owner));
        let ascending = epochs.is_sorted_by(|a, b| a.epoch < b.epoch && a.start_sequence < b.start_sequence);
        let within = epochs.iter().all(|row| row.epoch > 0 && row.start_sequence <= committed.sequence);
        if newest != expected || !ascending || !within || epochs.len() > EPOCHS_MAX {
            return Err(Inconsistency::Epochs);
        }
        let agrees = |sequence: u64, chain: ChainHash| {
            (sequence != 0 || chain == ChainHash::ZERO)
                && (sequence != committed.sequence || chain == committed.chain_hash)
        };
        let chains = epochs.iter().all(|row| agrees(row.start_sequence, row.start_chain));
        if !chains || !agrees(committed.sequence, committed.chain_hash) {
            return Err(Inconsistency::Chain);
        }
        Ok(())
    }

    fn check_window(&self) -> Result<(), Inconsistency> {
        let names = || self.segments.iter().map(|segment| segment.name);
        let ends = names().next_back().is_none_or(|name| name.last() == self.committed.sequence);
        let contiguous =
            self.segments.is_sorted_by(|a, b| a.name.last().checked_add(1) == Some(b.name.first()));
        let ours = names().all(|name| name.level() == 0 && name.epoch() <= self.epoch);
        if ends && contiguous && ours && self.segments.len() <= WINDOW_SEGMENTS_MAX {
            Ok(())
        } else {
            Err(Inconsistency::Window)
        }
    }
}

impl TryFrom<Json> for Head {
    type Error = Inconsistency;

    fn try_from(json: Json) -> Result<Self, Inconsistency> {
        let window = |row: WindowJson| {
            let name = SegmentName::parse(&row.key).ok_or(Inconsistency::Window)?;
            Ok(WindowSegment::new(name, row.size, row.sha256))
        };
        let snapshot = |text: String| SnapshotName::parse(&text).ok_or(Inconsistency::Snapshot);
        let head = Self {
            database_id: json.database_id,
            lineage: json.lineage,
            revision: json.revision,
            write_id: json.write_id,
            epoch: json.epoch,
            owner: json.owner,
            epochs: json.epochs,
            committed: json.committed,
            segments: json.segments.into_iter().map(window).collect::<Result<_, _>>()?,
            snapshot: json.snapshot.map(snapshot).transpose()?,
        };
        head.check()?;
        Ok(head)
    }
}
