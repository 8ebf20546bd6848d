//! A head that is gone, or an older one in its place: what it must have said, and putting it back.
//!
//! ```text
//!   propose   read the head ─► list epoch/, read the objects ─► list seg/ ─► the longest run of the last epoch, whose chains must meet
//!             ─► is the head still what it was?
//!   restore   nothing stands there:  create epoch/{newest + 1} ─► create head.json
//!             something does:        swap head.json, epoch newest + 2 ─► create epoch/{newest + 2}
//! ```
//! Nobody but an operator begins this: a reader that finds no head can't know whether it is late.
//!
//! Where nothing stands, the epoch object comes first, so that two repairs, or a repair and a leader whose claim had reached the lost head alone, never
//! own one epoch. Where something stands it must not: an epoch object ends the history of the epoch before it, and if the swap then failed
//! because that epoch was alive, the next repair would cut off what it published. So the head is swapped first, as in a claim, to a number that
//! the claim in a lost head can't have had: that was one above the newest object at most. A repair that was cut off, or
//! met another, leaves what the next one understands: run it again until the head stands.

mod propose;

use graphstream_format::Position;
use graphstream_storage::{ListRequest, Lister, PutMode, Version};

use self::propose::{Proposed, propose};
use crate::committed_chain::ChainBefore;
use crate::error::{Attempt, Error, Result, SegmentDamage};
use crate::names::LEVEL_MAX;
use crate::{
    ChainValue, Committed, EpochObject, EpochRow, Head, HeadProblem, HeadRead, ObjectName, OwnerNonce,
    PlannedSegment, Remote, SegmentName, WriteId, sabotage,
};

/// Why no head can be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepairProblem {
    /// The head is the newest there is.
    #[error("the head stands, at epoch {epoch}, and no epoch object speaks against it")]
    HeadStands {
        /// Its epoch.
        epoch: u32,
    },
    /// No epoch object says where anything starts.
    #[error("there is no epoch object")]
    NoEpoch,
    /// Epoch objects of more than one database or lineage.
    #[error("the epoch objects are of several databases or lineages")]
    SeveralHistories,
    /// A segment or snapshot of an epoch whose object is not there.
    #[error("a key names epoch {epoch}, which has no epoch object")]
    EpochWithoutObject {
        /// The epoch.
        epoch: u32,
    },
    /// A later epoch that starts before an earlier one.
    #[error("a later epoch starts before an earlier one")]
    EpochsContradict,
    /// Entries that were merged, and so committed, lie behind others that are nowhere.
    #[error("entries {first} to {last} were committed, and not all are there")]
    Gap {
        /// The first that is nowhere.
        first: u64,
        /// The last that was merged.
        last: u64,
    },
    /// The number of the last epoch is the largest there is.
    #[error("no epoch is left")]
    NoEpochLeft,
}

/// What stands where a head is to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A head that is older than an epoch object (somebody put it back, it arrived late), or whose own epoch object is another's.
    Older {
        /// Its epoch.
        epoch: u32,
    },
    /// Bytes that are no head.
    Damaged,
}

/// A head that could take the place of one that is lost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeadProposal {
    /// The head: of a new epoch, which nobody owns.
    pub head: Head,
    /// What holds the entries behind the last epoch's start. Their chains meet; their contents were not read.
    pub run: Vec<PlannedSegment>,
    /// What it replaces.
    pub standing: Standing,
    version: Option<Version>,
}

/// What was found under the head's key.
struct Found {
    /// `None` if nothing.
    version: Option<Version>,
    /// `None` if nothing, or no head.
    head: Option<Head>,
}

impl Found {
    fn standing(&self) -> Standing {
        match (&self.head, &self.version) {
            (Some(head), _) => Standing::Older { epoch: head.epoch() },
            (None, Some(_)) => Standing::Damaged,
            (None, None) => Standing::Nothing,
        }
    }
}

