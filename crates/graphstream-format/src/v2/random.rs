//! Single entries out of a segment, by ranged reads: the footer and the index once, then one frame at a time.
//!
//! ```text
//! open     [............ frames ............|.. index ..|footer]   the last 64 KiB: usually all of the index; else one more read
//!                                        ^^^^^^^^^^^^^^^^^^^^^^^
//! entry    [........|frame|.................]                      one read, unless it is the frame that was read last
//! ```
//!
//! Everything is checked that one frame and its neighbours in the index can show: a flipped bit anywhere in what was read is an error.
//! That the whole segment is as its header says is known only to who reads all of it.

use super::footer::Footer;
use super::frame::{Codec, Frame, Place, Stored};
use super::index::IndexRow;
use super::{
    CHUNK_TEXT_BYTES_MAX, FOOTER_LEN, FRAME_BYTES_MAX, INDEX_ROW_LEN, footer_field, frame_field, index_field,
};
use crate::bytes::array;
use crate::chain::ChainHash;
use crate::damage::Damage;
use crate::encryption::{CHUNK_PREFIX_LEN, ChunkOpener, EXTENSION_LEN, Extension, KeyRing, TAG_LEN};
use crate::error::{Error, Result};
use crate::header::{
    FLAG_COLUMNS, FLAG_COMPRESSED, FLAG_ENCRYPTED, FLAG_SEALED, HEADER_LEN, Header, VERSION_2, field,
};
use crate::open::EntryRef;
use crate::read_at::ReadAt;

/// Bytes read at the end of the file at first.
const TAIL: u64 = 64 << 10;

/// Finds entries of a sealed version 2 segment by sequence or commit time, over anything that can be read at an offset.
///
/// Memory is bounded by the index (56 bytes a frame, at most 3.5 MiB) and one frame.
///
/// ```
/// # use std::io::Cursor;
/// # use graphstream_format::{ChainHash, Compression, Lineage, SegmentStart, v2};
/// # let start = SegmentStart {
/// #     lineage: Lineage::from_bytes([7; 16]), first_seq: 1, chain_before: ChainHash::ZERO, created_ms: 0,
/// # };
/// # let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, Compression::default())?;
/// # writer.push(b"first", 1_000)?;
/// # writer.push(b"second", 2_000)?;
/// # let file = writer.finish()?.inner.into_inner();
/// let mut segment = v2::RandomReader::open(file.as_slice(), file.len() as u64)?;
/// assert_eq!(segment.entry(2)?.map(|entry| entry.payload.to_vec()), Some(b"second".to_vec()));
/// assert_eq!(segment.first_at_or_after(1_001)?.map(|entry| entry.sequence), Some(2));
/// assert!(segment.entry(3)?.is_none());
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct RandomReader<S> {
    source: S,
    footer: Footer,
    rows: Vec<IndexRow>,
    /// The chain hash after the last entry.
    chain: ChainHash,
    opener: Option<ChunkOpener>,
    codec: Codec,
    stored: Vec<u8>,
    frame: Frame,
    /// Which frame that is.
    held: Option<usize>,
}

impl<S: ReadAt> RandomReader<S> {
    /// Reads footer and index of a file of `file_len` bytes: one read, or two when the index is longer than 64 KiB.
    ///
    /// # Errors
    /// [`Error::KeyRequired`] if it is encrypted; [`Error::UnsupportedVersion`] for a segment of another version, which has no index; [`Error::NotASegment`];
    /// [`Error::Damaged`]; [`Error::Io`].
    pub fn open(source: S, file_len: u64) -> Result<Self> {
        Self::open_with(source, file_len, None)
    }

    /// As [`RandomReader::open`], with the keys of encrypted segments: one read more, of header and extension. A segment that is not
    /// encrypted is refused.
    ///
    /// # Errors
    /// As [`RandomReader::open`]; [`Error::UnknownKey`], [`Error::PlaintextRefused`].
    pub fn open_encrypted(source: S, file_len: u64, keys: &KeyRing) -> Result<Self> {
        Self::open_with(source, file_len, Some(keys))
    }

