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
//!
//! Three things tell whether a head may be believed: the target's position, what this process has read, and, with a directory to keep it in,
//! what was read before it was started (`floor`). A target behind what is retained is replaced from a snapshot (`replacing`).

mod applier;
mod batch;
mod cache;
mod catching_up;
mod fetching;
mod floor;
mod pace;
mod path;
mod replacing;
mod status;
mod waiting;

use std::sync::{Arc, Mutex};

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Floor, HeadPoll, HeadReader, Remote, StoredHead};
use graphstream_replay::ReplayTarget;
use tokio::sync::watch;

pub use self::status::FollowerStatus;
pub use self::waiting::Waiter;

pub(crate) use self::applier::Applier;
pub(crate) use self::batch::{Batch, Batcher, Limits, Spares};
use self::cache::Cache;
use self::fetching::Fetcher;
use self::floor::{Floors, Seen};
use self::pace::Pace;
use self::replacing::Place;
use self::waiting::Passed;
use crate::chance::backoff;
use crate::threads::blocking;
use crate::{Error, FollowerOptions, Result, Stop};

/// Replays a database's published history into a target.
#[derive(Debug)]
pub struct Follower {
    reader: HeadReader,
    applier: Applier,
    takes_lines: bool,
    options: FollowerOptions,
    metrics: Arc<GraphstreamMetrics>,
    cache: Arc<Cache>,
    floors: Floors,
    /// What was seen before this process was started has been asked for.
    floor_known: bool,
    /// What it was.
    seen_before: Option<Seen>,
    pace: Pace,
    status: watch::Sender<FollowerStatus>,
    /// For those who wait.
    passed: Arc<Mutex<Passed>>,
    /// What the target has.
    applied: Option<Position>,
    /// Times the target was reopened since it last made progress.
    restarts: u32,
    /// Where the target's database stands, if a snapshot may take its place.
    place: Option<Place>,
    /// The newest position of the target that is known to be of the published history.
    proven: Option<Position>,
    /// The target is closed because a snapshot takes its place.
    replacing: bool,
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
        let cache = Arc::new(Cache::open(&options)?);
        let floors = Floors::new(options.cache_dir.clone());
        let takes_lines = target.takes_lines();
        let applier = Applier::spawn(target)?;
        let applied = applier.position().await?;
        let mut reader = HeadReader::new(remote)?;
        if let Some(position) = applied {
            reader = reader.with_lineage(position.lineage).with_floor(Floor::from(position));
        }
        let (status, _) = watch::channel(FollowerStatus::default());
        let mut follower = Self {
            reader,
            applier,
            takes_lines,
            pace: Pace::new(&options),
            options,
            metrics,
            cache,
            floors,
            floor_known: false,
            seen_before: None,
            status,
            passed: Arc::default(),
            applied: None,
            restarts: 0,
            place: None,
            proven: None,
            replacing: false,
        };
        follower.stands_at(applied);
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
        waiting::lock(&self.passed).set_ended(false);
        let followed = tokio::select! {
            biased;
            // A stop drops the loop wherever it waits. The target's thread still finishes the batch it has, because
            // the questions below stand behind that batch in its inbox.
            () = stop.cancelled() => Ok(()),
            followed = self.poll_until(until, once) => followed,
        };
        // One that is being replaced is closed, and stands where it stood.
        let position = match std::mem::take(&mut self.replacing) {
            true => Ok(self.applied),
            false => self.applier.position().await,
        };
        let closed = self.applier.close().await;
        if let Ok(position) = &position {
            self.stands_at(*position);
        }
        waiting::lock(&self.passed).set_ended(true);
        self.report(|_| ());
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
                    self.status.send_modify(|status| status.failures = 0);
                    if once && goal.is_none() {
                        goal = Some(self.status().committed_sequence);
                    }
                    let pause = self.pace.pause();
                    pause + backoff.jitter(pause / 10)
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
                    self.status.send_modify(|status| status.failures = backoff.failures());
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
        let stored = match self.reader.poll().await.map_err(|error| self.of_lineage(error))? {
            HeadPoll::Missing => {
                let remote = self.reader.remote();
                return Err(Error::NoDatabase {
                    database: remote.layout().database().to_string(),
                    store: remote.backend().describe(),
                });
            }
            HeadPoll::NotModified => {
                self.metrics.follower.head_not_modified.inc();
                self.pace.unchanged();
                match self.reader.current() {
                    Some(stored) => Arc::clone(stored),
                    None => return Ok(Applied::Done),
                }
            }
            HeadPoll::Changed(stored) => {
                self.pace.changed();
                self.check_floor(&stored).await?;
                stored
            }
        };
        let (lineage, committed) = (stored.head.lineage(), stored.head.committed());
        self.saw(&stored, None);
        let from = self.applied.unwrap_or(Position::start(lineage));
        let wanted = until.map_or(committed.sequence, |until| until.min(committed.sequence));
        if from.sequence == committed.sequence {
            // It was compared with what the head says.
            self.proven = self.applied;
        }
        if from.sequence >= wanted {
            return Ok(Applied::Done);
        }
        self.status.send_modify(|status| status.lag_bytes = 0);
        let fetcher = self.fetcher(lineage, from.sequence).await?;
        match self.verified_legs(&fetcher, from).await {
            Ok(legs) => self.apply(&fetcher, legs, until).await,
            Err(error) if error.is_gap() => self.replace(error, until).await,
            Err(error) => Err(error),
        }
    }

    /// A target of another history than the published one is more than an unexpected head.
    fn of_lineage(&self, error: graphstream_remote::Error) -> Error {
        match (error, self.applied) {
            (graphstream_remote::Error::OtherLineage { found, .. }, Some(position))
                if position.lineage != found =>
            {
                Error::TargetLineage { target: position.lineage, published: found }
            }
            (error, _) => error.into(),
        }
    }

    /// Compares a new head with what the target has, and with what was seen before this process was started; then notes what it shows.
    async fn check_floor(&mut self, stored: &Arc<StoredHead>) -> Result<()> {
        let seen = Seen::of(&stored.head);
        let remote = self.reader.remote();
        if let Some(position) = self.applied {
            remote.check_floor(&stored.head, &Floor::from(position))?;
        }
        let (floors, lineage) = (self.floors.clone(), stored.head.lineage());
        if !std::mem::replace(&mut self.floor_known, true) {
            let floors = floors.clone();
            if let Some(kept) = blocking("reading the floor", move || Ok(floors.read(lineage))).await? {
                remote.check_floor(&stored.head, &kept.floor)?;
                remote.check_identity(&stored.head, &kept.identity)?;
                self.seen_before = Some(kept);
            }
        }
        blocking("keeping the floor", move || {
            floors.raise(&seen);
            Ok(())
        })
        .await
    }

    async fn fetcher(&self, lineage: Lineage, applied: u64) -> Result<Fetcher> {
        let cache = Arc::clone(&self.cache);
        let shelf = blocking("looking at the cache", move || Ok(cache.shelf(lineage, applied))).await?;
        let (options, metrics) = (Arc::new(self.options.clone()), Arc::clone(&self.metrics));
        Ok(Fetcher { remote: self.reader.remote().clone(), shelf, options, metrics })
    }

    /// Notes where the target stands, whatever it did.
    fn stands_at(&mut self, position: Option<Position>) {
        self.applied = position;
        waiting::lock(&self.passed).stands_at(position);
        self.report(|_| ());
    }

    /// Notes what a head says; `chain_hash` is that of what it calls committed, where the path there was verified.
    fn saw(&self, stored: &StoredHead, chain_hash: Option<ChainHash>) {
        let (lineage, committed) = (stored.head.lineage(), stored.head.committed());
        let sequence = committed.sequence;
        let applied = self.applied.filter(|applied| applied.sequence == sequence);
        // Of an encrypted history the head does not say it.
        let chain_hash = chain_hash.or(committed.chain.hash()).or(applied.map(|applied| applied.chain_hash));
        self.report(|status| {
            status.epoch = stored.head.epoch();
            status.committed = chain_hash.map(|chain_hash| Position { lineage, sequence, chain_hash });
            status.committed_sequence = committed.sequence;
            status.committed_commit_ms = committed.commit_ms;
        });
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
