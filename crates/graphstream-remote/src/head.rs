//! The head: the one object that says what is committed, and by whom. Small, replaced by compare-and-swap only.
//!
//! ```text
//!  created (epoch 0, nothing committed) ──claim──► epoch e+1, owner ──publish──► committed grows ──claim──► ...
//! ```
//! A [`Head`] in memory is always consistent: it was created by this module's transitions or passed every check of
//! [`Head::parse`]. What is checked there is what the rest of the crate relies on.
//!
//! The head of an encrypted history is *keyed*: its chain values are MACs, and a MAC over all of it proves who wrote it
//! ([`document`](crate::seal_document)). It says up to which sequence plain segments are history: everything behind that is encrypted.

mod checks;
mod problem;
mod shape;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{ChainHash, Lineage, Position};
use serde::{Deserialize, Serialize};

pub use self::problem::{HeadProblem, Inconsistency};
use crate::{
    ChainValue, DatabaseId, EpochObject, EpochRow, Identity, OwnerNonce, SegmentName, SnapshotName, WriteId,
};

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
    /// The chain value at `sequence`.
    #[serde(rename = "chain_hash")]
    pub chain: ChainValue,
    /// Commit time of that entry, in ms since 1970; 0 for none. Never decreases.
    pub commit_ms: i64,
}

impl Committed {
    /// Nothing committed.
    pub const NOTHING: Self = Self { sequence: 0, chain: ChainValue::Plain(ChainHash::ZERO), commit_ms: 0 };

    /// All fields.
    #[must_use]
    pub fn new(sequence: u64, chain: ChainValue, commit_ms: i64) -> Self {
        Self { sequence, chain, commit_ms }
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
    /// Of a keyed head: the last sequence of which plain segments are history.
    plain_up_to: Option<u64>,
}

impl Head {
    /// The head of a new database: epoch 0, nothing committed. Nothing is ever published under it; it is claimed first. With keys it
    /// is keyed.
    #[must_use]
    pub fn created(
        database_id: DatabaseId,
        lineage: Lineage,
        write_id: WriteId,
        keys: Option<&KeyRing>,
    ) -> Self {
        let plain = Self {
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
            plain_up_to: None,
        };
        match keys {
            Some(keys) => plain.keyed(keys),
            None => plain,
        }
    }

    /// A head that takes the place of a lost one: of the last epoch in `epochs`, whose row says who owns it. It names no segment.
    pub(crate) fn rebuilt(
        identity: Identity,
        epochs: Vec<EpochRow>,
        committed: Committed,
        plain_up_to: Option<u64>,
        write_id: WriteId,
        keys: Option<&KeyRing>,
    ) -> Result<Self, HeadProblem> {
        let newest = epochs.last().copied();
        let head = Self {
            epoch: newest.map_or(0, |row| row.epoch),
            owner: newest.map(|row| row.owner),
            epochs,
            committed,
            plain_up_to,
            ..Self::created(identity.database_id, identity.lineage, write_id, None)
        };
        head.check(keys)?;
        Ok(head)
    }

    /// The same as a keyed head: what is committed under the current key, as plain as it is up to here and never again. A head that is
    /// keyed stays as it is: its chain values keep their keys.
    #[must_use]
    pub fn keyed(&self, keys: &KeyRing) -> Self {
        let mut next = self.clone();
        if let (None, ChainValue::Plain(chain_hash)) = (self.plain_up_to, self.committed.chain) {
            let position = Position { lineage: self.lineage, sequence: self.committed.sequence, chain_hash };
            next.committed.chain = ChainValue::of(&position, Some(keys));
            next.plain_up_to = Some(position.sequence);
        }
        next
    }

    /// The head after a claim: the next epoch, which starts at what is committed now. An epoch that committed nothing
    /// leaves the list. `None` when no epoch is left to claim or the list is full.
    #[must_use]
    pub fn claimed(&self, owner: OwnerNonce, write_id: WriteId, claimed_ms: i64) -> Option<Self> {
        let epoch = self.epoch.checked_add(1)?;
        let mut next = self.next(write_id)?;
        let Committed { sequence, chain, .. } = self.committed;
        next.epochs.retain(|row| row.start_sequence < sequence);
        if next.epochs.len() >= EPOCHS_MAX {
            return None;
        }
        next.epochs.push(EpochRow::new(epoch, owner, sequence, chain, claimed_ms));
        next.epoch = epoch;
        next.owner = Some(owner);
        Some(next)
    }

    /// The head after publication of `run`, which continues right after what is committed and ends at `chain`.
    /// `None` when it does not continue there, is not of this epoch and level 0, is empty, or `chain` is plain in a keyed head (or the
    /// reverse).
    #[must_use]
    pub fn published(&self, run: &[WindowSegment], chain: ChainValue, write_id: WriteId) -> Option<Self> {
        if chain.key_id().is_some() != self.is_keyed() {
            return None;
        }
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
        next.committed = Committed::new(last, chain, commit_ms);
        next.segments.extend_from_slice(run);
        let beyond = next.segments.len().saturating_sub(WINDOW_SEGMENTS_MAX);
        next.segments.drain(..beyond);
        Some(next)
    }

    fn next(&self, write_id: WriteId) -> Option<Self> {
        let revision = self.revision.checked_add(1)?;
        Some(Self { revision, write_id, ..self.clone() })
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

    /// Whether the history is encrypted: every chain value from some point on is keyed, and so is the head.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.plain_up_to.is_some()
    }

    /// The last sequence of which plain segments are history, 0 for none; `None` if the head is not keyed.
    #[must_use]
    pub fn plain_up_to(&self) -> Option<u64> {
        self.plain_up_to
    }

    /// Whether a segment that ends with `last` must be encrypted to be history.
    #[must_use]
    pub fn demands_encryption(&self, last: u64) -> bool {
        self.plain_up_to.is_some_and(|plain| last > plain)
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
}
