//! The real binary is killed with SIGKILL at its Nth system call, for each N, and its system calls fail: what it acknowledged is
//! there, whatever else is.
//!
//! ```text
//!  test ──line──▶ strace, which injects ──▶ graphstream append --ack synced --acks ──▶ journal
//!    ▲                                                   │                               │
//!    └───────────────── sequence ◀───────────────────────┘       cat --json ◀────────────┘
//! ```
//!
//! One line is on its way at a time, so the test knows what had to be there at the moment of the kill. One journal goes through many
//! lives: each finds what the one before has left. Without strace the tests say that they are skipped.
//! `GRAPHSTREAM_KILL_ROUNDS=n` adds n kills at random places, from `GRAPHSTREAM_CRASH_SEED`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use cli::{Graphstream, Place, entry};
use graphstream_testkit::AckLog;

const KILL: i32 = 9;
/// Enough to rotate several times at 1 KiB.
const LINES: u64 = 32;

/// The calls by which anything reaches the disk, and those around them.
const CALLS: [&str; 8] =
    ["pwrite64", "fdatasync", "fsync", "rename", "openat", "ftruncate", "pread64", "write"];

/// Whether processes can be traced here.
fn strace() -> bool {
    let traced =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let able = traced.is_ok_and(|status| status.success());
    if !able {
        eprintln!(
            "SKIPPED: no process was killed at a system call, because strace is missing or may not trace."
        );
    }
    able
}

/// A journal, and what was said about its entries.
struct Writer {
    place: Place,
    log: AckLog,
}

impl Writer {
    fn new() -> Self {
        Self { place: Place::new(), log: AckLog::default() }
    }

    /// Appends line by line under an injection, until the process ends. Returns its exit code (none: killed), and how many lines it
    /// acknowledged.
    fn live(&mut self, inject: &str) -> (Option<i32>, usize) {
        let (calls, _) = inject.split_once(':').unwrap();
        let (trace, inject) = (format!("trace=fdatasync,write,{calls}"), format!("inject={inject}"));
        let mut child = Command::new("strace")
            .args(["-f", "-qq", "-e", &trace, "-e", &inject, "-o"])
            .arg(self.place.path("calls"))
            .arg(env!("CARGO_BIN_EXE_graphstream"))
            .args([
                "append",
                "--quiet",
                "--ack",
                "synced",
                "--acks",
                "--segment-bytes-max",
                "1KiB",
                "--journal",
            ])
            .arg(self.place.journal())
            // Cargo's: the loader would look for its libraries there, a hundred calls that say nothing.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut acks = 0;
        self.log.start_life();
        for _ in 0..LINES {
            let number = self.log.send(1);
            if writeln!(input, "{}", entry(number)).is_err() {
                break;
            }
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let Some(sequence) = line.strip_suffix('\n') else { break };
            self.log.acknowledge(sequence.parse().unwrap(), number);
            acks += 1;
        }
        drop(input);
        let status = child.wait().unwrap();
        assert!(status.code().is_some() || status.signal() == Some(KILL), "{inject}: {status}");
        (status.code(), acks)
    }

    /// What `cat --json` shows is what was sent, with everything acknowledged. It stays what it is from then on: nothing here is lost
    /// but processes.
    fn check(&mut self, context: &str) {
        if self.log.acknowledged() == 0 && !self.place.journal().join("journal.json").exists() {
            return;
        }
        let shown: Vec<(u64, u64)> = self
            .place
            .cat()
            .iter()
            .map(|entry| {
                let number = entry["params"]["id"].as_u64().unwrap();
                assert_eq!(entry["query"], cli::entry(number)["query"], "{context}");
                (entry["sequence"].as_u64().unwrap(), number)
            })
            .collect();
        self.log.check(&shown).unwrap_or_else(|broken| panic!("{context}: {broken}"));
        self.log.settle(&shown);
    }
}

/// Works on all items, on as many threads as there are processors.
fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// R01: at each call of each kind. A kind is done when a life sees its end.
#[test]
fn r01_a_writer_killed_at_its_nth_system_call_loses_nothing_it_acknowledged() {
    if !strace() {
        return;
    }
    let kills = AtomicUsize::new(0);
    in_parallel(&CALLS, |call| {
        let mut writer = Writer::new();
        for n in 1.. {
            let inject = format!("{call}:signal=SIGKILL:when={n}");
            let (code, _) = writer.live(&inject);
            writer.check(&inject);
            if code.is_some() {
                assert_eq!(code, Some(0), "{inject}");
                assert!(n > 1, "{call} is not called at all");
                break;
            }
            kills.fetch_add(1, Ordering::Relaxed);
        }
    });
    let kills = kills.into_inner();
    eprintln!("{kills} kills");
    assert!(kills >= 150, "only {kills} kills");
}

