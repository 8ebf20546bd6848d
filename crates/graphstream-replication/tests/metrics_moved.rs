//! Every metric that is exported moves in some real event, seen as a scraper sees it: in the text, through the public API alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graphstream_journal::{Ack, Journal, JournalOptions, WhenFull};
use graphstream_metrics::{GraphstreamMetrics, MetricKind};
use graphstream_proto::JournalEntry;
use graphstream_remote::{DatabaseName, Remote};
use graphstream_replay::ReplayTarget;
use graphstream_replication::{Follower, Leader, SkippingTarget, Stop, VerifyDepth, verify_published};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{
    CircuitBreakerConfig, ErrorClass, FaultBackend, GetOptions, GetOutcome, MemoryBackend, Operation,
    PutMode, RetryConfig, StackConfig,
};
use graphstream_testkit::{CrashFs, Fault as DiskFault};
use world::{LONG, Recorder, append, append_to, cut_off, eager_follower, patient_uploads, small_segments};

/// The metrics that had another value than 0 when somebody looked.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn look(&mut self, metrics: &GraphstreamMetrics) {
        let text = metrics.snapshot().to_prometheus();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            if value.parse::<f64>().unwrap() != 0.0 {
                self.0.insert(series.split('{').next().unwrap().to_owned());
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Looks until the metric has moved.
    async fn wait(&mut self, metrics: &GraphstreamMetrics, name: &str) {
        let moved = async {
            loop {
                self.look(metrics);
                if self.has(name) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, moved).await.unwrap_or_else(|_| panic!("{name} does not move"));
    }

    fn unmoved(&self) -> Vec<&'static str> {
        let unmoved = GraphstreamMetrics::descriptions().into_iter().filter(|description| {
            let ending = match description.kind {
                MetricKind::Counter => "_total",
                MetricKind::Gauge => "",
                MetricKind::Histogram => "_count",
            };
            !self.has(&format!("{}{ending}", description.name))
        });
        unmoved.map(|description| description.name).collect()
    }
}

/// A journal is written, sealed, full, and poisoned.
fn journal(seen: &mut Seen) {
    let metrics = GraphstreamMetrics::shared();
    let fs = CrashFs::new();
    let open = |fs: &CrashFs, options: JournalOptions| {
        let metrics = Arc::clone(&metrics);
        Journal::builder("/journal")
            .fs(Arc::new(fs.clone()))
            .metrics(metrics)
            .options(options)
            .open()
            .unwrap()
            .0
    };
    let opened = open(&fs, small_segments());
    append_to(&opened, 1, 20);
    opened.seal().unwrap();
    seen.look(&metrics);
    // A full disk: what is in the open segment can't be sealed and waits, and nothing more is written.
    append_to(&opened, 21, 22);
    fs.take_space();
    opened.append([1; 8]).unwrap().wait(Ack::Synced).unwrap_err();
    opened.seal().unwrap_err();
    seen.look(&metrics);
    fs.give_space();
    drop(opened);
    // Segments that nobody has read, up to the budget.
    let fs = CrashFs::new();
    let budget = small_segments().with_held_bytes_max(2048).with_when_full(WhenFull::Fail);
    let opened = open(&fs, budget);
    opened.dir().set_cursor("reader", 0, 0).unwrap();
    let refused =
        (0..100).find_map(|_| opened.append([1; 256]).and_then(|ticket| ticket.wait(Ack::Synced)).err());
    assert!(matches!(refused, Some(graphstream_journal::Error::BudgetFull { .. })), "{refused:?}");
    seen.look(&metrics);
    drop(opened);
    // A sync that fails, wherever in its calls it is.
    for call in 0..100 {
        let fs = CrashFs::new();
        let journal = open(&fs, JournalOptions::default());
        fs.fail(fs.calls() + call, DiskFault::Error(ErrorKind::Other));
        let _ = journal.append([1; 8]).and_then(|ticket| ticket.wait(Ack::Synced));
        seen.look(&metrics);
        if seen.has("graphstream_journal_poisoned") {
            return;
        }
    }
    panic!("no failed call poisons");
}

