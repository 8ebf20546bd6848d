//! The segment's file, read part by part.

use std::fs::File;
use std::path::Path;

use graphstream::format::ReadAt;
use graphstream::format::layout::{Part, Parts};

use crate::failure::{Failure, Kind};
use crate::segments;

/// A file and the length it had when it was opened.
pub(super) struct FileBytes<'a> {
    path: &'a Path,
    file: File,
    pub(super) length: u64,
}

impl<'a> FileBytes<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, Failure> {
        let (file, length) = segments::open_file(path)?;
        Ok(Self { path, file, length })
    }

    /// The parts from the first on.
    pub(super) fn parts(&self) -> impl Iterator<Item = Result<Part, Failure>> {
        let parts = Parts::new(&self.file, self.length);
        parts.map(|part| part.map_err(|error| Failure::in_segment(self.path, &error)))
    }

    /// `length` bytes from `offset`. The caller asks for little.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        let mut buffer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.file.read_at(free, offset + filled as u64) {
                Ok(0) => {
                    let message = format!("{} became shorter while it was read", self.path.display());
                    return Err(Failure::new(Kind::Journal, message).file(self.path));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("{} can't be read", self.path.display());
                    return Err(Failure::new(Kind::Journal, message).because(&error).file(self.path));
                }
            }
        }
        Ok(buffer)
    }
}
