//! Puts: the whole object under a temporary name first, then its name at once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use graphstream_storage::{self as storage, Key, Operation, PutBody, PutMode, Version};
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use crate::directory::{Child, Directory, Entry};
use crate::error::{Error, Failure, FileKind, Result, Step};
use crate::store::{Store, TEMP, split};

/// How often a put starts over when directories or rivals vanish under it.
const ATTEMPTS: usize = 64;

/// A body on its way. Removed when dropped unpublished.
struct Temp {
    directory: Directory,
    name: String,
    file: File,
    published: bool,
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.published {
            let _ = self.directory.remove_file(&self.name);
        }
    }
}

/// How an attempt to publish ended without an error.
enum Attempt {
    Published,
    /// Something disappeared in between: a directory that lost its last object, or the object that was in the way.
    Again,
}

impl Store {
    pub(crate) fn put(&self, key: &Key, body: PutBody, mode: &PutMode) -> Result<Version, Failure> {
        self.check_writable()?;
        // What is bound to be refused need not be written first. Decided again when it counts.
        if *mode != PutMode::Overwrite {
            self.precheck(key, mode)?;
        }
        let mut temp = self.create_temp()?;
        self.fill(key, body, &mut temp)?;
        let path = temp.directory.path_of(&temp.name);
        let time = self.next_time()?;
        temp.file.set_modified(time).map_err(Error::io(Step::TakeVersion, &path))?;
        self.at(Step::SyncTemp, &path)?;
        temp.file.sync_all().map_err(Error::io(Step::SyncTemp, &path))?;
        let version = Entry::of(&temp.file).map_err(Error::io(Step::Inspect, &path))?.version()?;
        let published = self.publish(key, mode, &mut temp);
        if published.is_err() && !temp.published {
            // Directories that were made for nothing.
            self.prune(key);
        }
        published.map(|()| version)
    }

    fn precheck(&self, key: &Key, mode: &PutMode) -> Result<(), Failure> {
        let (parents, name) = split(key)?;
        match (self.root()?.descend(parents)?, mode) {
            (Some(parent), _) => check(key, mode, &parent, &name).map(drop),
            (None, PutMode::Match(_)) => Err(self.missing(Operation::Put, key)),
            (None, _) => Ok(()),
        }
    }

    fn create_temp(&self) -> Result<Temp, Failure> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Child::Directory(directory) = self.control()?.child(TEMP)? else {
            return Err(self.gone().into());
        };
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            // Unique here by the counter; processes in other containers may share the number, hence the time and `EXCL`.
            let name = format!("{nanos:x}-{}-{count}.tmp", std::process::id());
            let path = directory.path_of(&name);
            self.at(Step::CreateTemp, &path)?;
            match directory.open_file(&name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL) {
                Ok(file) => return Ok(Temp { directory, name, file, published: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.gone().into()),
                Err(error) => return Err(Error::io(Step::CreateTemp, path)(error).into()),
            }
        }
    }

    fn fill(&self, key: &Key, body: PutBody, temp: &mut Temp) -> Result<(), Failure> {
        let path = temp.directory.path_of(&temp.name);
        self.at(Step::WriteTemp, &path)?;
        match body {
            PutBody::Bytes(bytes) => {
                temp.file.write_all(&bytes).map_err(Error::io(Step::WriteTemp, path))?;
            }
            PutBody::File(source_path) => {
                let failed =
                    |source| storage::Error::Source { key: key.clone(), path: source_path.clone(), source };
                let source = open_source(&source_path).map_err(failed)?;
                let expected = source.metadata().map_err(failed)?.len();
                // One byte more than there should be, to notice a file that grows. The kernel copies.
                let copied = io::copy(&mut source.take(expected.saturating_add(1)), &mut temp.file);
                let found = copied.map_err(Error::io(Step::WriteTemp, path))?;
                if found != expected {
                    return Err(storage::Error::SourceChanged { key: key.clone(), expected, found }.into());
                }
            }
            _ => {
                let backend = self.describe();
                return Err(storage::Error::Unsupported { backend, operation: Operation::Put }.into());
            }
        }
        Ok(())
    }

    fn publish(&self, key: &Key, mode: &PutMode, temp: &mut Temp) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let (parents, name) = split(key)?;
            let Some(parent) = self.prepare(key, parents)? else { continue };
            if let Attempt::Published = self.attempt(key, mode, temp, &parent, &name)? {
                temp.published = true;
                self.at(Step::SyncPublished, parent.path())?;
                parent.sync().map_err(Error::io(Step::SyncPublished, parent.path()))?;
                return Ok(());
            }
            if temp.directory.entry(&temp.name)?.is_none() {
                break;
            }
        }
        Err(Error::TempGone { path: temp.directory.path_of(&temp.name) }.into())
    }

    /// Opens the directory of the object, made and durable; `None` when one vanished right after it was made.
    fn prepare<'k>(
        &self,
        key: &Key,
        parents: impl Iterator<Item = &'k str>,
    ) -> Result<Option<Directory>, Failure> {
        let mut directory = self.root()?;
        for name in parents {
            let mut made = false;
            let mut child = directory.child(name)?;
            if let Child::Missing = child {
                let path = directory.path_of(name);
                self.at(Step::MakeDirectory, &path)?;
                match directory.make(name) {
                    Ok(()) => {}
                    // The directory above has just been removed as empty.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(Error::io(Step::MakeDirectory, path)(error).into()),
                }
                made = true;
                child = directory.child(name)?;
            }
            match child {
                Child::Directory(child) => {
                    self.settle(&directory, &child, made)?;
                    directory = child;
                }
                Child::Missing => return Ok(None),
                Child::File => return Err(storage::Error::KeyConflict { key: key.clone() }.into()),
            }
        }
        Ok(Some(directory))
    }

    fn attempt(
        &self,
        key: &Key,
        mode: &PutMode,
        temp: &Temp,
        parent: &Directory,
        name: &str,
    ) -> Result<Attempt, Failure> {
        // A create needs no lock: the kernel refuses the second one.
        let held = match mode {
            PutMode::Create => None,
            _ => Some(self.lock(&self.control()?)?),
        };
        check(key, mode, parent, name)?;
        self.at(Step::Publish, &parent.path_of(name))?;
        let moved = match mode {
            PutMode::Create => create(temp, parent, name),
            _ => rustix::fs::renameat(&temp.directory, temp.name.as_str(), parent, name),
        };
        drop(held);
        match moved {
            Ok(()) => Ok(Attempt::Published),
            Err(Errno::NOENT) => Ok(Attempt::Again),
            // Whatever it is, the check of the next attempt names it, or it has gone again.
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY) => Ok(Attempt::Again),
            Err(error) => Err(Error::io(Step::Publish, parent.path_of(name))(error).into()),
        }
    }
}

