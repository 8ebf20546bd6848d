//! From what is asked for to a plan: one look at everything that is in the store.

use std::sync::Arc;

use graphstream_remote::{
    Error as RemoteError, Head, HistoryRule, Remote, Run, SnapshotManifest, SnapshotName,
};

use super::plan::{Choice, Hole, PassedSnapshot, RestorePlan, for_database, for_journal};
use super::{ATTEMPTS, Destination, Restore};
use crate::history::{Finder, Until, labelled};
use crate::snapshot::is_known;
use crate::{Error, Goal, Result};

/// Which entry is meant.
struct Meant {
    sequence: u64,
    inexact: bool,
}

pub(super) async fn plan(restore: &mut Restore) -> Result<RestorePlan> {
    let mut finder = Finder::open(restore.remote.clone()).await?;
    refuse_an_older_head(&restore.remote, &mut finder).await?;
    for _ in 0..ATTEMPTS {
        let runs = finder.runs(&restore.missing).await?;
        let names = snapshots(restore, &finder.head.head).await?;
        let Some(meant) = meant(restore, &finder, &runs, &names).await? else { continue };
        return choose(restore, &finder, &runs, names, meant).await;
    }
    let database = restore.remote.layout().database().to_string();
    let committed = finder.head.head.committed().sequence;
    Err(Error::Remote(graphstream_remote::Error::Gap { database, first: 1, last: committed, committed }))
}

/// A head that was put back is a history that lacks its end: a restore that goes through must not hide it.
async fn refuse_an_older_head(remote: &Remote, finder: &mut Finder) -> Result<()> {
    loop {
        let head = Arc::clone(&finder.head);
        match remote.check_no_epoch_above(&head.head).await {
            // It may only have been read before a claim.
            Err(error @ RemoteError::EpochAboveHead { .. }) => {
                finder.poll().await?;
                if finder.head.version == head.version {
                    return Err(error.into());
                }
            }
            checked => return Ok(checked?),
        }
    }
}

/// Snapshots that can be of this history, by their names; none where none can be used.
async fn snapshots(restore: &Restore, head: &Head) -> Result<Vec<SnapshotName>> {
    if matches!(restore.destination, Destination::Target(_)) {
        return Ok(Vec::new());
    }
    let rule = HistoryRule::of(head);
    let passed = |name: &SnapshotName| restore.passed.iter().any(|it| it.name == *name);
    let listed = restore.remote.list_snapshots().await?;
    let whole = listed.into_iter().filter(|it| it.is_complete).map(|it| it.name);
    Ok(whole.filter(|name| rule.admits_snapshot(name) && !passed(name)).collect())
}

/// The entry that the goal means; `None` when a segment moved meanwhile.
async fn meant(
    restore: &mut Restore,
    finder: &Finder,
    runs: &[Run],
    snapshots: &[SnapshotName],
) -> Result<Option<Meant>> {
    let committed = finder.head.head.committed();
    let exactly = |sequence| Ok(Some(Meant { sequence, inexact: false }));
    match &restore.goal {
        Goal::Latest => exactly(committed.sequence),
        Goal::Sequence(sequence) if (1..=committed.sequence).contains(sequence) => exactly(*sequence),
        Goal::Sequence(sequence) => {
            Err(Error::BeyondCommitted { sequence: *sequence, committed: committed.sequence })
        }
        Goal::Label(name) => {
            let label = labelled(&restore.remote, &finder.head, name).await?;
            let (sequence, committed) = (label.sequence, committed.sequence);
            if sequence > committed {
                return Err(Error::BeyondCommitted { sequence, committed });
            }
            exactly(sequence)
        }
        Goal::Time(ms) if *ms >= committed.commit_ms => exactly(committed.sequence),
        Goal::Time(ms) => {
            let ms = *ms;
            match finder.last_until(runs, ms, &mut restore.missing).await? {
                Until::At(point) => {
                    Ok(Some(Meant { sequence: point.sequence, inexact: !point.commit_exact }))
                }
                Until::Sequence(sequence) => exactly(sequence),
                Until::Moved => Ok(None),
                Until::Before { commit_ms } => Err(Error::BeforeHistory { goal_ms: ms, first_ms: commit_ms }),
                // A snapshot that ends with the hole tells what was the last entry in it.
                Until::Hidden { last, .. }
                    if snapshots.iter().any(|name| name.sequence() == last && name.commit_ms() <= ms) =>
                {
                    exactly(last)
                }
                Until::Hidden { first, last } => {
                    let known = sequences(snapshots.iter().filter(|name| name.commit_ms() <= ms));
                    let goal = last.min(committed.sequence);
                    let hole = match for_database(first, committed.sequence, runs, &known) {
                        Err(hole) => Hole { goal, ..hole },
                        Ok(_) => {
                            let (first, below) = (first.saturating_add(1), Some(first));
                            Hole { goal, first, last, below, above: None }
                        }
                    };
                    Err(Error::RestoreHole(hole))
                }
            }
        }
    }
}

