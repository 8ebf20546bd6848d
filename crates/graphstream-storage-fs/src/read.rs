//! Gets and heads.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use graphstream_storage::{self as storage, GetOptions, Key, ObjectMeta, Operation};
use rustix::fs::OFlags;

use crate::directory::{Directory, Entry};
use crate::error::{Error, Failure, FileKind, Result, Step};
use crate::store::{Store, meta};

/// An opened object.
pub(crate) struct Opened {
    pub(crate) meta: ObjectMeta,
    pub(crate) range: Range<u64>,
    pub(crate) file: File,
    /// The first bytes of the range, so that small objects take one trip.
    pub(crate) first: Bytes,
}

impl Store {
    /// Opens an object; `None` when it still has the version in the options.
    pub(crate) fn get(&self, key: &Key, options: &GetOptions) -> Result<Option<Opened>, Failure> {
        let (parent, name) = self.parent(Operation::Get, key)?;
        let before = self.object(Operation::Get, key, &parent, &name)?;
        if options.if_changed_from.is_some() && options.if_changed_from == Some(before.version()?) {
            return Ok(None);
        }
        let path = parent.path_of(&name);
        self.at(Step::Open, &path)?;
        let file = match parent.open_file(&name, OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.missing(Operation::Get, key));
            }
            Err(error) => return Err(Error::io(Step::Open, path)(error).into()),
        };
        // From here on nothing that happens to the name matters: a published file is never written again.
        let entry = Entry::of(&file).map_err(Error::io(Step::Inspect, &path))?;
        if entry.kind != FileKind::File {
            return Err(Error::NotAnObject { path, kind: entry.kind }.into());
        }
        let meta = meta(key, &entry)?;
        if options.if_changed_from.as_ref() == Some(&meta.version) {
            return Ok(None);
        }
        let range = clamp(key, meta.size, options.range.as_ref())?;
        let first = self.read(&file, key, &range)?;
        Ok(Some(Opened { meta, range, file, first }))
    }

    pub(crate) fn head(&self, key: &Key) -> Result<ObjectMeta, Failure> {
        let (parent, name) = self.parent(Operation::Head, key)?;
        Ok(meta(key, &self.object(Operation::Head, key, &parent, &name)?)?)
    }

    /// What the name stands for, if for an object.
    fn object(
        &self,
        operation: Operation,
        key: &Key,
        parent: &Directory,
        name: &str,
    ) -> Result<Entry, Failure> {
        self.at(Step::Inspect, &parent.path_of(name))?;
        match parent.entry(name)? {
            Some(entry) if entry.kind == FileKind::File => Ok(entry),
            // A directory is where deeper keys live, no object.
            None => Err(self.missing(operation, key)),
            Some(entry) if entry.kind == FileKind::Directory => Err(self.missing(operation, key)),
            Some(entry) => Err(Error::NotAnObject { path: parent.path_of(name), kind: entry.kind }.into()),
        }
    }

    /// Reads the next chunk of `range`, never less than it should be: a file that has become shorter is an error.
    pub(crate) fn read(&self, file: &File, key: &Key, range: &Range<u64>) -> Result<Bytes, Failure> {
        let wanted = range.end.saturating_sub(range.start);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.options.chunk_bytes);
        let mut chunk = vec![0; wanted];
        let path = || self.root_path().join(key.as_str());
        self.at(Step::Read, self.root_path())?;
        match file.read_exact_at(&mut chunk, range.start) {
            Ok(()) => Ok(chunk.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let found = file.metadata().map_err(Error::io(Step::Read, path()))?.len();
                Err(storage::Error::BodyLength { key: key.clone(), expected: range.end, found }.into())
            }
            Err(error) => Err(Error::io(Step::Read, path())(error).into()),
        }
    }
}

fn clamp(key: &Key, size: u64, range: Option<&Range<u64>>) -> storage::Result<Range<u64>> {
    match range {
        None => Ok(0..size),
        Some(range) if range.start < range.end && range.start < size => Ok(range.start..range.end.min(size)),
        Some(range) => {
            let (start, end) = (range.start, range.end);
            Err(storage::Error::InvalidRange { key: key.clone(), start, end, size: Some(size) })
        }
    }
}