/// Whether what is there now allows the put. Final for `Overwrite` and `Match` only while the lock is held.
fn check(key: &Key, mode: &PutMode, parent: &Directory, name: &str) -> Result<(), Failure> {
    let entry = parent.entry(name)?;
    match (&entry, mode) {
        (None, PutMode::Match(_)) => return Err(Failure::not_found(Operation::Put, key)),
        (None, _) => return Ok(()),
        (Some(entry), _) if entry.kind == FileKind::File => {}
        (Some(entry), PutMode::Match(_)) if entry.kind == FileKind::Directory => {
            return Err(Failure::not_found(Operation::Put, key));
        }
        (Some(entry), _) if entry.kind == FileKind::Directory => {
            // Perhaps only the rest of a put that was killed.
            if parent.remove_directory(name).is_ok() {
                return Ok(());
            }
            return Err(storage::Error::KeyConflict { key: key.clone() }.into());
        }
        (Some(entry), _) => {
            return Err(Error::NotAnObject { path: parent.path_of(name), kind: entry.kind }.into());
        }
    }
    match mode {
        PutMode::Overwrite => Ok(()),
        PutMode::Create => Err(storage::Error::Exists { key: key.clone() }.into()),
        PutMode::Match(expected) => {
            let found = entry.map(|entry| entry.version()).transpose()?;
            if found.as_ref() == Some(expected) {
                return Ok(());
            }
            Err(storage::Error::VersionMismatch { key: key.clone(), expected: expected.clone(), found }
                .into())
        }
        _ => {
            Err(storage::Error::Unsupported { backend: "file:".to_owned(), operation: Operation::Put }.into())
        }
    }
}

/// Gives the temporary file its name only if the name is free.
fn create(temp: &Temp, parent: &Directory, name: &str) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&temp.directory, temp.name.as_str(), parent, name, flags) {
            // Not in this file system (NFS, some FUSE ones), or not in this kernel.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            result => return result,
        }
    }
    create_by_link(temp, parent, name)
}

/// The same with a second name for the file, which never replaces; the first name goes after.
fn create_by_link(temp: &Temp, parent: &Directory, name: &str) -> Result<(), Errno> {
    match rustix::fs::linkat(&temp.directory, temp.name.as_str(), parent, name, AtFlags::empty()) {
        Ok(()) => {}
        // On NFS a repeated request may meet the success of the first one.
        Err(Errno::EXIST) if is_same(temp, parent, name) => {}
        Err(error) => return Err(error),
    }
    // A second name left in `tmp` costs nothing and is swept.
    let _ = temp.directory.remove_file(&temp.name);
    Ok(())
}

fn is_same(temp: &Temp, parent: &Directory, name: &str) -> bool {
    let there = parent.entry(name).ok().flatten();
    Entry::of(&temp.file).is_ok_and(|ours| there.is_some_and(|there| there.id() == ours.id()))
}

/// Opens a plain file, without waiting for the other end should it be a FIFO.
fn open_source(path: &std::path::Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: File = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?.into();
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::FsOptions;

    fn temp(store: &Store, body: &'static str) -> Temp {
        let mut temp = store.create_temp().unwrap();
        store.fill(&Key::new("k").unwrap(), body.into(), &mut temp).unwrap();
        temp
    }

    #[test]
    fn where_renames_cannot_refuse_to_replace_a_link_does() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), FsOptions::default()).unwrap();
        let parent = store.root().unwrap();
        let first = temp(&store, "first");
        create_by_link(&first, &parent, "object").unwrap();
        assert!(first.directory.entry(&first.name).unwrap().is_none());
        // The repeated request of a network file system: our own file is there already, under both names.
        let temp_path = root.path().join(".graphstream/tmp").join(&first.name);
        std::fs::hard_link(root.path().join("object"), temp_path).unwrap();
        create_by_link(&first, &parent, "object").unwrap();
        let second = temp(&store, "second");
        assert_eq!(create_by_link(&second, &parent, "object"), Err(Errno::EXIST));
        assert_eq!(create(&second, &parent, "object"), Err(Errno::EXIST));
        assert_eq!(std::fs::read(root.path().join("object")).unwrap(), b"first");
        std::fs::create_dir(root.path().join("directory")).unwrap();
        assert_eq!(create_by_link(&second, &parent, "directory"), Err(Errno::EXIST));
        drop(second);
        assert_eq!(std::fs::read_dir(root.path().join(".graphstream/tmp")).unwrap().count(), 0);
    }
}
