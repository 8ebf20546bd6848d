//! Every file operation fails once, in every way: nothing that was acknowledged is lost, nothing that was refused appears, and
//! the journal says what happened.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::ErrorKind as Io;
use std::sync::Arc;

use graphstream_journal::{
    Ack, Compression, Error, Journal, JournalOptions, JournalReader, ReaderOptions, RecoveryReport, Service,
    SyncPolicy,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Fault, SteppingClock};

const DIR: &str = "/journal";

fn options() -> JournalOptions {
    JournalOptions::default()
        .with_service(Service::Inline)
        .with_segment_bytes_max(1024)
        .with_sync_policy(SyncPolicy::Never)
        .with_waiting_segments_max(2)
        .with_compression(Compression::Zstd { level: 1 })
}

fn open(fs: &CrashFs) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
    open_with(fs, options())
}

fn open_with(
    fs: &CrashFs,
    options: JournalOptions,
) -> graphstream_journal::Result<(Journal, RecoveryReport)> {
    Journal::builder(DIR)
        .options(options)
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(fs.calls() as u32)))
        .open()
}

fn read_all(fs: &CrashFs) -> Vec<Vec<u8>> {
    let reader = JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(fs.clone())).unwrap();
    reader.map(|entry| entry.unwrap().payload).collect()
}

fn payload(n: usize) -> Vec<u8> {
    (0..150).map(|byte| (byte + n * 31) as u8).collect()
}

/// What was said about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Synced,
    Written,
    /// It may or may not be found.
    Unresolved,
    /// It is not there.
    Refused,
}

#[derive(Default)]
struct Said2 {
    entries: Vec<(Vec<u8>, Said)>,
}

impl Said2 {
    /// The found entries are those not refused, in order, up to some point behind the last synced one.
    fn check(&self, found: &[Vec<u8>], power_cut: bool, context: &str) {
        let mut found = found.iter().peekable();
        let mut ended = false;
        for (n, (payload, said)) in self.entries.iter().enumerate() {
            let here = !ended && found.next_if(|next| *next == payload).is_some();
            match said {
                Said::Refused => assert!(!here, "{context}: refused entry {n} appears"),
                Said::Synced => assert!(here, "{context}: synced entry {n} is lost"),
                Said::Written => {
                    assert!(here || power_cut, "{context}: written entry {n} is lost without a power cut");
                    ended |= !here;
                }
                Said::Unresolved => {}
            }
        }
        assert!(found.next().is_none(), "{context}: phantom or reordered entries");
    }
}

/// A journal's life: appends, syncs, a batch, rotations, sealing, closing, another start. Errors are noted; a journal
/// that is over is opened again.
struct Life {
    fs: CrashFs,
    journal: Option<Journal>,
    said: Said2,
    errors: Vec<Error>,
    n: usize,
}

impl Life {
    fn live(fs: &CrashFs) -> Self {
        let mut life =
            Self { fs: fs.clone(), journal: None, said: Said2::default(), errors: Vec::new(), n: 0 };
        life.append(1, Ack::Written);
        life.append(1, Ack::Synced);
        life.append(3, Ack::Synced);
        for _ in 0..7 {
            life.append(1, Ack::Written);
        }
        life.sync();
        life.append(2, Ack::Written);
        life.seal();
        life.append(1, Ack::Synced);
        life.close();
        life.append(1, Ack::Synced);
        // Stopped without closing, so that the next start has something to recover.
        if let Some(journal) = life.journal.take() {
            std::mem::forget(journal);
            life.fs.break_locks();
        }
        life.append(1, Ack::Synced);
        life.close();
        life
    }

    fn journal(&mut self) -> Journal {
        if let Some(journal) = &self.journal {
            return journal.clone();
        }
        for _ in 0..3 {
            match open(&self.fs) {
                Ok((journal, _)) => {
                    self.journal = Some(journal.clone());
                    return journal;
                }
                Err(error) => {
                    assert!(!matches!(error.kind(), graphstream_journal::ErrorKind::Integrity), "{error:?}");
                    self.errors.push(error);
                }
            }
        }
        panic!("cannot open: {:?}", self.errors);
    }

