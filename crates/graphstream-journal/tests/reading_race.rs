//! What a reader sees of a writer that works between two of its looks.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use graphstream_journal::{Access, Ack, DirEntry, Fs, FsFile};
use graphstream_testkit::CrashFs;
use memory::{builder, payload, reader};

type Act = Box<dyn FnOnce() + Send>;

/// The next listing of a directory finds what somebody does right before it.
#[derive(Clone)]
struct Between {
    fs: CrashFs,
    act: Arc<Mutex<Option<Act>>>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

impl Fs for Between {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        if let Some(act) = self.act.lock().unwrap().take() {
            act();
        }
        self.fs.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.fs.create_dir_all(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        self.fs.open(path, access)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.fs.remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.fs.sync_dir(dir)
    }
}

/// The next segment is not there at one look, and at the following one two more are: that is a writer at work, no damage.
#[test]
fn two_rotations_between_two_looks_are_no_damage() {
    let fs = CrashFs::new();
    let (journal, _) = builder(&fs).open().unwrap();
    let _ = journal.append(payload(1)).unwrap().wait(Ack::Synced).unwrap();
    let between = Between { fs, act: Arc::default() };
    let mut reader = reader(between.clone()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().payload, payload(1));

    let writer = journal.clone();
    *between.act.lock().unwrap() = Some(Box::new(move || {
        writer.seal().unwrap();
        let _ = writer.append(payload(2)).unwrap();
        writer.seal().unwrap();
        let _ = writer.append(payload(3)).unwrap().wait(Ack::Written).unwrap();
    }));
    assert_eq!(reader.next().unwrap().unwrap().payload, payload(2));
    assert!(between.act.lock().unwrap().is_none(), "it happened between the two");
    assert_eq!(reader.next().unwrap().unwrap().payload, payload(3));
    assert!(reader.next().is_none());
}
