//! A follower that has fallen behind what is retained: a snapshot takes its target's place, if and only if that is right.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use graphstream_journal::Journal;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::Error as RemoteError;
use graphstream_replay::JsonlTarget;
use graphstream_replication::{
    Error, ErrorKind, Follower, FollowerOptions, FollowerStatus, JsonlEngine, Result, Stop, Uploader,
};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use world::archive::sequences;
use world::{Recorder, World, append_to, causes, eager_follower};

struct Behind {
    world: World,
    metrics: Arc<GraphstreamMetrics>,
    journal: Journal,
    uploader: Uploader,
}

impl Behind {
    /// A target with entries 1 to 12; 30 entries are committed, a snapshot holds 25, and the segments below it are gone.
    async fn new() -> Self {
        let this = Self::retained().await;
        this.world.snapshot_at(25).await;
        this.expire(25).await;
        this
    }

    /// All of them, without a snapshot.
    async fn retained() -> Self {
        let world = World::new();
        let journal = world.journal("published", 12);
        let uploader = world.uploader("published").await.unwrap();
        let mut this = Self { world, metrics: GraphstreamMetrics::shared(), journal, uploader };
        this.uploader.ship().await.unwrap();
        this.follow(eager_follower()).await.unwrap();
        this.publish(13, 30).await;
        this
    }

    async fn publish(&mut self, first: u64, last: u64) {
        append_to(&self.journal, first, last);
        self.journal.seal().unwrap();
        self.uploader.ship().await.unwrap();
    }

    /// Removes the segments that end at or before an entry.
    async fn expire(&self, last: u64) {
        for key in self.world.segments().await {
            if world::sequences(key.as_str()).1 <= last {
                self.world.remove(&key).await;
            }
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.world.dir("people.jsonl")
    }

    async fn open(&self, options: FollowerOptions) -> Result<Follower> {
        let target = Box::new(JsonlTarget::open(self.path())?);
        let follower =
            Follower::open(self.world.remote(), target, options, Arc::clone(&self.metrics)).await?;
        Ok(follower.replaceable_at(self.path(), Arc::new(JsonlEngine)))
    }

    async fn follow(&self, options: FollowerOptions) -> Result<FollowerStatus> {
        self.open(options).await?.catch_up(None, &Stop::new()).await
    }

    fn holds(&self) -> Vec<u64> {
        sequences(&self.path())
    }

    /// Databases that were set aside.
    fn kept(&self) -> Vec<String> {
        let files = fs::read_dir(self.world.dir("")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".before-restore-") || name.ends_with(".restore")).collect()
    }
}

fn assert_gap(error: &Error) {
    assert!(matches!(error, Error::Remote(RemoteError::Gap { .. })), "{}", causes(error));
}

#[tokio::test]
async fn a_target_behind_what_is_retained_is_replaced_and_goes_on() {
    let behind = Behind::new().await;
    let mut follower = behind.open(eager_follower()).await.unwrap();
    let status = follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!((status.applied_sequence(), status.lag_entries(), status.replacing), (30, 0, None));
    assert_eq!(behind.holds(), (1..=30).collect::<Vec<_>>());
    let counted = behind.metrics.snapshot().follower;
    assert_eq!((counted.replacements, counted.replacement_seconds.count), (1, 1));
    // Whoever waits for an entry that was never applied by itself is answered, too.
    let position = status.applied.unwrap();
    follower.wait(position).await.unwrap();
    // The next one only follows.
    assert_eq!(behind.follow(eager_follower()).await.unwrap().applied_sequence(), 30);
    assert_eq!(behind.metrics.snapshot().follower.replacements, 1);
}

#[tokio::test]
async fn a_running_follower_is_replaced_when_segments_go_under_it() {
    let behind = Behind::retained().await;
    let mut follower = behind.open(eager_follower()).await.unwrap();
    follower.catch_up(Some(20), &Stop::new()).await.unwrap();
    behind.world.snapshot_at(25).await;
    behind.expire(25).await;
    follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!(behind.holds(), (1..=30).collect::<Vec<_>>());
    // It knows what it has applied itself: nothing is kept.
    assert_eq!(behind.kept(), [""; 0]);
}

