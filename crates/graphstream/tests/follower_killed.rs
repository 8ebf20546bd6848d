//! A follower's process is killed with SIGKILL at every step of downloading, verifying, applying and committing, and goes on from what it has
//! left: the graph is the one that was never disturbed, and nothing is fetched in vain.
//!
//! ```text
//!  test ──kill at step N──▶ this binary again: Follower { store, cache, grafeo }
//!   ▲                              steps: before and after each request, in the middle of each body, when it has ended;
//!   └── the position and the graph │      before and after each batch (its commit is in between)
//!       agree; at the end: equal ◀─┘
//! ```
//!
//! `GRAPHSTREAM_KILL_ROUNDS=n` adds n restarts, from `GRAPHSTREAM_CRASH_SEED`; 100 are part of every run.
#![cfg(all(feature = "fs", feature = "grafeo", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "a module of two tests")]
#[path = "leader_killed/steps.rs"]
mod steps;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use graphstream::remote::{DatabaseName, Remote};
use graphstream::replay::ReplayTarget;
use graphstream::replication::FollowerOptions;
use graphstream::storage::StorageBackend;
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::target_grafeo::{GrafeoTarget, GraphDigest};
use graphstream::{Follower, Journal, JournalEntry, JournalOptions, Stop, Uploader};
use steps::{SteppedDatabase, SteppedReads, Steps};

const CHILD: &str = "the_followers_process";
const DIR: &str = "GRAPHSTREAM_TEST_FOLLOWER_DIR";
const STORE: &str = "GRAPHSTREAM_TEST_FOLLOWER_STORE";
const LAST_STEP: &str = "GRAPHSTREAM_TEST_FOLLOWER_STEP";
const ENTRIES: u64 = 90;
const BATCH: usize = 7;
/// Restarts at random steps that are part of every run.
const RESTARTS: u64 = 100;

fn remote(store: impl StorageBackend) -> Remote {
    Remote::new(Arc::new(store), "", DatabaseName::new("people").unwrap()).unwrap()
}

fn store(dir: &Path) -> FsBackend {
    FsBackend::open(dir, FsOptions::default()).unwrap()
}

/// Nodes, changes of what earlier entries made, and edges: an entry that is applied twice, or not at all, shows.
fn entry(number: u64) -> JournalEntry {
    let id = i64::try_from(number).unwrap();
    let query = match number % 3 {
        0 => "MATCH (p:Person {id: $of}) SET p.seen = p.seen + 1",
        1 => "CREATE (:Person {id: $id, seen: 0, more: $more})",
        _ => "MATCH (a:Person {id: $of}) CREATE (a)-[:KNOWS {since: $id}]->(:Person {id: $id, seen: 0})",
    };
    JournalEntry::new(query, 1_700_000_000_000)
        .with_param("id", id)
        .with_param("of", id - 1 - i64::from(number.is_multiple_of(3)))
        .with_param("more", "more".repeat(40))
}

/// A store with a history in many segments, some smaller than a batch.
async fn publish(dir: &Path) {
    let options = JournalOptions::default().with_segment_bytes_max(2 << 10);
    let (journal, _) = Journal::builder(dir.join("journal")).options(options).open().unwrap();
    for number in 1..=ENTRIES {
        let _not_waited_for = journal.append(entry(number).encode().unwrap()).unwrap();
        if number.is_multiple_of(20) {
            journal.seal().unwrap();
        }
    }
    journal.close().unwrap();
    let remote = remote(store(&dir.join("store")));
    let mut uploader =
        Uploader::open(dir.join("journal"), remote, Default::default(), Default::default()).await.unwrap();
    uploader.ship().await.unwrap();
}

/// What the follower's process does. Returns at once in the test's own process.
#[test]
fn the_followers_process() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let steps = Steps::until(std::env::var(LAST_STEP).unwrap().parse().unwrap());
    let store = store(Path::new(&std::env::var_os(STORE).unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let graph = SteppedDatabase(GrafeoTarget::open(dir.join("graph")).unwrap(), steps.clone());
        let options =
            FollowerOptions::default().with_batch_entries_max(BATCH).with_cache_dir(dir.join("cache"));
        let reads = remote(SteppedReads(store, steps.clone()));
        let mut follower = Follower::open(reads, Box::new(graph), options, Default::default()).await.unwrap();
        follower.catch_up(None, &Stop::new()).await.unwrap();
    });
    // The number of steps is the answer; its first digit says that there is one.
    std::fs::write(dir.join("steps"), steps.taken().to_string()).unwrap();
}

