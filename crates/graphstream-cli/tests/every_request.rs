//! What may happen to a leader's process in any of its requests. It stands still (SIGSTOP: a laptop's lid, a hypervisor, a paging storm),
//! another takes over, and the first goes on with what it was about to do. Or the request is lost, or the answer to it. Or the store is
//! away for longer than the disk has room.
//!
//! ```text
//!   replicate ──request──▶ proxy, which holds the request, or the answer ──▶ server
//!   SIGSTOP                                                                    ▲
//!                                      rival: a copy of the journal, appends, takes over, publishes
//!   SIGCONT   ◀── the held one goes on ──▶
//! ```
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::{Graphstream, Place, Running, Signal, copy_dir, entries, until};
use graphstream_testkit::fault_proxy::{Failure, Fault, FaultProxy, Held, Rule};
use graphstream_testkit::s3::{BUCKET, REGION, S3Server, environment};

/// A leader that has published two entries, with two more to ship, and where its rival will start.
struct Rivals {
    place: Place,
    server: S3Server,
    proxy: FaultProxy,
}

impl Rivals {
    fn new() -> Self {
        let (place, server) = (Place::new(), S3Server::honest().unwrap());
        let proxy = FaultProxy::start(server.address()).unwrap();
        let rivals = Self { place, server, proxy };
        rivals.place.append(entries(1, 2));
        rivals.replicate("journal", &rivals.server.url("x")).arg("--once").ok();
        copy_dir(&rivals.place.journal(), &rivals.place.path("copy"));
        rivals.place.append(entries(3, 2));
        rivals
    }

    fn replicate(&self, journal: &str, url: &str) -> Graphstream {
        let call = Graphstream::new("replicate").arg("--journal").arg(self.place.path(journal));
        with_keys(call).args(["--database", Place::DATABASE, "--to", url])
    }

    /// The daemon behind the proxy.
    fn lead(&self) -> Running {
        let url = format!("s3://{BUCKET}/x?endpoint={}&region={REGION}", self.proxy.url());
        self.replicate("journal", &url).args(["--upload-interval", "10ms"]).spawn()
    }

    /// The copy appends, leads and publishes.
    fn take_over(&self) {
        let append = Graphstream::new("append").arg("--journal").arg(self.place.path("copy"));
        append.stdin(entries(100, 3)).ok();
        self.replicate("copy", &self.server.url("x")).arg("--once").ok();
    }

    fn on_store(&self, verb: &str) -> Graphstream {
        with_keys(Graphstream::new(verb)).args([
            "--from",
            &self.server.url("x"),
            "--database",
            Place::DATABASE,
        ])
    }

    /// Waits until the leader has published its four entries.
    #[track_caller]
    fn wait_for_four(&self, context: &str) {
        let committed =
            || self.on_store("status").arg("--json").ok().json()["store"]["committed_sequence"] == 4;
        until(context, || committed().then_some(()));
    }

    /// What followers have.
    fn published(&self) -> Vec<u64> {
        self.on_store("verify").ok();
        let lines = self.on_store("cat").arg("--json").ok().json_lines();
        lines.iter().map(|line| line["params"]["id"].as_u64().unwrap()).collect()
    }
}

fn with_keys(call: Graphstream) -> Graphstream {
    environment().into_iter().fold(call, |call, (name, value)| call.env(name, value))
}

/// Which requests of a leader that starts and ships are about the database, from 1, until it has published. The others try the store out.
fn requests() -> Vec<usize> {
    let rivals = Rivals::new();
    let leader = rivals.lead();
    rivals.wait_for_four("the publication");
    let seen = rivals.proxy.seen();
    leader.kill(Signal::Term).expect_code(0);
    let database = format!("x/{}/", Place::DATABASE);
    (1..).zip(seen).filter(|(_, seen)| seen.subject.starts_with(&database)).map(|(n, _)| n).collect()
}