/// A database of lines is copied into the store, and once it can't be; another one is replaced from the copy.
async fn snapshots(seen: &mut Seen) {
    let world = world::World::new();
    world.published(12).await;
    let metrics = GraphstreamMetrics::shared();
    let path = world.lines("database", 12).await;
    world.snapshot_of(&path).metrics(Arc::clone(&metrics)).create().await.unwrap();
    // A follower that fell behind what is retained begins with it.
    let behind = world.lines("behind", 3).await;
    for key in world.segments().await {
        world.remove(&key).await;
    }
    let target = Box::new(graphstream_replay::JsonlTarget::open(&behind).unwrap());
    let follower =
        Follower::open(world.remote(), target, eager_follower(), Arc::clone(&metrics)).await.unwrap();
    let mut follower = follower.replaceable_at(&behind, Arc::new(graphstream_replication::JsonlEngine));
    follower.catch_up(None, &Stop::new()).await.unwrap();
    world.snapshot_of(&world.dir("nothing")).metrics(Arc::clone(&metrics)).create().await.unwrap_err();
    seen.look(&metrics);
}

/// A store with all decorators that fails on demand, and gives up early.
fn store(faults: &FaultBackend, metrics: &Arc<GraphstreamMetrics>) -> Remote {
    let retry = RetryConfig::default()
        .with_attempts_max(2)
        .with_pause_first(Duration::from_millis(1))
        .with_pause_max(Duration::from_millis(1));
    let breaker =
        CircuitBreakerConfig::default().with_failures_max(2).with_open_interval(Duration::from_millis(20));
    let stack = StackConfig::default().with_retry(retry).with_circuit_breaker(breaker);
    Remote::new(stack.wrap(faults.clone(), metrics), "", DatabaseName::new("people").unwrap()).unwrap()
}

/// Copies a journal's directory, as a restored disk image does.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to);
        } else {
            std::fs::copy(file.path(), to).unwrap();
        }
    }
}

/// A leader publishes, loses its store, gets it back, loses answers, and is fenced.
async fn leader(seen: &mut Seen, dir: &Path, faults: &FaultBackend) {
    let metrics = GraphstreamMetrics::shared();
    let start = |dir: &Path, metrics: &Arc<GraphstreamMetrics>| {
        Leader::builder(dir, store(faults, metrics))
            .journal_options(small_segments())
            .uploader_options(patient_uploads())
            .metrics(Arc::clone(metrics))
            .start()
    };
    let (leading, _) = start(&dir.join("old"), &metrics).await.unwrap();
    append(&leading, 1, 10).await;
    leading.sync().await.unwrap();
    seen.look(&metrics);
    let put = |fault| Rule::new(Operation::Put, fault);
    // The answer to a put is lost: what stands there is read back.
    faults.inject(put(Fault::After(ErrorClass::TimeoutUnknown)).on_key("seg/"));
    append(&leading, 11, 12).await;
    leading.sync().await.unwrap();
    seen.wait(&metrics, "graphstream_storage_resolved_puts_total").await;
    faults.clear();

    faults.inject(put(Fault::Before(ErrorClass::Unavailable)).on_key("head.json").always());
    append(&leading, 13, 14).await;
    leading.journal().seal().unwrap();
    seen.wait(&metrics, "graphstream_leader_publication_failures_total").await;
    faults.clear();
    leading.stored(14).await.unwrap();

    cut_off(faults);
    append(&leading, 15, 16).await;
    leading.journal().seal().unwrap();
    for name in [
        "graphstream_leader_queue_segments",
        "graphstream_leader_queue_bytes",
        "graphstream_leader_rpo_seconds",
        "graphstream_leader_rpo_entries",
        "graphstream_storage_circuit_openings_total",
        "graphstream_storage_circuit_refusals_total",
        "graphstream_storage_circuit_state",
        "graphstream_storage_retries_total",
        "graphstream_leader_outage_state",
    ] {
        seen.wait(&metrics, name).await;
    }
    faults.clear();
    faults.inject(put(Fault::Before(ErrorClass::Unavailable)).on_key("seg/").first(4));
    leading.stored(16).await.unwrap();
    let statement = |query| JournalEntry::new(query, 0).with_param("number", 17_i64);
    leading.append(&statement("CREATE (:Item {luck: rand()})")).unwrap_err();
    drop(leading.append(&statement("CREATE (:Item {number: $number, at: current_timestamp()})")).unwrap());
    leading.sync().await.unwrap();
    seen.look(&metrics);
    // The next look, after the one that has shipped, finds nothing.
    let caught_up = || {
        let leader = metrics.snapshot().leader;
        (leader.queue_segments, leader.queue_bytes, leader.rpo_seconds) == (0, 0, 0.0)
    };
    let nothing_left = async {
        while !caught_up() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, nothing_left).await.expect("nothing waits any more");

    copy(&dir.join("old"), &dir.join("new"));
    let (new, _) = start(&dir.join("new"), &GraphstreamMetrics::shared()).await.unwrap();
    append(&leading, 18, 18).await;
    leading.sync().await.unwrap_err();
    seen.wait(&metrics, "graphstream_leader_fenced").await;
    leading.shutdown(LONG).await.unwrap_err();
    new.shutdown(LONG).await.unwrap();
}

