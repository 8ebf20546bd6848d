//! What stands between the header of an encrypted segment and its first chunk.

use super::key::{KEY_ID_LEN, KeyId};
use crate::bytes::{array, put};
use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::header::HEADER_LEN;

/// Length of the extension in bytes.
pub const EXTENSION_LEN: usize = 56;
/// How many random bytes each encrypted segment takes: its salt and its nonce prefix.
pub const SEGMENT_RANDOM_LEN: usize = SALT_LEN + NONCE_PREFIX_LEN;

const SALT_LEN: usize = 32;
const NONCE_PREFIX_LEN: usize = 7;

/// Offsets of the extension's fields, in bytes from its start.
pub mod extension_field {
    /// The id of the data key, 16 bytes.
    pub const KEY_ID: usize = 0;
    /// The salt of the segment key, 32 bytes.
    pub const SALT: usize = 16;
    /// The first 7 bytes of every nonce.
    pub const NONCE_PREFIX: usize = 48;
    /// Zero, u8.
    pub const ZERO: usize = 55;
}

/// The extension of an encrypted segment. Salt and prefix are drawn anew for each segment, so neither a segment key nor a nonce comes
/// twice, whatever becomes of the machine that draws (a clone, a rollback): that takes equal random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The data key that the segment key is derived from.
    pub key_id: KeyId,
    /// The salt of the segment key.
    pub salt: [u8; SALT_LEN],
    /// The first bytes of every nonce.
    pub nonce_prefix: [u8; NONCE_PREFIX_LEN],
}

impl Extension {
    /// The extension of a new segment. `random` must come from a source of cryptographic quality and serve no other segment.
    #[must_use]
    pub fn new(key_id: KeyId, random: &[u8; SEGMENT_RANDOM_LEN]) -> Self {
        Self { key_id, salt: array(random, 0), nonce_prefix: array(random, SALT_LEN) }
    }

    /// The 56 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EXTENSION_LEN] {
        let mut out = [0; EXTENSION_LEN];
        put(&mut out, extension_field::KEY_ID, self.key_id.as_bytes());
        put(&mut out, extension_field::SALT, &self.salt);
        put(&mut out, extension_field::NONCE_PREFIX, &self.nonce_prefix);
        out
    }

    /// Reads it. Whether it is what the segment was written with, its chunks tell.
    ///
    /// # Errors
    /// [`Damage::HeaderField`] if the last byte is not zero.
    pub fn decode(bytes: &[u8; EXTENSION_LEN]) -> Result<Self> {
        let [zero] = array(bytes, extension_field::ZERO);
        if zero != 0 {
            let what = Damage::HeaderField { field: "extension's last byte", found: zero.into() };
            return Err(Error::damaged(what, (HEADER_LEN + extension_field::ZERO) as u64, None));
        }
        Ok(Self {
            key_id: KeyId::from_bytes(array::<KEY_ID_LEN>(bytes, extension_field::KEY_ID)),
            salt: array(bytes, extension_field::SALT),
            nonce_prefix: array(bytes, extension_field::NONCE_PREFIX),
        })
    }
}
