//! Uploads side by side, in the order of the plan.

use std::sync::Arc;
use std::time::Instant;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{Committed, SegmentUploader, UploadedSegment};
use tokio::task::{JoinError, JoinSet};

use super::Uploader;
use super::prepare::{Encrypting, Joint, Prepared, Preparing, prepare};
use crate::archive::{ArchivePlan, ArchiveSegment};
use crate::threads::blocking;
use crate::{Error, Result};

impl Uploader {
    /// Uploads segments, several at a time. What failed does not hide what was uploaded: that is returned beside the first
    /// failure, so that everything before it can be published.
    pub(super) async fn upload(
        &mut self,
        plan: ArchivePlan,
        committed: Committed,
    ) -> Result<(Vec<UploadedSegment>, Option<Error>)> {
        let uploader = self.session.uploader()?;
        let preparing = self.preparing(plan.verify);
        let mut joint = self.joint(committed).await?;
        let mut uploading = JoinSet::new();
        let (mut uploaded, mut failed) = (Vec::new(), None);
        for segment in plan.segments {
            // Verifying counts too: many journals with a backlog would otherwise all read at once.
            let slot = match &self.budget {
                Some(budget) => budget.slot().await,
                None => None,
            };
            // Verifying is sequential, for each segment must continue the one before; uploads run meanwhile.
            let (dir, preparing) = (self.dir.clone(), preparing.clone());
            let prepared = blocking("verifying a segment", move || {
                let ArchiveSegment { first, last, .. } = segment;
                let info = dir.segment(first)?.ok_or(Error::LocalGap { first, last })?;
                prepare(&dir, &info, &preparing, joint)
            });
            match prepared.await {
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
        self.chain.advance(joint.sequence, joint.chain_hash);
        Ok((uploaded, failed))
    }

    /// Under a keyed head nothing plain is uploaded, whatever the journal has sealed before.
    fn preparing(&self, verify: bool) -> Preparing {
        let keyed = self.session.head().is_some_and(|stored| stored.head.is_keyed());
        let encrypt = self.remote.keys().filter(|_| keyed).map(|keys| {
            let (keys, nonce) = (Arc::clone(keys), self.session.nonce());
            Encrypting { keys, nonce }
        });
        Preparing { lineage: self.lineage, verify, encrypt }
    }

    /// Where the first segment joins the chain.
    async fn joint(&self, committed: Committed) -> Result<Joint> {
        let sequence = committed.sequence;
        let chain_hash = match committed.chain.hash() {
            Some(chain_hash) => chain_hash,
            // The head has only a MAC of it. The claim has compared that with our chain.
            None => {
                let chain = self.chain.clone();
                blocking("reading the journal", move || {
                    let missing = graphstream_remote::Error::LocalChainMissing { sequence };
                    Ok(chain.hash_at(sequence)?.ok_or(missing)?)
                })
                .await?
            }
        };
        Ok(Joint { sequence, chain_hash })
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
