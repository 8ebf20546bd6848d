//! What an application does with its leader, and what it looks at: positions, promises, the disk budget, and that everything gets on while
//! nothing fails.

use std::time::Duration;

use graphstream_journal::{Ack, Error as JournalError, ErrorKind as JournalKind, WhenFull};
use graphstream_proto::JournalEntry;
use graphstream_replication::{Error, Leader, OutageState};
use graphstream_testkit::CrashFs;
use tokio::time::{Instant, sleep, timeout};

use super::disk::{Acked, Expected, is_refusal};
use super::machine::{End, Life, Machine, SEGMENT_BYTES_MAX};
use super::progress::Progress;

/// So long after the last failure what is sealed is committed.
const STORED_WITHIN: Duration = Duration::from_secs(900);
/// What waits in the open segment takes longer: it is looked at every quarter of an hour at least.
const SEALED_WITHIN: Duration = Duration::from_secs(3600);

/// What becomes of an attempt to append.
type Appended = Result<(), JournalError>;

impl Machine {
    /// An application with little to say: it fences others, and leads.
    pub async fn watch(&self, leader: Leader, life: &Life) -> End {
        self.store.tally.hit("machine: quiet lives");
        loop {
            sleep(self.seconds(1, 60)).await;
            self.look(&leader, life);
            if !leader.is_shipping() {
                return self.why(leader, life, "shipping").await;
            }
        }
    }

    pub async fn lead(&self, leader: Leader, life: &Life) -> End {
        let fs = self.disk.lock().unwrap().fs.clone();
        let age = self.seconds(10, 90);
        let mut eager = true;
        let mut oldest = None;
        let mut full_until = None;
        let (mut sealed, mut written) = (Progress::new(STORED_WITHIN), Progress::new(SEALED_WITHIN));
        loop {
            // Busy minutes, quiet hours.
            if self.chance().per_mille(30) {
                eager = !eager;
            }
            sleep(self.seconds(1, if eager { 15 } else { 900 })).await;
            self.look(&leader, life);
            if !leader.is_shipping() {
                return self.over(leader, life).await;
            }
            if full_until.is_some_and(|until| until <= Instant::now()) {
                full_until = None;
                fs.give_space();
                sealed.restart();
                written.restart();
            }
            match self.chance().below(1000) {
                0..10 => self.disturb(&fs, life),
                10..15 => full_until = Some(self.fill_disk(&fs, life)),
                15..25 => self.hold_up(),
                25..30 => return self.stop(leader, life).await,
                _ => {}
            }
            if let Err(error) = self.append(&leader, life).await {
                if matches!(error, JournalError::BudgetFull { .. }) && sealed.patience_is_over(self) {
                    self.broken(format_args!("promise 9: there is no room, though nothing fails: {error}"));
                }
                // With a full disk and while sealing fails the journal goes on; otherwise it is over.
                if error.kind() != JournalKind::Unavailable {
                    let shipped = self.why(leader, life, "ended").await;
                    return if error.kind() == JournalKind::Fenced { End::Fenced } else { shipped };
                }
            }
            let positions = leader.journal().positions();
            if positions.written == positions.sealed {
                oldest = None;
            } else if *oldest.get_or_insert_with(Instant::now) + age <= Instant::now() {
                // As the service's timer does.
                let _ = leader.journal().seal();
                oldest = None;
            }
            if full_until.is_some() {
                sealed.restart();
                written.restart();
            }
            let committed = leader.watch().borrow().sequence;
            for (what, progress, goal) in
                [("sealed", &mut sealed, positions.sealed), ("written", &mut written, positions.written)]
            {
                if let Some(late) = progress.late(self, goal.sequence, committed) {
                    self.broken(format_args!(
                        "promise 9: {late} was {what} long ago, nothing has failed since, and committed is {committed}"
                    ));
                }
            }
            if self.chance().per_mille(30)
                && let Ok(Ok(stored)) = timeout(self.seconds(1, 300), leader.sync()).await
            {
                self.store.tally.hit("machine: syncs");
                self.store.truth().told_committed(&self.name, &stored);
                if stored.sequence < positions.written.sequence {
                    self.broken(format_args!("promise 1: synced to {stored:?}, written was {positions:?}"));
                }
            }
            if self.chance().per_mille(50) {
                let _ = leader.journal().dir().remove_released();
            }
        }
    }

