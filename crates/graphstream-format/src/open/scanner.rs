//! The public scanner, over anything that can be read at an offset.

use super::scan::{EntryRef, Outcome, Scan, ScanPoint};
use super::{OpenHeader, RECORDS_START};
use crate::chain::ChainHash;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::read_at::ReadAt;
use crate::window::{Anywhere, Window};

/// Walks the whole records of an open segment, also while another process appends to it.
///
/// [`Scanner::next_entry`] returns `None` where no whole record stands *yet*; calling it again looks again.
/// [`Scanner::judge`] says what the bytes there mean. Memory is bounded by one record (32 MiB) however long the file is.
///
/// ```
/// use graphstream_format::open::{Nonce, OpenHeader, Outcome, Placement, RECORDS_START, RecordEncoder, Scanner};
/// use graphstream_format::{ChainHash, Lineage, SegmentStart};
///
/// let start = SegmentStart {
///     lineage: Lineage::from_bytes([7; 16]),
///     first_seq: 1,
///     chain_before: ChainHash::ZERO,
///     created_ms: 1_700_000_000_000,
/// };
/// let header = OpenHeader { start, nonce: Nonce::from_bytes([9; 16]) };
/// let mut file = header.encode()?.to_vec();
/// let mut encoder = RecordEncoder::new(header.nonce);
/// encoder.begin(1);
/// encoder.push(b"first", 1_700_000_000_001)?;
/// let placement = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
/// file.extend_from_slice(encoder.finish(placement)?);
/// file.extend_from_slice(b"torn");
///
/// let mut scanner = Scanner::open(file.as_slice())?;
/// assert_eq!(scanner.next_entry()?.map(|entry| entry.payload.to_vec()), Some(b"first".to_vec()));
/// assert!(scanner.next_entry()?.is_none());
/// assert!(matches!(scanner.judge()?, Outcome::Torn { offset: 240, .. }));
/// # Ok::<(), graphstream_format::Error>(())
/// ```
#[derive(Debug)]
pub struct Scanner<S> {
    scan: Scan<Anywhere<S>>,
}

impl<S: ReadAt> Scanner<S> {
    /// Reads header and extension and stands before the first record.
    ///
    /// # Errors
    /// As [`OpenHeader::decode`]: an open segment becomes visible with a whole header, so a bad one is damage.
    pub fn open(source: S) -> Result<Self> {
        let mut window = Window::new(Anywhere(source));
        let bytes = window.bytes(0, RECORDS_START as usize).map_err(|source| Error::read(source, 0))?;
        let header = OpenHeader::decode(bytes)?;
        Ok(Self { scan: Scan::new(window, header, ScanPoint::start(&header)) })
    }

    /// Goes on at a point that an earlier scanner of the same segment reached; nothing before it is read.
    pub fn resume(source: S, header: OpenHeader, point: ScanPoint) -> Self {
        Self { scan: Scan::new(Window::new(Anywhere(source)), header, point) }
    }

    /// Header and extension.
    #[must_use]
    pub const fn header(&self) -> &OpenHeader {
        self.scan.header()
    }

    /// The place behind the last record whose entries were all given out.
    #[must_use]
    pub const fn point(&self) -> ScanPoint {
        self.scan.point()
    }

    /// The next entry, or `None` where no whole record stands (yet).
    ///
    /// # Errors
    /// [`Error::Io`] only.
    pub fn next_entry(&mut self) -> Result<Option<EntryRef<'_>>> {
        self.scan.next_entry(None)
    }

    /// As [`Scanner::next_entry`], into an entry whose buffer is used again; false where no whole record stands (yet).
    ///
    /// # Errors
    /// [`Error::Io`] only.
    pub fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        self.scan.read_next(entry)
    }

    /// As [`Scanner::next_entry`], for who has computed the chain hash after the entry when it was written: it is taken as it is. The
    /// record's checksums are verified all the same.
    ///
    /// # Errors
    /// As [`Scanner::next_entry`].
    pub fn next_entry_known(&mut self, chain_hash: ChainHash) -> Result<Option<EntryRef<'_>>> {
        self.scan.next_entry(Some(chain_hash))
    }

    /// Computes one more block (64 bytes) of the next entry's chain hash, if its record stands in memory; false if there is nothing to do.
    /// The next [`Scanner::next_entry`] returns what it would have returned, and has the less to do.
    ///
    /// Each block waits for the one before it, and a processor works ahead for about as many instructions as an entry's hash has. Whoever calls this
    /// between the steps of other work, say after each parameter that is decoded, has that work done while the hash waits.
    pub fn hash_ahead(&mut self) -> bool {
        self.scan.hash_ahead()
    }

    /// What stands where [`Scanner::next_entry`] found nothing. Reads from there to the end of the file: a live reader
    /// asks only when an incomplete place stays so for long, or when nobody writes.
    ///
    /// # Errors
    /// [`Error::Io`] only; damage is an [`Outcome`].
    pub fn judge(&mut self) -> Result<Outcome> {
        self.scan.judge()
    }
}
