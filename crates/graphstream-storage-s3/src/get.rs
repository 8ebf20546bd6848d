//! Reads: an object or a range of it, and its metadata.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream as Body, DateTime};
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_checksums::body::validate;
use bytes::Bytes;
use graphstream_storage::{
    self as storage, ByteStream, ErrorClass, GetOptions, GetOutcome, Key, Object, ObjectMeta, Operation,
    StorageBackend, Version,
};

use crate::S3Backend;
use crate::error::{Error, Failure, chain};
use crate::verdict::{Effect, Verdict};

const GET: &str = "GetObject";
const HEAD: &str = "HeadObject";

/// Beyond the end of any object, and still a number to every server.
const OFFSET_MAX: u64 = 1 << 62;

impl S3Backend {
    pub(crate) async fn get_object(&self, key: &Key, options: GetOptions) -> storage::Result<GetOutcome> {
        let GetOptions { range, if_changed_from, .. } = options;
        let invalid = |range: &Range<u64>, size| storage::Error::InvalidRange {
            key: key.clone(),
            start: range.start,
            end: range.end,
            size,
        };
        if let Some(range) = range.as_ref().filter(|range| range.is_empty()) {
            return Err(invalid(range, None));
        }
        let (algorithm, customer_key, md5) = self.customer_key();
        let request = self
            .client()
            .get_object()
            .bucket(&self.config().bucket)
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .set_range(range.as_ref().map(header))
            .set_if_none_match(if_changed_from.as_ref().map(ToString::to_string))
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5);
        let failure = match self.quietly(request.send()).await {
            Ok(output) => return self.found(key, range, output).map(GetOutcome::Found),
            Err(error) => Failure::of(GET, Effect::Unseen, error),
        };
        match (failure.verdict, &range) {
            (Verdict::NotModified, _) if if_changed_from.is_some() => Ok(GetOutcome::NotModified),
            (Verdict::NoSuchKey, _) => {
                Err(storage::Error::NotFound { operation: Operation::Get, key: key.clone() })
            }
            (Verdict::Range, Some(range)) => Err(invalid(range, failure.size)),
            _ => Err(self.failed(failure, Operation::Get, key.as_str())),
        }
    }

    fn found(
        &self,
        key: &Key,
        asked: Option<Range<u64>>,
        output: GetObjectOutput,
    ) -> storage::Result<Object> {
        let broken = |problem| {
            self.failed(Failure::protocol(GET, Effect::Unseen, problem), Operation::Get, key.as_str())
        };
        let length = output.content_length().and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| broken("the answer does not say how long the body is"))?;
        let (range, size) = match (asked, output.content_range()) {
            (None, None) => (0..length, length),
            (None, Some(_)) => return Err(broken("a part came, nobody asked for a range")),
            (Some(asked), shown) => {
                let (found, size) = match shown {
                    Some(shown) => {
                        content_range(shown).ok_or_else(|| broken("Content-Range can't be read"))?
                    }
                    None => (0..length, length),
                };
                let expected = asked.start..asked.end.min(size);
                if found != expected || found.end.saturating_sub(found.start) != length {
                    return Err(storage::Error::WrongRange { key: key.clone(), expected, found });
                }
                (found, size)
            }
        };
        let version = version(output.e_tag()).ok_or_else(|| broken("the answer has no usable ETag"))?;
        let meta = ObjectMeta::new(key.clone(), size, version, milliseconds(output.last_modified()));
        let reading = Reading { body: output.body, key: key.clone(), read: 0, length, backend: self.clone() };
        let stream = futures_util::stream::unfold(Some(reading), |state| async {
            let mut reading = state?;
            match reading.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Object::new(meta, range, ByteStream::new(stream)))
    }

    pub(crate) async fn head_object(&self, key: &Key) -> storage::Result<ObjectMeta> {
        let (algorithm, customer_key, md5) = self.customer_key();
        let request = self
            .client()
            .head_object()
            .bucket(&self.config().bucket)
            .key(key.as_str())
            .set_sse_customer_algorithm(algorithm)
            .set_sse_customer_key(customer_key)
            .set_sse_customer_key_md5(md5);
        let failure = match self.quietly(request.send()).await {
            Ok(output) => {
                let broken = |problem| {
                    self.failed(
                        Failure::protocol(HEAD, Effect::Unseen, problem),
                        Operation::Head,
                        key.as_str(),
                    )
                };
                let size = output.content_length().and_then(|length| u64::try_from(length).ok());
                let size = size.ok_or_else(|| broken("the answer does not say how long the object is"))?;
                let version =
                    version(output.e_tag()).ok_or_else(|| broken("the answer has no usable ETag"))?;
                return Ok(ObjectMeta::new(key.clone(), size, version, milliseconds(output.last_modified())));
            }
            Err(error) => Failure::of(HEAD, Effect::Unseen, error),
        };
        match failure.verdict {
            // The answer to a head has no body, and so no code: is the object missing or the bucket, the right or only a fresh token? A
            // get says it.
            Verdict::NoSuchThing | Verdict::Class(ErrorClass::Denied | ErrorClass::Other)
                if matches!(failure.error, Error::Answer { .. }) =>
            {
                self.why_refused(key, failure).await
            }
            Verdict::NoSuchKey => {
                Err(storage::Error::NotFound { operation: Operation::Head, key: key.clone() })
            }
            _ => Err(self.failed(failure, Operation::Head, key.as_str())),
        }
    }

    async fn why_refused(&self, key: &Key, head: Failure) -> storage::Result<ObjectMeta> {
        match self.get_object(key, GetOptions::default()).await {
            // Put, or allowed, in between.
            Ok(GetOutcome::Found(object)) => Ok(object.meta),
            Ok(GetOutcome::NotModified) => Err(self.failed(head, Operation::Head, key.as_str())),
            Err(storage::Error::NotFound { key, .. }) => {
                Err(storage::Error::NotFound { operation: Operation::Head, key })
            }
            Err(error) => Err(error),
        }
    }
}

