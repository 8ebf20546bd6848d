//! Before a follower is there: the database is waited for, and a target that does not exist yet may begin with a snapshot.

use std::time::Instant;

use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::{HeadPoll, HeadReader, Remote};
use graphstream::replication::{Error as Wrong, Goal, Restore, Stop};

use super::Args;
use crate::engines::Placed;
use crate::failure::Failure;

/// A new target begins with a snapshot where entries are not to be had any more.
pub(super) async fn bootstrap(
    args: &Args,
    remote: &Remote,
    (path, engine): Placed,
    metrics: &GraphstreamMetrics,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut reader = HeadReader::new(remote.clone())?;
    // What is wrong with the store is the follower's to say.
    let Ok((stored, runs)) = reader.history(0, &[]).await else { return Ok(()) };
    let committed = stored.head.committed().sequence;
    let is_whole = match runs.as_slice() {
        [] => committed == 0,
        [run] => run.first == 1 && run.last >= committed,
        _ => false,
    };
    if is_whole {
        return Ok(());
    }
    let goal = args.until_sequence.map_or(Goal::Latest, Goal::Sequence);
    let restore = Restore::into_database(remote.clone(), path, engine).goal(goal);
    let started = Instant::now();
    match stop.run_until_cancelled(restore.run()).await {
        None => {}
        // What is there may still reach an earlier point; the follower says what is missing behind it.
        Some(Err(Wrong::RestoreHole(_))) if runs.first().is_some_and(|run| run.first == 1) => {}
        Some(restored) => {
            let report = restored?;
            let snapshot = report.plan.snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence);
            tracing::info!(snapshot, sequence = report.position.sequence, "begun with a snapshot");
            metrics.follower.replacements.inc();
            metrics.follower.replacement_seconds.observe(started.elapsed());
        }
    }
    Ok(())
}

/// Waits until the database is there, or `stop`: a mistyped name must not leave an empty target behind. With `--once` it waits for nothing.
pub(super) async fn database_stands(
    args: &Args,
    remote: &Remote,
    target_is_new: bool,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut reader = HeadReader::new(remote.clone())?;
    let mut told = false;
    // A store that fails is the follower's business.
    loop {
        let polled = tokio::select! {
            polled = reader.poll() => polled,
            () = stop.cancelled() => return Ok(()),
        };
        match polled {
            // To a target with a position a missing head is damage, which the follower says.
            Ok(HeadPoll::Missing) if target_is_new => {}
            Ok(_) => return Ok(()),
            // Asked often enough; the follower would ask for a minute more, and the last answer would be that it asks no more.
            Err(error) if args.once => return Err(error.into()),
            // It is waited for, or the follower says what is wrong.
            Err(_) => return Ok(()),
        }
        let (database, store) = (remote.layout().database().to_string(), remote.backend().describe());
        let missing = Wrong::NoDatabase { database, store };
        if args.once {
            return Err(missing.into());
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!("{missing} yet: waiting for it");
        }
        tokio::select! {
            () = tokio::time::sleep(args.poll_interval) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
