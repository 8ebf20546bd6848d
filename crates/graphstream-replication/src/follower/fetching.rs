//! Getting one segment: from an earlier follower's fetch, or from the store, which is asked again while it does not answer.

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Head, PlannedSegment, Remote};
use graphstream_storage::{RetryConfig, RetryPolicy};

use super::cache::{CachedSegment, Shelf};
use crate::chance::jitter_seed;
use crate::threads::blocking;
use crate::{Error, FollowerOptions, Result};

/// Fetches segments. Clones put them on the same shelf.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    pub(super) remote: Remote,
    pub(super) shelf: Shelf,
    pub(super) options: Arc<FollowerOptions>,
    pub(super) metrics: Arc<GraphstreamMetrics>,
}

impl Fetcher {
    /// The segment, from the cache if it is there; `None` when the object is not there.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub(super) async fn get(&self, head: &Head, planned: &PlannedSegment) -> Result<Option<CachedSegment>> {
        let (shelf, wanted) = (self.shelf.clone(), *planned);
        let found = blocking("looking for a cached segment", move || Ok(shelf.find(&wanted))).await?;
        if let Some(found) = found {
            self.metrics.follower.segments_reused.inc();
            return Ok(Some(found));
        }
        self.fetch(head, planned).await
    }

    /// Fetches the segment; `None` when the object is not there.
    ///
    /// Bytes that are not what the head names may have been damaged on the way: they are fetched once more before the object is called
    /// damaged.
    ///
    /// # Errors
    /// What the store fails with after its retries; [`Error::Remote`] for damage; [`Error::Cache`].
    pub(super) async fn fetch(&self, head: &Head, planned: &PlannedSegment) -> Result<Option<CachedSegment>> {
        let config = RetryConfig::default()
            .with_attempts_max(self.options.store_retries_max.saturating_add(1))
            .with_pause_max(self.options.retry_interval_max)
            .with_elapsed_max(Duration::MAX);
        let seed = jitter_seed(&self.remote)?;
        let mut attempts = RetryPolicy::new(config).with_jitter_seed(seed).attempts();
        let metrics = &self.metrics.follower;
        let mut damaged = false;
        loop {
            let (segment, mut sink) = self.shelf.begin(planned)?;
            match self.remote.fetch_segment(head, planned, &mut sink).await.map_err(Error::from) {
                Ok(Some(_)) => {
                    metrics.segments_fetched.inc();
                    metrics.bytes_fetched.add(planned.size);
                    return Ok(Some(segment));
                }
                Ok(None) => return Ok(None),
                Err(error) if error.is_transient() => {
                    metrics.fetch_failures.inc();
                    tracing::warn!(segment = %planned.name, %error, failures = attempts.failures(), "fetching a segment failed");
                    if !attempts.pause(None).await {
                        return Err(error);
                    }
                }
                Err(Error::Remote(error @ graphstream_remote::Error::SegmentDamaged { .. })) if !damaged => {
                    damaged = true;
                    metrics.fetch_failures.inc();
                    tracing::warn!(segment = %planned.name, %error, "fetching it once more");
                }
                Err(Error::Remote(error)) => {
                    return Err(blocking("reading a damaged segment", move || {
                        Ok(Error::Remote(error.placed(segment.path())))
                    })
                    .await?);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
