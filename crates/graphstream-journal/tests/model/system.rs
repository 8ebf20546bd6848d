//! The journal on the file system that crashes, and the vector beside it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use graphstream_journal::{
    Ack, Clock, Compression, Error, Journal, JournalDir, JournalOptions, QueuePolicy, RecoveryReport,
    Service, Ticket, WhenFull,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Image};

use super::actions::{Action, CURSORS, Setup};
use super::expected::Expected;
use super::reading::{Follower, chain_at, read_from};

pub(crate) const DIR: &str = "/journal";

/// A clock that stands still until it is set.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// See the module.
pub(crate) struct System {
    fs: CrashFs,
    options: JournalOptions,
    clock: Arc<SetClock>,
    journal: Option<Journal>,
    expected: Expected,
    /// Nobody has waited for these yet.
    tickets: Vec<(Ticket, RangeInclusive<u64>)>,
    follower: Follower,
    opened: u32,
}

impl System {
    pub(crate) fn new(setup: &Setup, service: Service) -> Self {
        let mut options = JournalOptions::default()
            .with_service(service)
            .with_segment_bytes_max(1024)
            .with_sync_policy(setup.sync_policy)
            .with_queue_bytes_max(setup.queue_bytes_max)
            .with_queue_policy(if setup.queue_fails { QueuePolicy::Fail } else { QueuePolicy::Block })
            .with_waiting_segments_max(setup.waiting_segments_max)
            .with_compression(Compression::None)
            .with_when_full(WhenFull::Fail);
        options.held_bytes_max = setup.held_bytes_max;
        let fs = CrashFs::new();
        let mut system = Self {
            follower: Follower::default(),
            fs,
            options,
            clock: Arc::new(SetClock(AtomicI64::new(5_000))),
            journal: None,
            expected: Expected::default(),
            tickets: Vec::new(),
            opened: 0,
        };
        let report = system.start(0);
        assert!(report.created && report.is_clean());
        system
    }

    pub(crate) fn act(&mut self, action: &Action) {
        match action {
            Action::Append { bytes, commit_ms, wait } => self.append(&[*bytes], *commit_ms, *wait, false),
            Action::Batch { sizes, wait } => self.append(sizes, None, *wait, true),
            Action::Sync => {
                let position = self.journal().sync().unwrap();
                assert_eq!(position.sequence, self.expected.len() as u64);
                assert_eq!(position.chain_hash, self.expected.chain_at(self.expected.len()));
                self.everything_is(Ack::Synced);
            }
            Action::Seal => self.seal(),
            Action::Reopen => {
                let report = self.journal().close().unwrap();
                assert_eq!(report.position.sequence, self.expected.len() as u64);
                self.everything_is(Ack::Synced);
                self.settle_tickets();
                assert!(matches!(self.journal().append(b"late"), Err(Error::Closed)));
                self.journal = None;
                let report = self.start(self.expected.len());
                assert!(report.is_clean() && !report.created, "{report:?}");
            }
            Action::Drop => {
                // A ticket keeps no journal open.
                self.journal = None;
                self.start(self.expected.len());
                self.settle_tickets();
            }
            Action::Kill => self.boot(self.fs.after_kill(), self.expected.written),
            Action::PowerCut { image, seed } => {
                let mut crashes = Crashes::of(&self.fs);
                let images = crashes.at(crashes.boundaries() - 1, 3, *seed);
                self.boot(images[image.index(images.len())].boot(), self.expected.synced);
            }
            Action::KillThenPowerCut { boundary, image } => {
                let image = self.cut_in_recovery(boundary, image);
                self.boot(image.boot(), self.expected.written);
            }
            Action::Read { from } => {
                let from = from.index(self.expected.len() + 3);
                read_from(&self.fs, from, self.is_inline(), &mut self.expected);
            }
            Action::Follow => self.follower.catch_up(&self.fs, self.options.service, &mut self.expected),
            Action::ChainAt(at) => {
                chain_at(&self.dir(), at.index(self.expected.written + 2), self.is_inline(), &self.expected);
            }
            Action::SetCursor { name, at } => {
                // Who needs what is gone comes too late: nobody waits for him.
                let sequence = at.index(self.expected.synced + 1).max(self.expected.released);
                self.dir().set_cursor(CURSORS[*name], sequence as u64, 0).unwrap();
                self.expected.cursors.insert(CURSORS[*name], sequence);
            }
            Action::RemoveCursor { name } => {
                self.dir().remove_cursor(CURSORS[*name]).unwrap();
                if self.expected.cursors.remove(CURSORS[*name]).is_some() {
                    self.expected.removed_cursors.insert(CURSORS[*name]);
                }
            }
            Action::Release => self.release(),
            Action::LookAtCursors => self.look_at_cursors(),
            Action::Clock { ms } => self.clock.0.store(*ms, Ordering::SeqCst),
            Action::RaiseFloor { ms } => {
                self.journal().raise_commit_floor(*ms);
                self.expected.floor_ms = self.expected.floor_ms.max(Some(*ms));
            }
        }
        self.observe();
    }

