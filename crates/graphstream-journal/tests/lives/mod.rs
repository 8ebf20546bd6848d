//! A journal's life on a disk in memory: what is done with it, what it says about each entry and when, and so what a power cut at
//! any moment may leave.
//!
//! ```text
//!  steps ──▶ Life ──▶ units, each with the moments (counted in effects on the disk) from which it may, must or must not be there
//!                └──▶ CrashFs ──▶ images of power cuts ──▶ recovery ──▶ Life::verdict
//! ```
#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test binary uses its own part")]

mod steps;

use std::path::PathBuf;
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, KeyRing};
use graphstream_journal::{
    Ack, Compression, Error, ErrorKind, Journal, JournalOptions, JournalReader, ReaderOptions,
    RecoveryReport, Service, SyncPolicy,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Image, SteppingClock};
pub use steps::{ALPHABET, Numbers, Step, sequences};

pub const DIR: &str = "/journal";

/// How the journal is opened.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub segment_bytes_max: u64,
    pub compression: Compression,
    /// Whether sealed segments are encrypted: then no file but the open segment may show an entry, at any power cut.
    pub encrypted: bool,
    /// With the pool, segments are sealed beside the writer: no two runs are the same, and a kill is not a step (its threads would
    /// live on).
    pub service: Service,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes_max: 1024,
            compression: Compression::Zstd { level: 1 },
            encrypted: false,
            service: Service::Inline,
        }
    }
}

impl Settings {
    pub fn open(&self, fs: &CrashFs, seed: u32) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
        let options = JournalOptions::default()
            .with_service(self.service)
            .with_segment_bytes_max(self.segment_bytes_max)
            .with_sync_policy(SyncPolicy::Never)
            .with_waiting_segments_max(2)
            .with_compression(self.compression);
        let builder = Journal::builder(DIR)
            .options(options)
            .fs(Arc::new(fs.clone()))
            .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
            .entropy(Arc::new(CountingEntropy::seeded(seed)));
        match self.keys() {
            Some(keys) => builder.keys(keys).open(),
            None => builder.open(),
        }
    }

    fn keys(&self) -> Option<Arc<KeyRing>> {
        self.encrypted.then(|| Arc::new(KeyRing::new(DataKey::taking(&mut [7; 32]))))
    }

    fn read(&self, fs: &CrashFs) -> Vec<Vec<u8>> {
        let mut options = ReaderOptions::default();
        options.keys = self.keys();
        read_with(fs, options)
    }
}

pub fn read_all(fs: &CrashFs) -> Vec<Vec<u8>> {
    read_with(fs, ReaderOptions::default())
}

/// The first file but the open segment that shows a part of an entry. Entries are bytes that grow by seven, so that they are told from
/// everything else.
pub fn showing(fs: &CrashFs) -> Option<PathBuf> {
    let shows = |content: &[u8]| {
        let mut run = 0;
        content.windows(2).any(|pair| {
            run = if pair[0].wrapping_add(7) == pair[1] { run + 1 } else { 0 };
            run == 24
        })
    };
    fs.files().into_iter().find(|path| {
        let content = fs.content(path).unwrap();
        let visible = path.extension().is_some_and(|extension| extension == "hadbj");
        // The header's flag: sealed.
        let open = visible && content.get(6).is_some_and(|flags| flags & 4 == 0);
        !open && shows(&content)
    })
}

fn read_with(fs: &CrashFs, options: ReaderOptions) -> Vec<Vec<u8>> {
    let reader = JournalReader::open_on(DIR, options, Arc::new(fs.clone())).unwrap();
    reader.map(|entry| entry.unwrap().payload).collect()
}

/// Entries that were appended together. Moments are counts of effects on the disk.
struct Unit {
    payloads: Vec<Vec<u8>>,
    /// Before it, none of it can be there.
    begun: usize,
    /// From then on all of it must be there: it was said to be synced.
    synced: Option<usize>,
    /// From then on none of it may be there: it was refused, or an opening has not found it.
    gone: Option<usize>,
    /// It was said to be written: no end of the process takes it, unless the journal has failed.
    written: bool,
}

/// See the module.
pub struct Life {
    pub fs: CrashFs,
    /// Everything that was answered with an error.
    pub errors: Vec<Error>,
    /// How many effects there were before the step with the first of them.
    pub failed_at: Option<usize>,
    /// How many effects there were before the last step.
    pub before_last_step: usize,
    /// For messages: what to repeat.
    pub told: String,
    settings: Settings,
    journal: Option<Journal>,
    units: Vec<Unit>,
    entries: usize,
    openings: u32,
    /// A journal has failed and was not opened again yet: what it had written is unresolved.
    in_doubt: bool,
}

