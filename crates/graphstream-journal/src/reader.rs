//! Reading a journal: from any sequence, sealed and open segments alike, also while a writer in this or another process
//! appends, rotates and seals.
//!
//! ```text
//! find segment by name -> read it to its end -> the next one is named by the next sequence -> ...
//!                              |                        |
//!                     open: look again          none: the end (for now), or a gap
//! ```
//!
//! A file that is sealed under the reader's hands stays readable: the reader keeps the old one open, and both hold the
//! same entries. A reader never changes anything.

mod position;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream_format::open::{Outcome, Scanner};
use graphstream_format::{ChainHash, Entry, Header, Lineage, Position, SegmentKind, SegmentReader};

use crate::directory::JournalDir;
use crate::error::{Error, Result};
use crate::fs::{Fs, StdFs};
use crate::options::ReaderOptions;
use crate::recovery::TornTail;
use crate::segment_file::{FileAt, FileStream, OpenedSegment};

/// A follower at the end looks at the whole directory (not only for the next name) once in so many times.
const LOOK_AROUND_EVERY: u32 = 64;
/// How long a waiting reader sleeps between looks.
const POLL: Duration = Duration::from_millis(2);

/// Reads entries in order and verifies them: checksums, chain, sequences, lineage. Memory is bounded by one entry, or one record of
/// an open segment.
///
/// As an iterator it yields entries, then `None`; damage is one error, then `None` for good. A torn tail is no
/// error: it ends the reader, and [`JournalReader::torn_tail`] tells. With [`ReaderOptions::follow`] a `None` means *for now*.
#[derive(Debug)]
pub struct JournalReader {
    dir: JournalDir,
    options: ReaderOptions,
    at: At,
    /// The last entry that was read, skipped ones included.
    last: Option<Last>,
    /// What segments must belong to; unknown before the first one.
    lineage: Option<Lineage>,
    /// A predecessor's directory keeps one time per segment.
    legacy_commit_ms: i64,
    torn_tail: Option<TornTail>,
    looks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u64,
    chain_hash: ChainHash,
}

#[derive(Debug)]
enum At {
    /// Before the first segment.
    Start,
    /// In a segment that grows no more.
    Final(Box<SegmentReader<FileStream>>, PathBuf),
    /// In a segment that may grow.
    Open(Box<Scanner<FileAt>>, PathBuf),
    /// Behind a segment.
    Behind,
    /// After an error, or after the end.
    Ended,
}

/// What one look gave.
enum Step {
    Entry,
    /// Another segment was entered or left: look again.
    Moved,
    Nothing,
}

impl JournalReader {
    /// A reader of the journal in this directory.
    ///
    /// # Errors
    /// [`Error::NotAJournal`]; as [`JournalDir::check_keys`]; what is wrong with entries comes with them.
    pub fn open(dir: impl AsRef<Path>, options: ReaderOptions) -> Result<Self> {
        Self::open_on(dir, options, Arc::new(StdFs))
    }

    /// As [`JournalReader::open`], on another file system.
    ///
    /// # Errors
    /// As [`JournalReader::open`].
    pub fn open_on(dir: impl AsRef<Path>, options: ReaderOptions, fs: Arc<dyn Fs>) -> Result<Self> {
        JournalDir::open_on(dir, fs)?.reader(options)
    }

    pub(crate) fn dir(&self) -> &JournalDir {
        &self.dir
    }

    pub(crate) fn of(mut dir: JournalDir, options: ReaderOptions) -> Self {
        dir.keys = options.keys.clone().or(dir.keys);
        Self {
            dir,
            options,
            at: At::Start,
            last: None,
            lineage: None,
            legacy_commit_ms: i64::MIN,
            torn_tail: None,
            looks: 0,
        }
    }

