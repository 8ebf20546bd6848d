//! A predecessor's directory: read as it is, and taken over for writing with entries and chain unchanged.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_journal::{
    Ack, Entry, Error, Journal, JournalBuilder, JournalDir, JournalReader, ReaderOptions, Service,
};
use graphstream_testkit::{CountingEntropy, CrashFs, Crashes, Fault, SteppingClock};

/// The last sequence and the chain hash after it, as the predecessor's own reader says.
const SEALED: (&str, u64, &str) =
    ("sealed", 600, "ce98162ef4b7217c235c4cecefc3b54b4a946bcd6cb3af7b3fd9328e4c07bf8b");
const UNSEALED_TAIL: (&str, u64, &str) =
    ("unsealed-tail", 450, "1c800f40e571db21ce2ac1ead69508b23fb7a2ef809c65c4eac8136b01c98840");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../graphstream-format/tests/fixtures/graphstream-0.3.0")
        .join(name)
}

fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(dir.path().join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    dir
}

fn on_crash_fs(name: &str) -> CrashFs {
    let fs = CrashFs::new();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs.put(Path::new("/journal").join(entry.file_name()), &std::fs::read(entry.path()).unwrap());
    }
    fs
}

fn read(dir: &Path) -> Vec<Entry> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap()).collect()
}

fn builder(fs: &CrashFs) -> JournalBuilder {
    Journal::builder("/journal")
        .options(graphstream_journal::JournalOptions::default().with_service(Service::Inline))
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(SteppingClock::starting_at(1_700_000_000_000)))
        .entropy(Arc::new(CountingEntropy::seeded(9)))
}

/// What taking over must not change.
fn essence(entries: &[Entry]) -> Vec<(u64, Vec<u8>, String)> {
    entries
        .iter()
        .map(|entry| (entry.sequence, entry.payload.clone(), entry.chain_hash.to_string()))
        .collect()
}

#[test]
fn a_predecessors_directory_is_read_as_it_is() {
    for (name, last, chain) in [SEALED, UNSEALED_TAIL] {
        let entries = read(&fixture(name));
        assert_eq!(entries.len() as u64, last);
        assert_eq!(entries.last().unwrap().chain_hash.to_string(), chain);
        assert!(entries.is_sorted_by_key(|entry| entry.commit_ms));
        assert!(entries.iter().all(|entry| !entry.commit_exact && entry.commit_ms > 0));
        let dir = JournalDir::open(fixture(name)).unwrap();
        assert_eq!(dir.chain_at(last).unwrap().to_string(), chain);
        assert_eq!(dir.position().unwrap().sequence, last);
        assert!(dir.identity().unwrap().is_none());
    }
}

/// Issue 2: a copy can be opened for writing, continued, and read to the end with an unbroken chain. P1, P9, P10: the open tail is
/// neither forgotten nor left open.
#[test]
fn p1_p9_p10_a_predecessors_directory_is_taken_over_and_continued() {
    for (name, last, chain) in [SEALED, UNSEALED_TAIL] {
        let before = read(&fixture(name));
        let dir = copy(name);
        let (journal, report) = Journal::builder(dir.path()).open().unwrap();
        let adopted = report.adopted.as_ref().unwrap();
        assert_eq!(report.position.sequence, last);
        assert_eq!(report.position.chain_hash.to_string(), chain);
        assert!(!report.position.lineage.is_legacy());
        let originals = std::fs::read_dir(&adopted.originals).unwrap().count();
        assert_eq!(adopted.segments.len(), originals);
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let entry = entry.unwrap();
            let kept = std::fs::read(adopted.originals.join(entry.file_name())).unwrap();
            assert!(kept == std::fs::read(entry.path()).unwrap(), "the original is kept as it was");
        }
        assert_eq!(journal.append(b"next").unwrap().wait(Ack::Synced).unwrap(), last + 1..=last + 1);
        journal.close().unwrap();

        let after = read(dir.path());
        assert_eq!(essence(&after[..last as usize]), essence(&before));
        assert_eq!(after[last as usize].chain_hash, before.last().unwrap().chain_hash.after(b"next"));
        let segments = JournalDir::open(dir.path()).unwrap().segments().unwrap();
        for segment in segments {
            assert!(segment.is_sealed() && segment.header.lineage == report.position.lineage);
        }
        let (_, report) = Journal::builder(dir.path()).open().unwrap();
        assert!(report.is_clean(), "taken over once: {report:?}");
    }
}

