//! Restore: a database, or a journal, as it was after any entry, at any time, or where a label points (point-in-time recovery).
//!
//! ```text
//!   plan ──► fetch, verify: hashes, chain ──► database: unpack the snapshot, replay ──┐
//!    ▲          │ a snapshot that is damaged:   journal: place the segments ──────────┤──► one rename: it is there
//!    └──────────┘ the one before it                                                   │
//!   killed anywhere: the same restore goes on with what it has ◄──────────────────────┘
//! ```
//! Nothing is applied before all that leads to the goal is verified, and nothing is visible under its name before it is whole.

mod database;
mod fetch;
mod goal;
mod journal;
mod plan;
mod work;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use graphstream_format::Position;
use graphstream_remote::{Remote, SegmentName};
use graphstream_replay::ReplayTarget;

pub use self::plan::{Hole, PassedSnapshot, RestorePlan};

pub(crate) use self::database::discard;
use self::fetch::{Fetch, Fetched};
use self::work::Work;
use crate::error::SnapshotDamage;
use crate::snapshot::{Engine, Heard};
use crate::threads::blocking;
use crate::{Error, Goal, RestoreOptions, Result};

/// How often what moved between planning and fetching is looked for again.
const ATTEMPTS: usize = 8;

/// Which history a restored journal goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoredLineage {
    /// One of its own: what is appended to it never passes for the history that it came from.
    #[default]
    New,
    /// The one that it came from: for a leader whose disk was lost, and that goes on under the same name.
    Kept,
}

/// What is being done, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreStep {
    /// Objects are fetched and verified.
    Fetching {
        /// Bytes of them, also of those that are here already.
        bytes: u64,
    },
    /// A snapshot is unpacked.
    Unpacking {
        /// Bytes of its files.
        bytes: u64,
    },
    /// Entries are replayed.
    Applying {
        /// How many.
        entries: u64,
    },
    /// What is whole gets its place.
    Placing,
}

/// Hears of the work as it goes on, from any thread.
pub trait RestoreProgress: Send + Sync + 'static {
    /// A step begins.
    fn begin(&self, step: RestoreStep);
    /// So much more of the step is done: bytes or entries.
    fn advance(&self, amount: u64);
}

/// What was restored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreReport {
    /// What was done.
    pub plan: RestorePlan,
    /// Where it stands now.
    pub position: Position,
    /// What stood in its place before, and is called now.
    pub set_aside: Option<PathBuf>,
    /// Whether it went on with what an earlier restore had left.
    pub resumed: bool,
}

/// Where to.
enum Destination {
    Database {
        path: PathBuf,
        engine: Arc<dyn Engine>,
    },
    /// Locked by nobody: a target may not be shared, and what holds one may.
    Target(Mutex<Option<Box<dyn ReplayTarget>>>),
    Journal {
        dir: PathBuf,
        lineage: RestoredLineage,
    },
}

