//! What a head says of the chain at one sequence: the chain hash itself, or, where the history is encrypted, a MAC that stands for it.
//!
//! ```text
//!                    local chain hash              published plain      published keyed, same key    published keyed, another key
//! compared with      (a journal, a segment)
//! published plain    equal or different            equal or different   equal or different (*)       equal or different (*)
//! published keyed    equal or different (*)        as to the left       equal or different           not known from these two alone
//!
//! (*) with the key of the MAC in the ring; without it that is an error, never "different"
//! ```

use std::fmt;
use std::sync::Arc;

use graphstream_format::encryption::{KeyId, KeyRing, KeyedMac};
use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_storage::Key;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::head::HeadProblem;
use crate::ids::{decode_hex, hex_text};

/// A published chain value.
///
/// `==` compares what is written, and says nothing about two MACs under different keys: what a value stands for is asked with
/// [`is`](Self::is) and [`agrees`](Self::agrees).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainValue {
    /// The chain hash.
    Plain(ChainHash),
    /// Of an encrypted history: HMAC-SHA256 over lineage, sequence and chain hash. Without the key, no guess of an entry can be
    /// tested against it.
    Keyed(KeyedMac),
}

impl ChainValue {
    /// What is published of a position: its chain hash, or its MAC under the current key.
    #[must_use]
    pub fn of(position: &Position, keys: Option<&KeyRing>) -> Self {
        match keys {
            None => Self::Plain(position.chain_hash),
            Some(keys) => Self::Keyed(keys.current().chain_mac(position)),
        }
    }

    /// Whether it is that of this position.
    ///
    /// # Errors
    /// [`HeadProblem::KeyRequired`], [`HeadProblem::UnknownKey`] when that takes a key that is not there.
    pub fn is(&self, position: &Position, keys: Option<&KeyRing>) -> Result<bool, HeadProblem> {
        match self {
            Self::Plain(hash) => Ok(*hash == position.chain_hash),
            Self::Keyed(mac) => {
                let id = mac.key_id;
                let keys = keys.ok_or(HeadProblem::KeyRequired { id })?;
                // Of that key's MACs only this one is asked for: a ring without it would answer "different" for "not known".
                keys.key(id).ok_or(HeadProblem::UnknownKey { id })?;
                Ok(keys.verify_chain(mac, position).is_ok())
            }
        }
    }

    /// Whether two values of one sequence stand for one chain hash; `None` for MACs under different keys, from which nobody can tell.
    ///
    /// # Errors
    /// As [`is`](Self::is).
    pub fn agrees(
        &self,
        other: &Self,
        lineage: Lineage,
        sequence: u64,
        keys: Option<&KeyRing>,
    ) -> Result<Option<bool>, HeadProblem> {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) => Ok(Some(one == other)),
            (Self::Plain(hash), keyed) | (keyed, Self::Plain(hash)) => {
                keyed.is(&Position { lineage, sequence, chain_hash: *hash }, keys).map(Some)
            }
            (Self::Keyed(one), Self::Keyed(other)) if one.key_id == other.key_id => {
                Ok(Some(one.mac == other.mac))
            }
            (Self::Keyed(_), Self::Keyed(_)) => Ok(None),
        }
    }

    /// The chain hash, if it is not keyed.
    #[must_use]
    pub fn hash(&self) -> Option<ChainHash> {
        match self {
            Self::Plain(hash) => Some(*hash),
            Self::Keyed(_) => None,
        }
    }

    /// The key it was made with, if it is keyed.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match self {
            Self::Plain(_) => None,
            Self::Keyed(mac) => Some(mac.key_id),
        }
    }
}

impl From<ChainHash> for ChainValue {
    fn from(hash: ChainHash) -> Self {
        Self::Plain(hash)
    }
}

impl fmt::Display for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(hash) => write!(f, "{hash}"),
            Self::Keyed(KeyedMac { key_id, mac }) => write!(f, "{} (by key {key_id})", hex::encode(mac)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyedJson {
    #[serde(with = "hex_text")]
    key_id: KeyId,
    #[serde(with = "hex_text")]
    mac: [u8; 32],
}

impl Serialize for ChainValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Plain(hash) => serializer.collect_str(&hash),
            Self::Keyed(KeyedMac { key_id, mac }) => KeyedJson { key_id, mac }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ChainValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Plain(String),
            Keyed(KeyedJson),
        }
        match Either::deserialize(deserializer)? {
            Either::Keyed(KeyedJson { key_id, mac }) => Ok(Self::Keyed(KeyedMac { key_id, mac })),
            Either::Plain(text) => decode_hex(&text)
                .map(|bytes| Self::Plain(ChainHash::from_bytes(bytes)))
                .ok_or_else(|| serde::de::Error::custom("expected lower-case hex of the right length")),
        }
    }
}

