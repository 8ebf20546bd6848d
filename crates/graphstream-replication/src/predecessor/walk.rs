//! Reading a predecessor's database from its first entry to its last: one object at a time, through a scratch file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;

use graphstream_format::{ChainHash, Entry, ReadOptions, SegmentReader};
use graphstream_proto::JournalEntry;
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, Key};

use super::survey::reading;
use super::{Predecessor, PredecessorError, PredecessorObject, PredecessorSurvey};
use crate::threads::blocking;
use crate::{Error, Result};

const READ_BUFFER_BYTES: usize = 256 << 10;

/// What an object turned out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum ObjectState {
    /// It continues the history.
    Whole,
    /// It holds nothing that the objects before it don't hold, and the same.
    Duplicate,
    /// It continues the history, and ends in a torn tail at this file offset: the last one, as the predecessor left it.
    Torn(u64),
    /// Something is wrong with it, or with what should stand before it.
    Bad(PredecessorError),
}

/// One object, read to its end, or a gap before one.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedObject {
    /// Its key; `None` for a gap.
    pub key: Option<Key>,
    /// The first entry that it holds, or that is missing.
    pub first: u64,
    /// The last one; of a damaged object the last whole one.
    pub last: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Bytes of the object.
    pub bytes: u64,
    /// The chain hash of its last entry.
    pub chain_hash: Option<ChainHash>,
    /// Whether its key says another first sequence.
    pub misnamed: bool,
    /// What it is.
    pub state: ObjectState,
}

/// What a walk came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PredecessorTotals {
    /// Segments that continue the history.
    pub segments: u64,
    /// Segments that hold the same as others.
    pub duplicates: u64,
    /// Entries of the history.
    pub entries: u64,
    /// Bytes of all objects that were read.
    pub bytes: u64,
    /// The last sequence.
    pub last: u64,
    /// The chain hash there.
    pub chain_hash: ChainHash,
    /// Bytes of payloads.
    pub payload_bytes: u64,
}

/// Takes the entries of a history in order, on a blocking thread.
pub(super) trait Visitor: Send + 'static {
    /// The next entry; its commit time is the segment's.
    fn entry(&mut self, entry: &Entry, decoded: &JournalEntry) -> Result<()>;
}

impl Visitor for () {
    fn entry(&mut self, _: &Entry, _: &JournalEntry) -> Result<()> {
        Ok(())
    }
}

/// Where a walk is.
#[derive(Debug)]
pub(super) struct Walk {
    totals: PredecessorTotals,
    /// Not known behind damage.
    chain_hash: Option<ChainHash>,
    /// Chain hashes at sequences where objects begin and end: what several objects hold must be the same in all, and an equal chain hash
    /// at the end of one proves everything in it.
    known: BTreeMap<u64, Option<ChainHash>>,
    /// Cleared for each object; its buffer is used again.
    decoded: JournalEntry,
    scratch: PathBuf,
}

/// What reading one object gave.
struct Read {
    entries: u64,
    last: u64,
    chain_hash: Option<ChainHash>,
    outcome: Result<Option<u64>, PredecessorError>,
}

impl Walk {
    /// Through these objects; downloads go to this file, one after the other. Chain hashes at `wanted` are kept, too.
    pub(super) fn new(
        scratch: PathBuf,
        objects: &[PredecessorObject],
        wanted: impl IntoIterator<Item = u64>,
    ) -> Self {
        let bounds = objects.iter().flat_map(|object| [object.header.first_seq - 1, object.header.last_seq]);
        let mut known: BTreeMap<_, _> = bounds.chain(wanted).map(|sequence| (sequence, None)).collect();
        known.insert(0, Some(ChainHash::ZERO));
        Self {
            totals: PredecessorTotals::default(),
            chain_hash: Some(ChainHash::ZERO),
            known,
            decoded: JournalEntry::default(),
            scratch,
        }
    }

    pub(super) fn totals(&self) -> PredecessorTotals {
        let chain_hash = self.chain_hash.unwrap_or(ChainHash::ZERO);
        PredecessorTotals { chain_hash, ..self.totals }
    }

    /// The chain hashes that were found: where objects begin and end, and those that were wanted.
    pub(super) fn into_known(self) -> BTreeMap<u64, ChainHash> {
        self.known.into_iter().filter_map(|(sequence, found)| Some((sequence, found?))).collect()
    }

