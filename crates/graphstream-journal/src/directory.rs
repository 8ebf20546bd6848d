//! A journal's directory as readers, tools and shippers see it: nothing here needs the writer's lock, and nothing here
//! repairs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Header, ReadOptions};

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::fs::{Access, FileKind, Fs, StdFs};
use crate::identity::Identity;
use crate::lock::{self, LockKind, LockState, ShipLock};
use crate::names;
use crate::options::ReaderOptions;
use crate::reader::JournalReader;
use crate::segment_file::{FileStream, OpenedSegment};

/// A directory that holds a journal. Cheap to clone; holds nothing open.
#[derive(Clone, Debug)]
pub struct JournalDir {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) path: PathBuf,
    pub(crate) keys: Option<Arc<KeyRing>>,
}

/// A segment in the directory, by its header.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// The first sequence, as in its name and its header.
    pub first_sequence: u64,
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes (with the reserved space of an open one).
    pub file_bytes: u64,
    /// Its header, checked.
    pub header: Header,
}

impl SegmentInfo {
    /// Whether it is sealed; an open one has no last sequence yet.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.header.is_sealed()
    }
}

/// A segment's file, read from its start to its end.
#[derive(Debug)]
pub struct SegmentBytes(FileStream);

impl io::Read for SegmentBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl JournalDir {
    /// The journal in an existing directory.
    ///
    /// # Errors
    /// [`Error::NotAJournal`] when neither `journal.json` nor a segment is there; [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(path, Arc::new(StdFs))
    }

    /// As [`JournalDir::open`], on another file system.
    ///
    /// # Errors
    /// As [`JournalDir::open`].
    pub fn open_on(path: impl AsRef<Path>, fs: Arc<dyn Fs>) -> Result<Self> {
        let this = Self::at(path, fs);
        if this.identity()?.is_none() && this.segment_sequences()?.is_empty() {
            return Err(Error::NotAJournal { path: this.path });
        }
        Ok(this)
    }

    pub(crate) fn at(path: impl AsRef<Path>, fs: Arc<dyn Fs>) -> Self {
        Self { fs, path: path.as_ref().to_path_buf(), keys: None }
    }

    /// Reads encrypted segments with these keys. What only looks at names and headers takes none.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The keys it was given.
    #[must_use]
    pub fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_deref()
    }

    /// Whether entries can be read with the keys given.
    ///
    /// # Errors
    /// [`Error::EncryptionRequired`] without keys for an encrypted journal, [`Error::EncryptionKeyMissing`] without the one it names,
    /// [`Error::NotEncrypted`] with keys for a plain one; as [`JournalDir::identity`].
    pub fn check_keys(&self) -> Result<()> {
        match (self.identity()?, &self.keys) {
            (Some(identity), keys) => identity.check_keys(&self.path, keys.as_deref()),
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Error::NotEncrypted { path: self.path.join(names::JOURNAL_JSON) }),
        }
    }

    /// How the segment with this header is read by itself: with the keys given, unless it is plain and `journal.json` says that it may be.
    ///
    /// # Errors
    /// As [`JournalDir::identity`].
    pub fn read_options(&self, header: &Header) -> Result<ReadOptions> {
        match (&self.keys, header.is_encrypted()) {
            (None, _) => Ok(ReadOptions::default()),
            (Some(keys), true) => Ok(ReadOptions::default().with_keys(Arc::clone(keys))),
            (Some(keys), false) => match self.identity()? {
                Some(identity) => Ok(identity.read_options(Some(keys), header)),
                None => Ok(ReadOptions::default().with_keys(Arc::clone(keys))),
            },
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `journal.json` says; `None` when it is missing (a predecessor's directory).
    ///
    /// # Errors
    /// [`Error::InvalidJson`], [`Error::UnsupportedFormat`], [`Error::Io`].
    pub fn identity(&self) -> Result<Option<Identity>> {
        Identity::read(&*self.fs, &self.path)
    }

    /// Notes durably in `journal.json` that another leader took over after this sequence. Only for the process that holds
    /// `LOCK`.
    ///
    /// # Errors
    /// [`Error::IdentityMissing`] without `journal.json`; [`Error::Io`].
    pub fn note_fenced_after(&self, sequence: Option<u64>) -> Result<()> {
        let Some(mut identity) = self.identity()? else {
            return Err(Error::IdentityMissing { path: self.path.join(names::JOURNAL_JSON) });
        };
        identity.fenced_after = sequence;
        identity.write(&*self.fs, &self.path)
    }

    /// The first sequences of all segments, ascending, from their names alone.
    ///
    /// # Errors
    /// [`Error::NotAFile`] when something else bears a segment's name; [`Error::NotAJournal`] without the directory; [`Error::Io`].
    pub fn segment_sequences(&self) -> Result<Vec<u64>> {
        let entries = match self.fs.list(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NotAJournal { path: self.path.clone() });
            }
            Err(error) => return Err(Error::io("listing", &self.path)(error)),
        };
        let mut sequences = Vec::new();
        for entry in entries {
            let Some(sequence) = names::parse_segment_name(&entry.name) else { continue };
            if entry.kind != FileKind::File {
                return Err(Error::NotAFile { path: self.path.join(&entry.name), found: entry.kind });
            }
            sequences.push(sequence);
        }
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// The path of the segment that starts at this sequence, whether it exists or not.
    #[must_use]
    pub fn segment_path(&self, first_sequence: u64) -> PathBuf {
        self.path.join(names::segment_name(first_sequence))
    }

    /// The segment that starts at this sequence; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Segment`] for a damaged header, [`Error::Misnamed`], [`Error::Io`].
    pub fn segment(&self, first_sequence: u64) -> Result<Option<SegmentInfo>> {
        let path = self.segment_path(first_sequence);
        let opened = OpenedSegment::open(&*self.fs, &path, first_sequence)?;
        Ok(opened.map(|opened| SegmentInfo {
            first_sequence,
            path,
            file_bytes: opened.file_bytes,
            header: opened.header,
        }))
    }

    /// All segments, ascending, with their headers. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// As [`JournalDir::segment_sequences`] and [`JournalDir::segment`], for the first segment that has one; ask
    /// for each by [`JournalDir::segment`] to learn of all.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>> {
        let mut segments = Vec::new();
        for first in self.segment_sequences()? {
            segments.extend(self.segment(first)?);
        }
        Ok(segments)
    }

    /// The sealed segments that hold entries beyond `sequence`, ascending, up to the first open one. Headers of
    /// segments that end before are not read.
    ///
    /// # Errors
    /// As [`JournalDir::segments`].
    pub fn sealed_after(&self, sequence: u64) -> Result<Vec<SegmentInfo>> {
        let sequences = self.segment_sequences()?;
        let from = sequences.partition_point(|&first| first <= sequence).saturating_sub(1);
        let mut segments = Vec::new();
        for &first in sequences.get(from..).unwrap_or_default() {
            let Some(segment) = self.segment(first)? else { continue };
            if segment.is_sealed() {
                if segment.header.last_seq > sequence {
                    segments.push(segment);
                }
            } else {
                break;
            }
        }
        Ok(segments)
    }

    /// The entries, as [`JournalReader::open`] gives them.
    ///
    /// # Errors
    /// As [`JournalReader::open`].
    pub fn reader(&self, options: ReaderOptions) -> Result<JournalReader> {
        let reader = JournalReader::of(self.clone(), options);
        reader.dir().check_keys()?;
        Ok(reader)
    }

    /// The bytes of a segment's file, and how many there are.
    ///
    /// # Errors
    /// [`Error::Io`], also when it is gone.
    pub fn segment_bytes(&self, segment: &SegmentInfo) -> Result<(SegmentBytes, u64)> {
        let file = self.fs.open(&segment.path, Access::Read).map_err(Error::io("opening", &segment.path))?;
        let bytes = file.size().map_err(Error::io("reading the length of", &segment.path))?;
        Ok((SegmentBytes(FileStream::new(file)), bytes))
    }

    /// Where the operating system finds a segment's file; `None` when the journal is on another file system.
    #[must_use]
    pub fn os_path(&self, segment: &SegmentInfo) -> Option<PathBuf> {
        self.fs.os_path(&segment.path)
    }

    /// Takes `SHIP`: one process uploads the segments.
    ///
    /// # Errors
    /// As [`ShipLock::acquire`].
    pub fn lock_shipper(&self) -> Result<ShipLock> {
        ShipLock::acquire_on(&*self.fs, &self.path)
    }

    /// Whether a writer holds `LOCK`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn writer(&self) -> Result<LockState> {
        lock::state(&*self.fs, &self.path, LockKind::Writer)
    }

    /// Whether a shipper holds `SHIP`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn shipper(&self) -> Result<LockState> {
        lock::state(&*self.fs, &self.path, LockKind::Shipper)
    }

    /// Removes the sealed segments that every cursor has passed, oldest first, and returns how many. The newest sealed segment
    /// always stays (it says where the journal continues), and without any cursor nothing goes.
    ///
    /// # Errors
    /// As [`JournalDir::segments`] and [`JournalDir::cursors`].
    pub fn remove_released(&self) -> Result<usize> {
        let Some(Cursor { sequence: passed, .. }) = self.slowest_cursor()? else { return Ok(0) };
        let sequences = self.segment_sequences()?;
        let mut removed = 0;
        for pair in sequences.windows(2) {
            let &[first, next] = pair else { break };
            // The next segment starts beyond what everybody has passed plus one: this one may still be needed.
            if next > passed.saturating_add(1) {
                break;
            }
            match self.segment(first)? {
                Some(segment) if segment.is_sealed() && segment.header.last_seq <= passed => {}
                _ => break,
            }
            if !self.remove_before(first, next)? {
                break;
            }
            removed += 1;
        }
        Ok(removed)
    }

    /// As [`JournalDir::remove_released`], but only the segments that begin with these sequences, ascending: no others are looked for. One
    /// that has gone already counts.
    ///
    /// # Errors
    /// As [`JournalDir::remove_released`].
    pub fn remove_released_of(&self, firsts: &[u64]) -> Result<usize> {
        let Some(Cursor { sequence: passed, .. }) = self.slowest_cursor()? else { return Ok(0) };
        for (removed, &first) in firsts.iter().enumerate() {
            let Some(segment) = self.segment(first)? else { continue };
            let last = segment.header.last_seq;
            let needed = !segment.is_sealed() || last > passed;
            if needed || !self.remove_before(first, last.saturating_add(1))? {
                return Ok(removed);
            }
        }
        Ok(firsts.len())
    }

    /// Removes the segment that begins at `first`; not if the one at `next` is not sealed.
    fn remove_before(&self, first: u64, next: u64) -> Result<bool> {
        // An open segment alone does not say where the journal continues: it may be gone after a crash.
        if !self.segment(next)?.is_some_and(|next| next.is_sealed()) {
            return Ok(false);
        }
        remove_if_exists(&*self.fs, &self.segment_path(first))?;
        // One by one: after a power cut a removed segment may stand there again, but never below a missing one.
        self.fs.sync_dir(&self.path).map_err(Error::io("syncing", &self.path))?;
        Ok(true)
    }
}

pub(crate) fn remove_if_exists(fs: &dyn Fs, path: &Path) -> Result<()> {
    match fs.remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("removing", path)(error)),
    }
}