impl Remote {
    /// Proposes a head for a database whose own is gone, damaged, or older than an epoch object. Changes nothing. Costs listings of `epoch/` and
    /// `seg/`, and some ranged reads for each segment behind the last epoch's start. `now_ms` is the clock, in ms since 1970; it is shown to
    /// people and nothing else.
    ///
    /// [`Error::Contended`] says that the head moves, because somebody leads, or that somebody compacts: propose again. A leader that runs meanwhile is fenced by the new head: stop it before, so that what it has not published is still its own at its
    /// next start.
    ///
    /// # Errors
    /// [`Error::Unrepairable`] with what is missing; [`Error::SegmentDamaged`] where the chains of two segments do not meet;
    /// [`Error::HeadDamaged`] for an epoch object that can't be read, or without the key; [`Error::Storage`].
    pub async fn propose_head(&self, now_ms: i64) -> Result<HeadProposal> {
        let found = self.standing().await?;
        let objects = self.epoch_objects().await?;
        let (segments, highest) = self.all_segments().await?;
        // Whoever claims or publishes meanwhile is alive, and none of this is true.
        let now = self.standing().await?;
        if now.version != found.version && !sabotage::is("repair_trusts_one_look") {
            let (key, attempts) = (self.head_key()?, 1);
            return Err(Error::Contended { attempt: Attempt::ReadHead, key, attempts });
        }
        if let Some(head) = &found.head
            && objects.last().is_none_or(|object| {
                let row = head.current_row();
                object.row.epoch < head.epoch() || row.is_some_and(|row| *row == object.row)
            })
        {
            let problem = RepairProblem::HeadStands { epoch: head.epoch() };
            return Err(Error::Unrepairable { problem });
        }
        let proposed = propose(&objects, &segments, highest)?;
        let chain = self.chain_of(&proposed).await?;
        let head = self.rebuilt(&proposed, chain, found.version.is_some(), now_ms)?;
        Ok(HeadProposal { head, run: proposed.run, standing: found.standing(), version: found.version })
    }

    /// Puts a proposed head in its place, unless something else stands there by now.
    ///
    /// # Errors
    /// [`Error::EpochObjectDiffers`] when somebody else took the epoch: propose again. [`Error::Storage`] of class `Exists` or
    /// `VersionMismatch` when there is another head by now; of class `TimeoutUnknown` when it is not known: propose again.
    pub async fn restore_head(&self, proposal: &HeadProposal) -> Result<()> {
        let HeadProposal { head, version, .. } = proposal;
        if version.is_none() || sabotage::is("repair_trusts_one_look") {
            self.ensure_current_epoch_object(head).await?;
        }
        let key = self.head_key()?;
        let mode = version.clone().map_or(PutMode::Create, PutMode::Match);
        if let Err(error) = self.put_head(&key, head, mode).await? {
            // Ours, of which an earlier answer was lost, shows by its write id.
            match self.read_head(None).await {
                Ok(HeadRead::Found(found)) if found.head.write_id() == head.write_id() => {}
                _ => return Err(Error::storage(Attempt::CreateHead, &key)(error)),
            }
        }
        self.ensure_current_epoch_object(head).await
    }

    async fn ensure_current_epoch_object(&self, head: &Head) -> Result<()> {
        match head.current_row() {
            Some(row) => self.ensure_epoch_object(head, row).await,
            None => Ok(()),
        }
    }

    async fn standing(&self) -> Result<Found> {
        match self.read_head(None).await {
            Ok(HeadRead::Found(stored)) => {
                Ok(Found { version: Some(stored.version), head: Some(stored.head) })
            }
            Ok(HeadRead::Missing | HeadRead::NotModified) => Ok(Found { version: None, head: None }),
            Err(Error::HeadDamaged {
                source: HeadProblem::Json(_) | HeadProblem::Inconsistent(_) | HeadProblem::Forged { .. },
                key,
            }) => {
                let found = self.backend().head(&key).await;
                let version = found.map_err(Error::storage(Attempt::ReadHead, &key))?.version;
                Ok(Found { version: Some(version), head: None })
            }
            Err(error) => Err(error),
        }
    }

    /// All epoch objects, ascending. Plain ones are read beside keyed ones, as far as those were written before.
    async fn epoch_objects(&self) -> Result<Vec<EpochObject>> {
        let keys = self.keys().map(|keys| &**keys);
        let mut objects: Vec<EpochObject> = Vec::new();
        for epoch in self.list_epochs(0, usize::MAX).await? {
            let key = self.layout().key(&ObjectName::Epoch(epoch))?;
            let Some(bytes) = self.read_epoch_object(&key).await? else { continue };
            let keyed_before = objects.last().is_some_and(|object| object.row.start_chain.key_id().is_some());
            let object = match EpochObject::parse(&bytes, keys) {
                Err(HeadProblem::Plaintext) if !keyed_before => EpochObject::parse(&bytes, None),
                parsed => parsed,
            };
            let object = object.map_err(|source| Error::HeadDamaged { key: key.clone(), source })?;
            if object.row.epoch != epoch {
                return Err(Error::EpochObjectDiffers { key, epoch });
            }
            objects.push(object);
        }
        if let Some(last) =
            objects.last().filter(|last| keys.is_some() && last.row.start_chain.hash().is_some())
        {
            let key = self.layout().key(&ObjectName::Epoch(last.row.epoch))?;
            return Err(Error::HeadDamaged { key, source: HeadProblem::Plaintext });
        }
        Ok(objects)
    }

