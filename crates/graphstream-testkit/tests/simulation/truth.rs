//! What nobody in the simulation sees: the truth, and what must hold after each change of the store.
//!
//! - what was committed stays committed, in every later head (I1), and all that was told *stored* with it (I3);
//! - every object that the history rule admits holds committed entries (I2a), and all committed entries are held (I6);
//! - what was told `Fenced` never becomes history (I2b);
//! - nothing is committed that nobody appended, or twice, or that an append definitely refused (promise 2);
//! - segments and epoch objects are never changed, and no segment stands before its epoch's object.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use graphstream_format::{ChainHash, Entry, ReadOptions, SegmentReader};
use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_remote::{DatabaseName, Head, HistoryRule, Layout, ObjectName};
use graphstream_storage::{Bytes, Key};

use super::DATABASE;
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

#[derive(Debug)]
pub struct Truth {
    trace: Arc<Trace>,
    layout: Layout,
    /// The longest committed history: number, and chain hash after it.
    pub committed: Vec<(u64, ChainHash)>,
    fates: HashMap<u64, Fate>,
    /// Numbers in the history: nothing comes twice.
    seen: BTreeSet<u64>,
    /// Segments that are not known to be history, by key.
    unproven: BTreeSet<Key>,
    /// As it stands in the store.
    head: Option<Head>,
    pub counts: Counts,
}

/// What was exercised: a simulation in which nothing happens must not pass.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub starts: u64,
    pub claims: u64,
    pub fences: u64,
    pub forks: u64,
    pub provisions: u64,
    pub continued: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub lost_disks: u64,
    pub old_disks: u64,
    pub disk_faults: u64,
    pub full_disks: u64,
    pub holds: u64,
    pub outages: u64,
    pub appended: u64,
    pub acked: u64,
    pub stored: u64,
    pub committed: u64,
    pub applied: u64,
    pub follower_restarts: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        let Self {
            starts,
            claims,
            fences,
            forks,
            provisions,
            continued,
            power_cuts,
            kills,
            lost_disks,
            old_disks,
            disk_faults,
            full_disks,
            holds,
            outages,
            appended,
            acked,
            stored,
            committed,
            applied,
            follower_restarts,
        } = other;
        for (mine, theirs) in [
            (&mut self.starts, starts),
            (&mut self.claims, claims),
            (&mut self.fences, fences),
            (&mut self.forks, forks),
            (&mut self.provisions, provisions),
            (&mut self.continued, continued),
            (&mut self.power_cuts, power_cuts),
            (&mut self.kills, kills),
            (&mut self.lost_disks, lost_disks),
            (&mut self.old_disks, old_disks),
            (&mut self.disk_faults, disk_faults),
            (&mut self.full_disks, full_disks),
            (&mut self.holds, holds),
            (&mut self.outages, outages),
            (&mut self.appended, appended),
            (&mut self.acked, acked),
            (&mut self.stored, stored),
            (&mut self.committed, committed),
            (&mut self.applied, applied),
            (&mut self.follower_restarts, follower_restarts),
        ] {
            *mine += theirs;
        }
    }
}

pub fn number(entry: &JournalEntry) -> u64 {
    match entry.params.first() {
        Some((_, ParamValue::Int64(number))) => u64::try_from(*number).unwrap(),
        other => panic!("not an entry of the simulation: {other:?}"),
    }
}

impl Truth {
    pub fn new(trace: Arc<Trace>) -> Self {
        Self {
            trace,
            layout: Layout::new("", DatabaseName::new(DATABASE).unwrap()).unwrap(),
            committed: Vec::new(),
            fates: HashMap::new(),
            seen: BTreeSet::new(),
            unproven: BTreeSet::new(),
            head: None,
            counts: Counts::default(),
        }
    }

    /// An entry is about to be appended; its number.
    pub fn offer(&mut self) -> u64 {
        self.counts.appended += 1;
        self.fates.insert(self.counts.appended, Fate::Offered);
        self.counts.appended
    }

