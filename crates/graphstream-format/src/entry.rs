//! What a journal holds, and where in it something stands.

use std::fmt;
use std::str::FromStr;

use crate::chain::ChainHash;
use crate::error::{Error, Result, Unwritable};
use crate::lineage::Lineage;

/// One entry of a journal, verified. `Default` is an empty buffer for
/// [`SegmentReader::read_next`](crate::SegmentReader::read_next).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its number, from 1, without holes.
    pub sequence: u64,
    /// When the leader took it, in milliseconds since 1970 (UTC); never less than that of the entry before it.
    pub commit_ms: i64,
    /// Whether `commit_ms` is the entry's own. Version 1 keeps one time per segment, so there it is only a bound.
    pub commit_exact: bool,
    /// The bytes that were appended; this crate does not look inside.
    pub payload: Vec<u8>,
    /// The chain hash *after* this entry.
    pub chain_hash: ChainHash,
}

/// A point in a history: everything up to and including `sequence`.
///
/// As text it is a token that a leader's client hands to a follower's, to read what it wrote: lineage, sequence and chain hash, with `-`
/// between.
///
/// ```
/// use graphstream_format::{ChainHash, Lineage, Position};
/// let position = Position { lineage: Lineage::from_bytes([7; 16]), sequence: 42, chain_hash: ChainHash::ZERO };
/// let token = position.to_string();
/// assert!(token.starts_with("07070707070707070707070707070707-42-0000"));
/// assert_eq!(token.parse::<Position>()?, position);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history.
    pub lineage: Lineage,
    /// The last sequence included; 0 before the first entry.
    pub sequence: u64,
    /// The chain hash after that entry; [`ChainHash::ZERO`] before the first.
    pub chain_hash: ChainHash,
}

impl Position {
    /// The position before the first entry of a lineage.
    #[must_use]
    pub const fn start(lineage: Lineage) -> Self {
        Self { lineage, sequence: 0, chain_hash: ChainHash::ZERO }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.lineage, self.sequence, self.chain_hash)
    }
}

impl FromStr for Position {
    type Err = Error;

    /// # Errors
    /// [`Error::InvalidPosition`]; [`Error::InvalidHex`] for its lineage or chain hash.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('-');
        let (Some(lineage), Some(sequence), Some(chain_hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::InvalidPosition);
        };
        // As it is printed, and no other way: no sign, no leading zeros.
        let plain = sequence.bytes().all(|byte| byte.is_ascii_digit())
            && (sequence == "0" || !sequence.starts_with('0'));
        Ok(Self {
            lineage: lineage.parse()?,
            sequence: sequence.parse().ok().filter(|_| plain).ok_or(Error::InvalidPosition)?,
            chain_hash: chain_hash.parse()?,
        })
    }
}

/// Where a segment begins: what its header says before any entry is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// The history it belongs to; [`Lineage::LEGACY`] is refused by writers.
    pub lineage: Lineage,
    /// The sequence of its first entry, from 1.
    pub first_seq: u64,
    /// The chain hash before its first entry.
    pub chain_before: ChainHash,
    /// When it was created, in milliseconds since 1970 (UTC).
    pub created_ms: i64,
}

impl SegmentStart {
    /// Refuses what no segment of ours may begin with.
    pub(crate) fn check(&self) -> Result<()> {
        if self.lineage.is_legacy() {
            return Err(Error::Unwritable(Unwritable::LegacyLineage));
        }
        if self.first_seq == 0 {
            return Err(Error::Unwritable(Unwritable::SequenceRange));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h11_text_that_is_no_position_is_refused() {
        let (lineage, hash) = ("07".repeat(16), "a1".repeat(32));
        let of = |sequence: &str| format!("{lineage}-{sequence}-{hash}").parse::<Position>();
        let position = of("18446744073709551615").unwrap();
        assert_eq!(
            (position.sequence, position.to_string().parse::<Position>().ok()),
            (u64::MAX, Some(position))
        );
        assert_eq!(of("0").unwrap().sequence, 0);
        for sequence in ["", "+1", "-1", "01", " 1", "1x", "18446744073709551616"] {
            assert!(of(sequence).is_err(), "{sequence}");
        }
        for text in
            ["", "-", "--", "1-2-3-4", &lineage, &format!("{lineage}-1"), &format!("{lineage}-1-{hash}-")]
        {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
        assert!(format!("{lineage}-1-{lineage}").parse::<Position>().is_err());
    }
}
