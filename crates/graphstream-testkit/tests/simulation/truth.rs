//! What nobody in the simulation sees: the truth, and what must hold after each change of the store.
//!
//! - what was committed stays committed, in every later head (I1), and all that was told *stored* with it (I3);
//! - every object that the history rule admits holds committed entries (I2a), and all committed entries are held (I6);
//! - what was told `Fenced` never becomes history (I2b), and what a fenced leader keeps is history; only a rival fences (I5);
//! - nothing is committed that nobody appended, or twice, or that an append definitely refused (promise 2);
//! - segments and epoch objects are never changed, and no segment stands before its epoch's object;
//! - a head follows the one before: `head_follows`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use graphstream_format::{ChainHash, Entry, SegmentReader};
use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_remote::{Committed, Fenced, Head, HistoryRule, Layout, ObjectName, OwnerNonce};
use graphstream_storage::{Bytes, Key};

use super::counts::Tally;
use super::head_follows::head_follows;
use super::keys::{keys, publishes, read_options};
use super::trace::Trace;

/// What is known of an entry, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was appended, or may have been.
    Offered,
    /// Its append was refused for good.
    Refused,
    /// Its leader told that it is not part of the history.
    Fenced,
}

/// A committed entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub number: u64,
    /// After it.
    pub chain_hash: ChainHash,
    pub commit_ms: i64,
}

#[derive(Debug)]
pub struct Truth {
    trace: Arc<Trace>,
    tally: Tally,
    layout: Layout,
    /// The longest committed history.
    pub committed: Vec<Row>,
    fates: HashMap<u64, Fate>,
    /// The last number that was given to an entry.
    offered: u64,
    /// Numbers in the history: nothing comes twice.
    seen: BTreeSet<u64>,
    /// Segments that are not known to be history, by key.
    unproven: BTreeSet<Key>,
    /// Who claimed which epoch.
    owners: BTreeMap<u32, OwnerNonce>,
    /// The newest one, whatever stands in the store meanwhile.
    head: Option<Head>,
}

pub fn number(entry: &JournalEntry) -> u64 {
    match entry.params.first() {
        Some((_, ParamValue::Int64(number))) => u64::try_from(*number).unwrap(),
        other => panic!("not an entry of the simulation: {other:?}"),
    }
}

impl Truth {
    pub fn new(trace: Arc<Trace>, tally: Tally, layout: Layout) -> Self {
        Self {
            trace,
            tally,
            layout,
            committed: Vec::new(),
            fates: HashMap::new(),
            offered: 0,
            seen: BTreeSet::new(),
            unproven: BTreeSet::new(),
            owners: BTreeMap::new(),
            head: None,
        }
    }

    /// An entry is about to be appended; its number.
    pub fn offer(&mut self) -> u64 {
        self.tally.hit("entry: offered");
        self.offered += 1;
        self.fates.insert(self.offered, Fate::Offered);
        self.offered
    }

    pub fn refuse(&mut self, number: u64) {
        self.tally.hit("entry: refused");
        self.fates.insert(number, Fate::Refused);
    }

    /// An old image of a disk brings back what was on it, whatever was told since.
    pub fn bring_back(&mut self, number: u64) {
        if self.fates.get(&number) == Some(&Fate::Fenced) {
            self.fates.insert(number, Fate::Offered);
        }
    }

