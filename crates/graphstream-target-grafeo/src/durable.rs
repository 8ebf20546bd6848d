//! Making a commit durable, and knowing that it is.
//!
//! When grafeo 0.5.44 can't write or sync a commit it logs a warning and reports success. So the database is opened without syncs
//! of its own ([`DurabilityMode::NoSync`](grafeo::DurabilityMode)), and after each commit:
//!
//! ```text
//! 1. sync       flushes what grafeo still buffers, then fsync: errors come back to us
//! 2. look       the file must end with the commit's last frame:   length u32 | tag | epoch varint | crc u32
//! ```
//!
//! Step 2 finds a group that was cut in the middle: a sync that works again afterwards says nothing about it. The frame's shape is
//! that of one exact version, which the workspace pins; a test fails when it changes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use grafeo::GrafeoDB;

use crate::{Error, Result};

/// The number of the file grafeo was writing to when we last looked.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    file: Option<u64>,
}

impl Durable {
    /// Makes everything up to the last commit durable; `committed` says whether there was one since the last call.
    pub(crate) fn sync(&mut self, db: &GrafeoDB, committed: bool) -> Result<()> {
        let Some(wal) = db.wal() else { return Ok(()) };
        wal.sync()?;
        let file = wal.current_sequence();
        if self.file != Some(file) {
            // A new file has a new name in the directory. grafeo syncs the old file when it begins a new one.
            sync_directory(wal.dir())?;
            self.file = Some(file);
        }
        if committed {
            let mut files = wal.log_files()?;
            files.sort();
            // A file that was just begun is empty; the commit is at the end of the one before.
            let written = files.iter().rev().take(2).map(|path| ends_with(path, db.current_epoch().as_u64()));
            for found in written {
                match found? {
                    End::Commit => return Ok(()),
                    End::Empty => {}
                    End::Other => break,
                }
            }
            return Err(Error::CommitNotWritten { path: wal.path() });
        }
        Ok(())
    }
}

enum End {
    Commit,
    Empty,
    Other,
}

/// Whether the file ends with the frame that closes the commit of this epoch.
fn ends_with(path: &Path, epoch: u64) -> Result<End> {
    let read = || -> io::Result<End> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        if len == 0 {
            return Ok(End::Empty);
        }
        let epoch = varint(epoch);
        // length, tag, epoch, checksum
        let frame_len = 4 + 1 + epoch.len() + 4;
        let Some(start) = len.checked_sub(frame_len as u64) else { return Ok(End::Other) };
        file.seek(SeekFrom::Start(start))?;
        let mut frame = vec![0; frame_len];
        file.read_exact(&mut frame)?;
        let data_len = u32::try_from(1 + epoch.len()).map_err(io::Error::other)?;
        let ends = frame.get(..4) == Some(&data_len.to_le_bytes())
            && frame.get(5..5 + epoch.len()) == Some(epoch.as_slice());
        Ok(if ends { End::Commit } else { End::Other })
    };
    read().map_err(|source| Error::Io { attempt: "reading the end of", path: path.to_path_buf(), source })
}

/// bincode's variable-length integer, as grafeo uses it.
fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9);
    if value <= 250 {
        bytes.push(value.to_le_bytes()[0]);
    } else if let Ok(value) = u16::try_from(value) {
        bytes.push(251);
        bytes.extend(value.to_le_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        bytes.push(252);
        bytes.extend(value.to_le_bytes());
    } else {
        bytes.push(253);
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let path: PathBuf = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_path_buf() };
        File::open(&path).and_then(|directory| directory.sync_all()).map_err(|source| Error::Io {
            attempt: "syncing the directory",
            path,
            source,
        })?;
    }
    Ok(())
}
