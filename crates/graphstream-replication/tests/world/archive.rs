//! Snapshots of files of lines, and restores into them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use graphstream_replication::{
    Goal, JsonlEngine, Restore, RestoreOptions, RestoreReport, Result, Snapshot, SnapshotOptions,
    SnapshotReport,
};

use super::World;

impl World {
    /// A restore of a file of lines, which is called so.
    pub fn restore(&self, name: &str, goal: Goal) -> Restore {
        Restore::into_database(self.remote(), self.dir(name), Arc::new(JsonlEngine))
            .goal(goal)
            .options(RestoreOptions::default().with_batch_entries_max(3).with_fetches_max(2))
    }

    /// A file of lines with the first entries.
    pub async fn lines(&self, name: &str, last: u64) -> PathBuf {
        self.restore(name, Goal::Sequence(last)).run().await.unwrap();
        self.dir(name)
    }

    /// A snapshot of a file of lines, in small objects.
    pub fn snapshot_of(&self, path: &Path) -> Snapshot {
        let options = SnapshotOptions::default()
            .with_part_bytes(700)
            .with_uploads_max(2)
            .with_staging_dir(self.dir(""))
            .with_commit_wait(Duration::from_millis(10));
        Snapshot::of_path(self.remote(), path, Arc::new(JsonlEngine)).options(options)
    }

    /// A snapshot of the first entries.
    pub async fn snapshot_at(&self, last: u64) -> SnapshotReport {
        let path = self.lines(&format!("snapshot-{last}"), last).await;
        self.snapshot_of(&path).create().await.unwrap()
    }

    /// Restores, and returns the sequences of the lines.
    pub async fn restored(&self, name: &str, goal: Goal) -> Result<(RestoreReport, Vec<u64>)> {
        let report = self.restore(name, goal).run().await?;
        Ok((report, sequences(&self.dir(name))))
    }
}

/// The sequences of a file of lines.
pub fn sequences(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    let of =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_u64().unwrap();
    text.lines().map(of).collect()
}