    fn fill_disk(&self, fs: &CrashFs, life: &Life) -> Instant {
        fs.take_space();
        *life.bad_disk.lock().unwrap() = true;
        self.store.tally.hit("machine: full disks");
        self.note(format_args!("has a full disk"));
        Instant::now() + self.seconds(10, 900)
    }

    fn hold_up(&self) {
        let until = Instant::now() + self.seconds(60, 4 * 3600);
        // What is held up already stays so.
        let mut hold = self.hold.lock().unwrap();
        *hold = (*hold).max(Some(until));
        self.store.tally.hit("machine: held up");
        self.note(format_args!("is held up"));
    }

    /// What must hold of a leader at any time.
    fn look(&self, leader: &Leader, life: &Life) {
        self.told_stored(leader);
        let positions = leader.journal().positions();
        let ordered = positions.sealed.sequence <= positions.synced.sequence
            && positions.synced.sequence <= positions.written.sequence;
        let committed = *leader.watch().borrow();
        // When the directory's sync fails behind a rename, what ships by its name is not counted as sealed before the next attempt.
        let shipped = if *life.bad_disk.lock().unwrap() { positions.synced } else { positions.sealed };
        if !ordered || committed.sequence > shipped.sequence {
            self.broken(format_args!("its positions are {positions:?}, {committed:?}"));
        }
        self.store.truth().told_committed(&self.name, &committed);
        match leader.outage().borrow().state {
            OutageState::Degraded => self.store.tally.hit("outage: degraded"),
            OutageState::Full => self.store.tally.hit("outage: full"),
            _ => {}
        }
        let Some(max) = life.held_bytes_max else { return };
        let held = leader.journal().held().unwrap().bytes;
        // The last segment may be left when there is one byte of room.
        if held > max + 2 * SEGMENT_BYTES_MAX {
            self.broken(format_args!("promise 9: {held} bytes are held back, the budget is {max}"));
        }
    }

    /// Appends a few entries, or a batch, and waits for them.
    pub async fn append(&self, leader: &Leader, life: &Life) -> Appended {
        if life.held_bytes_max.is_some() && life.when_full == WhenFull::Block {
            match timeout(self.seconds(1, 600), leader.room()).await {
                Ok(Ok(())) => {}
                Ok(Err(Error::Journal(error))) => return Err(error),
                Ok(Err(error)) => {
                    self.judge(&error, life, "waiting for room");
                    return Err(JournalError::Closed);
                }
                Err(_) => {
                    self.store.tally.hit("budget: waits");
                    return Ok(());
                }
            }
        }
        let count = 1 + self.chance().below(4);
        if self.chance().per_mille(300) {
            return self.append_batch(leader, life, count);
        }
        for _ in 0..count {
            // It may fill the budget, and then the next one would wait with the only thread there is.
            if life.when_full == WhenFull::Block && leader.journal().check_room().is_err() {
                break;
            }
            self.append_batch(leader, life, 1)?;
        }
        Ok(())
    }

