//! A follower's view: polls the head with conditional reads, notices when it went back, and finds the objects that hold
//! what is missing.

use std::fmt;
use std::sync::Arc;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_storage::{Key, ListRequest, Lister};

use crate::chain_value::Proofs;
use crate::error::{Attempt, Error, Result};
use crate::names::LEVEL_MAX;
use crate::plan::{cover, from_window};
use crate::runs::runs;
use crate::{
    ChainValue, Committed, Head, HeadRead, HistoryRule, Identity, ObjectName, Plan, PlannedSegment, Remote,
    Run, SegmentName, StoredHead,
};

/// What a reader has seen for certain. A head below it is older than one that was shown before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Floor {
    /// The head's epoch when the position was committed; 0 if that is not known.
    pub epoch: u32,
    /// A committed sequence.
    pub sequence: u64,
    /// The chain value there: a chain hash that is known here, or what a head said.
    pub chain: ChainValue,
}

impl Floor {
    /// All fields.
    #[must_use]
    pub fn new(epoch: u32, sequence: u64, chain: ChainValue) -> Self {
        Self { epoch, sequence, chain }
    }

    /// What a head shows.
    #[must_use]
    pub fn of(head: &Head) -> Self {
        let Committed { sequence, chain, .. } = head.committed();
        Self::new(head.epoch(), sequence, chain)
    }

    /// Checks that a head is not below the floor and does not contradict it. Two MACs under different keys contradict nothing.
    ///
    /// # Errors
    /// [`Error::Rewound`] for a lower epoch or sequence, or a later epoch that starts below; [`Error::Fork`] for another
    /// chain hash; [`Error::HeadDamaged`] when a key is missing to compare them.
    pub(crate) fn check(&self, head: &Head, proofs: &Proofs) -> Result<()> {
        let floor = *self;
        let rewound = |epoch, committed| Err(Error::rewound(proofs.head_key(), floor, epoch, committed));
        let committed = head.committed();
        if head.epoch() < self.epoch || committed.sequence < self.sequence {
            return rewound(head.epoch(), committed);
        }
        let later = head.epochs().iter().find(|row| self.epoch > 0 && row.epoch > self.epoch);
        if let Some(row) = later.filter(|row| row.start_sequence < self.sequence) {
            return rewound(
                row.epoch,
                Committed::new(row.start_sequence, row.start_chain, committed.commit_ms),
            );
        }
        let starts = head.epochs().iter().map(|row| (row.start_sequence, row.start_chain));
        for (sequence, published) in starts.chain([(committed.sequence, committed.chain)]) {
            if sequence == self.sequence
                && proofs.agrees(&self.chain, &published, head.lineage(), sequence)? == Some(false)
            {
                let local = Box::new(self.shown(head.lineage(), &published, proofs));
                let published = Box::new(published);
                return Err(Error::Fork { sequence, local, published, common_through: 0 });
            }
        }
        Ok(())
    }

    /// The floor's chain as an error shows it.
    fn shown(&self, lineage: Lineage, published: &ChainValue, proofs: &Proofs) -> ChainValue {
        match self.chain.hash() {
            Some(chain_hash) => {
                let sequence = self.sequence;
                proofs.shown_like(published, &Position { lineage, sequence, chain_hash })
            }
            None => self.chain,
        }
    }
}

impl From<Position> for Floor {
    fn from(position: Position) -> Self {
        Self::new(0, position.sequence, position.chain_hash.into())
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} and sequence {}", self.epoch, self.sequence)
    }
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadPoll {
    /// The database does not exist yet: no head, and nothing that would need one.
    Missing,
    /// As at the last poll.
    NotModified,
    /// A new head.
    Changed(Arc<StoredHead>),
}

/// Reads the head of one database, over and over.
#[derive(Debug)]
pub struct HeadReader {
    remote: Remote,
    head_key: Key,
    identity: Option<Identity>,
    lineage: Option<Lineage>,
    floor: Option<Floor>,
    current: Option<Arc<StoredHead>>,
}

impl HeadReader {
    /// How many segments of one level a plan looks at, unless that finds nothing.
    const LISTED_MAX: usize = 4096;

    /// A reader that has seen nothing. The first head that it reads sets the identity; later ones must keep it.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], which a constructed remote does not meet.
    pub fn new(remote: Remote) -> Result<Self> {
        let head_key = remote.head_key()?;
        Ok(Self { remote, head_key, identity: None, lineage: None, floor: None, current: None })
    }

    /// A reader that has just read this head.
    pub(crate) fn at(remote: Remote, stored: StoredHead) -> Result<Self> {
        let identity = Identity::new(stored.head.database_id(), stored.head.lineage());
        let mut reader = Self::new(remote)?.with_identity(identity);
        reader.floor = Some(Floor::of(&stored.head));
        reader.current = Some(Arc::new(stored));
        Ok(reader)
    }

