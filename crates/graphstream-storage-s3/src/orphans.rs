//! Uploads in parts that nobody finishes: what a process that died has left. They cost storage and are never seen.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::types::EncodingType;
use graphstream_storage::{self as storage, Operation};

use crate::S3Backend;
use crate::error::{Error, Failure};
use crate::get::milliseconds;
use crate::list::url_decoded;
use crate::verdict::Effect;

const LIST: &str = "ListMultipartUploads";
const ABORT: &str = "AbortMultipartUpload";

/// An upload in parts that was begun, and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedUpload {
    /// The key that its object would have.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it was begun, by the store's clock, in ms since 1970.
    pub begun_ms: i64,
}

/// Where a listing of uploads goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMarker {
    key: Option<String>,
    id: Option<String>,
}

/// A page of unfinished uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadPage {
    /// In the order of their keys, at most 1,000.
    pub uploads: Vec<UnfinishedUpload>,
    /// Where to go on; `None` at the end.
    pub next: Option<UploadMarker>,
}

impl S3Backend {
    /// A page of the unfinished uploads of keys that start with `prefix` and were begun longer ago than `older_than`, by the store's clock
    /// against this machine's. One that is younger may still be on its way: a day is little. Needs the right
    /// `s3:ListBucketMultipartUploads`.
    ///
    /// # Errors
    /// What the store answers; a page that goes on where it began.
    pub async fn unfinished_uploads(
        &self,
        prefix: &str,
        older_than: Duration,
        from: Option<UploadMarker>,
    ) -> storage::Result<UploadPage> {
        let (key, id) = from.map_or((None, None), |from| (from.key, from.id));
        let request = self
            .client()
            .list_multipart_uploads()
            .bucket(&self.config().bucket)
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .set_key_marker(key.clone())
            .set_upload_id_marker(id.clone());
        let page = request.send().await.map_err(|error| {
            self.failed(Failure::of(LIST, Effect::Unseen, error), Operation::List, prefix)
        })?;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        let decoded = |text: &str| if encoded { url_decoded(text) } else { text.to_owned() };
        let mut uploads = Vec::with_capacity(page.uploads().len());
        for upload in page.uploads() {
            let begun = upload.initiated().and_then(|time| SystemTime::try_from(*time).ok());
            let old = begun.and_then(|begun| begun.elapsed().ok()).is_some_and(|age| age >= older_than);
            let (Some(key), Some(id)) = (upload.key().map(decoded), upload.upload_id()) else { continue };
            if old && key.starts_with(prefix) {
                let begun_ms = milliseconds(upload.initiated());
                uploads.push(UnfinishedUpload { key, id: id.to_owned(), begun_ms });
            }
        }
        if page.is_truncated() != Some(true) {
            return Ok(UploadPage { uploads, next: None });
        }
        let next = UploadMarker {
            key: page.next_key_marker().map(decoded),
            id: page.next_upload_id_marker().map(ToOwned::to_owned),
        };
        if (&next.key, &next.id) == (&key, &id) {
            let failure = Failure::protocol(LIST, Effect::Unseen, "the page goes on where it began");
            return Err(self.failed(failure, Operation::List, prefix));
        }
        Ok(UploadPage { uploads, next: Some(next) })
    }

    /// Aborts an upload, and frees what its parts took. A process that is still sending it fails. Needs the right
    /// `s3:AbortMultipartUpload`.
    ///
    /// # Errors
    /// What the store answers; that the upload is gone already is none.
    pub async fn abort_upload(&self, upload: &UnfinishedUpload) -> storage::Result<()> {
        let request = self.client().abort_multipart_upload().bucket(&self.config().bucket);
        match request.key(&upload.key).upload_id(&upload.id).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(ABORT, Effect::Unseen, error);
                match &failure.error {
                    Error::Answer { code: Some(code), .. } if code == "NoSuchUpload" => Ok(()),
                    _ => Err(self.failed(failure, Operation::Delete, &upload.key)),
                }
            }
        }
    }
}
