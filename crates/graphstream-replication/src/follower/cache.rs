//! Fetched segments on the local disk, between verifying and applying.
//!
//! ```text
//! {cache directory, or the system's temporary one}/graphstream-follow-{random}/    on their way, and what there is no room to keep
//! {cache directory}/{lineage}/{last}-{first}-{epoch}-{level}.hadbj                 kept until applied, across restarts, up to a limit
//! ```
//! Nothing here is durable: what is lost is fetched again, and what is found is used only if it is what the head names, or leads where the
//! head is.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use graphstream_format::Lineage;
use graphstream_remote::{PlannedSegment, SegmentSink};
use sha2::{Digest, Sha256};

use crate::temporary::Temporary;
use crate::{Error, FollowerOptions, Result};

const EXTENSION: &str = "hadbj";
/// How temporary directories of followers begin.
const TEMPORARY: &str = "graphstream-follow-";

/// The directories for fetched segments, with a limit on what they hold.
#[derive(Debug)]
pub(crate) struct Cache {
    temporary: Temporary,
    /// Where segments outlive the follower.
    dir: Option<PathBuf>,
    bytes_max: u64,
}

/// The cache during one way to the head. Clones share its books.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    temporary: PathBuf,
    /// Of the lineage.
    kept: Option<PathBuf>,
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    bytes_max: u64,
    bytes: AtomicU64,
    /// Names are given once.
    fetches: AtomicU64,
}

impl Books {
    /// Whether there is room for so many bytes, which then count.
    fn take(&self, bytes: u64) -> bool {
        let room = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.bytes_max);
        self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// A fetched segment. Its file goes when this does, unless it is kept for the next follower.
#[derive(Debug)]
pub(crate) struct CachedSegment {
    path: PathBuf,
    /// Bytes in the books.
    counted: Option<u64>,
    /// It outlives this.
    stays: bool,
    /// It was here before.
    reused: bool,
    books: Arc<Books>,
}

impl CachedSegment {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it may wait here until it is applied.
    pub(crate) fn is_kept(&self) -> bool {
        self.counted.is_some()
    }

    /// Whether somebody else fetched it, earlier.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Nobody needs it any more.
    pub(crate) fn discard(mut self) {
        self.stays = false;
    }
}

impl Drop for CachedSegment {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // A file that can't be removed is only space; the next fetch of the segment replaces it.
        let _ = fs::remove_file(&self.path);
        if let Some(bytes) = self.counted {
            self.books.give_back(bytes);
        }
    }
}

/// A file that bytes are fetched into.
pub(crate) struct Sink(File);

impl SegmentSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.write_all(chunk)
    }
}

impl Cache {
    pub(crate) fn open(options: &FollowerOptions) -> Result<Self> {
        let failed = |path: &Path, source| Error::Cache {
            attempted: "creating the cache directory",
            path: path.to_path_buf(),
            source,
        };
        // A directory of its own also below a given one: followers may share that, and what a killed one left is known as such.
        let root = options.cache_dir.clone().unwrap_or_else(std::env::temp_dir);
        if options.cache_dir.is_some() {
            fs::create_dir_all(&root).map_err(|source| failed(&root, source))?;
        }
        let temporary = Temporary::create(&root, TEMPORARY).map_err(|source| failed(&root, source))?;
        Ok(Self { temporary, dir: options.cache_dir.clone(), bytes_max: options.cache_bytes_max })
    }

    /// Gets ready for the way from the entry `applied` on: counts what is kept, and removes what is not needed any more.
    pub(crate) fn shelf(&self, lineage: Lineage, applied: u64) -> Shelf {
        let mut bytes = 0;
        let mut kept = None;
        if let Some(dir) = &self.dir {
            let shelf = dir.join(lineage.to_string());
            // Without a directory nothing is kept.
            if fs::create_dir_all(&shelf).is_ok() {
                sweep(&shelf, applied);
                kept = Some(shelf);
            }
            bytes = held(dir);
        }
        let books = Books { bytes_max: self.bytes_max, bytes: bytes.into(), fetches: AtomicU64::new(0) };
        Shelf { temporary: self.temporary.path().to_path_buf(), kept, books: Arc::new(books) }
    }
}

/// Removes the segments that end at or before an entry.
fn sweep(shelf: &Path, applied: u64) {
    for (path, _) in segments(shelf) {
        let last = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(..16));
        if last.and_then(|last| u64::from_str_radix(last, 16).ok()).is_some_and(|last| last <= applied) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The bytes that are kept, of all histories.
fn held(dir: &Path) -> u64 {
    let Ok(shelves) = fs::read_dir(dir) else { return 0 };
    let is_shelf = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<Lineage>().is_ok())
    };
    let shelves = shelves.flatten().map(|shelf| shelf.path()).filter(is_shelf);
    shelves.flat_map(|shelf| segments(&shelf)).map(|(_, bytes)| bytes).sum()
}

/// The segments in a directory and their sizes.
fn segments(dir: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(files) = fs::read_dir(dir) else { return Vec::new() };
    let files = files.flatten().map(|file| file.path());
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    segments
        .filter_map(|path| {
            let found = path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
            Some((path, found.len()))
        })
        .collect()
}

impl Shelf {
    fn file_name(planned: &PlannedSegment) -> String {
        let name = planned.name;
        format!(
            "{:016x}-{:016x}-{:08x}-{}.{EXTENSION}",
            name.last(),
            name.first(),
            name.epoch(),
            name.level()
        )
    }

    /// The segment, if it is here from earlier: as long as it must be, with the bytes that the head names, if it does. Blocks for the disk.
    pub(crate) fn find(&self, planned: &PlannedSegment) -> Option<CachedSegment> {
        let path = self.kept.as_ref()?.join(Self::file_name(planned));
        let found = path.symlink_metadata().ok()?;
        let is_it = found.is_file()
            && found.len() == planned.size
            && planned.sha256.is_none_or(|expected| sha256(&path).is_ok_and(|found| found == expected));
        let books = Arc::clone(&self.books);
        let segment = CachedSegment {
            path,
            counted: found.is_file().then_some(found.len()),
            stays: is_it,
            reused: true,
            books,
        };
        // Dropped, and so removed, if it is anything else.
        is_it.then_some(segment)
    }

    /// A new file for a segment that is to be fetched.
    pub(crate) fn begin(&self, planned: &PlannedSegment) -> Result<(CachedSegment, Sink)> {
        let number = self.books.fetches.fetch_add(1, Ordering::Relaxed);
        let path = self.temporary.join(format!("{number}-{}", Self::file_name(planned)));
        let file = File::create(&path).map_err(|source| Error::Cache {
            attempted: "creating",
            path: path.clone(),
            source,
        })?;
        let books = Arc::clone(&self.books);
        Ok((CachedSegment { path, counted: None, stays: false, reused: false, books }, Sink(file)))
    }

    /// A segment was verified: it is kept until it is applied, if there is room.
    pub(crate) fn keep(&self, mut segment: CachedSegment, planned: &PlannedSegment) -> CachedSegment {
        if segment.is_kept() || !self.books.take(planned.size) {
            return segment;
        }
        segment.counted = Some(planned.size);
        if let Some(kept) = &self.kept {
            let path = kept.join(Self::file_name(planned));
            // Where it can't outlive the follower it is still good for this one.
            if fs::rename(&segment.path, &path).is_ok() {
                (segment.path, segment.stays) = (path, true);
            }
        }
        segment
    }
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