impl Life {
    pub fn of(steps: &[Step]) -> Self {
        Self::on(CrashFs::new(), Settings::default(), steps, format!("{steps:?}"))
    }

    /// Lives on a disk that may have its faults planned.
    pub fn on(fs: CrashFs, settings: Settings, steps: &[Step], told: String) -> Self {
        let mut life = Self {
            fs,
            errors: Vec::new(),
            failed_at: None,
            before_last_step: 0,
            told,
            settings,
            journal: None,
            units: Vec::new(),
            entries: 0,
            openings: 0,
            in_doubt: false,
        };
        for step in steps {
            life.before_last_step = life.fs.effects();
            life.step(*step);
            if !life.errors.is_empty() {
                life.failed_at.get_or_insert(life.before_last_step);
            }
        }
        life.journal = None;
        life
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append => drop(self.append(&[120])),
            Step::Large => drop(self.append(&[3000])),
            Step::Batch => drop(self.append(&[200, 0, 150])),
            Step::AppendSynced => {
                let ticket = self.append(&[150]);
                if let Some(ticket) = ticket {
                    let result = ticket.wait(Ack::Synced).map(drop);
                    self.everything_synced_if(result);
                }
            }
            Step::Sync => {
                let result = self.journal().sync().map(drop);
                self.everything_synced_if(result);
            }
            Step::Seal => {
                let result = self.journal().seal().map(drop);
                self.everything_synced_if(result);
            }
            Step::Reopen => {
                let result = self.journal().close().map(drop);
                match result {
                    Ok(()) => self.everything_synced_if(Ok(())),
                    Err(error) => {
                        self.in_doubt |= matches!(error, Error::Unresolved { .. } | Error::Poisoned { .. });
                        self.errors.push(error);
                    }
                }
                self.journal = None;
                self.journal();
            }
            Step::Kill => {
                std::mem::forget(self.journal.take());
                self.fs.break_locks();
                self.journal();
            }
        }
    }

    /// The journal; opened if there is none.
    pub fn journal(&mut self) -> Journal {
        if let Some(journal) = &self.journal {
            return journal.clone();
        }
        // One time more than there are faults.
        for _ in 0..4 {
            self.openings += 1;
            match self.settings.open(&self.fs, self.openings) {
                Ok((journal, report)) => {
                    self.resolve(report.position.sequence);
                    self.journal = Some(journal.clone());
                    return journal;
                }
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Integrity, "{}: {error:?}", self.told);
                    self.errors.push(error);
                }
            }
        }
        panic!("{}: cannot open: {:?}", self.told, self.errors);
    }

    /// An opening has found so many entries. Those count as synced; the others never come back.
    fn resolve(&mut self, sequence: u64) {
        let now = self.fs.effects();
        let in_doubt = std::mem::take(&mut self.in_doubt);
        let mut left = sequence as usize;
        for (place, unit) in self.units.iter_mut().enumerate().filter(|(_, unit)| unit.gone.is_none()) {
            if unit.payloads.len() <= left {
                left -= unit.payloads.len();
                unit.synced.get_or_insert(now);
                continue;
            }
            let context = format!("{}: unit {place} without a power cut", self.told);
            assert!(unit.synced.is_none(), "synced and lost: {context}");
            assert!(in_doubt || !unit.written, "written and lost: {context}");
            assert_eq!(left, 0, "a batch in parts: {context}");
            unit.gone = Some(now);
        }
        assert_eq!(left, 0, "{}: entries that nobody has appended", self.told);
    }

    /// Appends entries of these lengths together, until they are written.
    fn append(&mut self, sizes: &[usize]) -> Option<graphstream_journal::Ticket> {
        let journal = self.journal();
        let first = self.entries;
        self.entries += sizes.len();
        let payloads: Vec<Vec<u8>> = (first..)
            .zip(sizes)
            .map(|(n, size)| (0..*size).map(|byte| (byte * 7 + n) as u8).collect())
            .collect();
        let begun = self.fs.effects();
        let result = journal.append_batch(&payloads).and_then(|ticket| {
            ticket.wait(Ack::Written)?;
            Ok(ticket)
        });
        self.units.push(Unit { payloads, begun, synced: None, gone: None, written: result.is_ok() });
        match result {
            Ok(ticket) => Some(ticket),
            Err(error) => {
                if !matches!(error, Error::Unresolved { .. }) {
                    let now = self.fs.effects();
                    self.units.last_mut().unwrap().gone = Some(now);
                }
                self.failed(error);
                None
            }
        }
    }

    fn everything_synced_if(&mut self, result: graphstream_journal::Result<()>) {
        match result {
            Ok(()) => {
                let now = self.fs.effects();
                for unit in self.units.iter_mut().filter(|unit| unit.written && unit.gone.is_none()) {
                    unit.synced.get_or_insert(now);
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// Only these errors may come; after some of them the journal is over.
    fn failed(&mut self, error: Error) {
        match &error {
            Error::Full { .. } | Error::SealBacklog { .. } | Error::Shared(_) => {}
            Error::Unresolved { .. } | Error::Poisoned { .. } => {
                let again = self.journal().append(b"more");
                let poisoned = matches!(again, Err(Error::Poisoned { .. }));
                assert!(poisoned, "{}: not poisoned after {error:?}: {again:?}", self.told);
                self.journal = None;
                self.in_doubt = true;
            }
            other => panic!("{}: unexpected {other:?}", self.told),
        }
        self.errors.push(error);
    }

    /// Whether these entries may be what is there after a power cut behind so many effects, and what is wrong if not.
    pub fn judge(&self, found: &[Vec<u8>], at: usize) -> Result<(), String> {
        let mut rest = found;
        let mut missing = None;
        for (place, unit) in self.units.iter().enumerate() {
            let gone = unit.gone.is_some_and(|gone| gone <= at);
            if !gone
                && missing.is_none()
                && at > unit.begun
                && let Some(behind) = rest.strip_prefix(unit.payloads.as_slice())
            {
                rest = behind;
                continue;
            }
            if unit.synced.is_some_and(|synced| synced <= at) {
                return Err(format!("unit {place} was synced and is lost"));
            }
            if !gone {
                missing.get_or_insert(place);
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} entries too many, in parts, or not as appended (unit {missing:?} is missing)",
            rest.len()
        ))
    }

    /// Recovers a disk and judges what is there. Returns how many entries were found, or what is wrong.
    pub fn verdict(&self, fs: &CrashFs, at: usize) -> Result<usize, String> {
        let settings = Settings { service: Service::Inline, ..self.settings };
        let hidden = |when: &str| match showing(fs).filter(|_| settings.encrypted) {
            Some(path) => Err(format!("{} shows an entry {when}", path.display())),
            None => Ok(()),
        };
        hidden("after the power cut")?;
        let (journal, report) = settings.open(fs, 77_777).map_err(|error| format!("{error:?}"))?;
        hidden("after recovery")?;
        let found = settings.read(fs);
        if report.position.sequence as usize != found.len() {
            return Err(format!("{} entries reported, {} read", report.position.sequence, found.len()));
        }
        drop(journal);
        self.judge(&found, at)?;
        Ok(found.len())
    }

    fn check(&self, image: &Image, fs: &CrashFs, at: usize) -> usize {
        self.verdict(fs, at).unwrap_or_else(|wrong| {
            panic!(
                "{}: errors {:?}, power cut after {at} effects, then in recovery after {}, {:?}: {wrong}",
                self.told, self.errors, image.at, image.persisted
            )
        })
    }

    /// All power cuts behind the first `from` effects, with so many random choices at each boundary; at every
    /// `second_level`th state (0: none) those inside its recovery too. Returns how many states were recovered.
    pub fn crash_everywhere(&self, from: usize, random: u32, second_level: usize) -> usize {
        let mut crashes = Crashes::of(&self.fs);
        let mut states = 0;
        // Every life starts to count elsewhere, so that the same moments of others are met.
        let mut count = self.told.bytes().map(usize::from).sum::<usize>();
        for at in from..crashes.boundaries() {
            for image in crashes.at(at, random, at as u64 + 17) {
                let fs = image.boot();
                let found = self.check(&image, &fs, at);
                states += 1;
                count += 1;
                if second_level > 0 && count.is_multiple_of(second_level) {
                    states += self.crash_in_recovery(&fs, at, found);
                }
            }
        }
        states
    }

    /// The power is cut again while a recovery runs, and after it: whatever happens, the same entries are found.
    fn crash_in_recovery(&self, recovered: &CrashFs, at: usize, found: usize) -> usize {
        let mut crashes = Crashes::of(recovered);
        let mut states = 0;
        for boundary in 0..crashes.boundaries() {
            for image in crashes.at(boundary, 0, 1) {
                let again = self.check(&image, &image.boot(), at);
                assert_eq!(again, found, "{}: {at}, {boundary}, {:?}", self.told, image.persisted);
                states += 1;
            }
        }
        states
    }
}

/// Works on all items, on as many threads as there are processors; returns the sum.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) -> usize + Sync) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        let mut sum = 0;
        while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            sum += work(item);
        }
        sum
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a state was recovered wrongly")).sum()
    })
}
