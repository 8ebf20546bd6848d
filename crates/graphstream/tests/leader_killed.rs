//! A leader's process is killed with SIGKILL between every two steps of executing, uploading and publishing, and goes on from what it has
//! left: database, journal and followers agree.
//!
//! ```text
//!  test ──kill at step N──▶ this binary again: Leader { grafeo, journal, store }
//!   ▲                              │ "executed 7 9"   "stored 9"
//!   └── what was said is there ◀───┘
//!        journal ⊇ database ⊇ what was executed     journal ⊇ store ⊇ what was stored     the next life heals
//! ```
//!
//! One place goes through many lives. `GRAPHSTREAM_KILL_ROUNDS=n` adds n kills at random steps, from `GRAPHSTREAM_CRASH_SEED`.
#![cfg(all(feature = "fs", feature = "grafeo", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "a module of two tests")]
#[path = "leader_killed/steps.rs"]
mod steps;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use graphstream::journal::ReaderOptions;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replay::{JsonlTarget, ReplayTarget};
use graphstream::replication::UploaderOptions;
use graphstream::storage::StorageBackend;
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::target_grafeo::GrafeoTarget;
use graphstream::{Follower, JournalEntry, JournalOptions, JournalReader, Leader, ParamValue, Stop};
use steps::{SteppedDatabase, SteppedFs, SteppedStore, Steps};

const CHILD: &str = "the_leaders_process";
const DIR: &str = "GRAPHSTREAM_TEST_LEADER_DIR";
const LAST_STEP: &str = "GRAPHSTREAM_TEST_LEADER_STEP";
/// Batches that a life executes; every third is forced into the store.
const BATCHES: usize = 5;
const LONG: Duration = Duration::from_secs(60);
/// A place is left for a fresh one after so many lives: every look reads all of it.
const LIVES: u64 = 25;

/// Entries that are executed together.
const fn batch_len(batch: usize) -> usize {
    [1, 3, 1, 2, 1][batch % BATCHES]
}

fn remote(store: impl StorageBackend) -> Remote {
    Remote::new(Arc::new(store), "", DatabaseName::new("people").unwrap()).unwrap()
}

fn store(dir: &Path) -> FsBackend {
    FsBackend::open(dir.join("store"), FsOptions::default()).unwrap()
}

/// The `place`th entry of a batch of this length that begins behind `sequence`.
fn entry(sequence: u64, place: usize, len: usize) -> JournalEntry {
    let number = |number: u64| i64::try_from(number).unwrap();
    JournalEntry::new("CREATE (:Person {id: $id, place: $place, of: $of, more: $more})", 1_700_000_000_000)
        .with_param("id", number(sequence + 1 + place as u64))
        .with_param("place", number(place as u64))
        .with_param("of", number(len as u64))
        .with_param("more", "more".repeat(64))
}

/// What the leader's process does. Returns at once in the test's own process.
#[test]
fn the_leaders_process() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let steps = Steps::until(std::env::var(LAST_STEP).unwrap().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lead(&dir, &steps));
    say(&format!("ended {}", steps.taken()));
}

fn say(line: &str) {
    // A line is one write: a kill leaves it whole or out.
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

async fn lead(dir: &Path, steps: &Steps) {
    let remote = remote(SteppedStore(store(dir), steps.clone()));
    let database = SteppedDatabase(GrafeoTarget::open(dir.join("graph")).unwrap(), steps.clone());
    // Small, so that segments are rotated, sealed and shipped in passing, too.
    let journal = JournalOptions::default().with_segment_bytes_max(1 << 10);
    let uploader = UploaderOptions::default().with_upload_interval(Duration::from_secs(3600));
    let builder =
        Leader::builder(dir.join("journal"), remote).journal_options(journal).uploader_options(uploader);
    let builder = builder.fs(Arc::new(SteppedFs(steps.clone()))).database(Box::new(database));
    let (leader, _) = builder.start().await.unwrap();
    for batch in 0..BATCHES {
        let (after, len) = (leader.journal().positions().written.sequence, batch_len(batch));
        let entries = (0..len).map(|place| entry(after, place, len)).collect();
        let written = leader.execute_batch(entries).await.unwrap();
        assert_eq!(written.first, after + 1);
        say(&format!("executed {} {}", written.first, written.position.sequence));
        if batch % 3 == 2 {
            say(&format!("stored {}", leader.sync().await.unwrap().sequence));
        }
    }
    let report = leader.shutdown(LONG).await.unwrap();
    say(&format!("stored {}", report.committed.sequence));
}

/// What a leader has said.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    executed: u64,
    stored: u64,
    /// Steps of a life that came to its end.
    steps: Option<u64>,
}