#[tokio::test]
async fn the_old_database_is_kept_only_if_nothing_tells_what_it_was() {
    // Nothing: its segment is gone, and nobody has seen that head.
    let behind = Behind::new().await;
    behind.follow(eager_follower()).await.unwrap();
    let kept = behind.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(sequences(&behind.world.dir(&kept[0])), (1..=12).collect::<Vec<_>>());

    // The floor that it kept.
    let behind = Behind::new().await;
    let options = eager_follower().with_cache_dir(behind.world.dir("cache"));
    let lineage = behind.world.head().await.lineage().to_string();
    let position = JsonlTarget::open(behind.path())
        .map(|mut target| graphstream_replay::ReplayTarget::position(&mut target).unwrap().unwrap());
    let chain = position.unwrap().chain_hash;
    let dir = behind.world.dir("cache").join(&lineage);
    fs::create_dir_all(&dir).unwrap();
    let floor = format!(
        "{{\"format\":1,\"database_id\":\"{}\",\"lineage\":\"{lineage}\",\"epoch\":1,\"sequence\":12,\"chain\":\"{chain}\"}}\n",
        behind.world.head().await.database_id(),
    );
    fs::write(dir.join("floor.json"), floor).unwrap();
    behind.follow(options).await.unwrap();
    assert_eq!(behind.kept(), [""; 0]);

    // A snapshot of its sequence.
    let behind = Behind::retained().await;
    behind.world.snapshot_at(12).await;
    behind.world.snapshot_at(25).await;
    behind.expire(25).await;
    behind.follow(eager_follower()).await.unwrap();
    assert_eq!((behind.kept(), behind.holds().len()), (vec![], 30));

    // Its own segment, with the next one gone.
    let behind = Behind::retained().await;
    behind.world.snapshot_at(25).await;
    for key in behind.world.segments().await {
        if world::sequences(key.as_str()).0 > 12 && world::sequences(key.as_str()).1 <= 25 {
            behind.world.remove(&key).await;
        }
    }
    behind.follow(eager_follower()).await.unwrap();
    assert_eq!((behind.kept(), behind.holds().len()), (vec![], 30));
}

#[tokio::test]
async fn h08_a_fork_or_another_lineage_is_never_replaced() {
    for tells in ["snapshot", "segment"] {
        let behind = Behind::retained().await;
        let whole = fs::read_to_string(behind.path()).unwrap();
        let mut target = JsonlTarget::open(behind.path()).unwrap();
        let chain = graphstream_replay::ReplayTarget::position(&mut target).unwrap().unwrap().chain_hash;
        drop(target);
        let chain = chain.to_string();
        let forked = whole.replace(&chain, &chain.chars().rev().collect::<String>());
        behind.world.snapshot_at(25).await;
        if tells == "snapshot" {
            behind.world.snapshot_at(12).await;
            behind.expire(25).await;
        } else {
            for key in behind.world.segments().await {
                if world::sequences(key.as_str()).0 > 12 && world::sequences(key.as_str()).1 <= 25 {
                    behind.world.remove(&key).await;
                }
            }
        }
        fs::write(behind.path(), &forked).unwrap();
        let error = behind.follow(eager_follower()).await.unwrap_err();
        assert!(matches!(error, Error::SnapshotForked { sequence: 12, .. }), "{tells}: {}", causes(&error));
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert_eq!((fs::read_to_string(behind.path()).unwrap(), behind.kept()), (forked, vec![]));
    }
    let behind = Behind::new().await;
    let lineage = behind.world.head().await.lineage().to_string();
    let foreign = fs::read_to_string(behind.path()).unwrap().replace(&lineage, &"7".repeat(32));
    fs::write(behind.path(), &foreign).unwrap();
    let error = behind.follow(eager_follower()).await.unwrap_err();
    assert!(matches!(error, Error::TargetLineage { .. }), "{}", causes(&error));
    assert_eq!((fs::read_to_string(behind.path()).unwrap(), behind.kept()), (foreign, vec![]));
}