/// A follower catches up, finds nothing new, a store that fails, and a target that does.
async fn follower(seen: &mut Seen, dir: &Path, faults: &FaultBackend) {
    let metrics = GraphstreamMetrics::shared();
    let target = Recorder::default();
    let open = || {
        let target: Box<dyn ReplayTarget> = Box::new(target.clone());
        let options = eager_follower().with_cache_dir(dir);
        Follower::open(store(faults, &metrics), target, options, Arc::clone(&metrics))
    };
    faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable)).on_key("seg/").first(20));
    target.durable().poison = Some(9);
    open().await.unwrap().catch_up(None, &Stop::new()).await.unwrap_err();
    seen.look(&metrics);
    let record = tempfile::tempdir().unwrap();
    let skipping =
        SkippingTarget::new(target.clone(), [9], record.path().join("skipped"), Arc::clone(&metrics));
    let skipping: Box<dyn ReplayTarget> = Box::new(skipping);
    let mut following =
        Follower::open(store(faults, &metrics), skipping, eager_follower(), Arc::clone(&metrics))
            .await
            .unwrap();
    following.catch_up(Some(9), &Stop::new()).await.unwrap();
    seen.look(&metrics);
    drop(following);
    target.durable().poison = None;
    let mut following = open().await.unwrap();
    following.catch_up(None, &Stop::new()).await.unwrap();
    following.catch_up(None, &Stop::new()).await.unwrap();
    seen.look(&metrics);
}

/// What is published is verified: it is whole, then something is left over, and something missing.
async fn verification(seen: &mut Seen, faults: &FaultBackend) {
    let metrics = GraphstreamMetrics::shared();
    let verify = async |depth: VerifyDepth| {
        let remote = store(faults, &metrics);
        verify_published(remote, depth, 0, eager_follower(), &metrics.verify, &Stop::new()).await.unwrap()
    };
    let replayed = verify(VerifyDepth::Replay(Box::new(Recorder::default()))).await;
    assert_eq!(
        (replayed.damaged(), replayed.drill.map(|drill| drill.entries)),
        (0, Some(replayed.committed))
    );
    assert_eq!(verify(VerifyDepth::Chain).await.damaged(), 0);
    let remote = store(faults, &metrics);
    let key = |relative: String| graphstream_storage::Key::new(format!("people/{relative}")).unwrap();
    remote.backend().put(&key("notes.txt".to_owned()), b"x".to_vec().into(), PutMode::Create).await.unwrap();
    let segment = remote.inventory().await.unwrap().segments()[0].name.to_string();
    let body = remote.backend().get(&key(segment.clone()), GetOptions::default()).await.unwrap();
    let GetOutcome::Found(object) = body else { panic!("{body:?}") };
    let mut bytes = object.bytes(1 << 20).await.unwrap().to_vec();
    // Of the same size, with another last byte: names can't tell.
    *bytes.last_mut().unwrap() ^= 1;
    remote.backend().put(&key(segment.clone()), bytes.into(), PutMode::Overwrite).await.unwrap();
    let listed = verify(VerifyDepth::List).await;
    assert_eq!((listed.damaged(), listed.leftovers() > 0), (0, true));
    let chained = verify(VerifyDepth::Chain).await;
    assert!(chained.damage.is_some(), "{chained:?}");
    seen.look(&metrics);
    remote.backend().delete(&key(segment)).await.unwrap();
    assert!(verify(VerifyDepth::List).await.damaged() > 0);
}

#[tokio::test]
async fn no_exported_metric_stands_still() {
    let mut seen = Seen::default();
    let dir = tempfile::tempdir().unwrap();
    let faults = FaultBackend::new(MemoryBackend::new());
    journal(&mut seen);
    snapshots(&mut seen).await;
    leader(&mut seen, dir.path(), &faults).await;
    follower(&mut seen, &dir.path().join("cache"), &faults).await;
    verification(&mut seen, &faults).await;
    assert_eq!(seen.unmoved(), [""; 0], "exported, but nothing here moves them");
}
