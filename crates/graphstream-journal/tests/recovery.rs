//! What is found at the next start after an unclean stop or damage: each case has its defined outcome, and nothing is changed
//! when opening is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use graphstream_journal::{
    Ack, Compression, Error, ErrorKind, Journal, JournalDir, JournalOptions, JournalReader, Lineage,
    ReaderOptions, Service, SyncPolicy, segment_name,
};

fn payload(n: u64) -> Vec<u8> {
    format!("entry number {n} {}", "x".repeat(n as usize % 50)).into_bytes()
}

fn options() -> JournalOptions {
    JournalOptions::default()
        .with_service(Service::Inline)
        .with_sync_policy(SyncPolicy::Never)
        .with_segment_bytes_max(1 << 16)
        .with_compression(Compression::None)
}

fn open(dir: &Path) -> graphstream_journal::Result<(Journal, graphstream_journal::RecoveryReport)> {
    Journal::builder(dir).options(options()).open()
}

/// Appends entries `from..=to`, one record each, synced each or only written, and stops like a killed process.
fn append_and_stop(dir: &Path, from: u64, to: u64, ack: Ack) {
    let (journal, _) = open(dir).unwrap();
    for n in from..=to {
        let _ = journal.append(payload(n)).unwrap().wait(ack).unwrap();
    }
    drop(journal);
}

/// Every open segment as it is, whoever has it: the file of an unclean stop.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("LOCK"))
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn read(dir: &Path) -> Result<Vec<Vec<u8>>, Error> {
    JournalReader::open(dir, ReaderOptions::default())?
        .map(|entry| entry.map(|entry| entry.payload))
        .collect()
}

/// L01: the last record torn at every byte, read and recovered.
#[test]
fn l01_a_record_torn_at_every_byte() {
    let source = tempfile::tempdir().unwrap();
    append_and_stop(source.path(), 1, 3, Ack::Written);
    let whole = std::fs::read(source.path().join(segment_name(1))).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let start = 176 + 2 * (56 + 24);
    torn_at(source.path(), &whole, start, 2, start..end);
}

/// L01: also when nothing stands before it: the segment is empty then.
#[test]
fn l01_the_first_record_torn_at_every_byte() {
    let source = tempfile::tempdir().unwrap();
    append_and_stop(source.path(), 1, 1, Ack::Written);
    let whole = std::fs::read(source.path().join(segment_name(1))).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    torn_at(source.path(), &whole, 176, 0, 176..end);
}

/// The segment cut within its last record, which begins at `start` behind `before` entries.
fn torn_at(source: &Path, whole: &[u8], start: usize, before: u64, cuts: std::ops::Range<usize>) {
    let expected: Vec<_> = (1..=before).map(payload).collect();
    for cut in cuts {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(source.join("journal.json"), dir.path().join("journal.json")).unwrap();
        let mut bytes = whole.to_vec();
        bytes[cut..].fill(0);
        std::fs::write(dir.path().join(segment_name(1)), &bytes).unwrap();

        let mut reader = JournalReader::open(dir.path(), ReaderOptions::default()).unwrap();
        let read: Vec<_> = reader.by_ref().map(|entry| entry.unwrap().payload).collect();
        assert_eq!(read, expected, "cut at {cut}");
        assert_eq!(reader.torn_tail().is_some(), cut > start, "cut at {cut}");

        let (journal, report) = open(dir.path()).unwrap();
        assert_eq!(report.position.sequence, before, "cut at {cut}");
        assert_eq!(report.torn_tail.is_some(), cut > start);
        let _ = journal.append(payload(before + 1)).unwrap();
        journal.close().unwrap();
        assert!(
            self::read(dir.path()).unwrap().into_iter().eq((1..=before + 1).map(payload)),
            "cut at {cut}"
        );
    }
}

