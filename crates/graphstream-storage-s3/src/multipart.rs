//! Puts of large bodies: parts side by side, and one call that makes an object of them.
//!
//! ```text
//!   CreateMultipartUpload ──▶ UploadPart, parallel_parts at a time ──▶ CompleteMultipartUpload
//!                                    │ failed, dropped                    │ failed, dropped; carries the put's condition
//!                                    └────────▶ AbortMultipartUpload ◀────┘
//! ```
//! Until the last call is sent nothing can be seen, so a failure before it is definite. Parts of an upload that could not be aborted
//! (the process died) cost storage and are never seen: [`S3Backend::unfinished_uploads`], or a rule of the bucket, sweeps them.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt};
use graphstream_storage::{self as storage, Key, Operation, PutMode, Version};

use crate::S3Backend;
use crate::error::Failure;
use crate::put::{Conditions, in_header};
use crate::source::Source;
use crate::verdict::Effect;

const CREATE: &str = "CreateMultipartUpload";
const PART: &str = "UploadPart";
const COMPLETE: &str = "CompleteMultipartUpload";
const ABORT: &str = "AbortMultipartUpload";

/// What S3 takes for a part that is not the last.
const PART_BYTES_MIN: u64 = 5 << 20;
const PARTS_MAX: u64 = 10_000;

/// A part that the store has.
struct Sent {
    part: CompletedPart,
    crc32c: u32,
    length: usize,
}

/// An upload that is aborted unless it is completed.
struct Upload {
    backend: S3Backend,
    key: Key,
    id: String,
    open: bool,
}

impl Upload {
    async fn abort(mut self) {
        self.open = false;
        self.backend.abort(self.key.as_str(), &self.id).await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        // The put's future was dropped, by a time-out for one.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let (backend, key, id) =
                    (self.backend.clone(), self.key.clone(), std::mem::take(&mut self.id));
                runtime.spawn(async move { backend.abort(key.as_str(), &id).await });
            }
            Err(_) => tracing::warn!(key = %self.key, upload = %self.id, "an upload is left unfinished"),
        }
    }
}

impl S3Backend {
    pub(crate) async fn put_parts(
        &self,
        key: &Key,
        source: Source,
        mode: &PutMode,
        conditions: Conditions,
    ) -> storage::Result<Version> {
        let upload = self.begin(key).await?;
        let length = source.length();
        let part_bytes = self.config().part_bytes.max(PART_BYTES_MIN).max(length.div_ceil(PARTS_MAX));
        let parts = (0..length.div_ceil(part_bytes)).map(|number| {
            let start = number.saturating_mul(part_bytes);
            let range = start..start.saturating_add(part_bytes).min(length);
            let (source, upload) = (&source, &upload);
            async move {
                let body = source.read(key, range).await?;
                self.put_part(upload, number.saturating_add(1), body).await
            }
        });
        let parallel = self.config().parallel_parts.max(1);
        let sent: storage::Result<Vec<Sent>> =
            futures_util::stream::iter(parts).buffered(parallel).try_collect().await;
        let completed = match sent {
            Ok(sent) => self.complete(&upload, sent, length, mode, conditions).await,
            Err(error) => Err(error),
        };
        match completed {
            Ok(version) => {
                let mut upload = upload;
                upload.open = false;
                Ok(version)
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn begin(&self, key: &Key) -> storage::Result<Upload> {
        let (algorithm, customer_key, md5) = self.customer_key();
        let checksums = self.config().checksums;
        let request = self
            .client()
            .create_multipart_upload()
            .bucket(&self.config().bucket)
            .key(key.as_str())
            .set_checksum_algorithm(checksums.then_some(ChecksumAlgorithm::Crc32C))
            .set_checksum_type(checksums.then_some(ChecksumType::FullObject))
            .set_storage_class(self.storage_class())
            .set_server_side_encryption(self.server_side_encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5);
        let failure = match self.quietly(request.send()).await {
            Ok(output) => match output.upload_id {
                Some(id) => return Ok(Upload { backend: self.clone(), key: key.clone(), id, open: true }),
                None => Failure::protocol(CREATE, Effect::Unseen, "the answer names no upload"),
            },
            Err(error) => Failure::of(CREATE, Effect::Unseen, error),
        };
        Err(self.failed(failure, Operation::Put, key.as_str()))
    }

    async fn put_part(&self, upload: &Upload, number: u64, body: bytes::Bytes) -> storage::Result<Sent> {
        let (algorithm, customer_key, md5) = self.customer_key();
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let (crc32c, length) = (crc32c::crc32c(&body), body.len());
        let checksum = self.config().checksums.then(|| in_header(crc32c));
        let request = self
            .client()
            .upload_part()
            .bucket(&self.config().bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .part_number(number)
            .content_length(i64::try_from(length).unwrap_or(i64::MAX))
            .set_checksum_algorithm(checksum.as_ref().map(|_| ChecksumAlgorithm::Crc32C))
            .set_checksum_crc32_c(checksum.clone())
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5)
            .body(body.into());
        let failure = match self.quietly(request.send()).await {
            Ok(output) => match output.e_tag {
                Some(etag) => {
                    let part = CompletedPart::builder()
                        .part_number(number)
                        .e_tag(etag)
                        .set_checksum_crc32_c(checksum)
                        .build();
                    return Ok(Sent { part, crc32c, length });
                }
                None => Failure::protocol(PART, Effect::Unseen, "the answer has no ETag"),
            },
            Err(error) => Failure::of(PART, Effect::Unseen, error),
        };
        Err(self.failed(failure, Operation::Put, upload.key.as_str()))
    }

    async fn complete(
        &self,
        upload: &Upload,
        sent: Vec<Sent>,
        length: u64,
        mode: &PutMode,
        conditions: Conditions,
    ) -> storage::Result<Version> {
        let (algorithm, customer_key, md5) = self.customer_key();
        let whole = sent.iter().fold(0, |crc, sent| crc32c::crc32c_combine(crc, sent.crc32c, sent.length));
        let checksums = self.config().checksums;
        let parts = sent.into_iter().map(|sent| sent.part).collect();
        let request = self
            .client()
            .complete_multipart_upload()
            .bucket(&self.config().bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_mpu_object_size(i64::try_from(length).ok())
            .set_checksum_type(checksums.then_some(ChecksumType::FullObject))
            .set_checksum_crc32_c(checksums.then(|| in_header(whole)))
            .set_if_none_match(conditions.if_none_match)
            .set_if_match(conditions.if_match)
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5);
        match self.quietly(request.send()).await {
            Ok(output) => self.put_version(COMPLETE, &upload.key, output.e_tag()),
            Err(error) => Err(self.put_failed(Failure::of(COMPLETE, Effect::Seen, error), &upload.key, mode)),
        }
    }

    async fn abort(&self, key: &str, id: &str) {
        let request = self.client().abort_multipart_upload().bucket(&self.config().bucket).key(key);
        if let Err(error) = request.upload_id(id).send().await {
            let error = Failure::of(ABORT, Effect::Unseen, error).error;
            tracing::warn!(key, upload = id, %error, "an upload is left unfinished");
        }
    }
}
