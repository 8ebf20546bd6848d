//! Followers: they start, tail, are killed wherever they are, and start again from what their target has.

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_replication::{ErrorKind, Follower, FollowerOptions, Stop};
use tokio::time::{sleep, timeout};

use super::store::{Hold, Line, Store};
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
        store.truth().counts.follower_restarts += 1;
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

async fn live(store: &Arc<Store>, table: &Table, line: &Line, cache: &std::path::Path) {
    let metrics = Arc::<GraphstreamMetrics>::default();
    let options = options(store, cache);
    let opened = Follower::open(remote(line, store), Box::new(table.clone()), options, metrics).await;
    let ended = match opened {
        Ok(mut follower) => follower.run(None, &Stop::new()).await.map(drop),
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => {}
        // Its target died more often than it puts up with.
        Err(error) if error.kind() == ErrorKind::Target => {}
        Err(error) => {
            store.trace.broken(format_args!("promise 6: {} met {error}: {error:?}", table_name(table)));
        }
    }
}
