//! A disk that does not give what it holds, or takes nothing: typed errors, and what was given stays true.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::io;
use std::path::Path;
use std::sync::Arc;

use graphstream_journal::{Access, DirEntry, Error, ErrorKind, Fs, FsFile};
use graphstream_testkit::{CrashFs, Fault};
use memory::{builder, payload, read, reader, sealed};

/// L14: any operation of a reader fails once: one error that names the file, no wrong entry, no entry twice, then the end.
#[test]
fn l14_a_reader_reports_an_unreadable_segment_once() {
    let calls = {
        let fs = sealed(10);
        let before = fs.calls();
        assert_eq!(read(&fs).len(), 10);
        before..fs.calls()
    };
    assert!(calls.clone().count() > 10);
    for call in calls {
        let fs = sealed(10);
        fs.fail(call, Fault::Error(io::ErrorKind::Other));
        let mut next = 1;
        let mut errors = Vec::new();
        match reader(fs.clone()) {
            Err(error) => errors.push(error),
            Ok(mut reader) => {
                for entry in reader.by_ref() {
                    match entry {
                        Ok(entry) => {
                            assert!(errors.is_empty(), "call {call}: an entry behind an error");
                            assert_eq!(
                                (entry.sequence, &entry.payload),
                                (next, &payload(next)),
                                "call {call}"
                            );
                            next += 1;
                        }
                        Err(error) => errors.push(error),
                    }
                }
                assert!(reader.next().is_none());
            }
        }
        let [error] = errors.as_slice() else { panic!("call {call}: {errors:?}") };
        assert_ne!(error.kind(), ErrorKind::Integrity, "call {call}: {error:?}");
        assert!(error.to_string().contains("/journal/journal"), "call {call}: {error}");
        assert_eq!(read(&fs).len(), 10, "nothing was changed");
    }
}

/// A mount that takes no change.
#[derive(Clone, Debug)]
struct ReadOnly(CrashFs);

impl ReadOnly {
    fn refused<T>() -> io::Result<T> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

impl Fs for ReadOnly {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Self::refused()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        if access == Access::Read { self.0.open(path, access) } else { Self::refused() }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Self::refused()
    }

    fn remove_file(&self, _: &Path) -> io::Result<()> {
        Self::refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Self::refused()
    }
}

/// L15: on a read-only mount readers read, and a writer is refused at once.
#[test]
fn l15_a_read_only_mount_is_read_and_not_written() {
    let fs = ReadOnly(sealed(10));
    assert_eq!(reader(fs.clone()).unwrap().inspect(|entry| assert!(entry.is_ok(), "{entry:?}")).count(), 10);
    let error = builder(&fs.0).fs(Arc::new(fs.clone())).open().unwrap_err();
    let Error::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::ReadOnlyFilesystem);
}