/// The store was restored from an older copy and led on from there: what had been seen is not in it, and the head says nothing of it any more.
#[tokio::test]
async fn h08_a_history_that_went_back_below_what_was_seen_replaces_nothing() {
    let mut behind = Behind::retained().await;
    let cache = behind.world.dir("cache");
    let options = || eager_follower().with_cache_dir(&cache);
    let older = behind.world.objects().await;
    behind.publish(31, 40).await;
    behind.follow(options()).await.unwrap();
    let held = fs::read(behind.path()).unwrap();
    behind.world.hold(&older).await;
    // Two more leaders, so that the one that began below has left the head's epochs.
    for (journal, first) in [("second", 131), ("third", 151), ("fourth", 171)] {
        let (leader, _) = behind.world.leader(journal).continue_from_head(true).start().await.unwrap();
        world::append(&leader, first, first + 19).await;
        leader.sync().await.unwrap();
        leader.shutdown(world::LONG).await.unwrap();
        let last = behind.world.head().await.committed().sequence;
        if journal != "fourth" {
            behind.world.snapshot_at(last).await;
            behind.expire(last).await;
        }
    }
    let error = behind.follow(options()).await.unwrap_err();
    assert!(matches!(error, Error::Remote(RemoteError::Rewound(_))), "{}", causes(&error));
    assert_eq!(fs::read(behind.path()).unwrap(), held);
    assert_eq!(behind.kept(), [""; 0]);
}

#[tokio::test]
async fn s08_without_a_snapshot_that_leads_on_it_is_a_gap() {
    // None at all; one that is not ahead of the target; one behind which a segment is missing, too.
    for case in ["none", "behind", "hole", "other kind", "not replaceable", "damaged"] {
        let behind = Behind::retained().await;
        match case {
            "behind" => drop(behind.world.snapshot_at(9).await),
            "hole" | "not replaceable" | "other kind" | "damaged" => drop(behind.world.snapshot_at(25).await),
            _ => {}
        }
        behind.expire(if case == "hole" { 30 } else { 25 }).await;
        for key in behind.world.keys("snap/").await {
            if case == "other kind" && key.as_str().ends_with("manifest.json") {
                let manifest = String::from_utf8(behind.world.object(&key).await).unwrap();
                behind.world.put(&key, manifest.replace("\"jsonl\"", "\"other\"").into_bytes()).await;
            }
            if case == "damaged" && key.as_str().ends_with("-000000") {
                behind.world.put(&key, vec![0; 700]).await;
            }
        }
        let held = fs::read(behind.path()).unwrap();
        let error = if case == "not replaceable" {
            let target = Box::new(JsonlTarget::open(behind.path()).unwrap());
            let remote = behind.world.remote();
            let opened = Follower::open(remote, target, eager_follower(), Arc::clone(&behind.metrics)).await;
            opened.unwrap().catch_up(None, &Stop::new()).await.unwrap_err()
        } else {
            behind.follow(eager_follower()).await.unwrap_err()
        };
        if case == "damaged" {
            assert!(matches!(error, Error::SnapshotDamaged { .. }), "{}", causes(&error));
            assert_eq!(error.kind(), ErrorKind::Integrity);
        } else {
            assert_gap(&error);
        }
        assert_eq!(fs::read(behind.path()).unwrap(), held, "{case}");
        assert_eq!(behind.metrics.snapshot().follower.replacements, 0, "{case}");
    }
    // What is up to nobody but the caller.
    let behind = Behind::new().await;
    let position = Recorder::default();
    assert_gap(&behind.world.catch_up(&position).await.unwrap_err());
    let mut follower = behind.open(eager_follower()).await.unwrap();
    assert_gap(&follower.catch_up(Some(20), &Stop::new()).await.unwrap_err());
}

