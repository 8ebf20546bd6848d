//! The open segment as its writer knows it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use graphstream_format::ChainHash;
use graphstream_format::open::{Nonce, RECORDS_START};

use crate::core::Oldest;
use crate::error::{Error, no_space};
use crate::failure::Failure;
use crate::fs::FsFile;
use crate::small_file::write_full;
use crate::space::Space;

/// A segment is synced in the background whenever a quarter of it, and at least this much, was written since the last time: its
/// last sync, which rotation waits for, is short then.
const EARLY_SYNC_BYTES_MIN: u64 = 256 << 10;

/// The open file, as far as syncing it goes.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: Arc<dyn FsFile>,
    pub(crate) path: PathBuf,
    /// The end of the file when the last fdatasync that returned was started.
    pub(crate) durable_offset: AtomicU64,
    /// When its first entry was written.
    pub(crate) oldest: OnceLock<Oldest>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) open: Arc<OpenFile>,
    pub(crate) nonce: Nonce,
    pub(crate) first_sequence: u64,
    /// Where the next record goes.
    pub(crate) offset: u64,
    /// Where the segment is full.
    pub(crate) limit: u64,
    /// What stands behind the records.
    space: Space,
    /// Where its next background sync is due.
    early_sync_at: u64,
    /// The chain hashes after its first entries, for sealing.
    pub(crate) chain: Arc<Vec<ChainHash>>,
}

impl OpenSegment {
    /// A segment that was just created.
    pub(crate) fn new(
        file: Arc<dyn FsFile>,
        path: PathBuf,
        nonce: Nonce,
        first_sequence: u64,
        limit: u64,
    ) -> Self {
        let open =
            OpenFile { file, path, durable_offset: AtomicU64::new(RECORDS_START), oldest: OnceLock::new() };
        Self {
            open: Arc::new(open),
            nonce,
            first_sequence,
            offset: RECORDS_START,
            limit,
            space: Space::of_created(limit),
            early_sync_at: RECORDS_START + early_sync_step(limit),
            chain: Arc::default(),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.offset == RECORDS_START
    }

    pub(crate) fn durable_offset(&self) -> u64 {
        self.open.durable_offset.load(Ordering::Acquire)
    }

    /// Writes a record behind the others, and the space ahead of the next.
    pub(crate) fn write(&mut self, record: &[u8]) -> Result<(), Failure> {
        let end = self.offset + record.len() as u64;
        write_full(&*self.open.file, record, self.offset)
            .map_err(|source| self.cut_back(record.len() as u64, source))?;
        self.space
            .extend(&*self.open.file, end, self.durable_offset(), self.limit)
            .map_err(|source| self.poison("writing zeros into", source))?;
        self.offset = end;
        Ok(())
    }

    /// After a failed write: a full device is cut back to the last whole record, everything else is the end. A record is
    /// written by itself, so what a live reader may have seen of it was never whole.
    fn cut_back(&mut self, bytes: u64, source: std::io::Error) -> Failure {
        if no_space(&source) && self.open.file.set_len(self.offset).is_ok() {
            self.space.cut(self.offset);
            return Failure::Full { path: self.open.path.clone(), bytes };
        }
        self.poison("writing", source)
    }

    fn poison(&self, operation: &'static str, source: std::io::Error) -> Failure {
        Failure::poison(Error::Io { operation, path: self.open.path.clone(), source })
    }

    /// Whether a background sync is worth while: not right before the one of rotation.
    pub(crate) fn is_early_sync_due(&mut self) -> bool {
        let step = early_sync_step(self.limit);
        let due = self.offset >= self.early_sync_at && self.offset + step / 2 <= self.limit;
        if due {
            self.early_sync_at = self.offset + step;
        }
        due
    }
}

fn early_sync_step(limit: u64) -> u64 {
    (limit / 4).max(EARLY_SYNC_BYTES_MIN)
}
