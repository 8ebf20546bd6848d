//! The uploader: ships the sealed segments of a journal directory and publishes them.
//!
//! ```text
//!   sealed segments beyond committed, oldest first
//!        │ verify, hash (one after the other)
//!        ▼
//!   upload (4 at a time, create-only) ──► in order ──► publish over the contiguous prefix ──► cursor, watchers
//!        │                                                 │
//!        └── store fails: back off, look again             └── another leader owns the head: FENCED, end
//! ```
//! It holds `SHIP`, not `LOCK`: it may run in the process that appends or beside it, and never moves a file. It claims an
//! epoch when it first has something to publish; a run with nothing to publish claims nothing.
//!
//! When a segment is left is the journal's business (size, `segment_age_max`, request), not the uploader's. In the process
//! that appends it is told when one is sealed and ships it at once; beside it, it looks every upload interval.

mod cache;
mod chain;
mod cursor;
mod keeping;
mod manifest;
mod messages;
mod opening;
mod outage;
mod prepare;
mod rival_check;
mod running;
mod uploading;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use graphstream_format::Lineage;
use graphstream_journal::{Clock, JournalDir, ShipLock, SystemClock};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Committed, DatabaseId, Identity, LeaderSession, LocalChain, OwnerNonce, Remote};
use tokio::sync::watch;

pub use self::cache::{CacheOptions, CacheStats, CleanupStats, SegmentCache};
use self::chain::SealedChain;
pub use self::cursor::UPLOADER_CURSOR;
pub use self::manifest::{ManifestSegment, UploadManifest};
use self::messages::Requests;
pub use self::messages::{UploadAck, UploadMessage, UploaderHandle};
use self::opening::Opened;
pub use self::outage::OutageStatus;
use self::outage::Outages;
use self::rival_check::RivalCheck;
pub(crate) use self::writer::Writer;
use crate::archive::{ArchivePlan, ArchiveState, ArchiveView, Gap};
use crate::threads::blocking;
use crate::{Error, Result, UploadBudget, UploaderOptions, sabotage};

/// What one look at the journal shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shipped {
    /// Segments uploaded and published.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is committed now.
    pub committed: Committed,
}

/// Ships the sealed segments of one journal directory into one database.
#[derive(Debug)]
pub struct Uploader {
    dir: JournalDir,
    lineage: Lineage,
    writer: Writer,
    remote: Remote,
    session: LeaderSession,
    /// Whether the store is known to keep conditions, or allowed not to.
    probed: bool,
    chain: SealedChain,
    options: UploaderOptions,
    metrics: Arc<GraphstreamMetrics>,
    clock: Arc<dyn Clock>,
    committed: watch::Sender<Committed>,
    budget: Option<UploadBudget>,
    outages: Outages,
    archive: ArchiveView,
    cache: SegmentCache,
    /// All that was there at the first look is consecutive.
    whole: bool,
    /// The committed sequence that manifest and cursor say.
    noted: Option<u64>,
    requests: Requests,
    rival_check: RivalCheck,
    /// Work on files that outlives this uploader holds it, too: another shipper begins when that has ended.
    lock: Arc<ShipLock>,
}

