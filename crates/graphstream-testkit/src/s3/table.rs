//! All buckets of a server, in memory, under one lock: that makes its conditions atomic.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use s3s::dto::{Checksum, CompletedPart, ETagCondition};
use s3s::{S3Result, s3_error};

use super::Conduct;
use super::conditions::check_write;
use super::object::{Attributes, Stored, Sums, etag_of_parts};

/// Every part but the last has at least so many bytes.
const PART_BYTES_MIN: usize = 5 << 20;

/// The parts of an object that is not there yet.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: SystemTime,
    pub(super) attributes: Attributes,
    /// The checksum is to be one over all bytes.
    pub(super) full_checksum: bool,
    parts: BTreeMap<i32, Part>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) body: Bytes,
    pub(super) etag: String,
    pub(super) checksum: Sums,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Stored>,
    pub(super) uploads: BTreeMap<String, Upload>,
    next_upload: u64,
}

#[derive(Debug)]
pub(super) struct Table {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    protected: Mutex<HashSet<String>>,
    conduct: Conduct,
}

/// The conditions of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct If<'a> {
    pub(super) matches: Option<&'a ETagCondition>,
    pub(super) none_matches: Option<&'a ETagCondition>,
}

impl Table {
    pub(super) fn new(bucket: &str, conduct: Conduct) -> Self {
        let buckets = Mutex::new(BTreeMap::from([(bucket.to_owned(), Bucket::default())]));
        Self { buckets, protected: Mutex::default(), conduct }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` on the bucket, with nobody else in it.
    pub(super) fn bucket<T>(&self, name: &str, call: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        match self.lock().get_mut(name) {
            Some(bucket) => call(bucket),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    pub(super) fn create(&self, name: &str) -> S3Result<()> {
        match self.lock().insert(name.to_owned(), Bucket::default()) {
            None => Ok(()),
            Some(_) => Err(s3_error!(BucketAlreadyOwnedByYou)),
        }
    }

    pub(super) async fn put(
        &self,
        bucket: &str,
        key: &str,
        object: Stored,
        condition: If<'_>,
    ) -> S3Result<()> {
        self.raced(bucket, key, condition).await?;
        self.bucket(bucket, |bucket| {
            let checked = self.check(bucket, key, condition);
            if checked.is_ok() || self.conduct == Conduct::Keeping {
                bucket.objects.insert(key.to_owned(), object);
            }
            checked
        })
    }

    /// A hasty server's look at the condition, before the body is read.
    pub(super) fn hasty(&self, bucket: &str, key: &str, condition: If<'_>) -> S3Result<()> {
        match self.conduct {
            Conduct::Hasty => self.bucket(bucket, |bucket| bucket.check(key, condition)),
            Conduct::Honest | Conduct::Racing | Conduct::Ignoring | Conduct::Keeping => Ok(()),
        }
    }

    /// What is wrong with a racing server: it looks, writes as long as a disk takes, and then does not look again.
    async fn raced(&self, bucket: &str, key: &str, condition: If<'_>) -> S3Result<()> {
        if self.conduct == Conduct::Racing {
            self.bucket(bucket, |bucket| bucket.check(key, condition))?;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Ok(())
    }

    fn check(&self, bucket: &Bucket, key: &str, condition: If<'_>) -> S3Result<()> {
        match self.conduct {
            Conduct::Honest | Conduct::Keeping | Conduct::Hasty => bucket.check(key, condition),
            Conduct::Racing | Conduct::Ignoring => Ok(()),
        }
    }

    pub(super) fn delete(&self, bucket: &mut Bucket, key: &str) -> S3Result<()> {
        if self.protected.lock().unwrap_or_else(PoisonError::into_inner).contains(key) {
            return Err(s3_error!(AccessDenied, "The object is locked"));
        }
        bucket.objects.remove(key);
        Ok(())
    }

    pub(super) fn begin(&self, bucket: &str, upload: Upload) -> S3Result<String> {
        self.bucket(bucket, |bucket| {
            bucket.next_upload += 1;
            let id = format!("upload-{:08}", bucket.next_upload);
            bucket.uploads.insert(id.clone(), upload);
            Ok(id)
        })
    }

    pub(super) fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: i32,
        part: Part,
    ) -> S3Result<()> {
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000"));
        }
        self.bucket(bucket, |bucket| {
            bucket.upload(key, id)?.parts.insert(number, part);
            Ok(())
        })
    }

    /// Makes the object of its parts. A refused one leaves the upload as it is, to be aborted.
    pub(super) async fn complete(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        listed: &[CompletedPart],
        claimed: &Checksum,
        condition: If<'_>,
    ) -> S3Result<Stored> {
        self.raced(bucket, key, condition).await?;
        self.bucket(bucket, |bucket| {
            let upload = bucket.upload(key, id)?;
            let object = upload.joined(listed)?;
            if !object.checksum.agrees(claimed) {
                return Err(s3_error!(BadDigest, "The checksum you specified did not match the parts'"));
            }
            let checked = self.check(bucket, key, condition);
            if checked.is_ok() || self.conduct == Conduct::Keeping {
                bucket.uploads.remove(id);
                bucket.objects.insert(key.to_owned(), object.clone());
            }
            checked.map(|()| object)
        })
    }

    /// The uploads below a prefix, in order, behind a key or behind one of a key's uploads.
    pub(super) fn uploads(
        &self,
        bucket: &str,
        prefix: &str,
        after: (&str, Option<&str>),
    ) -> S3Result<Vec<(String, String, SystemTime)>> {
        let mut found = self.bucket(bucket, |bucket| {
            let uploads = bucket.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix));
            Ok(uploads
                .map(|(id, upload)| (upload.key.clone(), id.clone(), upload.initiated))
                .collect::<Vec<_>>())
        })?;
        found.retain(|(key, id, _)| match after {
            (after_key, Some(after_id)) => (key.as_str(), id.as_str()) > (after_key, after_id),
            (after_key, None) => key.as_str() > after_key,
        });
        found.sort();
        Ok(found)
    }

    pub(super) fn protect(&self, key: &str) {
        self.protected.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
    }

    pub(super) fn unfinished_uploads(&self, bucket: &str) -> usize {
        self.lock().get(bucket).map_or(0, |bucket| bucket.uploads.len())
    }

    pub(super) fn age_uploads(&self, bucket: &str, by: Duration) {
        for upload in self.lock().get_mut(bucket).into_iter().flat_map(|bucket| bucket.uploads.values_mut()) {
            upload.initiated -= by;
        }
    }

    pub(super) fn header_of(&self, bucket: &str, key: &str, header: &str) -> Option<String> {
        self.lock().get(bucket)?.objects.get(key)?.attributes.get(header).map(ToOwned::to_owned)
    }
}

impl Bucket {
    fn check(&self, key: &str, condition: If<'_>) -> S3Result<()> {
        let existing = self.objects.get(key).map(|object| object.etag.as_str());
        check_write(existing, condition.matches, condition.none_matches)
    }

    pub(super) fn upload(&mut self, key: &str, id: &str) -> S3Result<&mut Upload> {
        match self.uploads.get_mut(id) {
            Some(upload) if upload.key == key => Ok(upload),
            _ => Err(s3_error!(NoSuchUpload, "The specified multipart upload does not exist")),
        }
    }
}

impl Upload {
    pub(super) fn new(key: String, attributes: Attributes, full_checksum: bool) -> Self {
        Self { key, initiated: SystemTime::now(), attributes, full_checksum, parts: BTreeMap::new() }
    }

    fn joined(&self, listed: &[CompletedPart]) -> S3Result<Stored> {
        let mut parts = Vec::new();
        let mut last = 0;
        for listed in listed {
            let number = listed.part_number.unwrap_or(0);
            if number <= last {
                return Err(s3_error!(InvalidPartOrder));
            }
            last = number;
            let etag = listed.e_tag.as_ref().map(|etag| etag.value());
            let sums = Checksum {
                checksum_crc32: listed.checksum_crc32.clone(),
                checksum_crc32c: listed.checksum_crc32c.clone(),
                checksum_crc64nvme: listed.checksum_crc64nvme.clone(),
                checksum_sha1: listed.checksum_sha1.clone(),
                checksum_sha256: listed.checksum_sha256.clone(),
                checksum_type: None,
            };
            match self.parts.get(&number) {
                Some(part) if etag == Some(part.etag.as_str()) && part.checksum.agrees(&sums) => {
                    parts.push(part)
                }
                _ => {
                    return Err(s3_error!(
                        InvalidPart,
                        "A specified part could not be found or has another ETag"
                    ));
                }
            }
        }
        let Some((_, all_but_last)) = parts.split_last() else {
            return Err(s3_error!(MalformedXML, "You must specify at least one part"));
        };
        if all_but_last.iter().any(|part| part.body.len() < PART_BYTES_MIN) {
            return Err(s3_error!(EntityTooSmall));
        }
        let mut body = BytesMut::with_capacity(parts.iter().map(|part| part.body.len()).sum());
        parts.iter().for_each(|part| body.extend_from_slice(&part.body));
        let body = body.freeze();
        let sums: Vec<&Sums> = parts.iter().map(|part| &part.checksum).collect();
        Ok(Stored {
            etag: etag_of_parts(parts.iter().map(|part| part.etag.as_str())),
            modified: SystemTime::now(),
            checksum: Sums::of_parts(&sums, &body, self.full_checksum),
            attributes: self.attributes.clone(),
            body,
        })
    }
}