    /// Reads an object. A gap before it comes first.
    pub(super) async fn object<V: Visitor>(
        mut self,
        source: &Predecessor,
        object: &PredecessorObject,
        last_object: bool,
        mut visitor: V,
    ) -> Result<(Self, V, Vec<CheckedObject>)> {
        let mut checked = Vec::new();
        let first = object.header.first_seq;
        let next = self.totals.last.saturating_add(1);
        if first > next {
            checked.push(self.gap(next, first - 1));
        }
        let key = object.key.clone();
        if let Err(error) = fetch(source, object, &self.scratch).await? {
            checked.push(self.bad(object, error));
            return Ok((self, visitor, checked));
        }
        let (mut walk, read, visitor) = blocking("reading a segment of the predecessor", move || {
            let read = self.read(&key, first, &mut visitor)?;
            Ok((self, read, visitor))
        })
        .await?;
        checked.push(walk.take(object, read, last_object));
        Ok((walk, visitor, checked))
    }

    fn gap(&mut self, first: u64, last: u64) -> CheckedObject {
        self.totals.last = last;
        self.chain_hash = None;
        CheckedObject {
            key: None,
            first,
            last,
            entries: 0,
            bytes: 0,
            chain_hash: None,
            misnamed: false,
            state: ObjectState::Bad(PredecessorError::Gap { first, last }),
        }
    }

    fn bad(&mut self, object: &PredecessorObject, error: PredecessorError) -> CheckedObject {
        // What it says it holds is no gap as well.
        if object.header.last_seq > self.totals.last {
            self.totals.last = object.header.last_seq;
            self.chain_hash = None;
        }
        CheckedObject {
            key: Some(object.key.clone()),
            first: object.header.first_seq,
            last: object.header.last_seq,
            entries: 0,
            bytes: object.size,
            chain_hash: None,
            misnamed: object.named != object.header.first_seq,
            state: ObjectState::Bad(error),
        }
    }

    /// Reads the scratch file; entries that are new go to `visitor`.
    fn read<V: Visitor>(&mut self, key: &Key, first: u64, visitor: &mut V) -> Result<Read> {
        let local = |source| Error::Cache { attempted: "reading", path: self.scratch.clone(), source };
        let file = File::open(&self.scratch).map_err(local)?;
        let bytes = file.metadata().map_err(local)?.len();
        let at = self.totals.last;
        let mut read =
            Read { entries: 0, last: first.saturating_sub(1), chain_hash: None, outcome: Ok(None) };
        let mut options = ReadOptions::default();
        let before = first.checked_sub(1).and_then(|before| self.known.get(&before).copied().flatten());
        if let Some(chain) = before.or(self.chain_hash.filter(|_| first == at + 1)) {
            options = options.with_expected_chain(chain);
        }
        let damaged = |source: graphstream_format::Error| match source {
            graphstream_format::Error::ChainMismatch { sequence, expected, found } => {
                PredecessorError::Fork { key: key.clone(), sequence, expected, found }
            }
            source => PredecessorError::Object { key: key.clone(), source: Box::new(source) },
        };
        let mut reader =
            match SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file), bytes, options) {
                Ok(reader) => reader,
                Err(source) => {
                    read.outcome = Err(damaged(source));
                    return Ok(read);
                }
            };
        let mut entry = Entry::default();
        loop {
            match reader.read_next(&mut entry) {
                Ok(true) => {}
                Ok(false) => break,
                Err(source) => {
                    read.outcome = Err(damaged(source));
                    return Ok(read);
                }
            }
            let (sequence, found) = (entry.sequence, entry.chain_hash);
            (read.entries, read.last, read.chain_hash) = (read.entries + 1, sequence, Some(found));
            if let Some(known) = self.known.get_mut(&sequence) {
                let expected = *known.get_or_insert(found);
                if expected != found {
                    read.outcome =
                        Err(PredecessorError::Fork { key: key.clone(), sequence, expected, found });
                    return Ok(read);
                }
            }
            if let Err(source) = self.decoded.decode_from(&entry.payload, sequence) {
                read.outcome = Err(PredecessorError::Payload { key: key.clone(), sequence, source });
                return Ok(read);
            }
            if sequence > at {
                self.totals.entries += 1;
                self.totals.payload_bytes += entry.payload.len() as u64;
                visitor.entry(&entry, &self.decoded)?;
            }
        }
        read.outcome = Ok(reader.end().and_then(|end| end.torn).map(|torn| torn.offset));
        Ok(read)
    }

    fn take(&mut self, object: &PredecessorObject, read: Read, last_object: bool) -> CheckedObject {
        let first = object.header.first_seq;
        let before = self.totals.last;
        self.totals.bytes += object.size;
        let state = match read.outcome {
            Err(error) => {
                self.totals.last = before.max(object.header.last_seq).max(read.last);
                if self.totals.last > before {
                    self.chain_hash = None;
                }
                ObjectState::Bad(error)
            }
            Ok(_) if read.last <= before && read.entries > 0 => {
                self.totals.duplicates += 1;
                ObjectState::Duplicate
            }
            Ok(torn) => {
                self.totals.segments += 1;
                self.totals.last = before.max(read.last);
                if read.entries > 0 {
                    self.chain_hash = read.chain_hash;
                    self.known.insert(read.last, read.chain_hash);
                }
                match torn {
                    None => ObjectState::Whole,
                    Some(offset) if last_object => ObjectState::Torn(offset),
                    Some(_) => {
                        let (key, sequence) = (object.key.clone(), read.last);
                        ObjectState::Bad(PredecessorError::TornWithin { key, sequence })
                    }
                }
            }
        };
        CheckedObject {
            key: Some(object.key.clone()),
            first,
            last: read.last,
            entries: read.entries,
            bytes: object.size,
            chain_hash: read.chain_hash,
            misnamed: object.named != first,
            state,
        }
    }
}