    fn append(&mut self, count: usize, ack: Ack) {
        let journal = self.journal();
        let batch: Vec<_> = (0..count).map(|place| payload(self.n + place)).collect();
        self.n += count;
        let result = journal.append_batch(&batch).and_then(|ticket| {
            // Written first: *unresolved* while syncing leaves it written.
            ticket.wait(Ack::Written)?;
            Ok(ticket)
        });
        let said = match result {
            Ok(ticket) if ack == Ack::Written => {
                drop(ticket);
                Said::Written
            }
            Ok(ticket) => match ticket.wait(Ack::Synced) {
                Ok(_) => Said::Synced,
                Err(error) => self.failed(error),
            },
            Err(error) => self.failed(error),
        };
        if said == Said::Synced {
            self.synced();
        }
        self.said.entries.extend(batch.into_iter().map(|payload| (payload, said)));
    }

    /// Whatever was written before is synced too.
    fn synced(&mut self) {
        for (_, said) in &mut self.said.entries {
            if *said == Said::Written {
                *said = Said::Synced;
            }
        }
    }

    fn failed(&mut self, error: Error) -> Said {
        let said = match &error {
            Error::Unresolved { .. } => Said::Unresolved,
            Error::Full { .. } | Error::Poisoned { .. } | Error::SealBacklog { .. } | Error::Shared(_) => {
                Said::Refused
            }
            other => panic!("unexpected {other:?}"),
        };
        if matches!(error, Error::Unresolved { .. } | Error::Poisoned { .. }) {
            // The journal is over; what was written and not synced is unresolved now.
            for (_, said) in &mut self.said.entries {
                if *said == Said::Written {
                    *said = Said::Unresolved;
                }
            }
            let again = self.journal.as_ref().unwrap().append(b"more");
            assert!(matches!(again, Err(Error::Poisoned { .. })), "not poisoned after {error:?}: {again:?}");
            self.journal = None;
        }
        self.errors.push(error);
        said
    }

    fn sync(&mut self) {
        match self.journal().sync() {
            Ok(_) => self.synced(),
            Err(error) => {
                self.failed(error);
            }
        }
    }

    fn seal(&mut self) {
        match self.journal().seal() {
            Ok(_) => self.synced(),
            Err(error) => {
                self.failed(error);
            }
        }
    }

    fn close(&mut self) {
        let journal = self.journal();
        match journal.close() {
            Ok(_) => self.synced(),
            Err(error) => {
                self.failed_close(error);
            }
        }
        self.journal = None;
    }

    fn failed_close(&mut self, error: Error) {
        if matches!(error, Error::Unresolved { .. } | Error::Poisoned { .. }) {
            for (_, said) in &mut self.said.entries {
                if *said == Said::Written {
                    *said = Said::Unresolved;
                }
            }
        }
        self.errors.push(error);
    }
}

/// R: every operation of a life fails once.
fn every_call(fault: Fault, power_cuts: bool) -> usize {
    let fs = CrashFs::new();
    let life = Life::live(&fs);
    assert!(life.errors.is_empty());
    life.said.check(&read_all(&fs), false, "without faults");
    let calls = fs.calls();
    assert!(calls > 150, "{calls} calls");
    let mut failures = 0;
    for call in 0..calls {
        let fs = CrashFs::new();
        fs.fail(call, fault);
        let mut life = Life::live(&fs);
        failures += life.errors.len();
        fs.heal();
        let context = format!("{fault:?} at call {call}, then {:?}", life.errors);
        // The last open recovers what a failed close has left.
        life.journal();
        drop(life.journal.take());
        life.said.check(&read_all(&fs), false, &context);
        if !power_cuts {
            continue;
        }
        let mut crashes = Crashes::of(&fs);
        let last = crashes.boundaries() - 1;
        for image in crashes.at(last, 4, call) {
            let fs = image.boot();
            let (journal, _) = open(&fs).unwrap_or_else(|error| panic!("{context}, {image:?}: {error:?}"));
            life.said.check(&read_all(&fs), true, &context);
            drop(journal);
        }
    }
    failures
}

/// L04 (a failed sync drops what it should have written), L05, L14.
#[test]
fn l04_l05_l14_every_operation_fails_once_with_eio() {
    let failures = every_call(Fault::Error(Io::Other), true);
    assert!(failures > 100, "only {failures} failures were seen");
}

#[test]
fn l06_every_operation_fails_once_with_enospc() {
    let failures = every_call(Fault::Error(Io::StorageFull), true);
    assert!(failures > 100, "only {failures} failures were seen");
}

#[test]
fn l05_short_writes_and_interruptions_are_no_failures() {
    assert_eq!(every_call(Fault::Short, false), 0);
}

