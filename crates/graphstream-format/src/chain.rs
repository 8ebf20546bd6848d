//! The hash chain over payloads.

use std::fmt;
use std::str::FromStr;

use sha2::block_api::compress256;

use crate::bytes::{put, write_hex};
use crate::error::{Error, Result};

/// The chain hash after an entry: SHA-256 of the chain hash before it followed by its payload. It stands for the
/// whole history up to that entry; two journals with equal chain hashes hold equal payloads in equal order.
///
/// ```
/// use graphstream_format::ChainHash;
/// let first = ChainHash::ZERO.after(b"CREATE (:Person)");
/// let second = first.after(b"CREATE (:City)");
/// assert_ne!(first, second);
/// assert_eq!(second.to_string().parse::<ChainHash>()?, second);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// The chain hash before the first entry of a journal.
    pub const ZERO: Self = Self([0; 32]);

    /// The chain hash of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they stand in files.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The chain hash after an entry with this payload.
    #[must_use]
    pub fn after(&self, payload: &[u8]) -> Self {
        let mut hash = Stepwise::new();
        hash.begin(self, payload);
        hash.finish(payload)
    }

    /// The chain hashes after two entries, each from the chain hash before it and its payload: faster than one after the other.
    pub(crate) fn after_two(entries: [(Self, &[u8]); 2]) -> [Self; 2] {
        let [(before, payload), (other_before, other_payload)] = entries;
        sha256_of_two([(&before.0, payload), (&other_before.0, other_payload)]).map(Self)
    }

    /// The first 8 bytes as a big-endian number: `prev_segment_checksum` of a header.
    #[must_use]
    pub const fn prefix_u64(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The state of SHA-256 before the first block (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Bytes of a block.
const BLOCK: usize = 64;

/// The message of a chain hash and a payload, in blocks. A hasher that takes bytes in portions keeps a buffer and counts; here both parts
/// are known at once, so only the first block and what follows the last whole one are copied:
///
/// ```text
/// | before, payload 0..32 |  payload, where it lies  | rest, 0x80, zeros, length in bits u64 |
///         1 block                 whole blocks                    1 block, or 2
/// ```
struct Message {
    first: [u8; BLOCK],
    last: [[u8; BLOCK]; 2],
    /// How many of `last` there are.
    ending: usize,
}

impl Message {
    const EMPTY: Self = Self { first: [0; BLOCK], last: [[0; BLOCK]; 2], ending: 0 };

    /// Makes it the message of these.
    #[inline]
    fn put(&mut self, before: &[u8; 32], payload: &[u8]) {
        self.last = Self::EMPTY.last;
        let ending = self.last.as_flattened_mut();
        let (front, room) = self.first.split_at_mut(before.len());
        front.copy_from_slice(before);
        let used = if let Some((head, rest)) = payload.split_at_checked(room.len()) {
            room.copy_from_slice(head);
            let (_, rest) = rest.as_chunks::<BLOCK>();
            put(ending, 0, rest);
            rest.len()
        } else {
            put(ending, 0, before);
            put(ending, before.len(), payload);
            before.len() + payload.len()
        };
        put(ending, used, &[0x80]);
        // Nine bytes end a message: if the block has no room for them, one more follows.
        self.ending = if used + 9 <= BLOCK { 1 } else { 2 };
        let bits = (before.len() as u64 + payload.len() as u64) * 8;
        put(ending, self.ending * BLOCK - 8, &bits.to_be_bytes());
    }

    /// Its blocks; `payload` is the one it was made of.
    #[inline]
    fn blocks<'a>(&'a self, payload: &'a [u8]) -> [&'a [[u8; BLOCK]]; 3] {
        let last = self.last.get(..self.ending).unwrap_or(&self.last);
        match payload.get(BLOCK - 32..) {
            Some(rest) => [std::slice::from_ref(&self.first), rest.as_chunks().0, last],
            None => [&[], &[], last],
        }
    }
}

/// A chain hash that may be computed one block after the other, with other work in between: each block waits for the one before it, and the
/// processor does that work meanwhile.
pub(crate) struct Stepwise {
    message: Message,
    state: [u32; 8],
    blocks_done: usize,
}

impl Stepwise {
    pub(crate) const fn new() -> Self {
        Self { message: Message::EMPTY, state: INITIAL, blocks_done: 0 }
    }

    /// Begins the chain hash after `before` and this payload, which the other calls get again.
    #[inline]
    pub(crate) fn begin(&mut self, before: &ChainHash, payload: &[u8]) {
        self.message.put(&before.0, payload);
        self.state = INITIAL;
        self.blocks_done = 0;
    }

    /// One more block; false if none is left.
    #[inline]
    pub(crate) fn step(&mut self, payload: &[u8]) -> bool {
        let mut at = self.blocks_done;
        for blocks in self.message.blocks(payload) {
            if let Some(block) = blocks.get(at) {
                compress256(&mut self.state, std::slice::from_ref(block));
                self.blocks_done += 1;
                return true;
            }
            at -= blocks.len();
        }
        false
    }

    /// The blocks that are left, and the hash.
    #[inline]
    pub(crate) fn finish(&mut self, payload: &[u8]) -> ChainHash {
        let mut done = self.blocks_done;
        for blocks in self.message.blocks(payload) {
            // Taking a hash up and putting it down for no block takes time too.
            if let Some(left @ [_, ..]) = blocks.get(done..) {
                compress256(&mut self.state, left);
            }
            done = done.saturating_sub(blocks.len());
        }
        ChainHash(bytes(self.state))
    }
}

/// What is hashed is nobody's business.
impl fmt::Debug for Stepwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepwise").field("blocks_done", &self.blocks_done).finish_non_exhaustive()
    }
}

