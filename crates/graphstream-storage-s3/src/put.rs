//! Puts of bodies that go in one request, and what all puts have in common.

use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption, StorageClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graphstream_storage::{self as storage, Key, Operation, PutBody, PutMode, StorageBackend, Version};

use crate::S3Backend;
use crate::config::Encryption;
use crate::error::Failure;
use crate::get::version;
use crate::secret::CustomerKey;
use crate::source::Source;
use crate::verdict::{Effect, Verdict};

const PUT: &str = "PutObject";

/// `If-None-Match` and `If-Match` of a put.
pub(crate) struct Conditions {
    pub(crate) if_none_match: Option<String>,
    pub(crate) if_match: Option<String>,
}

impl S3Backend {
    pub(crate) async fn put_body(
        &self,
        key: &Key,
        body: PutBody,
        mode: &PutMode,
    ) -> storage::Result<Version> {
        let conditions = self.conditions(mode)?;
        let source = Source::open(key, body).await?;
        if source.length() > self.config().multipart_bytes_min {
            return self.put_parts(key, source, mode, conditions).await;
        }
        let body = source.read(key, 0..source.length()).await?;
        self.put_whole(key, body, mode, conditions).await
    }

    fn conditions(&self, mode: &PutMode) -> storage::Result<Conditions> {
        let (if_none_match, if_match) = match mode {
            PutMode::Overwrite => (None, None),
            _ if !self.config().conditional_puts => return Err(self.unsupported()),
            PutMode::Create => (Some("*".to_owned()), None),
            PutMode::Match(version) => (None, Some(version.to_string())),
            _ => return Err(self.unsupported()),
        };
        Ok(Conditions { if_none_match, if_match })
    }

    fn unsupported(&self) -> storage::Error {
        storage::Error::Unsupported { backend: self.describe(), operation: Operation::Put }
    }

    async fn put_whole(
        &self,
        key: &Key,
        body: Bytes,
        mode: &PutMode,
        conditions: Conditions,
    ) -> storage::Result<Version> {
        let (algorithm, customer_key, md5) = self.customer_key();
        let checksum = self.config().checksums.then(|| in_header(crc32c::crc32c(&body)));
        let request = self
            .client()
            .put_object()
            .bucket(&self.config().bucket)
            .key(key.as_str())
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .set_if_none_match(conditions.if_none_match)
            .set_if_match(conditions.if_match)
            .set_checksum_algorithm(checksum.as_ref().map(|_| ChecksumAlgorithm::Crc32C))
            .set_checksum_crc32_c(checksum)
            .set_storage_class(self.storage_class())
            .set_server_side_encryption(self.server_side_encryption())
            .set_ssekms_key_id(self.kms_key_id())
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5)
            .body(body.into());
        match self.quietly(request.send()).await {
            Ok(output) => self.put_version(PUT, key, output.e_tag()),
            Err(error) => Err(self.put_failed(Failure::of(PUT, Effect::Seen, error), key, mode)),
        }
    }

    /// The version that a put's answer names.
    pub(crate) fn put_version(
        &self,
        call: &'static str,
        key: &Key,
        etag: Option<&str>,
    ) -> storage::Result<Version> {
        version(etag).ok_or_else(|| {
            let failure = Failure::protocol(call, Effect::Seen, "the answer has no usable ETag");
            self.failed(failure, Operation::Put, key.as_str())
        })
    }

    /// What a failed put means, by its mode.
    pub(crate) fn put_failed(&self, failure: Failure, key: &Key, mode: &PutMode) -> storage::Error {
        let key = key.clone();
        match (failure.verdict, mode) {
            (Verdict::Precondition, PutMode::Create) => storage::Error::Exists { key },
            (Verdict::Precondition, PutMode::Match(expected)) => {
                storage::Error::VersionMismatch { key, expected: expected.clone(), found: None }
            }
            (Verdict::NoSuchKey, PutMode::Match(_)) => {
                storage::Error::NotFound { operation: Operation::Put, key }
            }
            (Verdict::NotImplemented, PutMode::Create | PutMode::Match(_)) => self.unsupported(),
            _ => self.failed(failure, Operation::Put, key.as_str()),
        }
    }

    pub(crate) fn storage_class(&self) -> Option<StorageClass> {
        self.config().storage_class.as_deref().map(StorageClass::from)
    }

    pub(crate) fn server_side_encryption(&self) -> Option<ServerSideEncryption> {
        match self.config().encryption {
            Encryption::Bucket | Encryption::Customer(_) => None,
            Encryption::Store => Some(ServerSideEncryption::Aes256),
            Encryption::Kms(_) => Some(ServerSideEncryption::AwsKms),
        }
    }

    pub(crate) fn kms_key_id(&self) -> Option<String> {
        match &self.config().encryption {
            Encryption::Kms(key_id) => key_id.clone(),
            Encryption::Bucket | Encryption::Store | Encryption::Customer(_) => None,
        }
    }

    /// Algorithm, key and the key's MD5, if objects are encrypted with a customer's key.
    pub(crate) fn customer_key(&self) -> (Option<String>, Option<String>, Option<String>) {
        match &self.config().encryption {
            Encryption::Customer(key) => {
                (Some(CustomerKey::ALGORITHM.to_owned()), Some(key.base64()), Some(key.md5()))
            }
            Encryption::Bucket | Encryption::Store | Encryption::Kms(_) => (None, None, None),
        }
    }
}

/// A CRC32C as S3's headers have it.
pub(crate) fn in_header(crc32c: u32) -> String {
    STANDARD.encode(crc32c.to_be_bytes())
}
