//! From one layout, compression or key to another: the entries and their chain stay what they are.

use std::io::{Read, Seek, Write};

use crate::chain::ChainHash;
use crate::encryption::EncryptWith;
use crate::entry::{Entry, SegmentStart};
use crate::error::{Error, Result, Unwritable};
use crate::lineage::Lineage;
use crate::open::EntryRef;
use crate::reader::SegmentReader;
use crate::v2::SegmentRange;
use crate::writer::{Finished, SegmentWriter, WriteOptions};

/// Writes what `reader` (of any kind of segment, nothing read of it yet) holds as a new sealed segment into `inner`, which must be empty.
/// Everything is verified on the way; memory is bounded as that of reader and writer. No chain hash changes.
///
/// Sequences, payloads, creation time and lineage stay; a file of the predecessor carries none, so for it `lineage` must be given (and is
/// used for no other). Commit times stay as far as the source has them: version 1 has one per segment, so all entries of a segment
/// converted from it have that one. A torn tail of an open segment is left out.
///
/// ```
/// use std::io::Cursor;
/// use graphstream_format::{
///     ChainHash, Compression, Lineage, ReadOptions, SegmentReader, SegmentStart, SegmentVersion, WriteOptions, convert, v1,
/// };
///
/// let start = SegmentStart {
///     lineage: Lineage::from_bytes([7; 16]),
///     first_seq: 1,
///     chain_before: ChainHash::ZERO,
///     created_ms: 1_700_000_000_000,
/// };
/// let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start, Compression::default())?;
/// writer.push(b"first", 1_700_000_000_001)?;
/// let old = writer.finish()?;
///
/// let file = old.inner.into_inner();
/// let mut reader = SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default())?;
/// let options = WriteOptions::default().with_version(SegmentVersion::V2);
/// let new = convert(&mut reader, Cursor::new(Vec::new()), &options, None)?;
/// assert_eq!(new.chain_hash, old.chain_hash);
/// # Ok::<(), graphstream_format::Error>(())
/// ```
///
/// # Errors
/// As [`SegmentReader::read_next`] and [`SegmentWriter::push`]; [`Unwritable::Empty`] for a source without entries;
/// [`Unwritable::LegacyLineage`].
pub fn convert<R: Read, W: Write + Seek>(
    reader: &mut SegmentReader<R>,
    inner: W,
    options: &WriteOptions,
    lineage: Option<Lineage>,
) -> Result<Finished<W>> {
    let lead = Lead::read(reader, lineage)?;
    let writer = SegmentWriter::new(inner, lead.start, options)?;
    lead.copy(reader, writer)
}

/// As [`convert`], into an encrypted segment: of a plain one, or of one that another key opens. `range` is what the source holds
/// ([`SegmentRange::of`]), since an encrypted segment's header comes first. Neither a chain hash nor anything else of the entries changes.
///
/// ```
/// use std::io::Cursor;
/// use std::sync::Arc;
/// use graphstream_format::encryption::{DataKey, EncryptWith, KeyRing};
/// use graphstream_format::v2::SegmentRange;
/// use graphstream_format::{
///     ChainHash, Compression, Lineage, ReadOptions, SegmentReader, SegmentStart, SegmentWriter, WriteOptions, convert_encrypted,
/// };
///
/// # let start = SegmentStart {
/// #     lineage: Lineage::from_bytes([7; 16]), first_seq: 1, chain_before: ChainHash::ZERO, created_ms: 1_700_000_000_000,
/// # };
/// let options = WriteOptions::default();
/// let mut writer = SegmentWriter::new(Cursor::new(Vec::new()), start, &options)?;
/// writer.push(b"first", 1_700_000_000_001)?;
/// let plain = writer.finish()?;
///
/// let file = plain.inner.into_inner();
/// let open = || SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default());
/// let range = SegmentRange::of(&mut open()?)?;
/// // Keys and random bytes come from the operating system, not from a constant.
/// let key = DataKey::taking(&mut [7; 32]);
/// let with = EncryptWith::new(&key, [9; 39]);
/// let encrypted = convert_encrypted(&mut open()?, Cursor::new(Vec::new()), &options, None, range, with)?;
/// assert_eq!(encrypted.chain_hash, plain.chain_hash);
///
/// let file = encrypted.inner.into_inner();
/// let options = ReadOptions::default().with_keys(Arc::new(KeyRing::new(key)));
/// let mut entries = SegmentReader::new(file.as_slice(), file.len() as u64, options)?;
/// assert_eq!(entries.next().transpose()?.map(|entry| entry.payload), Some(b"first".to_vec()));
/// # Ok::<(), graphstream_format::Error>(())
/// ```
///
/// # Errors
/// As [`convert`]; [`Unwritable::Range`] if the source holds something else; [`Unwritable::EncryptedVersion`] in version 1.
pub fn convert_encrypted<R: Read, W: Write + Seek>(
    reader: &mut SegmentReader<R>,
    inner: W,
    options: &WriteOptions,
    lineage: Option<Lineage>,
    range: SegmentRange,
    with: EncryptWith<'_>,
) -> Result<Finished<W>> {
    let lead = Lead::read(reader, lineage)?;
    let writer = SegmentWriter::encrypted(inner, lead.start, options, range, with)?;
    lead.copy(reader, writer)
}

/// A source's first entry, which says what a new segment starts with.
struct Lead {
    start: SegmentStart,
    entry: Entry,
}

impl Lead {
    fn read<R: Read>(reader: &mut SegmentReader<R>, lineage: Option<Lineage>) -> Result<Self> {
        let mut entry = Entry::default();
        if !reader.read_next(&mut entry)? {
            return Err(Error::Unwritable(Unwritable::Empty));
        }
        let header = reader.header();
        let start = SegmentStart {
            lineage: if header.is_legacy() { lineage.unwrap_or(Lineage::LEGACY) } else { header.lineage },
            first_seq: entry.sequence,
            chain_before: reader.chain_before().unwrap_or(ChainHash::ZERO),
            created_ms: header.created_ms,
        };
        Ok(Self { start, entry })
    }

    fn copy<R: Read, W: Write + Seek>(
        self,
        reader: &mut SegmentReader<R>,
        mut writer: SegmentWriter<W>,
    ) -> Result<Finished<W>> {
        let mut entry = self.entry;
        loop {
            writer.push_verified(EntryRef {
                sequence: entry.sequence,
                commit_ms: entry.commit_ms,
                chain_hash: entry.chain_hash,
                payload: &entry.payload,
            })?;
            if !reader.read_next(&mut entry)? {
                return writer.finish();
            }
        }
    }
}