    /// The order of the positions, and their hashes.
    pub(crate) fn check(&self) {
        let positions = self.journal().positions();
        let [written, synced, sealed] =
            [positions.written, positions.synced, positions.sealed].map(|position| {
                assert_eq!(position.lineage, self.journal().lineage());
                let sequence = usize::try_from(position.sequence).unwrap();
                assert_eq!(position.chain_hash, self.expected.chain_at(sequence), "chain after {sequence}");
                sequence
            });
        assert!(written >= synced && synced >= sealed, "{positions:?}");
        assert!(
            written >= self.expected.written && synced >= self.expected.synced,
            "{positions:?} went back"
        );
    }

    /// Whatever happened, everything is there at the end.
    pub(crate) fn finish(mut self) {
        self.journal().close().unwrap();
        self.everything_is(Ack::Synced);
        self.settle_tickets();
        read_from(&self.fs, 0, true, &mut self.expected);
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn dir(&self) -> JournalDir {
        self.journal().dir().clone()
    }

    fn is_inline(&self) -> bool {
        self.options.service == Service::Inline
    }

    /// Where nobody else writes, entries are written with this time.
    fn now_ms(&self) -> Option<i64> {
        self.is_inline().then(|| self.clock.now_ms())
    }

    fn observe(&mut self) {
        let positions = self.journal().positions();
        let now_ms = self.now_ms();
        self.expected.saw_written(usize::try_from(positions.written.sequence).unwrap(), now_ms);
        self.expected.synced = self.expected.synced.max(usize::try_from(positions.synced.sequence).unwrap());
    }

    /// Everything accepted has this acknowledgement.
    fn everything_is(&mut self, ack: Ack) {
        let now_ms = self.now_ms();
        self.expected.saw_written(self.expected.len(), now_ms);
        if ack == Ack::Synced {
            self.expected.synced = self.expected.len();
        }
    }

    /// Opens the journal, which must hold at least so much.
    fn start(&mut self, least: usize) -> RecoveryReport {
        self.opened += 1;
        let (journal, report) = Journal::builder(DIR)
            .options(self.options.clone())
            .fs(Arc::new(self.fs.clone()))
            .clock(self.clock.clone())
            .entropy(Arc::new(CountingEntropy::seeded(self.opened)))
            .open()
            .unwrap();
        self.journal = Some(journal);
        // A dropped handle has written what was queued, with the clock as it stands.
        let now_ms = self.now_ms();
        self.expected.saw_written(least.max(self.expected.written.min(self.expected.len())), now_ms);
        let found = usize::try_from(report.position.sequence).unwrap();
        self.expected.restarted(found, least);
        assert_eq!(report.position.chain_hash, self.expected.chain_at(found));
        match self.expected.entries.last_mut() {
            None => assert_eq!(report.last_commit_ms, i64::MIN),
            Some(last) => {
                let expected = *last.commit_ms.get_or_insert(report.last_commit_ms);
                assert_eq!(report.last_commit_ms, expected);
            }
        }
        report
    }

    /// Goes on with another disk.
    fn boot(&mut self, fs: CrashFs, least: usize) {
        self.tickets.clear();
        self.follower = Follower::default();
        // On its own disk, which nobody looks at any more.
        self.journal = None;
        self.fs = fs;
        self.expected.written = least;
        self.start(least);
        let found = self.dir().cursors().unwrap();
        for (name, sequence) in &self.expected.cursors {
            let cursor = found.iter().find(|cursor| cursor.name == *name);
            assert_eq!(cursor.map(|cursor| cursor.sequence), Some(*sequence as u64), "cursor {name}");
        }
        for cursor in found {
            let name = *CURSORS.iter().find(|name| **name == cursor.name).unwrap();
            let sequence = usize::try_from(cursor.sequence).unwrap();
            if !self.expected.cursors.contains_key(name) {
                assert!(self.expected.removed_cursors.contains(name), "cursor {name} was never set");
                self.expected.cursors.insert(name, sequence);
            }
        }
        self.expected.removed_cursors.clear();
    }

    /// Somebody else opens what a kill left, and the power is cut while recovery runs or right after it.
    fn cut_in_recovery(&self, boundary: &proptest::sample::Index, image: &proptest::sample::Index) -> Image {
        let fs = self.fs.after_kill();
        let opened = Journal::builder(DIR)
            .options(self.options.clone())
            .fs(Arc::new(fs.clone()))
            .entropy(Arc::new(CountingEntropy::seeded(u32::MAX)))
            .open()
            .unwrap();
        let mut crashes = Crashes::of(&fs);
        drop(opened);
        let images = crashes.at(boundary.index(crashes.boundaries()), 3, 7);
        images[image.index(images.len())].clone()
    }

    fn append(&mut self, sizes: &[usize], commit_ms: Option<i64>, wait: Option<Ack>, batch: bool) {
        let before = self.expected.len();
        let payloads: Vec<Vec<u8>> = sizes
            .iter()
            .enumerate()
            .map(|(place, bytes)| (0..*bytes).map(|byte| (byte * 7 + before + place) as u8).collect())
            .collect();
        let accepted = match (batch, commit_ms) {
            (true, _) => self.journal().append_batch(&payloads),
            (false, None) => self.journal().append(&payloads[0]),
            (false, Some(commit_ms)) => self.journal().append_at(&payloads[0], commit_ms),
        };
        let ticket = match accepted {
            Ok(ticket) => ticket,
            Err(Error::QueueFull { queued, .. })
                if self.options.queue_policy == QueuePolicy::Fail && queued > 0 =>
            {
                assert!(!self.is_inline() || self.expected.written < before, "an empty queue is full");
                return;
            }
            Err(Error::BudgetFull { held, max, .. }) => {
                assert!(held >= max && self.options.held_bytes_max == Some(max), "{held} of {max}");
                return;
            }
            Err(error) => panic!("{error:?}"),
        };
        self.expected.accept(&payloads, commit_ms);
        let sequences = before as u64 + 1..=self.expected.len() as u64;
        match wait {
            Some(ack) => {
                assert_eq!(ticket.wait(ack).unwrap(), sequences);
                self.everything_is(ack);
                assert_eq!(ticket.sequences(), Some(sequences));
            }
            // Half of them are dropped: that changes nothing.
            None if before.is_multiple_of(2) => self.tickets.push((ticket, sequences)),
            None => {}
        }
    }

    fn seal(&mut self) {
        let newest = self.journal().seal().unwrap();
        self.everything_is(Ack::Synced);
        let last = self.expected.len();
        assert_eq!(self.journal().positions().sealed.sequence, last as u64);
        assert_eq!(newest.is_none(), last == 0);
        if let Some(newest) = newest {
            assert_eq!(newest.last_sequence, last as u64);
            assert_eq!(newest.chain_hash, self.expected.chain_at(last));
            let commit_ms = self.expected.entries[last - 1].commit_ms.get_or_insert(newest.last_commit_ms);
            assert_eq!(newest.last_commit_ms, *commit_ms);
        }
    }

    /// What the journal knows is what the directory holds, and decides whether anything may be appended.
    fn look_at_cursors(&self) {
        self.journal().look_at_cursors().unwrap();
        let (held, found) = (self.journal().held(), self.dir().held().unwrap());
        assert_eq!(held.is_some(), self.options.held_bytes_max.is_some());
        let Some(held) = held else { return };
        assert_eq!(held.cursor, found.cursor);
        assert_eq!(held.cursor.map(|cursor| cursor.sequence), self.expected.passed().map(|at| at as u64));
        if self.is_inline() {
            assert_eq!((held.bytes, held.segments), (found.bytes, found.segments));
            let full = found.cursor.is_some() && Some(found.bytes) >= self.options.held_bytes_max;
            assert_eq!(self.journal().check_room().is_err(), full);
        }
    }

    fn release(&mut self) {
        let passed = self.expected.passed();
        let segments = self.dir().segments().unwrap();
        // Oldest first, never the newest sealed one.
        let sealed: Vec<u64> = segments
            .iter()
            .filter(|segment| segment.is_sealed())
            .map(|segment| segment.header.last_seq)
            .collect();
        let may_go = sealed[..sealed.len().saturating_sub(1)]
            .iter()
            .filter(|last| passed.is_some_and(|passed| **last <= passed as u64))
            .count();
        let removed = self.dir().remove_released().unwrap();
        // The pool may have sealed one meanwhile.
        assert!(
            removed == may_go || !self.is_inline() && removed > may_go,
            "{removed} removed, not {may_go}"
        );
        if let Some(first) = self.dir().segment_sequences().unwrap().first() {
            let released = usize::try_from(first - 1).unwrap();
            assert!(released >= self.expected.released, "released entries came back");
            assert!(
                released == self.expected.released || Some(released) <= passed,
                "{released} of {passed:?}"
            );
            self.expected.released = released;
        }
    }

    /// What nobody waited for was acknowledged all the same, also by a journal that is closed.
    fn settle_tickets(&mut self) {
        for (ticket, sequences) in self.tickets.drain(..) {
            assert_eq!(ticket.wait(Ack::Synced).unwrap(), sequences);
            assert_eq!(ticket.sequences(), Some(sequences));
        }
    }
}