/// R01, as long as asked for: any calls, journals that live through many kills.
#[test]
fn r01_a_writer_killed_at_random_system_calls_loses_nothing_it_acknowledged() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let Some(rounds) = number("GRAPHSTREAM_KILL_ROUNDS").filter(|_| strace()) else { return };
    let seed = number("GRAPHSTREAM_CRASH_SEED").unwrap_or(1);
    let lanes: Vec<u64> = (0..rounds.div_ceil(50)).map(|lane| seed.wrapping_mul(1000) + lane).collect();
    let kills = AtomicUsize::new(0);
    in_parallel(&lanes, |lane| {
        let mut writer = Writer::new();
        let mut bits = (lane + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            (bits >> 3) % bound
        };
        for round in 0..50 {
            let calls = if below(3) == 0 {
                CALLS.join(",")
            } else {
                CALLS[below(CALLS.len() as u64) as usize].to_owned()
            };
            let n = 1 + below(if calls.contains(',') { 60 } else { 12 });
            let inject = format!("{calls}:signal=SIGKILL:when={n}");
            let (code, _) = writer.live(&inject);
            writer.check(&format!("journal {lane}, round {round}: {inject}"));
            kills.fetch_add(usize::from(code.is_none()), Ordering::Relaxed);
        }
    });
    eprintln!("{} kills at random system calls", kills.into_inner());
}

/// L04: an fdatasync that fails once ends the writer with code 3. It acknowledges nothing any more, though the next one would
/// succeed.
#[test]
fn l04_one_failed_fdatasync_ends_the_process_without_an_acknowledgement() {
    if !strace() {
        return;
    }
    let each: Vec<usize> = (1..=6).collect();
    in_parallel(&each, |n| {
        let mut writer = Writer::new();
        let inject = format!("fdatasync:error=EIO:when={n}");
        let (code, acks) = writer.live(&inject);
        assert_eq!(code, Some(3), "{inject}");
        // Calls are counted per thread, and any may sync: the trace says what came first.
        assert!((n - 1..LINES as usize).contains(&acks), "{inject}: {acks} acknowledgements");
        let calls = std::fs::read_to_string(writer.place.path("calls")).unwrap();
        let (before, after) = calls.split_once("(INJECTED)").unwrap();
        assert_eq!(before.matches(" write(1, ").count(), acks, "{inject}");
        assert!(!after.contains(" write(1, "), "{inject}: acknowledged after the failure: {after}");
        writer.check(&inject);
        // The next writer seals what is there, and goes on.
        assert_eq!(writer.live("fdatasync:error=EIO:when=1000"), (Some(0), LINES as usize), "after {inject}");
        writer.check(&inject);
    });
}

/// L05, L06, L14: any call fails once: code 3 or none the worse, and nothing acknowledged is lost.
#[test]
fn l05_l06_l14_any_failing_call_loses_nothing_that_was_acknowledged() {
    if !strace() {
        return;
    }
    let faults = [
        ("pwrite64", "EIO"),
        ("pwrite64", "ENOSPC"),
        ("fsync", "EIO"),
        ("rename", "EIO"),
        ("pread64", "EIO"),
    ];
    let failures = AtomicUsize::new(0);
    in_parallel(&faults, |(call, errno)| {
        let mut writer = Writer::new();
        // The first calls of a life are those of opening; a journal with an open segment makes the most of them.
        for n in [1, 2, 3, 4, 5, 7, 9, 12] {
            let inject = format!("{call}:error={errno}:when={n}");
            let (code, acks) = writer.live(&inject);
            match code {
                Some(0) => assert_eq!(acks as u64, LINES, "{inject}"),
                // It could not even be loaded.
                Some(127) if *call == "pread64" => {}
                Some(3) => drop(failures.fetch_add(1, Ordering::Relaxed)),
                other => panic!("{inject}: code {other:?}"),
            }
            writer.check(&inject);
        }
        assert_eq!(writer.live("fsync:error=EIO:when=1000").0, Some(0), "after {call} {errno}");
        writer.check(call);
    });
    let failures = failures.into_inner();
    assert!(failures >= 20, "only {failures} failures");
}

/// A small file system in memory; unmounted with it.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: no disk was full, because a tmpfs can't be mounted here (that takes root).");
        }
        mounted.then_some(Self(at))
    }

    fn resize(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// L06, promise 9: a full disk ends `append` with code 3, keeps what was acknowledged, and is no harm once there is space.
#[test]
fn l06_a_full_disk_keeps_what_was_acknowledged() {
    let mut writer = Writer::new();
    let journal = writer.place.journal();
    let Some(disk) = Tmpfs::mount(&journal, 64 << 10) else { return };
    let lines = |first: u64| -> String { (first..first + 2000).map(|n| format!("{}\n", entry(n))).collect() };
    let append = |lines: String| {
        let flags = ["--acks", "--quiet", "--segment-bytes-max", "8KiB", "--journal"];
        Graphstream::new("append").args(flags).arg(&journal).stdin(lines).run()
    };
    let acknowledged = |log: &mut AckLog, first: u64, finished: &cli::Finished| {
        for (sequence, line) in finished.lines().iter().zip(first..) {
            log.acknowledge(sequence.parse().unwrap(), line);
        }
    };
    writer.log.start_life();
    writer.log.send(2000);
    let full = append(lines(1)).expect_code(3);
    acknowledged(&mut writer.log, 1, &full);
    assert!(writer.log.acknowledged() < 2000, "the disk was not full");
    writer.check("on a full disk");
    // It stays full, and stays whole.
    writer.log.start_life();
    writer.log.send(2000);
    let still = append(lines(2001)).expect_code(3);
    acknowledged(&mut writer.log, 2001, &still);
    disk.resize(4 << 20);
    writer.log.start_life();
    writer.log.send(2000);
    let after = append(lines(4001)).expect_code(0);
    acknowledged(&mut writer.log, 4001, &after);
    assert_eq!(after.lines().len(), 2000);
    writer.check("with space again");
}
