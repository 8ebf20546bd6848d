//! Looks behind a damaged record for whole ones: if one of them says that the damaged place was on disk, it is corruption
//! and not a torn tail.

use super::scan::{Outcome, read_body, read_header};
use super::{ALIGNMENT, Nonce, ScanPoint};
use crate::bytes::array;
use crate::damage::{Damage, RecordDefect};
use crate::error::{Error, Result};
use crate::sabotage;
use crate::window::{CHUNK, Source, Window};

/// Body bytes that may be checksummed for nothing before the search gives up: a file where that much looks like records
/// and is none was made, not torn. (Every candidate costs up to 32 MiB of checksumming; without a bound a hostile
/// file of a few MiB would take hours.)
const WASTED_BYTES_MAX: u64 = 1 << 30;

/// What the search found.
pub(super) struct Later {
    zeros: bool,
    durable_offset: Option<u64>,
    exhausted: bool,
}

impl Later {
    pub(super) const fn proves_damage(&self) -> bool {
        self.durable_offset.is_some() || self.exhausted
    }

    pub(super) fn outcome(self, offset: u64, sequence: u64, defect: RecordDefect) -> Outcome {
        if sabotage::is("cut_at_the_first_bad_byte") {
            return Outcome::Torn { offset, why: defect };
        }
        match self.durable_offset {
            Some(durable_offset) => {
                Outcome::Corrupt { offset, sequence, what: Damage::BelowDurable { defect, durable_offset } }
            }
            None if self.exhausted => {
                Outcome::Corrupt { offset, sequence, what: Damage::SearchExhausted { defect } }
            }
            None if self.zeros => Outcome::Clean { end: offset },
            None => Outcome::Torn { offset, why: defect },
        }
    }
}

/// One pass from the damaged place to the end of the file, over every multiple of 8.
pub(super) fn later_records<S: Source>(
    window: &mut Window<S>,
    nonce: Nonce,
    from: ScanPoint,
) -> Result<Later> {
    let mut later = Later { zeros: true, durable_offset: None, exhausted: false };
    let mut offset = from.offset;
    let mut wasted = 0_u64;
    loop {
        let chunk = window.chunk(offset).map_err(|source| Error::read(source, offset))?;
        if chunk.is_empty() {
            return Ok(later);
        }
        let empty = zeros(chunk);
        later.zeros = later.zeros && empty;
        let Some(skip) = candidate(chunk, empty, nonce) else {
            if chunk.len() < CHUNK {
                return Ok(later);
            }
            // The last bytes may be the start of a nonce that the next chunk ends.
            offset += (CHUNK - ALIGNMENT) as u64;
            continue;
        };
        offset += skip as u64;
        let nonce = if sabotage::is("search_ignores_the_nonce") {
            Nonce::from_bytes(array(
                window.bytes(offset, 16).map_err(|source| Error::read(source, offset))?,
                0,
            ))
        } else {
            nonce
        };
        let mut next = offset + ALIGNMENT as u64;
        if offset > from.offset
            && let Ok(header) = read_header(window, nonce, offset)?
            && header.check(offset).is_ok()
            && header.first_seq > from.sequence
        {
            if read_body(window, &header, offset)?.is_ok() {
                if header.durable_offset > from.offset {
                    later.durable_offset = Some(header.durable_offset);
                    return Ok(later);
                }
                next = offset + header.record_len() as u64;
            } else {
                wasted += header.record_len() as u64;
                if wasted > WASTED_BYTES_MAX {
                    later.exhausted = true;
                    return Ok(later);
                }
            }
        }
        offset = next;
    }
}

/// Without a branch a byte: reserved space behind the last record may be longer than all records.
fn zeros(chunk: &[u8]) -> bool {
    chunk.iter().fold(0, |any, byte| any | byte) == 0
}

/// The first multiple of 8 in a chunk (which starts at one) where the nonce stands. `empty` says that it holds zeros alone.
fn candidate(chunk: &[u8], empty: bool, nonce: Nonce) -> Option<usize> {
    if sabotage::is("search_ignores_the_nonce") {
        return (chunk.len() >= nonce.as_bytes().len()).then_some(0);
    }
    let nonce = nonce.as_bytes();
    let first: [u8; ALIGNMENT] = array(nonce, 0);
    if empty && first != [0; ALIGNMENT] {
        return None;
    }
    let mut at = 0;
    loop {
        // Word by word until the first half matches, which nearly never happens by chance.
        at += ALIGNMENT * chunk.get(at..)?.chunks_exact(ALIGNMENT).position(|word| word == first)?;
        if chunk.get(at..at + nonce.len())? == nonce {
            return Some(at);
        }
        at += ALIGNMENT;
    }
}
