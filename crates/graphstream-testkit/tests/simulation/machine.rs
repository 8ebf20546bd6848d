//! Machines that may lead: a disk, and lives of a process that ends in every way there is.
//!
//! ```text
//!  down ─► start ─► recover, compare, claim ─► append, seal, upload, publish … ─► killed │ power cut │ fenced │ poisoned
//!   ▲        └── the head is ahead, or another history: a new disk from the head            │
//!   └────────── the disk is lost │ an old image of it comes back ◄─────────────────────────┘
//! ```
//! Nobody asks whether another machine leads: every start fences whoever does, and a machine that is held up for hours goes on as a
//! zombie. Some lives append nothing: their leaders fence others and commit nothing themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graphstream_format::Lineage;
use graphstream_journal::{Clock, Journal, JournalDir, JournalOptions, Service, StartingPoint, WhenFull};
use graphstream_remote::HeadRead;
use graphstream_replication::{Leader, UploaderOptions};
use graphstream_testkit::{CrashFs, Fault};
use tokio::time::{sleep, timeout};

use super::chance::{Chance, VirtualClock};
use super::disk::{DIR, Disk};
use super::line::{Hold, Line};
use super::store::Store;
use super::world::remote;

const DATABASE_ID: [u8; 16] = [9; 16];
pub const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);
/// Of a segment.
pub const SEGMENT_BYTES_MAX: u64 = 2048;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Another leader took over.
    Fenced,
    /// The journal was poisoned, or the start failed: it is started again.
    Failed,
    /// The disk does not fit the history: it is made anew from the head.
    Unfit,
    /// It was asked to, and has stored everything.
    Stopped,
}

/// A process.
#[derive(Debug, Clone)]
pub struct Life {
    pub line: Line,
    /// How often something had been wrong with the head when it began.
    pub wrong: u64,
    /// How often a segment had been deleted.
    pub holes: u64,
    /// Its disk is made to fail.
    pub bad_disk: Arc<Mutex<bool>>,
    /// It appends nothing.
    quiet: bool,
    pub held_bytes_max: Option<u64>,
    pub when_full: WhenFull,
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

    pub fn chance(&self) -> &Chance {
        &self.store.chance
    }

