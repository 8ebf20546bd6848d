//! An open file.

use std::io;
use std::sync::Arc;

use graphstream_journal::{FsFile, LockMode};

use super::disk::{Effect, Inode};
use super::{Call, CrashFs, Fault};

/// An open file of a [`CrashFs`]; it outlives its name, as on any Unix.
#[derive(Debug)]
pub(crate) struct CrashFile {
    fs: CrashFs,
    inode: Inode,
    handle: u64,
    /// Its content is not part of the history.
    unrecorded: bool,
}

impl CrashFile {
    pub(crate) fn new(fs: CrashFs, inode: Inode, handle: u64, unrecorded: bool) -> Self {
        Self { fs, inode, handle, unrecorded }
    }
}

impl FsFile for CrashFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.fs.lock();
        let fault = inner.call(Call::Read)?;
        let content = inner.now.files.get(&self.inode).cloned().unwrap_or_default();
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let mut taken = rest.len().min(buffer.len());
        if fault == Some(Fault::Short) && taken > 1 {
            taken /= 2;
        }
        for (to, from) in buffer.iter_mut().zip(rest.iter().take(taken)) {
            *to = *from;
        }
        Ok(taken)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.fs.lock();
        if self.unrecorded {
            inner.now.write(self.inode, offset, bytes);
            return Ok(bytes.len());
        }
        let taken = match inner.call(Call::Write)? {
            Some(Fault::Short) => bytes.len().div_ceil(2),
            _ => bytes.len(),
        };
        let (written, _) = bytes.split_at(taken);
        inner.effect(Effect::Write { inode: self.inode, offset, bytes: Arc::from(written) });
        Ok(taken)
    }

    fn size(&self) -> io::Result<u64> {
        let inner = self.fs.lock();
        Ok(inner.now.files.get(&self.inode).map_or(0, |content| content.len() as u64))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        if self.unrecorded {
            return Ok(());
        }
        let mut inner = self.fs.lock();
        // Cutting needs no space.
        let current = inner.now.files.get(&self.inode).map_or(0, |content| content.len() as u64);
        inner.call(if bytes > current { Call::SetLen } else { Call::Remove })?;
        inner.effect(Effect::SetLen { inode: self.inode, bytes });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut inner = self.fs.lock();
        let result = inner.call(Call::Sync).map(|_| ());
        if !inner.lies.files {
            inner.effect(Effect::Sync { inode: self.inode, ok: result.is_ok() });
        }
        result
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut inner = self.fs.lock();
        let locks = inner.locks.entry(self.inode).or_default();
        let other = locks.exclusive.is_some_and(|holder| holder != self.handle);
        let free = match mode {
            LockMode::Exclusive => !other && locks.shared.iter().all(|holder| *holder == self.handle),
            LockMode::Shared => !other,
        };
        if free {
            match mode {
                LockMode::Exclusive => locks.exclusive = Some(self.handle),
                LockMode::Shared => locks.shared.push(self.handle),
            }
        }
        Ok(free)
    }
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        let mut inner = self.fs.lock();
        if let Some(locks) = inner.locks.get_mut(&self.inode) {
            locks.shared.retain(|holder| *holder != self.handle);
            if locks.exclusive == Some(self.handle) {
                locks.exclusive = None;
            }
        }
    }
}
