//! One key for one purpose: HKDF-SHA256 (RFC 5869) with an info string per purpose. The strings are part of the format.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a key derived from a data key (or master key) is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The id of the key itself; not secret.
    Id,
    /// The key of one segment; the salt is the segment's.
    Segment,
    /// The key of one snapshot's objects; the salt is the snapshot's.
    Snapshot,
    /// The MAC of chain values outside of segments.
    Chain,
    /// The MAC of whole documents.
    Document,
    /// Wrapping other keys, by a master key.
    Wrap,
}

impl Purpose {
    /// The info string of HKDF.
    pub(crate) const fn info(self) -> &'static str {
        match self {
            Self::Id => info::ID,
            Self::Segment => info::SEGMENT,
            Self::Snapshot => info::SNAPSHOT,
            Self::Chain => info::CHAIN,
            Self::Document => info::DOCUMENT,
            Self::Wrap => info::WRAP,
        }
    }
}

/// The info strings that keys are derived with.
pub mod info {
    /// The id of a key, 16 bytes; no salt.
    pub const ID: &str = "graphstream key id";
    /// The key of one segment, 32 bytes; the salt is the segment's.
    pub const SEGMENT: &str = "graphstream hadbj 2 segment";
    /// The key of one snapshot's objects, 32 bytes; the salt is the snapshot's.
    pub const SNAPSHOT: &str = "graphstream snapshot";
    /// The HMAC key of chain values outside of segments, 64 bytes; no salt.
    pub const CHAIN: &str = "graphstream chain value";
    /// The HMAC key of documents, 64 bytes; no salt.
    pub const DOCUMENT: &str = "graphstream document";
    /// The key that a master key wraps with, 32 bytes; no salt.
    pub const WRAP: &str = "graphstream key wrap";
}

/// HKDF-SHA256 with this salt (empty: none) and the info string of `purpose`.
pub(crate) fn derive<const N: usize>(secret: &[u8], salt: &[u8], purpose: Purpose) -> Zeroizing<[u8; N]> {
    expand(secret, salt, purpose.info().as_bytes())
}

#[expect(
    clippy::expect_used,
    reason = "HKDF-SHA256 gives 8160 bytes, and the compiler sees that less is asked for"
)]
fn expand<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 8160, "more than HKDF-SHA256 gives") };
    let mut out = Zeroizing::new([0; N]);
    // No salt and an empty one are the same to HKDF.
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info, out.as_mut())
        .expect("a length within HKDF's bounds");
    out
}

#[cfg(test)]
mod tests;