    pub fn seconds(&self, least: u64, most: u64) -> Duration {
        self.chance().between(Duration::from_secs(least), Duration::from_secs(most))
    }

    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.store.trace.note(format_args!("{} {what}", self.name));
    }

    pub fn broken(&self, what: std::fmt::Arguments<'_>) {
        self.store.trace.broken(format_args!("{}: {what}", self.name));
    }

    /// Lives, one after the other.
    pub async fn run(self) {
        let mut end = None;
        loop {
            // Who was fenced is often started again at once, who failed always.
            let hasty = match end {
                Some(End::Fenced) => self.chance().per_mille(500),
                Some(End::Failed) => true,
                _ => false,
            };
            sleep(self.seconds(1, if hasty { 120 } else { 3600 })).await;
            if end != Some(End::Failed) {
                self.restore_something();
            }
            self.disk.lock().unwrap().fs.heal();
            let life = self.begin();
            let most = if life.quiet || self.chance().per_mille(300) { 600 } else { 4 * 3600 };
            let lasts = self.seconds(1, most);
            let mut living = Box::pin(self.live(&life));
            end = timeout(lasts, &mut living).await.ok();
            life.line.cut();
            self.end(end, life.line.last_heard());
            drop(living);
            // What its tasks still hold is gone when they have been seen to.
            sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn begin(&self) -> Life {
        let line = Line::new(&self.store, &self.name, &self.hold);
        line.watch(&self.disk.lock().unwrap().fs);
        let heads = &mut self.store.heads.lock().unwrap();
        heads.writes(&line.alive);
        let bounded = self.chance().per_mille(500);
        let held_bytes_max = bounded.then(|| SEGMENT_BYTES_MAX * (1 + self.chance().below(2)));
        let blocks = self.chance().per_mille(500);
        Life {
            line,
            wrong: heads.times,
            holes: self.store.holes.lock().unwrap().times,
            bad_disk: Arc::default(),
            quiet: self.chance().per_mille(250),
            held_bytes_max,
            when_full: if blocks { WhenFull::Block } else { WhenFull::Fail },
        }
    }

    /// What becomes of the disk. Nothing the old process still does reaches it.
    fn end(&self, end: Option<End>, heard: usize) {
        let mut disk = self.disk.lock().unwrap();
        let tally = &self.store.tally;
        if end == Some(End::Unfit) {
            *disk = Disk::new();
            tally.hit("machine: unfit disks");
        } else if self.chance().per_mille(500) {
            disk.cut_power(heard, self.chance());
            tally.hit("machine: power cuts");
        } else {
            disk.kill();
            tally.hit("machine: kills");
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
                self.store.tally.hit("machine: lost disks");
            }
            1 => *old = Some(disk.image()),
            2 => {
                let Some(image) = old.take() else { return };
                self.note(format_args!("gets an old image of its disk back"));
                self.store.tally.hit("machine: old disks");
                let mut truth = self.store.truth();
                // It knows nothing of what was told since.
                image.entries.iter().for_each(|entry| truth.bring_back(entry.number));
                *disk = image;
            }
            _ => {}
        }
    }

    /// One process. It never returns while it leads.
    async fn live(&self, life: &Life) -> End {
        self.store.tally.hit("machine: starts");
        let end = match self.start(life, false).await {
            Ok(leader) if life.quiet => self.watch(leader, life).await,
            Ok(leader) => self.lead(leader, life).await,
            Err(end) => end,
        };
        if end == End::Fenced {
            // It was told: its note must stand, whatever comes.
            life.line.heard();
        }
        end
    }

    /// A journal, from the head or as the first one.
    async fn provision(&self, life: &Life) -> std::result::Result<(), End> {
        if self.disk.lock().unwrap().ready {
            return Ok(());
        }
        let remote = remote(&life.line, &self.store);
        let read = remote.read_head(None).await;
        let builder =
            Journal::builder(DIR).options(options(life)).entropy(Arc::clone(&self.store.chance) as _);
        let builder = match remote.keys() {
            Some(keys) => builder.keys(Arc::clone(keys)),
            None => builder,
        };
        let (builder, base) = match read {
            Ok(HeadRead::Found(stored)) => {
                let committed = stored.head.committed();
                // A head that moves meanwhile, or a store that fails: another time.
                let position = remote.committed_position(&stored).await.map_err(|_| End::Failed)?;
                let start = StartingPoint {
                    sequence: committed.sequence,
                    chain_hash: position.chain_hash,
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
                self.store.tally.hit("machine: new journals");
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
    pub async fn start(&self, life: &Life, calm: bool) -> std::result::Result<Leader, End> {
        // Somebody restores a lost journal, or the leader is told to go on from the head by itself.
        let by_itself = self.store.truth().has_head() && self.chance().per_mille(500);
        if !by_itself {
            self.provision(life).await?;
        }
        let fs = {
            let mut disk = self.disk.lock().unwrap();
            disk.moves |= by_itself && disk.has_no_segment();
            disk.fs.clone()
        };
        life.line.watch(&fs);
        // The note of a fence that nobody was told of any more: what is beyond it goes aside.
        let identity = JournalDir::open_on(DIR, Arc::new(fs.clone())).and_then(|dir| dir.identity());
        if let Some(after) = identity.ok().flatten().and_then(|identity| identity.fenced_after) {
            self.disk.lock().unwrap().truncate(after);
        }
        if !calm && self.chance().per_mille(50) {
            self.disturb(&fs, life);
        }
        let mut uploader = UploaderOptions::default();
        uploader.upload_interval = self.seconds(10, 120);
        let started = Leader::builder(DIR, remote(&life.line, &self.store))
            .journal_options(options(life))
            .uploader_options(uploader)
            .fs(Arc::new(fs))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .entropy(Arc::clone(&self.store.chance) as _)
            .continue_from_head(by_itself)
            .start()
            .await;
        match started {
            Ok((leader, started)) => {
                life.line.heard();
                self.disk.lock().unwrap().check(&self.name, &self.store, leader.journal());
                self.store.truth().told_committed(&self.name, &started.committed);
                self.store.tally.hit("machine: claims");
                self.note(format_args!(
                    "leads epoch {} from {}, committed {}",
                    started.epoch,
                    leader.journal().positions().written.sequence,
                    started.committed.sequence
                ));
                Ok(leader)
            }
            Err(error) => Err(self.judge(&error, life, "starting")),
        }
    }

    /// Its disk will fail once, soon.
    pub fn disturb(&self, fs: &CrashFs, life: &Life) {
        let call = fs.calls() + self.chance().below(40);
        fs.fail(call, Fault::Error(std::io::ErrorKind::Other));
        *life.bad_disk.lock().unwrap() = true;
        self.store.tally.hit("machine: disk faults");
        self.note(format_args!("has a disk that fails at call {call}"));
    }

    /// At the end, alone and without faults: a leader that has stored everything it has.
    pub async fn settle(&self) -> Result<Leader, String> {
        for _ in 0..10 {
            self.disk.lock().unwrap().fs.heal();
            let life = self.begin();
            match self.start(&life, true).await {
                Ok(leader) => {
                    // There may be no room before what is held back is stored.
                    let stored = timeout(Duration::from_secs(600), leader.sync()).await;
                    stored
                        .map_err(|_| "nothing is stored".to_owned())?
                        .map_err(|error| format!("{error:?}"))?;
                    self.append(&leader, &life).await.map_err(|error| format!("{error:?}"))?;
                    let stored = timeout(Duration::from_secs(600), leader.sync()).await;
                    let stored = stored
                        .map_err(|_| "nothing is stored".to_owned())?
                        .map_err(|error| format!("{error:?}"))?;
                    self.store.truth().told_committed(&self.name, &stored);
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

/// Small segments, and nothing in threads.
fn options(life: &Life) -> JournalOptions {
    let options = JournalOptions::default()
        .with_segment_bytes_max(SEGMENT_BYTES_MAX)
        .with_segment_age_max(Duration::from_secs(60))
        .with_when_full(life.when_full)
        .with_service(Service::Inline);
    match life.held_bytes_max {
        Some(bytes) => options.with_held_bytes_max(bytes),
        None => options,
    }
}
