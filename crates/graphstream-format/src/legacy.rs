//! The predecessor's open segment: a version 1 header whose final fields are zero, then version 1 entries up to the end of
//! the file, never compressed. It is read, never written.
//!
//! Nothing in it says what was on disk, so a damaged entry with nothing whole behind it counts as a torn tail. The
//! predecessor went on writing behind a failed write; whole entries behind damaged bytes are therefore reported as
//! corruption, and never cut.

use crate::bytes::u64_at;
use crate::chain::ChainHash;
use crate::damage::{Damage, RecordDefect};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::header::{HEADER_LEN, Header};
use crate::limits;
use crate::open::Outcome;
use crate::v1::{ENTRY_HEADER_LEN, EntryFrame, checksum, entry_field};
use crate::window::{CHUNK, Source, Window};

/// Payload bytes that may be checksummed for nothing while looking behind a damaged entry.
const WASTED_BYTES_MAX: u64 = 1 << 30;

/// Walks the entries of a predecessor's open segment.
#[derive(Debug)]
pub(crate) struct LegacyScan<S> {
    window: Window<S>,
    header: Header,
    expected_chain: Option<ChainHash>,
    offset: u64,
    sequence: u64,
    /// The chain hash after the last entry; unknown before the first, because the header does not say it.
    chain: Option<ChainHash>,
    /// The chain hash before the first entry, from that entry.
    chain_before: Option<ChainHash>,
}

/// What stands at one offset.
enum Found {
    Whole { before: ChainHash, chain: ChainHash, len: u64 },
    Broken(RecordDefect),
    Malformed(Damage),
}

impl<S: Source> LegacyScan<S> {
    pub(crate) fn new(window: Window<S>, header: Header, expected_chain: Option<ChainHash>) -> Self {
        let sequence = header.first_seq - 1;
        Self {
            window,
            header,
            expected_chain,
            offset: HEADER_LEN as u64,
            sequence,
            chain: None,
            chain_before: None,
        }
    }

    /// Last sequence and chain hash so far.
    pub(crate) const fn last(&self) -> (u64, Option<ChainHash>) {
        (self.sequence, self.chain)
    }

    /// The chain hash before the first entry; unknown until that was read.
    pub(crate) const fn chain_before(&self) -> Option<ChainHash> {
        self.chain_before
    }

