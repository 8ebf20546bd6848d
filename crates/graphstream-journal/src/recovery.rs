//! Opening a directory for writing: find where the journal ends, without reading its history.
//!
//! ```text
//! ... sealed  sealed  [newest sealed]  open  open  ...  [last open]
//!     not read         read, verified  whole: a later  may have a
//!                                      segment exists  torn tail
//! ```
//!
//! First everything is looked at; only if all of it is sound is anything changed: every open segment with a whole record is
//! sealed (its good part: this is how a torn tail is cut), the others are removed. Nothing that was read from an open segment
//! counts as synced before it stands in a sealed file, because after a failed sync the system may still show bytes that never
//! reached the disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use graphstream_format::open::{Outcome, Scanner};
use graphstream_format::{ChainHash, Lineage, Position, RecordDefect, SegmentKind, SegmentReader};

use crate::clock::{Clock, Entropy};
use crate::committer::Tail;
use crate::directory::{JournalDir, remove_if_exists};
use crate::error::{Error, Result};
use crate::form::Form;
use crate::fs::Access;
use crate::identity::Identity;
use crate::legacy::{self, Adoption};
use crate::lock::WriterLock;
use crate::seal::{SealOrder, SealedSegment, seal};
use crate::segment_file::{FileAt, FileStream, OpenedSegment};
use crate::starting_point::StartingPoint;
use crate::{encryption, names, sabotage};

/// What opening a journal found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether the directory was set up just now.
    pub created: bool,
    /// Where the journal ends; all of it is sealed.
    pub position: Position,
    /// The commit time of the last entry, in milliseconds since 1970 (UTC); `i64::MIN` without entries.
    pub last_commit_ms: i64,
    /// The open segments of an unclean stop that were sealed, ascending. Their entries count as synced since now.
    pub sealed: Vec<SealedSegment>,
    /// A torn tail that was cut.
    pub torn_tail: Option<TornTail>,
    /// Open segments without a whole record that were removed.
    pub removed_empty: Vec<PathBuf>,
    /// Temporary files of a crash that were removed.
    pub removed_temporary: Vec<PathBuf>,
    /// What was taken over from a predecessor's directory.
    pub adopted: Option<Adoption>,
    /// Entries beyond a noted fence that were moved to `forked/`.
    pub forked: Option<crate::forked::Forked>,
}

impl RecoveryReport {
    /// Whether the journal had been closed properly (or was new): nothing had to be done.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sealed.is_empty()
            && self.torn_tail.is_none()
            && self.removed_empty.is_empty()
            && self.removed_temporary.is_empty()
            && self.adopted.is_none()
            && self.forked.is_none()
    }
}

/// The end of an open segment that a crash has left incomplete. Nothing of it was ever acknowledged as synced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// File offset of the first bytes that are not part of a whole record.
    pub offset: u64,
    /// The last sequence before it.
    pub last_sequence: u64,
    /// What is wrong there.
    pub why: RecordDefect,
}

/// Most chain hashes that are kept between scanning and sealing, of all segments together (4 MiB).
const CHAIN_HASHES_MAX: usize = 1 << 17;

/// What an opening works with.
pub(crate) struct Opening<'a> {
    pub(crate) dir: &'a JournalDir,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    /// How segments are sealed.
    pub(crate) form: Form,
    pub(crate) encrypt_existing: bool,
    pub(crate) database_id: Option<[u8; 16]>,
    pub(crate) lineage: Option<Lineage>,
    pub(crate) start: Option<StartingPoint>,
}

/// What the journal goes on with.
pub(crate) struct Recovered {
    pub(crate) lock: WriterLock,
    pub(crate) tail: Tail,
    pub(crate) newest_sealed: Option<SealedSegment>,
}

/// A sound open segment.
struct Scanned {
    first_sequence: u64,
    path: PathBuf,
    tail: Tail,
    /// The chain hashes after its first entries: verified here, so sealing need not compute them again.
    chain: Vec<ChainHash>,
}

impl Scanned {
    fn is_empty(&self) -> bool {
        self.tail.sequence < self.first_sequence
    }
}