    fn open_with(source: S, file_len: u64, keys: Option<&KeyRing>) -> Result<Self> {
        let tail_start = file_len.saturating_sub(TAIL);
        let mut tail = Vec::new();
        read(&source, tail_start, file_len - tail_start, &mut tail)?;
        let Some((before, bytes)) = tail.split_last_chunk::<FOOTER_LEN>() else {
            return Err(Error::damaged(Damage::EndsEarly, 0, None));
        };
        let footer = Footer::decode(bytes, file_len).map_err(|error| other_kind(&source).unwrap_or(error))?;
        let known = FLAG_COMPRESSED | FLAG_COLUMNS | FLAG_ENCRYPTED;
        let bare = footer.flags & (FLAG_COMPRESSED | FLAG_COLUMNS) == FLAG_COLUMNS;
        if footer.flags & !known != FLAG_SEALED || bare {
            let what = Damage::FooterField { field: "flags", found: footer.flags.into() };
            let at = file_len - (FOOTER_LEN - footer_field::FLAGS) as u64;
            return Err(Error::damaged(what, at, None));
        }
        let opener = opener(&source, &footer, file_len, keys)?;
        // Within the limit of frames: the footer was compared with the file's length.
        let index_len = (file_len - footer.index_offset) as usize - FOOTER_LEN;
        let mut index = match before.len().checked_sub(index_len) {
            Some(start) => before.get(start..).unwrap_or_default().to_vec(),
            None => {
                let mut index = Vec::new();
                read(&source, footer.index_offset, tail_start - footer.index_offset, &mut index)?;
                index.extend_from_slice(before);
                index
            }
        };
        let mut index = index.as_mut_slice();
        if let Some(opener) = &opener {
            index = open_chunk(opener, footer.frame_count, true, index, footer.index_offset)?;
        }
        let (rows, chain) = index.split_at(footer.index_len() as usize);
        let (rows, _) = rows.as_chunks::<INDEX_ROW_LEN>();
        let rows: Vec<_> = rows.iter().map(IndexRow::decode).collect();
        check_rows(&rows, &footer)?;
        Ok(Self {
            source,
            footer,
            rows,
            chain: ChainHash::from_bytes(array(chain, 0)),
            opener,
            codec: Codec::default(),
            stored: Vec::new(),
            frame: Frame::default(),
            held: None,
        })
    }

    /// Sequence of the first entry.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.footer.first_seq
    }

    /// Sequence of the last entry.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.footer.last_seq
    }

    /// The chain hashes before its first entry and after its last, as the index says; [`entry`](Self::entry) of the last one verifies the second.
    #[must_use]
    pub fn chain(&self) -> (ChainHash, ChainHash) {
        (self.rows.first().map_or(self.chain, |first| first.chain_before), self.chain)
    }

    /// Number of frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.rows.len()
    }

    /// The entry of this sequence; `None` if the segment does not hold it. At most one read, of one frame.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    pub fn entry(&mut self, sequence: u64) -> Result<Option<EntryRef<'_>>> {
        if sequence < self.footer.first_seq || sequence > self.footer.last_seq {
            return Ok(None);
        }
        let Some(index) = self.rows.partition_point(|row| row.first_seq <= sequence).checked_sub(1) else {
            return Ok(None);
        };
        self.hold(index)?;
        let place = sequence - self.frame.first_seq;
        Ok(self.frame.entry(usize::try_from(place).unwrap_or(usize::MAX)))
    }

    /// The first entry whose commit time is `commit_ms` or later; `None` if all are earlier. At most one read of one frame, or two when
    /// the entry is the first of its frame.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    pub fn first_at_or_after(&mut self, commit_ms: i64) -> Result<Option<EntryRef<'_>>> {
        let later = self.rows.partition_point(|row| row.first_commit_ms < commit_ms);
        if let Some(index) = later.checked_sub(1) {
            self.hold(index)?;
            if let Some(place) = self.frame.first_at_or_after(commit_ms) {
                return Ok(self.frame.entry(place));
            }
        }
        if later == self.rows.len() {
            return Ok(None);
        }
        self.hold(later)?;
        Ok(self.frame.entry(0))
    }

    /// Reads and verifies one frame, unless it is there already.
    fn hold(&mut self, index: usize) -> Result<()> {
        if self.held == Some(index) {
            return Ok(());
        }
        self.held = None;
        let Some(&row) = self.rows.get(index) else { return Ok(()) };
        let next = self.rows.get(index + 1);
        let end = next.map_or(self.footer.index_offset, |next| next.offset);
        read(&self.source, row.offset, end - row.offset, &mut self.stored)?;
        if let Some(opener) = &self.opener {
            // At most FRAMES_MAX.
            let text_len = open_chunk(opener, index as u32, false, &mut self.stored, row.offset)?.len();
            self.stored.drain(..CHUNK_PREFIX_LEN);
            self.stored.truncate(text_len);
        }
        let place = Place { offset: row.offset, sequence: Some(row.first_seq) };
        self.frame.decode(&mut self.stored, place, Stored::by(self.footer.flags), &mut self.codec)?;
        let frame = &self.frame;
        let last_seq = next.map_or(self.footer.last_seq, |next| next.first_seq - 1);
        let chain = next.map_or(self.chain, |next| next.chain_before);
        let agrees = (frame.first_seq, frame.first_commit_ms, frame.chain_before)
            == (row.first_seq, row.first_commit_ms, row.chain_before)
            && frame.count() as u64 == last_seq - row.first_seq + 1
            && next.is_none_or(|next| frame.last_commit_ms <= next.first_commit_ms);
        let at = self.footer.index_offset + (index * INDEX_ROW_LEN) as u64;
        if !agrees {
            return Err(Error::damaged(Damage::Index, at, Some(row.first_seq)));
        }
        if frame.chain_after != chain {
            let what = Damage::Chain { expected: frame.chain_after, found: chain };
            let at = at + (INDEX_ROW_LEN + if next.is_some() { index_field::CHAIN_BEFORE } else { 0 }) as u64;
            return Err(Error::damaged(what, at, Some(last_seq)));
        }
        self.held = Some(index);
        Ok(())
    }
}

