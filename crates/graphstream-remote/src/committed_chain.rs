//! The chain hashes at both ends of a segment, by ranged reads; so also the one that a keyed head hides.
//!
//! ```text
//! version 2   [header, extension]....................[index, chain hash][footer]     header and the last 64 KiB, usually
//! version 1   [header].............................................[chain hash]     header and the last 32 bytes
//! ```
//! What is found is taken only if the head's MAC says that it is the one.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use graphstream_format::header::{HEADER_LEN, VERSION_2};
use graphstream_format::v2::RandomReader;
use graphstream_format::{ChainHash, Header, Position, ReadAt};
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, Key};

use crate::error::{Attempt, Error, Result, SegmentDamage};
use crate::{ChainValue, HeadReader, ObjectName, PlannedSegment, Remote, StoredHead};

/// At most so much of a segment is read: an index and its last chunk are below it ([`RandomReader`]).
const READS_MAX: usize = 8;
const CHAIN_HASH_LEN: u64 = 32;

impl Remote {
    /// The position that a head has committed, with its chain hash: the head's own, or, where that is keyed, the last committed segment's,
    /// compared with the head's MAC.
    ///
    /// # Errors
    /// [`Error::SegmentDamaged`] for a segment that does not lead to what the head says; [`Error::HeadDamaged`] without the key;
    /// [`Error::Gap`] without the segment; [`Error::Storage`].
    pub async fn committed_position(&self, stored: &StoredHead) -> Result<Position> {
        let head = &stored.head;
        let (lineage, committed) = (head.lineage(), head.committed());
        let sequence = committed.sequence;
        let position = |chain_hash| Position { lineage, sequence, chain_hash };
        match committed.chain {
            ChainValue::Plain(chain_hash) => return Ok(position(chain_hash)),
            ChainValue::Keyed(_) if sequence == 0 => return Ok(position(ChainHash::ZERO)),
            ChainValue::Keyed(_) => {}
        }
        let mut missing = Vec::new();
        for _ in 0..Self::ATTEMPTS {
            let mut reader = HeadReader::at(self.clone(), stored.clone())?;
            let plan = reader.resolve(sequence.saturating_sub(1), &missing).await?;
            let last = plan.segments.iter().find(|segment| segment.name.last() == sequence);
            let Some(segment) = last else { break };
            let Some(SegmentEnds { after: chain_hash, .. }) = self.ends_of(segment).await? else {
                missing.push(segment.name);
                continue;
            };
            if self.is_chain(&committed.chain, &position(chain_hash))? {
                return Ok(position(chain_hash));
            }
            let key = self.layout().key(&ObjectName::Segment(segment.name))?;
            let found = self.shown_chain(&position(chain_hash), &committed.chain);
            let source = Box::new(SegmentDamage::Chain { expected: committed.chain, found });
            return Err(Error::SegmentDamaged { key, source });
        }
        let (key, attempts) = (self.head_key()?, Self::ATTEMPTS);
        Err(Error::Contended { attempt: Attempt::ReadSegment, key, attempts })
    }

    /// The chain hashes at the ends of a segment, as it says; `None` when the object is not there.
    pub(crate) async fn ends_of(&self, segment: &PlannedSegment) -> Result<Option<SegmentEnds>> {
        let key = self.layout().key(&ObjectName::Segment(segment.name))?;
        let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
        let mut pieces = Pieces { size: segment.size, read: Vec::new(), wanted: Cell::new(None) };
        for _ in 0..READS_MAX {
            let found = self.ends_in(&pieces);
            match pieces.wanted.take() {
                Some(range) => match self.piece(&key, range.clone(), segment.size).await? {
                    Some(bytes) => pieces.read.push((range.start, bytes)),
                    None => return Ok(None),
                },
                None => return found.map(Some).map_err(|source| damaged(SegmentDamage::Contents(source))),
            }
        }
        Err(Error::Contended { attempt: Attempt::ReadSegment, key, attempts: READS_MAX as u32 })
    }

    fn ends_in(&self, pieces: &Pieces) -> graphstream_format::Result<SegmentEnds> {
        let mut start = [0; HEADER_LEN];
        let read = |error| graphstream_format::Error::Io { operation: "reading", offset: 0, source: error };
        pieces.read_exact(&mut start, 0).map_err(read)?;
        let header = Header::decode(&start)?;
        if header.version == VERSION_2 {
            let reader = match self.keys().filter(|_| header.is_encrypted()) {
                Some(keys) => RandomReader::open_encrypted(pieces, pieces.size, keys)?,
                None => RandomReader::open(pieces, pieces.size)?,
            };
            let (before, after) = reader.chain();
            return Ok(SegmentEnds { before: ChainBefore::Hash(before), after });
        }
        let mut hash = [0; CHAIN_HASH_LEN as usize];
        pieces.read_exact(&mut hash, pieces.size.saturating_sub(CHAIN_HASH_LEN)).map_err(read)?;
        let before = ChainBefore::Prefix(header.prev_segment_checksum);
        Ok(SegmentEnds { before, after: ChainHash::from_bytes(hash) })
    }

    async fn piece(&self, key: &Key, range: Range<u64>, size: u64) -> Result<Option<Bytes>> {
        let failed = |source| Error::storage(Attempt::ReadSegment, key)(source);
        let options = GetOptions::default().with_range(range.clone());
        let object = match self.backend().get(key, options).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let found = object.meta.size;
        let expected = range.end - range.start;
        let bytes = object.bytes(expected).await.map_err(failed)?;
        if found != size || bytes.len() as u64 != expected {
            let source = Box::new(SegmentDamage::Size { expected: size, found });
            return Err(Error::SegmentDamaged { key: key.clone(), source });
        }
        Ok(Some(bytes))
    }
}

/// What a segment says of the chain at its ends. Its entries were not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentEnds {
    /// Before its first entry.
    pub(crate) before: ChainBefore,
    /// After its last entry.
    pub(crate) after: ChainHash,
}

/// The chain hash before a segment: version 1 has eight bytes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChainBefore {
    Hash(ChainHash),
    Prefix(u64),
}

impl SegmentEnds {
    /// Whether the segment continues this chain hash, as far as it says.
    pub(crate) fn follows(&self, chain_hash: ChainHash) -> bool {
        match self.before {
            ChainBefore::Hash(before) => before == chain_hash,
            ChainBefore::Prefix(before) => before == chain_hash.prefix_u64(),
        }
    }
}

/// Parts of an object. Asked for one that is not there it fails, and says what is to be fetched before asking again.
struct Pieces {
    size: u64,
    read: Vec<(u64, Bytes)>,
    wanted: Cell<Option<Range<u64>>>,
}

impl Pieces {
    fn read_exact(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.read_at(buffer, offset)? {
            read if read == buffer.len() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl ReadAt for Pieces {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset.saturating_add(buffer.len() as u64).min(self.size);
        if offset >= end {
            return Ok(0);
        }
        for (start, bytes) in &self.read {
            let Some(skip) = offset.checked_sub(*start).and_then(|skip| usize::try_from(skip).ok()) else {
                continue;
            };
            let Ok(wanted) = usize::try_from(end - offset) else { continue };
            if let Some(found) = bytes.get(skip..).and_then(|rest| rest.get(..wanted))
                && let Some(to) = buffer.get_mut(..wanted)
            {
                to.copy_from_slice(found);
                return Ok(wanted);
            }
        }
        self.wanted.set(Some(offset..end));
        Err(io::ErrorKind::WouldBlock.into())
    }
}
