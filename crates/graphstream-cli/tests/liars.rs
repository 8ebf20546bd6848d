//! S3 servers that lie about what they stored, or about conditions: what a leader reported *stored* is there for a follower that comes
//! later, or the leader refused to start. And what is lost where it is told to start nevertheless.
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod cli;

use std::path::Path;
use std::time::Duration;

use cli::{Graphstream, Place, copy_dir};
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replication::{Error, UploaderOptions};
use graphstream::storage::check::Verdict;
use graphstream::storage::{PrefixBackend, RetryConfig, StackConfig};
use graphstream::storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
use graphstream::{GraphstreamMetrics, JournalEntry, Leader};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::{
    ACCESS_KEY_ID, BUCKET, Conduct, REGION, S3Server, SECRET_ACCESS_KEY, environment,
};

const PUT: S3Operation = S3Operation::PutObject;
const LONG: Duration = Duration::from_secs(30);

/// What was reported as stored: a sequence and the number in its entry.
type Stored = Vec<(u64, u64)>;

/// The database as a client behind `endpoint` sees it.
async fn remote(endpoint: &str) -> Remote {
    let config = S3Config::new(BUCKET).with_endpoint(endpoint).with_region(REGION);
    let keys = StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let bucket = S3Backend::open(config.with_credentials(Credentials::Static(keys))).await.unwrap();
    let store = PrefixBackend::new(bucket, "x".parse().unwrap());
    let mut retry = RetryConfig::default();
    retry.pause_first = Duration::from_millis(2);
    let stack = StackConfig::default().with_retry(retry);
    let store = stack.wrap(store, &GraphstreamMetrics::shared());
    Remote::new(store, "", DatabaseName::new(Place::DATABASE).unwrap()).unwrap()
}

async fn lead(journal: &Path, endpoint: &str, allow: bool) -> Result<Leader, Error> {
    let options = UploaderOptions::default()
        .with_retry_interval_max(Duration::from_millis(5))
        .with_upload_interval(Duration::from_secs(3600))
        .with_allow_unconditional_store(allow);
    let builder = Leader::builder(journal, remote(endpoint).await).uploader_options(options);
    builder.start().await.map(|(leader, _)| leader)
}

/// An entry so large that its segment is still being sent when a hasty server has answered.
fn entry(number: u64) -> JournalEntry {
    let mut seed = number;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) as u8
    });
    let noise: Vec<u8> = noise.take(100_000).collect();
    let id = i64::try_from(number).unwrap();
    JournalEntry::new("CREATE (:Person {id: $id})", 1_700_000_000_000)
        .with_param("id", id)
        .with_param("noise", noise)
}

/// Appends an entry and waits until it is reported as stored.
async fn store(leader: &Leader, number: u64) -> Result<(u64, u64), Error> {
    let ticket = leader.append(&entry(number))?;
    let committed = tokio::time::timeout(LONG, leader.sync()).await.unwrap()?;
    let sequence = *ticket.wait(graphstream::Ack::Synced)?.end();
    assert!(committed.sequence >= sequence);
    Ok((sequence, number))
}

/// Stores entries until the leader is told that it leads no more, or `count` of them.
async fn store_many(leader: &Leader, numbers: impl IntoIterator<Item = u64>) -> Stored {
    let mut stored = Stored::new();
    for number in numbers {
        match store(leader, number).await {
            Ok(reported) => stored.push(reported),
            Err(_) => break,
        }
    }
    stored
}

fn with_keys(call: Graphstream) -> Graphstream {
    environment().into_iter().fold(call, |call, (name, value)| call.env(name, value))
}

fn follow(place: &Place, server: &S3Server) -> Graphstream {
    let call = with_keys(Graphstream::new("follow")).args(["--once", "--database", Place::DATABASE]);
    let target = format!("jsonl:{}", place.path("follower.jsonl").display());
    call.args(["--from", &server.url("x"), "--target", &target])
}

