//! Followers: they start, tail, are killed wherever they are, and start again from what their target has.

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::Error as RemoteError;
use graphstream_replication::{Error, ErrorKind, Follower, FollowerOptions, Stop};
use tokio::time::{sleep, timeout};

use super::line::{Hold, Line};
use super::progress::Progress;
use super::store::Store;
use super::table::Table;
use super::world::remote;

/// Lives, one after the other.
pub async fn follow(store: Arc<Store>, table: Table, hold: Hold, cache: std::path::PathBuf) {
    loop {
        let life = if store.chance.per_mille(700) { 6 * 3600 } else { 600 };
        let life = store.chance.between(Duration::from_secs(10), Duration::from_secs(life));
        let line = Line::new(&store, &table_name(&table), &hold);
        let _ = timeout(life, live(&store, &table, &line, &cache)).await;
        line.cut();
        store.tally.hit("follower: restarts");
        store.trace.note(format_args!("{} restarts", table_name(&table)));
        sleep(store.chance.between(Duration::ZERO, Duration::from_secs(120))).await;
    }
}

fn table_name(table: &Table) -> String {
    graphstream_replay::ReplayTarget::name(table).to_owned()
}

pub fn options(store: &Store, cache: &std::path::Path) -> FollowerOptions {
    let poll = store.chance.between(Duration::from_secs(2), Duration::from_secs(40));
    FollowerOptions::default()
        .with_poll_interval(poll)
        .with_batch_entries_max(1 + usize::try_from(store.chance.below(9)).unwrap())
        // Sometimes nothing is kept, and everything is fetched twice.
        .with_cache_bytes_max(if store.chance.per_mille(300) { 0 } else { 1 << 20 })
        .with_cache_dir(cache)
}

/// So long after the last failure what is committed is applied.
const APPLIED_WITHIN: Duration = Duration::from_secs(900);

async fn live(store: &Arc<Store>, table: &Table, line: &Line, cache: &std::path::Path) {
    let metrics = Arc::<GraphstreamMetrics>::default();
    let options = options(store, cache);
    let wrong = store.heads.lock().unwrap().times;
    let holes = store.holes.lock().unwrap().times;
    let opened = Follower::open(remote(line, store), Box::new(table.clone()), options, metrics).await;
    let ended = match opened {
        Ok(mut follower) => {
            let stop = Stop::new();
            let mut running = Box::pin(follower.run(None, &stop));
            let mut progress = Progress::new(APPLIED_WITHIN);
            loop {
                if let Ok(ended) = timeout(Duration::from_secs(60), &mut running).await {
                    break ended.map(drop);
                }
                let (goal, applied) = (store.truth().end(), table.numbers().len() as u64);
                if let Some(late) = progress.reached(store.calm_for(), goal, applied) {
                    store.trace.broken(format_args!(
                        "liveness: {late} was committed long ago, and {} is at {applied}",
                        table_name(table)
                    ));
                }
            }
        }
        Err(error) => Err(error),
    };
    let Err(error) = ended else { return };
    let wrong_head = store.heads.lock().unwrap().wrong_since(wrong);
    match error {
        // Its target died more often than it puts up with.
        error if error.kind() == ErrorKind::Target => store.tally.hit("follower: lost its target"),
        Error::Remote(RemoteError::HeadMissing { .. } | RemoteError::Rewound(_)) if wrong_head => {
            store.tally.hit("follower: refuses a head");
        }
        Error::Remote(RemoteError::Gap { .. }) if store.holes.lock().unwrap().since(holes) => {
            store.tally.hit("follower: meets a hole");
        }
        error => store.trace.broken(format_args!("promise 6: {} met {error}: {error:?}", table_name(table))),
    }
}
