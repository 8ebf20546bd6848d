//! The whole way of a follower: fetch from a `file://` store, verify, decode, apply to grafeo; beside the same statements given to
//! grafeo directly, in the same batches, one durable transaction each. Takes turns and prints the ratio of the medians.
//!
//! Input is the bundled sample, or the JSON lines in the file that `GRAPHSTREAM_BENCH_INPUT` names (behind grafeo's indexes).
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grafeo::{Config, DurabilityMode, GrafeoDB, Value};
use graphstream::proto::JournalEntry;
use graphstream::proto::json::parse_line;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::replication::FollowerOptions;
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::target_grafeo::{GrafeoTarget, Precision, to_grafeo};
use graphstream::{Follower, Journal, Stop, Uploader};

const SCHEMA: &str = include_str!("../../graphstream-cli/sample/schema-grafeo.jsonl");
const SAMPLE: &[u8] = include_bytes!("../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
const ROUNDS: usize = 9;

type Statement = (String, HashMap<String, Value>);

fn entries() -> Vec<JournalEntry> {
    let data = match std::env::var_os("GRAPHSTREAM_BENCH_INPUT") {
        Some(path) => std::fs::read(path).unwrap(),
        None => zstd::decode_all(SAMPLE).unwrap(),
    };
    let data = String::from_utf8(data).unwrap();
    SCHEMA.lines().chain(data.lines()).map(|line| parse_line(line, 0).unwrap()).collect()
}

/// As an application would hold them: parameters are grafeo's already.
fn statement(entry: &JournalEntry) -> Statement {
    let parameter =
        |(key, value): &(String, _)| (key.clone(), to_grafeo(value, Precision::Milliseconds).unwrap());
    (entry.query.clone(), entry.params.iter().map(parameter).collect())
}

async fn publish(dir: &Path, entries: &[JournalEntry]) -> Remote {
    let store = FsBackend::open(dir.join("store"), FsOptions::default()).unwrap();
    let remote = Remote::new(Arc::new(store), "", DatabaseName::new("bench").unwrap()).unwrap();
    let (journal, _) = Journal::builder(dir.join("journal")).open().unwrap();
    for entry in entries {
        let _not_waited_for = journal.append(entry.encode().unwrap()).unwrap();
    }
    journal.close().unwrap();
    let mut uploader =
        Uploader::open(dir.join("journal"), remote.clone(), Default::default(), Arc::default())
            .await
            .unwrap();
    uploader.ship().await.unwrap();
    remote
}

async fn follow(remote: &Remote, entries: usize) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let target = GrafeoTarget::open(dir.path().join("followed.grafeo")).unwrap();
    let begun = Instant::now();
    let mut follower =
        Follower::open(remote.clone(), Box::new(target), FollowerOptions::default(), Arc::default())
            .await
            .unwrap();
    let status = follower.catch_up(None, &Stop::new()).await.unwrap();
    assert_eq!(status.applied_sequence(), entries as u64);
    begun.elapsed()
}

fn directly(statements: Vec<Statement>) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let config =
        Config::persistent(dir.path().join("direct.grafeo")).with_wal_durability(DurabilityMode::Sync);
    let db = GrafeoDB::with_config(config).unwrap();
    let batch = FollowerOptions::default().batch_entries_max;
    let mut session = db.session();
    let mut statements = statements.into_iter().peekable();
    let begun = Instant::now();
    while statements.peek().is_some() {
        session.begin_transaction().unwrap();
        for (query, params) in statements.by_ref().take(batch) {
            session.execute_language(&query, "cypher", Some(params)).unwrap();
        }
        session.commit().unwrap();
    }
    db.close().unwrap();
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let entries = entries();
    let remote = publish(dir.path(), &entries).await;
    let statements: Vec<Statement> = entries.iter().map(statement).collect();
    let (mut followed, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        followed.push(follow(&remote, entries.len()).await);
        direct.push(directly(statements.clone()));
    }
    let (followed, direct) = (median(followed), median(direct));
    println!(
        "{} entries: follow {followed:?}, grafeo directly {direct:?}; following has {:.2} of the direct speed (medians of {ROUNDS})",
        entries.len(),
        direct.as_secs_f64() / followed.as_secs_f64(),
    );
}