/// L02: bytes of another segment, or of another place in this one, are never taken for records.
#[test]
fn l02_recycled_bytes_never_parse() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 4, Ack::Synced);
    let other = tempfile::tempdir().unwrap();
    append_and_stop(other.path(), 1, 9, Ack::Synced);
    let path = dir.path().join(segment_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    let foreign = std::fs::read(other.path().join(segment_name(1))).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(8);
    let stale = foreign.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end..stale].copy_from_slice(&foreign[end..stale]);
    // Its own records, moved: they carry the nonce, but not this offset.
    let own = bytes[176..end].to_vec();
    bytes[stale + 16..stale + 16 + own.len()].copy_from_slice(&own);
    std::fs::write(&path, &bytes).unwrap();
    let (_, report) = open(dir.path()).unwrap();
    assert_eq!(report.position.sequence, 4);
    assert!(report.torn_tail.is_some());
}

/// L12: a flipped bit in any record but the last is below what a later record says was on disk: refused, nothing is
/// changed, the reader says the same.
#[test]
fn l12_bit_rot_below_a_durable_offset_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 6, Ack::Synced);
    let path = dir.path().join(segment_name(1));
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    // What the last record says was durable ends before the fifth record's end; take what lies before the fifth.
    let last = (0..end).rev().find(|at| whole[*at..].starts_with(&whole[128..144])).unwrap();
    let fifth = (0..last).rev().find(|at| whole[*at..].starts_with(&whole[128..144])).unwrap();
    for at in (176..fifth).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let before = snapshot(dir.path());
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error:?}");
        assert!(matches!(error, Error::Segment { .. }), "byte {at}: {error:?}");
        assert!(snapshot(dir.path()) == before, "byte {at}: refused, but something changed");
        let error = read(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error:?}");
    }
}

#[test]
fn a_bad_header_of_a_visible_open_segment_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 2, Ack::Synced);
    let path = dir.path().join(segment_name(1));
    let whole = std::fs::read(&path).unwrap();
    for at in 0..176 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error:?}");
        assert!(read(dir.path()).is_err());
    }
    for length in [0, 5, 127, 130, 175] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(open(dir.path()).is_err(), "{length} bytes");
    }
}

/// A valid N+1 proves N whole: a torn or shorter N is corruption then.
#[test]
fn a_damaged_segment_below_a_later_one_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 3, Ack::Written);
    let first = std::fs::read(dir.path().join(segment_name(1))).unwrap();
    let (journal, report) = open(dir.path()).unwrap();
    assert_eq!(report.sealed.len(), 1);
    let _ = journal.append(payload(4)).unwrap().wait(Ack::Written).unwrap();
    drop(journal);
    // As if the first had not been sealed yet when the process was killed.
    let path = dir.path().join(segment_name(1));
    std::fs::write(&path, &first).unwrap();
    let end = first.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in [end, end - 30, 176] {
        let mut bytes = first.clone();
        bytes[cut..].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let before = snapshot(dir.path());
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::DamagedBelowNext { .. }), "cut at {cut}: {error:?}");
        assert!(snapshot(dir.path()) == before);
        assert!(matches!(read(dir.path()).unwrap_err(), Error::DamagedBelowNext { .. }));
    }
    std::fs::write(&path, &first).unwrap();
    let (_, report) = open(dir.path()).unwrap();
    assert_eq!((report.sealed.len(), report.position.sequence), (2, 4), "both are sealed");
}

