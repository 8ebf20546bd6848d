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

mod chain;
mod cursor;
mod outage;
mod prepare;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream_format::Lineage;
use graphstream_journal::{Clock, JournalDir, SegmentInfo, ShipLock, SystemClock};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{
    Committed, DatabaseId, Identity, LeaderSession, LocalChain, OwnerNonce, Remote, SegmentUploader,
    SessionOptions, UploadedSegment,
};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use self::chain::SealedChain;
pub use self::cursor::UPLOADER_CURSOR;
use self::cursor::{Published, begin_to_hold};
pub use self::outage::OutageStatus;
use self::outage::Outages;
use self::prepare::{Joint, Prepared, prepare};
pub(crate) use self::writer::Writer;
use crate::chance::backoff;
use crate::threads::blocking;
use crate::{Error, Result, Stop, UploadBudget, UploaderOptions, sabotage};

/// Segments per publication while catching up.
const PUBLICATION_SEGMENTS_MAX: usize = 16;

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
    _lock: ShipLock,
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
        let (dir, lock, identity, chain, published) = blocking("reading the journal", move || {
            let path = || dir.path().to_path_buf();
            let identity = dir.identity()?.ok_or_else(|| Error::NotAdopted { path: path() })?;
            if let Some(id) = identity.encryption_key {
                return Err(Error::EncryptedJournal { path: path(), id });
            }
            if let Some(note) = dir.fenced()? {
                return Err(Error::FencedBefore { after: note.after });
            }
            let lock = dir.lock_shipper()?;
            let chain = SealedChain::open(dir.clone())?;
            let published = Published::by(&dir, &chain)?;
            begin_to_hold(&dir, now_ms);
            Ok((dir, lock, identity, chain, published))
        })
        .await?;
        let lineage = identity.lineage;
        let identity = Identity::new(DatabaseId::from_bytes(identity.database_id), lineage);
        let session_options = match published {
            Published::Nothing => SessionOptions::default().with_create(true),
            Published::Something(floor) => SessionOptions::default().with_create(false).with_floor(floor),
        };
        let session = LeaderSession::open(remote.clone(), identity, nonce, session_options, &chain).await?;
        let (committed, _) = watch::channel(session.committed());
        let outages = Outages::new(&options, dir.clone(), Arc::clone(&clock), Arc::clone(&metrics));
        let uploader = Self {
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
            _lock: lock,
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
        let mut shipped = Shipped { segments: 0, bytes: 0, committed: self.session.committed() };
        loop {
            let dir = self.dir.clone();
            let after = self.session.committed().sequence;
            let mut segments = blocking("listing segments", move || Ok(dir.sealed_after(after)?)).await?;
            self.queue_is(&segments);
            segments.truncate(PUBLICATION_SEGMENTS_MAX);
            if segments.is_empty() {
                // An idle leader asks nothing: fenced meanwhile, it learns it when it has something to publish. Beside the writer a shipper
                // looks, because the writer learns it only from here.
                if shipped.segments == 0 && self.writer.here().is_none() && self.session.epoch().is_some() {
                    let checked = self.session.check(&self.chain).await;
                    self.settle(checked).await?;
                }
                shipped.committed = self.session.committed();
                self.committed_is(shipped.committed).await?;
                return Ok(shipped);
            }
            self.catch_up_chain(&segments).await?;
            self.claim().await?;
            // A claim may find that more is committed than was known when the segments were listed.
            let committed = self.session.committed();
            segments.retain(|segment| segment.header.last_seq > committed.sequence);
            let (uploaded, failed) = self.upload(segments, committed).await?;
            if !uploaded.is_empty() {
                if let Some(last) = uploaded.last().filter(|_| sabotage::is("stored_before_it_is_published"))
                {
                    let row = Committed::new(last.name().last(), last.chain_after(), last.name().commit_ms());
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
                self.committed_is(published.committed).await?;
            }
            if let Some(error) = failed {
                return self.settle(Err(error)).await;
            }
        }
    }

    /// What waits to be stored, for the metrics.
    fn queue_is(&self, segments: &[SegmentInfo]) {
        let leader = &self.metrics.leader;
        leader.queue_segments.set(segments.len() as u64);
        leader.queue_bytes.set(segments.iter().map(|segment| segment.file_bytes).sum());
        let age_ms = segments.first().map_or(0, |oldest| {
            u64::try_from(self.clock.now_ms().saturating_sub(oldest.header.first_commit_ms)).unwrap_or(0)
        });
        leader.rpo_seconds.set(Duration::from_millis(age_ms));
        // While the store is away nothing is committed that would say it.
        let sealed = segments.last().map_or(0, |newest| newest.header.last_seq);
        let written = self.metrics.journal.written_sequence.get().max(sealed);
        leader.rpo_entries.set(written.saturating_sub(self.session.committed().sequence));
    }

    /// The session compares the head with the end of the journal's sealed part: it must know it before it claims.
    async fn catch_up_chain(&mut self, segments: &[SegmentInfo]) -> Result<()> {
        let newest = segments.last().map_or(0, |segment| segment.header.last_seq);
        if self.chain.last().0 < newest {
            let dir = self.dir.clone();
            self.chain = blocking("reading the journal", move || SealedChain::open(dir)).await?;
        }
        Ok(())
    }

    /// Uploads segments, several at a time. What failed does not hide what was uploaded: that is returned beside the first
    /// failure, so that everything before it can be published.
    async fn upload(
        &self,
        segments: Vec<SegmentInfo>,
        committed: Committed,
    ) -> Result<(Vec<UploadedSegment>, Option<Error>)> {
        let uploader = self.session.uploader()?;
        let lineage = self.lineage;
        let mut joint = Joint { sequence: committed.sequence, chain_hash: committed.chain_hash };
        let mut uploading = JoinSet::new();
        let (mut uploaded, mut failed) = (Vec::new(), None);
        for info in segments {
            // Verifying counts too: many journals with a backlog would otherwise all read at once.
            let slot = match &self.budget {
                Some(budget) => budget.slot().await,
                None => None,
            };
            // Verifying is sequential, for each segment must continue the one before; uploads run meanwhile.
            let dir = self.dir.clone();
            match blocking("verifying a segment", move || prepare(&dir, &info, lineage, joint)).await {
                Ok(prepared) => {
                    let segment = &prepared.segment;
                    joint = Joint { sequence: segment.last, chain_hash: segment.chain_after };
                    let upload = upload(uploader.clone(), prepared, Arc::clone(&self.metrics));
                    uploading.spawn(async move {
                        let uploaded = upload.await;
                        drop(slot);
                        uploaded
                    });
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            while uploading.len() >= self.options.uploads_max.clamp(1, 64) {
                collect(uploading.join_next().await, &mut uploaded, &mut failed);
            }
            if failed.is_some() {
                break;
            }
        }
        while !uploading.is_empty() {
            collect(uploading.join_next().await, &mut uploaded, &mut failed);
        }
        Ok((uploaded, failed))
    }

    /// Everything up to here is stored: watchers, metrics and the cursor learn it.
    async fn committed_is(&mut self, committed: Committed) -> Result<()> {
        self.chain.advance(committed.sequence, committed.chain_hash);
        let news = self.committed.send_if_modified(|known| std::mem::replace(known, committed) != committed);
        let leader = &self.metrics.leader;
        leader.committed_sequence.set(committed.sequence);
        let written = self.metrics.journal.written_sequence.get().max(self.chain.last().0);
        leader.rpo_entries.set(written.saturating_sub(committed.sequence));
        if news {
            leader.last_publication_ms.set(u64::try_from(self.clock.now_ms()).unwrap_or(0));
        }
        let (dir, here, now_ms) = (self.dir.clone(), self.writer.here(), self.clock.now_ms());
        blocking("moving the uploader's cursor", move || {
            let stands =
                dir.cursor(UPLOADER_CURSOR)?.is_some_and(|cursor| cursor.sequence == committed.sequence);
            if !stands {
                dir.set_cursor(UPLOADER_CURSOR, committed.sequence, now_ms)?;
                if let Some(journal) = here {
                    journal.look_at_cursors()?;
                }
            }
            Ok(())
        })
        .await
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
            self.writer.fence(&self.dir, after, self.clock.now_ms()).await?;
        }
        result
    }

    /// Ships until `stop`, then once more, so that everything sealed by then is stored. While the store fails it backs off
    /// and tries for ever; so it does while the head is gone, which somebody has to put back.
    ///
    /// # Errors
    /// As [`ship`](Self::ship), but only what no retry mends; in the last look also what a retry might. The journal's own end
    /// when this process appends to it: everything sealed by then is stored.
    pub async fn run(&mut self, stop: &Stop) -> Result<()> {
        let mut backoff = backoff(&self.remote, self.options.retry_interval_max)?;
        loop {
            let last = stop.is_cancelled();
            // Taken before the look: what is sealed during it may be missed, and is for the next one.
            let seen = self.writer.sealed();
            let sealed = if last { self.writer.seal().await } else { Ok(()) };
            let began = tokio::time::Instant::now();
            let looked = self.ship().await;
            self.outages.looked(began, &looked, &self.writer).await;
            // A segment that can't be sealed, on a full disk say, does not hold up those that are.
            let pause = match looked.and_then(|shipped| sealed.map(|()| shipped)) {
                Ok(shipped) => {
                    if shipped.segments > 0 {
                        tracing::info!(
                            segments = shipped.segments,
                            bytes = shipped.bytes,
                            committed = shipped.committed.sequence,
                            "shipped"
                        );
                    }
                    backoff.reset();
                    self.options.upload_interval + backoff.jitter(self.options.upload_interval / 10)
                }
                Err(error) if (error.is_transient() || error.is_missing_head()) && !last => {
                    let pause = backoff.next_pause();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        ?pause,
                        "shipping failed, nothing is lost: trying again"
                    );
                    pause
                }
                Err(error) => return Err(error),
            };
            if last {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                more = self.writer.sealed_beyond(seen), if backoff.failures() == 0 => more?,
                () = tokio::time::sleep(pause) => {}
            }
        }
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

async fn upload(
    uploader: SegmentUploader,
    prepared: Prepared,
    metrics: Arc<GraphstreamMetrics>,
) -> Result<UploadedSegment> {
    let started = Instant::now();
    match uploader.upload(&prepared.segment).await {
        Ok(uploaded) => {
            metrics.leader.segments_uploaded.inc();
            metrics.leader.bytes_uploaded.add(prepared.segment.size);
            metrics.leader.upload_seconds.observe(started.elapsed());
            Ok(uploaded)
        }
        Err(error) => {
            metrics.leader.upload_failures.inc();
            Err(error.into())
        }
    }
}

fn collect(
    joined: Option<Result<Result<UploadedSegment>, JoinError>>,
    uploaded: &mut Vec<UploadedSegment>,
    failed: &mut Option<Error>,
) {
    match joined {
        Some(Ok(Ok(segment))) => uploaded.push(segment),
        Some(Ok(Err(error))) => _ = failed.get_or_insert(error),
        Some(Err(_)) => _ = failed.get_or_insert(Error::Ended("an upload")),
        None => {}
    }
}
