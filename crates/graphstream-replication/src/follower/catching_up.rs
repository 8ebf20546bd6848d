//! From where the target is to the head: first the whole way is verified, then it is applied.
//!
//! ```text
//!  verify   fetch ─┬─► verify ─┐        several at once: each segment from its own starting hash
//!           fetch ─┴─► verify ─┴─► join, in order ─► … ─► the head's chain hash
//!  apply    decode ──► gather into batches ──► the target's thread        one segment is decoded ahead
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use graphstream_format::{ChainHash, Position};
use graphstream_remote::{PlannedSegment, StoredHead};
use graphstream_replay::ErrorClass;
use tokio::sync::mpsc;

use super::batch::{Batch, Batcher, Limits, Spares};
use super::cache::CachedSegment;
use super::fetching::Fetcher;
use super::path::{Step, Stretch, entries, verify};
use super::{Applied, Follower, waiting};
use crate::chance::backoff;
use crate::threads::{self, Running, blocking};
use crate::{Error, Result};

/// The segment whose entries are applied, and the one behind it.
const LEGS_BEGUN: usize = 2;

/// A verified segment on the way to the target.
#[derive(Debug)]
pub(super) struct Leg {
    planned: PlannedSegment,
    head: Arc<StoredHead>,
    /// Where the path enters it.
    start: Position,
    /// Where the chain stands after it.
    end: Position,
    /// Its bytes, if the cache had room.
    kept: Option<CachedSegment>,
}

/// A segment that is being decoded.
struct Decoding {
    planned: PlannedSegment,
    end: Position,
    segment: Arc<CachedSegment>,
    batches: mpsc::Receiver<Batch>,
    running: Running<()>,
}

/// A segment whose last entries are not applied yet.
struct Unfinished {
    last: u64,
    bytes: u64,
    segment: Arc<CachedSegment>,
}

/// What the target took and has not made durable yet.
#[derive(Default)]
struct Taken {
    /// The chain hashes of its entries.
    hashes: Vec<ChainHash>,
    /// Where it ends, and the commit time there.
    last: Option<(Position, i64)>,
    /// Segments that are needed until then.
    unfinished: VecDeque<Unfinished>,
    spares: Spares,
}

impl Fetcher {
    /// Gets a segment and verifies it, which the path enters behind the entry `from`; `None` when the object is not there.
    async fn verified(
        &self,
        head: &StoredHead,
        planned: PlannedSegment,
        (lineage, from): (graphstream_format::Lineage, u64),
        alone: bool,
    ) -> Result<Option<(Stretch, CachedSegment)>> {
        let Some(segment) = self.get(&head.head, &planned).await? else { return Ok(None) };
        let reused = segment.is_reused();
        let check = |segment: CachedSegment| {
            let (shelf, remote) = (self.shelf.clone(), self.remote.clone());
            blocking("verifying a segment", move || {
                match verify(&remote, &segment, &planned, (lineage, from), alone) {
                    Ok(stretch) => Ok((stretch, shelf.keep(segment, &planned))),
                    Err(error) => {
                        // Damaged, it is of no use to the next follower either.
                        segment.discard();
                        Err(error)
                    }
                }
            })
        };
        match check(segment).await {
            Err(error) if reused => {
                tracing::warn!(segment = %planned.name, %error, "a cached segment is of no use: fetching it");
                let Some(segment) = self.fetch(&head.head, &planned).await? else { return Ok(None) };
                check(segment).await.map(Some)
            }
            checked => checked.map(Some),
        }
    }

    /// The segment of a leg again, which the cache had no room for, or has lost. It must lead where it led when the whole path was verified.
    async fn again(&self, leg: &Leg) -> Result<CachedSegment> {
        let (planned, start, end) = (leg.planned, leg.start, leg.end);
        let Some(segment) = self.fetch(&leg.head.head, &planned).await? else {
            // Compacted away meanwhile: the next poll resolves it again. Nothing of it was applied.
            return Err(Error::Moved { segment: planned.name });
        };
        let (remote, enters) = (self.remote.clone(), (start.lineage, start.sequence));
        blocking("verifying a segment", move || {
            let found = verify(&remote, &segment, &planned, enters, false)?.join(&planned, start)?;
            if found == end {
                return Ok(segment);
            }
            let (sequence, ours, theirs) = (end.sequence, end.chain_hash, found.chain_hash);
            Err(Error::Forked { segment: planned.name, sequence, ours, theirs })
        })
        .await
    }

