//! What a caller asks: options of get, put and list.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;

use crate::Version;

/// Options of [`get`](crate::StorageBackend::get); the default is the whole object, unconditionally.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// Only these bytes. The end is clamped to the object's size; a range without any byte of the object is an error.
    pub range: Option<Range<u64>>,
    /// Answer [`NotModified`](crate::GetOutcome::NotModified) when the object still has this version.
    pub if_changed_from: Option<Version>,
}

impl GetOptions {
    /// Asks for a range of bytes.
    #[must_use]
    pub fn with_range(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }

    /// Asks for the object only if its version is another one.
    #[must_use]
    pub fn with_if_changed_from(mut self, version: Version) -> Self {
        self.if_changed_from = Some(version);
        self
    }
}

/// The bytes of a put. Both forms can be read again, so that a decorator may repeat a put.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutBody {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A local file, streamed. It must not change while the put runs; a changed length is an error.
    File(PathBuf),
}

impl PutBody {
    /// Its length, by a look at the file if it is one (one call of the system); 0 when that fails, as the put will.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        }
    }
}

impl From<Bytes> for PutBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for PutBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&'static [u8]> for PutBody {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Bytes(Bytes::from_static(bytes))
    }
}

impl From<&'static str> for PutBody {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

impl From<PathBuf> for PutBody {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// Under which condition a put takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutMode {
    /// Whatever is there.
    Overwrite,
    /// Only if there is no object (`If-None-Match: *`).
    Create,
    /// Only if the object has this version (`If-Match`).
    Match(Version),
}

/// Where a listing goes on; opaque, valid for the same request on the same backend only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as the backend made it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token as the backend made it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What to list. [`Lister`](crate::Lister) walks and checks all pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// Only keys that start with these bytes; not bound to segments: `a/b` covers `a/bc`. Empty for all. A prefix that no
    /// key can start with (`/`, `../`) lists nothing.
    pub prefix: String,
    /// Only keys greater than this text, byte by byte; it need not be a key.
    pub start_after: Option<String>,
    /// At most so many objects and prefixes in the page, at least 1; the backend may return fewer. `None` leaves it to the
    /// backend.
    pub limit: Option<usize>,
    /// Fold keys that have a `/` after the prefix into [`ListPage::prefixes`](crate::ListPage::prefixes). A prefix
    /// appears iff it covers a key that is asked for (so also with keys beyond `start_after` only).
    pub delimiter: bool,
    /// The [`next`](crate::ListPage::next) of the page before.
    pub continuation: Option<Token>,
}

impl ListRequest {
    /// All keys that start with `prefix`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// Only keys greater than `text`.
    #[must_use]
    pub fn with_start_after(mut self, text: impl Into<String>) -> Self {
        self.start_after = Some(text.into());
        self
    }

    /// At most `limit` objects and prefixes per page.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Folds deeper keys into prefixes.
    #[must_use]
    pub fn with_delimiter(mut self) -> Self {
        self.delimiter = true;
        self
    }

    /// Goes on after an earlier page.
    #[must_use]
    pub fn with_continuation(mut self, token: Token) -> Self {
        self.continuation = Some(token);
        self
    }
}