    /// Reads the next entry into `entry`, whose buffer is used again. False at the end; see [`ReaderOptions::follow`].
    ///
    /// # Errors
    /// [`Error::Segment`], [`Error::Gap`], [`Error::Overlap`], [`Error::Fork`], [`Error::ForeignLineage`],
    /// [`Error::DamagedBelowNext`], [`Error::BeyondEnd`], [`Error::Io`]; once, the reader has ended then.
    pub fn read_next(&mut self, entry: &mut Entry) -> Result<bool> {
        match self.search(entry) {
            Ok(true) => {
                self.looks = 0;
                Ok(true)
            }
            Ok(false) if self.options.follow && self.torn_tail.is_none() => {
                self.looks = self.looks.wrapping_add(1);
                Ok(false)
            }
            ended => {
                self.at = At::Ended;
                ended
            }
        }
    }

    /// As [`JournalReader::read_next`] with [`ReaderOptions::follow`], but waits up to `timeout` for an entry.
    ///
    /// # Errors
    /// As [`JournalReader::read_next`].
    pub fn wait_next(&mut self, entry: &mut Entry, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if self.read_next(entry)? {
                return Ok(true);
            }
            let ended = matches!(self.at, At::Ended);
            if ended || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Computes one more block (64 bytes) of the next entry's chain hash, if that entry stands in an open segment's record that was read
    /// already; false if there is nothing to do. The next [`JournalReader::read_next`] gives what it would have given, in less time: the
    /// blocks of a hash wait for each other, and what is done between calls of this is done while they wait. Call it while an entry is
    /// decoded: `JournalEntry::decode_beside` of graphstream-proto is made for it.
    #[inline]
    pub fn hash_ahead(&mut self) -> bool {
        match &mut self.at {
            At::Open(scanner, _) => scanner.hash_ahead(),
            At::Final(reader, _) => reader.hash_ahead(),
            At::Start | At::Behind | At::Ended => false,
        }
    }

    /// The last entry that was read; `None` before the first.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let (Last { sequence, chain_hash }, lineage) = (self.last?, self.lineage?);
        Some(Position { lineage, sequence, chain_hash })
    }

    /// The torn tail that ended the reader: an unclean stop that no writer has recovered yet.
    #[must_use]
    pub const fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    fn search(&mut self, entry: &mut Entry) -> Result<bool> {
        loop {
            if self.take(entry)? {
                if entry.sequence >= self.options.from_sequence {
                    return Ok(true);
                }
                continue;
            }
            let step = match &mut self.at {
                At::Start => self.enter_first()?,
                At::Final(..) => self.leave_final()?,
                At::Open(..) => self.leave_open(entry)?,
                At::Behind => self.enter_next()?,
                At::Ended => Step::Nothing,
            };
            match step {
                Step::Entry if entry.sequence < self.options.from_sequence => {}
                Step::Entry => return Ok(true),
                Step::Moved => {}
                Step::Nothing => {
                    self.check_not_beyond()?;
                    return Ok(false);
                }
            }
        }
    }

    /// The segment whose name says that it holds the first sequence wanted.
    fn enter_first(&mut self) -> Result<Step> {
        let from = self.options.from_sequence;
        // A segment may be released between looking and opening: then look again, and find the gap.
        for _ in 0..3 {
            let sequences = self.dir.segment_sequences()?;
            let Some(&oldest) = sequences.first() else { return Ok(Step::Nothing) };
            let place = if from == 0 { 1 } else { sequences.partition_point(|&first| first <= from) };
            let Some(&first) = place.checked_sub(1).and_then(|place| sequences.get(place)) else {
                return Err(Error::Gap { first: from, last: oldest - 1, path: self.dir.path.clone() });
            };
            if self.enter(first)? {
                return Ok(Step::Moved);
            }
        }
        Ok(Step::Nothing)
    }

    /// The segment that is named by the next sequence.
    fn enter_next(&mut self) -> Result<Step> {
        let Some(next) = self.last.and_then(|last| last.sequence.checked_add(1)) else {
            return Ok(Step::Nothing);
        };
        if self.enter(next)? {
            return Ok(Step::Moved);
        }
        if self.looks_around()
            && let Some(later) = self.later_segment(next)?
        {
            // It may have appeared between the two looks.
            if self.enter(next)? {
                return Ok(Step::Moved);
            }
            return Err(Error::Gap { first: next, last: later - 1, path: self.dir.path.clone() });
        }
        Ok(Step::Nothing)
    }

