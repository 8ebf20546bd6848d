//! What a store answers: versions, metadata, objects, pages.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::{ByteStream, Key, Token};

/// What changes whenever an object is put: an etag. Opaque, compared for equality only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    const BYTES_MAX: usize = 512;

    /// A version as a store gave it.
    ///
    /// # Errors
    /// [`Error::InvalidVersion`] unless it is 1 to 512 printable ASCII characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() || text.len() > Self::BYTES_MAX || !printable {
            return Err(Error::InvalidVersion { length: text.len() });
        }
        Ok(Self(text))
    }

    /// The version as the store wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// Its name.
    pub key: Key,
    /// Bytes of the whole body.
    pub size: u64,
    /// Its version; different after every put.
    pub version: Version,
    /// When it was put, by the store's clock, in ms since 1970. For people, never for decisions on order.
    pub modified_ms: i64,
}

impl ObjectMeta {
    /// All fields.
    #[must_use]
    pub fn new(key: Key, size: u64, version: Version, modified_ms: i64) -> Self {
        Self { key, size, version, modified_ms }
    }
}

/// An object with its body or a range of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Object {
    /// Metadata of the whole object, of the same version as the body.
    pub meta: ObjectMeta,
    /// The bytes that `body` yields, as offsets in the whole object.
    pub range: Range<u64>,
    /// The bytes. A backend ends it with an error rather than short.
    pub body: ByteStream,
}

impl Object {
    /// All fields.
    #[must_use]
    pub fn new(meta: ObjectMeta, range: Range<u64>, body: ByteStream) -> Self {
        Self { meta, range, body }
    }

    /// The whole body in memory; at most `bytes_max` bytes are ever held.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before or while reading, [`Error::BodyLength`] when the length is not the announced one, and
    /// what the stream fails with.
    pub async fn bytes(self, bytes_max: u64) -> Result<Bytes> {
        let expected = self.range.end.saturating_sub(self.range.start);
        if expected > bytes_max {
            return Err(Error::TooLarge { key: self.meta.key, size: expected, limit: bytes_max });
        }
        self.body.collect_exact(&self.meta.key, expected).await
    }
}

/// The answer to a get.
#[derive(Debug)]
pub enum GetOutcome {
    /// The object, or a range of it.
    Found(Object),
    /// The object still has the version in [`GetOptions::if_changed_from`](crate::GetOptions::if_changed_from).
    NotModified,
}

impl GetOutcome {
    /// The object; `None` when not modified.
    #[must_use]
    pub fn found(self) -> Option<Object> {
        match self {
            Self::Found(object) => Some(object),
            Self::NotModified => None,
        }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// Objects in ascending order of their keys.
    pub objects: Vec<ObjectMeta>,
    /// With [`ListRequest::delimiter`](crate::ListRequest::delimiter): what is common to deeper keys, up to and with
    /// the slash, in ascending order, each once in the whole listing.
    pub prefixes: Vec<String>,
    /// How to ask for the next page; `None` at the end. A page may be empty and still have a next one.
    pub next: Option<Token>,
}

impl ListPage {
    /// All fields.
    #[must_use]
    pub fn new(objects: Vec<ObjectMeta>, prefixes: Vec<String>, next: Option<Token>) -> Self {
        Self { objects, prefixes, next }
    }
}
