//! The header that chunks are bound to, for tests and benches of the chunks alone. Shared with the unit tests, so names come from there.

use super::{EXTENSION_LEN, FLAG_SEALED, Header, Lineage, VERSION_2};

/// Of sequences 7 to 9.
pub(super) fn header() -> Header {
    Header {
        version: VERSION_2,
        flags: FLAG_SEALED,
        compression: 0,
        ext_len: EXTENSION_LEN as u32,
        first_seq: 7,
        last_seq: 9,
        entry_count: 3,
        body_len: 1000,
        body_checksum: [9; 32],
        prev_segment_checksum: 0,
        created_ms: 5,
        lineage: Lineage::from_bytes([3; 16]),
        first_commit_ms: 6,
        last_commit_ms: 7,
    }
}
