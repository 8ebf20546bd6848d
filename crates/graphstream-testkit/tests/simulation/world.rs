//! One seed, one world: machines, followers, weather, and the end without faults in which all must become equal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{DatabaseName, Remote};
use graphstream_replication::simulation::Inline;
use graphstream_replication::{Follower, Stop};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::DATABASE;
use super::chance::Chance;
use super::counts::Counts;
use super::disk::read;
use super::follower::{follow, options};
use super::heads::meddle;
use super::holes::delete;
use super::keys::{encrypt, given, keys};
use super::line::{Hold, Line};
use super::machine::Machine;
use super::store::Store;
use super::table::Table;
use super::trace::Trace;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub hours: u64,
    /// The whole trace is kept.
    pub keep: bool,
    /// All that is sealed and published takes a key.
    pub encrypted: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub counts: Counts,
    pub steps: u64,
    pub requests: u64,
    pub faults: u64,
    pub trace: String,
}

/// Runs one world to its end.
pub fn run(plan: Plan) -> Result<Outcome, String> {
    encrypt(plan.encrypted);
    let _inline = Inline::enter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let cache = tempfile::tempdir().unwrap();
    runtime.block_on(simulate(plan, cache.path().to_path_buf()))
}

/// The way to the database that a process has.
pub fn remote(line: &Line, store: &Arc<Store>) -> Remote {
    let name = DatabaseName::new(DATABASE).unwrap();
    let remote = Remote::new(Arc::new(line.clone()), "", name).unwrap();
    given(remote.with_randomness(Arc::<Chance>::clone(&store.chance)), &store.chance)
}

async fn simulate(plan: Plan, cache: PathBuf) -> Result<Outcome, String> {
    let chance = Arc::new(Chance::new(plan.seed));
    let trace = Arc::new(Trace::new(plan.keep));
    let store = Store::new(chance, Arc::clone(&trace));
    let machines: Vec<Machine> = (0..2 + store.chance.below(2))
        .map(|index| {
            let wrong_by_ms = i64::try_from(store.chance.below(7200)).unwrap() * 1000 - 3_600_000;
            Machine::new(&store, &format!("machine-{index}"), index == 0, wrong_by_ms)
        })
        .collect();
    let tables: Vec<Table> = (0..1 + store.chance.below(2))
        .map(|index| Table::new(&store, &format!("follower-{index}")))
        .collect();
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for machine in &machines {
        tasks.push(tokio::spawn(machine.clone().run()));
    }
    for table in &tables {
        tasks.push(tokio::spawn(follow(Arc::clone(&store), table.clone(), Hold::default(), cache.clone())));
    }
    tasks.push(tokio::spawn(weather(Arc::clone(&store))));
    tasks.push(tokio::spawn(meddle(Arc::clone(&store))));
    tasks.push(tokio::spawn(delete(Arc::clone(&store))));
    for _ in 0..plan.hours * 60 {
        sleep(Duration::from_secs(60)).await;
        store.deliver(false);
        trace.verdict()?;
        if tasks.iter().any(JoinHandle::is_finished) {
            return Err("a task ended by a panic, which stands above".to_owned());
        }
    }
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
    trace.note(format_args!("the faults end"));
    settle(&store, &machines, &tables, cache).await?;
    trace.verdict()?;
    Ok(Outcome {
        counts: store.tally.counts(),
        steps: trace.lines(),
        requests: store.requests.load(Ordering::Relaxed),
        faults: store.faults.load(Ordering::Relaxed),
        trace: trace.text(),
    })
}

/// Calm, storms, and days on which the store is gone.
async fn weather(store: Arc<Store>) {
    loop {
        let seconds = store.chance.between(Duration::from_secs(60), Duration::from_secs(7200));
        let faults = [0, 0, 5, 5, 50, 200][usize::try_from(store.chance.below(6)).unwrap()];
        store.weather(faults, false);
        store.trace.note(format_args!("of 1000 requests {faults} fail"));
        sleep(seconds).await;
        if store.chance.per_mille(200) {
            store.tally.hit("store: outages");
            store.trace.note(format_args!("the store is gone"));
            store.weather(faults, true);
            sleep(store.chance.between(Duration::from_secs(60), Duration::from_secs(5400))).await;
            store.weather(faults, false);
            store.trace.note(format_args!("the store is back"));
        }
    }
}

/// Liveness: without faults, with all that travelled landed or lost, one leader alone stores its journal, and every follower applies it.
async fn settle(
    store: &Arc<Store>,
    machines: &[Machine],
    tables: &[Table],
    cache: PathBuf,
) -> Result<(), String> {
    store.weather(0, false);
    store.put_head_back();
    store.fill_holes();
    for machine in machines {
        *machine.hold.lock().unwrap() = None;
        machine.disk.lock().unwrap().kill();
    }
    // What the tasks have left drops, and sends off what was on its way.
    sleep(Duration::from_secs(1)).await;
    store.deliver(true);
    // The founder alone can begin a database that nobody has begun yet.
    let begun = !store.truth().committed.is_empty();
    let count = if begun { machines.len() as u64 } else { 1 };
    let alone = &machines[usize::try_from(store.chance.below(count)).unwrap()];
    let leader = alone.settle().await.map_err(|error| format!("liveness: {}: {error}", alone.name))?;
    let report =
        leader.shutdown(Duration::from_secs(600)).await.map_err(|error| format!("liveness: {error:?}"))?;
    let committed: Vec<u64> = store.truth().committed.iter().map(|row| row.number).collect();
    if report.position.sequence != committed.len() as u64
        || report.committed.sequence != report.position.sequence
    {
        return Err(format!("liveness: {report:?} with {} committed", committed.len()));
    }
    let fs = Arc::new(alone.disk.lock().unwrap().fs.clone());
    let dir = graphstream_journal::JournalDir::open_on(super::disk::DIR, fs)
        .map_err(|error| format!("{error:?}"))?;
    let dir = match keys() {
        Some(keys) => dir.with_keys(keys),
        None => dir,
    };
    for (sequence, number) in read(&dir).map_err(|error| format!("liveness: {error:?}"))? {
        if committed[usize::try_from(sequence).unwrap() - 1] != number {
            return Err(format!("liveness: the journal has {number} at {sequence}"));
        }
    }
    for table in tables {
        let line = Line::new(store, "settling", &Hold::default());
        let metrics = Arc::<GraphstreamMetrics>::default();
        let mut follower =
            Follower::open(remote(&line, store), Box::new(table.clone()), options(store, &cache), metrics)
                .await
                .map_err(|error| format!("liveness: {error:?}"))?;
        let caught_up = timeout(Duration::from_secs(3600), follower.catch_up(None, &Stop::new())).await;
        caught_up
            .map_err(|_| "liveness: a follower hangs".to_owned())?
            .map_err(|error| format!("liveness: {error:?}"))?;
        if table.numbers() != committed {
            return Err(format!("liveness: {table:?} is not the history"));
        }
    }
    Ok(())
}