    /// All segments of all levels, ascending, and the largest epoch that one of them names.
    async fn all_segments(&self) -> Result<(Vec<PlannedSegment>, u32)> {
        let mut segments = Vec::new();
        let mut highest = 0;
        for level in 0..=LEVEL_MAX {
            let prefix = self.layout().prefix(&SegmentName::level_prefix(level));
            let mut lister = Lister::new(&**self.backend(), ListRequest::new(prefix.as_str()));
            while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
                for object in page.objects {
                    if let Some(ObjectName::Segment(name)) = self.layout().parse(&object.key) {
                        highest = highest.max(name.epoch());
                        segments.push(PlannedSegment::new(name, object.size, None));
                    }
                }
            }
        }
        Ok((segments, highest))
    }

    /// The chain value at the end of the run, each of whose segments must continue the one before. One that begins inside the one before
    /// (merged, then) is compared with it by whoever reads them.
    async fn chain_of(&self, proposed: &Proposed) -> Result<ChainValue> {
        let lineage = proposed.identity.lineage;
        let start = proposed.start;
        let mut end: Option<Position> = None;
        for segment in &proposed.run {
            let key = self.layout().key(&ObjectName::Segment(segment.name))?;
            let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
            let Some(ends) = self.ends_of(segment).await? else {
                // Merged since it was listed.
                return Err(Error::Contended { attempt: Attempt::ReadSegment, key, attempts: 1 });
            };
            let joins = |sequence: u64| sequence.checked_add(1) == Some(segment.name.first());
            let (expected, before) = match end {
                None => (start.start_chain, start.start_sequence),
                Some(end) => (self.shown_chain(&end, &start.start_chain), end.sequence),
            };
            let meets = match end {
                _ if !joins(before) => true,
                Some(end) => ends.follows(end.chain_hash),
                None => match (start.start_chain, ends.before) {
                    (ChainValue::Plain(hash), _) => ends.follows(hash),
                    (keyed, ChainBefore::Hash(chain_hash)) => {
                        self.is_chain(&keyed, &Position { lineage, sequence: before, chain_hash })?
                    }
                    // Of a segment that is not encrypted, in a history that is.
                    (_, ChainBefore::Prefix(_)) => false,
                },
            };
            let position = Position { lineage, sequence: segment.name.last(), chain_hash: ends.after };
            if !meets {
                let found = match ends.before {
                    ChainBefore::Hash(chain_hash) => self
                        .shown_chain(&Position { lineage, sequence: before, chain_hash }, &start.start_chain),
                    ChainBefore::Prefix(_) => self.shown_chain(&position, &start.start_chain),
                };
                return Err(damaged(SegmentDamage::Chain { expected, found }));
            }
            end = Some(position);
        }
        let keys = proposed.plain_up_to.and(self.keys()).map(|keys| &**keys);
        Ok(end.map_or(start.start_chain, |end| ChainValue::of(&end, keys)))
    }

    fn rebuilt(&self, proposed: &Proposed, chain: ChainValue, swaps: bool, now_ms: i64) -> Result<Head> {
        let Some(epoch) = proposed.newest_epoch.checked_add(if swaps { 2 } else { 1 }) else {
            return Err(Error::Unrepairable { problem: RepairProblem::NoEpochLeft });
        };
        let committed = Committed::new(proposed.committed, chain, proposed.commit_ms);
        let owner = OwnerNonce::random(self.randomness())?;
        let write_id = WriteId::random(self.randomness())?;
        let mut rows = proposed.rows.clone();
        rows.retain(|row| row.start_sequence < committed.sequence);
        rows.push(EpochRow::new(epoch, owner, committed.sequence, chain, now_ms));
        let keys = self.keys().map(|keys| &**keys);
        let key = self.head_key()?;
        Head::rebuilt(proposed.identity, rows, committed, proposed.plain_up_to, write_id, keys)
            .map_err(|source| Error::HeadDamaged { key, source })
    }
}
