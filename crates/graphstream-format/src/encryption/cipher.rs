//! The chunks of one segment: ChaCha20-Poly1305 in the STREAM construction with a big-endian 32-bit counter.
//!
//! ```text
//! segment key      HKDF-SHA256(data key, salt of the extension, "graphstream hadbj 2 segment")
//! nonce (12)       nonce prefix (7) | chunk number u32, from 0 | 1 for the last chunk, else 0
//! associated data  header (128) with body_len, body_checksum and header_crc32c zeroed | extension (56)
//! chunk            length u32: ciphertext and tag | ciphertext | tag (16)
//! ```
//!
//! A chunk opens at its own number, with its own last flag, under its own header and extension, and nowhere else. So a chunk that does not
//! open is tried at other numbers and with the other flag, before it is called by a name ([`ChunkDefect`]).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};

use super::derive::{Purpose, derive};
use super::extension::{EXTENSION_LEN, Extension, SEGMENT_RANDOM_LEN};
use super::key::{DataKey, KeyId};
use crate::bytes::put;
use crate::damage::{ChunkDefect, Damage};
use crate::error::{Error, Result, Unwritable};
use crate::header::{HEADER_LEN, Header, field};

/// Length in bytes of the length in front of a chunk.
pub const CHUNK_PREFIX_LEN: usize = 4;
/// Length in bytes of the tag behind a chunk.
pub const TAG_LEN: usize = 16;

/// How many bytes are authenticated over again, at other places, to name what is wrong with a chunk: a bound on the time that a hostile
/// segment takes (some 50 ms).
const SEARCH_BYTES_MAX: usize = 64 << 20;
/// How many places are tried at most, which reaches 256 chunks back and forth.
const SEARCH_PLACES_MAX: usize = 1024;

const ASSOCIATED_LEN: usize = HEADER_LEN + EXTENSION_LEN;

/// The key of one segment, with all that its chunks are bound to.
struct SegmentCipher {
    aead: ChaCha20Poly1305,
    extension: Extension,
    associated: [u8; ASSOCIATED_LEN],
}

impl SegmentCipher {
    fn new(key: &DataKey, header: &Header, extension: Extension) -> Self {
        let segment_key = derive(key.secret(), &extension.salt, Purpose::Segment);
        let mut associated = [0; ASSOCIATED_LEN];
        put(&mut associated, 0, &header.encode());
        put(&mut associated, HEADER_LEN, &extension.encode());
        put(&mut associated, field::BODY_LEN, &[0; 8]);
        put(&mut associated, field::BODY_CHECKSUM, &[0; 32]);
        put(&mut associated, field::HEADER_CRC32C, &[0; 4]);
        Self { aead: ChaCha20Poly1305::new(<&Key>::from(&*segment_key)), extension, associated }
    }

    /// The nonce of STREAM BE32.
    fn nonce(&self, number: u32, last: bool) -> [u8; 12] {
        let [a, b, c, d, e, f, g] = self.extension.nonce_prefix;
        let [h, i, j, k] = number.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, u8::from(last)]
    }

    fn seal(&self, number: u32, last: bool, text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let nonce = Nonce::from(self.nonce(number, last));
        self.aead.encrypt_inout_detached(&nonce, &self.associated, InOutBuf::from(text)).ok().map(Into::into)
    }

    /// Whether the chunk opens there; `text` is decrypted only if it does.
    fn open(&self, number: u32, last: bool, text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        let nonce = Nonce::from(self.nonce(number, last));
        let tag = <&Tag>::from(tag);
        self.aead.decrypt_inout_detached(&nonce, &self.associated, InOutBuf::from(text), tag).is_ok()
    }

    /// Where else the chunk opens, nearest first. `text` is left as it was, or as zeros.
    fn find(&self, number: u32, last: bool, text: &mut [u8], tag: &[u8; TAG_LEN]) -> Option<(u32, bool)> {
        let attempts = (SEARCH_BYTES_MAX / (text.len() + ASSOCIATED_LEN)).min(SEARCH_PLACES_MAX) as u32;
        let near = (1..=attempts / 4).flat_map(|by| [number.checked_sub(by), number.checked_add(by)]);
        let places = std::iter::once((number, !last))
            .chain(near.flatten().flat_map(|number| [(number, false), (number, true)]));
        for (number, last) in places {
            if self.open(number, last, text, tag) {
                text.fill(0);
                return Some((number, last));
            }
        }
        None
    }
}

impl fmt::Debug for SegmentCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentCipher").field("extension", &self.extension).finish_non_exhaustive()
    }
}

/// Encrypts the chunks of one new segment. Numbers are handed out in order, once each; sealing can be done elsewhere, and in any order.
#[derive(Debug)]
pub struct ChunkSealer {
    cipher: Arc<SegmentCipher>,
    next: u32,
}

impl ChunkSealer {
    /// For a segment with this header, of which `body_len`, `body_checksum` and the CRC may change later, and nothing else: the range of
    /// sequences and times must be known now. `random` must come from a source of cryptographic quality and serve no other segment.
    #[must_use]
    pub fn new(key: &DataKey, header: &Header, random: &[u8; SEGMENT_RANDOM_LEN]) -> Self {
        let extension = Extension::new(key.id(), random);
        Self { cipher: Arc::new(SegmentCipher::new(key, header, extension)), next: 0 }
    }

