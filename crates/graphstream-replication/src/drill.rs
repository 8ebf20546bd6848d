//! A restore drill: everything that is committed, into a database that was empty, with what that took.
//!
//! It takes the follower's way: nothing is applied before the whole path to the head's chain is verified.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use graphstream_format::Position;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::Remote;
use graphstream_replay::digest::GraphDigest;
use graphstream_replay::{Guarantee, ReplayEntry, ReplayTarget};

use crate::threads::blocking;
use crate::{Error, Follower, FollowerOptions, Result, Stop};

/// What a drill came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Drill {
    /// Where the target is now: what was committed when the drill began.
    pub applied: Position,
    /// Entries that were applied.
    pub entries: u64,
    /// Bytes of segments that were fetched.
    pub bytes: u64,
    /// From the first request to the last commit: the time to restore.
    pub time: Duration,
    /// What is in the target then, if it can tell. Looking is not part of the time.
    pub digest: Option<GraphDigest>,
}

/// A target that several hold, of which one drives it; closed by the last.
struct Held(Arc<Mutex<Box<dyn ReplayTarget>>>, String, Guarantee);

impl Held {
    fn with<T>(&self, work: impl FnOnce(&mut dyn ReplayTarget) -> T) -> T {
        work(&mut **self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Replayed<T> = graphstream_replay::Result<T>;

impl ReplayTarget for Held {
    fn name(&self) -> &str {
        &self.1
    }
    fn guarantee(&self) -> Guarantee {
        self.2
    }
    fn position(&mut self) -> Replayed<Option<Position>> {
        self.with(|target| target.position())
    }
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Replayed<()> {
        self.with(|target| target.apply(batch, position))
    }
    fn reopen(&mut self) -> Replayed<()> {
        self.with(|target| target.reopen())
    }
    fn close(&mut self) -> Replayed<()> {
        // It is still to be looked at.
        Ok(())
    }
}

/// Replays everything that is committed into `target`, which must be empty, and closes it. When `stop` comes, it ends early.
///
/// # Errors
/// [`Error::ScratchNotEmpty`]; what [`Follower::catch_up`] fails with.
pub async fn drill(
    remote: Remote,
    target: Box<dyn ReplayTarget>,
    options: FollowerOptions,
    stop: &Stop,
) -> Result<Drill> {
    let (name, guarantee) = (target.name().to_owned(), target.guarantee());
    let held = Arc::new(Mutex::new(target));
    let looked = Held(Arc::clone(&held), name.clone(), guarantee);
    let found = blocking("asking the target", move || {
        let mut looked = looked;
        Ok(looked.position()?)
    })
    .await?;
    if let Some(position) = found {
        return Err(Error::ScratchNotEmpty { target: name, sequence: position.sequence });
    }
    // Of its own: what a drill fetches and applies is no follower's lag.
    let metrics = GraphstreamMetrics::shared();
    let begun = Instant::now();
    let driven = Box::new(Held(Arc::clone(&held), name.clone(), guarantee));
    let mut follower = Follower::open(remote, driven, options, Arc::clone(&metrics)).await?;
    let status = follower.catch_up(None, stop).await?;
    let time = begun.elapsed();
    drop(follower);
    let digest = blocking("looking at the target", move || {
        let mut target = held.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = target.state_digest()?;
        target.close()?;
        Ok(digest)
    })
    .await?;
    let counted = metrics.snapshot().follower;
    let applied = status.applied.unwrap_or(Position::start(graphstream_format::Lineage::LEGACY));
    Ok(Drill { applied, entries: counted.entries_applied, bytes: counted.bytes_fetched, time, digest })
}