    /// Begins to decode a leg.
    async fn decode(
        self,
        mut leg: Leg,
        until: Option<u64>,
        limits: Limits,
        spares: Spares,
    ) -> Result<Decoding> {
        let mut segment = match leg.kept.take() {
            Some(segment) => segment,
            None => self.again(&leg).await?,
        };
        let file = match File::open(segment.path()) {
            Ok(file) => file,
            // Another follower that shares the cache has applied it, and removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                segment = self.again(&leg).await?;
                File::open(segment.path()).map_err(|source| unreadable(&segment, source))?
            }
            Err(source) => return Err(unreadable(&segment, source)),
        };
        let Leg { planned, start, end, .. } = leg;
        let segment = Arc::new(segment);
        let (batches, decoded) = threads::channel::<Batch>(limits.batches_ahead());
        let mut batcher = Batcher::new(start.lineage, limits, spares);
        let (read, remote) = (Arc::clone(&segment), self.remote.clone());
        let running = threads::start(move || {
            // A closed channel means that nobody wants the rest: not an error.
            let send = |batch: Option<Batch>| batch.is_none_or(|batch| batches.send(batch));
            entries(&remote, (file, &read), &planned, start, |entry| {
                let wanted = send(batcher.push(entry)?);
                let last = until.is_some_and(|until| entry.sequence >= until);
                Ok(if wanted && !last { Step::On } else { Step::Enough })
            })?;
            send(batcher.take());
            Ok(())
        });
        Ok(Decoding { planned, end, segment, batches: decoded, running })
    }
}

fn unreadable(segment: &CachedSegment, source: io::Error) -> Error {
    Error::Cache { attempted: "opening", path: segment.path().to_path_buf(), source }
}

impl Follower {
    /// Fetches and verifies everything from `from` to the head; the chain must end in the head's chain hash.
    pub(super) async fn verified_legs(&mut self, fetcher: &Fetcher, from: Position) -> Result<Vec<Leg>> {
        let mut legs = Vec::new();
        let mut missing = Vec::new();
        let mut at = from;
        let head = loop {
            let plan = self.reader.resolve(at.sequence, &missing).await?;
            if plan.segments.is_empty() {
                break plan.head;
            }
            let (head, alone) = (&plan.head, plan.segments.len() == 1);
            // Where the path enters each is where the one before it ends: known by its name.
            let mut entrance = at.sequence;
            let entrances = plan.segments.iter().map(|planned| {
                let enters = std::mem::replace(&mut entrance, planned.name.last());
                (*planned, (from.lineage, enters))
            });
            let planned: Vec<_> = entrances.collect();
            let mut verified = stream::iter(planned)
                .map(|(planned, enters)| async move {
                    (planned, fetcher.verified(head, planned, enters, alone).await)
                })
                .buffered(self.options.fetches_max.clamp(1, 64));
            while let Some((planned, found)) = verified.next().await {
                let Some((stretch, segment)) = found? else {
                    tracing::debug!(segment = %planned.name, "not there any more, resolving again");
                    missing.push(planned.name);
                    break;
                };
                let start = at;
                at = match stretch.join(&planned, at) {
                    Ok(at) => at,
                    Err(error) => {
                        segment.discard();
                        return Err(error);
                    }
                };
                if start == from {
                    self.proven = self.applied;
                }
                let kept = segment.is_kept().then_some(segment);
                legs.push(Leg { planned, head: Arc::clone(head), start, end: at, kept });
                self.status.send_modify(|status| {
                    status.fetched_sequence = at.sequence;
                    status.lag_bytes += planned.size;
                });
            }
        };
        let committed = head.head.committed();
        let remote = self.reader.remote();
        if !remote.is_chain(&committed.chain, &at)? {
            for segment in legs.into_iter().filter_map(|leg| leg.kept) {
                segment.discard();
            }
            return Err(Error::HeadChain {
                sequence: committed.sequence,
                expected: Box::new(committed.chain),
                found: Box::new(remote.shown_chain(&at, &committed.chain)),
            });
        }
        self.saw(&head, Some(at.chain_hash));
        Ok(legs)
    }

    /// Applies verified segments in order. However it ends, what the target took is durable then, or the target is asked anew.
    pub(super) async fn apply(
        &mut self,
        fetcher: &Fetcher,
        legs: Vec<Leg>,
        until: Option<u64>,
    ) -> Result<Applied> {
        let mut taken = Taken::default();
        let applied = self.apply_legs(fetcher, legs, until, &mut taken).await;
        if taken.hashes.is_empty() {
            return applied;
        }
        // A target that says where it stands has made it durable.
        match self.applier.position().await {
            Ok(_) => {
                self.durable(&mut taken);
                applied
            }
            Err(error) => {
                let restarted = self.target_failed(error).await;
                applied.and(restarted)
            }
        }
    }