    fn append_batch(&self, leader: &Leader, life: &Life, count: u64) -> Appended {
        let numbers: Vec<u64> = (0..count).map(|_| self.store.truth().offer()).collect();
        let entries: Vec<JournalEntry> = numbers.iter().map(|number| entry(*number)).collect();
        let refuse = || numbers.iter().for_each(|number| self.store.truth().refuse(*number));
        let ticket = match leader.append_batch(&entries) {
            Ok(ticket) => ticket,
            Err(Error::Journal(error)) => {
                refuse();
                if let JournalError::BudgetFull { held, max, .. } = &error {
                    self.store.tally.hit("budget: refuses");
                    if held < max {
                        self.broken(format_args!("promise 9: there is room: {error}"));
                    }
                }
                return Err(error);
            }
            Err(error) => {
                self.judge(&error, life, "appending");
                return Err(JournalError::Closed);
            }
        };
        let ack = if self.chance().per_mille(400) { Ack::Written } else { Ack::Synced };
        let mut disk = self.disk.lock().unwrap();
        let waited = ticket.wait(ack);
        if matches!(&waited, Err(error) if is_refusal(error)) {
            refuse();
        } else {
            let acked = waited.is_ok().then_some(Acked::Written);
            let last = numbers.len() - 1;
            let expected =
                |(at, number): (usize, &u64)| Expected { number: *number, ack: acked, more: at < last };
            disk.entries.extend(numbers.iter().enumerate().map(expected));
        }
        match waited {
            Ok(sequences) => {
                life.line.heard();
                if ack == Ack::Synced {
                    disk.synced();
                }
                self.store.tally.hit(if ack == Ack::Synced { "entry: synced" } else { "entry: written" });
                if *sequences.end() != disk.sequence() {
                    self.broken(format_args!(
                        "promise 2: {numbers:?} was acknowledged at {sequences:?}, not at {}",
                        disk.sequence()
                    ));
                }
                self.note(format_args!("has appended to {} ({ack:?})", disk.sequence()));
                Ok(())
            }
            Err(error) => {
                self.note(format_args!("did not append {numbers:?}: {error}"));
                Err(error)
            }
        }
    }

    /// What the leader says is committed, it tells as *stored*.
    pub fn told_stored(&self, leader: &Leader) {
        let committed = leader.watch().borrow().sequence;
        let disk = self.disk.lock().unwrap();
        let truth = self.store.truth();
        let stored = disk.numbers().into_iter().filter(|row| row.0 <= committed);
        for (sequence, number) in stored.rev().take(50) {
            truth.told_stored(&self.name, sequence, number);
        }
    }

    /// Its uploader has ended. A fenced leader takes nothing any more.
    async fn over(&self, leader: Leader, life: &Life) -> End {
        // Without an uploader nobody makes room, and the only thread there is would wait.
        let appended = match leader.journal().check_room() {
            Err(error @ JournalError::BudgetFull { .. }) => Err(error),
            _ => self.append_batch(&leader, life, 1),
        };
        let end = self.why(leader, life, "shipping").await;
        if end == End::Fenced && appended.is_ok() {
            self.broken(format_args!("promise 5: a fenced leader goes on"));
        }
        end
    }

    /// It ends in good order, or says what is missing.
    async fn stop(&self, leader: Leader, life: &Life) -> End {
        let written = leader.journal().positions().written;
        match leader.shutdown(self.seconds(1, 600)).await {
            Ok(report) => {
                let truth = self.store.truth();
                truth.told_committed(&self.name, &report.committed);
                if report.position != written || report.committed.sequence != written.sequence {
                    self.broken(format_args!("promise 1: it stopped with {written:?}, and says {report:?}"));
                }
                self.store.tally.hit("machine: stopped");
                self.note(format_args!("has stopped at {}", written.sequence));
                life.line.heard();
                self.disk.lock().unwrap().synced();
                End::Stopped
            }
            Err(error) => self.judge(&error, life, "stopping"),
        }
    }

    /// Why it ended.
    async fn why(&self, leader: Leader, life: &Life, when: &str) -> End {
        match leader.shutdown(Duration::from_secs(60)).await {
            Ok(_) => End::Failed,
            Err(error) => self.judge(&error, life, when),
        }
    }
}

fn entry(number: u64) -> JournalEntry {
    JournalEntry::new("CREATE (:Item {number: $number})", 1_700_000_000_000)
        .with_param("number", i64::try_from(number).unwrap())
}
