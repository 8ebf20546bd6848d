//! The grammar of keys: strict enough that a key from a hostile listing can never name anything outside the store.
//!
//! ```text
//! key     = segment *( "/" segment )                   at most 1024 bytes of UTF-8
//! segment = 1*255 bytes, neither "." nor "..", without control characters, backslash, U+FFFE and U+FFFF
//! ```

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, KeyProblem, Result};

/// The longest key, in bytes of UTF-8 (the limit of S3).
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest segment of a key, in bytes: what file systems allow for one name.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// The name of an object: segments divided by `/`, never absolute, never `..`.
///
/// Keys order by their bytes, which is the order of listings. Callers must not use a key that is an ancestor of another
/// one (`a` and `a/b`): a backend may refuse the second of them. Callers that care for stores on case-insensitive file
/// systems keep their keys in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Checks `text` against the grammar.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] with the offset and the rule that was broken.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The key `self/rest`; `rest` may hold several segments.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] when the whole breaks the grammar, offsets counted in the whole.
    pub fn join(&self, rest: &str) -> Result<Self> {
        Self::new(format!("{}/{rest}", self.0))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix under which all descendants of this key are listed: `self/`.
    #[must_use]
    pub fn as_prefix(&self) -> String {
        format!("{}/", self.0)
    }

    /// The segments, first to last; there is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether one complete segment is acceptable: what a backend asks about the parts of a listing's prefix.
    #[must_use]
    pub fn is_segment(text: &str) -> bool {
        !text.contains('/') && check(text).is_ok()
    }
}

fn check(text: &str) -> Result<()> {
    let bad = |offset, problem| Err(Error::InvalidKey { offset, problem });
    if text.is_empty() {
        return bad(0, KeyProblem::Empty);
    }
    if text.len() > KEY_BYTES_MAX {
        return bad(KEY_BYTES_MAX, KeyProblem::TooLong);
    }
    if text.starts_with('/') {
        return bad(0, KeyProblem::Absolute);
    }
    let mut offset = 0;
    for segment in text.split('/') {
        match segment {
            "" => return bad(offset, KeyProblem::EmptySegment),
            "." | ".." => return bad(offset, KeyProblem::Dots),
            _ if segment.len() > SEGMENT_BYTES_MAX => return bad(offset, KeyProblem::SegmentTooLong),
            _ => {}
        }
        let refused = |c: char| c.is_control() || matches!(c, '\\' | '\u{fffe}' | '\u{ffff}');
        if let Some((at, _)) = segment.char_indices().find(|(_, c)| refused(*c)) {
            return bad(offset + at, KeyProblem::Character);
        }
        offset += segment.len() + 1;
    }
    Ok(())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Key {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}
