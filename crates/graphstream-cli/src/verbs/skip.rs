//! `--skip`: entries that a target refuses and an operator passes over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::SnapshotEngine;
use graphstream::replay::ReplayTarget;
use graphstream::replication::{Engine, SkippingTarget};

use crate::failure::{Failure, Kind, warn};

/// Flags for entries that can't be applied.
#[derive(Debug, clap::Args)]
pub(super) struct SkipArgs {
    /// Pass over this entry if the target refuses it, instead of ending; may be repeated. It is recorded, and this database then
    /// differs from the others for ever
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    skip: Vec<u64>,
    /// The file that skipped entries are recorded in, a JSON line each [default: PATH.skipped.jsonl beside a jsonl: or grafeo: target]
    #[arg(long, value_name = "FILE", requires = "skip")]
    skip_record: Option<PathBuf>,
}

impl SkipArgs {
    /// Where skipped entries are recorded, if any are to be. `path` is where the target keeps its data, if that is known.
    pub(super) fn record(&self, path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        if self.skip.is_empty() {
            return Ok(None);
        }
        let beside = path.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".skipped.jsonl");
            PathBuf::from(name)
        });
        let record = self.skip_record.clone().or(beside).ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                "what --skip passes over is recorded, and it isn't known where this target is",
            )
            .hint("--skip-record FILE, beside the target's own data")
        })?;
        Ok(Some(record))
    }

    /// The target, passing over what it is told to.
    pub(super) fn wrap(
        &self,
        target: Box<dyn ReplayTarget>,
        record: Option<PathBuf>,
        metrics: &Arc<GraphstreamMetrics>,
    ) -> Box<dyn ReplayTarget> {
        let Some(record) = record else { return target };
        let sequences = self.skip.iter().copied();
        Box::new(SkippingTarget::new(target, sequences, record, Arc::clone(metrics)))
    }

    /// What opens the target's kind of database, wherever one is restored, passing over the same entries.
    pub(super) fn wrap_engine(
        &self,
        engine: Arc<dyn Engine>,
        record: Option<&Path>,
        metrics: &Arc<GraphstreamMetrics>,
    ) -> Arc<dyn Engine> {
        let Some(record) = record else { return engine };
        let (skip, record, metrics) = (self.skip.clone(), record.to_path_buf(), Arc::clone(metrics));
        Arc::new(SkippingEngine { engine, skip, record, metrics })
    }

    /// Says what was not needed.
    pub(super) fn tell(&self, metrics: &GraphstreamMetrics) {
        let (named, skipped) = (self.skip.len() as u64, metrics.snapshot().follower.entries_skipped);
        if skipped < named {
            warn(format_args!(
                "{skipped} of {named} entries named by --skip were skipped; the others were not refused, or are not reached yet"
            ));
        }
    }
}

/// Opens databases that pass over entries.
#[derive(Debug)]
struct SkippingEngine {
    engine: Arc<dyn Engine>,
    skip: Vec<u64>,
    record: PathBuf,
    metrics: Arc<GraphstreamMetrics>,
}

impl Engine for SkippingEngine {
    fn describe(&self) -> SnapshotEngine {
        self.engine.describe()
    }

    fn open(&self, path: &Path) -> graphstream::replay::Result<Box<dyn ReplayTarget>> {
        let (sequences, metrics) = (self.skip.iter().copied(), Arc::clone(&self.metrics));
        let target = self.engine.open(path)?;
        Ok(Box::new(SkippingTarget::new(target, sequences, &self.record, metrics)))
    }
}