/// Compares local chain hashes with published values, and says with which head that failed.
#[derive(Debug, Clone)]
pub(crate) struct Proofs {
    pub(crate) keys: Option<Arc<KeyRing>>,
    head_key: Key,
}

impl Proofs {
    pub(crate) fn new(keys: Option<Arc<KeyRing>>, head_key: Key) -> Self {
        Self { keys, head_key }
    }

    pub(crate) fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_deref()
    }

    pub(crate) fn head_key(&self) -> &Key {
        &self.head_key
    }

    pub(crate) fn is(&self, value: &ChainValue, position: &Position) -> Result<bool> {
        value.is(position, self.keys()).map_err(|problem| self.failed(problem))
    }

    pub(crate) fn agrees(
        &self,
        one: &ChainValue,
        other: &ChainValue,
        lineage: Lineage,
        sequence: u64,
    ) -> Result<Option<bool>> {
        one.agrees(other, lineage, sequence, self.keys()).map_err(|problem| self.failed(problem))
    }

    /// How a local position is shown beside `published`: under the same key, so that both can be compared, and nothing is told to who
    /// has none.
    pub(crate) fn shown_like(&self, published: &ChainValue, position: &Position) -> ChainValue {
        let like = published.key_id().and_then(|id| self.keys()?.key(id));
        match like.or_else(|| self.keys().map(KeyRing::current)) {
            Some(key) => ChainValue::Keyed(key.chain_mac(position)),
            None => ChainValue::Plain(position.chain_hash),
        }
    }

    fn failed(&self, source: HeadProblem) -> Error {
        Error::HeadDamaged { key: self.head_key.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use graphstream_format::encryption::DataKey;

    use super::*;

    const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

    fn key(byte: u8) -> DataKey {
        DataKey::taking(&mut [byte; 32])
    }

    fn at(sequence: u64, byte: u8) -> Position {
        Position { lineage: LINEAGE, sequence, chain_hash: ChainHash::from_bytes([byte; 32]) }
    }

    #[test]
    fn k05_values_under_different_keys_are_neither_equal_nor_different() {
        let (old, new) = (KeyRing::new(key(1)), KeyRing::new(key(2)).with_older(key(1)));
        let (first, second) = (ChainValue::of(&at(5, 3), Some(&old)), ChainValue::of(&at(5, 3), Some(&new)));
        assert_eq!(first.agrees(&second, LINEAGE, 5, Some(&new)).unwrap(), None);
        assert_eq!(first.agrees(&first, LINEAGE, 5, Some(&new)).unwrap(), Some(true));
        let other = ChainValue::of(&at(5, 4), Some(&old));
        assert_eq!(first.agrees(&other, LINEAGE, 5, Some(&new)).unwrap(), Some(false));
        // The ring holds both keys: a local chain hash is compared with either.
        for value in [first, second] {
            assert!(value.is(&at(5, 3), Some(&new)).unwrap());
            assert!(!value.is(&at(5, 4), Some(&new)).unwrap());
            assert!(!value.is(&at(6, 3), Some(&new)).unwrap());
            assert_eq!(
                value.agrees(&at(5, 3).chain_hash.into(), LINEAGE, 5, Some(&new)).unwrap(),
                Some(true)
            );
            assert!(matches!(value.is(&at(5, 3), None), Err(HeadProblem::KeyRequired { .. })));
        }
        let unknown = second.is(&at(5, 3), Some(&old));
        assert!(matches!(unknown, Err(HeadProblem::UnknownKey { id }) if id == key(2).id()));
    }

    #[test]
    fn k05_a_value_is_read_as_it_is_written_and_shows_no_chain_hash() {
        let ring = KeyRing::new(key(1));
        for value in [ChainValue::Plain(at(1, 9).chain_hash), ChainValue::of(&at(1, 9), Some(&ring))] {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<ChainValue>(&text).unwrap(), value);
            assert_eq!(text.contains(&"09".repeat(32)), value.hash().is_some());
        }
        assert!(serde_json::from_str::<ChainValue>(&format!("\"{}\"", "0A".repeat(32))).is_err());
        assert!(serde_json::from_str::<ChainValue>(r#"{"key_id":"00","mac":"00"}"#).is_err());
    }
}
