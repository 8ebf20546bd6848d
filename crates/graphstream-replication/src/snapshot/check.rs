//! Whether a copy is of the published history, and what its snapshot is called.

use std::time::Duration;

use graphstream_format::Position;
use graphstream_remote::SnapshotName;
use tokio::time::Instant;

use crate::history::Finder;
use crate::{Error, Result};

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Checks that the entry at the copy's position is committed, with the copy's chain hash, and names the snapshot after its epoch and
/// time. What is not committed yet is waited for.
pub(super) async fn check(finder: &mut Finder, position: Position, wait: Duration) -> Result<SnapshotName> {
    let deadline = Instant::now() + wait;
    loop {
        let head = &finder.head.head;
        let (lineage, committed) = (head.lineage(), head.committed().sequence);
        if position.lineage != lineage {
            return Err(Error::TargetLineage { target: position.lineage, published: lineage });
        }
        if position.sequence <= committed {
            break;
        }
        if Instant::now() >= deadline {
            return Err(Error::SnapshotAhead { sequence: position.sequence, committed });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        finder.poll().await?;
    }
    let (point, epoch) = finder.at_with_epoch(position.sequence).await?;
    if point.chain_hash != position.chain_hash {
        return Err(Error::SnapshotForked {
            sequence: position.sequence,
            copy: position.chain_hash,
            history: point.chain_hash,
        });
    }
    Ok(SnapshotName::new(position.sequence, epoch, point.commit_ms)?)
}