/// L11-like: the power is cut at any step of taking over; the next open goes on, under the same lineage.
#[test]
fn taking_over_survives_power_cuts() {
    let before = essence(&read(&fixture(UNSEALED_TAIL.0)));
    let fs = on_crash_fs(UNSEALED_TAIL.0);
    drop(builder(&fs).open().unwrap());
    let mut crashes = Crashes::of(&fs);
    let (mut states, mut resumed) = (0, 0);
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 0, 5) {
            let fs = image.boot();
            let context = format!("after {at} effects, {:?}", image.persisted);
            let (journal, report) =
                builder(&fs).open().unwrap_or_else(|error| panic!("{context}: {error:?}"));
            assert_eq!(report.position.sequence, UNSEALED_TAIL.1, "{context}");
            assert_eq!(report.position.chain_hash.to_string(), UNSEALED_TAIL.2, "{context}");
            resumed += usize::from(report.adopted.is_some());
            drop(journal);
            let reader =
                JournalReader::open_on("/journal", ReaderOptions::default(), Arc::new(fs.clone())).unwrap();
            let entries: Vec<Entry> = reader.map(|entry| entry.unwrap()).collect();
            assert!(essence(&entries) == before, "{context}");
            states += 1;
        }
    }
    assert!(states > 50 && resumed > 30, "{states} states, {resumed} resumed");
}

/// Any operation fails once while taking over; the next open goes on.
#[test]
fn taking_over_survives_failures() {
    let calls = {
        let fs = on_crash_fs(UNSEALED_TAIL.0);
        drop(builder(&fs).open().unwrap());
        fs.calls()
    };
    for call in (0..calls).step_by(3) {
        let fs = on_crash_fs(UNSEALED_TAIL.0);
        fs.fail(call, Fault::Error(std::io::ErrorKind::Other));
        let first = builder(&fs).open().map(|(_, report)| report);
        fs.heal();
        let (_, report) = builder(&fs).open().unwrap_or_else(|error| panic!("call {call}: {error:?}"));
        assert_eq!(report.position.sequence, UNSEALED_TAIL.1, "call {call}: {first:?}");
    }
}

/// P10: the predecessor stopped at a torn tail but did not cut it, and every reader failed there.
#[test]
fn p10_a_torn_tail_of_the_predecessor_is_reported_and_left_out() {
    let whole = std::fs::read(fixture("unsealed-tail").join("journal-0000000000000296.hadbj")).unwrap();
    for cut in [1, 5, 47, 48, 60] {
        let dir = copy("unsealed-tail");
        let path = dir.path().join("journal-0000000000000296.hadbj");
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();

        let mut reader = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
        assert_eq!(reader.by_ref().inspect(|entry| assert!(entry.is_ok(), "{entry:?}")).count(), 449);
        assert_eq!(reader.torn_tail().unwrap().last_sequence, 449, "a warning, no error");

        let (journal, report) = Journal::builder(dir.path()).open().unwrap();
        assert_eq!(report.adopted.unwrap().torn_tail.unwrap().last_sequence, 449);
        assert_eq!(report.position.sequence, 449);
        journal.append(b"450 again").unwrap().wait(Ack::Synced).unwrap();
        journal.close().unwrap();
        assert_eq!(read(dir.path()).len(), 450);
    }
}

/// Damage in a predecessor's directory is refused with nothing changed.
#[test]
fn a_damaged_predecessor_is_not_taken_over() {
    let dir = copy("sealed");
    let path = dir.path().join("journal-0000000000000296.hadbj");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = Journal::builder(dir.path()).open().unwrap_err();
    assert!(matches!(&error, Error::Segment { path: at, .. } if *at == path), "{error:?}");
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 4, "three segments and LOCK: {names:?}");

    std::fs::remove_file(&path).unwrap();
    let error = Journal::builder(dir.path()).open().unwrap_err();
    assert!(matches!(error, Error::Gap { first: 296, last: 598, .. }), "{error:?}");
}

/// A predecessor's directory whose oldest segments were removed begins where it begins (P36).
#[test]
fn p36_a_directory_without_its_beginning_is_taken_over() {
    let dir = copy("sealed");
    std::fs::remove_file(dir.path().join("journal-0000000000000001.hadbj")).unwrap();
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.position.chain_hash.to_string(), SEALED.2);
    journal.append(b"next").unwrap().wait(Ack::Synced).unwrap();
    journal.close().unwrap();
    let entries = read(dir.path());
    assert_eq!((entries[0].sequence, entries.last().unwrap().sequence), (296, 601));
    let dir = JournalDir::open(dir.path()).unwrap();
    assert_eq!(dir.chain_at(601).unwrap(), entries.last().unwrap().chain_hash);
    assert_eq!(dir.chain_at(295).unwrap().after(&entries[0].payload), entries[0].chain_hash);
}

/// The predecessor's starting point without segments is understood.
#[test]
fn a_predecessors_recovery_json_is_a_starting_point() {
    let dir = tempfile::tempdir().unwrap();
    let json = format!(r#"{{"last_seq":600,"chain_hash":"{}"}}"#, SEALED.2);
    std::fs::write(dir.path().join("recovery.json"), json).unwrap();
    let (journal, report) = Journal::builder(dir.path()).open().unwrap();
    assert_eq!(report.position.sequence, 600);
    assert_eq!(journal.append(b"next").unwrap().wait(Ack::Synced).unwrap(), 601..=601);
    journal.close().unwrap();
    assert_eq!(read(dir.path())[0].sequence, 601);
    let dir = JournalDir::open(dir.path()).unwrap();
    assert_eq!(dir.chain_at(600).unwrap().to_string(), SEALED.2);
}
