//! Machines that may lead: a disk, and lives of a process that ends in every way there is.
//!
//! ```text
//!  down ─► start ─► recover, compare, claim ─► append, seal, upload, publish … ─► killed │ power cut │ fenced │ poisoned
//!   ▲        └── the head is ahead, or another history: a new disk from the head            │
//!   └────────── the disk is lost │ an old image of it comes back ◄─────────────────────────┘
//! ```
//! Nobody asks whether another machine leads: every start fences whoever does, and a machine that is held up for hours goes on as a
//! zombie.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graphstream_format::Lineage;
use graphstream_journal::{
    Ack, Clock, Error as JournalError, ErrorKind as JournalKind, Journal, JournalDir, JournalOptions,
    Service, StartingPoint,
};
use graphstream_proto::JournalEntry;
use graphstream_remote::{Error as RemoteError, HeadRead};
use graphstream_replication::{Error, ErrorKind, Leader, Result, UploaderOptions};
use graphstream_testkit::{CrashFs, Fault};
use tokio::time::{Instant, sleep, timeout};

use super::chance::{Chance, VirtualClock};
use super::disk::{DIR, Disk, Expected, is_refusal};
use super::store::{Hold, Line, Store};
use super::world::remote;

const DATABASE_ID: [u8; 16] = [9; 16];
const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

/// A machine; clones are the same.
#[derive(Debug, Clone)]
pub struct Machine {
    pub name: String,
    pub store: Arc<Store>,
    pub hold: Hold,
    pub disk: Arc<Mutex<Disk>>,
    clock: Arc<VirtualClock>,
    /// It may create the database.
    founder: bool,
    /// An image of the disk, for a restore.
    old: Arc<Mutex<Option<Disk>>>,
}

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Another leader took over.
    Fenced,
    /// The journal was poisoned, or the start failed: it is started again.
    Failed,
    /// The disk does not fit the history: it is made anew from the head.
    Unfit,
}

fn seconds(chance: &Chance, least: u64, most: u64) -> Duration {
    chance.between(Duration::from_secs(least), Duration::from_secs(most))
}

