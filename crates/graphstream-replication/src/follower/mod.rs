//! The follower: tails the head, fetches, verifies, applies.
//!
//! ```text
//!          ┌──────────── unchanged, or caught up: wait ────────────┐
//!          ▼                                                       │
//!        poll ── changed ──► resolve ──► fetch + verify ──► apply ─┤
//!          ▲                    ▲          │ 404: compacted away   │ target gone: reopen,
//!          │                    └──────────┘                       │ ask for its position
//!          └──────────── store does not answer: back off ──────────┘
//! ```
//! Nothing is applied before the chain over *all* missing segments has reached the head's chain hash. Segments are kept
//! in a bounded cache between verifying and applying; what does not fit is fetched, and verified, a second time.

mod applier;
mod batch;
mod cache;
mod path;
mod status;

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use graphstream_format::Position;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Floor, HeadPoll, HeadReader, PlannedSegment, Remote, StoredHead};
use graphstream_replay::{ErrorClass, ReplayTarget};
use tokio::sync::watch;

pub use status::FollowerStatus;

pub(crate) use self::applier::Applier;
pub(crate) use self::batch::{Batch, Batcher};
use self::cache::{Cache, CachedSegment, fetch};
use self::path::{Step, verify, walk};
use crate::chance::backoff;
use crate::threads::{self, blocking};
use crate::{Error, FollowerOptions, Result, Stop};

/// A decoded batch waits while the one before it is applied; one more is being decoded.
const BATCHES_AHEAD: usize = 1;

/// Replays a database's published history into a target.
#[derive(Debug)]
pub struct Follower {
    reader: HeadReader,
    applier: Applier,
    options: FollowerOptions,
    metrics: Arc<GraphstreamMetrics>,
    cache: Cache,
    status: watch::Sender<FollowerStatus>,
    /// What the target has.
    applied: Option<Position>,
    /// Times the target was reopened since it last made progress.
    restarts: u32,
}

/// A verified segment on the way to the target.
#[derive(Debug)]
struct Leg {
    planned: PlannedSegment,
    head: Arc<StoredHead>,
    /// Where the chain stands after it.
    end: Position,
    /// Its bytes, if the cache had room.
    kept: Option<CachedSegment>,
}

/// How applying ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    /// Everything that was asked for.
    Done,
    /// The target was reopened: look again from its position.
    Restarted,
}

impl Follower {
    /// Connects a target with a database in a store. Asks the target for its position, the store for nothing yet.
    ///
    /// # Errors
    /// [`Error::Target`] when the target can't tell its position; [`Error::Cache`]; [`Error::Thread`].
    pub async fn open(
        remote: Remote,
        target: Box<dyn ReplayTarget>,
        options: FollowerOptions,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Result<Self> {
        let cache = Cache::open(&options)?;
        let applier = Applier::spawn(target)?;
        let applied = applier.position().await?;
        let mut reader = HeadReader::new(remote)?;
        if let Some(position) = applied {
            reader = reader.with_floor(Floor::from(position));
        }
        let (status, _) = watch::channel(FollowerStatus::default());
        let follower = Self { reader, applier, options, metrics, cache, status, applied, restarts: 0 };
        follower.report(|_| ());
        Ok(follower)
    }

    /// Where the follower stands, as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<FollowerStatus> {
        self.status.subscribe()
    }

    /// Where the follower stands now.
    #[must_use]
    pub fn status(&self) -> FollowerStatus {
        *self.status.borrow()
    }

    /// Follows until `stop`, or until the entry `until` is applied. An unreachable store is asked again for ever. When it
    /// stops, the batch in hand has been applied and the target is closed.
    ///
    /// # Errors
    /// Whatever stops replication for good: damage, a gap, a fork, a rewind, an entry that can't be applied, a target that is gone
    /// and can't be reopened.
    pub async fn run(&mut self, until: Option<u64>, stop: &Stop) -> Result<FollowerStatus> {
        self.follow(until, stop, false).await
    }