/// What a follower finds that has never been here, by the binary: the number in each entry, in the order of sequences.
fn followed(place: &Place, server: &S3Server) -> Vec<u64> {
    let target = place.path("follower.jsonl");
    let _ = std::fs::remove_file(&target);
    let _ = std::fs::remove_dir_all(place.path("follower.jsonl.follow"));
    follow(place, server).ok();
    let lines = std::fs::read_to_string(target).unwrap();
    let number = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["params"]["id"].as_u64().unwrap()
    };
    lines.lines().map(number).collect()
}

/// Which of them the follower did not find.
fn lost(stored: &Stored, found: &[u64]) -> Stored {
    let there = |(sequence, number): &(u64, u64)| {
        let index = usize::try_from(*sequence).unwrap() - 1;
        found.get(index) == Some(number)
    };
    stored.iter().filter(|reported| !there(reported)).copied().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_o5_no_leader_starts_where_conditions_are_not_kept() {
    for (conduct, verdict) in [
        (Conduct::Ignoring, Verdict::Ignored),
        (Conduct::Keeping, Verdict::StoresRefused),
        (Conduct::Racing, Verdict::Races),
    ] {
        let (place, server) = (Place::new(), S3Server::start(conduct).unwrap());
        let error = lead(&place.journal(), &server.endpoint(), false).await.unwrap_err();
        let Error::UnconditionalStore { conditions, .. } = &error else { panic!("{conduct:?}: {error:?}") };
        assert_eq!(conditions.swap, verdict, "{conduct:?}");
        assert!(!error.is_transient());
        // Nor the daemon, which claims when it has something to publish; nothing is published.
        let replicate = with_keys(place.on_journal("replicate")).args(["--once", "--json"]);
        place.append(cli::entries(1, 1));
        let call = replicate.args(["--database", Place::DATABASE, "--to", &server.url("x")]);
        let refused = call.run().expect_code(4).error();
        assert_eq!(refused["kind"], "store", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains(verdict.as_str()), "{refused}");
        let follow = with_keys(Graphstream::new("verify")).args(["--from", &server.url("x"), "--json"]);
        let nothing = follow.args(["--database", Place::DATABASE]).run().expect_code(4).error();
        assert_eq!(nothing["kind"], "no_database", "{nothing}");
    }
}

/// What can become of a put between the client and a store that keeps conditions.
fn lies() -> Vec<(&'static str, Fault)> {
    let answer = |status, code| Failure::Answer(Answer::error(status, code));
    vec![
        ("says 412 and closes before the body is read", {
            let (body_bytes, failure) = (0, answer(412, "PreconditionFailed"));
            Fault::Early { body_bytes, failure }
        }),
        ("says 412 and closes in the middle of the body", {
            let (body_bytes, failure) = (40_000, answer(412, "PreconditionFailed"));
            Fault::Early { body_bytes, failure }
        }),
        ("stores and says 412", Fault::After(answer(412, "PreconditionFailed"))),
        ("stores and says 400", Fault::After(answer(400, "BadDigest"))),
        ("stores and says 500", Fault::After(answer(500, "InternalError"))),
        ("stores and says 503", Fault::After(answer(503, "ServiceUnavailable"))),
        ("stores and resets", Fault::After(Failure::Reset)),
        ("says 409 and stores nothing", Fault::Before(answer(409, "ConditionalRequestConflict"))),
        ("resets, and stores later", Fault::Late(Failure::Reset)),
    ]
}

/// A leader, and a rival with a copy of its journal that takes over. Both ways to the store lie.
async fn takeover(conduct: Conduct, fault: &Fault, seed: u64) -> (Stored, Vec<u64>) {
    let (place, server) = (Place::new(), S3Server::start(conduct).unwrap());
    let ways = [1, 2].map(|way| FaultProxy::with_seed(server.address(), seed * 2 + way).unwrap());
    let lying = |way: &FaultProxy| way.inject(Rule::new(PUT, fault.clone()).per_mille(300));
    let [first_way, rivals_way] = &ways;

    let first = lead(&place.journal(), &first_way.url(), false).await.unwrap();
    lying(first_way);
    let mut stored = store_many(&first, 1..6).await;
    assert_eq!(stored.len(), 5, "nobody else is there");
    copy_dir(&place.journal(), &place.path("copy"));
    let rival = async {
        let rival = lead(&place.path("copy"), &rivals_way.url(), false).await?;
        lying(rivals_way);
        Ok::<_, Error>((store_many(&rival, 100..105).await, rival))
    };
    // What arrives late arrives while both are at it.
    let landing = async {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(3)).await;
            for way in &ways {
                drop(way.land_late().await);
            }
        }
    };
    let (mine, theirs, ()) = tokio::join!(store_many(&first, 6..12), rival, landing);
    stored.extend(mine);
    match theirs {
        Ok((theirs, rival)) => {
            stored.extend(theirs);
            drop(rival);
        }
        // The first was faster: the copy lacks what it published meanwhile.
        Err(error) => assert!(!matches!(error, Error::UnconditionalStore { .. }), "{error}"),
    }
    drop(first);
    while ways[0].land_late().await.is_some() || ways[1].land_late().await.is_some() {}
    assert!(ways.iter().any(|way| way.struck() > 0), "{fault:?} struck nothing, seed {seed}");
    (stored, followed(&place, &server))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s02_s03_s05_what_was_reported_stored_is_found_whatever_the_store_said() {
    for (name, fault) in lies() {
        for seed in 0..2 {
            let (stored, found) = takeover(Conduct::Honest, &fault, seed).await;
            assert_eq!(lost(&stored, &found), [], "{name}, seed {seed}: {stored:?} {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s03_a_store_that_refuses_before_it_has_read_the_body_costs_nothing() {
    for seed in 0..4 {
        // With puts that arrive twice, so that there is something to refuse.
        let (stored, found) = takeover(Conduct::Hasty, &Fault::Late(Failure::Reset), seed).await;
        assert_eq!(lost(&stored, &found), [], "seed {seed}: {stored:?} {found:?}");
    }
}

/// A leader's put of the head is on its way when another leader takes over and stores more; then it arrives. What is lost by it.
async fn a_put_arrives_late(conduct: Conduct) -> Stored {
    let (place, server) = (Place::new(), S3Server::start(conduct).unwrap());
    let allow = conduct != Conduct::Honest && conduct != Conduct::Hasty;
    let way = FaultProxy::start(server.address()).unwrap();
    let first = lead(&place.journal(), &way.url(), allow).await.unwrap();
    let mut stored = store_many(&first, 1..3).await;
    copy_dir(&place.journal(), &place.path("copy"));
    way.inject(Rule::new(PUT, Fault::Late(Failure::Hang)).on_key("head.json"));
    let _not_reported = first.append(&entry(3)).unwrap();
    // The segment is there and the head is under way; then the leader's machine is gone.
    let sync = first.sync();
    tokio::select! {
        reported = sync => panic!("{reported:?}"),
        () = async { while way.struck() == 0 { tokio::time::sleep(Duration::from_millis(1)).await } } => {}
    }
    drop(first);
    let rival = lead(&place.path("copy"), &server.endpoint(), allow).await.unwrap();
    stored.extend(store_many(&rival, 100..102).await);
    assert_eq!(stored.len(), 4);
    assert_eq!(lost(&stored, &followed(&place, &server)), [], "so far all is well");
    way.land_late().await.unwrap().unwrap();
    // One that was here before the old head arrived tells it from a newer one.
    let was_here = follow(&place, &server).run();
    let lost = lost(&stored, &followed(&place, &server));
    if lost.is_empty() {
        was_here.expect_code(0);
    } else {
        was_here.expect_code(5).expect_stderr(["head.json went back"]);
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_where_conditions_are_not_kept_and_a_leader_is_told_to_lead_entries_are_lost() {
    for conduct in [Conduct::Honest, Conduct::Hasty, Conduct::Racing] {
        assert_eq!(a_put_arrives_late(conduct).await, [], "{conduct:?}");
    }
    // The sequences that the rival had given to other entries, and what it stored after them.
    for conduct in [Conduct::Ignoring, Conduct::Keeping] {
        assert_eq!(a_put_arrives_late(conduct).await, [(3, 100), (4, 101)], "{conduct:?}");
    }
}
