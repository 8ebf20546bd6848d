//! A target that has fallen behind what is retained: a snapshot takes its place.
//!
//! ```text
//!   gap behind the target ─► may it be replaced? ─► does anything say that it forked? ─► is there a way? ─► close ─► restore ─► reopen
//!                            │ no database of its own   │ the fork                      │ no: the gap                beside it, one rename
//! ```
//! It is right where what the target holds is the beginning of what the snapshot holds. Within one lineage what is committed is never taken
//! back, and a follower applies nothing else; so a position of the same lineage, at or below what is committed, is of this history unless it came
//! from elsewhere (a fenced leader's own database), or the store went back. Where the entries are gone, what still tells is asked: the segment that holds
//! the position's entry, a snapshot of that sequence, what this process has verified, what the floor has seen, the epoch objects. Whatever
//! contradicts the position ends the follower. What nothing confirms is replaced, too, but its database stays beside the new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use graphstream_format::Position;
use graphstream_remote::{ErrorKind as RemoteKind, Head, HistoryRule, StoredHead};

use super::{Applied, Follower};
use crate::restore::discard;
use crate::snapshot::Engine;
use crate::threads::blocking;
use crate::{Error, Goal, Restore, RestoreOptions, RestoreReport, Result, find_point};

/// Where a target's database stands, and what opens it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    engine: Arc<dyn Engine>,
}

impl Follower {
    /// Lets a snapshot take the place of the target's database when the entries that it needs next are not in the store any more.
    ///
    /// The target must be the database at `path` and nothing else: it lets go of the files when it is closed, and
    /// opens what stands there when it is reopened. Whoever else has it open would go on with the old files. `engine` opens one of its kind at any
    /// path; only snapshots of that kind are used. Everything up to the head is restored beside it first, then it takes the name.
    ///
    /// The old database is removed once the new one stands if its position is known to be of this history. If nothing tells, it is
    /// kept as `path.before-restore-...`, which the log says; if anything tells otherwise, nothing is replaced ([`Error::SnapshotForked`]).
    #[must_use]
    pub fn replaceable_at(mut self, path: impl AsRef<Path>, engine: Arc<dyn Engine>) -> Self {
        self.place = Some(Place { path: path.as_ref().to_path_buf(), engine });
        self
    }

    /// Replaces the target, if it may and can be; `gap` otherwise.
    pub(super) async fn replace(&mut self, gap: Error, until: Option<u64>) -> Result<Applied> {
        let (Some(place), Some(applied)) = (self.place.clone(), self.applied) else { return Err(gap) };
        let Some(stored) = self.reader.current().cloned() else { return Err(gap) };
        let committed = stored.head.committed().sequence;
        let goal = until.map_or(Goal::Latest, |until| Goal::Sequence(until.min(committed)));
        let options = RestoreOptions {
            fetches_max: self.options.fetches_max,
            batch_entries_max: self.options.batch_entries_max,
            batch_bytes_max: self.options.batch_bytes_max,
            ..RestoreOptions::default().with_replace(true)
        };
        let remote = self.reader.remote().clone();
        let mut restore =
            Restore::into_database(remote, &place.path, place.engine).goal(goal).options(options);
        let plan = match restore.plan().await {
            Err(Error::RestoreHole(_)) => return Err(gap),
            plan => plan?,
        };
        let ahead = plan.snapshot.as_ref().map(|it| it.sequence).filter(|it| *it > applied.sequence);
        let Some(snapshot) = ahead else { return Err(gap) };
        if let Some(floor) = self.reader.floor() {
            self.reader.remote().check_floor(&plan.head.head, &floor)?;
        }
        let is_proven = self.is_of_history(applied, &stored).await?;
        tracing::warn!(
            applied = applied.sequence,
            snapshot,
            "the entries behind this are not in the store any more: a snapshot takes the target's place"
        );
        let started = Instant::now();
        let report = self.restore(restore, snapshot).await?;
        let follower = &self.metrics.follower;
        follower.replacements.inc();
        follower.replacement_seconds.observe(started.elapsed());
        tracing::info!(snapshot, sequence = report.position.sequence, "following from a snapshot");
        match report.set_aside {
            Some(old) if is_proven => {
                blocking("removing the replaced database", move || {
                    discard(&old);
                    Ok(())
                })
                .await?;
            }
            Some(old) => {
                tracing::warn!(path = %old.display(), "nothing tells whether the replaced database was of this history: it is kept");
            }
            None => {}
        }
        Ok(Applied::Restarted)
    }

