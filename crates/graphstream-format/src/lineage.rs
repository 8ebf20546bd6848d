//! The identity of one unbroken history.

use std::fmt;
use std::str::FromStr;

use crate::bytes::write_hex;
use crate::error::{Error, Result};

/// Names one unbroken history of a database: 16 random bytes, chosen when the history begins. A database that is
/// recreated or restored begins a new lineage, so entries of two histories are never mixed up.
///
/// ```
/// use graphstream_format::Lineage;
/// let lineage: Lineage = "000102030405060708090a0b0c0d0e0f".parse()?;
/// assert_eq!(lineage.to_string(), "000102030405060708090a0b0c0d0e0f");
/// assert!(Lineage::LEGACY.is_legacy());
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lineage([u8; 16]);

impl Lineage {
    /// What files of the predecessor carry: sixteen zero bytes. No segment is written under it.
    pub const LEGACY: Self = Self([0; 16]);

    /// The lineage of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they stand in a header.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`Lineage::LEGACY`].
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        *self == Self::LEGACY
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({self})")
    }
}

impl FromStr for Lineage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::InvalidHex { what: "a lineage", bytes: 16 })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_as_it_is_read() {
        let text = "000102030405060708090a0b0c0d0e0f";
        let lineage: Lineage = text.parse().unwrap();
        assert_eq!(
            (lineage.to_string(), format!("{lineage:?}")),
            (text.to_owned(), format!("Lineage({text})"))
        );
    }
}
