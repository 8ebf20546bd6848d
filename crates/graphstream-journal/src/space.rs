//! Space ahead of the records: zeros, written before it is needed (decision 0015).
//!
//! ```text
//! header | records ............. | zeros ............. |
//!                                ^ the next record     ^ end of the file
//! ```
//!
//! The sync of a record that makes its file longer writes the file system's journal too, which costs as much as the record. In
//! blocks that were written before it writes the record alone. So a record that has passed the end of the zeros is followed by new
//! ones, more each time, and the sync that it needs anyway writes both. Zeros are written twice in the end, so they are worth it
//! only where each sync covers little: behind a large record, and where nobody syncs, the file just grows.
//!
//! Space is never reserved in another way: what `fallocate` reserves has to be marked as written later, which is a write of the file
//! system's journal again, and on ext4 one that may be lost.

use std::io;

use crate::error::no_space;
use crate::fs::FsFile;
use crate::small_file::write_full;

/// A new segment is this long: the block that its header takes anyway.
const CREATED_BYTES: u64 = 4 << 10;
/// A segment that few small records have filled so far gets this much, the next time twice as much ...
const STEP_BYTES_MIN: u64 = 16 << 10;
/// ... up to this: some thousand small records, and about the time of one sync.
const STEP_BYTES_MAX: u64 = 1 << 20;
/// A sync that covers more than this has so much to write that the file system's journal does not matter.
const SYNC_BYTES_SMALL: u64 = 64 << 10;
/// New zeros end where a block may end.
const BLOCK_BYTES: u64 = 4 << 10;
/// Zeros are written from here.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What is known of the zeros in an open segment.
#[derive(Debug)]
pub(crate) struct Space {
    /// Records that end beyond this have made the file longer.
    end: u64,
    /// How much comes next; 0: no more, the device is full.
    step: u64,
}

impl Space {
    /// How long a new segment is, given its limit.
    pub(crate) fn created_bytes(limit: u64) -> u64 {
        CREATED_BYTES.min(limit)
    }

    /// That of a new segment.
    pub(crate) fn of_created(limit: u64) -> Self {
        Self { end: Self::created_bytes(limit), step: STEP_BYTES_MIN }
    }

    /// The file was cut here.
    pub(crate) fn cut(&mut self, end: u64) {
        self.end = self.end.min(end);
    }

    /// Writes zeros behind a record that was written, if they are worth it: `durable_offset` is the end of what was synced before it,
    /// and there is nothing beyond `limit`. A full device is no failure: the records decide, and have the space.
    pub(crate) fn extend(
        &mut self,
        file: &dyn FsFile,
        record_end: u64,
        durable_offset: u64,
        limit: u64,
    ) -> io::Result<()> {
        let small = record_end.saturating_sub(durable_offset) <= SYNC_BYTES_SMALL;
        if self.step == 0 || record_end <= self.end || !small {
            return Ok(());
        }
        let end = (record_end + self.step).next_multiple_of(BLOCK_BYTES).min(limit);
        match write_zeros(file, record_end, end) {
            Ok(()) => {
                self.end = end;
                self.step = (self.step * 2).min(STEP_BYTES_MAX);
                Ok(())
            }
            Err(error) if no_space(&error) => {
                // Others may need what was taken; if it can't be given back, it is space for records.
                let _ = file.set_len(record_end);
                self.step = 0;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn write_zeros(file: &dyn FsFile, mut from: u64, end: u64) -> io::Result<()> {
    while from < end {
        let bytes = usize::try_from(end - from).unwrap_or(usize::MAX).min(ZEROS.len());
        write_full(file, ZEROS.get(..bytes).unwrap_or_default(), from)?;
        from += bytes as u64;
    }
    Ok(())
}
