//! A leader's process stands still (SIGSTOP: a laptop's lid, a hypervisor, a paging storm) in the middle of any of its requests,
//! another takes over, and the first goes on with what it was about to do.
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
use graphstream_testkit::fault_proxy::{Fault, FaultProxy, Held, Rule};
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

    /// What followers have.
    fn published(&self) -> Vec<u64> {
        let url = self.server.url("x");
        let on_store =
            |verb| with_keys(Graphstream::new(verb)).args(["--from", &url, "--database", Place::DATABASE]);
        on_store("verify").ok();
        let lines = on_store("cat").arg("--json").ok().json_lines();
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
    until("the publication", || (rivals.published().len() == 4).then_some(()));
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