    /// Accepts heads of this database and lineage only.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Accepts heads of this lineage only, whatever the database's id.
    #[must_use]
    pub fn with_lineage(mut self, lineage: Lineage) -> Self {
        self.lineage = Some(lineage);
        self
    }

    /// Refuses heads below this.
    #[must_use]
    pub fn with_floor(mut self, floor: Floor) -> Self {
        self.floor = Some(floor);
        self
    }

    /// The database.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The newest head that was read.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<StoredHead>> {
        self.current.as_ref()
    }

    /// What the reader has seen: the floor it was given, raised by every head. A follower keeps it beside its position.
    #[must_use]
    pub fn floor(&self) -> Option<Floor> {
        self.floor
    }

    /// Reads the head if it has changed.
    ///
    /// # Errors
    /// [`Error::HeadMissing`] when there was a head, or there are objects that need one; [`Error::Rewound`],
    /// [`Error::Fork`] against the floor; [`Error::OtherDatabase`], [`Error::OtherLineage`]; [`Error::HeadDamaged`];
    /// [`Error::Storage`]. The reader stays as it was.
    pub async fn poll(&mut self) -> Result<HeadPoll> {
        let version = self.current.as_ref().map(|stored| &stored.version);
        let stored = match self.remote.read_head(version).await? {
            HeadRead::NotModified => return Ok(HeadPoll::NotModified),
            HeadRead::Found(stored) => stored,
            HeadRead::Missing => match self.missing().await? {
                Some(stored) => stored,
                None => return Ok(HeadPoll::Missing),
            },
        };
        self.check(&stored.head)?;
        let (head, stored) = (&stored.head, Arc::new((*stored).clone()));
        self.identity = Some(Identity::new(head.database_id(), head.lineage()));
        self.floor = Some(Floor::of(head));
        self.current = Some(Arc::clone(&stored));
        Ok(HeadPoll::Changed(stored))
    }

    /// No head: a new database, or a lost head. The head is read once more in case it was just created.
    async fn missing(&self) -> Result<Option<Box<StoredHead>>> {
        let evidence = if self.floor.is_some_and(|floor| floor.sequence > 0) || self.current.is_some() {
            None
        } else {
            match self.remote.evidence().await? {
                None => return Ok(None),
                found => found,
            }
        };
        match self.remote.read_head(None).await? {
            HeadRead::Found(stored) => Ok(Some(stored)),
            HeadRead::Missing | HeadRead::NotModified => {
                Err(Error::HeadMissing { key: self.head_key.clone(), evidence })
            }
        }
    }

    fn check(&self, head: &Head) -> Result<()> {
        if let Some(expected) = self.lineage.filter(|lineage| *lineage != head.lineage()) {
            let (key, found) = (self.head_key.clone(), head.lineage());
            return Err(Error::OtherLineage { key, expected, found });
        }
        if let Some(identity) = &self.identity {
            self.remote.check_identity(head, identity)?;
        }
        if let Some(floor) = &self.floor {
            floor.check(head, self.remote.proofs())?;
        }
        // Within an epoch the revision counts heads: an older one shows even when it committed just as much.
        if let Some(seen) = self.current.as_ref().map(|stored| &stored.head)
            && (head.epoch(), head.revision()) < (seen.epoch(), seen.revision())
        {
            return Err(Error::rewound(&self.head_key, Floor::of(seen), head.epoch(), head.committed()));
        }
        Ok(())
    }

    /// Which objects hold the entries from `from + 1` to what is committed. The head's window answers without a request if
    /// it reaches back so far; otherwise the levels are listed in ascending order.
    ///
    /// `missing` names segments of an earlier plan that answered 404 (compacted away, say): they are not planned again. The
    /// plan may be under a newer head than the current one, which then becomes current.
    ///
    /// # Errors
    /// [`Error::Gap`] when entries are nowhere and the head stands unchanged; [`Error::Rewound`] when `from` is beyond what
    /// is committed; what [`poll`](Self::poll) fails with.
    pub async fn resolve(&mut self, from: u64, missing: &[SegmentName]) -> Result<Plan> {
        if self.current.is_none() {
            self.poll().await?;
        }
        for _ in 0..Remote::ATTEMPTS {
            let Some(stored) = self.current.clone() else {
                return Err(Error::HeadMissing { key: self.head_key.clone(), evidence: None });
            };
            let head = &stored.head;
            let committed = head.committed();
            if from > committed.sequence {
                let floor = Floor::new(0, from, ChainHash::ZERO.into());
                return Err(Error::rewound(&self.head_key, floor, head.epoch(), committed));
            }
            let window = from_window(head, from)
                .filter(|plan| plan.iter().all(|segment| !missing.contains(&segment.name)));
            if from == committed.sequence || window.is_some() {
                let segments = window.unwrap_or_default();
                return Ok(Plan { head: stored, from, segments, reaches: committed.sequence });
            }
            let (cover, next_first) = self.list_cover(head, from, missing).await?;
            if let Some(last) = cover.last() {
                let reaches = last.name.last();
                return Ok(Plan { head: stored, from, segments: cover, reaches });
            }
            // The listing may have run beside a compactor that works under a newer head than ours.
            if self.poll().await? == HeadPoll::NotModified {
                return Err(Error::Gap {
                    database: self.remote.layout().database().to_string(),
                    first: from.saturating_add(1),
                    last: next_first.map_or(committed.sequence, |next| next.saturating_sub(1)),
                    committed: committed.sequence,
                });
            }
        }
        let (key, attempts) = (self.head_key.clone(), Remote::ATTEMPTS);
        Err(Error::Contended { attempt: Attempt::ReadHead, key, attempts })
    }

    /// Everything that is history and ends after `after`, as runs with holes between them; also what is nowhere else to be had
    /// because it was collected. The head that it is history under becomes the current one. Takes one listing of each level, and
    /// some 100 bytes of memory a segment.
    ///
    /// # Errors
    /// [`Error::HeadMissing`]; what [`poll`](Self::poll) fails with.
    pub async fn history(
        &mut self,
        after: u64,
        missing: &[SegmentName],
    ) -> Result<(Arc<StoredHead>, Vec<Run>)> {
        self.poll().await?;
        for _ in 0..Remote::ATTEMPTS {
            let Some(stored) = self.current.clone() else {
                return Err(Error::HeadMissing { key: self.head_key.clone(), evidence: None });
            };
            let (history, _) = self.list_history(&stored.head, after, missing, usize::MAX).await?;
            let runs = runs(history);
            let whole = match runs.as_slice() {
                [] => stored.head.committed().sequence <= after,
                [run] => run.first <= after.saturating_add(1) && run.last >= stored.head.committed().sequence,
                _ => false,
            };
            // A hole is one only if the head stands: it may have been filled by what the next head names.
            if whole || matches!(self.poll().await?, HeadPoll::NotModified) {
                return Ok((stored, runs));
            }
        }
        let (key, attempts) = (self.head_key.clone(), Remote::ATTEMPTS);
        Err(Error::Contended { attempt: Attempt::ReadHead, key, attempts })
    }

    /// Lists and covers; also where the next history begins if nothing holds `from + 1`.
    async fn list_cover(
        &self,
        head: &Head,
        from: u64,
        missing: &[SegmentName],
    ) -> Result<(Vec<PlannedSegment>, Option<u64>)> {
        let mut limit = Self::LISTED_MAX;
        loop {
            let (history, truncated) = self.list_history(head, from, missing, limit).await?;
            let cover = cover(from, history);
            if !truncated || cover.reaches > from {
                return Ok((cover.segments, cover.next_first));
            }
            limit = limit.saturating_mul(8);
        }
    }

    /// History that ends after `from`, of all levels in ascending order: a compactor writes the higher level before it
    /// deletes the lower, so nothing can slip from a level not yet listed into one that already was. At most `limit` segments
    /// per level, and whether that cut any short.
    async fn list_history(
        &self,
        head: &Head,
        from: u64,
        missing: &[SegmentName],
        limit: usize,
    ) -> Result<(Vec<PlannedSegment>, bool)> {
        let rule = HistoryRule::of(head);
        let mut history = Vec::new();
        let mut truncated = false;
        for level in 0..=LEVEL_MAX {
            let prefix = self.remote.layout().prefix(&SegmentName::level_prefix(level));
            let after = self.remote.layout().prefix(&SegmentName::start_after(level, from));
            let request = ListRequest::new(prefix.as_str()).with_start_after(after);
            let mut lister = Lister::new(&**self.remote.backend(), request);
            let mut taken = 0;
            'pages: while let Some(page) =
                lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))?
            {
                for object in page.objects {
                    let Some(ObjectName::Segment(name)) = self.remote.layout().parse(&object.key) else {
                        tracing::warn!(key = %object.key, "a key under seg/ that is not a segment");
                        continue;
                    };
                    // Names order by their last sequence: nothing behind this one is history either.
                    if name.last() > head.committed().sequence {
                        break 'pages;
                    }
                    if !rule.admits(&name) || missing.contains(&name) {
                        continue;
                    }
                    if taken == limit {
                        truncated = true;
                        break 'pages;
                    }
                    taken += 1;
                    let known = head.segments().iter().find(|row| row.name == name);
                    history.push(PlannedSegment::new(name, object.size, known.map(|row| row.sha256)));
                }
            }
        }
        Ok((history, truncated))
    }
}
