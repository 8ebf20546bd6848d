//! A leader that appends at half of what this machine can sync, ships to an S3 server, and lives through an outage: memory, lag, and how
//! fast it catches up. `cargo xtask soak` runs it for as long as asked for; without `GRAPHSTREAM_SOAK_SECONDS` it is a short test of the
//! same, in which no time counts.
//!
//! ```text
//!  this process: S3 server ◀── proxy, which refuses during the outage ◀── a process: Leader, producers
//!
//!  full speed ─▶ half speed, shipped ─▶ half speed, the store is away ─▶ half speed, until it has caught up ─▶ shutdown
//! ```
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod cli;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cli::Place;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::storage::{PrefixBackend, StackConfig};
use graphstream::storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
use graphstream::{Ack, GraphstreamMetrics, Journal, JournalEntry, JournalOptions, Leader};
use graphstream_testkit::fault_proxy::FaultProxy;
use graphstream_testkit::s3::{ACCESS_KEY_ID, BUCKET, REGION, S3Server, SECRET_ACCESS_KEY, environment};

const CHILD: &str = "the_soaked_leader";
const DIR: &str = "GRAPHSTREAM_TEST_SOAK_DIR";
const ENDPOINT: &str = "GRAPHSTREAM_TEST_SOAK_ENDPOINT";
const PRODUCERS: u64 = 8;
/// Entries that a producer appends before it waits for the last of them.
const AT_ONCE: u64 = 32;
const SAMPLE: Duration = Duration::from_millis(100);
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(1);
const FULL_SPEED: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

/// What the leader's process tells, ten times a second.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Sample {
    /// Since it began at half speed.
    at_ms: u64,
    synced: u64,
    committed: u64,
    /// How long the oldest *synced* entry has been waiting for the store.
    lag_ms: u64,
    resident_bytes: u64,
}