impl Opening<'_> {
    pub(crate) fn run(self) -> Result<(Recovered, RecoveryReport)> {
        let dir = self.dir;
        let fs = &*dir.fs;
        self.create_dir()?;
        let lock = WriterLock::acquire_on(fs, &dir.path)?;
        if let Some(note) = dir.fenced()? {
            // Whoever removes FENCED decides that this journal may go on; then what lies beyond the fence is set aside.
            if dir.identity()?.is_some_and(|identity| identity.fenced_after != Some(note.after)) {
                dir.note_fenced_after(Some(note.after))?;
            }
            return Err(Error::Fenced { after: note.after, path: dir.path.join(names::FENCED) });
        }
        // What an earlier process has left may stand here without being durable: it was killed, or has failed, between a rename and the
        // directory's sync. Sealed segments and `journal.json` are relied on below.
        fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;
        let sequences = dir.segment_sequences()?;
        let (identity, created, adopted) = self.identity(&sequences)?;
        let sequences = if adopted.is_some() { dir.segment_sequences()? } else { sequences };

        let newest = Newest::find(dir, &identity, &sequences)?;
        let (scanned, torn_tail) = self.scan(&newest)?;
        let identity = encryption::require(&self, identity, newest.plain.then_some(newest.tail.sequence))?;

        // Everything is sound. From here on the directory is changed.
        let removed_temporary = self.sweep()?;
        let mut report = RecoveryReport {
            created,
            position: Position::start(identity.lineage),
            last_commit_ms: i64::MIN,
            sealed: Vec::new(),
            torn_tail,
            removed_empty: Vec::new(),
            removed_temporary,
            adopted,
            forked: None,
        };
        let mut tail = newest.tail;
        let mut newest_sealed = newest.sealed;
        for segment in scanned {
            if segment.is_empty() {
                remove_if_exists(fs, &segment.path)?;
                fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;
                report.removed_empty.push(segment.path);
                continue;
            }
            let order = SealOrder {
                first_sequence: segment.first_sequence,
                last_sequence: segment.tail.sequence,
                chain_hash: segment.tail.chain_hash,
                chain: Arc::new(segment.chain),
            };
            if sabotage::is("trust_the_page_cache") {
                let file =
                    fs.open(&segment.path, Access::ReadWrite).map_err(Error::io("opening", &segment.path))?;
                file.sync_all().map_err(Error::io("syncing", &segment.path))?;
                tail = segment.tail;
                continue;
            }
            let sealed = seal(fs, &dir.path, &self.form, &order)?;
            tail = segment.tail;
            newest_sealed = Some(sealed.clone());
            report.sealed.push(sealed);
        }
        if let Some(after) = identity.fenced_after {
            let forked = crate::forked::fork_off(dir, identity, after, tail, &self.form)?;
            if forked.is_some() {
                let sequences = dir.segment_sequences()?;
                let identity = dir.identity()?.ok_or_else(|| missing(dir))?;
                let newest = Newest::find(dir, &identity, &sequences)?;
                (tail, newest_sealed) = (newest.tail, newest.sealed);
            }
            report.forked = forked;
        }
        report.position.sequence = tail.sequence;
        report.position.chain_hash = tail.chain_hash;
        report.last_commit_ms = tail.commit_ms;
        tracing::info!(
            sequence = tail.sequence,
            sealed = report.sealed.len(),
            torn = report.torn_tail.is_some(),
            clean = report.is_clean(),
            "journal opened"
        );
        Ok((Recovered { lock, tail, newest_sealed }, report))
    }

    fn create_dir(&self) -> Result<()> {
        let dir = self.dir;
        let exists = match dir.fs.list(&dir.path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io("listing", &dir.path)(error)),
        };
        if exists && dir.identity()?.is_some() {
            return Ok(());
        }
        if !exists {
            dir.fs.create_dir_all(&dir.path).map_err(Error::io("creating", &dir.path))?;
        }
        // The names of the directory and of the parents that were created with it. Without `journal.json`, an earlier attempt may have
        // created them and failed here. A directory that cannot be read is none of them.
        for parent in dir.path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            match dir.fs.sync_dir(parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                result => result.map_err(Error::io("syncing", parent))?,
            }
        }
        Ok(())
    }

    /// Reads `journal.json`, or sets up what is missing.
    fn identity(&self, sequences: &[u64]) -> Result<(Identity, bool, Option<Adoption>)> {
        let dir = self.dir;
        let found = dir.identity()?;
        encryption::check_opening(self, found.as_ref(), sequences)?;
        match found {
            Some(identity) if identity.adopting => {
                let (identity, adoption) = legacy::adopt(self, identity)?;
                Ok((identity, false, Some(adoption)))
            }
            Some(identity) => {
                if let Some(start) = &self.start
                    && sequences.is_empty()
                    && self.lineage == Some(identity.lineage)
                {
                    start.move_forward(&*dir.fs, &dir.path)?;
                }
                Ok((identity, false, None))
            }
            None if sequences.is_empty() => {
                if let Some(start) = &self.start {
                    start.write(&*dir.fs, &dir.path)?;
                }
                let mut identity = self.new_identity()?;
                identity.encryption_key = dir.keys.as_ref().map(|keys| keys.current().id());
                identity.write(&*dir.fs, &dir.path)?;
                Ok((identity, true, None))
            }
            None => {
                legacy::check(dir, sequences)?;
                let mut identity = self.new_identity()?;
                identity.adopting = true;
                identity.write(&*dir.fs, &dir.path)?;
                let (identity, adoption) = legacy::adopt(self, identity)?;
                Ok((identity, false, Some(adoption)))
            }
        }
    }

    fn new_identity(&self) -> Result<Identity> {
        let draw = || self.entropy.random().map_err(Error::io("drawing random numbers for", &self.dir.path));
        let database_id = self.database_id.map_or_else(draw, Ok)?;
        let lineage = match self.lineage {
            Some(lineage) => lineage,
            None => Lineage::from_bytes(draw()?),
        };
        Ok(Identity::new(database_id, lineage, self.clock.now_ms()))
    }

    /// Checks every open segment against the one before it.
    fn scan(&self, newest: &Newest) -> Result<(Vec<Scanned>, Option<TornTail>)> {
        let mut tail = newest.tail;
        let mut scanned = Vec::new();
        let mut torn_tail = None;
        let mut chain_room = CHAIN_HASHES_MAX;
        for (place, segment) in newest.open.iter().enumerate() {
            let next = newest.open.get(place + 1);
            let path = self.dir.segment_path(segment.header.first_seq);
            let mut scanner = Scanner::open(FileAt(segment.file.clone())).map_err(Error::segment(&path))?;
            check_follows(&self.dir.path, &path, scanner.header().start, tail)?;
            let mut chain = Vec::new();
            let outcome = loop {
                while let Some(entry) = scanner.next_entry().map_err(Error::segment(&path))? {
                    if chain_room > 0 {
                        chain.push(entry.chain_hash);
                        chain_room -= 1;
                    }
                }
                match scanner.judge().map_err(Error::segment(&path))? {
                    Outcome::Grown => {}
                    outcome => break outcome,
                }
            };
            let point = scanner.point();
            if let Some(next) = next {
                // The next one was created after all of this one was on disk.
                let whole =
                    matches!(outcome, Outcome::Clean { .. }) && next.header.first_seq == point.sequence + 1;
                if !whole && !matches!(outcome, Outcome::Corrupt { .. }) {
                    return Err(Error::DamagedBelowNext {
                        path,
                        offset: point.offset,
                        last_sequence: point.sequence,
                        next: self.dir.segment_path(next.header.first_seq),
                    });
                }
            }
            match outcome {
                Outcome::Torn { offset, why } => {
                    let last_sequence = point.sequence;
                    torn_tail = Some(TornTail { path: path.clone(), offset, last_sequence, why });
                }
                Outcome::Corrupt { .. } => {
                    if let Some(source) = outcome.into_error() {
                        return Err(Error::segment(path)(source));
                    }
                }
                _ => {}
            }
            let commit_ms = point.commit_ms.max(tail.commit_ms);
            tail = Tail { sequence: point.sequence, chain_hash: point.chain_hash, commit_ms };
            scanned.push(Scanned { first_sequence: segment.header.first_seq, path, tail, chain });
        }
        Ok((scanned, torn_tail))
    }

    /// Removes what a crash has left under temporary names.
    fn sweep(&self) -> Result<Vec<PathBuf>> {
        let dir = self.dir;
        let mut removed = Vec::new();
        for entry in dir.fs.list(&dir.path).map_err(Error::io("listing", &dir.path))? {
            if names::is_temp_name(&entry.name) {
                let path = dir.path.join(&entry.name);
                remove_if_exists(&*dir.fs, &path)?;
                removed.push(path);
            }
        }
        removed.sort();
        Ok(removed)
    }
}

