//! The open segment (version 3): what a journal appends to. It never leaves the machine that wrote it.
//!
//! ```text
//! header (128) | extension (48): nonce (16), chain hash before first_seq (32) | records ... | zeros (reserved space)
//! record  nonce (16) | header_crc32c u32 | body_crc32c u32 | length u32 | count u32 | first_seq u64 |
//!         first_commit_ms i64 | durable_offset u64 | entries | zeros to a multiple of 8
//! entry   varint payload_len | varint commit_ms delta to the entry before it | payload
//! ```
//!
//! A record is one group of entries: all of it or nothing is read. Its header checksum covers the record's own file
//! offset and it starts with the segment's random nonce, so bytes of another segment, of a recycled block or of another
//! place in this one never parse. `durable_offset` says how far the file was on disk when the record was written;
//! damage below the durable offset of any later whole record is corruption, everything else at the end is a torn tail.
//! The header's `body_checksum` is the SHA-256 of the extension.

mod header;
mod record;
mod scan;
mod scanner;
mod search;

pub use header::{Nonce, OpenHeader};
pub use record::{Placement, RecordEncoder};
pub(crate) use scan::Scan;
pub use scan::{EntryRef, Outcome, ScanPoint};
pub use scanner::Scanner;

/// Length in bytes of the extension behind the header.
pub const EXTENSION_LEN: usize = 48;
/// File offset of the first record.
pub const RECORDS_START: u64 = 176;
/// Length in bytes of a record's fixed fields.
pub const RECORD_HEADER_LEN: usize = 56;
/// Records start at multiples of this many bytes.
pub const ALIGNMENT: usize = 8;

/// Offsets of the extension's fields, in bytes from its start.
pub mod extension_field {
    /// The segment's nonce, 16 bytes.
    pub const NONCE: usize = 0;
    /// The chain hash before the first entry, 32 bytes.
    pub const CHAIN_BEFORE: usize = 16;
}

/// Offsets of a record's fields, in bytes from its start.
pub mod record_field {
    /// The segment's nonce, 16 bytes.
    pub const NONCE: usize = 0;
    /// CRC-32C of the nonce, the fields behind this one, and the record's file offset as u64; u32.
    pub const HEADER_CRC32C: usize = 16;
    /// CRC-32C of the entries and the padding, u32.
    pub const BODY_CRC32C: usize = 20;
    /// Length of the entries without the padding, u32.
    pub const LENGTH: usize = 24;
    /// Number of entries, u32.
    pub const COUNT: usize = 28;
    /// Sequence of the first entry, u64.
    pub const FIRST_SEQ: usize = 32;
    /// Commit time of the first entry, i64 milliseconds.
    pub const FIRST_COMMIT_MS: usize = 40;
    /// How far the file was on disk, u64.
    pub const DURABLE_OFFSET: usize = 48;
    /// The entries.
    pub const ENTRIES: usize = 56;
}