impl Uploader {
    /// Takes `SHIP`, reads the head and compares it with the journal. Claims nothing yet.
    ///
    /// # Errors
    /// [`Error::Journal`] when another shipper holds `SHIP`, or the directory holds no journal; [`Error::NotAdopted`];
    /// [`Error::Remote`] when the store can't be read, its history is another one, or it publishes more than the journal holds.
    pub async fn open(
        dir: impl AsRef<Path>,
        remote: Remote,
        options: UploaderOptions,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Result<Self> {
        let path = dir.as_ref().to_path_buf();
        let dir = blocking("opening the journal's directory", move || Ok(JournalDir::open(path)?)).await?;
        Self::open_on(dir, remote, options, metrics).await
    }

    /// As [`open`](Self::open), for a directory that was opened, on whatever file system.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(
        dir: JournalDir,
        remote: Remote,
        options: UploaderOptions,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Result<Self> {
        Self::open_with(Writer::Elsewhere, dir, remote, options, metrics, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), for a journal whose writer is known.
    pub(crate) async fn open_with(
        writer: Writer,
        dir: JournalDir,
        remote: Remote,
        options: UploaderOptions,
        metrics: Arc<GraphstreamMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let nonce = OwnerNonce::random(remote.randomness())?;
        let now_ms = clock.now_ms();
        let dir = match remote.keys() {
            Some(keys) => dir.with_keys(Arc::clone(keys)),
            None => dir,
        };
        let (dir, opened) = blocking("reading the journal", move || {
            let opened = Opened::new(&dir, now_ms)?;
            Ok((dir, opened))
        })
        .await?;
        let session_options = opened.session_options();
        let Opened { lock, identity, chain, noted, .. } = opened;
        let lineage = identity.lineage;
        let identity = Identity::new(DatabaseId::from_bytes(identity.database_id), lineage);
        let session = LeaderSession::open(remote.clone(), identity, nonce, session_options, &chain).await?;
        let published = session.committed();
        let mut keep = options.cache.clone();
        if options.archive.delete_after_archive {
            keep = CacheOptions::nothing();
        }
        let (dir, cache) = blocking("looking for published segments", move || {
            let cache = SegmentCache::open(&dir, published.sequence, keep)?;
            Ok((dir, cache))
        })
        .await?;
        let state = ArchiveState::new(options.archive.clone(), published.sequence);
        let (committed, _) = watch::channel(published);
        let outages = Outages::new(&options, dir.clone(), Arc::clone(&clock), Arc::clone(&metrics));
        let rival_check = RivalCheck::new(options.upload_interval, tokio::time::Instant::now());
        let uploader = Self {
            archive: ArchiveView::new(state, dir.clone(), Arc::clone(&clock)),
            dir,
            lineage,
            writer,
            remote,
            session,
            probed: false,
            chain,
            options,
            metrics,
            clock,
            committed,
            budget: None,
            outages,
            cache,
            whole: false,
            noted,
            requests: Requests::new(),
            rival_check,
            lock: Arc::new(lock),
        };
        uploader.refuse_behind()?;
        Ok(uploader)
    }

    /// A journal that lacks published entries would give their sequences to others, which would then count as *stored*.
    fn refuse_behind(&self) -> Result<()> {
        let (local, committed) = (self.chain.last().0, self.session.committed());
        if local < committed.sequence {
            return Err(graphstream_remote::Error::Behind { local, committed }.into());
        }
        Ok(())
    }

    /// Uploads no more segments at the same time than a budget that others share allows, beside its own
    /// [`uploads_max`](UploaderOptions::uploads_max).
    #[must_use]
    pub fn with_upload_budget(mut self, budget: UploadBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// What is committed, as it moves. All of it is *stored*.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Committed> {
        self.committed.subscribe()
    }

    /// What is archived, what waits and what failed, as it moves.
    #[must_use]
    pub fn archive(&self) -> ArchiveView {
        self.archive.clone()
    }

    /// What stays on the local disk of what is published.
    #[must_use]
    pub fn cache(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Whether what is journaled gets away, as of each look of [`run`](Self::run).
    #[must_use]
    pub fn outage(&self) -> watch::Receiver<OutageStatus> {
        self.outages.watch()
    }

    /// The claimed epoch; `None` before the first publication.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        self.session.epoch()
    }

    /// Claims the next epoch now instead of at the first publication: whoever led before is fenced. Before the first claim the
    /// store is asked whether it keeps conditions on puts.
    ///
    /// # Errors
    /// As [`ship`](Self::ship).
    pub async fn claim(&mut self) -> Result<()> {
        self.refuse_unconditional().await?;
        let claimed = self.session.claim(&self.chain, self.clock.now_ms()).await;
        self.settle(claimed).await?;
        self.refuse_behind()?;
        self.metrics.leader.epoch.set(self.session.epoch().unwrap_or(0).into());
        Ok(())
    }

    /// A store that keeps no conditions can't keep two leaders apart.
    async fn refuse_unconditional(&mut self) -> Result<()> {
        if self.probed {
            return Ok(());
        }
        let conditions = self.remote.probe_conditions().await?;
        if !conditions.hold() {
            let store = self.remote.backend().describe();
            // Where conditional puts fail, no head can be written, whatever is allowed.
            if !(conditions.can_put() && self.options.allow_unconditional_store) {
                return Err(Error::UnconditionalStore { store, conditions });
            }
            tracing::warn!(%store, "the store does not keep conditions on puts: nothing here keeps a second leader from overwriting this one");
        }
        self.probed = true;
        Ok(())
    }

    /// Uploads and publishes every sealed segment that is not committed.
    ///
    /// # Errors
    /// [`Error::UnconditionalStore`].
    /// [`Error::Remote`]; [`Error::is_transient`] says whether the next call may do better. After
    /// [`Fenced`](graphstream_remote::Error::Fenced), which is noted in the directory, none will.
    /// [`Error::Local`], [`Error::LocalGap`] for a damaged journal.
    pub async fn ship(&mut self) -> Result<Shipped> {
        let shipped = self.ship_all().await;
        if let Err(error) = &shipped {
            let now_ms = self.clock.now_ms();
            let mut state = self.archive.state();
            let next = state.archived().saturating_add(1);
            state.mark_failed(next, error.in_full(), now_ms);
            self.metrics.leader.archive_failures.inc();
            self.metrics.leader.last_archive_failure_ms.set(u64::try_from(now_ms).unwrap_or(0));
        }
        shipped
    }

    async fn ship_all(&mut self) -> Result<Shipped> {
        let mut shipped = Shipped { segments: 0, bytes: 0, committed: self.session.committed() };
        let mut begins = true;
        loop {
            let gap = self.look(begins).await?;
            begins = false;
            self.waiting_is();
            let plan = self.archive.state().plan();
            if plan.segments.is_empty() {
                if let Some(Gap { first, last }) = gap {
                    return Err(Error::LocalGap { first, last });
                }
                // An idle leader asks nothing: fenced meanwhile, it learns it when it has something to publish. Beside the writer a shipper
                // looks now and then, because the writer learns it only from here.
                let may_be_fenced = self.writer.here().is_none() && self.session.epoch().is_some();
                if shipped.segments == 0
                    && may_be_fenced
                    && self.rival_check.is_due(tokio::time::Instant::now())
                {
                    let checked = self.session.check(&self.chain).await;
                    self.settle(checked).await?;
                }
                shipped.committed = self.session.committed();
                self.committed_is(shipped.committed).await?;
                return Ok(shipped);
            }
            self.catch_up_chain(&plan).await?;
            self.claim().await?;
            // A claim may find that more is committed than was known before.
            let committed = self.session.committed();
            let elsewhere = self.archive.state().archived_elsewhere(committed.sequence);
            self.keep(elsewhere);
            let plan = self.archive.state().plan();
            let (uploaded, failed) = self.upload(plan, committed).await?;
            if !uploaded.is_empty() {
                if let Some(last) = uploaded.last().filter(|_| sabotage::is("stored_before_it_is_published"))
                {
                    let row = Committed::new(
                        last.name().last(),
                        last.chain_after().into(),
                        last.name().commit_ms(),
                    );
                    self.committed.send_replace(row);
                }
                let started = Instant::now();
                let published = self.session.publish(&uploaded, &self.chain).await;
                match &published {
                    Ok(_) => self.metrics.leader.publication_seconds.observe(started.elapsed()),
                    Err(_) => self.metrics.leader.publication_failures.inc(),
                }
                let published = self.settle(published).await?;
                self.metrics.leader.publications.inc();
                shipped.segments += published.segments;
                shipped.bytes += uploaded.iter().map(|segment| segment.row().size).sum::<u64>();
                shipped.committed = published.committed;
                let now_ms = self.clock.now_ms();
                let archived = self.archive.state().mark_archived(published.committed.sequence, now_ms);
                self.metrics.leader.segments_published.add(archived.len() as u64);
                self.metrics.leader.bytes_published.add(archived.iter().map(|segment| segment.bytes).sum());
                self.keep(archived);
                self.rival_check.published(tokio::time::Instant::now());
                self.committed_is(published.committed).await?;
            }
            if let Some(error) = failed {
                return self.settle(Err(error)).await;
            }
        }
    }

    /// The session compares the head with the end of the journal's sealed part: it must know it before it claims.
    /// Behind the claim it learns it from what it prepares.
    async fn catch_up_chain(&mut self, plan: &ArchivePlan) -> Result<()> {
        let newest = plan.segments.last().map_or(0, |segment| segment.last);
        if self.session.epoch().is_none() && self.chain.last().0 < newest {
            let dir = self.dir.clone();
            self.chain = blocking("reading the journal", move || SealedChain::open(dir)).await?;
        }
        Ok(())
    }

    /// That the leader was fenced is noted durably before anybody is told.
    async fn settle<T>(&self, result: impl Into<Settled<T>>) -> Result<T> {
        let Settled(result) = result.into();
        if let Err(Error::Remote(graphstream_remote::Error::Fenced(fenced))) = &result {
            let after = fenced.fenced_after;
            tracing::error!(
                epoch = fenced.epoch,
                by_epoch = fenced.by_epoch,
                after,
                "fenced by another leader"
            );
            self.metrics.leader.fenced.set_bool(true);
            if !sabotage::is("fenced_is_not_noted") {
                self.writer.fence(&self.dir, after, self.clock.now_ms()).await?;
            }
        }
        result
    }
}

/// The two kinds of results that may say `Fenced`.
struct Settled<T>(Result<T>);

impl<T> From<Result<T>> for Settled<T> {
    fn from(result: Result<T>) -> Self {
        Self(result)
    }
}

impl<T> From<graphstream_remote::Result<T>> for Settled<T> {
    fn from(result: graphstream_remote::Result<T>) -> Self {
        Self(result.map_err(Error::from))
    }
}
