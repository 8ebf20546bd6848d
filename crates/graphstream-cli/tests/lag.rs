//! How long it takes until what was *synced* in a leader is applied at a follower, over an S3 server in a process of its own: seal age and
//! poll interval 100 ms, an entry every few milliseconds. `GRAPHSTREAM_LAG_SECONDS=60` measures for so long and prints p50 and p99; without
//! it everything must only arrive, in order.
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod cli;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cli::Place;
use graphstream::format::Position;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replay::{Guarantee, ReplayEntry, ReplayTarget, Result as ReplayResult};
use graphstream::replication::FollowerOptions;
use graphstream::storage::StackConfig;
use graphstream::storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
use graphstream::{Ack, Follower, GraphstreamMetrics, JournalEntry, JournalOptions, Leader, Stop};
use graphstream_testkit::s3::{ACCESS_KEY_ID, BUCKET, REGION, S3Server, SECRET_ACCESS_KEY};

const CHILD: &str = "the_lag_store";
const SERVE: &str = "GRAPHSTREAM_TEST_LAG_SERVE";
const SECONDS: &str = "GRAPHSTREAM_LAG_SECONDS";
const SEAL_AGE: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(120);

/// The store's process, until its standard input ends. Returns at once in the test's own process.
#[test]
fn the_lag_store() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let server = S3Server::honest().unwrap();
    std::io::stdout().lock().write_all(format!("endpoint {}\n", server.endpoint()).as_bytes()).unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

struct Store {
    child: Child,
    endpoint: String,
}

impl Store {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut endpoints = lines.map_while(Result::ok);
        let endpoint = endpoints.find_map(|line| Some(line.split_once("endpoint ")?.1.to_owned())).unwrap();
        Self { child, endpoint }
    }

    /// A way to it with connections of its own.
    async fn remote(&self) -> Remote {
        let config = S3Config::new(BUCKET).with_endpoint(&self.endpoint).with_region(REGION);
        let keys = StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        let bucket = S3Backend::open(config.with_credentials(Credentials::Static(keys))).await.unwrap();
        let store = StackConfig::default().wrap(bucket, &GraphstreamMetrics::shared());
        Remote::new(store, "", DatabaseName::new(Place::DATABASE).unwrap()).unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Notes when each entry was applied.
#[derive(Debug, Clone, Default)]
struct Clock {
    applied: Arc<Mutex<(Option<Position>, Vec<Instant>)>>,
}

impl ReplayTarget for Clock {
    fn name(&self) -> &str {
        "clock"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> ReplayResult<Option<Position>> {
        Ok(self.applied.lock().unwrap().0)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> ReplayResult<()> {
        let mut applied = self.applied.lock().unwrap();
        for entry in batch {
            assert_eq!(entry.sequence, applied.1.len() as u64 + 1);
            applied.1.push(Instant::now());
        }
        applied.0 = Some(position);
        Ok(())
    }

    fn reopen(&mut self) -> ReplayResult<()> {
        Ok(())
    }

    fn close(&mut self) -> ReplayResult<()> {
        Ok(())
    }
}

#[test]
fn entries_are_applied_soon_after_they_are_synced() {
    let seconds = std::env::var(SECONDS).ok().map(|seconds| seconds.parse::<f64>().unwrap());
    let time = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    let (place, store) = (Place::new(), Store::start());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (synced, applied) = runtime.block_on(async {
        let options = JournalOptions::default().with_segment_age_max(SEAL_AGE);
        let leader = Leader::builder(place.journal(), store.remote().await).journal_options(options);
        let (leader, _) = leader.start().await.unwrap();
        let clock = Clock::default();
        let options = FollowerOptions::default().with_poll_interval(POLL);
        let target: Box<dyn ReplayTarget> = Box::new(clock.clone());
        let mut follower =
            Follower::open(store.remote().await, target, options, GraphstreamMetrics::shared())
                .await
                .unwrap();
        let (stop, waiter) = (Stop::new(), follower.waiter());
        let stopped = stop.clone();
        let following = tokio::spawn(async move { follower.run(None, &stopped).await });
        let (began, mut synced) = (Instant::now(), Vec::new());
        while began.elapsed() < time || synced.len() < 100 {
            let entry = JournalEntry::new("CREATE (:Item {number: $number})", 0)
                .with_param("number", i64::try_from(synced.len()).unwrap());
            leader.append(&entry).unwrap().acked(Ack::Synced).await.unwrap();
            synced.push(Instant::now());
            tokio::time::sleep(PAUSE).await;
        }
        let token = leader.token(synced.len() as u64).await.unwrap();
        waiter.wait_at_most(token, LONG).await.unwrap();
        stop.cancel();
        following.await.unwrap().unwrap();
        leader.shutdown(LONG).await.unwrap();
        let applied = clock.applied.lock().unwrap().1.clone();
        (synced, applied)
    });
    assert_eq!(synced.len(), applied.len());
    let mut lags: Vec<Duration> =
        synced.iter().zip(&applied).map(|(synced, applied)| *applied - *synced).collect();
    lags.sort_unstable();
    let at = |share: usize| lags[(lags.len() - 1) * share / 1000].as_millis();
    eprintln!(
        "{} entries: append synced to applied, p50 {} ms, p90 {} ms, p99 {} ms, p99.9 {} ms, most {} ms",
        lags.len(),
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    );
}