    /// Reads the next entry; false where no whole one stands.
    pub(crate) fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        let Found::Whole { before, chain, len } = self.examine()? else { return Ok(false) };
        let payload_at = self.offset + ENTRY_HEADER_LEN as u64;
        entry.payload.clear();
        entry.payload.extend_from_slice(self.window.held(payload_at, (len as usize) - ENTRY_HEADER_LEN));
        self.sequence += 1;
        self.offset += len;
        self.chain_before.get_or_insert(before);
        self.chain = Some(chain);
        entry.sequence = self.sequence;
        entry.commit_ms = self.header.created_ms;
        entry.commit_exact = false;
        entry.chain_hash = chain;
        Ok(true)
    }

    /// What the bytes mean where [`LegacyScan::read_next`] stopped.
    pub(crate) fn judge(&mut self) -> Result<Outcome> {
        let (offset, sequence) = (self.offset, self.sequence.saturating_add(1));
        let defect = match self.examine()? {
            Found::Whole { .. } => return Ok(Outcome::Grown),
            Found::Malformed(what) => return Ok(Outcome::Corrupt { offset, sequence, what }),
            Found::Broken(defect) => defect,
        };
        if self.window.bytes(offset, 1).map_err(|source| Error::read(source, offset))?.is_empty() {
            return Ok(Outcome::Clean { end: offset });
        }
        Ok(match self.later_entry()? {
            Later::None => Outcome::Torn { offset, why: defect },
            Later::At(later) => {
                Outcome::Corrupt { offset, sequence, what: Damage::EntriesBehind { defect, later } }
            }
            Later::Exhausted => {
                Outcome::Corrupt { offset, sequence, what: Damage::SearchExhausted { defect } }
            }
        })
    }

    fn examine(&mut self) -> Result<Found> {
        let Some(expected) = self.sequence.checked_add(1) else {
            return Ok(Found::Broken(RecordDefect::NoRecord));
        };
        let (fields, payload) = match read_entry(&mut self.window, self.offset)? {
            Ok(whole) => whole,
            Err(defect) => return Ok(Found::Broken(defect)),
        };
        if fields.sequence != expected {
            return Ok(Found::Malformed(Damage::Sequence { expected, found: fields.sequence }));
        }
        if let Some(chain) = self.chain
            && chain != fields.prev_hash
        {
            return Ok(Found::Malformed(Damage::Chain { expected: chain, found: fields.prev_hash }));
        }
        let len = (ENTRY_HEADER_LEN + payload.len()) as u64;
        let chain = fields.prev_hash.after(payload);
        match self.expected_chain {
            Some(expected) if self.chain.is_none() && expected != fields.prev_hash => {
                Err(Error::ChainMismatch { sequence: fields.sequence, expected, found: fields.prev_hash })
            }
            _ => Ok(Found::Whole { before: fields.prev_hash, chain, len }),
        }
    }

    /// The first whole entry behind the damaged place. It may start at any byte; the sequence field, which must be one of
    /// the next few, keeps the search linear.
    fn later_entry(&mut self) -> Result<Later> {
        let mut offset = self.offset + 1;
        let mut wasted = 0_u64;
        loop {
            let chunk = self.window.chunk(offset).map_err(|source| Error::read(source, offset))?;
            let next_few =
                self.sequence + 1..=self.sequence.saturating_add(limits::LEGACY_SEARCH_ENTRIES_MAX);
            let found = chunk
                .windows(ENTRY_HEADER_LEN)
                .position(|frame| next_few.contains(&u64_at(frame, entry_field::SEQUENCE)));
            let Some(skip) = found else {
                if chunk.len() < CHUNK {
                    return Ok(Later::None);
                }
                offset += (CHUNK - ENTRY_HEADER_LEN + 1) as u64;
                continue;
            };
            offset += skip as u64;
            match read_entry(&mut self.window, offset)? {
                Ok(_) => return Ok(Later::At(offset)),
                Err(RecordDefect::BodyChecksum) => {
                    let frame = self.window.held(offset, ENTRY_HEADER_LEN);
                    wasted +=
                        frame.first_chunk().map_or(0, |frame| EntryFrame::decode(frame).payload_len.into());
                    if wasted > WASTED_BYTES_MAX {
                        return Ok(Later::Exhausted);
                    }
                }
                Err(_) => {}
            }
            offset += 1;
        }
    }
}

enum Later {
    None,
    At(u64),
    Exhausted,
}

/// The entry at `offset` if it is whole by its own checksum.
fn read_entry<S: Source>(
    window: &mut Window<S>,
    offset: u64,
) -> Result<Result<(EntryFrame, &[u8]), RecordDefect>> {
    let failed = |source| Error::read(source, offset);
    let bytes = window.bytes(offset, ENTRY_HEADER_LEN).map_err(failed)?;
    let Some(frame) = bytes.first_chunk::<ENTRY_HEADER_LEN>() else {
        return Ok(Err(RecordDefect::EndsEarly));
    };
    let fields = EntryFrame::decode(frame);
    let payload_len = fields.payload_len as usize;
    if payload_len > limits::PAYLOAD_BYTES_MAX {
        return Ok(Err(RecordDefect::Length {
            found: payload_len as u64,
            max: limits::PAYLOAD_BYTES_MAX as u64,
        }));
    }
    let bytes = window.bytes(offset, ENTRY_HEADER_LEN + payload_len).map_err(failed)?;
    let Some((frame, payload)) = bytes.split_first_chunk::<ENTRY_HEADER_LEN>() else {
        return Ok(Err(RecordDefect::EndsEarly));
    };
    if payload.len() != payload_len {
        return Ok(Err(RecordDefect::EndsEarly));
    }
    if checksum(frame, payload) != fields.crc {
        return Ok(Err(RecordDefect::BodyChecksum));
    }
    Ok(Ok((fields, payload)))
}