/// Whether the leader stood still before its two entries were published.
fn frozen_at(request: usize, held: Held) -> bool {
    let context = format!("request {request}, {held:?} held");
    let rivals = Rivals::new();
    rivals.proxy.inject(Rule::any(Fault::Hold(held)).nth(request as u64));
    let mut leader = rivals.lead();
    until("the request", || (rivals.proxy.struck() > 0).then_some(()));
    leader.signal(Signal::Stop);
    let published = rivals.published();
    // A copy that lacks what was published can't lead: then the disk is the same one.
    let early = published == [1, 2];
    if !early {
        assert_eq!(published, [1, 2, 3, 4], "{context}");
        std::fs::remove_dir_all(rivals.place.path("copy")).unwrap();
        copy_dir(&rivals.place.journal(), &rivals.place.path("copy"));
    }
    rivals.take_over();
    let expected = [&published[..], &[100, 101, 102]].concat();
    assert_eq!(rivals.published(), expected, "{context}");

    rivals.proxy.release();
    leader.signal(Signal::Cont);
    let fenced = leader.wait();
    // One that had not claimed anything yet finds that it lacks what is published, and has nothing to be fenced from.
    let noted = rivals.place.journal().join("FENCED").exists();
    let expected_code = if noted { 7 } else { 3 };
    assert_eq!(fenced.code(), Some(expected_code), "{context}: {}", fenced.stderr);
    assert!(noted || early, "{context}");
    assert_eq!(rivals.published(), expected, "{context}: what the rival has published stays");
    early
}

#[test]
fn r03_r04_a_leader_frozen_in_any_request_is_fenced_when_it_wakes() {
    let requests = requests();
    assert!(requests.len() >= 8, "{requests:?}");
    let holds = [Held::Request, Held::Answer];
    let cases: Vec<_> = requests.iter().flat_map(|request| holds.map(|held| (*request, held))).collect();
    let early = cases.iter().filter(|(request, held)| frozen_at(*request, *held)).count();
    // Before the publication and after it.
    assert!((4..cases.len()).contains(&early), "{early} of {}", cases.len());
}

#[test]
fn s01_s02_a_leader_loses_any_request_or_its_answer_and_publishes_everything_once() {
    for request in requests() {
        let lost =
            [Fault::Before(Failure::Reset), Fault::After(Failure::Reset), Fault::After(Failure::Close)];
        for fault in lost {
            let context = format!("request {request}: {fault:?}");
            let rivals = Rivals::new();
            rivals.proxy.inject(Rule::any(fault).nth(request as u64));
            let leader = rivals.lead();
            rivals.wait_for_four(&context);
            leader.kill(Signal::Term).expect_code(0);
            assert_eq!(rivals.proxy.struck(), 1, "{context}");
            assert_eq!(rivals.published(), [1, 2, 3, 4], "{context}");
        }
    }
}

#[test]
fn l06_s01_a_store_away_for_longer_than_the_disk_has_room_holds_up_the_writer_and_loses_nothing() {
    const ENTRIES: u64 = 3000;
    let rivals = Rivals::new();
    let leader = rivals.lead();
    rivals.wait_for_four("the publication");
    rivals.proxy.refuse().unwrap();
    let bounded = ["--segment-bytes-max", "4KiB", "--held-bytes-max", "8KiB"];
    let writer = rivals.place.on_journal("append").args(bounded).stdin(entries(5, ENTRIES)).spawn();
    writer.wait_for_stderr("the budget", |lines| {
        lines.iter().any(|line| line.contains("waiting with line")).then_some(())
    });
    let journal = rivals.place.on_journal("status").arg("--json").ok().json()["journal"].take();
    // Sealed since, they take less.
    assert!(journal["held_bytes"].as_u64().unwrap() > 1024, "{journal}");
    rivals.proxy.accept().unwrap();
    writer.wait().expect_code(0);
    leader.kill(Signal::Term).expect_code(0);
    assert!(rivals.published().into_iter().eq(1..=4 + ENTRIES), "each once, in order");
}
