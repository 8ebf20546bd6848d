//! Two segments are sealed at once: the second is ready while the first is still being compressed. It becomes visible behind the first
//! all the same, whatever fails and wherever the power is cut.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod hooked_fs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use graphstream_journal::{
    Ack, Error, Fs, Journal, JournalOptions, JournalReader, ReaderOptions, Service, SyncPolicy, segment_name,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, SteppingClock};
use hooked_fs::{HookedFs, Op};

const DIR: &str = "/journal";
const SEALED_FLAG: u8 = 0x04;

fn open(fs: Arc<dyn Fs>, service: Service) -> Journal {
    let options = JournalOptions::default()
        .with_service(service)
        .with_segment_bytes_max(1024)
        .with_sync_policy(SyncPolicy::Never);
    Journal::builder(DIR)
        .options(options)
        .fs(fs)
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(1)))
        .open()
        .unwrap()
        .0
}

/// Fills a segment.
fn payload(n: u64) -> Vec<u8> {
    (0..900).map(|byte| (byte * 7 + n) as u8).collect()
}

fn segment(first: u64) -> PathBuf {
    Path::new(DIR).join(segment_name(first))
}

fn is_open(fs: &CrashFs, path: &Path) -> bool {
    fs.content(path).is_some_and(|bytes| bytes[6] & SEALED_FLAG == 0)
}

/// What sealing did, in order.
type Seen = Arc<Mutex<Vec<(Op, PathBuf)>>>;
/// The segments that became visible.
type Visible = Receiver<PathBuf>;

/// Holds the first segment's compression back until the third one's has begun, and so the second is ready. Then it fails, or not. It goes
/// on, too, when a segment becomes visible before.
fn hold_the_first_back(fs: &HookedFs, fails: bool) -> (Seen, Visible) {
    let seen = Seen::default();
    let (disk, noted) = (fs.disk.clone(), Arc::clone(&seen));
    let (go_on, told) = channel();
    let (renamed, visible) = channel();
    let told = Mutex::new(Some(told));
    fs.watch(move |op, path| {
        let target = path.with_extension("");
        let target = if path.extension().is_some_and(|end| end == "tmp") { &target } else { path };
        // The same names serve when the open segments are created; they have no file then.
        if !is_open(&disk, target) {
            return Ok(());
        }
        noted.lock().unwrap().push((op, target.to_path_buf()));
        if op == Op::RenameTo {
            let _ = renamed.send(target.to_path_buf());
        }
        if (op, target) == (Op::Create, &segment(3)) || op == Op::RenameTo {
            let _ = go_on.send(());
        }
        let first_sync = ((op, target) == (Op::SyncAll, &segment(1))).then(|| told.lock().unwrap().take());
        if let Some(told) = first_sync.flatten() {
            told.recv().unwrap();
            if fails {
                return Err(io::Error::other("the disk does not like it"));
            }
        }
        Ok(())
    });
    (seen, visible)
}

/// Appends four segments, of which three are sealed beside the writer; returns how many effects there were when each was synced.
fn live(fs: &HookedFs, visible: &Visible) -> Vec<usize> {
    let journal = open(Arc::new(fs.clone()), Service::Pool);
    let append = |n| {
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Synced).unwrap();
        fs.disk.effects()
    };
    let synced = (1..=4).map(append).collect();
    assert_eq!(visible.recv().unwrap(), segment(1));
    while let Err(error) = journal.seal() {
        assert!(matches!(error, Error::Shared(_)), "{error:?}");
    }
    assert_eq!(journal.close().unwrap().newest_sealed.unwrap().last_sequence, 4);
    synced
}

fn of(seen: &Seen, wanted: Op) -> Vec<PathBuf> {
    seen.lock().unwrap().iter().filter(|(op, _)| *op == wanted).map(|(_, path)| path.clone()).collect()
}

#[test]
fn a_segment_becomes_visible_behind_the_one_in_front_of_it() {
    let fs = HookedFs::default();
    let (seen, visible) = hold_the_first_back(&fs, false);
    live(&fs, &visible);
    assert_eq!(of(&seen, Op::RenameTo), [1, 2, 3, 4].map(segment));
    assert_eq!(of(&seen, Op::Create), [1, 2, 3, 4].map(segment), "each was compressed once");
}

/// What is ready behind a failure is no use, and may be what the disk is full of.
#[test]
fn a_failure_discards_what_is_ready_behind_it() {
    let fs = HookedFs::default();
    let (seen, visible) = hold_the_first_back(&fs, true);
    live(&fs, &visible);
    assert_eq!(of(&seen, Op::RenameTo), [1, 2, 3, 4].map(segment));
    assert!(of(&seen, Op::Remove).contains(&segment(2)), "{seen:?}");
}

/// L09, L10: at every moment of all that, every kind of power cut: all that was synced is found, in order, and every segment is sealed
/// by recovery. An open one before a sealed one would stay so for ever.
#[test]
fn l09_l10_two_segments_sealed_at_once_survive_every_power_cut() {
    for fails in [false, true] {
        let fs = HookedFs::default();
        let (_, visible) = hold_the_first_back(&fs, fails);
        let synced = live(&fs, &visible);
        let mut crashes = Crashes::of(&fs.disk);
        let mut states = 0;
        for at in 0..crashes.boundaries() {
            let least = synced.iter().filter(|effects| **effects <= at).count();
            for image in crashes.at(at, 8, at as u64) {
                let context = format!("fails: {fails}, power cut after {at}, {:?}", image.persisted);
                let disk = image.boot();
                drop(open(Arc::new(disk.clone()), Service::Inline));
                let left = disk.files().into_iter().find(|path| {
                    path.extension().is_some_and(|end| end == "tmp" || end == "hadbj") && is_open(&disk, path)
                });
                assert_eq!(left, None, "{context}");
                let reader =
                    JournalReader::open_on(DIR, ReaderOptions::default(), Arc::new(disk.clone())).unwrap();
                let found: Vec<_> = reader.map(|entry| entry.unwrap().payload).collect();
                assert!(found.len() >= least, "{context}: {} of {least} entries", found.len());
                assert!(found.iter().zip(1..).all(|(found, n)| *found == payload(n)), "{context}");
                states += 1;
            }
        }
        assert!(states > 500, "only {states} states");
    }
}
