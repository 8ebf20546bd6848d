//! The state of a disk, and what changes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_journal::{DirEntry, FileKind};

use super::FILE;

/// A file, whatever its name.
pub(crate) type Inode = u64;

/// Files and names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<Inode, Arc<Vec<u8>>>,
    pub(crate) dirs: BTreeMap<PathBuf, BTreeMap<OsString, Inode>>,
}

/// One change, or one sync.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    MakeDir { dir: PathBuf },
    Create { dir: PathBuf, name: OsString, inode: Inode },
    Rename { from_dir: PathBuf, from_name: OsString, to_dir: PathBuf, to_name: OsString, inode: Inode },
    Remove { dir: PathBuf, name: OsString },
    Write { inode: Inode, offset: u64, bytes: Arc<[u8]> },
    SetLen { inode: Inode, bytes: u64 },
    Sync { inode: Inode, ok: bool },
    SyncDir { dir: PathBuf, ok: bool },
}

impl Effect {
    /// Whether it changes anything, as opposed to making changes durable.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Self::Sync { .. } | Self::SyncDir { .. })
    }
}

impl Disk {
    pub(crate) fn make_dirs(&mut self, dir: &Path) {
        for dir in dir.ancestors() {
            self.dirs.entry(dir.to_path_buf()).or_default();
        }
    }

    pub(crate) fn lookup(&self, dir: &Path, name: &OsStr) -> Option<Inode> {
        self.dirs.get(dir)?.get(name).copied()
    }

    pub(crate) fn link(&mut self, dir: &Path, name: &OsStr, inode: Inode) {
        self.dirs.entry(dir.to_path_buf()).or_default().insert(name.to_os_string(), inode);
    }

    pub(crate) fn unlink(&mut self, dir: &Path, name: &OsStr) {
        if let Some(names) = self.dirs.get_mut(dir) {
            names.remove(name);
        }
    }

    pub(crate) fn list(&self, dir: &Path) -> Option<Vec<DirEntry>> {
        let names = self.dirs.get(dir)?;
        let mut entries: Vec<DirEntry> =
            names.keys().map(|name| DirEntry { name: name.clone(), kind: FILE }).collect();
        for child in self.dirs.keys().filter(|child| child.parent() == Some(dir)) {
            if let Some(name) = child.file_name() {
                entries.push(DirEntry { name: name.to_os_string(), kind: FileKind::Directory });
            }
        }
        Some(entries)
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.dirs.iter().flat_map(|(dir, names)| names.keys().map(|name| dir.join(name))).collect()
    }

    pub(crate) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::MakeDir { dir } => self.make_dirs(dir),
            Effect::Create { dir, name, inode } => {
                self.files.entry(*inode).or_default();
                self.link(dir, name, *inode);
            }
            Effect::Rename { from_dir, from_name, to_dir, to_name, inode } => {
                self.link(to_dir, to_name, *inode);
                if self.lookup(from_dir, from_name) == Some(*inode) {
                    self.unlink(from_dir, from_name);
                }
            }
            Effect::Remove { dir, name } => self.unlink(dir, name),
            Effect::Write { inode, offset, bytes } => self.write(*inode, *offset, bytes),
            Effect::SetLen { inode, bytes } => {
                self.content(*inode).resize(usize::try_from(*bytes).unwrap_or(0), 0);
            }
            Effect::Sync { .. } | Effect::SyncDir { .. } => {}
        }
    }

    pub(crate) fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) {
        let content = self.content(inode);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(place) = content.get_mut(from..end) {
            place.copy_from_slice(bytes);
        }
    }

    fn content(&mut self, inode: Inode) -> &mut Vec<u8> {
        Arc::make_mut(self.files.entry(inode).or_default())
    }

    /// Forgets files without a name, so that equal states compare equal.
    pub(crate) fn collect(&mut self) {
        let named: std::collections::BTreeSet<Inode> =
            self.dirs.values().flat_map(|names| names.values().copied()).collect();
        self.files.retain(|inode, _| named.contains(inode));
    }
}