impl Machine {
    pub fn new(store: &Arc<Store>, name: &str, founder: bool, wrong_by_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            store: Arc::clone(store),
            hold: Hold::default(),
            disk: Arc::new(Mutex::new(Disk::new())),
            clock: Arc::new(VirtualClock::new(wrong_by_ms)),
            founder,
            old: Arc::default(),
        }
    }

    fn chance(&self) -> &Chance {
        &self.store.chance
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.store.trace.note(format_args!("{} {what}", self.name));
    }

    fn broken(&self, what: std::fmt::Arguments<'_>) {
        self.store.trace.broken(format_args!("{}: {what}", self.name));
    }

    /// Lives, one after the other.
    pub async fn run(self) {
        loop {
            sleep(seconds(self.chance(), 1, 3600)).await;
            self.restore_something();
            self.disk.lock().unwrap().fs.heal();
            let line = self.line();
            let most = if self.chance().per_mille(300) { 600 } else { 4 * 3600 };
            let lasts = seconds(self.chance(), 1, most);
            let mut life = Box::pin(self.live(&line));
            let end = timeout(lasts, &mut life).await;
            line.cut();
            self.end(end.ok(), line.last_heard());
            drop(life);
            // What its tasks still hold is gone when they have been seen to.
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn line(&self) -> Line {
        let line = Line::new(&self.store, &self.name, &self.hold);
        line.watch(&self.disk.lock().unwrap().fs);
        line
    }

    /// What becomes of the disk. Nothing the old process still does reaches it.
    fn end(&self, end: Option<End>, heard: usize) {
        let mut disk = self.disk.lock().unwrap();
        let counts = &mut self.store.truth().counts;
        if end == Some(End::Unfit) {
            *disk = Disk::new();
            counts.lost_disks += 1;
        } else if self.chance().per_mille(500) {
            disk.cut_power(heard, self.chance());
            counts.power_cuts += 1;
        } else {
            disk.kill();
            counts.kills += 1;
        }
        self.note(format_args!("ends: {end:?}"));
    }

    /// Between two lives.
    fn restore_something(&self) {
        let (mut disk, mut old) = (self.disk.lock().unwrap(), self.old.lock().unwrap());
        match self.chance().below(20) {
            0 => {
                self.note(format_args!("loses its disk"));
                *disk = Disk::new();
                self.store.truth().counts.lost_disks += 1;
            }
            1 => *old = Some(disk.image()),
            2 => {
                let Some(image) = old.take() else { return };
                self.note(format_args!("gets an old image of its disk back"));
                let mut truth = self.store.truth();
                truth.counts.old_disks += 1;
                // It knows nothing of what was told since.
                image.entries.iter().for_each(|entry| truth.bring_back(entry.number));
                *disk = image;
            }
            _ => {}
        }
    }

    /// One process. It never returns while it leads.
    async fn live(&self, line: &Line) -> End {
        self.store.truth().counts.starts += 1;
        let end = match self.start(line, false).await {
            Ok(leader) => self.lead(leader, line).await,
            Err(end) => end,
        };
        if end == End::Fenced {
            // It was told: its note must stand, whatever comes.
            line.heard();
        }
        end
    }

    /// A journal, from the head or as the first one.
    async fn provision(&self, line: &Line) -> std::result::Result<(), End> {
        if self.disk.lock().unwrap().ready {
            return Ok(());
        }
        let read = remote(line, &self.store).read_head(None).await;
        let builder = Journal::builder(DIR).options(options()).entropy(Arc::clone(&self.store.chance) as _);
        let (builder, base) = match read {
            Ok(HeadRead::Found(stored)) => {
                let committed = stored.head.committed();
                let start = StartingPoint {
                    sequence: committed.sequence,
                    chain_hash: committed.chain_hash,
                    commit_ms: committed.commit_ms,
                };
                (if start.sequence > 0 { builder.starting_point(start) } else { builder }, committed.sequence)
            }
            Ok(_) if self.founder && self.store.truth().committed.is_empty() => (builder, 0),
            Ok(_) => return Err(End::Failed),
            Err(error) if error.kind() == graphstream_remote::ErrorKind::Storage => return Err(End::Failed),
            Err(error) => {
                self.broken(format_args!("promise 4: a head that can't be read: {error:?}"));
                return Err(End::Failed);
            }
        };
        let mut disk = self.disk.lock().unwrap();
        // Whatever an earlier attempt left is not a journal.
        disk.fs = CrashFs::new();
        let opened = builder.fs(Arc::new(disk.fs.clone())).database_id(DATABASE_ID).lineage(LINEAGE).open();
        match opened.and_then(|(journal, _)| journal.close()) {
            Ok(_) => {
                disk.begin(base);
                self.store.truth().counts.provisions += 1;
                self.note(format_args!("has a new journal that begins after {base}"));
                Ok(())
            }
            Err(error) => {
                self.broken(format_args!("a new journal can't be opened: {error:?}"));
                Err(End::Failed)
            }
        }
    }

    /// The real leader, started; on a disk that may fail meanwhile, unless it is `calm`.
    async fn start(&self, line: &Line, calm: bool) -> std::result::Result<Leader, End> {
        // Somebody restores a lost journal, or the leader is told to go on from the head by itself.
        let by_itself = self.store.truth().has_head() && self.chance().per_mille(500);
        if !by_itself {
            self.provision(line).await?;
        }
        let fs = {
            let mut disk = self.disk.lock().unwrap();
            disk.moves |= by_itself && disk.has_no_segment();
            disk.fs.clone()
        };
        line.watch(&fs);
        // The note of a fence that nobody was told of any more: what is beyond it goes aside.
        let identity = JournalDir::open_on(DIR, Arc::new(fs.clone())).and_then(|dir| dir.identity());
        if let Some(after) = identity.ok().flatten().and_then(|identity| identity.fenced_after) {
            self.disk.lock().unwrap().truncate(after);
        }
        if !calm && self.chance().per_mille(50) {
            self.disturb(&fs);
        }
        let mut uploader = UploaderOptions::default();
        uploader.upload_interval = seconds(self.chance(), 10, 120);
        let started = Leader::builder(DIR, remote(line, &self.store))
            .journal_options(options())
            .uploader_options(uploader)
            .fs(Arc::new(fs))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .entropy(Arc::clone(&self.store.chance) as _)
            .continue_from_head(by_itself)
            .start()
            .await;
        match started {
            Ok((leader, started)) => {
                line.heard();
                self.disk.lock().unwrap().check(&self.name, &self.store, leader.journal());
                self.store.truth().counts.claims += 1;
                self.note(format_args!(
                    "leads epoch {} from {}, committed {}",
                    started.epoch,
                    leader.journal().positions().written.sequence,
                    started.committed.sequence
                ));
                Ok(leader)
            }
            Err(error) => Err(self.judge(&error, "starting")),
        }
    }

    /// What an error means; one that must not be is a broken promise.
    fn judge(&self, error: &Error, when: &str) -> End {
        self.note(format_args!("{when}: {error}"));
        match error {
            Error::Remote(RemoteError::Behind { .. } | RemoteError::Fork { .. }) => {
                self.store.truth().counts.forks += 1;
                End::Unfit
            }
            Error::Remote(RemoteError::Fenced(fenced)) => {
                let after = fenced.fenced_after;
                if fenced.by_epoch < fenced.epoch {
                    self.broken(format_args!("I5: fenced by an older epoch: {fenced}"));
                }
                let mut disk = self.disk.lock().unwrap();
                let mut truth = self.store.truth();
                truth.counts.fences += 1;
                for number in disk.beyond(after) {
                    truth.told_fenced(&self.name, number);
                }
                disk.truncate(after);
                End::Fenced
            }
            Error::Journal(JournalError::Fenced { .. }) => End::Fenced,
            Error::Journal(error)
                if matches!(error.kind(), JournalKind::Unavailable | JournalKind::Closed) =>
            {
                End::Failed
            }
            Error::LocalFile { .. } => End::Failed,
            error if error.kind() == ErrorKind::Store => End::Failed,
            Error::Remote(error) if error.kind() == graphstream_remote::ErrorKind::Local => End::Failed,
            error => {
                self.broken(format_args!("I4, {when}: {error}: {error:?}"));
                End::Failed
            }
        }
    }

    /// Its disk will fail once, soon.
    fn disturb(&self, fs: &CrashFs) {
        let call = fs.calls() + self.chance().below(40);
        fs.fail(call, Fault::Error(std::io::ErrorKind::Other));
        self.store.truth().counts.disk_faults += 1;
        self.note(format_args!("has a disk that fails at call {call}"));
    }

    async fn lead(&self, leader: Leader, line: &Line) -> End {
        let fs = self.disk.lock().unwrap().fs.clone();
        let age = seconds(self.chance(), 10, 90);
        let mut eager = true;
        let mut oldest = None;
        let mut full_until = None;
        loop {
            // Busy minutes, quiet hours.
            if self.chance().per_mille(30) {
                eager = !eager;
            }
            sleep(seconds(self.chance(), 1, if eager { 15 } else { 900 })).await;
            self.told_stored(&leader);
            if !leader.is_shipping() {
                return self.why(leader).await;
            }
            if full_until.is_some_and(|until| until <= Instant::now()) {
                full_until = None;
                fs.give_space();
            }
            match self.chance().below(1000) {
                0..10 => self.disturb(&fs),
                10..15 => {
                    full_until = Some(Instant::now() + seconds(self.chance(), 10, 900));
                    fs.take_space();
                    self.store.truth().counts.full_disks += 1;
                    self.note(format_args!("has a full disk"));
                }
                15..25 => {
                    let until = Instant::now() + seconds(self.chance(), 60, 4 * 3600);
                    *self.hold.lock().unwrap() = Some(until);
                    self.store.truth().counts.holds += 1;
                    self.note(format_args!("is held up"));
                }
                _ => {}
            }
            if let Err(error) = self.append(&leader, line) {
                // With a full disk and while sealing fails the journal goes on; otherwise it is over.
                if error.kind() != JournalKind::Unavailable {
                    let shipped = self.why(leader).await;
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
            if self.chance().per_mille(30) {
                let _ = timeout(seconds(self.chance(), 1, 300), leader.sync()).await;
            }
            if self.chance().per_mille(50) {
                let _ = leader.journal().dir().remove_released();
            }
        }
    }

    /// Appends a few entries and waits for them to be *synced*.
    fn append(&self, leader: &Leader, line: &Line) -> std::result::Result<(), JournalError> {
        let count = 1 + self.chance().below(4);
        for _ in 0..count {
            let number = self.store.truth().offer();
            let entry = entry(number);
            let ticket = match leader.append(&entry) {
                Ok(ticket) => ticket,
                Err(Error::Journal(error)) => {
                    self.store.truth().refuse(number);
                    return Err(error);
                }
                Err(error) => {
                    self.judge(&error, "appending");
                    return Err(JournalError::Closed);
                }
            };
            let mut disk = self.disk.lock().unwrap();
            match ticket.wait(Ack::Synced) {
                Ok(sequences) => {
                    line.heard();
                    disk.entries.push(Expected { number, synced: true });
                    self.store.truth().counts.acked += 1;
                    if *sequences.end() != disk.sequence() {
                        self.broken(format_args!(
                            "promise 2: {number} was acknowledged at {}, not at {}",
                            sequences.end(),
                            disk.sequence()
                        ));
                    }
                }
                Err(error) if is_refusal(&error) => {
                    self.store.truth().refuse(number);
                    self.note(format_args!("refuses {number}: {error}"));
                    return Err(error);
                }
                Err(error) => {
                    disk.entries.push(Expected { number, synced: false });
                    self.note(format_args!("leaves {number} unresolved: {error}"));
                    return Err(error);
                }
            }
        }
        self.note(format_args!("has appended to {}", leader.journal().positions().synced.sequence));
        Ok(())
    }

    /// What the leader says is committed, it tells as *stored*.
    fn told_stored(&self, leader: &Leader) {
        let committed = leader.watch().borrow().sequence;
        let disk = self.disk.lock().unwrap();
        let newest = committed.min(disk.sequence());
        for sequence in (disk.base + 1..=newest).rev().take(50) {
            let number = disk.entries[usize::try_from(sequence - disk.base - 1).unwrap()].number;
            self.store.truth().told_stored(&self.name, sequence, number);
        }
    }

    /// Why it ended.
    async fn why(&self, leader: Leader) -> End {
        match leader.shutdown(Duration::from_secs(60)).await {
            Ok(_) => End::Failed,
            Err(error) => self.judge(&error, "ended"),
        }
    }

    /// At the end, alone and without faults: a leader that has stored everything it has.
    pub async fn settle(&self) -> Result<Leader, String> {
        for _ in 0..10 {
            self.disk.lock().unwrap().fs.heal();
            let line = self.line();
            match self.start(&line, true).await {
                Ok(leader) => {
                    self.append(&leader, &line).map_err(|error| format!("{error:?}"))?;
                    let stored = timeout(Duration::from_secs(600), leader.sync()).await;
                    stored
                        .map_err(|_| "nothing is stored".to_owned())?
                        .map_err(|error| format!("{error:?}"))?;
                    self.told_stored(&leader);
                    return Ok(leader);
                }
                Err(End::Unfit) => *self.disk.lock().unwrap() = Disk::new(),
                Err(_) => {}
            }
        }
        Err("no leader starts".to_owned())
    }
}

fn entry(number: u64) -> JournalEntry {
    JournalEntry::new("CREATE (:Item {number: $number})", 1_700_000_000_000)
        .with_param("number", i64::try_from(number).unwrap())
}

/// Small segments, and nothing in threads.
fn options() -> JournalOptions {
    JournalOptions::default()
        .with_segment_bytes_max(2048)
        .with_segment_age_max(Duration::from_secs(60))
        .with_service(Service::Inline)
}
