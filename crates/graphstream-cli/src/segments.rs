//! Segments as the reading verbs meet them: named files, the files of a journal directory, objects of a store.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::format::header::HEADER_LEN;
use graphstream::format::{self, Header, ReadOptions, SegmentReader, verify_stored};
use graphstream::remote::{
    FetchedSegment, HeadPoll, HeadReader, Plan, PlannedSegment, Remote, SegmentSink, StoredHead,
};

use crate::failure::{Failure, Kind};

/// A reader over a segment's file.
pub(crate) type FileReader = SegmentReader<BufReader<File>>;

/// Opens a segment's file; what is wrong with it names the file.
pub(crate) fn open(path: &Path, options: ReadOptions) -> Result<FileReader, Failure> {
    open_as(path, path, options)
}

/// As [`open`]; what is wrong names `name`, such as the key of the object that was fetched into the file.
pub(crate) fn open_as(path: &Path, name: &Path, options: ReadOptions) -> Result<FileReader, Failure> {
    let (file, bytes) = open_file(path)?;
    SegmentReader::new(BufReader::with_capacity(256 * 1024, file), bytes, options)
        .map_err(|error| Failure::in_segment(name, &error))
}

/// Opens a regular file: anything else (a FIFO, say) could block for ever.
pub(crate) fn open_file(path: &Path) -> Result<(File, u64), Failure> {
    let opening = |error: &std::io::Error| Failure::opening(path, Kind::Journal, error);
    let meta = std::fs::metadata(path).map_err(|error| opening(&error))?;
    if meta.is_dir() {
        return Err(Failure::new(Kind::Journal, format!("{} is a directory", path.display()))
            .file(path)
            .hint(format!("--journal {} for a whole journal", path.display())));
    }
    if !meta.is_file() {
        return Err(
            Failure::new(Kind::Journal, format!("{} is not a regular file", path.display())).file(path)
        );
    }
    let file = File::open(path).map_err(|error| opening(&error))?;
    let bytes = file.metadata().map_err(|error| opening(&error))?.len();
    Ok((file, bytes))
}

/// Reads a segment's header alone, which takes no key.
pub(crate) fn header(path: &Path) -> Result<Header, Failure> {
    let (file, bytes) = open_file(path)?;
    match SegmentReader::new(file, bytes, ReadOptions::default()) {
        Ok(reader) => Ok(reader.header().clone()),
        Err(format::Error::KeyRequired { .. }) => {
            let mut bytes = [0; HEADER_LEN];
            let (file, _) = open_file(path)?;
            file.read_exact_at(&mut bytes, 0)
                .map_err(|error| Failure::opening(path, Kind::Journal, &error))?;
            Header::decode(&bytes).map_err(|error| Failure::in_segment(path, &error))
        }
        Err(error) => Err(Failure::in_segment(path, &error)),
    }
}

/// With these keys nothing plain is read, without any nothing encrypted.
pub(crate) fn options(keys: Option<&Arc<KeyRing>>) -> ReadOptions {
    match keys {
        Some(keys) => ReadOptions::default().with_keys(Arc::clone(keys)),
        None => ReadOptions::default(),
    }
}

/// Verifies what takes no key: header, length, footer and the checksum of the body as stored. What is wrong names `name`.
pub(crate) fn check_stored(path: &Path, name: &Path) -> Result<(), Failure> {
    let (file, bytes) = open_file(path)?;
    verify_stored(BufReader::with_capacity(256 * 1024, file), bytes)
        .map(drop)
        .map_err(|error| Failure::in_segment(name, &error))
}

/// A published history, read segment by segment into a scratch directory.
pub(crate) struct History {
    reader: HeadReader,
    scratch: tempfile::TempDir,
    plan: Option<(Plan, usize)>,
    missing: Vec<graphstream::remote::SegmentName>,
    at: u64,
}

/// A file that is read once and thrown away: it needs no sync.
struct Scratch(File);

impl SegmentSink for Scratch {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.0.write_all(chunk)
    }
}

/// The next piece of a published history.
pub(crate) enum Piece {
    /// A segment, fetched and checked against its name and the head.
    Segment(Box<Fetched>),
    /// A segment that is not what it should be, or entries that are nowhere. Reading can go on behind.
    Bad(Bad),
}

