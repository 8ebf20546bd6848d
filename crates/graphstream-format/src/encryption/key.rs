//! A data key and its name.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, Zeroizing};

use super::derive::{Purpose, derive};
use super::extension::SEGMENT_RANDOM_LEN;
use crate::error::{Error, Result};

/// Length of a key's id in bytes.
pub const KEY_ID_LEN: usize = 16;
/// Length of a data key in bytes.
pub const DATA_KEY_LEN: usize = 32;

/// Names a data key, in key files, segments and objects: the first 16 bytes of HKDF-SHA256 of the key. Not secret. It follows from the
/// key, so a key that stands under another key's id is found out before anything is written or read with it.
///
/// ```
/// use graphstream_format::encryption::KeyId;
/// let id: KeyId = "000102030405060708090a0b0c0d0e0f".parse()?;
/// assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0e0f");
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they stand in files.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_ID_LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; KEY_ID_LEN];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::InvalidHex { what: "a key id", bytes: KEY_ID_LEN })?;
        Ok(Self(bytes))
    }
}

/// A secret of 32 bytes: a data key, which segments are encrypted with, or a master key, which data keys are wrapped with.
///
/// It is overwritten with zeros when dropped and lies on the heap, so that moving it leaves no copy behind. There is no `Clone`, no
/// `Debug`, no comparison, and no way to look at its bytes but [`DataKey::to_line`]. What the hash functions leave on the stack while
/// a key is derived is beyond the reach of safe code.
///
/// ```compile_fail
/// # use graphstream_format::encryption::DataKey;
/// let key = DataKey::taking(&mut [7; 32]);
/// format!("{key:?}"); // no Debug
/// ```
/// ```compile_fail
/// # use graphstream_format::encryption::DataKey;
/// let key = DataKey::taking(&mut [7; 32]);
/// let second = key.clone(); // no Clone
/// ```
pub struct DataKey {
    id: KeyId,
    secret: Box<Zeroizing<[u8; DATA_KEY_LEN]>>,
}

impl DataKey {
    /// Takes a key out of `secret` and leaves zeros there. The bytes must come from a source of cryptographic quality; all zeros are
    /// as good a key as any other here.
    #[must_use]
    pub fn taking(secret: &mut [u8; DATA_KEY_LEN]) -> Self {
        let mut own = Box::new(Zeroizing::new([0; DATA_KEY_LEN]));
        own.copy_from_slice(secret);
        secret.zeroize();
        let id = KeyId(*derive(own.as_slice(), &[], Purpose::Id));
        Self { id, secret: own }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The bytes, for deriving from alone.
    pub(crate) fn secret(&self) -> &[u8; DATA_KEY_LEN] {
        &self.secret
    }
}

/// What one new segment is encrypted with. It serves one segment, once: neither `Clone` nor `Copy`.
pub struct EncryptWith<'k> {
    pub(crate) key: &'k DataKey,
    pub(crate) random: [u8; SEGMENT_RANDOM_LEN],
}

impl<'k> EncryptWith<'k> {
    /// `random` must come from a source of cryptographic quality and serve no other segment.
    #[must_use]
    pub const fn new(key: &'k DataKey, random: [u8; SEGMENT_RANDOM_LEN]) -> Self {
        Self { key, random }
    }
}

impl fmt::Debug for EncryptWith<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptWith").field(&self.key.id()).finish()
    }
}