#[tokio::test]
async fn r01_given_up_at_any_request_it_is_the_old_one_or_the_new_one() {
    for operation in [Operation::Get, Operation::List] {
        // A request whose answer nobody waits for any more (of segments behind the first missing one) fails unseen: only
        // several in a row mean that there are no more.
        let (mut unseen, mut seen) = (0, 0);
        for n in (1..).step_by(2) {
            let behind = Behind::new().await;
            behind.world.faults.inject(Rule::new(operation, Fault::Before(ErrorClass::Denied)).nth(n));
            let followed = behind.follow(eager_follower().with_store_retries_max(0)).await;
            behind.world.faults.clear();
            match followed {
                Ok(status) => {
                    assert_eq!(status.applied_sequence(), 30);
                    unseen += 1;
                }
                Err(_) => {
                    (unseen, seen) = (0, seen + 1);
                    let count = behind.holds().len();
                    assert!(count == 12 || count == 30, "{operation} {n}: {count}");
                    assert_eq!(behind.follow(eager_follower()).await.unwrap().applied_sequence(), 30);
                }
            }
            assert_eq!(behind.holds(), (1..=30).collect::<Vec<_>>());
            assert!(!Path::new(&behind.world.dir("people.jsonl.restore")).exists());
            if unseen == 4 {
                break;
            }
        }
        assert!(seen > 2, "{operation}: {seen} requests");
    }
}

/// A store that only fails for a while is asked again; the target is open in between.
#[tokio::test]
async fn s01_a_store_that_fails_for_a_while_is_asked_again() {
    let behind = Behind::new().await;
    let fault = Fault::Before(ErrorClass::Unavailable);
    behind.world.faults.inject(Rule::new(Operation::Get, fault).on_key("/part-").first(9));
    behind.follow(eager_follower()).await.unwrap();
    assert_eq!(behind.holds(), (1..=30).collect::<Vec<_>>());
    assert!(behind.metrics.snapshot().follower.fetch_failures > 0);
}

/// A stop in the middle: what is there then is a whole database, and the next start goes on.
#[tokio::test]
async fn a_stop_while_it_is_replaced_leaves_the_old_one() {
    let behind = Behind::new().await;
    let fault = Fault::Before(ErrorClass::Unavailable);
    behind.world.faults.inject(Rule::new(Operation::Get, fault).on_key("/part-").always());
    let mut follower = behind.open(eager_follower()).await.unwrap();
    let (mut status, stop) = (follower.watch(), Stop::new());
    let replacing = async {
        status.wait_for(|status| status.replacing == Some(25)).await.unwrap();
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(follower.run(None, &stop), replacing);
    assert_eq!(ended.unwrap().applied_sequence(), 12);
    drop(follower);
    behind.world.faults.clear();
    assert_eq!(behind.holds(), (1..=12).collect::<Vec<_>>());
    behind.follow(eager_follower()).await.unwrap();
    assert_eq!(behind.holds(), (1..=30).collect::<Vec<_>>());
}

/// What is replaced is the database at that path, and not another one that the target is.
#[tokio::test]
async fn a_target_that_stands_elsewhere_is_found_out() {
    let behind = Behind::new().await;
    let elsewhere = behind.world.dir("elsewhere.jsonl");
    fs::copy(behind.path(), &elsewhere).unwrap();
    let target = Box::new(JsonlTarget::open(&elsewhere).unwrap());
    let opened =
        Follower::open(behind.world.remote(), target, eager_follower(), Arc::clone(&behind.metrics)).await;
    let mut follower = opened.unwrap().replaceable_at(behind.path(), Arc::new(JsonlEngine));
    let error = follower.catch_up(None, &Stop::new()).await.unwrap_err();
    assert!(matches!(error, Error::NotReplaced { expected: 30, found: 12, .. }), "{}", causes(&error));
    assert_eq!(sequences(&elsewhere), (1..=12).collect::<Vec<_>>());
}