/// What the leader's process does, until its standard input ends. Returns at once in the test's own process.
#[test]
fn the_soaked_leader() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = JournalOptions::default().with_segment_age_max(SEGMENT_AGE_MAX);
    let remote = runtime.block_on(remote(&std::env::var(ENDPOINT).unwrap()));
    let builder = Leader::builder(dir, remote).journal_options(options);
    let (leader, _) = runtime.block_on(builder.start()).unwrap();
    let journal = leader.journal();
    let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let full = std::thread::scope(|scope| {
        produce(scope, journal, &stop, &made, None);
        std::thread::sleep(FULL_SPEED);
        stop.store(true, Ordering::Relaxed);
        made.load(Ordering::Relaxed) / FULL_SPEED.as_secs()
    });
    runtime.block_on(leader.sync()).unwrap();
    say(&format!("full {full}"));
    stop.store(false, Ordering::Relaxed);
    std::thread::scope(|scope| {
        produce(scope, journal, &stop, &made, Some(full / 2));
        let stop = &stop;
        scope.spawn(move || {
            let _ = std::io::stdin().read_line(&mut String::new());
            stop.store(true, Ordering::Relaxed);
        });
        let (began, mut waiting) = (Instant::now(), VecDeque::new());
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(SAMPLE);
            let (now, synced) = (Instant::now(), journal.positions().synced.sequence);
            let committed = leader.watch().borrow().sequence;
            waiting.push_back((now, synced));
            while waiting.front().is_some_and(|(_, sequence)| *sequence <= committed) {
                waiting.pop_front();
            }
            let lag = waiting.front().map_or(Duration::ZERO, |(since, _)| now - *since);
            let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
            let sample = Sample {
                at_ms: millis(now - began),
                synced,
                committed,
                lag_ms: millis(lag),
                resident_bytes: resident_bytes(),
            };
            say(&format!("sample {}", serde_json::to_string(&sample).unwrap()));
        }
    });
    let report = runtime.block_on(leader.shutdown(LONG)).unwrap();
    assert_eq!(report.committed.sequence, report.position.sequence);
    say(&format!("ended {}", report.committed.sequence));
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Appends on threads, each waiting until what it has appended is *synced*; `per_second` in all, or as fast as it goes.
fn produce<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    journal: &'scope Journal,
    stop: &'scope AtomicBool,
    made: &'scope AtomicU64,
    per_second: Option<u64>,
) {
    for producer in 0..PRODUCERS {
        scope.spawn(move || {
            let began = Instant::now();
            for round in 0.. {
                if let Some(rate) = per_second {
                    let due = began
                        + Duration::from_nanos(round * AT_ONCE * PRODUCERS * 1_000_000_000 / rate.max(1));
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let tickets = (0..AT_ONCE)
                    .map(|_| journal.append(entry(made.fetch_add(1, Ordering::Relaxed), producer)).unwrap());
                tickets.last().unwrap().wait(Ack::Synced).unwrap();
            }
        });
    }
}

fn entry(number: u64, producer: u64) -> Vec<u8> {
    let id = i64::try_from(number).unwrap();
    let name = format!("{:x} of {producer}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    let entry = JournalEntry::new(
        "MERGE (p:Person {id: $id}) SET p.name = $name, p.seen = $seen",
        1_700_000_000_000 + id,
    )
    .with_param("id", id % 100_000)
    .with_param("name", name)
    .with_param("seen", 1_700_000_000 + id / 100);
    entry.encode().unwrap()
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

async fn remote(endpoint: &str) -> Remote {
    let config = S3Config::new(BUCKET).with_endpoint(endpoint).with_region(REGION);
    let keys = StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let bucket = S3Backend::open(config.with_credentials(Credentials::Static(keys))).await.unwrap();
    let store = StackConfig::default()
        .wrap(PrefixBackend::new(bucket, "x".parse().unwrap()), &GraphstreamMetrics::shared());
    Remote::new(store, "", DatabaseName::new(Place::DATABASE).unwrap()).unwrap()
}

/// The leader's process, and what it has told.
struct Soaked {
    child: Child,
    lines: BufReader<ChildStdout>,
    full: u64,
    samples: Vec<Sample>,
    ended: Option<u64>,
}

impl Soaked {
    fn start(journal: &Path, proxy: &FaultProxy) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env(DIR, journal)
            .env(ENDPOINT, proxy.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut soaked = Self { child, lines, full: 0, samples: Vec::new(), ended: None };
        while soaked.full == 0 {
            soaked.hear();
        }
        soaked
    }

    fn hear(&mut self) {
        let mut line = String::new();
        assert!(
            self.lines.read_line(&mut line).unwrap() > 0,
            "the leader has ended: {:?}",
            self.samples.last()
        );
        if let Some((_, sample)) = line.split_once("sample ") {
            self.samples.push(serde_json::from_str(sample).unwrap());
        } else if let Some((_, full)) = line.split_once("full ") {
            self.full = full.trim().parse().unwrap();
        } else if let Some((_, ended)) = line.split_once("ended ") {
            self.ended = Some(ended.trim().parse().unwrap());
        }
    }

    /// Listens for so long of the leader's time; the samples of it.
    fn listen(&mut self, time: Duration) -> std::ops::Range<usize> {
        let first = self.samples.len();
        self.hear();
        let end =
            self.samples.last().map_or(0, |sample| sample.at_ms) + u64::try_from(time.as_millis()).unwrap();
        while self.samples.last().is_none_or(|sample| sample.at_ms < end) {
            self.hear();
        }
        first..self.samples.len()
    }

    /// Entries per second of these samples.
    fn rate(&self, of: impl Fn(&Sample) -> u64, samples: &std::ops::Range<usize>) -> f64 {
        let (first, last) = (&self.samples[samples.start], &self.samples[samples.end - 1]);
        (of(last) - of(first)) as f64 * 1000.0 / (last.at_ms - first.at_ms).max(1) as f64
    }

    fn told(&self, phase: &str, samples: &std::ops::Range<usize>) {
        let mut lags: Vec<u64> = self.samples[samples.clone()].iter().map(|sample| sample.lag_ms).collect();
        lags.sort_unstable();
        let resident = |at: usize| self.samples[at].resident_bytes >> 20;
        eprintln!(
            "{phase:<12} {:>9.0} synced/s, {:>9.0} published/s, lag median {} ms, most {} ms, resident {} MiB at its start, {} at its end",
            self.rate(|sample| sample.synced, samples),
            self.rate(|sample| sample.committed, samples),
            lags[lags.len() / 2],
            lags[lags.len() - 1],
            resident(samples.start),
            resident(samples.end - 1),
        );
    }
}

#[test]
fn s01_a_leader_at_half_speed_ships_lives_through_an_outage_and_catches_up() {
    let seconds = std::env::var("GRAPHSTREAM_SOAK_SECONDS").ok().map(|text| text.parse::<u64>().unwrap());
    let steady = Duration::from_secs(seconds.unwrap_or(2));
    let (place, server) = (Place::new(), S3Server::honest().unwrap());
    let proxy = FaultProxy::start(server.address()).unwrap();
    let mut leader = Soaked::start(&place.journal(), &proxy);
    eprintln!("full speed   {:>9} synced/s, shipped meanwhile", leader.full);

    let shipped = leader.listen(steady);
    leader.told("shipping", &shipped);
    proxy.refuse().unwrap();
    let outage = leader.listen(steady / 2);
    leader.told("outage", &outage);
    proxy.accept().unwrap();
    let (back, backlog) = (leader.samples.len(), leader.samples[leader.samples.len() - 1]);
    // The first publication: the leader had been waiting before it tried again.
    while leader.samples.last().is_none_or(|sample| sample.committed <= backlog.committed) {
        leader.hear();
    }
    let moving = leader.samples.len() - 2;
    while leader.samples.last().is_none_or(|sample| sample.committed < backlog.synced) {
        leader.hear();
    }
    let catching_up = moving..leader.samples.len();
    leader.told("catching up", &catching_up);
    let (arriving, published) =
        (leader.rate(|sample| sample.synced, &shipped), leader.rate(|sample| sample.committed, &catching_up));
    eprintln!(
        "caught up on {} entries {} ms after the store was back, {} ms of them waiting; published at {:.1} times the rate of arrival",
        backlog.synced - backlog.committed,
        leader.samples[catching_up.end - 1].at_ms - leader.samples[back - 1].at_ms,
        leader.samples[moving].at_ms - leader.samples[back - 1].at_ms,
        published / arriving
    );
    let after = leader.listen(steady / 4);
    leader.told("after it", &after);

    drop(leader.child.stdin.take());
    while leader.ended.is_none() {
        leader.hear();
    }
    assert!(leader.child.wait().unwrap().success());
    // Not by the rig of the other tests, which waits for a minute: this may be hundreds of millions of entries.
    let mut verify = Command::new(env!("CARGO_BIN_EXE_graphstream"));
    verify.args(["verify", "--from", &server.url("x"), "--database", Place::DATABASE, "--json"]);
    let verified = verify.envs(environment()).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let lines = String::from_utf8(verified.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(summary["summary"]["entries"], leader.ended.unwrap());
    // Flat: an outage that is held in memory would be hundreds of MiB, its length times the rate.
    let most = leader.samples.iter().map(|sample| sample.resident_bytes).max().unwrap();
    let first = leader.samples[shipped.start].resident_bytes;
    assert!(most < first + (96 << 20), "{most} bytes resident, {first} at the start");
}