    /// Applies what is committed at the first look at the head (or until the entry `until`), then ends. When `stop` comes
    /// earlier it ends as [`run`](Self::run) does.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::NoDatabase`] when there is none; [`Error::Remote`] when the store stays unreachable.
    pub async fn catch_up(&mut self, until: Option<u64>, stop: &Stop) -> Result<FollowerStatus> {
        self.follow(until, stop, true).await
    }

    async fn follow(&mut self, until: Option<u64>, stop: &Stop, once: bool) -> Result<FollowerStatus> {
        let followed = tokio::select! {
            biased;
            // A stop drops the loop wherever it waits. The target's thread still finishes the batch it has, because
            // the questions below stand behind that batch in its inbox.
            () = stop.cancelled() => Ok(()),
            followed = self.poll_until(until, once) => followed,
        };
        let position = self.applier.position().await;
        let closed = self.applier.close().await;
        if let Ok(position) = &position {
            self.applied = *position;
            self.report(|_| ());
        }
        followed.and(position.map(drop)).and(closed).map(|()| self.status())
    }

    async fn poll_until(&mut self, until: Option<u64>, once: bool) -> Result<()> {
        let mut backoff = backoff(self.reader.remote(), self.options.retry_interval_max)?;
        let mut goal = until;
        loop {
            let pause = match self.poll(goal).await {
                Ok(Applied::Restarted) => continue,
                Ok(Applied::Done) => {
                    backoff.reset();
                    if once && goal.is_none() {
                        goal = Some(self.status().committed_sequence);
                    }
                    self.options.poll_interval + backoff.jitter(self.options.poll_interval / 10)
                }
                Err(error @ Error::NoDatabase { .. }) if !once => {
                    tracing::debug!(%error, "waiting for the database to appear");
                    self.options.poll_interval
                }
                Err(error)
                    if error.is_transient()
                        && !matches!(error, Error::NoDatabase { .. })
                        && (!once || backoff.failures() < self.options.store_retries_max) =>
                {
                    self.metrics.follower.fetch_failures.inc();
                    let pause = backoff.next_pause();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        ?pause,
                        "the store failed, trying again"
                    );
                    pause
                }
                Err(error) => return Err(error),
            };
            let applied = self.applied.map_or(0, |position| position.sequence);
            if goal.is_some_and(|goal| applied >= goal) || (once && backoff.failures() == 0) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One look at the head, and everything that follows from it.
    async fn poll(&mut self, until: Option<u64>) -> Result<Applied> {
        self.metrics.follower.head_polls.inc();
        let stored = match self.reader.poll().await? {
            HeadPoll::Missing => {
                let remote = self.reader.remote();
                return Err(Error::NoDatabase {
                    database: remote.layout().database().to_string(),
                    store: remote.backend().describe(),
                });
            }
            HeadPoll::NotModified => {
                self.metrics.follower.head_not_modified.inc();
                match self.reader.current() {
                    Some(stored) => Arc::clone(stored),
                    None => return Ok(Applied::Done),
                }
            }
            HeadPoll::Changed(stored) => stored,
        };
        let (lineage, committed) = (stored.head.lineage(), stored.head.committed());
        if let Some(target) =
            self.applied.map(|position| position.lineage).filter(|target| *target != lineage)
        {
            return Err(Error::TargetLineage { target, published: lineage });
        }
        self.report(|status| {
            status.committed_sequence = committed.sequence;
            status.committed_commit_ms = committed.commit_ms;
        });
        let from = self.applied.unwrap_or(Position::start(lineage));
        let wanted = until.map_or(committed.sequence, |until| until.min(committed.sequence));
        if from.sequence >= wanted {
            return Ok(Applied::Done);
        }
        let legs = self.verified_legs(from).await?;
        let applied = self.apply(legs, from, until).await;
        self.cache.emptied();
        applied
    }

    /// Fetches and verifies everything from `from` to the head; the chain must end in the head's chain hash.
    async fn verified_legs(&mut self, from: Position) -> Result<Vec<Leg>> {
        let mut legs = Vec::new();
        let mut missing = Vec::new();
        let mut at = from;
        let head = loop {
            let plan = self.reader.resolve(at.sequence, &missing).await?;
            if plan.segments.is_empty() {
                break plan.head;
            }
            let (remote, options) = (self.reader.remote().clone(), self.options.clone());
            let metrics = Arc::clone(&self.metrics);
            let (dir, head) = (self.cache.dir().to_path_buf(), Arc::clone(&plan.head));
            let mut fetched = stream::iter(plan.segments)
                .map(|planned| {
                    let (remote, options, dir, head) = (&remote, &options, &dir, &head);
                    let metrics = &metrics;
                    async move {
                        let segment = fetch(remote, &head.head, &planned, dir, options, metrics).await;
                        (planned, segment)
                    }
                })
                .buffered(self.options.fetches_max.clamp(1, 64));
            while let Some((planned, segment)) = fetched.next().await {
                let Some(segment) = segment? else {
                    tracing::debug!(segment = %planned.name, "not there any more, resolving again");
                    missing.push(planned.name);
                    break;
                };
                self.metrics.follower.segments_fetched.inc();
                self.metrics.follower.bytes_fetched.add(planned.size);
                let (end, segment) = blocking("verifying a segment", move || {
                    verify(&segment, &planned, at).map(|end| (end, segment))
                })
                .await?;
                at = end;
                let kept = self.cache.keep(planned.size).then_some(segment);
                legs.push(Leg { planned, head: Arc::clone(&plan.head), end, kept });
                self.status.send_modify(|status| {
                    status.fetched_sequence = end.sequence;
                    status.lag_bytes += planned.size;
                });
            }
        };
        let committed = head.head.committed();
        let remote = self.reader.remote();
        if !remote.is_chain(&committed.chain, &at)? {
            return Err(Error::HeadChain {
                sequence: committed.sequence,
                expected: Box::new(committed.chain),
                found: Box::new(remote.shown_chain(&at, &committed.chain)),
            });
        }
        self.report(|status| {
            status.committed_sequence = committed.sequence;
            status.committed_commit_ms = committed.commit_ms;
        });
        Ok(legs)
    }

    /// Applies verified segments in order.
    async fn apply(&mut self, legs: Vec<Leg>, from: Position, until: Option<u64>) -> Result<Applied> {
        let mut at = from;
        for leg in legs {
            if until.is_some_and(|until| at.sequence >= until) {
                break;
            }
            let (planned, end) = (leg.planned, leg.end);
            let segment = match leg.kept {
                Some(segment) => segment,
                None => self.fetch_again(&leg, at).await?,
            };
            if self.apply_segment(segment, planned, at, until).await? == Applied::Restarted {
                return Ok(Applied::Restarted);
            }
            at = end;
            self.report(|status| status.lag_bytes = status.lag_bytes.saturating_sub(planned.size));
        }
        Ok(Applied::Done)
    }

    /// A segment that the cache had no room for. It must lead where it led when the whole path was verified.
    async fn fetch_again(&self, leg: &Leg, at: Position) -> Result<CachedSegment> {
        let (planned, end) = (leg.planned, leg.end);
        let fetched = fetch(
            self.reader.remote(),
            &leg.head.head,
            &planned,
            self.cache.dir(),
            &self.options,
            &self.metrics,
        )
        .await?;
        let Some(segment) = fetched else {
            // Compacted away meanwhile: the next poll resolves it again. Nothing of it was applied.
            return Err(Error::Moved { segment: planned.name });
        };
        blocking("verifying a segment", move || {
            let found = verify(&segment, &planned, at)?;
            if found == end {
                return Ok(segment);
            }
            Err(Error::Forked {
                segment: planned.name,
                sequence: end.sequence,
                ours: end.chain_hash,
                theirs: found.chain_hash,
            })
        })
        .await
    }

    /// Decodes on one thread while the target's thread applies.
    async fn apply_segment(
        &mut self,
        segment: CachedSegment,
        planned: PlannedSegment,
        from: Position,
        until: Option<u64>,
    ) -> Result<Applied> {
        let (batches, mut decoded) = threads::channel::<Batch>(BATCHES_AHEAD);
        let mut batcher =
            Batcher::new(from.lineage, self.options.batch_entries_max, self.options.batch_bytes_max);
        let decoding = threads::start(move || {
            // A closed channel means that nobody wants the rest: not an error.
            let send = |batch: Option<Batch>| batch.is_none_or(|batch| batches.send(batch));
            walk(&segment, &planned, from, |entry| {
                let wanted = send(batcher.push(entry)?);
                let last = until.is_some_and(|until| entry.sequence >= until);
                Ok(if wanted && !last { Step::On } else { Step::Enough })
            })?;
            send(batcher.take());
            Ok(())
        });
        let applied = loop {
            let Some(batch) = decoded.recv().await else { break Ok(Applied::Done) };
            match self.apply_batch(batch).await {
                Ok(Applied::Done) => {}
                ended => break ended,
            }
        };
        // Also when nobody wants the rest: the decoder has the cached file until it ends, and would take away the one that is
        // fetched next under the same name.
        drop(decoded);
        let decoding: Result<()> = decoding.end("decoding a segment").await;
        match applied? {
            Applied::Done => decoding.map(|()| Applied::Done),
            Applied::Restarted => Ok(Applied::Restarted),
        }
    }

    async fn apply_batch(&mut self, batch: Batch) -> Result<Applied> {
        let Batch { entries, position, commit_ms } = batch;
        let count = entries.len();
        let started = Instant::now();
        match self.applier.apply(entries, position).await {
            Ok(()) => {}
            Err(Error::Target(error)) if error.class() == ErrorClass::Gone => {
                self.metrics.follower.target_failures.inc();
                self.reopen_target(error).await?;
                return Ok(Applied::Restarted);
            }
            Err(error) => {
                self.metrics.follower.target_failures.inc();
                return Err(error);
            }
        }
        let follower = &self.metrics.follower;
        follower.apply_seconds.observe(started.elapsed());
        follower.batches_applied.inc();
        follower.entries_applied.add(count as u64);
        self.restarts = 0;
        self.applied = Some(position);
        self.report(|status| status.applied_commit_ms = Some(commit_ms));
        Ok(Applied::Done)
    }

    /// The target is gone: it is opened again and asked which of the two worlds came true.
    async fn reopen_target(&mut self, mut why: graphstream_replay::Error) -> Result<()> {
        let mut backoff = backoff(self.reader.remote(), self.options.retry_interval_max)?;
        loop {
            if self.restarts >= self.options.target_restarts_max {
                return Err(why.into());
            }
            self.restarts += 1;
            let pause = backoff.next_pause();
            tracing::warn!(
                error = &why as &dyn std::error::Error,
                restart = self.restarts,
                ?pause,
                "the target is gone, opening it again"
            );
            tokio::time::sleep(pause).await;
            let reopened = match self.applier.reopen().await {
                Ok(()) => self.applier.position().await,
                Err(error) => Err(error),
            };
            match reopened {
                Ok(position) => {
                    self.applied = position;
                    self.report(|_| ());
                    return Ok(());
                }
                Err(Error::Target(error)) if error.class() == ErrorClass::Gone => why = error,
                Err(error) => return Err(error),
            }
        }
    }

    /// Publishes the status, to watchers and as metrics.
    fn report(&self, change: impl FnOnce(&mut FollowerStatus)) {
        self.status.send_modify(|status| {
            change(status);
            status.applied = self.applied;
        });
        let status = self.status();
        let follower = &self.metrics.follower;
        follower.applied_sequence.set(status.applied_sequence());
        follower.committed_sequence.set(status.committed_sequence);
        follower.lag_entries.set(status.lag_entries());
        follower.lag_bytes.set(status.lag_bytes);
        if let Some(lag) = status.lag_time() {
            follower.lag_seconds.set(lag);
        }
    }
}