    /// What to write behind the header.
    #[must_use]
    pub fn extension(&self) -> &Extension {
        &self.cipher.extension
    }

    /// The next chunk, which is not the last one.
    ///
    /// # Errors
    /// [`Unwritable::Chunks`] after 2^32 - 1 of them.
    pub fn next_chunk(&mut self) -> Result<ChunkSlot> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or(Error::Unwritable(Unwritable::Chunks))?;
        Ok(ChunkSlot { cipher: Arc::clone(&self.cipher), number, last: false })
    }

    /// The last chunk.
    pub fn last_chunk(self) -> ChunkSlot {
        ChunkSlot { cipher: self.cipher, number: self.next, last: true }
    }
}

/// The right to seal one chunk, once.
#[derive(Debug)]
#[must_use = "a number that no chunk is sealed with leaves a hole in the segment"]
pub struct ChunkSlot {
    cipher: Arc<SegmentCipher>,
    number: u32,
    last: bool,
}

impl ChunkSlot {
    /// Turns `chunk`, which holds [`CHUNK_PREFIX_LEN`] bytes of room and then the plaintext, into the chunk as it is stored. In place, if
    /// its capacity leaves [`TAG_LEN`] bytes for the tag.
    ///
    /// # Errors
    /// [`Unwritable::ChunkLength`] if it has no room, or more bytes than its length field can say; it is of no use then.
    pub fn seal(self, chunk: &mut Vec<u8>) -> Result<()> {
        let refused = Error::Unwritable(Unwritable::ChunkLength { bytes: chunk.len() as u64 });
        let Some((prefix, text)) = chunk.split_first_chunk_mut::<CHUNK_PREFIX_LEN>() else {
            return Err(refused);
        };
        let Some(length) = text.len().checked_add(TAG_LEN).and_then(|length| u32::try_from(length).ok())
        else {
            return Err(refused);
        };
        *prefix = length.to_be_bytes();
        let Some(tag) = self.cipher.seal(self.number, self.last, text) else { return Err(refused) };
        chunk.extend_from_slice(&tag);
        Ok(())
    }
}

/// Opens the chunks of one segment, in any order.
#[derive(Debug)]
pub struct ChunkOpener {
    cipher: SegmentCipher,
    /// Whether a chunk has opened: key, header and extension are right then.
    proven: AtomicBool,
}

impl ChunkOpener {
    /// For the segment with this header and extension. `key` must be the one the extension names
    /// ([`KeyRing::for_reading`](super::KeyRing::for_reading)).
    ///
    /// # Errors
    /// [`Error::WrongKey`] if it is another one.
    pub fn new(key: &DataKey, header: &Header, extension: &Extension) -> Result<Self> {
        if key.id() != extension.key_id {
            return Err(Error::WrongKey { expected: extension.key_id, found: key.id() });
        }
        Ok(Self { cipher: SegmentCipher::new(key, header, *extension), proven: AtomicBool::new(false) })
    }

    /// The key that opens it.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.cipher.extension.key_id
    }

    /// How many bytes follow the prefix of a chunk whose plaintext has at most `text_bytes_max` bytes. Nothing is to be allocated before this
    /// was asked. `offset` is where the chunk starts in the file.
    ///
    /// # Errors
    /// [`Damage::Length`] beyond it, or if not even a tag fits.
    pub fn length(prefix: [u8; CHUNK_PREFIX_LEN], text_bytes_max: usize, offset: u64) -> Result<usize> {
        let (found, max) =
            (u64::from(u32::from_be_bytes(prefix)), text_bytes_max.saturating_add(TAG_LEN) as u64);
        match usize::try_from(found) {
            Ok(length) if found <= max && length >= TAG_LEN => Ok(length),
            Ok(length) if length < TAG_LEN => Err(Error::damaged(
                Damage::Chunk { number: None, defect: ChunkDefect::TooShort },
                offset,
                None,
            )),
            _ => Err(Error::damaged(Damage::Length { found, max }, offset, None)),
        }
    }

    /// Decrypts chunk `number` in place and returns its plaintext. `chunk` is what follows the length, with the tag; `last` says
    /// whether it must be the segment's last; `offset` is where it starts in the file, for the message.
    ///
    /// # Errors
    /// [`Damage::Chunk`], which says how it is wrong; the buffer then holds nothing of use.
    pub fn open<'c>(
        &self,
        number: u32,
        last: bool,
        chunk: &'c mut [u8],
        offset: u64,
    ) -> Result<&'c mut [u8]> {
        let damaged = |defect| Error::damaged(Damage::Chunk { number: Some(number), defect }, offset, None);
        let Some((text, tag)) = chunk.split_last_chunk_mut::<TAG_LEN>() else {
            return Err(damaged(ChunkDefect::TooShort));
        };
        if self.cipher.open(number, last, text, tag) {
            self.proven.store(true, Ordering::Relaxed);
            return Ok(text);
        }
        let found = self.cipher.find(number, last, text, tag);
        if found.is_some() {
            self.proven.store(true, Ordering::Relaxed);
        }
        Err(damaged(match found {
            Some((found, _)) if found != number => ChunkDefect::Reordered { found },
            Some((_, true)) => ChunkDefect::Extended,
            Some((_, false)) => ChunkDefect::Truncated,
            None if self.proven.load(Ordering::Relaxed) => ChunkDefect::Foreign,
            None => ChunkDefect::Header,
        }))
    }
}

#[cfg(test)]
mod tests;
