//! Walks the records of an open segment, one entry at a time, and remembers where it stands.
//!
//! ```text
//!        next_entry          next_entry, every later call looks again
//!  [whole record] -> ... -> [nothing whole here (yet)] -> judge -> Clean | Torn | Corrupt | Grown
//! ```

use super::record::{EntrySpan, RecordHeader, check_entries};
use super::{OpenHeader, RECORD_HEADER_LEN, RECORDS_START};
use crate::chain::{ChainHash, Stepwise};
use crate::damage::{Damage, RecordDefect};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::window::{Source, Window};

/// A known good place between two records of an open segment; scanning can begin there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanPoint {
    /// File offset behind the last whole record.
    pub offset: u64,
    /// Last sequence before it (`first_seq - 1` at the start).
    pub sequence: u64,
    /// Chain hash after that entry.
    pub chain_hash: ChainHash,
    /// Commit time of that entry in milliseconds; `i64::MIN` at the start.
    pub commit_ms: i64,
    /// The durable offset that the last record carried ([`RECORDS_START`] at the start): everything below it was on disk.
    pub durable_offset: u64,
}

impl ScanPoint {
    /// The place before the first record.
    #[must_use]
    pub const fn start(header: &OpenHeader) -> Self {
        Self {
            offset: RECORDS_START,
            sequence: header.start.first_seq.saturating_sub(1),
            chain_hash: header.start.chain_before,
            commit_ms: i64::MIN,
            durable_offset: RECORDS_START,
        }
    }
}

/// One verified entry of an open segment, in the scanner's buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Its sequence.
    pub sequence: u64,
    /// Its commit time, in milliseconds since 1970 (UTC); exact.
    pub commit_ms: i64,
    /// The chain hash after it.
    pub chain_hash: ChainHash,
    /// Its payload.
    pub payload: &'a [u8],
}

impl EntryRef<'_> {
    /// Copies into an entry, whose buffer is used again.
    pub fn copy_to(&self, entry: &mut Entry) {
        entry.sequence = self.sequence;
        entry.commit_ms = self.commit_ms;
        entry.commit_exact = true;
        entry.chain_hash = self.chain_hash;
        entry.payload.clear();
        entry.payload.extend_from_slice(self.payload);
    }
}

impl std::fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryRef")
            .field("sequence", &self.sequence)
            .field("commit_ms", &self.commit_ms)
            .field("chain_hash", &self.chain_hash)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// What stands behind the last whole record of an open segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing, or zeros to the end of the file.
    Clean {
        /// File offset behind the last whole record.
        end: u64,
    },
    /// A torn tail: everything from `offset` may be cut. To a live reader it means *incomplete so far*.
    Torn {
        /// File offset of the first bytes that are not part of a whole record.
        offset: u64,
        /// What is wrong there.
        why: RecordDefect,
    },
    /// Damage that no crash explains; never repaired silently.
    Corrupt {
        /// File offset of the damaged record.
        offset: u64,
        /// The sequence that had to start there.
        sequence: u64,
        /// What was found.
        what: Damage,
    },
    /// A live source has grown: a whole record stands here now. Scan on.
    Grown,
}

impl Outcome {
    /// The error of a [`Outcome::Corrupt`].
    #[must_use]
    pub fn into_error(self) -> Option<Error> {
        match self {
            Self::Corrupt { offset, sequence, what } => Some(Error::damaged(what, offset, Some(sequence))),
            Self::Clean { .. } | Self::Torn { .. } | Self::Grown => None,
        }
    }
}

/// What stands at one offset.
pub(super) enum Found {
    Whole(RecordHeader),
    /// Not a whole record: torn, or damaged, or not yet written.
    Broken(RecordDefect),
    /// Its checksums hold, so it was written like that.
    Malformed(RecordDefect),
}

/// The record whose entries are being given out.
#[derive(Debug)]
struct Current {
    header: RecordHeader,
    /// Where its next entry starts, in bytes from the start of its entries.
    at: usize,
    left: u32,
}

/// The scanner itself, over any source.
#[derive(Debug)]
pub(crate) struct Scan<S> {
    pub(super) window: Window<S>,
    header: OpenHeader,
    /// Behind the last record that was given out whole.
    point: ScanPoint,
    /// After the last entry that was given out.
    sequence: u64,
    chain: ChainHash,
    commit_ms: i64,
    current: Option<Current>,
    hash: Stepwise,
    /// Where the next entry stands, if its chain hash is begun.
    ahead: Option<EntrySpan>,
}