fn header(range: &Range<u64>) -> String {
    let last = range.end.saturating_sub(1).min(OFFSET_MAX);
    format!("bytes={}-{last}", range.start.min(OFFSET_MAX))
}

/// `bytes 5-9/100`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = size.parse().ok()?;
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// An ETag as a version: in quotes, also from stores that leave them out.
pub(crate) fn version(etag: Option<&str>) -> Option<Version> {
    let etag = etag?;
    let quoted = if etag.ends_with('"') { etag.to_owned() } else { format!("\"{etag}\"") };
    Version::new(quoted).ok()
}

pub(crate) fn milliseconds(time: Option<&DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or(0)
}

/// A body on its way.
struct Reading {
    body: Body,
    key: Key,
    read: u64,
    length: u64,
    backend: S3Backend,
}

impl Reading {
    /// The next chunk; the end only when all has come and the checksum, if there is one, was right.
    async fn next_chunk(&mut self) -> storage::Result<Option<Bytes>> {
        match self.body.next().await {
            Some(Ok(chunk)) => {
                self.read = self.read.saturating_add(chunk.len() as u64);
                if self.read > self.length {
                    let (expected, found) = (self.length, self.read);
                    return Err(storage::Error::BodyLength { key: self.key.clone(), expected, found });
                }
                Ok(Some(chunk))
            }
            Some(Err(error)) => Err(self.failed(Some(Box::new(error)))),
            None if self.read < self.length => Err(self.failed(None)),
            None => Ok(None),
        }
    }

    fn failed(&self, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> storage::Error {
        let damaged =
            source.as_deref().is_some_and(|error| chain(error).any(|cause| cause.is::<validate::Error>()));
        let (error, class) = match source {
            Some(source) if damaged => (Error::Checksum { source }, ErrorClass::Corrupt),
            source => (Error::Cut { at: self.read, source }, ErrorClass::Unavailable),
        };
        storage::Error::backend(class, Operation::Get, &self.key, self.backend.describe(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_and_read() {
        assert_eq!(header(&(0..1)), "bytes=0-0");
        assert_eq!(header(&(5..u64::MAX)), format!("bytes=5-{OFFSET_MAX}"));
        assert_eq!(content_range("bytes 5-9/100"), Some((5..10, 100)));
        for bad in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 9-5/100",
            "bytes 5-9/9",
            "bytes */100",
            "5-9/100",
            "bytes a-b/c",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_quoted() {
        assert_eq!(version(Some("\"abc\"")).unwrap().as_str(), "\"abc\"");
        assert_eq!(version(Some("abc")).unwrap().as_str(), "\"abc\"");
        assert_eq!(version(Some("W/\"abc\"")).unwrap().as_str(), "W/\"abc\"");
        assert!(version(None).is_none());
        assert!(version(Some("a\nb")).is_none());
    }
}
