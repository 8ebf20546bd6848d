//! The files of a database: which there are, and a copy of them to work with.
//!
//! ```text
//!   /srv/x.db          a file        ─► database                 in a snapshot the database is always called `database`, so that it
//!   /srv/x.db.wal      beside it     ─► database.wal             can be restored under any name
//!   /srv/graph/        a directory   ─► database/...
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use graphstream_remote::SnapshotPath;

use crate::{Error, Result};

/// What the database itself is called in a snapshot.
pub(crate) const ROOT: &str = "database";
/// What else may belong to a database that is one file: its log, a file or a directory.
const COMPANIONS: [&str; 1] = ["wal"];

/// Where a database comes from.
pub(super) enum Origin {
    /// A file (with its log beside it) or a directory.
    Path(PathBuf),
    /// A stream of one file's bytes.
    Reader(Box<dyn Read + Send>),
}

/// A file or directory of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) path: SnapshotPath,
    pub(super) file: PathBuf,
    /// `None`: a directory.
    pub(super) size: Option<u64>,
}

/// The path of a database's companion: `x.db.wal`.
fn companion(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// All places where a database at `path` has files: what it is called in a snapshot, and where it stands.
pub(crate) fn places(path: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let beside = COMPANIONS.map(|suffix| (format!("{ROOT}.{suffix}"), companion(path, suffix)));
    std::iter::once((ROOT.to_owned(), path.to_path_buf())).chain(beside)
}

/// Everything that belongs to the database at `path`, in the order of the archive: directories before what stands in them.
pub(super) fn items(path: &Path) -> Result<Vec<Item>> {
    let mut found = Vec::new();
    for (index, (name, place)) in places(path).enumerate() {
        if index > 0 && fs::symlink_metadata(&place).is_err() {
            continue;
        }
        walk(&name, &place, &mut found)?;
    }
    if found.iter().all(|item| item.size.is_none()) {
        return Err(Error::SnapshotSource { path: path.to_path_buf(), found: "no file at all" });
    }
    Ok(found)
}

fn walk(name: &str, place: &Path, found: &mut Vec<Item>) -> Result<()> {
    let failed = |source| Error::SnapshotFile { attempted: "looking at", path: place.to_path_buf(), source };
    let refused = |what| Error::SnapshotSource { path: place.to_path_buf(), found: what };
    let path = SnapshotPath::new(name).ok_or_else(|| refused("a name that snapshots can't keep"))?;
    let metadata = fs::symlink_metadata(place).map_err(failed)?;
    let kind = metadata.file_type();
    if kind.is_file() {
        found.push(Item { path, file: place.to_path_buf(), size: Some(metadata.len()) });
    } else if kind.is_dir() {
        found.push(Item { path, file: place.to_path_buf(), size: None });
        let mut names = Vec::new();
        for entry in fs::read_dir(place).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort();
        for child in names {
            let text = child.to_str().ok_or_else(|| refused("a name that is not UTF-8"))?;
            walk(&format!("{name}/{text}"), &place.join(&child), found)?;
        }
    } else if kind.is_symlink() {
        return Err(refused("a symbolic link"));
    } else {
        return Err(refused("a FIFO, a socket or a device"));
    }
    Ok(())
}

/// Copies the database into `directory`, under its own name, and returns where the copy stands. Blocks.
pub(super) fn copy(origin: &mut Origin, directory: &Path) -> Result<PathBuf> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::SnapshotFile { attempted: "copying", path, source }
    };
    match origin {
        Origin::Path(database) => {
            let name = database.file_name().unwrap_or(std::ffi::OsStr::new(ROOT));
            let copied = directory.join(name);
            for item in items(database)? {
                let place = place_of(&item.path, &copied);
                match item.size {
                    None => fs::create_dir(&place).map_err(failed(&place))?,
                    // Where the file system can, it shares the blocks.
                    Some(_) => drop(fs::copy(&item.file, &place).map_err(failed(&item.file))?),
                }
            }
            Ok(copied)
        }
        Origin::Reader(reader) => {
            let copied = directory.join(ROOT);
            let mut file = File::create_new(&copied).map_err(failed(&copied))?;
            io::copy(reader, &mut file).and_then(|_| file.flush()).map_err(failed(&copied))?;
            Ok(copied)
        }
    }
}

/// Where something of a snapshot stands when the database is at `path`.
pub(crate) fn place_of(item: &SnapshotPath, path: &Path) -> PathBuf {
    let (root, rest) = item.as_str().split_once('/').unwrap_or((item.as_str(), ""));
    let place = match root.strip_prefix(ROOT) {
        Some(suffix) if !suffix.is_empty() => companion(path, suffix.trim_start_matches('.')),
        _ => path.to_path_buf(),
    };
    rest.split('/').filter(|name| !name.is_empty()).fold(place, |place, name| place.join(name))
}

/// Whether a path of a snapshot is of a database at all: it begins with one of the names in [`places`].
pub(crate) fn is_known(item: &SnapshotPath) -> bool {
    let root = item.as_str().split('/').next().unwrap_or_default();
    places(Path::new(ROOT)).any(|(name, _)| name == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<(String, Option<u64>)> {
        items(path).unwrap().into_iter().map(|item| (item.path.to_string(), item.size)).collect()
    }

    #[test]
    fn a_file_has_its_log_with_it_and_a_directory_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("x.db"), "12345").unwrap();
        fs::write(at("x.db.lock"), "not of the database").unwrap();
        assert_eq!(names(&at("x.db")), [("database".to_owned(), Some(5))]);
        fs::create_dir(at("x.db.wal")).unwrap();
        fs::write(at("x.db.wal/0"), "1").unwrap();
        let expected = [("database", Some(5)), ("database.wal", None), ("database.wal/0", Some(1))];
        assert_eq!(names(&at("x.db")), expected.map(|(name, size)| (name.to_owned(), size)));

        let copied = copy(&mut Origin::Path(at("x.db")), &{
            fs::create_dir(at("copy")).unwrap();
            at("copy")
        });
        let copied = copied.unwrap();
        assert_eq!(names(&copied), names(&at("x.db")));
        for item in items(&copied).unwrap() {
            assert_eq!(place_of(&item.path, &copied), item.file);
            assert!(is_known(&item.path));
        }
        assert!(!is_known(&SnapshotPath::new("databases").unwrap()));
        assert!(!is_known(&SnapshotPath::new("database.shadow/x").unwrap()));
    }

    #[cfg(unix)]
    #[test]
    fn h03_links_and_special_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("graph");
        fs::create_dir(&database).unwrap();
        assert!(matches!(items(&database), Err(Error::SnapshotSource { found: "no file at all", .. })));
        fs::write(database.join("a"), "a").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", database.join("b")).unwrap();
        let Err(Error::SnapshotSource { path, found }) = items(&database) else { panic!() };
        assert_eq!((path, found), (database.join("b"), "a symbolic link"));
        fs::remove_file(database.join("b")).unwrap();
        fs::write(database.join("with\\backslash"), "").unwrap();
        assert!(matches!(items(&database), Err(Error::SnapshotSource { .. })));
        assert!(matches!(items(&dir.path().join("none")), Err(Error::SnapshotFile { .. })));
    }
}
