use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use graphstream_format::{ChainHash, Lineage};
use graphstream_proto::JournalEntry;
use proptest::prelude::*;

use super::file::LineFile;
use super::*;
use crate::ErrorClass;

fn entries(first: u64, count: u64) -> Vec<ReplayEntry> {
    let mut chain_hash = ChainHash::ZERO;
    let mut all = Vec::new();
    for sequence in 1..first + count {
        let entry = JournalEntry::new("CREATE (:N {id: $id, text: $text})", 5)
            .with_param("id", i64::try_from(sequence).unwrap())
            .with_param("text", "a \"line\"\nwith \u{1f980} in it");
        chain_hash = chain_hash.after(&entry.encode().unwrap());
        all.push(ReplayEntry { sequence, commit_ms: 7, chain_hash, entry });
    }
    all.split_off(usize::try_from(first - 1).unwrap())
}

const LINEAGE: Lineage = Lineage::from_bytes([3; 16]);

fn apply(target: &mut JsonlTarget, first: u64, count: u64) -> Result<()> {
    let batch = entries(first, count);
    let position = batch.last().unwrap().position(LINEAGE);
    target.apply(&batch, position)
}

/// What the lines of a file are about.
fn sequences(bytes: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "torn: {text:?}");
    text.lines().map(|line| graphstream_proto::json::parse_entry_line(line).unwrap().sequence).collect()
}

#[test]
fn lines_are_those_of_cat_with_the_lineage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let mut target = JsonlTarget::open(&path).unwrap();
    apply(&mut target, 1, 2).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let expected = &entries(1, 2)[1];
    let line = text.lines().nth(1).unwrap();
    let parsed = graphstream_proto::json::parse_entry_line(line).unwrap();
    assert_eq!(parsed.lineage.as_deref(), Some(LINEAGE.to_string().as_str()));
    assert_eq!(parsed.chain_hash, expected.chain_hash.to_string());
    assert_eq!(parsed.commit_ms, 7);
    assert_eq!(*parsed.entry, expected.entry);
}

#[test]
fn l01_torn_line_at_every_byte_is_cut_and_the_position_is_the_last_whole_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let mut target = JsonlTarget::open(&path).unwrap();
    apply(&mut target, 1, 3).unwrap();
    drop(target);
    let whole = std::fs::read(&path).unwrap();
    let first_line = whole.iter().position(|&byte| byte == b'\n').unwrap();
    // The first line and the last: what lies between adds nothing but syncs.
    let last_line = 2 * first_line..=whole.len();
    for len in (0..=first_line + 1).chain(last_line) {
        std::fs::write(&path, &whole[..len]).unwrap();
        let mut target = JsonlTarget::open(&path).unwrap();
        let lines = whole[..len].iter().filter(|&&byte| byte == b'\n').count() as u64;
        let at = target.position().unwrap().map_or(0, |position| position.sequence);
        assert_eq!(at, lines, "cut at {len}");
        // It goes on from there, as if nothing had happened.
        if lines < 3 {
            apply(&mut target, lines + 1, 3 - lines).unwrap();
        }
        drop(target);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn long_lines_are_found_across_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let entry = JournalEntry::new("CREATE (:N {v: $v})", 0).with_param("v", "x".repeat(300_000));
    let chain_hash = ChainHash::ZERO.after(&entry.encode().unwrap());
    let batch = [ReplayEntry { sequence: 1, commit_ms: 0, chain_hash, entry }];
    let position = batch[0].position(LINEAGE);
    JsonlTarget::open(&path).unwrap().apply(&batch, position).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[..whole.len() - 1]);
    std::fs::write(&path, torn).unwrap();
    assert_eq!(JsonlTarget::open(&path).unwrap().position().unwrap(), Some(position));
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn somebody_elses_file_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let without_lineage =
        r#"{"sequence":1,"commit_ms":0,"chain_hash":"00","query":"Q","params":{},"timestamp_ms":0}"#;
    for content in ["no line of ours", "no line of ours\n", "\n", "{}\n", "\u{0}\u{0}", "x\n{\"torn"] {
        std::fs::write(&path, content).unwrap();
        let error = JsonlTarget::open(&path).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Damaged, "{content:?}: {error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    std::fs::write(&path, format!("{without_lineage}\n")).unwrap();
    assert!(matches!(JsonlTarget::open(&path), Err(Error::Damaged { offset: 0, .. })));
}

#[test]
fn l15_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = JsonlTarget::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NotAFile { found: "a directory", .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn l15_symlink_and_fifo_are_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real.jsonl");
    drop(JsonlTarget::open(&real).unwrap());
    for (name, to) in [("link", real.as_path()), ("dangling", Path::new("nowhere"))] {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(to, &link).unwrap();
        let error = JsonlTarget::open(&link).unwrap_err();
        assert!(matches!(error, Error::NotAFile { found: "a symbolic link", .. }), "{error}");
    }
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let error = JsonlTarget::open(&fifo).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
}

