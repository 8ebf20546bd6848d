//! An object in memory, and the checksums that came with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, ChecksumType};
use s3s::{S3Request, S3Result, s3_error};

/// One object.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    /// Without quotes: the MD5 of the body, as S3 does it, so equal bytes bring a version back.
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) checksum: Sums,
    pub(super) attributes: Attributes,
}

impl Stored {
    #[cfg(test)]
    pub(super) fn for_test(body: &'static [u8]) -> Self {
        let body = Bytes::from_static(body);
        Self {
            etag: etag(&body),
            body,
            modified: SystemTime::UNIX_EPOCH,
            checksum: Sums::default(),
            attributes: Attributes::default(),
        }
    }
}

/// The ETag of a body that was put at once.
pub(super) fn etag(body: &[u8]) -> String {
    hex::encode(Md5::checksum(body))
}

/// The ETag of a body that was put in parts.
pub(super) fn etag_of_parts<'a>(etags: impl Iterator<Item = &'a str>) -> String {
    let mut count = 0;
    let mut md5 = Md5::new();
    for etag in etags {
        count += 1;
        md5.update(&hex::decode(etag).unwrap_or_default());
    }
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// What a put says about the object besides its bytes: the headers, without customers' keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    headers: BTreeMap<String, String>,
}

impl Attributes {
    pub(super) fn of<T>(request: &S3Request<T>) -> Self {
        let kept = |name: &str| {
            name == "content-type"
                || name == "x-amz-storage-class"
                || (name.starts_with("x-amz-server-side-encryption")
                    && name != "x-amz-server-side-encryption-customer-key")
        };
        let headers = request.headers.iter().filter(|(name, _)| kept(name.as_str()));
        let headers = headers
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        Self { headers: headers.collect() }
    }

    pub(super) fn get(&self, header: &str) -> Option<&str> {
        self.headers.get(header).map(String::as_str)
    }

    /// A request for an object that is encrypted with a customer's key must bring the same one.
    pub(super) fn check_customer_key(&self, key_md5: Option<&str>) -> S3Result<()> {
        match (self.get("x-amz-server-side-encryption-customer-key-md5"), key_md5) {
            (None, None) => Ok(()),
            (Some(stored), Some(given)) if stored == given => Ok(()),
            (Some(_), Some(_)) => Err(s3_error!(AccessDenied, "Another key")),
            (Some(_), None) => {
                Err(s3_error!(InvalidRequest, "The object was stored using a form of Server Side Encryption"))
            }
            (None, Some(_)) => {
                Err(s3_error!(InvalidRequest, "The encryption parameters are not applicable to this object"))
            }
        }
    }
}

/// The kinds of checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sum {
    Crc32,
    Crc32c,
    Crc64,
    Sha1,
    Sha256,
}

impl Sum {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64, Self::Sha1, Self::Sha256];

    fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64 => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn field(self, sums: &Checksum) -> Option<&String> {
        match self {
            Self::Crc32 => sums.checksum_crc32.as_ref(),
            Self::Crc32c => sums.checksum_crc32c.as_ref(),
            Self::Crc64 => sums.checksum_crc64nvme.as_ref(),
            Self::Sha1 => sums.checksum_sha1.as_ref(),
            Self::Sha256 => sums.checksum_sha256.as_ref(),
        }
    }

    fn compute(self, body: &[u8]) -> String {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Default::default()),
            Self::Crc32c => hasher.crc32c = Some(Default::default()),
            Self::Crc64 => hasher.crc64nvme = Some(Default::default()),
            Self::Sha1 => hasher.sha1 = Some(Default::default()),
            Self::Sha256 => hasher.sha256 = Some(Default::default()),
        }
        hasher.update(body);
        self.field(&hasher.finalize()).cloned().unwrap_or_default()
    }
}

/// Checksums of a body, each in base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    by_kind: BTreeMap<Sum, String>,
    /// Checksums of the checksums of the parts (`..-3`).
    pub(super) composite: bool,
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_kind.fmt(f)
    }
}

impl Sums {
    /// What a request says, in its header or, once the body has been read, behind it.
    fn claimed<T>(request: &S3Request<T>) -> Self {
        let mut by_kind = BTreeMap::new();
        let mut take = |headers: &HeaderMap| {
            for sum in Sum::ALL {
                if let Some(value) = headers.get(sum.header()).and_then(|value| value.to_str().ok()) {
                    by_kind.insert(sum, value.to_owned());
                }
            }
        };
        take(&request.headers);
        if let Some(trailers) = &request.trailing_headers {
            trailers.read(|headers| take(headers));
        }
        Self { by_kind, composite: false }
    }

    /// Whether the request brings any checksum of its body.
    pub(super) fn are_claimed<T>(request: &S3Request<T>) -> bool {
        request.headers.contains_key("content-md5") || !Self::claimed(request).by_kind.is_empty()
    }

    /// The checksums that the request claims, if they are those of the body. `Content-MD5` is checked and not kept.
    pub(super) fn verified<T>(request: &S3Request<T>, body: &[u8]) -> S3Result<Self> {
        let claimed = Self::claimed(request);
        for (sum, value) in &claimed.by_kind {
            if sum.compute(body) != *value {
                return Err(s3_error!(
                    BadDigest,
                    "The checksum you specified did not match what we received"
                ));
            }
        }
        if let Some(md5) = request.headers.get("content-md5").and_then(|value| value.to_str().ok())
            && STANDARD.encode(Md5::checksum(body)) != md5
        {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received"));
        }
        Ok(claimed)
    }

    /// A checksum that a client repeats about a part must be the one that was stored.
    pub(super) fn agrees(&self, with: &Checksum) -> bool {
        Sum::ALL.into_iter().all(|sum| match (sum.field(with), self.by_kind.get(&sum)) {
            (Some(claimed), Some(stored)) => claimed == stored,
            _ => true,
        })
    }

    /// Of a whole body from those of its parts: over all bytes, or over the parts' checksums.
    pub(super) fn of_parts(parts: &[&Self], body: &[u8], full: bool) -> Self {
        let Some(first) = parts.first() else { return Self::default() };
        let mut by_kind = BTreeMap::new();
        for sum in first.by_kind.keys() {
            if full || *sum == Sum::Crc64 {
                by_kind.insert(*sum, sum.compute(body));
                return Self { by_kind, composite: false };
            }
            let mut joined = Vec::new();
            for part in parts {
                let decoded = part.by_kind.get(sum).and_then(|value| STANDARD.decode(value).ok());
                joined.extend(decoded.unwrap_or_default());
            }
            by_kind.insert(*sum, format!("{}-{}", sum.compute(&joined), parts.len()));
        }
        Self { by_kind, composite: true }
    }

    /// As fields of an answer.
    pub(super) fn fields(&self) -> Checksum {
        let get = |sum| self.by_kind.get(&sum).cloned();
        let kind = if self.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        Checksum {
            checksum_crc32: get(Sum::Crc32),
            checksum_crc32c: get(Sum::Crc32c),
            checksum_crc64nvme: get(Sum::Crc64),
            checksum_sha1: get(Sum::Sha1),
            checksum_sha256: get(Sum::Sha256),
            checksum_type: (!self.by_kind.is_empty()).then(|| ChecksumType::from_static(kind)),
        }
    }
}