/// Downloads an object into a file.
async fn fetch(
    source: &Predecessor,
    object: &PredecessorObject,
    scratch: &std::path::Path,
) -> Result<Result<(), PredecessorError>> {
    let key = &object.key;
    let changed = || Ok(Err(PredecessorError::Changed { key: key.clone() }));
    let found = match source.backend().get(key, GetOptions::default()).await {
        Ok(GetOutcome::Found(found)) => found,
        Ok(GetOutcome::NotModified) => return changed(),
        Err(error) if error.class() == ErrorClass::NotFound => return changed(),
        Err(error) => return Err(reading(key)(error)),
    };
    let local = |source| Error::Cache { attempted: "writing", path: scratch.to_path_buf(), source };
    let mut file = File::create(scratch).map_err(local)?;
    let mut body = found.body;
    let mut bytes: u64 = 0;
    while let Some(chunk) = body.next_chunk().await.map_err(reading(key))? {
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > object.size {
            return changed();
        }
        file.write_all(&chunk).map_err(local)?;
    }
    if bytes == object.size { Ok(Ok(())) } else { changed() }
}

impl Predecessor {
    /// Verifies a whole database: every object is read, its entries, its chain and the sequences in its payloads; `sink` gets what each
    /// object is, and each gap. Goes on behind damage. Bounded memory: one entry and one decompression window.
    ///
    /// # Errors
    /// [`Error::Remote`] when the store fails, [`Error::Cache`] for the scratch file. What is wrong with the database is told to `sink`.
    pub async fn verify(
        &self,
        survey: PredecessorSurvey,
        mut sink: impl FnMut(&CheckedObject),
    ) -> Result<PredecessorTotals> {
        for error in survey.damaged {
            sink(&CheckedObject::unreadable(error));
        }
        let scratch = Scratch::new()?;
        let mut walk = Walk::new(scratch.file(), &survey.objects, []);
        let count = survey.objects.len();
        for (at, object) in survey.objects.iter().enumerate() {
            let (next, (), checked) = walk.object(self, object, at + 1 == count, ()).await?;
            walk = next;
            checked.iter().for_each(&mut sink);
        }
        Ok(walk.totals())
    }
}

impl CheckedObject {
    pub(super) fn unreadable(error: PredecessorError) -> Self {
        Self {
            key: error.key().cloned(),
            first: 0,
            last: 0,
            entries: 0,
            bytes: 0,
            chain_hash: None,
            misnamed: false,
            state: ObjectState::Bad(error),
        }
    }
}

/// A directory for one downloaded object and what is made of it.
#[derive(Debug)]
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(super) fn new() -> Result<Self> {
        let path = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("graphstream-import-").tempdir();
        made.map(Self).map_err(|source| Error::Cache { attempted: "creating a directory in", path, source })
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path().join("object.hadbj")
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}
