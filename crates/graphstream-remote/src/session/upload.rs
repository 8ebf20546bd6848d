//! Uploading sealed segments under a claimed epoch: create-only, after the epoch object stands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use graphstream_format::ChainHash;
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, Key, PutBody, PutMode};
use sha2::{Digest, Sha256};

use super::{LeaderSession, Shared};
use crate::error::{Attempt, Error, Result};
use crate::{EpochRow, Head, ObjectName, Remote, SegmentName, WindowSegment, sabotage};

/// A sealed segment of the journal. The caller has verified the file and computed what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalSegment {
    /// Sequence of its first entry.
    pub first: u64,
    /// Sequence of its last entry.
    pub last: u64,
    /// Commit time of its last entry, in ms since 1970.
    pub commit_ms: i64,
    /// The chain hash before `first`.
    pub chain_before: ChainHash,
    /// The chain hash after `last`.
    pub chain_after: ChainHash,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Where the bytes are.
    pub body: PutBody,
    /// Whether they are encrypted.
    pub encrypted: bool,
}

impl LocalSegment {
    /// All fields; the ranges are `sequences` and `chain` before the first and after the last entry.
    #[must_use]
    pub fn new(
        sequences: std::ops::RangeInclusive<u64>,
        chain: (ChainHash, ChainHash),
        commit_ms: i64,
        size: u64,
        sha256: [u8; 32],
        body: PutBody,
    ) -> Self {
        let (first, last) = sequences.into_inner();
        let (chain_before, chain_after) = chain;
        let encrypted = false;
        Self { first, last, commit_ms, chain_before, chain_after, size, sha256, body, encrypted }
    }

    /// Says that its bytes are encrypted.
    #[must_use]
    pub fn with_encrypted(mut self, encrypted: bool) -> Self {
        self.encrypted = encrypted;
        self
    }
}

/// Proof that a segment is in the store: only an uploader makes it, and only it can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadedSegment {
    row: WindowSegment,
    chain_before: ChainHash,
    chain_after: ChainHash,
}

impl UploadedSegment {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SegmentName {
        &self.row.name
    }

    /// Its row for the head's window.
    #[must_use]
    pub fn row(&self) -> WindowSegment {
        self.row
    }

    /// The chain hash before its first entry.
    #[must_use]
    pub fn chain_before(&self) -> ChainHash {
        self.chain_before
    }

    /// The chain hash after its last entry.
    #[must_use]
    pub fn chain_after(&self) -> ChainHash {
        self.chain_after
    }
}

/// Uploads segments under one epoch. Cheap to clone; clones may upload at the same time, in any order.
#[derive(Debug, Clone)]
pub struct SegmentUploader {
    remote: Remote,
    head: Arc<Head>,
    row: EpochRow,
    shared: Arc<Shared>,
}

impl LeaderSession {
    /// An uploader for the claimed epoch.
    ///
    /// # Errors
    /// [`Error::NotClaimed`].
    pub fn uploader(&self) -> Result<SegmentUploader> {
        let claim = self.claimed()?;
        let stored = self.stored.as_ref().ok_or(Error::NotClaimed)?;
        Ok(SegmentUploader {
            remote: self.remote.clone(),
            head: Arc::new(stored.head.clone()),
            row: claim.row,
            shared: Arc::clone(&claim.shared),
        })
    }
}

impl SegmentUploader {
    /// The epoch under which it uploads.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.row.epoch
    }

    /// Uploads a segment. Repeating it is harmless: an object with the same content counts as uploaded, whoever's answer
    /// was lost.
    ///
    /// # Errors
    /// [`Error::StraddlesEpochStart`]; [`Error::PlainSegment`]; [`Error::SegmentDiffers`] when the key exists with other content (never
    /// overwritten); [`Error::EpochObjectDiffers`]; [`Error::Fenced`] once the session knows; [`Error::Storage`].
    pub async fn upload(&self, segment: &LocalSegment) -> Result<UploadedSegment> {
        if let Some(fenced) = self.shared.fenced.get() {
            return Err(Error::Fenced(Box::new(*fenced)));
        }
        let LocalSegment { first, last, commit_ms, chain_before, chain_after, size, sha256, .. } = *segment;
        let EpochRow { epoch, start_sequence: start, .. } = self.row;
        if first <= start {
            return Err(Error::StraddlesEpochStart { first, last, epoch, start });
        }
        // Under a keyed head the claim was keyed, too, and everything behind it is encrypted.
        if !segment.encrypted && self.head.demands_encryption(last) {
            return Err(Error::PlainSegment { first, last });
        }
        let name = SegmentName::new(0, first, last, epoch, commit_ms)?;
        let key = self.remote.layout().key(&ObjectName::Segment(name))?;
        self.ensure_epoch_stands().await?;
        self.put(&key, segment).await?;
        tracing::debug!(%key, size, "segment uploaded");
        Ok(UploadedSegment { row: WindowSegment::new(name, size, sha256), chain_before, chain_after })
    }

    /// Creates the epoch object unless it is known to stand.
    pub(super) async fn ensure_epoch_stands(&self) -> Result<()> {
        if !self.shared.epoch_stands.load(Ordering::Acquire) {
            self.remote.ensure_epoch_object(&self.head, &self.row).await?;
            self.shared.epoch_stands.store(true, Ordering::Release);
        }
        Ok(())
    }

    async fn put(&self, key: &Key, segment: &LocalSegment) -> Result<()> {
        let mut lost = None;
        for _ in 0..Remote::ATTEMPTS {
            let error = match self.remote.backend().put(key, segment.body.clone(), PutMode::Create).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if sabotage::is("unknown_counts_as_success") && error.class().is_unknown() {
                return Ok(());
            }
            if sabotage::is("failed_upload_is_passed") && error.class() == ErrorClass::Unavailable {
                return Ok(());
            }
            // S3 answers 409 when two put at once, and neither has written: the class is `Unavailable`.
            let conflict = matches!(error.class(), ErrorClass::Exists | ErrorClass::Unavailable);
            if sabotage::is("conflict_counts_as_exists") && conflict {
                return Ok(());
            }
            let exists = error.class() == ErrorClass::Exists;
            if !exists && !error.class().is_unknown() {
                return Err(Error::storage(Attempt::UploadSegment, key)(error));
            }
            // Ours with a lost answer, or not there (yet): then once more. Late ones of ours have the same content.
            if self.compare(key, segment).await? {
                return Ok(());
            }
            lost = Some(error);
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::UploadSegment, key)(error),
            None => Error::NotClaimed,
        })
    }

    /// Whether the object has the segment's content; `false` when there is none.
    async fn compare(&self, key: &Key, segment: &LocalSegment) -> Result<bool> {
        let failed = |source| Error::storage(Attempt::ReadSegment, &key)(source);
        let mut body = match self.remote.backend().get(key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object.body,
            Ok(GetOutcome::NotModified) => return Ok(false),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        let mut sha256 = Sha256::new();
        let mut found_size: u64 = 0;
        while found_size <= segment.size {
            let Some(chunk) = body.next_chunk().await.map_err(failed)? else { break };
            found_size = found_size.saturating_add(chunk.len() as u64);
            sha256.update(&chunk);
        }
        let found: [u8; 32] = sha256.finalize().into();
        if found_size == segment.size && found == segment.sha256 {
            return Ok(true);
        }
        let (expected, found) = (hex::encode(segment.sha256), hex::encode(found));
        Err(Error::SegmentDiffers {
            key: key.clone(),
            expected_size: segment.size,
            expected,
            found_size,
            found,
        })
    }
}
