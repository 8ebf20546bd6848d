//! Bare loops: the same bytes, `write` and `fdatasync`, no promises.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use anyhow::Result;
use graphstream_format::open::{Nonce, Placement, RECORDS_START, RecordEncoder};
use rustix::fs::FallocateFlags;
use tempfile::TempDir;

use super::SEGMENT;

/// How a file comes to its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Each write makes it longer.
    Growing,
    /// Its space was reserved when it was made.
    Reserved,
    /// A write that makes it longer is followed by zeros, 16 KiB at first, then twice as much each time up to 1 MiB.
    ZerosAhead,
    /// It was full of zeros, and these are overwritten.
    Overwritten,
}

/// One file after another, each of a segment's size.
pub(crate) struct Loop {
    dir: TempDir,
    space: Space,
    file: File,
    offset: u64,
    zeros_end: u64,
    zeros: u64,
}

const ZEROS_MIN: u64 = 16 << 10;
const ZEROS_MAX: u64 = 1 << 20;

impl Loop {
    pub(crate) fn new(dir: TempDir, space: Space) -> Result<Self> {
        let file = Self::file(&dir, space)?;
        Ok(Self { dir, space, file, offset: 0, zeros_end: 0, zeros: ZEROS_MIN })
    }

    fn file(dir: &TempDir, space: Space) -> Result<File> {
        let path = dir.path().join("bare");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        match space {
            Space::Growing | Space::ZerosAhead => {}
            Space::Reserved => rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SEGMENT)?,
            Space::Overwritten => file.write_all_at(&vec![0; SEGMENT as usize], 0)?,
        }
        file.sync_all()?;
        Ok(file)
    }

    pub(crate) fn write_synced(&mut self, bytes: &[u8]) -> Result<()> {
        if self.offset + bytes.len() as u64 > SEGMENT {
            (self.offset, self.zeros_end, self.zeros) = (0, 0, ZEROS_MIN);
            if self.space != Space::Overwritten {
                self.file = Self::file(&self.dir, self.space)?;
            }
        }
        self.file.write_all_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        if self.space == Space::ZerosAhead && self.offset > self.zeros_end {
            let zeros = self.zeros.min(SEGMENT - self.offset);
            self.file.write_all_at(&vec![0; usize::try_from(zeros)?], self.offset)?;
            self.zeros_end = self.offset + zeros;
            self.zeros = (self.zeros * 2).min(ZEROS_MAX);
        }
        Ok(self.file.sync_data()?)
    }
}

/// The bytes that the journal writes for one entry each.
pub(crate) fn records(payloads: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let mut encoder = encoder();
    let place = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
    payloads
        .iter()
        .map(|payload| {
            encoder.begin(1);
            encoder.push(payload, 1_700_000_000_000)?;
            Ok(encoder.finish(place)?.to_vec())
        })
        .collect()
}

pub(crate) fn encoder() -> RecordEncoder {
    RecordEncoder::new(Nonce::from_bytes([7; 16]))
}