#[test]
fn l16_second_target_on_one_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let mut first = JsonlTarget::open(&path).unwrap();
    let error = JsonlTarget::open(&path).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert!(error.reason().unwrap().contains("has it open"));
    first.close().unwrap();
    drop(JsonlTarget::open(&path).unwrap());
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<(Vec<u8>, bool)>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        if inner.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        inner.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn stream_is_at_least_once_and_a_broken_pipe_is_gone() {
    let pipe = Pipe::default();
    let mut target = JsonlTarget::stream("jsonl:-", pipe.clone());
    assert_eq!(target.guarantee(), Guarantee::AtLeastOnce);
    assert_eq!(target.position().unwrap(), None);
    apply(&mut target, 1, 2).unwrap();
    assert_eq!(sequences(&pipe.0.lock().unwrap().0), [1, 2]);
    assert_eq!(target.position().unwrap().unwrap().sequence, 2);
    pipe.0.lock().unwrap().1 = true;
    let error = apply(&mut target, 3, 1).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    assert_eq!(target.position().unwrap_err().class(), ErrorClass::Gone);
}

/// What the disk holds and what only the page cache does.
#[derive(Debug, Default)]
struct Disk {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Operations until everything fails.
    operations_left: Option<u32>,
    /// How much of a failing write still arrives.
    partial: usize,
}

/// A file that fails at the n-th operation and from then on.
#[derive(Debug, Clone)]
struct FaultFile(Arc<Mutex<Disk>>);

impl FaultFile {
    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = self.0.lock().unwrap();
        match &mut disk.operations_left {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(disk)
    }
}

impl LineFile for FaultFile {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().cached.len() as u64
    }
    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let disk = self.step()?;
        let from = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&disk.cached[from..from + buffer.len()]);
        Ok(())
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.step() {
            Ok(mut disk) => {
                disk.cached.extend_from_slice(bytes);
                Ok(())
            }
            Err(error) => {
                let mut disk = self.0.lock().unwrap();
                let partial = disk.partial.min(bytes.len());
                disk.cached.extend_from_slice(&bytes[..partial]);
                Err(error)
            }
        }
    }
    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut disk = self.step()?;
        disk.cached.truncate(usize::try_from(len).unwrap());
        disk.durable = disk.cached.clone();
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.step()?;
        disk.durable = disk.cached.clone();
        Ok(())
    }
}

/// Applies 1, 2 to 4, 5 to 6; reopens after an error, as a follower does. Returns what was reported as applied: at once, or, of lines, when
/// it is asked where it stands.
fn run(disk: &Arc<Mutex<Disk>>, as_lines: bool) -> u64 {
    let open = || JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(disk))));
    let mut applied = 0;
    let Ok(mut target) = open() else { return applied };
    applied = target.position().unwrap().map_or(0, |position| position.sequence);
    let mut taken = applied;
    for (first, count) in [(1, 1), (2, 3), (5, 2)] {
        if first + count - 1 <= taken {
            continue;
        }
        let (first, count) = (taken + 1, first + count - 1 - taken);
        let durable = match as_lines {
            true => apply_lines(&mut target, first, count),
            false => apply(&mut target, first, count).map(|()| true),
        };
        let Ok(durable) = durable else { return applied };
        taken = first + count - 1;
        if durable {
            applied = taken;
        }
    }
    match target.position() {
        Ok(position) => position.unwrap().sequence,
        Err(_) => applied,
    }
}

fn apply_lines(target: &mut JsonlTarget, first: u64, count: u64) -> Result<bool> {
    let mut lines = LineBatch::new(LINEAGE);
    for entry in entries(first, count) {
        lines.push(entry.sequence, entry.commit_ms, entry.chain_hash, &entry.entry);
    }
    target.apply_lines(&lines)
}

#[test]
fn lines_wait_for_their_sync_until_somebody_asks() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let mut target =
        JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(&disk)))).unwrap();
    assert!(!apply_lines(&mut target, 1, 2).unwrap());
    assert!(!apply_lines(&mut target, 3, 1).unwrap());
    assert_eq!(sequences(&disk.lock().unwrap().cached), [1, 2, 3]);
    assert!(disk.lock().unwrap().durable.is_empty());
    assert_eq!(target.position().unwrap().unwrap().sequence, 3);
    assert_eq!(sequences(&disk.lock().unwrap().durable), [1, 2, 3]);
    // Entries are durable with the lines before them, and so is what is closed.
    assert!(!apply_lines(&mut target, 4, 1).unwrap());
    apply(&mut target, 5, 1).unwrap();
    assert_eq!(sequences(&disk.lock().unwrap().durable), [1, 2, 3, 4, 5]);
    assert!(!apply_lines(&mut target, 6, 1).unwrap());
    target.close().unwrap();
    assert_eq!(sequences(&disk.lock().unwrap().durable), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn no_more_than_a_bound_waits_for_its_sync() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let mut target =
        JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(&disk)))).unwrap();
    let entry = JournalEntry::new("CREATE (:N {v: $v})", 0).with_param("v", "x".repeat(3 << 20));
    let mut durable = Vec::new();
    for sequence in 1..=12 {
        let mut lines = LineBatch::new(LINEAGE);
        lines.push(sequence, 0, ChainHash::ZERO, &entry);
        durable.push(target.apply_lines(&lines).unwrap());
    }
    assert_eq!(durable.iter().filter(|durable| **durable).count(), 2, "{durable:?}");
}