/// L18: a missing middle, an overlap, a fork, a foreign lineage, a wrong name: five different errors.
#[test]
fn l18_segments_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        append_and_stop(dir.path(), round * 3 + 1, round * 3 + 3, Ack::Synced);
    }
    open(dir.path()).unwrap().0.close().unwrap();
    let at = |first: u64| dir.path().join(segment_name(first));
    let middle = std::fs::read(at(4)).unwrap();

    std::fs::remove_file(at(4)).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Gap { first: 4, last: 6, .. }), "{error:?}");
    assert!(error.to_string().contains("4..=6"), "{error}");
    assert!(open(dir.path()).is_ok(), "gaps below the newest sealed segment are found by readers");

    std::fs::write(at(5), &middle).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Gap { first: 4, last: 4, .. }), "{error:?}");
    std::fs::remove_file(at(5)).unwrap();

    // Another journal's segment of the same range.
    let other = tempfile::tempdir().unwrap();
    for round in 0..3 {
        append_and_stop(other.path(), round * 3 + 1, round * 3 + 3, Ack::Synced);
    }
    open(other.path()).unwrap().0.close().unwrap();
    std::fs::copy(other.path().join(segment_name(4)), at(4)).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, Error::ForeignLineage { .. }), "{error:?}");

    // The same lineage with another history.
    let lineage = JournalDir::open(dir.path()).unwrap().identity().unwrap().unwrap().lineage;
    let fork = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(fork.path()).options(options()).lineage(lineage).open().unwrap();
    let _ = journal.append_batch(&[payload(1), payload(2), payload(30)]).unwrap();
    journal.seal().unwrap();
    let _ = journal.append_batch(&[payload(4), payload(5), payload(6)]).unwrap();
    journal.close().unwrap();
    std::fs::copy(fork.path().join(segment_name(4)), at(4)).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Fork { sequence: 4, .. }), "{error:?}");

    std::fs::copy(at(7), at(4)).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Misnamed { expected: 4, found: 7, .. }), "{error:?}");

    std::fs::write(at(4), &middle).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 9);
}

/// The open segments against the newest sealed one: gap, overlap, fork, foreign lineage.
#[test]
fn l18_an_open_segment_that_does_not_follow_is_refused() {
    let lineage = Lineage::from_bytes([3; 16]);
    // A directory with entries 1..=3 sealed and 4.. open, and what another one has open from `first`.
    let make = |lineage: Lineage, sealed: u64, tail: &str| {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::builder(dir.path()).options(options()).lineage(lineage).open().unwrap();
        for n in 1..=sealed {
            let _ = journal.append(payload(n)).unwrap();
        }
        journal.seal().unwrap();
        let _ = journal.append(tail).unwrap().wait(Ack::Synced).unwrap();
        drop(journal);
        dir
    };
    let refused = |from: &tempfile::TempDir, first: u64| {
        let dir = make(lineage, 3, "tail");
        std::fs::remove_file(dir.path().join(segment_name(4))).unwrap();
        std::fs::copy(from.path().join(segment_name(first)), dir.path().join(segment_name(first))).unwrap();
        let before = snapshot(dir.path());
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert!(snapshot(dir.path()) == before);
        error
    };
    let error = refused(&make(lineage, 5, "x"), 6);
    assert!(matches!(error, Error::Gap { first: 4, last: 5, .. }), "{error:?}");
    let error = refused(&make(lineage, 2, "x"), 3);
    assert!(matches!(error, Error::Overlap { last: 3, found: 3, .. }), "{error:?}");
    let error = refused(&make(Lineage::from_bytes([4; 16]), 3, "x"), 4);
    assert!(matches!(error, Error::ForeignLineage { .. }), "{error:?}");
    let fork = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::builder(fork.path()).options(options()).lineage(lineage).open().unwrap();
    let _ = journal.append_batch(&[b"other", b"histo", b"ry..."]).unwrap();
    journal.seal().unwrap();
    let _ = journal.append(b"x").unwrap().wait(Ack::Synced).unwrap();
    drop(journal);
    let error = refused(&fork, 4);
    assert!(matches!(error, Error::Fork { sequence: 4, .. }), "{error:?}");
}

/// Damage in the newest sealed segment is found before anything is appended behind it.
#[test]
fn l13_a_damaged_newest_segment_is_refused_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 5, Ack::Synced);
    open(dir.path()).unwrap().0.close().unwrap();
    let path = dir.path().join(segment_name(1));
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error:?}");
    }
}