    fn enter(&mut self, first: u64) -> Result<bool> {
        let path = self.dir.segment_path(first);
        let Some(opened) = OpenedSegment::open(&*self.dir.fs, &path, first)? else { return Ok(false) };
        self.check_lineage(&opened.header, &path)?;
        if opened.header.kind() == SegmentKind::Open {
            let scanner = Scanner::open(FileAt(opened.file)).map_err(Error::segment(&path))?;
            let start = scanner.header().start;
            if let Some(last) = self.last
                && last.chain_hash != start.chain_before
            {
                return Err(Error::Fork {
                    path,
                    sequence: first,
                    expected: last.chain_hash,
                    found: start.chain_before,
                });
            }
            if self.last.is_none() && first > 0 {
                self.last = Some(Last { sequence: first - 1, chain_hash: start.chain_before });
            }
            self.at = At::Open(Box::new(scanner), path);
            return Ok(true);
        }
        if opened.header.is_legacy() {
            self.legacy_commit_ms = self.legacy_commit_ms.max(opened.header.created_ms);
        }
        let mut options = self.dir.read_options(&opened.header)?;
        if let Some(last) = self.last {
            options = options.with_expected_chain(last.chain_hash);
        } else if first == 1 {
            options = options.with_expected_chain(ChainHash::ZERO);
        }
        let stream = FileStream::new(opened.file);
        let reader = SegmentReader::new(stream, opened.file_bytes, options)
            .map_err(|source| self.segment_error(source, &path))?;
        self.at = At::Final(Box::new(reader), path);
        Ok(true)
    }

    /// All segments belong to the lineage in `journal.json`. Only a predecessor's directory, and one that is being taken
    /// over, holds segments without one.
    fn check_lineage(&mut self, header: &Header, path: &Path) -> Result<()> {
        let found = header.lineage;
        if self.lineage == Some(found) {
            return Ok(());
        }
        let identity = self.dir.identity()?;
        let adopting = identity.as_ref().is_none_or(|identity| identity.adopting);
        let expected = identity.map(|identity| identity.lineage).or(self.lineage).unwrap_or(found);
        if found != expected && !(found.is_legacy() && adopting) {
            return Err(Error::ForeignLineage { path: path.to_path_buf(), expected, found });
        }
        self.lineage = Some(expected);
        Ok(())
    }