#[test]
fn l05_interrupted_reads_and_writes_are_repeated() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs).unwrap();
    let calls = fs.calls();
    let _ = journal.append(payload(0)).unwrap().wait(Ack::Synced).unwrap();
    // The first write into an open segment that exists.
    fs.fail(fs.calls(), Fault::Error(Io::Interrupted));
    assert!(fs.calls() > calls);
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    assert_eq!(read_all(&fs), [payload(0), payload(1)]);
}

/// L06: a full disk fails what is queued, gives the sequences out again, and works again once there is space.
#[test]
fn l06_a_full_disk_recovers_without_a_restart() {
    let calls = {
        let fs = CrashFs::new();
        Life::live(&fs);
        fs.calls()
    };
    let mut full = 0;
    for call in 0..calls {
        let fs = CrashFs::new();
        let (journal, _) = open(&fs).unwrap();
        let mut expected = Vec::new();
        fs.take_space_at(call);
        for n in 0..12 {
            match journal.append(payload(n)).unwrap().wait(Ack::Synced) {
                Ok(range) => {
                    expected.push(payload(n));
                    assert_eq!(*range.end(), expected.len() as u64, "sequences are given out again");
                }
                Err(Error::Full { .. } | Error::SealBacklog { .. }) => full += 1,
                Err(other) => panic!("full from call {call}: {other:?}"),
            }
        }
        fs.give_space();
        let _ = journal.append(payload(50)).unwrap().wait(Ack::Synced).unwrap();
        expected.push(payload(50));
        journal.close().unwrap();
        assert_eq!(read_all(&fs), expected, "full from call {call}");
    }
    assert!(full > 100, "the disk was full {full} times");
}

/// L06, for who doesn't look at each answer: what is appended behind a failure is not written, if that was asked for, and what was
/// written before is synced and sealed as ever.
#[test]
fn l06_nothing_gets_ahead_of_what_failed() {
    for (stop, expected) in [(false, vec![payload(0), payload(2)]), (true, vec![payload(0)])] {
        let fs = CrashFs::new();
        let (journal, _) = open_with(&fs, options().with_stop_at_failure(stop)).unwrap();
        let _ = journal.append(payload(0)).unwrap().wait(Ack::Written).unwrap();
        fs.take_space_at(fs.calls());
        let failed = journal.append(payload(1)).unwrap();
        journal.sync().unwrap_err();
        fs.give_space();
        match journal.append(payload(2)) {
            Ok(ticket) => assert!(!stop && ticket.wait(Ack::Synced).is_ok()),
            Err(error) => assert!(stop && matches!(error, Error::Closed), "{error:?}"),
        }
        let error = failed.wait(Ack::Synced).unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        journal.close().unwrap();
        assert_eq!(read_all(&fs), expected);
    }
}

/// L04, promise 3: after one failed fdatasync nothing is acknowledged any more, whatever later syncs say; what is found at the next
/// open is on disk then.
#[test]
fn l04_one_failed_fdatasync_ends_the_writer() {
    let fs = CrashFs::new();
    let (journal, _) = open(&fs).unwrap();
    let _ = journal.append(payload(0)).unwrap().wait(Ack::Synced).unwrap();
    let lost = journal.append(payload(1)).unwrap();
    let _ = lost.wait(Ack::Written).unwrap();
    fs.fail(fs.calls(), Fault::Error(Io::Other));
    let error = lost.wait(Ack::Synced).unwrap_err();
    assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
    assert!(matches!(lost.wait(Ack::Synced), Err(Error::Unresolved { .. })), "the next sync would succeed");
    assert!(matches!(journal.append(b"x"), Err(Error::Poisoned { .. })));
    assert!(matches!(journal.sync(), Err(Error::Unresolved { .. } | Error::Poisoned { .. })));
    assert_eq!(journal.positions().synced.sequence, 1);
    assert!(matches!(journal.close(), Err(Error::Poisoned { .. })));
    // The system still shows the lost bytes; recovery writes them into a new file.
    let (journal, report) = open(&fs).unwrap();
    assert_eq!(report.position.sequence, 2);
    drop(journal);
    let mut crashes = Crashes::of(&fs);
    let last = crashes.boundaries() - 1;
    for image in crashes.at(last, 16, 3) {
        let fs = image.boot();
        let (_, report) = open(&fs).unwrap();
        assert_eq!(report.position.sequence, 2, "{:?}", image.persisted);
        assert_eq!(read_all(&fs), [payload(0), payload(1)]);
    }
}