impl<S: Source> Scan<S> {
    pub(crate) fn new(window: Window<S>, header: OpenHeader, point: ScanPoint) -> Self {
        Self {
            window,
            header,
            sequence: point.sequence,
            chain: point.chain_hash,
            commit_ms: point.commit_ms,
            point,
            current: None,
            ahead: None,
            hash: Stepwise::new(),
        }
    }

    pub(crate) const fn header(&self) -> &OpenHeader {
        &self.header
    }

    pub(crate) const fn point(&self) -> ScanPoint {
        self.point
    }

    /// The next entry, or `None` where no whole record stands (yet). `known` is the chain hash after it, if that need not be
    /// computed.
    pub(crate) fn next_entry(&mut self, known: Option<ChainHash>) -> Result<Option<EntryRef<'_>>> {
        let Some((payload_at, payload_len)) = self.advance(known)? else { return Ok(None) };
        Ok(Some(EntryRef {
            sequence: self.sequence,
            commit_ms: self.commit_ms,
            chain_hash: self.chain,
            payload: self.window.held(payload_at, payload_len),
        }))
    }

    /// As [`Scan::next_entry`], into an entry whose buffer is used again; false where no whole record stands (yet).
    pub(crate) fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        let Some((payload_at, payload_len)) = self.advance(None)? else { return Ok(false) };
        entry.sequence = self.sequence;
        entry.commit_ms = self.commit_ms;
        entry.commit_exact = true;
        entry.chain_hash = self.chain;
        entry.payload.clear();
        entry.payload.extend_from_slice(self.window.held(payload_at, payload_len));
        Ok(true)
    }

    /// Goes behind the next entry and says where its payload stands, and how long it is.
    #[inline]
    fn advance(&mut self, known: Option<ChainHash>) -> Result<Option<(u64, usize)>> {
        if self.current.is_none() {
            match self.examine_fresh()? {
                Found::Whole(header) => self.current = Some(Current { header, at: 0, left: header.count }),
                Found::Broken(_) | Found::Malformed(_) => return Ok(None),
            }
        }
        let Some(current) = &self.current else { return Ok(None) };
        let ahead = self.ahead.take();
        let span = match ahead {
            Some(span) => span,
            None => self.span(current)?,
        };
        // Checked with the record: neither overflows nor leaves it.
        let payload_at = self.entries_at() + span.payload_at as u64;
        let payload = self.window.held(payload_at, span.payload_len);
        self.chain = match known {
            Some(known) => known,
            None => {
                if ahead.is_none() {
                    self.hash.begin(&self.chain, payload);
                }
                self.hash.finish(payload)
            }
        };
        self.sequence += 1;
        self.commit_ms = span.commit_ms;
        if let Some(current) = &mut self.current {
            current.at = span.end();
            current.left -= 1;
            if current.left == 0 {
                let header = current.header;
                self.current = None;
                self.point = ScanPoint {
                    offset: self.point.offset + header.record_len() as u64,
                    sequence: self.sequence,
                    chain_hash: self.chain,
                    commit_ms: self.commit_ms,
                    durable_offset: header.durable_offset,
                };
            }
        }
        Ok(Some((payload_at, span.payload_len)))
    }

    /// One more block of the next entry's chain hash, if that entry's record was checked: [`Scan::next_entry`] has the less to do. Nothing else
    /// shows it. False if there was nothing to do.
    pub(crate) fn hash_ahead(&mut self) -> bool {
        let Some(current) = &self.current else { return false };
        let begun = self.ahead.is_some();
        let Some(span) = self.ahead.or_else(|| self.span(current).ok()) else { return false };
        self.ahead = Some(span);
        let payload = self.window.held(self.entries_at() + span.payload_at as u64, span.payload_len);
        if !begun {
            self.hash.begin(&self.chain, payload);
        }
        self.hash.step(payload)
    }

    /// File offset of the entries of the current record.
    const fn entries_at(&self) -> u64 {
        self.point.offset + RECORD_HEADER_LEN as u64
    }

    /// Where the next entry of the current record stands.
    fn span(&self, current: &Current) -> Result<EntrySpan> {
        let header = &current.header;
        let previous = if current.left == header.count { header.first_commit_ms } else { self.commit_ms };
        let entries = self.window.held(self.entries_at(), header.length as usize);
        EntrySpan::read(entries, current.at, previous)
            .map_err(|what| Error::damaged(Damage::Record { what }, self.point.offset, None))
    }

    /// Says what the place means where [`Scan::next_entry`] found nothing. Reads on to the end of the file.
    pub(crate) fn judge(&mut self) -> Result<Outcome> {
        if self.current.is_some() {
            return Ok(Outcome::Grown);
        }
        let point = self.point;
        let offset = point.offset;
        let sequence = point.sequence.saturating_add(1);
        let defect = match self.examine_fresh()? {
            Found::Whole(_) => return Ok(Outcome::Grown),
            Found::Malformed(what) => {
                return Ok(Outcome::Corrupt { offset, sequence, what: Damage::Record { what } });
            }
            Found::Broken(defect) => defect,
        };
        let later = super::search::later_records(&mut self.window, self.header.nonce, point)?;
        if S::LIVE && later.proves_damage() {
            // What is damaged now may have been unwritten when it was looked at: the later record was written after it.
            self.window.forget();
            match self.examine()? {
                Found::Whole(_) => return Ok(Outcome::Grown),
                Found::Broken(_) | Found::Malformed(_) => {}
            }
        }
        Ok(later.outcome(offset, sequence, defect))
    }

    /// Looks at the place behind the last record; what another process wrote since the last look is seen.
    fn examine_fresh(&mut self) -> Result<Found> {
        let found = self.examine()?;
        if !S::LIVE || matches!(found, Found::Whole(_)) {
            return Ok(found);
        }
        self.window.forget();
        let found = self.examine()?;
        if !matches!(found, Found::Whole(_)) {
            self.window.forget();
        }
        Ok(found)
    }

    fn examine(&mut self) -> Result<Found> {
        let offset = self.point.offset;
        let header = match read_header(&mut self.window, self.header.nonce, offset)? {
            Ok(header) => header,
            Err(defect) => return Ok(Found::Broken(defect)),
        };
        let placed = header.check(offset).and_then(|()| {
            if Some(header.first_seq) != self.point.sequence.checked_add(1) {
                let expected = self.point.sequence.saturating_add(1);
                return Err(RecordDefect::Sequence { expected, found: header.first_seq });
            }
            if header.first_commit_ms < self.point.commit_ms {
                return Err(RecordDefect::CommitTime);
            }
            if header.durable_offset < self.point.durable_offset {
                return Err(RecordDefect::DurableOffset { found: header.durable_offset });
            }
            Ok(())
        });
        if let Err(what) = placed {
            return Ok(Found::Malformed(what));
        }
        let body = match read_body(&mut self.window, &header, offset)? {
            Ok(body) => body,
            Err(defect) => return Ok(Found::Broken(defect)),
        };
        Ok(match check_entries(&header, body) {
            Ok(()) => Found::Whole(header),
            Err(what) => Found::Malformed(what),
        })
    }
}