    /// Whether the database exists.
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Which segments are history.
    pub fn rule(&self) -> Option<HistoryRule<'_>> {
        self.head.as_ref().filter(|head| head.epoch() > 0).map(HistoryRule::of)
    }

    /// How much is committed.
    pub fn end(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The number of a committed entry.
    pub fn number_at(&self, sequence: u64) -> Option<u64> {
        let at = usize::try_from(sequence).unwrap().checked_sub(1)?;
        self.committed.get(at).map(|row| row.number)
    }

    /// The chain hash after a committed entry.
    pub fn chain_at(&self, sequence: u64) -> Option<ChainHash> {
        match usize::try_from(sequence).unwrap().checked_sub(1) {
            None => Some(ChainHash::ZERO),
            Some(at) => self.committed.get(at).map(|row| row.chain_hash),
        }
    }

    /// A leader told that so much is committed.
    pub fn told_committed(&self, who: &str, told: &Committed) {
        if !publishes(&told.chain, told.sequence, self.chain_at(told.sequence)) {
            self.trace.broken(format_args!("I3: {who} told {told:?}, committed are {}", self.end()));
        }
    }

    /// A leader told somebody that this entry is stored.
    pub fn told_stored(&self, who: &str, sequence: u64, number: u64) {
        if self.number_at(sequence) != Some(number) {
            self.trace
                .broken(format_args!("I3: {who} told entry {sequence} ({number}) stored, and it is not"));
        }
        self.tally.hit("entry: told stored");
    }

    /// A leader was told that another one took over.
    pub fn told_fenced(&mut self, who: &str, fenced: &Fenced, kept: &[(u64, u64)], lost: &[u64]) {
        let Fenced { epoch, by_epoch, by_owner, .. } = *fenced;
        if by_epoch <= epoch || self.owners.get(&by_epoch) != Some(&by_owner) {
            self.trace.broken(format_args!("I5: {who}: nobody claimed so: {fenced}"));
        }
        for &(sequence, number) in kept {
            self.told_stored(who, sequence, number);
        }
        for &number in lost {
            if self.seen.contains(&number) {
                self.trace.broken(format_args!("I2b: {who} told {number} fenced, and it is committed"));
            }
            self.tally.hit("entry: told fenced");
            self.fates.insert(number, Fate::Fenced);
        }
    }

    /// What a follower or a database has must be the beginning of the history.
    pub fn applied(&self, who: &str, from: u64, numbers: &[u64], chain_hash: ChainHash) {
        let from = usize::try_from(from).unwrap();
        let expected = self.committed.get(from..from + numbers.len());
        let same = expected.is_some_and(|rows| {
            rows.iter().map(|row| row.number).eq(numbers.iter().copied())
                && rows.last().is_none_or(|row| row.chain_hash == chain_hash)
        });
        if !same {
            self.trace.broken(format_args!(
                "promises 5 and 6: {who} applied {numbers:?} after {from}, the history has {expected:?}"
            ));
        }
        self.tally.more("entry: applied", numbers.len() as u64);
    }

    /// After each change of the store, but of a head that is not the newest one's successor.
    pub fn changed(&mut self, objects: &BTreeMap<Key, Bytes>, key: &Key, before: Option<&Bytes>) {
        match self.layout.parse(key) {
            Some(ObjectName::Segment(name)) => {
                if before.is_some() {
                    self.trace.broken(format_args!("segment {key} was replaced"));
                }
                let epoch = self.layout.key(&ObjectName::Epoch(name.epoch())).unwrap();
                if !objects.contains_key(&epoch) {
                    self.trace.broken(format_args!("segment {key} stands before its epoch's object"));
                }
                if self.head.as_ref().is_some_and(|head| head.epoch() > name.epoch()) {
                    self.tally.hit("put seg: a zombie's, late");
                }
                self.unproven.insert(key.clone());
                self.prove(objects);
            }
            Some(ObjectName::Epoch(_)) if before.is_some() => {
                self.trace.broken(format_args!("{key} was replaced"));
            }
            Some(ObjectName::Head) => {
                let head = Head::parse(&objects[key], keys().as_deref()).unwrap();
                if let (Some(row), false) = (head.current_row(), self.owners.contains_key(&head.epoch())) {
                    self.owners.insert(row.epoch, row.owner);
                }
                let before = self.head.replace(head);
                self.prove(objects);
                let head = self.head.as_ref().unwrap();
                if let Err(what) = head_follows(before.as_ref(), head, self, &self.layout, objects) {
                    self.trace.broken(format_args!("the head, {what}: {head:?}"));
                }
            }
            _ => {}
        }
    }

    fn prove(&mut self, objects: &BTreeMap<Key, Bytes>) {
        let Some(head) = self.head.clone().filter(|head| head.epoch() > 0) else { return };
        let (rule, goal) = (HistoryRule::of(&head), head.committed());
        let before = self.end();
        if goal.sequence < before {
            self.trace.broken(format_args!("I1: committed went from {before} back to {}", goal.sequence));
            return;
        }
        for key in self.unproven.clone() {
            let Some(ObjectName::Segment(name)) = self.layout.parse(&key) else { continue };
            if !rule.admits(&name) {
                continue;
            }
            for entry in entries(&objects[&key]) {
                self.admit(&key, &entry);
            }
            self.unproven.remove(&key);
        }
        if goal.sequence != self.end() {
            let held = self.end();
            self.trace
                .broken(format_args!("I6: {} are committed, admitted objects hold {held}", goal.sequence));
        }
        let (end, ms) =
            self.committed.last().map_or((ChainHash::ZERO, 0), |row| (row.chain_hash, row.commit_ms));
        if !publishes(&goal.chain, goal.sequence, Some(end)) || ms != goal.commit_ms {
            self.trace
                .broken(format_args!("I1: the history ends with {end} at {ms}, the head says {goal:?}"));
        }
        if goal.sequence > before {
            self.tally.more("entry: committed", goal.sequence - before);
            self.trace.note(format_args!("committed {} in epoch {}", goal.sequence, head.epoch()));
        }
    }

    /// An entry in an object that the history rule admits.
    fn admit(&mut self, key: &Key, entry: &Entry) {
        let at = usize::try_from(entry.sequence).unwrap() - 1;
        if let Some(row) = self.committed.get(at) {
            if row.chain_hash != entry.chain_hash {
                self.trace.broken(format_args!("I2a: {key} is admitted, and holds another entry {}", at + 1));
            }
            return;
        }
        let last = self.committed.last();
        let (before, ms) = last.map_or((ChainHash::ZERO, i64::MIN), |row| (row.chain_hash, row.commit_ms));
        if at != self.committed.len() || before.after(&entry.payload) != entry.chain_hash {
            self.trace.broken(format_args!("I1: {key} does not continue the history at {}", at + 1));
            return;
        }
        if entry.commit_ms < ms {
            self.trace.broken(format_args!("commit times go back at {}, from {ms}", at + 1));
        }
        let number = number(&JournalEntry::decode(&entry.payload, entry.sequence).unwrap());
        match self.fates.get(&number) {
            Some(Fate::Offered) => {}
            fate => {
                self.trace.broken(format_args!("I2b: entry {} ({number}) is committed, but {fate:?}", at + 1))
            }
        }
        if !self.seen.insert(number) {
            self.trace.broken(format_args!("promise 2: {number} is in the history twice"));
        }
        self.committed.push(Row { number, chain_hash: entry.chain_hash, commit_ms: entry.commit_ms });
    }
}

/// The entries of a sealed segment, verified.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut reader = SegmentReader::new(bytes, bytes.len() as u64, read_options(bytes)).unwrap();
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        entries.push(entry.clone());
    }
    entries
}
