//! Version 2, sealed: compact, with an index.
//!
//! ```text
//! header (128) | body | footer (64)
//! body    frame | frame | ... | index | chain hash of the last entry (32)
//! frame   crc32c u32 over what follows | stored_len u32 | raw_len u32 | count u32 | first_seq u64 | first_commit_ms i64 |
//!         chain hash before its first entry (32) | entries, zstd if the segment is compressed; sorted before that if it has columns
//! entry   varint payload_len | varint commit_ms delta to the entry before it (0 for the first) | payload
//! index   a row per frame: file offset u64 | first_seq u64 | first_commit_ms i64 | chain hash before it (32)
//! footer  index_offset u64 | index_len u32 | frame_count u32 | first_seq u64 | last_seq u64 | version u8 | flags u8 |
//!         zeros | crc32c u32 over 0..60
//! ```
//!
//! Neither sequences nor chain hashes are stored per entry: both follow from the frame's first ones. A frame verifies from its own chain
//! hash to the one of the next frame (or to the last), so frames are encoded, decoded and verified side by side ([`Workers`]), and one
//! entry takes the footer, the index and one frame ([`RandomReader`]).
//!
//! With compression 2, what is alike in a frame's entries stands together before zstd ([`columns`]); rows stay what frames are cut by.
//!
//! ```text
//!  entries -> RawFrame --encode (anywhere)--> bytes -> file      Writer: cut, encode, write in order
//!  file -> bytes --decode + verify (anywhere)--> Frame -> entries    reader: read, decode, link in order
//! ```

mod body;
mod chaining;
pub mod columns;
mod decoding;
mod footer;
mod frame;
mod index;
mod random;
mod range;
mod raw_frame;
mod reader;
mod workers;
mod writer;

pub(crate) use footer::Footer;
pub(crate) use frame::{FrameHeader, Place, Stored};
pub(crate) use index::IndexRow;
pub use random::RandomReader;
pub use range::SegmentRange;
pub(crate) use reader::SealedReader;
pub use workers::Workers;
pub use writer::Writer;

use crate::limits;

/// Length in bytes of what stands before a frame's entries.
pub const FRAME_HEADER_LEN: usize = 64;
/// Length in bytes of an index row.
pub const INDEX_ROW_LEN: usize = 56;
/// Length in bytes of the chain hash behind the index.
pub const FINAL_HASH_LEN: usize = 32;
/// Length in bytes of the footer.
pub const FOOTER_LEN: usize = 64;

/// Most bytes of a frame as stored, its header included: of one entry of the largest size that zstd could not make smaller. The first entry
/// of a frame has a commit time delta of one byte, which leaves room for the first byte of a columnar form.
pub(crate) const FRAME_BYTES_MAX: usize = {
    let raw = limits::PAYLOAD_BYTES_MAX + limits::ENTRY_OVERHEAD_BYTES_MAX;
    FRAME_HEADER_LEN + raw + (raw >> 8)
};
// An entry of the largest size fits, and no reader takes more for a frame than a hundredth beyond it.
const _: () = assert!(FRAME_BYTES_MAX > limits::PAYLOAD_BYTES_MAX + FRAME_HEADER_LEN);
const _: () = assert!(FRAME_BYTES_MAX < limits::PAYLOAD_BYTES_MAX / 100 * 101);
/// Most bytes of what an encrypted chunk holds: such a frame is longer than the longest index.
pub(crate) const CHUNK_TEXT_BYTES_MAX: usize = FRAME_BYTES_MAX;
const _: () = assert!(CHUNK_TEXT_BYTES_MAX > limits::FRAMES_MAX as usize * INDEX_ROW_LEN + FINAL_HASH_LEN);

/// Fewest bytes of an entry inside a frame: its two varints.
pub(crate) const ENTRY_LEN_MIN: u64 = 2;
/// Fewest bytes of a body beside its entries: one frame and one row.
pub(crate) const BODY_OVERHEAD_MIN: u64 = (FRAME_HEADER_LEN + INDEX_ROW_LEN + FINAL_HASH_LEN) as u64;

/// Offsets of a frame's fields, in bytes from its start.
pub mod frame_field {
    /// CRC-32C of all that follows, entries included, u32.
    pub const CRC32C: usize = 0;
    /// Length of the entries as stored, u32.
    pub const STORED_LEN: usize = 4;
    /// Length of the entries before compression, u32.
    pub const RAW_LEN: usize = 8;
    /// Number of entries, u32.
    pub const COUNT: usize = 12;
    /// Sequence of the first entry, u64.
    pub const FIRST_SEQ: usize = 16;
    /// Commit time of the first entry, i64 milliseconds.
    pub const FIRST_COMMIT_MS: usize = 24;
    /// Chain hash before the first entry, 32 bytes.
    pub const CHAIN_BEFORE: usize = 32;
    /// The entries.
    pub const ENTRIES: usize = 64;
}

/// Offsets of an index row's fields, in bytes from its start.
pub mod index_field {
    /// Offset of the frame in the file, u64.
    pub const OFFSET: usize = 0;
    /// Sequence of the frame's first entry, u64.
    pub const FIRST_SEQ: usize = 8;
    /// Commit time of the frame's first entry, i64 milliseconds.
    pub const FIRST_COMMIT_MS: usize = 16;
    /// Chain hash before the frame's first entry, 32 bytes.
    pub const CHAIN_BEFORE: usize = 24;
}

/// Offsets of the footer's fields, in bytes from its start.
pub mod footer_field {
    /// Offset of the index in the file, u64.
    pub const INDEX_OFFSET: usize = 0;
    /// Length of the index, u32.
    pub const INDEX_LEN: usize = 8;
    /// Number of frames, u32.
    pub const FRAME_COUNT: usize = 12;
    /// Sequence of the first entry, u64.
    pub const FIRST_SEQ: usize = 16;
    /// Sequence of the last entry, u64.
    pub const LAST_SEQ: usize = 24;
    /// The version, u8.
    pub const VERSION: usize = 32;
    /// The header's flags, u8.
    pub const FLAGS: usize = 33;
    /// Zeros.
    pub const ZEROS: usize = 34;
    /// CRC-32C of all bytes before it, u32.
    pub const CRC32C: usize = 60;
}
