//! A machine's disk, and what must be on it after whatever happens to it.

use std::sync::Arc;

use graphstream_journal::{Error, ErrorKind, Journal, JournalDir, ReaderOptions};
use graphstream_proto::JournalEntry;
use graphstream_testkit::{CrashFs, Crashes, Persisted};

use super::chance::Chance;
use super::store::Store;
use super::truth::number;

/// Where journals are.
pub const DIR: &str = "/journal";

/// What is known of an entry on this disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub number: u64,
    pub ack: Option<Acked>,
    /// The next entry is of the same batch.
    pub more: bool,
}

/// As what it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acked {
    /// *Written*.
    Written,
    /// *Written*, and the process was killed since, but the machine has had power.
    InTheSystem,
    /// *Synced*.
    Synced,
}

/// A disk, and what was appended to the journal on it, in order.
#[derive(Debug, Clone)]
pub struct Disk {
    pub fs: CrashFs,
    /// There is a journal on it.
    pub ready: bool,
    /// The last sequence before what is expected.
    pub base: u64,
    pub entries: Vec<Expected>,
    /// A leader that was to go on from the head by itself began on it without a segment, and may have come so far: it stands where it stood,
    /// or right behind something committed.
    pub moves: bool,
}

impl Disk {
    pub fn new() -> Self {
        Self { fs: CrashFs::new(), ready: false, base: 0, entries: Vec::new(), moves: false }
    }

    /// The same disk, on its own.
    pub fn image(&self) -> Self {
        Self { fs: self.fs.copy(), ..self.clone() }
    }

    /// The process was killed: what the operating system has stays.
    pub fn kill(&mut self) {
        self.fs = self.fs.copy();
        for entry in &mut self.entries {
            entry.ack = entry.ack.map(|ack| ack.max(Acked::InTheSystem));
        }
    }

    /// The power was cut, at some moment since its process was last heard of.
    pub fn cut_power(&mut self, heard: usize, chance: &Chance) {
        let now = self.fs.effects();
        let heard = heard.min(now);
        let at = heard + usize::try_from(chance.below((now - heard + 1) as u64)).unwrap();
        let persisted = match chance.below(4) {
            0 => Persisted::Nothing,
            1 => Persisted::Prefix(usize::try_from(chance.below(8)).unwrap()),
            _ => Persisted::Bits(chance.next()),
        };
        self.fs = Crashes::of(&self.fs).boot(at, persisted);
        for entry in &mut self.entries {
            entry.ack = entry.ack.filter(|ack| *ack == Acked::Synced);
        }
    }

    /// There is a journal on it now, of which nothing up to `base` was appended here.
    pub fn begin(&mut self, base: u64) {
        (self.ready, self.base, self.entries, self.moves) = (true, base, Vec::new(), false);
    }

    /// Whether a leader may go on from the head by itself on it: there is no segment, though there may have been some that were committed and
    /// removed.
    pub fn has_no_segment(&self) -> bool {
        JournalDir::open_on(DIR, Arc::new(self.fs.clone()))
            .and_then(|dir| dir.segment_sequences())
            .map_or(true, |sequences| sequences.is_empty())
    }

    pub fn sequence(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The last sequence that must be there.
    pub fn certain(&self) -> u64 {
        let certain = |entry: &Expected| entry.ack >= Some(Acked::InTheSystem);
        self.base + self.entries.iter().rposition(certain).map_or(0, |at| at + 1) as u64
    }

    /// All that was appended so far is *synced*.
    pub fn synced(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.ack = Some(Acked::Synced));
    }

    /// Promise 2: what a recovered journal holds is a prefix of what was appended, with all that was acknowledged and no batch in parts.
    pub fn check(&mut self, who: &str, store: &Store, journal: &Journal) {
        let positions = journal.positions();
        // A failure that was meant for the leader is not for us.
        self.fs.heal();
        let found = match read(journal.dir()) {
            Ok(found) => found,
            Err(error) => {
                return store.trace.broken(format_args!("promise 4: {who} can't read its journal: {error}"));
            }
        };
        let broken =
            |what: std::fmt::Arguments<'_>| store.trace.broken(format_args!("promise 2: {who} {what}"));
        let end = positions.written.sequence;
        if positions.synced != positions.written || positions.sealed != positions.written {
            broken(format_args!("begins with {positions:?}"));
        }
        // What may have gone from the disk is committed.
        let (first, committed) = (found.first().map_or(end + 1, |row| row.0), store.truth().end());
        if first > committed + 1 || found.last().is_some_and(|row| row.0 != end) {
            broken(format_args!("has {first} to {end}, committed are {committed}"));
        }
        if self.moves && (!self.ready || end > self.sequence()) {
            if store.truth().chain_at(end) != Some(positions.written.chain_hash) || !found.is_empty() {
                broken(format_args!("goes on from {end}, which is not the head's"));
            }
            self.begin(end);
            store.tally.hit("machine: goes on from the head");
            store.trace.note(format_args!("{who} goes on from the head, after {end}"));
            return;
        }
        self.moves = false;
        if end < self.certain() || end > self.sequence() {
            let (certain, appended) = (self.certain(), self.sequence());
            broken(format_args!("recovered to {end}, acknowledged were {certain}, appended {appended}"));
            return;
        }
        if end < self.sequence() {
            store.tally.hit("machine: lost what was not acknowledged");
        }
        if end > self.base && self.entries[usize::try_from(end - self.base - 1).unwrap()].more {
            broken(format_args!("recovered to {end}, in the middle of a batch"));
        }
        for (sequence, number) in found {
            // What is at or below the base came from elsewhere.
            let Some(at) = sequence.checked_sub(self.base + 1) else { continue };
            let expected = self.entries.get(usize::try_from(at).unwrap()).map(|entry| entry.number);
            if expected != Some(number) {
                broken(format_args!("found {number} at {sequence}, appended was {expected:?}"));
            }
        }
        self.truncate(end);
        // What recovery found and sealed is synced.
        self.synced();
    }

    /// Entries beyond `sequence` are gone for good.
    pub fn truncate(&mut self, sequence: u64) {
        let keep = usize::try_from(sequence.saturating_sub(self.base)).unwrap();
        self.entries.truncate(keep);
    }

    /// The sequences and numbers of the entries.
    pub fn numbers(&self) -> Vec<(u64, u64)> {
        (self.base + 1..).zip(self.entries.iter().map(|entry| entry.number)).collect()
    }

    /// Whether something here is not what is committed there.
    pub fn forks(&self, store: &Store) -> bool {
        let truth = store.truth();
        let differs = |(sequence, number)| truth.number_at(sequence).is_some_and(|other| other != number);
        self.numbers().into_iter().any(differs)
    }
}

/// Sequences and numbers.
pub fn read(dir: &JournalDir) -> graphstream_journal::Result<Vec<(u64, u64)>> {
    dir.reader(ReaderOptions::default())?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.sequence, number(&JournalEntry::decode(&entry.payload, entry.sequence).unwrap())))
        })
        .collect()
}

/// Whether entries whose ticket failed so were definitely not written.
pub fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Full { .. } | Error::SealBacklog { .. } | Error::Poisoned { .. } => true,
        Error::Shared(inner) => inner.kind() == ErrorKind::Unavailable,
        _ => false,
    }
}