/// L15: something else than a regular file is neither followed nor waited for.
#[test]
fn l15_links_directories_and_pipes_are_refused() {
    let target = tempfile::tempdir().unwrap();
    append_and_stop(target.path(), 1, 2, Ack::Synced);
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(target.path().join("journal.json"), dir.path().join("journal.json")).unwrap();
        dir
    };
    let dir = make();
    std::os::unix::fs::symlink(target.path().join(segment_name(1)), dir.path().join(segment_name(1)))
        .unwrap();
    let error = open(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error:?}");
    assert!(read(dir.path()).is_err());

    let dir = make();
    std::fs::create_dir(dir.path().join(segment_name(1))).unwrap();
    assert!(matches!(open(dir.path()).map(|_| ()).unwrap_err(), Error::NotAFile { .. }));

    let dir = make();
    let status = std::process::Command::new("mkfifo").arg(dir.path().join(segment_name(1))).status().unwrap();
    assert!(status.success());
    assert!(matches!(open(dir.path()).map(|_| ()).unwrap_err(), Error::NotAFile { .. }));

    let dir = make();
    std::fs::remove_file(dir.path().join("journal.json")).unwrap();
    let status = std::process::Command::new("mkfifo").arg(dir.path().join("journal.json")).status().unwrap();
    assert!(status.success());
    assert!(matches!(open(dir.path()).map(|_| ()).unwrap_err(), Error::Io { .. }), "no hang");

    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(open(file.path()).map(|_| ()).unwrap_err(), Error::Io { .. }), "a file for a directory");
}

/// L08: temporary files of a crash are swept; foreign files are left alone.
#[test]
fn l08_stray_temporary_files_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 2, Ack::Synced);
    for name in
        ["journal-0000000000000001.hadbj.tmp", "journal-0000000000000009.hadbj.tmp", "journal.json.tmp"]
    {
        std::fs::write(dir.path().join(name), b"half of something").unwrap();
    }
    for name in ["notes.tmp", "upload_manifest.json.tmp", "journal-1.hadbj", "README"] {
        std::fs::write(dir.path().join(name), b"not ours").unwrap();
    }
    assert_eq!(read(dir.path()).unwrap().len(), 2, "readers ignore them");
    let (_, report) = open(dir.path()).unwrap();
    assert_eq!(report.removed_temporary.len(), 3);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 7, "{left:?}");
}

#[test]
fn an_open_segment_without_a_record_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 1, Ack::Written);
    let path = dir.path().join(segment_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[176..].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 0);
    let (journal, report) = open(dir.path()).unwrap();
    assert_eq!(report.removed_empty, std::slice::from_ref(&path));
    assert!(!path.exists() && report.sealed.is_empty());
    assert_eq!(journal.close().unwrap().newest_sealed, None);
}

#[test]
fn identities_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    append_and_stop(dir.path(), 1, 1, Ack::Synced);
    let path = dir.path().join("journal.json");
    let good = std::fs::read_to_string(&path).unwrap();
    for (bad, integrity) in [
        (String::new(), true),
        ("{".repeat(1000), true),
        (good.replace("\"format\": 1", "\"format\": 2"), false),
        (good.replace("\"lineage\"", "\"line\""), true),
        (good.replace("}", ", \"more\": 1}"), true),
        ("x".repeat(1 << 20), true),
    ] {
        std::fs::write(&path, &bad).unwrap();
        let error = open(dir.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind() == ErrorKind::Integrity, integrity, "{error:?}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = open(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::IdentityMissing { .. }), "{error:?}");
    std::fs::write(&path, &good).unwrap();
    assert!(open(dir.path()).is_ok());
    assert!(matches!(JournalDir::open(tempfile::tempdir().unwrap().path()), Err(Error::NotAJournal { .. })));
    assert!(matches!(JournalDir::open("/nowhere/at/all"), Err(Error::NotAJournal { .. })));
}

/// Recovery reads one sealed segment and the open ones, whatever the history is.
#[test]
fn recovery_does_not_read_history() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        append_and_stop(dir.path(), round + 1, round + 1, Ack::Synced);
    }
    open(dir.path()).unwrap().0.close().unwrap();
    // Unreadable, and nobody notices until it is read.
    for first in [1, 2, 3] {
        std::fs::write(dir.path().join(segment_name(first)), b"rubbish").unwrap();
    }
    let (_, report) = open(dir.path()).unwrap();
    assert_eq!(report.position.sequence, 4);
    assert!(read(dir.path()).is_err());
}
