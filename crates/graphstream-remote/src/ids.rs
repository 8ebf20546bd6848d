//! Random identities: who a database is, who owns an epoch, which attempt wrote a head.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Decodes lower-case hex of exactly `N` bytes. Upper case is refused: one value has one text.
pub(crate) fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identity of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                decode_hex(text).map(Self).ok_or(Error::InvalidIdentity { what: $what })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identity!(
    /// Names one database wherever it is stored: 16 random bytes, chosen with its first journal. Shown as 32 hex digits.
    DatabaseId,
    "a database id"
);
identity!(
    /// Names one start of one leader process: 16 random bytes, never used again. Whoever's nonce the head carries owns
    /// the head's epoch.
    OwnerNonce,
    "an owner nonce"
);
identity!(
    /// Names one attempt to write a head: 16 random bytes, fresh each time, so that no two heads have equal bytes and
    /// thereby equal etags.
    WriteId,
    "a write id"
);

/// Hex in JSON for the value types of the format crate and for SHA-256 sums.
pub(crate) mod hex_text {
    use super::{Deserialize, Deserializer, Serializer, decode_hex};
    use graphstream_format::Lineage;
    use graphstream_format::encryption::KeyId;

    pub(crate) trait HexText: Sized {
        fn to_text(&self) -> String;
        fn from_text(text: &str) -> Option<Self>;
    }

    impl HexText for graphstream_format::ChainHash {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Option<Self> {
            decode_hex(text).map(Self::from_bytes)
        }
    }

    impl HexText for KeyId {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Option<Self> {
            decode_hex(text).map(Self::from_bytes)
        }
    }

    impl HexText for Lineage {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Option<Self> {
            decode_hex(text).map(Self::from_bytes)
        }
    }

    impl<const N: usize> HexText for [u8; N] {
        fn to_text(&self) -> String {
            hex::encode(self)
        }

        fn from_text(text: &str) -> Option<Self> {
            decode_hex(text)
        }
    }

    pub(crate) fn serialize<T: HexText, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_text())
    }

    pub(crate) fn deserialize<'de, T: HexText, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_text(&text)
            .ok_or_else(|| serde::de::Error::custom("expected lower-case hex of the right length"))
    }
}