/// Two at once. Each block waits for the one before it, which leaves the processor half idle: here it has two to choose from.
fn sha256_of_two([one, other]: [(&[u8; 32], &[u8]); 2]) -> [[u8; 32]; 2] {
    let (mut message, mut other_message) = (Message::EMPTY, Message::EMPTY);
    message.put(one.0, one.1);
    other_message.put(other.0, other.1);
    let (mut state, mut other_state) = (INITIAL, INITIAL);
    let mut of_one = message.blocks(one.1).into_iter().flatten();
    let mut of_other = other_message.blocks(other.1).into_iter().flatten();
    loop {
        match (of_one.next(), of_other.next()) {
            (None, None) => return [bytes(state), bytes(other_state)],
            (block, other_block) => {
                compress256(&mut state, block.map_or(&[], std::slice::from_ref));
                compress256(&mut other_state, other_block.map_or(&[], std::slice::from_ref));
            }
        }
    }
}

#[inline]
fn bytes(state: [u32; 8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::InvalidHex { what: "a chain hash", bytes: 32 })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    /// Published vectors of messages of at least 32 bytes: the first 32 stand for the hash before.
    #[test]
    fn the_chain_hash_is_sha256() {
        let million = "a".repeat(1_000_000);
        for (message, expected) in [
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (
                "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
            ),
            (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ] {
            let (before, payload) = message.as_bytes().split_first_chunk().unwrap();
            assert_eq!(ChainHash(*before).after(payload).to_string(), expected);
        }
    }

    #[test]
    fn it_is_shown_in_full() {
        let hash = ChainHash::from_bytes([0xab; 32]);
        assert_eq!(hash.to_string(), "ab".repeat(32));
        assert_eq!(format!("{hash:?}"), format!("ChainHash({hash})"));
    }

    #[test]
    fn the_chain_hash_is_that_of_a_hasher_for_every_length() {
        proptest!(ProptestConfig::with_cases(8), |(before: [u8; 32], payload in prop::collection::vec(any::<u8>(), 1000))| {
            for len in 0..=payload.len() {
                let payload = &payload[..len];
                let hasher = Sha256::new().chain_update(before).chain_update(payload);
                prop_assert_eq!(ChainHash(before).after(payload).0, <[u8; 32]>::from(hasher.finalize()), "{} bytes", len);
            }
        });
    }

    #[test]
    fn a_chain_hash_in_steps_is_that_without_wherever_it_is_finished() {
        let payload: Vec<u8> = (0..300_u32).map(|byte| byte as u8).collect();
        let mut stepwise = Stepwise::new();
        for len in 0..=payload.len() {
            let (before, payload) = (ChainHash([len as u8; 32]), &payload[..len]);
            for steps in 0..8 {
                stepwise.begin(&before, payload);
                let taken = (0..steps).take_while(|_| stepwise.step(payload)).count();
                assert_eq!(taken, steps.min((32 + len + 9).div_ceil(64)), "{len} bytes, {steps} steps");
                assert_eq!(stepwise.finish(payload), before.after(payload), "{len} bytes, {steps} steps");
            }
        }
    }

    #[test]
    fn two_chain_hashes_at_once_are_those_of_one_after_the_other() {
        let payload: Vec<u8> = (0..300_u32).map(|byte| byte as u8).collect();
        let (one, other) = (ChainHash([1; 32]), ChainHash([2; 32]));
        for len in 0..=payload.len() {
            for other_len in (0..=payload.len()).step_by(7) {
                let (short, long) = (&payload[..len], &payload[..other_len]);
                let found = ChainHash::after_two([(one, short), (other, long)]);
                assert_eq!(found, [one.after(short), other.after(long)], "{len} and {other_len} bytes");
            }
        }
    }
}
