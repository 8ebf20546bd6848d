//! The chain hash that a keyed head hides: out of the last committed segment, by ranged reads.
//!
//! ```text
//! encrypted   [header, extension]....................[last chunk: index, chain hash][footer]     header and the last 64 KiB, usually
//! plain       ..............................................[chain hash][footer: version 2]      the last bytes
//! ```
//! What is found is taken only if the head's MAC says that it is the one.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use graphstream_format::header::{HEADER_LEN, VERSION_2};
use graphstream_format::v2::{FOOTER_LEN, RandomReader};
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
            let Some(chain_hash) = self.end_of(segment).await? else {
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

    /// The chain hash after the last entry of a segment; `None` when the object is not there.
    async fn end_of(&self, segment: &PlannedSegment) -> Result<Option<ChainHash>> {
        let key = self.layout().key(&ObjectName::Segment(segment.name))?;
        let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
        let mut pieces = Pieces { size: segment.size, read: Vec::new(), wanted: Cell::new(None) };
        for _ in 0..READS_MAX {
            let found = self.end_in(&pieces);
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

    fn end_in(&self, pieces: &Pieces) -> graphstream_format::Result<ChainHash> {
        let mut start = [0; HEADER_LEN];
        let read = |error| graphstream_format::Error::Io { operation: "reading", offset: 0, source: error };
        pieces.read_exact(&mut start, 0).map_err(read)?;
        let header = Header::decode(&start)?;
        if let Some(keys) = self.keys().filter(|_| header.is_encrypted()) {
            return Ok(RandomReader::open_encrypted(pieces, pieces.size, keys)?.chain().1);
        }
        let behind = if header.version == VERSION_2 { FOOTER_LEN as u64 } else { 0 };
        let mut hash = [0; CHAIN_HASH_LEN as usize];
        let at = pieces.size.saturating_sub(behind + CHAIN_HASH_LEN);
        pieces.read_exact(&mut hash, at).map_err(read)?;
        Ok(ChainHash::from_bytes(hash))
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