    pub fn refuse(&mut self, number: u64) {
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

    /// The chain hash after a committed entry.
    pub fn chain_at(&self, sequence: u64) -> Option<ChainHash> {
        match usize::try_from(sequence).unwrap().checked_sub(1) {
            None => Some(ChainHash::ZERO),
            Some(at) => self.committed.get(at).map(|row| row.1),
        }
    }

    fn is_committed(&self, number: u64) -> bool {
        self.seen.contains(&number)
    }

    /// A leader told somebody that this entry is stored.
    pub fn told_stored(&mut self, who: &str, sequence: u64, number: u64) {
        let at = usize::try_from(sequence).unwrap() - 1;
        if self.committed.get(at).map(|row| row.0) != Some(number) {
            self.trace
                .broken(format_args!("I3: {who} told entry {sequence} ({number}) stored, and it is not"));
        }
        self.counts.stored += 1;
    }

    pub fn told_fenced(&mut self, who: &str, number: u64) {
        if self.is_committed(number) {
            self.trace.broken(format_args!("I2b: {who} told {number} fenced, and it is committed"));
        }
        self.fates.insert(number, Fate::Fenced);
    }

    /// What a follower or a database has must be the beginning of the history.
    pub fn applied(&mut self, who: &str, from: u64, numbers: &[u64], chain_hash: ChainHash) {
        let from = usize::try_from(from).unwrap();
        let expected = self.committed.get(from..from + numbers.len());
        let same = expected.is_some_and(|rows| {
            rows.iter().map(|row| row.0).eq(numbers.iter().copied())
                && rows.last().is_none_or(|row| row.1 == chain_hash)
        });
        if !same {
            self.trace.broken(format_args!(
                "promises 5 and 6: {who} applied {numbers:?} after {from}, the history has {expected:?}"
            ));
        }
        self.counts.applied += numbers.len() as u64;
    }

    /// After each change of the store.
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
                self.unproven.insert(key.clone());
                self.prove(objects);
            }
            Some(ObjectName::Epoch(_)) if before.is_some() => {
                self.trace.broken(format_args!("{key} was replaced"));
            }
            Some(ObjectName::Head) => {
                self.head = Some(Head::parse(&objects[key]).unwrap());
                self.prove(objects);
            }
            _ => {}
        }
    }

    fn prove(&mut self, objects: &BTreeMap<Key, Bytes>) {
        let Some(head) = self.head.clone().filter(|head| head.epoch() > 0) else { return };
        let (rule, goal) = (HistoryRule::of(&head), head.committed());
        if goal.sequence < self.committed.len() as u64 {
            let known = self.committed.len();
            self.trace.broken(format_args!("I1: committed went from {known} back to {}", goal.sequence));
            return;
        }
        // The new part of the history, from what the rule admits.
        let grows = goal.sequence > self.committed.len() as u64;
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
        if goal.sequence != self.committed.len() as u64 {
            let held = self.committed.len();
            self.trace
                .broken(format_args!("I6: {} are committed, admitted objects hold {held}", goal.sequence));
        }
        let end = self.committed.last().map_or(ChainHash::ZERO, |row| row.1);
        if end != goal.chain_hash {
            self.trace.broken(format_args!("I1: the history ends in another chain hash than the head's"));
        }
        if grows {
            self.counts.committed = goal.sequence;
            self.trace.note(format_args!("committed {} in epoch {}", goal.sequence, head.epoch()));
        }
    }

    /// An entry in an object that the history rule admits.
    fn admit(&mut self, key: &Key, entry: &Entry) {
        let at = usize::try_from(entry.sequence).unwrap() - 1;
        if let Some((_, chain_hash)) = self.committed.get(at) {
            if *chain_hash != entry.chain_hash {
                self.trace.broken(format_args!("I2a: {key} is admitted, and holds another entry {}", at + 1));
            }
            return;
        }
        let before = self.committed.last().map_or(ChainHash::ZERO, |row| row.1);
        if at != self.committed.len() || before.after(&entry.payload) != entry.chain_hash {
            self.trace.broken(format_args!("I1: {key} does not continue the history at {}", at + 1));
            return;
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
        self.committed.push((number, entry.chain_hash));
    }
}

/// The entries of a sealed segment, verified.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut reader = SegmentReader::new(bytes, bytes.len() as u64, ReadOptions::default()).unwrap();
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        entries.push(entry.clone());
    }
    entries
}
