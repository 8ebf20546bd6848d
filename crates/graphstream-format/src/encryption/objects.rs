//! Objects that belong together and are not segments, a snapshot's: each is one chunk of one STREAM, without a length in front.
//!
//! ```text
//! snapshot key     HKDF-SHA256(data key, salt, "graphstream snapshot")
//! nonce (12)       nonce prefix (7) | number u32, from 0 | 1 for the last one, else 0
//! associated data  what the caller says that they are of
//! object           ciphertext | tag (16)
//! ```
//! An object opens at its own number, and the last one nowhere but behind all others: whoever opens it knows how many there are.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};

use super::cipher::TAG_LEN;
use super::derive::{Purpose, derive};
use super::extension::{Extension, SEGMENT_RANDOM_LEN};
use super::key::DataKey;
use crate::damage::{ChunkDefect, Damage};
use crate::error::{Error, Result, Unwritable};

struct ObjectCipher {
    aead: ChaCha20Poly1305,
    extension: Extension,
    associated: Vec<u8>,
}

impl ObjectCipher {
    fn new(key: &DataKey, extension: Extension, associated: &[u8]) -> Self {
        let own = derive(key.secret(), &extension.salt, Purpose::Snapshot);
        let aead = ChaCha20Poly1305::new(<&Key>::from(&*own));
        Self { aead, extension, associated: associated.to_vec() }
    }

    fn nonce(&self, number: u32, last: bool) -> Nonce {
        let [a, b, c, d, e, f, g] = self.extension.nonce_prefix;
        let [h, i, j, k] = number.to_be_bytes();
        Nonce::from([a, b, c, d, e, f, g, h, i, j, k, u8::from(last)])
    }
}

impl fmt::Debug for ObjectCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectCipher").field("extension", &self.extension).finish_non_exhaustive()
    }
}

/// Encrypts the objects of one snapshot, in order. Each number is used once.
#[derive(Debug)]
pub struct ObjectSealer {
    cipher: ObjectCipher,
    next: u32,
}

impl ObjectSealer {
    /// For objects of `associated`. `random` must come from a source of cryptographic quality and serve nothing else.
    #[must_use]
    pub fn new(key: &DataKey, random: &[u8; SEGMENT_RANDOM_LEN], associated: &[u8]) -> Self {
        Self { cipher: ObjectCipher::new(key, Extension::new(key.id(), random), associated), next: 0 }
    }

    /// What opens them again, with the key that it names.
    #[must_use]
    pub const fn extension(&self) -> &Extension {
        &self.cipher.extension
    }

    /// Encrypts the next object in place and puts its tag behind it. It is not the last one.
    ///
    /// # Errors
    /// [`Unwritable::Chunks`] after 2^32 - 1 of them.
    pub fn seal_next(&mut self, object: &mut Vec<u8>) -> Result<()> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or(Error::Unwritable(Unwritable::Chunks))?;
        self.seal(number, false, object)
    }

    /// The last one.
    ///
    /// # Errors
    /// [`Unwritable::ChunkLength`] for more bytes than the cipher takes (256 GiB).
    pub fn seal_last(self, object: &mut Vec<u8>) -> Result<()> {
        self.seal(self.next, true, object)
    }

    fn seal(&self, number: u32, last: bool, object: &mut Vec<u8>) -> Result<()> {
        let bytes = object.len() as u64;
        let nonce = self.cipher.nonce(number, last);
        let text = InOutBuf::from(object.as_mut_slice());
        let tag = self.cipher.aead.encrypt_inout_detached(&nonce, &self.cipher.associated, text);
        let tag = tag.map_err(|_| Error::Unwritable(Unwritable::ChunkLength { bytes }))?;
        object.extend_from_slice(&tag);
        Ok(())
    }
}

/// Opens the objects of one snapshot, in any order.
#[derive(Debug)]
pub struct ObjectOpener {
    cipher: ObjectCipher,
}

impl ObjectOpener {
    /// For objects of `associated`; `key` must be the one that `extension` names.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if it is another one.
    pub fn new(key: &DataKey, extension: &Extension, associated: &[u8]) -> Result<Self> {
        if key.id() != extension.key_id {
            return Err(Error::WrongKey { expected: extension.key_id, found: key.id() });
        }
        Ok(Self { cipher: ObjectCipher::new(key, *extension, associated) })
    }

    /// Decrypts an object in place and takes its tag off. `last` says whether it must be the last one.
    ///
    /// # Errors
    /// [`Damage::Chunk`]; what is left in `object` then is of no use.
    pub fn open(&self, number: u32, last: bool, object: &mut Vec<u8>) -> Result<()> {
        let damaged = |defect| Error::damaged(Damage::Chunk { number: Some(number), defect }, 0, None);
        let Some((text, tag)) = object.split_last_chunk_mut::<TAG_LEN>() else {
            return Err(damaged(ChunkDefect::TooShort));
        };
        let (nonce, tag) = (self.cipher.nonce(number, last), <&Tag>::from(&*tag));
        let opened = self.cipher.aead.decrypt_inout_detached(
            &nonce,
            &self.cipher.associated,
            InOutBuf::from(text),
            tag,
        );
        opened.map_err(|_| damaged(ChunkDefect::Foreign))?;
        object.truncate(object.len() - TAG_LEN);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(byte: u8) -> DataKey {
        DataKey::taking(&mut [byte; 32])
    }

    fn sealed() -> (Extension, Vec<Vec<u8>>) {
        let mut sealer = ObjectSealer::new(&key(5), &[9; SEGMENT_RANDOM_LEN], b"of this");
        let extension = *sealer.extension();
        let mut objects = vec![b"first".to_vec(), Vec::new(), b"last".to_vec()];
        let [first, second, last] = objects.as_mut_slice() else { unreachable!() };
        sealer.seal_next(first).unwrap();
        sealer.seal_next(second).unwrap();
        sealer.seal_last(last).unwrap();
        (extension, objects)
    }

    #[test]
    fn k06_an_object_opens_at_its_place_under_its_key_and_for_what_it_is_of() {
        let (extension, objects) = sealed();
        let opener = ObjectOpener::new(&key(5), &extension, b"of this").unwrap();
        let open = |opener: &ObjectOpener, number, last, object: &[u8]| {
            let mut object = object.to_vec();
            opener.open(number, last, &mut object).map(|()| object)
        };
        let texts = [b"first".as_slice(), b"", b"last"];
        for (at, (object, text)) in objects.iter().zip(texts).enumerate() {
            for number in 0..4 {
                for last in [false, true] {
                    let opened = open(&opener, number, last, object);
                    let right = number as usize == at && last == (at == 2);
                    assert_eq!(opened.ok(), right.then(|| text.to_vec()), "{at} at {number}, {last}");
                }
            }
        }
        let (first, last) = (objects.first().unwrap(), objects.last().unwrap());
        let elsewhere = ObjectOpener::new(&key(5), &extension, b"of that").unwrap();
        assert!(open(&elsewhere, 0, false, first).is_err());
        assert!(matches!(ObjectOpener::new(&key(6), &extension, b""), Err(Error::WrongKey { .. })));
        // As a segment's key nothing opens: it is another one.
        for at in 0..last.len() {
            let mut changed = last.clone();
            *changed.get_mut(at).unwrap() ^= 1;
            assert!(open(&opener, 2, true, &changed).is_err());
        }
        assert!(open(&opener, 0, false, &[0; TAG_LEN - 1]).is_err());
    }
}