fn sequences<'a>(names: impl Iterator<Item = &'a SnapshotName>) -> Vec<u64> {
    names.map(SnapshotName::sequence).collect()
}

/// Takes the nearest snapshot whose manifest holds what its name promises.
async fn choose(
    restore: &Restore,
    finder: &Finder,
    runs: &[Run],
    mut names: Vec<SnapshotName>,
    meant: Meant,
) -> Result<RestorePlan> {
    let committed = finder.head.head.committed().sequence;
    let mut passed = restore.passed.clone();
    loop {
        let choice = match &restore.destination {
            Destination::Journal { .. } => {
                for_journal(meant.sequence, committed, runs, &sequences(names.iter()))
            }
            _ => for_database(meant.sequence, committed, runs, &sequences(names.iter())),
        };
        let Choice { after, from_snapshot, segments } = choice.map_err(Error::RestoreHole)?;
        let mut snapshot = None;
        if from_snapshot {
            // Two of one sequence differ in their epochs: the newer one is history.
            let Some(at) = names.iter().rposition(|name| name.sequence() == after) else { continue };
            let name = names.remove(at);
            match usable(restore, &finder.head.head, &name).await? {
                Ok(manifest) => snapshot = Some(Arc::new(manifest)),
                Err(reason) => {
                    tracing::warn!(%name, reason, "a snapshot can't be used");
                    passed.push(PassedSnapshot { name, reason });
                    continue;
                }
            }
        }
        return Ok(RestorePlan {
            head: Arc::clone(&finder.head),
            sequence: meant.sequence,
            time_is_inexact: meant.inexact,
            snapshot,
            passed,
            after,
            segments,
            replays: !matches!(restore.destination, Destination::Journal { .. }),
        });
    }
}

/// A snapshot's manifest, or why it is of no use here.
async fn usable(
    restore: &Restore,
    head: &Head,
    name: &SnapshotName,
) -> Result<std::result::Result<SnapshotManifest, String>> {
    let manifest = match restore.remote.read_snapshot_manifest(name).await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(Err("its manifest is not there any more".to_owned())),
        Err(error) if error.kind().is_integrity() => return Ok(Err(super::reason(&error.into()))),
        Err(error) => return Err(error.into()),
    };
    if (manifest.database_id, manifest.lineage) != (head.database_id(), head.lineage()) {
        return Ok(Err("it is of another history".to_owned()));
    }
    if let Destination::Database { engine, .. } = &restore.destination {
        let wanted = engine.describe().name;
        if manifest.engine.name != wanted {
            return Ok(Err(format!("it is of a {} database, not of {wanted}", manifest.engine.name)));
        }
    }
    let mut paths = manifest.files.iter().map(|file| &file.path).chain(&manifest.directories);
    if let Some(path) = paths.find(|path| !is_known(path)) {
        return Ok(Err(format!("it names {path}, which is no part of a database")));
    }
    Ok(Ok(manifest))
}
