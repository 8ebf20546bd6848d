//! Version 1, sealed: the predecessor's container.
//!
//! ```text
//! header (128) | body: entries back to back, one zstd frame if flagged | chain hash of the last entry (32)
//! entry         crc32c u32 over the rest | payload_len u32 | sequence u64 | prev_hash (32) | payload
//! ```
//!
//! The file is exactly `128 + body_len + 32` bytes long. Version 1 keeps no commit time per entry: all read as the
//! segment's last one, marked inexact.

mod frame;
mod reader;
mod writer;

pub(crate) use frame::{EntryFrame, checksum};
pub(crate) use reader::SealedReader;
pub use writer::{Finished, Writer};

/// Length in bytes of what stands before each payload.
pub const ENTRY_HEADER_LEN: usize = 48;
/// Length in bytes of the chain hash behind the body.
pub const TRAILER_LEN: usize = 32;

/// Offsets of an entry's fields, in bytes.
pub mod entry_field {
    /// CRC-32C of all that follows, payload included, u32.
    pub const CRC32C: usize = 0;
    /// Length of the payload, u32.
    pub const PAYLOAD_LEN: usize = 4;
    /// Sequence, u64.
    pub const SEQUENCE: usize = 8;
    /// Chain hash before the entry, 32 bytes.
    pub const PREV_HASH: usize = 16;
    /// The payload.
    pub const PAYLOAD: usize = 48;
}
