//! Data keys wrapped by a master key: what `keys.json` carries. Another master wraps the same data keys again, and no segment changes.
//!
//! ```text
//! wrapped (72)     nonce (24) | XChaCha20-Poly1305 of the data key (32) | tag (16)
//! key              HKDF-SHA256(master key, "graphstream key wrap")
//! associated data  id of the master key (16) | id of the data key (16)
//! ```
//!
//! The nonce is long enough to be drawn at random for ever.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::derive::{Purpose, derive};
use super::key::{DATA_KEY_LEN, DataKey, KEY_ID_LEN, KeyId};
use crate::bytes::{array, put};
use crate::error::{Error, Result};

/// How many random bytes wrapping a key takes.
pub const WRAP_NONCE_LEN: usize = 24;
/// Length of a wrapped key in bytes, nonce and tag included.
pub const WRAPPED_KEY_LEN: usize = WRAP_NONCE_LEN + DATA_KEY_LEN + TAG_LEN;

const TAG_LEN: usize = 16;

/// A data key that takes its master key to be used. Not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key it was wrapped with.
    pub master_id: KeyId,
    /// The key inside.
    pub key_id: KeyId,
    /// Nonce, ciphertext and tag.
    pub bytes: [u8; WRAPPED_KEY_LEN],
}

impl WrappedKey {
    /// Wraps `key`. `nonce` must come from a source of cryptographic quality and serve no other key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the cipher takes 256 GiB, and it is given 32 bytes")]
    pub fn wrap(master: &DataKey, key: &DataKey, nonce: &[u8; WRAP_NONCE_LEN]) -> Self {
        let mut text = Zeroizing::new(*key.secret());
        let associated = associated(master.id(), key.id());
        let tag: [u8; TAG_LEN] = cipher(master)
            .encrypt_inout_detached(&XNonce::from(*nonce), &associated, InOutBuf::from(text.as_mut_slice()))
            .expect("a length within the cipher's bounds")
            .into();
        let mut bytes = [0; WRAPPED_KEY_LEN];
        put(&mut bytes, 0, nonce);
        put(&mut bytes, WRAP_NONCE_LEN, text.as_slice());
        put(&mut bytes, WRAP_NONCE_LEN + DATA_KEY_LEN, &tag);
        Self { master_id: master.id(), key_id: key.id(), bytes }
    }

    /// The key inside.
    ///
    /// # Errors
    /// [`Error::WrongKey`] with another master than it was wrapped with, or if the key inside is not the one it is called;
    /// [`Error::WrappedKeyDamaged`] if it was changed.
    pub fn unwrap_with(&self, master: &DataKey) -> Result<DataKey> {
        if master.id() != self.master_id {
            return Err(Error::WrongKey { expected: self.master_id, found: master.id() });
        }
        let nonce: [u8; WRAP_NONCE_LEN] = array(&self.bytes, 0);
        let mut text = Zeroizing::new(array::<DATA_KEY_LEN>(&self.bytes, WRAP_NONCE_LEN));
        let tag: [u8; TAG_LEN] = array(&self.bytes, WRAP_NONCE_LEN + DATA_KEY_LEN);
        cipher(master)
            .decrypt_inout_detached(
                &XNonce::from(nonce),
                &associated(self.master_id, self.key_id),
                InOutBuf::from(text.as_mut_slice()),
                &Tag::from(tag),
            )
            .map_err(|_| Error::WrappedKeyDamaged { id: self.key_id, master_id: self.master_id })?;
        let key = DataKey::taking(&mut text);
        if key.id() == self.key_id {
            Ok(key)
        } else {
            Err(Error::WrongKey { expected: self.key_id, found: key.id() })
        }
    }
}

fn cipher(master: &DataKey) -> XChaCha20Poly1305 {
    let key = derive(master.secret(), &[], Purpose::Wrap);
    XChaCha20Poly1305::new(<&Key>::from(&*key))
}

fn associated(master: KeyId, key: KeyId) -> [u8; 2 * KEY_ID_LEN] {
    let mut out = [0; 2 * KEY_ID_LEN];
    put(&mut out, 0, master.as_bytes());
    put(&mut out, KEY_ID_LEN, key.as_bytes());
    out
}