/// The newest sealed segment and the open ones behind it.
struct Newest {
    /// Where the sealed part ends.
    tail: Tail,
    sealed: Option<SealedSegment>,
    /// Whether that is not encrypted.
    plain: bool,
    open: Vec<OpenedSegment>,
}

impl Newest {
    fn find(dir: &JournalDir, identity: &Identity, sequences: &[u64]) -> Result<Self> {
        let mut open = Vec::new();
        let mut newest = None;
        for &first in sequences.iter().rev() {
            let path = dir.segment_path(first);
            // Nobody else removes segments of an open journal but `remove_released`, which leaves the newest.
            let Some(segment) = OpenedSegment::open(&*dir.fs, &path, first)? else { continue };
            if segment.header.lineage != identity.lineage {
                let found = segment.header.lineage;
                return Err(Error::ForeignLineage { path, expected: identity.lineage, found });
            }
            if segment.header.kind() == SegmentKind::Open {
                open.push(segment);
            } else {
                newest = Some((path, segment));
                break;
            }
        }
        open.reverse();
        let Some((path, segment)) = newest else {
            let start = StartingPoint::read(&*dir.fs, &dir.path)?;
            let tail = match start {
                Some(start) => Tail {
                    sequence: start.sequence,
                    chain_hash: start.chain_hash,
                    commit_ms: start.commit_ms,
                },
                None => Tail { sequence: 0, chain_hash: ChainHash::ZERO, commit_ms: i64::MIN },
            };
            return Ok(Self { tail, sealed: None, plain: false, open });
        };
        // All of it is verified: what follows continues its chain for good. It is one segment, whatever the history is.
        let options = identity.read_options(dir.keys.as_ref(), &segment.header);
        let options = options.with_expected_lineage(identity.lineage);
        let stream = FileStream::new(segment.file);
        let mut reader =
            SegmentReader::new(stream, segment.file_bytes, options).map_err(Error::segment(&path))?;
        let end = reader.verify().map_err(Error::segment(&path))?;
        let tail = Tail { sequence: end.last_seq, chain_hash: end.chain_hash, commit_ms: end.last_commit_ms };
        let plain = !segment.header.is_encrypted();
        let sealed = Some(SealedSegment::new(path, &segment.header, end.chain_hash));
        Ok(Self { tail, sealed, plain, open })
    }
}

/// Whether a segment continues what stands before it.
pub(crate) fn check_follows(
    dir: &std::path::Path,
    path: &std::path::Path,
    start: graphstream_format::SegmentStart,
    tail: Tail,
) -> Result<()> {
    let (found, last) = (start.first_seq, tail.sequence);
    if found <= last {
        return Err(Error::Overlap { path: path.to_path_buf(), last, found });
    }
    if found > last + 1 {
        return Err(Error::Gap { first: last + 1, last: found - 1, path: dir.to_path_buf() });
    }
    if start.chain_before != tail.chain_hash {
        return Err(Error::Fork {
            path: path.to_path_buf(),
            sequence: found,
            expected: tail.chain_hash,
            found: start.chain_before,
        });
    }
    Ok(())
}

fn missing(dir: &JournalDir) -> Error {
    Error::IdentityMissing { path: dir.path.join(names::JOURNAL_JSON) }
}