/// Where leaders live, one after the other.
struct Place {
    dir: tempfile::TempDir,
    said: Said,
    lives: u64,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), said: Said::default(), lives: 0 }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// One life, and everything that must hold after it. The steps it took if it came to its end.
    fn live(&mut self, last_step: u64) -> Option<u64> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env(DIR, self.path())
            .env(LAST_STEP, last_step.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        self.said.steps = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            self.hear(&line.unwrap());
        }
        let status = child.wait().unwrap();
        self.lives += 1;
        let context = format!("killed at step {last_step} of life {}", self.lives);
        assert!(ended(status), "{context}: {status}");
        assert_eq!(self.said.steps.is_some(), status.success(), "{context}");
        self.check(&context);
        self.said.steps
    }

    fn hear(&mut self, line: &str) {
        // The test runner's own lines are others, and may stand before one of ours.
        let mut words = line.rsplit(' ');
        let number = words.next().and_then(|word| word.parse::<u64>().ok());
        let Some(number) = number else { return };
        if line.contains("executed ") {
            self.said.executed = number;
        } else if line.contains("stored ") {
            self.said.stored = self.said.stored.max(number);
        } else if line.contains("ended ") {
            self.said.steps = Some(number);
        }
    }

    fn check(&self, context: &str) {
        let journaled = self.journal(context);
        let Said { executed, stored, .. } = self.said;
        assert!(journaled >= executed, "{context}: {executed} was executed, the journal ends at {journaled}");
        let published = self.follow(context);
        assert!(published >= stored, "{context}: {stored} was reported stored, followers have {published}");
        assert!(published <= journaled, "{context}: followers have {published}, the journal {journaled}");
        let database = self.database(context);
        assert!(database >= executed, "{context}: {executed} was executed, the database has {database}");
        assert!(database <= journaled, "{context}: the database has {database}, the journal {journaled}");
        if self.said.steps.is_some() {
            assert_eq!((database, published), (journaled, journaled), "{context}: at the end all are equal");
        }
    }

    /// The last sequence of the journal, of which every batch is whole and every sequence holds what was executed as it.
    fn journal(&self, context: &str) -> u64 {
        let dir = self.path().join("journal");
        if !dir.join("journal.json").exists() {
            return 0;
        }
        let mut last = 0;
        let mut missing = 0;
        for read in JournalReader::open(dir, ReaderOptions::default()).unwrap() {
            let read = read.unwrap_or_else(|error| panic!("{context}: {error}"));
            last += 1;
            assert_eq!(read.sequence, last, "{context}");
            let entry = JournalEntry::decode(&read.payload, read.sequence).unwrap();
            let number = |name: &str| match entry.params.iter().find(|(key, _)| key == name) {
                Some((_, ParamValue::Int64(number))) => u64::try_from(*number).unwrap(),
                other => panic!("{context}: {other:?}"),
            };
            assert_eq!(number("id"), last, "{context}: another entry than was executed");
            missing = if number("place") == 0 { number("of") } else { missing } - 1;
        }
        assert_eq!(missing, 0, "{context}: a batch in parts");
        last
    }

    /// What a follower gets, one that goes on from life to life: each entry once, in order.
    fn follow(&self, context: &str) -> u64 {
        let path = self.path().join("follower.jsonl");
        let target = JsonlTarget::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let caught_up = runtime.block_on(async {
            let options = Default::default();
            let mut follower =
                Follower::open(remote(store(self.path())), Box::new(target), options, Default::default())
                    .await?;
            follower.catch_up(None, &Stop::new()).await
        });
        if let Err(error) = caught_up {
            assert!(
                matches!(error, graphstream::replication::Error::NoDatabase { .. }),
                "{context}: {error}"
            );
        }
        let text = std::fs::read_to_string(path).unwrap();
        let ids = text.lines().map(|line| {
            let (_, rest) = line.split_once("\"id\":").unwrap();
            rest.split([',', '}']).next().unwrap().trim().parse::<u64>().unwrap()
        });
        let ids: Vec<u64> = ids.collect();
        let count = ids.len() as u64;
        assert!(ids.into_iter().eq(1..=count), "{context}: followers have each entry once and in order");
        count
    }

    /// The last sequence of the database: it holds a node for each up to it.
    fn database(&self, context: &str) -> u64 {
        let mut database = GrafeoTarget::open(self.path().join("graph")).unwrap();
        let last = database.position().unwrap().map_or(0, |position| position.sequence);
        let nodes = database.digest().unwrap().node_count;
        assert_eq!(nodes, last, "{context}: the database's position and what it holds");
        database.close().unwrap();
        last
    }
}

fn ended(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(9)
}

/// R05, L11: a fifth of all steps, by turns: those of the first life in an empty place, and those of lives that find what others left.
#[test]
fn r05_l11_a_leader_killed_between_any_two_steps_leaves_database_journal_and_followers_agreed() {
    let whole = Place::new().live(u64::MAX).expect("nobody kills it");
    assert!(whole > 150, "only {whole} steps");
    let mut kills = 0;
    let mut inherited = Place::new();
    for step in (1..=whole).step_by(5) {
        kills += u64::from(Place::new().live(step).is_none());
        kills += u64::from(inherited.live(step + 2).is_none());
        if inherited.lives == LIVES {
            inherited.live(u64::MAX).expect("nobody kills it");
            inherited = Place::new();
        }
    }
    inherited.live(u64::MAX).expect("nobody kills it");
    eprintln!("{kills} kills, {whole} steps");
    assert!(kills >= 50, "only {kills} kills");
}

/// As long as asked for: any steps of any lives.
#[test]
fn r05_l11_a_leader_killed_at_random_steps_goes_on_from_what_it_has_left() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let Some(rounds) = number("GRAPHSTREAM_KILL_ROUNDS") else { return };
    let mut bits =
        number("GRAPHSTREAM_CRASH_SEED").unwrap_or(1).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |bound: u64| {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 3) % bound
    };
    let (mut kills, mut lives) = (0, 0);
    let mut place = Place::new();
    while kills < rounds {
        // A life that finds much has more steps than one in an empty place.
        kills += u64::from(place.live(1 + below(400)).is_none());
        lives += 1;
        if place.lives == LIVES {
            place.live(u64::MAX).expect("nobody kills it");
            place = Place::new();
        }
    }
    eprintln!("{kills} kills in {lives} lives");
}