/// What [`History`] could not deliver.
pub(crate) struct Bad {
    pub(crate) name: Option<String>,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) failure: Failure,
}

/// A fetched segment.
pub(crate) struct Fetched {
    pub(crate) planned: PlannedSegment,
    pub(crate) segment: FetchedSegment,
    /// How it is read: with the keys of the history, unless the head admits that it is plain.
    pub(crate) options: ReadOptions,
    pub(crate) path: PathBuf,
    /// What messages call it: its name in the store.
    pub(crate) name: PathBuf,
}

impl History {
    /// Reads the head; entries after `from` are of interest.
    pub(crate) async fn open(remote: Remote, from: u64) -> Result<(Self, Arc<StoredHead>), Failure> {
        let (database, store) = (remote.layout().database().to_string(), remote.backend().describe());
        let mut reader = HeadReader::new(remote)?;
        let head = match reader.poll().await? {
            HeadPoll::Changed(head) => head,
            HeadPoll::Missing | HeadPoll::NotModified => {
                return Err(graphstream::replication::Error::NoDatabase { database, store }.into());
            }
        };
        let scratch = tempfile::Builder::new()
            .prefix("graphstream-")
            .tempdir()
            .map_err(|error| Failure::new(Kind::Io, "a temporary directory can't be made").because(&error))?;
        Ok((Self { reader, scratch, plan: None, missing: Vec::new(), at: from }, head))
    }

    /// The next piece, `None` when everything committed was delivered.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            let planned = match &mut self.plan {
                Some((plan, next)) => match plan.segments.get(*next) {
                    Some(planned) => {
                        *next += 1;
                        *planned
                    }
                    None if plan.is_complete() => {
                        self.plan = None;
                        return Ok(None);
                    }
                    None => {
                        self.plan = None;
                        continue;
                    }
                },
                None => match self.reader.resolve(self.at, &self.missing).await {
                    Ok(plan) => {
                        if plan.segments.is_empty() {
                            return Ok(None);
                        }
                        self.plan = Some((plan, 0));
                        continue;
                    }
                    Err(error) => return self.hole(error),
                },
            };
            let Some((plan, _)) = &self.plan else { continue };
            let path = self.scratch.path().join("segment.hadbj");
            let storing = |error: &std::io::Error| {
                Failure::new(Kind::Io, "a segment can't be kept in the temporary directory").because(error)
            };
            let mut sink = Scratch(File::create(&path).map_err(|error| storing(&error))?);
            let fetched = self.reader.remote().fetch_segment(&plan.head.head, &planned, &mut sink).await;
            match fetched {
                Ok(None) => {
                    // Compacted away, or lost: the next look at the store tells which.
                    self.missing.push(planned.name);
                    self.plan = None;
                }
                Ok(Some(segment)) => {
                    self.at = planned.name.last();
                    return Ok(Some(Piece::Segment(Box::new(Fetched {
                        planned,
                        options: self.reader.remote().read_options(&segment.header),
                        segment,
                        path,
                        name: planned.name.to_string().into(),
                    }))));
                }
                Err(error) if error.kind().is_integrity() => {
                    self.at = planned.name.last();
                    return Ok(Some(Piece::Bad(Bad {
                        name: Some(planned.name.to_string()),
                        first_sequence: planned.name.first(),
                        last_sequence: planned.name.last(),
                        failure: error.placed(&path).into(),
                    })));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Goes on behind another sequence.
    pub(crate) fn after(self, sequence: u64) -> Self {
        Self { plan: None, at: sequence, ..self }
    }

    /// Reads the head if it has changed: then there may be more pieces.
    pub(crate) async fn poll(&mut self) -> Result<bool, graphstream::remote::Error> {
        Ok(matches!(self.reader.poll().await?, HeadPoll::Changed(_)))
    }

    /// A gap is passed, anything else ends the history.
    fn hole(&mut self, error: graphstream::remote::Error) -> Result<Option<Piece>, Failure> {
        let graphstream::remote::Error::Gap { first, last, .. } = error else { return Err(error.into()) };
        self.at = last;
        Ok(Some(Piece::Bad(Bad {
            name: None,
            first_sequence: first,
            last_sequence: last,
            failure: error.into(),
        })))
    }
}