/// A restore that is about to be done. An encrypted history takes a remote with its keys.
///
/// ```no_run
/// use std::sync::Arc;
/// use graphstream_replication::{Goal, JsonlEngine, Restore};
/// # async fn restore(remote: graphstream_remote::Remote) -> Result<(), graphstream_replication::Error> {
/// let mut restore = Restore::into_database(remote, "people.jsonl", Arc::new(JsonlEngine)).goal(Goal::Sequence(1_000));
/// println!("{} bytes of segments", restore.plan().await?.segment_bytes());
/// restore.run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until `run`"]
pub struct Restore {
    remote: Remote,
    destination: Destination,
    goal: Goal,
    options: RestoreOptions,
    progress: Option<Arc<dyn RestoreProgress>>,
    /// Segments that were not there when they were fetched.
    missing: Vec<SegmentName>,
    passed: Vec<PassedSnapshot>,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore")
            .field("remote", &self.remote)
            .field("goal", &self.goal)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Restore {
    /// Into a database at `path`, from a snapshot of one of its kind where that is nearer than the first entry.
    pub fn into_database(remote: Remote, path: impl AsRef<Path>, engine: Arc<dyn Engine>) -> Self {
        Self::new(remote, Destination::Database { path: path.as_ref().to_path_buf(), engine })
    }

    /// Into a target that is not a file of its own: all entries are replayed, from the first one. It must be empty, unless a killed restore
    /// has left its work directory, which must be named ([`RestoreOptions::with_work_dir`]).
    pub fn into_target(remote: Remote, target: Box<dyn ReplayTarget>) -> Self {
        Self::new(remote, Destination::Target(Mutex::new(Some(target))))
    }

    /// Into a journal's directory. It begins where the segments do; without one of entry 1 behind that.
    pub fn into_journal(remote: Remote, dir: impl AsRef<Path>, lineage: RestoredLineage) -> Self {
        Self::new(remote, Destination::Journal { dir: dir.as_ref().to_path_buf(), lineage })
    }

    fn new(remote: Remote, destination: Destination) -> Self {
        Self {
            remote,
            destination,
            goal: Goal::Latest,
            options: RestoreOptions::default(),
            progress: None,
            missing: Vec::new(),
            passed: Vec::new(),
        }
    }

    /// Which point.
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// How.
    pub fn options(mut self, options: RestoreOptions) -> Self {
        self.options = options;
        self
    }

    /// Who hears of the work.
    pub fn progress(mut self, progress: Arc<dyn RestoreProgress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Whether something stands where the restored database or journal is to be.
    #[must_use]
    pub fn stands(&self) -> bool {
        match &self.destination {
            Destination::Database { path, .. } => database::stands(path),
            Destination::Journal { dir, .. } => journal::stands(dir),
            Destination::Target(_) => false,
        }
    }

    /// What it will do. Changes nothing.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::NothingCommitted`]; [`Error::BeyondCommitted`], [`Error::BeforeHistory`], [`Error::NoLabel`],
    /// [`Error::LabelLineage`] for a goal that is not in the history; [`Error::RestoreHole`]; [`Error::Remote`].
    pub async fn plan(&mut self) -> Result<RestorePlan> {
        goal::plan(self).await
    }

    /// Does it. What was fetched before an error, or before the process was killed, is not fetched again by the same restore.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); [`Error::RestoreExists`], [`Error::RestoreNotEmpty`], [`Error::RestoreRunning`]; the integrity errors of
    /// what is fetched, before anything of it is applied; [`Error::Target`]; [`Error::RestoreFile`].
    pub async fn run(mut self) -> Result<RestoreReport> {
        let place = match &self.destination {
            Destination::Database { path, .. } => Some(path.clone()),
            Destination::Journal { dir, .. } => Some(dir.clone()),
            Destination::Target(_) => None,
        };
        if let Some(path) = place.clone().filter(|_| self.stands() && !self.options.replace) {
            return Err(Error::RestoreExists { path });
        }
        let mut because = None;
        for _ in 0..ATTEMPTS {
            let plan = match self.plan().await {
                Ok(plan) => plan,
                // Nothing but that snapshot would have led there.
                Err(Error::RestoreHole(hole)) => return Err(because.unwrap_or(Error::RestoreHole(hole))),
                Err(error) => return Err(error),
            };
            let work_path = match (&self.options.work_dir, &place) {
                (Some(dir), _) => dir.clone(),
                (None, Some(place)) => work::beside(place),
                (None, None) => {
                    let database = self.remote.layout().database();
                    std::env::temp_dir().join(format!("graphstream-restore-{database}"))
                }
            };
            let work =
                Arc::new(blocking("opening the work directory", move || Work::open(&work_path)).await?);
            let attempted = self.attempt(&plan, &work).await;
            match attempted {
                Ok(Some(report)) => {
                    if let Some(work) = Arc::into_inner(work) {
                        blocking("cleaning up", move || {
                            work.remove();
                            Ok(())
                        })
                        .await?;
                    }
                    return Ok(report);
                }
                Ok(None) => {}
                Err(error) => match &plan.snapshot {
                    Some(snapshot) if is_of_snapshot(&error, snapshot.sequence) => {
                        let name = snapshot.name()?;
                        tracing::warn!(%name, error = &error as &dyn std::error::Error, "a snapshot can't be used, trying without it");
                        self.passed.push(PassedSnapshot { name, reason: reason(&error) });
                        because.get_or_insert(error);
                    }
                    _ => return Err(error),
                },
            }
        }
        let database = self.remote.layout().database().to_string();
        let (first, last) = self.missing.last().map_or((0, 0), |name| (name.first(), name.last()));
        let gap = graphstream_remote::Error::Gap { database, first, last, committed: last };
        Err(because.unwrap_or(Error::Remote(gap)))
    }

    /// Does what was planned; `None` when a segment was not where it was.
    async fn attempt(&mut self, plan: &RestorePlan, work: &Arc<Work>) -> Result<Option<RestoreReport>> {
        let heard: Heard = match self.progress.clone() {
            Some(progress) => Arc::new(move |amount| progress.advance(amount)),
            None => Arc::new(|_| ()),
        };
        let lineage = plan.head.head.lineage();
        let goal = plan.sequence;
        let resumed = work.resumed;
        let done = |position, set_aside| {
            Ok(Some(RestoreReport { plan: plan.clone(), position, set_aside, resumed }))
        };
        // Where it begins, and whether the snapshot is needed for that.
        let mut target = None;
        let base = match &mut self.destination {
            Destination::Journal { .. } if plan.after == 0 => Some(Position::start(lineage)),
            Destination::Journal { .. } => None,
            Destination::Database { path, engine } => {
                let (work, path, engine, after) =
                    (Arc::clone(work), path.clone(), Arc::clone(engine), plan.after);
                let found = blocking("looking at what an earlier restore has left", move || {
                    database::resume(&work, &path, &*engine, after, goal)
                });
                let found = found.await?.filter(|found| found.lineage == lineage);
                let snapshot = plan.snapshot.as_ref().map(|snapshot| snapshot.position());
                Some(found.or(snapshot).unwrap_or(Position::start(lineage)))
            }
            Destination::Target(given) => {
                let given = given.get_mut().unwrap_or_else(PoisonError::into_inner);
                let Some(mut given) = given.take() else { return Err(Error::NoTarget) };
                let (given, position) = blocking("asking the target for its position", move || {
                    let position = given.position()?;
                    Ok((given, position))
                })
                .await?;
                if let Some(position) = position.filter(|_| !resumed) {
                    let target = given.name().to_owned();
                    return Err(Error::RestoreNotEmpty { target, sequence: position.sequence });
                }
                target = Some(given);
                Some(position.unwrap_or(Position::start(lineage)))
            }
        };
        let installed = base.is_some_and(|base| base.sequence > plan.after);
        let snapshot = plan.snapshot.clone().filter(|_| !installed && !self.is_installed(work));
        let segments: Vec<_> = plan
            .segments
            .iter()
            .copied()
            .filter(|segment| base.is_none_or(|base| segment.name.last() > base.sequence))
            .collect();
        let bytes = segments.iter().map(|segment| segment.size).sum::<u64>();
        let bytes = bytes.saturating_add(snapshot.as_ref().map_or(0, |snapshot| snapshot.stored_bytes()));
        self.begin(RestoreStep::Fetching { bytes });
        let fetch = Fetch {
            remote: self.remote.clone(),
            head: Arc::clone(&plan.head),
            work: Arc::clone(work),
            fetches_max: self.options.fetches_max,
            stay: matches!(self.destination, Destination::Journal { .. }),
            heard: Arc::clone(&heard),
        };
        if let Some(snapshot) = &snapshot {
            fetch.parts(snapshot).await?;
        }
        let fetched = match fetch.segments(&segments, base, goal).await {
            Err(Error::Forked { sequence, .. })
                if installed && base.is_some_and(|base| base.sequence == sequence) =>
            {
                tracing::warn!(
                    sequence,
                    "the database of an earlier restore is of another history, beginning anew"
                );
                work::clear(&work.database())?;
                return Ok(None);
            }
            fetched => fetched?,
        };
        if let (Some(snapshot), []) = (&plan.snapshot, segments.as_slice()) {
            self.compare_with_history(snapshot).await?;
        }
        let (locals, begin, end) = match fetched {
            Fetched::All { locals, begin, end } => (locals, begin, end),
            Fetched::Moved(name) => {
                tracing::debug!(segment = %name, "not there any more, planning again");
                self.missing.push(name);
                if let (Destination::Target(given), Some(target)) = (&mut self.destination, target) {
                    *given.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(target);
                }
                return Ok(None);
            }
        };
        if let Goal::Label(name) = &self.goal {
            let label = crate::history::labelled(&self.remote, &plan.head, name).await?;
            crate::history::check_label(&self.remote, name, &label, &end)?;
        }
        let replay = |locals| database::Replay {
            locals,
            from: begin,
            goal,
            keys: self.remote.keys().cloned(),
            batch: (self.options.batch_entries_max, self.options.batch_bytes_max),
            heard: Arc::clone(&heard),
        };
        let entries = goal.saturating_sub(begin.sequence);
        match &self.destination {
            Destination::Target(_) => {
                let Some(target) = target else { return Err(Error::NoTarget) };
                self.begin(RestoreStep::Applying { entries });
                let position = database::replay(target, replay(locals)).await?;
                done(position.unwrap_or(end), None)
            }
            Destination::Database { path, engine } => {
                if let Some(snapshot) = snapshot {
                    self.begin(RestoreStep::Unpacking { bytes: snapshot.file_bytes() });
                    let (work, path, heard) = (Arc::clone(work), path.clone(), Arc::clone(&heard));
                    let keys = self.remote.keys().cloned();
                    blocking("unpacking the snapshot", move || {
                        database::install(&work, &snapshot, keys.as_deref(), &path, &heard)
                    })
                    .await?;
                }
                self.begin(RestoreStep::Applying { entries });
                let (opened, place, expected) = (Arc::clone(engine), database::staged(work, path), begin);
                let (name, dir) = (plan.snapshot.as_ref().map(|it| it.name()).transpose()?, work.database());
                let target = blocking("opening the restored database", move || {
                    std::fs::create_dir_all(&dir).map_err(work::failed("creating", &dir))?;
                    let mut target = opened.open(&place)?;
                    let found = target.position()?;
                    let fits = found.unwrap_or(Position::start(expected.lineage)) == expected;
                    match name {
                        Some(snapshot) if !fits => {
                            let found = found.map_or(0, |found| found.sequence);
                            let source = SnapshotDamage::Position { expected: expected.sequence, found };
                            Err(Error::SnapshotDamaged { snapshot, source })
                        }
                        _ => Ok(target),
                    }
                })
                .await?;
                let position = database::replay(target, replay(locals)).await?;
                self.begin(RestoreStep::Placing);
                let (work, path) = (Arc::clone(work), path.clone());
                let set_aside = blocking("giving the database its place", move || {
                    database::publish(&work, &path, now_ms())
                })
                .await?;
                done(position.unwrap_or(end), set_aside)
            }
            Destination::Journal { dir, lineage } => {
                self.begin(RestoreStep::Placing);
                let filling = journal::Filling {
                    locals,
                    from: begin,
                    goal,
                    database_id: *plan.head.head.database_id().as_bytes(),
                    lineage: (*lineage == RestoredLineage::Kept).then_some(plan.head.head.lineage()),
                    keys: self.remote.keys().cloned(),
                };
                let (work, dir) = (Arc::clone(work), dir.clone());
                let (set_aside, lineage) = blocking("placing the journal", move || {
                    let lineage = journal::fill(&work, &filling)?;
                    Ok((journal::publish(&work, &dir, now_ms())?, lineage))
                })
                .await?;
                done(Position { lineage, ..end }, set_aside)
            }
        }
    }

    /// A snapshot that nothing is replayed onto shows by no segment that it is of this history: the entry that it ends with is looked at, if
    /// it is still there.
    async fn compare_with_history(&self, snapshot: &graphstream_remote::SnapshotManifest) -> Result<()> {
        let goal = Goal::Sequence(snapshot.sequence);
        match crate::history::find_point(&self.remote, &goal).await {
            Ok((_, point)) if point.chain_hash != snapshot.chain_hash => Err(Error::SnapshotForked {
                sequence: snapshot.sequence,
                copy: snapshot.chain_hash,
                history: point.chain_hash,
            }),
            Err(Error::Remote(error)) if error.kind() == graphstream_remote::ErrorKind::Gap => Ok(()),
            found => found.map(drop),
        }
    }

    /// Whether the snapshot of an earlier restore is unpacked: then its database was looked at.
    fn is_installed(&self, work: &Work) -> bool {
        match &self.destination {
            Destination::Database { path, .. } => database::stands(&database::staged(work, path)),
            _ => false,
        }
    }

    fn begin(&self, step: RestoreStep) {
        if let Some(progress) = &self.progress {
            progress.begin(step);
        }
    }
}

/// Whether an older snapshot, or none, may lead there nevertheless.
fn is_of_snapshot(error: &Error, sequence: u64) -> bool {
    match error {
        Error::SnapshotDamaged { .. } | Error::SnapshotForked { .. } => true,
        Error::Forked { sequence: at, .. } => *at == sequence,
        _ => false,
    }
}

fn reason(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}
