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
    /// It was full of zeros, and these are overwritten.
    Overwritten,
}

/// One file after another, each of a segment's size.
pub(crate) struct Loop {
    dir: TempDir,
    space: Space,
    file: File,
    offset: u64,
}

impl Loop {
    pub(crate) fn new(dir: TempDir, space: Space) -> Result<Self> {
        let file = Self::file(&dir, space)?;
        Ok(Self { dir, space, file, offset: 0 })
    }

    fn file(dir: &TempDir, space: Space) -> Result<File> {
        let path = dir.path().join("bare");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        match space {
            Space::Growing => {}
            Space::Reserved => rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SEGMENT)?,
            Space::Overwritten => file.write_all_at(&vec![0; SEGMENT as usize], 0)?,
        }
        file.sync_all()?;
        Ok(file)
    }

    pub(crate) fn write_synced(&mut self, bytes: &[u8]) -> Result<()> {
        if self.offset + bytes.len() as u64 > SEGMENT {
            self.offset = 0;
            if self.space != Space::Overwritten {
                self.file = Self::file(&self.dir, self.space)?;
            }
        }
        self.file.write_all_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
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