    /// The next entry of the segment that the reader is in.
    #[inline]
    fn take(&mut self, entry: &mut Entry) -> Result<bool> {
        let read = match &mut self.at {
            At::Open(scanner, _) => scanner.read_next(entry),
            At::Final(reader, _) => match reader.read_next(entry) {
                Ok(true) => {
                    if reader.header().is_legacy() {
                        entry.commit_ms = entry.commit_ms.max(self.legacy_commit_ms);
                    }
                    Ok(true)
                }
                nothing => nothing,
            },
            At::Start | At::Behind | At::Ended => return Ok(false),
        };
        match read {
            Ok(true) => {
                self.last = Some(Last { sequence: entry.sequence, chain_hash: entry.chain_hash });
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    /// What is wrong with the segment that the reader is in.
    #[cold]
    fn unreadable(&self, source: graphstream_format::Error) -> Error {
        match &self.at {
            At::Final(_, path) | At::Open(_, path) => self.segment_error(source, path),
            At::Start | At::Behind | At::Ended => self.segment_error(source, &self.dir.path),
        }
    }

    /// Where the segment's last entry was read.
    fn leave_final(&mut self) -> Result<Step> {
        let At::Final(reader, path) = &mut self.at else { return Ok(Step::Nothing) };
        let torn = reader.end().and_then(|end| end.torn.map(|torn| (torn, end.last_seq)));
        let torn = torn.map(|(torn, last_sequence)| TornTail {
            path: path.clone(),
            offset: torn.offset,
            last_sequence,
            why: torn.why,
        });
        self.at = At::Behind;
        // The predecessor went on in a new segment after a crash, without cutting the old one.
        if let (Some(torn), Step::Nothing) = (torn, self.enter_next()?) {
            self.torn_tail = Some(torn);
            return Ok(Step::Nothing);
        }
        Ok(Step::Moved)
    }

    /// Where no whole record was found: the end for now, a segment that is left, or damage.
    fn leave_open(&mut self, entry: &mut Entry) -> Result<Step> {
        let At::Open(scanner, _) = &self.at else { return Ok(Step::Nothing) };
        let own = scanner.header().start.first_seq;
        let next = self.last.and_then(|last| last.sequence.checked_add(1));
        // Without an entry so far, the segment bears the next sequence's name itself.
        let empty = next == Some(own);
        let is_left = |this: &Self| match next {
            Some(next) if !empty => this.dir.segment(next).map(|segment| segment.is_some()),
            _ => Ok(false),
        };
        let left = is_left(self)?;
        if !left && !self.looks_around() {
            return Ok(Step::Nothing);
        }
        // When the writer was seen gone *before* the tail is judged, nobody completes it any more.
        let written = self.dir.writer()?.held;
        let later = next.map(|next| self.later_segment(next)).transpose()?.flatten();
        // A writer may have left the segment since the first look; a later one proves nothing before the next name is looked at again.
        let left = left || is_left(self)?;
        if self.take(entry)? {
            return Ok(Step::Entry);
        }
        let At::Open(scanner, path) = &mut self.at else { return Ok(Step::Nothing) };
        let outcome = scanner.judge().map_err(Error::segment(&*path))?;
        let point = scanner.point();
        let path = path.clone();
        match outcome {
            Outcome::Grown => Ok(Step::Moved),
            Outcome::Corrupt { .. } => match outcome.into_error() {
                Some(source) => Err(Error::segment(path)(source)),
                None => Ok(Step::Nothing),
            },
            Outcome::Clean { .. } if left => {
                self.at = At::Behind;
                Ok(Step::Moved)
            }
            // A later segment exists: this one is whole, or it is damaged.
            _ if left || later.is_some() => {
                let next = if left { next } else { later };
                Err(Error::DamagedBelowNext {
                    path,
                    offset: point.offset,
                    last_sequence: point.sequence,
                    next: self.dir.segment_path(next.unwrap_or_default()),
                })
            }
            Outcome::Torn { offset, why } if !written => {
                self.torn_tail = Some(TornTail { path, offset, last_sequence: point.sequence, why });
                Ok(Step::Nothing)
            }
            _ => {
                if empty {
                    // Closing removes an empty segment, and the next one bears the same name: look there again.
                    self.at = At::Behind;
                }
                Ok(Step::Nothing)
            }
        }
    }

    /// Whether this look goes beyond the next name: always at a final end, now and then while following.
    fn looks_around(&self) -> bool {
        !self.options.follow || self.looks % LOOK_AROUND_EVERY == LOOK_AROUND_EVERY - 1
    }

    /// The first segment beyond `sequence`.
    fn later_segment(&self, sequence: u64) -> Result<Option<u64>> {
        let sequences = self.dir.segment_sequences()?;
        Ok(sequences
            .get(sequences.partition_point(|&first| first <= sequence)..)
            .and_then(<[u64]>::first)
            .copied())
    }

    /// A reader that was asked to start behind the end would wait for entries of another history.
    fn check_not_beyond(&self) -> Result<()> {
        let last = self.last.map_or(0, |last| last.sequence);
        let sequence = self.options.from_sequence;
        if sequence > last.saturating_add(1) && !matches!(self.at, At::Ended) {
            return Err(Error::BeyondEnd { sequence, last, path: self.dir.path.clone() });
        }
        Ok(())
    }

    fn segment_error(&self, source: graphstream_format::Error, path: &Path) -> Error {
        match source {
            graphstream_format::Error::ChainMismatch { sequence, expected, found } => {
                Error::Fork { path: path.to_path_buf(), sequence, expected, found }
            }
            source => Error::segment(path)(source),
        }
    }
}

impl Iterator for JournalReader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = Entry::default();
        match self.read_next(&mut entry) {
            Ok(true) => Some(Ok(entry)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