/// On a real file, where syncs run on another thread meanwhile.
#[test]
fn much_that_is_appended_is_synced_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let mut target = JsonlTarget::open(&path).unwrap();
    let entry = JournalEntry::new("CREATE (:N {v: $v})", 0).with_param("v", "x".repeat(1 << 20));
    for sequence in 1..=40 {
        let mut lines = LineBatch::new(LINEAGE);
        lines.push(sequence, 0, ChainHash::ZERO, &entry);
        target.apply_lines(&lines).unwrap();
    }
    assert_eq!(target.position().unwrap().unwrap().sequence, 40);
    target.close().unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(sequences(&whole), Vec::from_iter(1..=40));
    assert_eq!(JsonlTarget::open(&path).unwrap().position().unwrap().unwrap().sequence, 40);
}

#[test]
fn l05_l06_failure_at_every_operation_keeps_what_was_reported_and_leaves_a_prefix() {
    for partial in [0, 1, 150, 400, 100_000] {
        for fails_at in 0..40 {
            // `lost`: the machine dies, only what was synced is left. Otherwise the process dies.
            for (lost, as_lines) in [(false, false), (true, false), (false, true), (true, true)] {
                let disk = Arc::new(Mutex::new(Disk::default()));
                {
                    let mut disk = disk.lock().unwrap();
                    disk.operations_left = Some(fails_at);
                    disk.partial = partial;
                }
                let applied = run(&disk, as_lines);
                {
                    let mut disk = disk.lock().unwrap();
                    disk.operations_left = None;
                    if lost {
                        disk.cached = disk.durable.clone();
                    }
                }
                let mut target =
                    JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(&disk)))).unwrap();
                let at = target.position().unwrap().map_or(0, |position| position.sequence);
                assert!(
                    at >= applied,
                    "reported {applied}, kept {at} (fails at {fails_at}, lost {lost}, lines {as_lines})"
                );
                drop(target);
                assert_eq!(run(&disk, as_lines), 6);
                let disk = disk.lock().unwrap();
                assert_eq!(sequences(&disk.cached), [1, 2, 3, 4, 5, 6]);
                assert_eq!(disk.durable, disk.cached);
            }
        }
    }
}

#[test]
fn l04_a_failed_sync_cuts_back_to_what_is_proven() {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let mut target =
        JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(&disk)))).unwrap();
    apply(&mut target, 1, 1).unwrap();
    let proven = disk.lock().unwrap().durable.clone();
    // The write works, its sync doesn't, and the cut after it does again.
    #[derive(Debug)]
    struct OneBadSync(FaultFile, bool);
    impl LineFile for OneBadSync {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read_exact_at(offset, buffer)
        }
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.append(bytes)
        }
        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.0.cut(len)
        }
        fn sync(&mut self) -> io::Result<()> {
            if std::mem::take(&mut self.1) { Err(io::Error::other("EIO")) } else { self.0.sync() }
        }
    }
    drop(target);
    let file = FaultFile(Arc::clone(&disk));
    let mut target = JsonlTarget::with_file(Path::new("out"), Box::new(OneBadSync(file, false))).unwrap();
    if let Sink::File { file, .. } = &mut target.sink {
        *file = Some(Box::new(OneBadSync(FaultFile(Arc::clone(&disk)), true)));
    }
    let error = apply(&mut target, 2, 2).unwrap_err();
    assert!(matches!(error, Error::Gone { attempt: "syncing a batch", .. }), "{error}");
    assert_eq!(disk.lock().unwrap().cached, proven);
    assert_eq!(disk.lock().unwrap().durable, proven);
    assert_eq!(apply(&mut target, 2, 2).unwrap_err().class(), ErrorClass::Gone);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a file holds: an error or a position, never a panic, and nothing is changed on an error.
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(
        prop_oneof![Just(b'\n'), Just(b'{'), Just(b'"'), any::<u8>()], 0..200)) {
        let disk = Arc::new(Mutex::new(Disk { cached: bytes.clone(), ..Disk::default() }));
        let opened = JsonlTarget::with_file(Path::new("out"), Box::new(FaultFile(Arc::clone(&disk))));
        match opened {
            Ok(mut target) => prop_assert!(target.position().unwrap().is_none()),
            Err(error) => {
                prop_assert_eq!(error.class(), ErrorClass::Damaged);
                prop_assert_eq!(&disk.lock().unwrap().cached, &bytes);
            }
        }
    }
}