/// A follower's place.
struct Place<'a> {
    dir: tempfile::TempDir,
    store: &'a Path,
}

impl<'a> Place<'a> {
    fn new(store: &'a Path) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), store }
    }

    /// One life: the steps it took, if nobody killed it.
    fn live(&self, last_step: u64, kill_after: Option<Duration>) -> Option<u64> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env(DIR, self.dir.path())
            .env(STORE, self.store)
            .env(LAST_STEP, last_step.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        if let Some(moment) = kill_after {
            std::thread::sleep(moment);
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "at step {last_step}: {status}");
        let said = std::fs::read_to_string(self.dir.path().join("steps")).ok()?;
        status.success().then(|| said.parse().unwrap())
    }

    fn graph(&self) -> (u64, GraphDigest) {
        let mut graph = GrafeoTarget::open(self.dir.path().join("graph")).unwrap();
        let sequence = graph.position().unwrap().map_or(0, |position| position.sequence);
        let digest = graph.digest().unwrap();
        graph.close().unwrap();
        (sequence, digest)
    }

    /// Undisturbed to the end: then the graph is this one.
    #[track_caller]
    fn finish(&self, expected: &(u64, GraphDigest), context: &str) {
        self.live(u64::MAX, None).unwrap_or_else(|| panic!("{context}: nobody killed it"));
        assert_eq!(&self.graph(), expected, "{context}");
    }
}

struct History {
    dir: tempfile::TempDir,
    expected: (u64, GraphDigest),
    /// Of a life that nobody ends.
    steps: u64,
}

impl History {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(publish(dir.path()));
        let store = dir.path().join("store");
        let undisturbed = Place::new(&store);
        let steps = undisturbed.live(u64::MAX, None).expect("nobody kills it");
        let expected = undisturbed.graph();
        assert_eq!(expected.0, ENTRIES);
        assert!(expected.1.node_count > 50, "{expected:?}");
        drop(undisturbed);
        Self { dir, expected, steps }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

#[test]
fn r05_a_follower_killed_at_every_step_leaves_a_graph_that_the_next_one_completes() {
    let history = History::new();
    let store = history.store();
    assert!(history.steps > 40, "only {} steps", history.steps);
    let mut kills = 0;
    for step in 1..=history.steps {
        let place = Place::new(&store);
        if place.live(step, None).is_some() {
            // Requests are made several at once: there may be a step less.
            continue;
        }
        kills += 1;
        // Killed where it begins again, too.
        let _ = place.live(1 + step % 5, None);
        place.finish(&history.expected, &format!("killed at step {step}"));
    }
    eprintln!("{kills} kills, {} steps", history.steps);
    assert!(kills + 3 >= history.steps, "only {kills} of {} kills", history.steps);
}

#[test]
fn r05_restarts_at_random_apply_points_end_in_equal_graphs() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let restarts = number("GRAPHSTREAM_KILL_ROUNDS").unwrap_or(RESTARTS);
    let seed = number("GRAPHSTREAM_CRASH_SEED").unwrap_or(1);
    let mut bits = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |bound: u64| {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 3) % bound
    };
    let history = History::new();
    let store = history.store();
    let mut place = Place::new(&store);
    let (mut done, mut places) = (0, 0);
    while done < restarts {
        // Between two batches mostly; now and then anywhere, also within a commit.
        let ended = if below(4) == 0 {
            place.live(u64::MAX, Some(Duration::from_millis(5 + below(60))))
        } else {
            place.live(1 + below(history.steps / 4), None)
        };
        done += u64::from(ended.is_none());
        let (sequence, _) = place.graph();
        if ended.is_some() || sequence == ENTRIES {
            place.finish(&history.expected, &format!("seed {seed}, place {places}"));
            place = Place::new(&store);
            places += 1;
        }
    }
    place.finish(&history.expected, &format!("seed {seed}, the last place"));
    eprintln!("{done} restarts, {places} graphs");
}
