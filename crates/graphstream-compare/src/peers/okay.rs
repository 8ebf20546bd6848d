//! okaywal as it comes: files of 1 MiB that it fills again after a checkpoint, here of nothing.

use std::path::Path;

use anyhow::Result;
use okaywal::{LogVoid, WriteAheadLog};

pub(crate) struct Wal(WriteAheadLog);

impl Wal {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Ok(Self(WriteAheadLog::recover(dir, LogVoid)?))
    }

    pub(crate) fn append_synced(&self, payload: &[u8]) -> Result<()> {
        let mut entry = self.0.begin_entry()?;
        entry.write_chunk(payload)?;
        entry.commit()?;
        Ok(())
    }
}