    /// Closes the target, restores, and opens it again, whatever came of it.
    async fn restore(&mut self, restore: Restore, snapshot: u64) -> Result<RestoreReport> {
        self.replacing = true;
        self.report(|status| status.replacing = Some(snapshot));
        let restored = match self.applier.close().await {
            // Most followers never do this: it need not be in each one's future.
            Ok(()) => Box::pin(restore.run()).await,
            Err(error) => Err(error),
        };
        let reopened = match self.applier.reopen().await {
            Ok(()) => self.applier.position().await,
            Err(error) => Err(error),
        };
        self.replacing = false;
        self.report(|status| status.replacing = None);
        let report = restored?;
        let position = reopened?;
        self.stands_at(position);
        if position != Some(report.position) {
            let (expected, found) = (report.position.sequence, self.status().applied_sequence());
            let target = report.plan.snapshot.as_ref().map_or_else(String::new, |it| it.engine.name.clone());
            return Err(Error::NotReplaced { target, expected, found });
        }
        self.proven = position;
        Ok(report)
    }

    /// Whether anything proves that a position is of the published history; an error if anything denies it.
    async fn is_of_history(&self, applied: Position, stored: &StoredHead) -> Result<bool> {
        let (remote, head) = (self.reader.remote(), &stored.head);
        if head.lineage() != applied.lineage {
            return Err(Error::TargetLineage { target: applied.lineage, published: head.lineage() });
        }
        let mut is_proven = self.proven == Some(applied);
        if let Some(seen) = &self.seen_before {
            remote.check_floor_in_epochs(head, &seen.floor).await?;
            // Without the key of what was seen, it proves nothing.
            is_proven |= seen.floor.sequence == applied.sequence
                && remote.is_chain(&seen.floor.chain, &applied).unwrap_or(false);
        }
        Ok(is_proven || self.in_segments(applied).await? || self.in_snapshots(applied, head).await?)
    }

    /// Whether a segment has the position; an error if it has another.
    async fn in_segments(&self, applied: Position) -> Result<bool> {
        match find_point(self.reader.remote(), &Goal::Sequence(applied.sequence)).await {
            Ok((_, point)) if point.chain_hash == applied.chain_hash => Ok(true),
            Ok((_, point)) => Err(forked(applied, point.chain_hash)),
            Err(Error::Remote(error)) if error.kind() == RemoteKind::Gap => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a snapshot of its sequence has the position; an error if it has another.
    async fn in_snapshots(&self, applied: Position, head: &Head) -> Result<bool> {
        let (remote, rule) = (self.reader.remote(), HistoryRule::of(head));
        for listed in remote.list_snapshots().await? {
            let name = listed.name;
            if !listed.is_complete || name.sequence() != applied.sequence || !rule.admits_snapshot(&name) {
                continue;
            }
            match remote.read_snapshot_manifest(&name).await {
                Ok(Some(found)) if found.lineage != applied.lineage => {}
                Ok(Some(found)) if found.chain_hash == applied.chain_hash => return Ok(true),
                Ok(Some(found)) => return Err(forked(applied, found.chain_hash)),
                Ok(None) => {}
                // One that can't be read, here or at all, says nothing.
                Err(error) if error.kind().is_integrity() || error.kind() == RemoteKind::Key => {
                    tracing::warn!(%name, %error, "a snapshot can't be read");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}

fn forked(applied: Position, history: graphstream_format::ChainHash) -> Error {
    Error::SnapshotForked { sequence: applied.sequence, copy: applied.chain_hash, history }
}