/// Refuses rows that do not ascend, or leave a frame no room or too much.
fn check_rows(rows: &[IndexRow], footer: &Footer) -> Result<()> {
    let (start, around) = if footer.flags & FLAG_ENCRYPTED == 0 {
        (HEADER_LEN, 0)
    } else {
        (HEADER_LEN + EXTENSION_LEN, (CHUNK_PREFIX_LEN + TAG_LEN) as u64)
    };
    let mut expected_first = Some((start as u64, footer.first_seq));
    for (index, row) in rows.iter().enumerate() {
        let next = rows.get(index + 1);
        let (end, next_seq) = match next {
            Some(next) => (next.offset, Some(next.first_seq)),
            None => (footer.index_offset, footer.last_seq.checked_add(1)),
        };
        let len = end.saturating_sub(row.offset);
        let ascends = expected_first.take().is_none_or(|first| first == (row.offset, row.first_seq))
            && len > frame_field::ENTRIES as u64 + around
            && len <= FRAME_BYTES_MAX as u64 + around
            && next_seq.is_none_or(|next| row.first_seq < next)
            && next.is_none_or(|next| row.first_commit_ms <= next.first_commit_ms);
        if !ascends {
            let at = footer.index_offset + (index * INDEX_ROW_LEN) as u64;
            return Err(Error::damaged(Damage::Index, at, None));
        }
    }
    Ok(())
}

/// What opens the chunks of an encrypted segment. Header and extension say by which key, and must agree with the footer.
fn opener(
    source: &impl ReadAt,
    footer: &Footer,
    file_len: u64,
    keys: Option<&KeyRing>,
) -> Result<Option<ChunkOpener>> {
    if footer.flags & FLAG_ENCRYPTED == 0 {
        return KeyRing::for_reading(keys, None).map(|_| None);
    }
    let mut front = Vec::new();
    read(source, 0, (HEADER_LEN + EXTENSION_LEN) as u64, &mut front)?;
    let header = Header::decode(&array(&front, 0))?;
    if header.file_len() != Some(file_len) {
        let what = Damage::FileLength { expected: header.file_len().unwrap_or(0), found: file_len };
        return Err(Error::damaged(what, field::BODY_LEN as u64, None));
    }
    for (name, at, found, expected) in [
        ("flags", field::FLAGS, header.flags.into(), footer.flags.into()),
        ("first_seq", field::FIRST_SEQ, header.first_seq, footer.first_seq),
        ("last_seq", field::LAST_SEQ, header.last_seq, footer.last_seq),
    ] {
        if found != expected {
            return Err(Error::damaged(Damage::HeaderField { field: name, found }, at as u64, None));
        }
    }
    let extension = Extension::decode(&array(&front, HEADER_LEN))?;
    match KeyRing::for_reading(keys, Some(&extension))? {
        Some(key) => ChunkOpener::new(key, &header, &extension).map(Some),
        None => Ok(None),
    }
}

/// The plaintext of a chunk that fills `chunk`, its length in front.
fn open_chunk<'c>(
    opener: &ChunkOpener,
    number: u32,
    last: bool,
    chunk: &'c mut [u8],
    offset: u64,
) -> Result<&'c mut [u8]> {
    let Some((prefix, rest)) = chunk.split_first_chunk_mut::<CHUNK_PREFIX_LEN>() else {
        return Err(Error::damaged(Damage::EndsEarly, offset, None));
    };
    if ChunkOpener::length(*prefix, CHUNK_TEXT_BYTES_MAX, offset)? != rest.len() {
        return Err(Error::damaged(Damage::Index, offset, None));
    }
    opener.open(number, last, rest, offset)
}

/// What the file is, if it is no version 2 segment.
fn other_kind(source: &impl ReadAt) -> Option<Error> {
    let mut bytes = Vec::new();
    read(source, 0, HEADER_LEN as u64, &mut bytes).ok()?;
    match Header::decode(bytes.first_chunk()?) {
        Ok(header) if header.version != VERSION_2 => {
            Some(Error::UnsupportedVersion { found: header.version })
        }
        Err(error @ (Error::NotASegment { .. } | Error::UnsupportedVersion { .. })) => Some(error),
        _ => None,
    }
}

/// Replaces `into` by the `len` bytes at `offset`. The caller has compared the length with limits and with that of the file.
fn read(source: &impl ReadAt, offset: u64, len: u64, into: &mut Vec<u8>) -> Result<()> {
    into.clear();
    into.resize(len as usize, 0);
    let mut filled = 0;
    while let Some(free) = into.get_mut(filled..).filter(|free| !free.is_empty()) {
        let at = offset + filled as u64;
        match source.read_at(free, at) {
            Ok(0) => return Err(Error::damaged(Damage::EndsEarly, at, None)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(error, at)),
        }
    }
    Ok(())
}