/// The fixed fields at `offset`, if nonce and checksum hold.
pub(super) fn read_header<S: Source>(
    window: &mut Window<S>,
    nonce: super::Nonce,
    offset: u64,
) -> Result<Result<RecordHeader, RecordDefect>> {
    let bytes = window.bytes(offset, RECORD_HEADER_LEN).map_err(|source| Error::read(source, offset))?;
    Ok(match bytes.first_chunk::<RECORD_HEADER_LEN>() {
        Some(fields) => RecordHeader::decode(fields, nonce, offset),
        None => Err(RecordDefect::EndsEarly),
    })
}

/// Entries and padding of a record whose header was checked, if they are all there and their checksum holds.
pub(super) fn read_body<'a, S: Source>(
    window: &'a mut Window<S>,
    header: &RecordHeader,
    offset: u64,
) -> Result<Result<&'a [u8], RecordDefect>> {
    let len = header.record_len();
    let record = window.bytes(offset, len).map_err(|source| Error::read(source, offset))?;
    Ok(match record.split_at_checked(RECORD_HEADER_LEN) {
        Some((_, body)) if record.len() == len => {
            if crc32c::crc32c(body) == header.body_crc {
                Ok(body)
            } else {
                Err(RecordDefect::BodyChecksum)
            }
        }
        _ => Err(RecordDefect::EndsEarly),
    })
}