    async fn apply_legs(
        &mut self,
        fetcher: &Fetcher,
        legs: Vec<Leg>,
        until: Option<u64>,
        taken: &mut Taken,
    ) -> Result<Applied> {
        let limits = Limits::of(&self.options, self.takes_lines);
        let wanted = legs.into_iter().take_while(|leg| until.is_none_or(|until| leg.start.sequence < until));
        let mut wanted = wanted.collect::<VecDeque<_>>();
        let mut begun = VecDeque::new();
        let mut gathered: Option<Batch> = None;
        loop {
            // One that must be fetched again is begun when nothing else is to be done: nothing that is here waits for the store.
            while begun.len() < LEGS_BEGUN
                && let Some(leg) = wanted.pop_front_if(|leg| begun.is_empty() || leg.kept.is_some())
            {
                begun.push_back(fetcher.clone().decode(leg, until, limits, taken.spares.clone()).await?);
            }
            let Some(Decoding { planned, end, segment, mut batches, running }) = begun.pop_front() else {
                break;
            };
            taken.unfinished.push_back(Unfinished { last: end.sequence, bytes: planned.size, segment });
            while let Some(batch) = batches.recv().await {
                // Small segments share a batch: a commit costs more than an entry.
                let ready = match gathered.take() {
                    Some(before) if before.has_room_for(&batch, limits) => {
                        gathered = Some(before.and(batch));
                        None
                    }
                    before => {
                        gathered = Some(batch);
                        before
                    }
                };
                let full = gathered.take_if(|batch| batch.is_full(limits));
                for batch in [ready, full].into_iter().flatten() {
                    if self.apply_batch(batch, taken).await? == Applied::Restarted {
                        return Ok(Applied::Restarted);
                    }
                }
            }
            if let Err(error) = running.end("decoding a segment").await {
                // What comes before the entry that is none is applied.
                if let Some(batch) = gathered.take() {
                    self.apply_batch(batch, taken).await?;
                }
                return Err(error);
            }
        }
        match gathered.take() {
            Some(batch) => self.apply_batch(batch, taken).await,
            None => Ok(Applied::Done),
        }
    }

    async fn apply_batch(&mut self, batch: Batch, taken: &mut Taken) -> Result<Applied> {
        let Batch { content, hashes, position, commit_ms, .. } = batch;
        let started = Instant::now();
        let durable = match self.applier.apply(content, position).await {
            Ok((durable, applied)) => {
                taken.spares.give(applied);
                durable
            }
            Err(error) => {
                let restarted = self.target_failed(error).await?;
                // It was asked where it stands.
                *taken = Taken::default();
                return Ok(restarted);
            }
        };
        let follower = &self.metrics.follower;
        follower.apply_seconds.observe(started.elapsed());
        follower.batches_applied.inc();
        taken.hashes.extend(hashes);
        taken.last = Some((position, commit_ms));
        if durable {
            self.durable(taken);
        }
        Ok(Applied::Done)
    }

    /// What was taken is durable: now it counts as applied.
    fn durable(&mut self, taken: &mut Taken) {
        let Some((position, commit_ms)) = taken.last.take() else { return };
        let hashes = std::mem::take(&mut taken.hashes);
        self.metrics.follower.entries_applied.add(hashes.len() as u64);
        self.restarts = 0;
        self.applied = Some(position);
        self.proven = self.applied;
        waiting::lock(&self.passed).applied(hashes, position);
        let mut applied_bytes = 0;
        while let Some(done) = taken.unfinished.pop_front_if(|leg| leg.last <= position.sequence) {
            applied_bytes += done.bytes;
            if let Ok(segment) = Arc::try_unwrap(done.segment) {
                segment.discard();
            }
        }
        self.report(|status| {
            status.applied_commit_ms = Some(commit_ms);
            status.lag_bytes = status.lag_bytes.saturating_sub(applied_bytes);
        });
    }

    /// A target that is gone is opened again; what else it fails with ends the follower.
    async fn target_failed(&mut self, error: Error) -> Result<Applied> {
        self.metrics.follower.target_failures.inc();
        match error {
            Error::Target(error) if error.class() == ErrorClass::Gone => {
                self.reopen_target(error).await?;
                Ok(Applied::Restarted)
            }
            error => Err(error),
        }
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
                    self.stands_at(position);
                    return Ok(());
                }
                Err(Error::Target(error)) if error.class() == ErrorClass::Gone => why = error,
                Err(error) => return Err(error),
            }
        }
    }
}
