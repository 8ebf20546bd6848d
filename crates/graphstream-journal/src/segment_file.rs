//! Bridges between files of [`Fs`] and the format crate's readers and writers.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use graphstream_format::header::HEADER_LEN;
use graphstream_format::{Damage, Header, Offset, ReadAt};

use crate::error::{Error, Result};
use crate::fs::{Access, Fs, FsFile};
use crate::small_file::read_full;

/// A file as the format's scanners read it.
#[derive(Clone, Debug)]
pub(crate) struct FileAt(pub(crate) Arc<dyn FsFile>);

impl ReadAt for FileAt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

/// A file read from its start to its end.
#[derive(Debug)]
pub(crate) struct FileStream {
    file: Arc<dyn FsFile>,
    offset: u64,
}

impl FileStream {
    pub(crate) fn new(file: Arc<dyn FsFile>) -> Self {
        Self { file, offset: 0 }
    }
}

impl Read for FileStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// A file written from its start, with the header patched at the end.
#[derive(Debug)]
pub(crate) struct FileSink {
    file: Arc<dyn FsFile>,
    offset: u64,
}

impl FileSink {
    pub(crate) fn new(file: Arc<dyn FsFile>) -> Self {
        Self { file, offset: 0 }
    }
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.offset)?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for FileSink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.file.size()?.checked_add_signed(by),
        };
        self.offset = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.offset)
    }
}

/// A segment whose header has been read.
#[derive(Debug)]
pub(crate) struct OpenedSegment {
    pub(crate) file: Arc<dyn FsFile>,
    pub(crate) header: Header,
    pub(crate) file_bytes: u64,
}

impl OpenedSegment {
    /// Opens a segment and checks that its header is whole and carries the sequence of its name; `None` when there is no
    /// such file.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, first_sequence: u64) -> Result<Option<Self>> {
        let file = match fs.open(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("opening", path)(error)),
        };
        let mut bytes = [0; HEADER_LEN];
        let read = read_full(&*file, &mut bytes, 0).map_err(Error::io("reading", path))?;
        if read < HEADER_LEN {
            // Zeros in place of what is missing could decode as another history's header, or as the predecessor's.
            let offset = Offset::File(read as u64);
            let cut = graphstream_format::Error::Damaged { what: Damage::EndsEarly, offset, sequence: None };
            return Err(Error::segment(path)(cut));
        }
        let header = Header::decode(&bytes).map_err(Error::segment(path))?;
        if header.first_seq != first_sequence {
            return Err(Error::Misnamed {
                path: path.to_path_buf(),
                expected: first_sequence,
                found: header.first_seq,
            });
        }
        let file_bytes = file.size().map_err(Error::io("reading the length of", path))?;
        Ok(Some(Self { file, header, file_bytes }))
    }
}
