//! Points of a published history: which entry a sequence, a time or a label means, and what its chain hash is.
//!
//! ```text
//!   sequence 7    the segment that holds it is fetched and read up to it
//!   time t        the last entry that was committed at t or before: in or right before the first segment whose name says later
//!   label         where it points; the chain hash must be the one that was labelled
//!   latest        what is committed: the head says it
//! ```

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use graphstream_format::{ChainHash, Entry, Position, ReadOptions, SegmentReader};
use graphstream_remote::{
    HeadPoll, HeadReader, Label, LabelName, PlannedSegment, Remote, Run, SegmentName, SegmentSink, StoredHead,
};

use crate::threads::blocking;
use crate::{Error, Result};

/// How often what moved between listing and fetching is looked for again.
const ATTEMPTS: usize = 8;
const READ_BUFFER_BYTES: usize = 256 << 10;

/// Which point of a history is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Goal {
    /// Everything that is committed.
    #[default]
    Latest,
    /// Up to and with this entry.
    Sequence(u64),
    /// Up to and with the last entry that was committed at this time, in ms since 1970, or before.
    Time(i64),
    /// Where a label points.
    Label(LabelName),
}

/// An entry of a published history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// Its sequence.
    pub sequence: u64,
    /// The chain hash after it.
    pub chain_hash: ChainHash,
    /// When it was committed, in ms since 1970.
    pub commit_ms: i64,
    /// Whether that is its own time. A segment of version 1 has one for all its entries, that of its last.
    pub commit_exact: bool,
}

impl Point {
    fn of(entry: &Entry) -> Self {
        let Entry { sequence, chain_hash, commit_ms, commit_exact, .. } = *entry;
        Self { sequence, chain_hash, commit_ms, commit_exact }
    }
}

/// Finds the entry that `goal` means, as the segments have it: a segment is verified as far as it is read.
///
/// # Errors
/// [`Error::NoDatabase`]; [`Error::NothingCommitted`]; [`Error::BeyondCommitted`]; [`Error::BeforeHistory`] for a time before the
/// first entry; [`Error::NoLabel`]; [`Error::LabelForked`]; [`Error::Remote`] with a gap where the entry is not to be had.
pub async fn find_point(remote: &Remote, goal: &Goal) -> Result<(Arc<StoredHead>, Point)> {
    let mut finder = Finder::open(remote.clone()).await?;
    let point = match goal {
        Goal::Latest => finder.at_head().await?,
        Goal::Sequence(sequence) => finder.at(*sequence).await?,
        Goal::Time(ms) => finder.at_time(*ms).await?,
        Goal::Label(name) => {
            let label = labelled(remote, &finder.head, name).await?;
            let found = finder.at(label.sequence).await?;
            let at = finder.position(&found);
            check_label(remote, name, &label, &at)?;
            found
        }
    };
    Ok((finder.head, point))
}

/// Reads a label of the history under `head`.
pub(crate) async fn labelled(remote: &Remote, head: &StoredHead, name: &LabelName) -> Result<Label> {
    let Some(label) = remote.read_label(name).await? else {
        let database = remote.layout().database().to_string();
        return Err(Error::NoLabel { label: name.to_string(), database });
    };
    if label.lineage != head.head.lineage() {
        let (label_lineage, published) = (label.lineage, head.head.lineage());
        return Err(Error::LabelLineage { label: name.to_string(), lineage: label_lineage, published });
    }
    Ok(label)
}

/// What is found where a label points must be what was labelled.
pub(crate) fn check_label(remote: &Remote, name: &LabelName, label: &Label, found: &Position) -> Result<()> {
    if remote.is_chain(&label.chain, found)? {
        return Ok(());
    }
    Err(Error::LabelForked {
        label: name.to_string(),
        sequence: label.sequence,
        expected: Box::new(label.chain),
        found: Box::new(remote.shown_chain(found, &label.chain)),
    })
}

/// Looks for entries under one head.
pub(crate) struct Finder {
    reader: HeadReader,
    pub(crate) head: Arc<StoredHead>,
}

impl Finder {
    pub(crate) async fn open(remote: Remote) -> Result<Self> {
        let (database, store) = (remote.layout().database().to_string(), remote.backend().describe());
        let mut reader = HeadReader::new(remote)?;
        let HeadPoll::Changed(head) = reader.poll().await? else {
            return Err(Error::NoDatabase { database, store });
        };
        if head.head.committed().sequence == 0 {
            return Err(Error::NothingCommitted { database });
        }
        Ok(Self { reader, head })
    }

    /// Reads the head again.
    pub(crate) async fn poll(&mut self) -> Result<()> {
        if let HeadPoll::Changed(head) = self.reader.poll().await? {
            self.head = head;
        }
        Ok(())
    }

    /// The last committed entry. Where the head is keyed, its segment tells the chain hash.
    pub(crate) async fn at_head(&self) -> Result<Point> {
        let at = self.reader.remote().committed_position(&self.head).await?;
        let commit_ms = self.head.head.committed().commit_ms;
        Ok(Point { sequence: at.sequence, chain_hash: at.chain_hash, commit_ms, commit_exact: true })
    }

    /// Where an entry of this history is.
    pub(crate) fn position(&self, point: &Point) -> Position {
        let lineage = self.head.head.lineage();
        Position { lineage, sequence: point.sequence, chain_hash: point.chain_hash }
    }

    /// The entry with this sequence.
    pub(crate) async fn at(&mut self, sequence: u64) -> Result<Point> {
        if sequence == self.head.head.committed().sequence {
            return self.at_head().await;
        }
        self.at_with_epoch(sequence).await.map(|(point, _)| point)
    }

    /// The entry with this sequence, and the epoch that it is of.
    pub(crate) async fn at_with_epoch(&mut self, sequence: u64) -> Result<(Point, u32)> {
        let committed = self.head.head.committed().sequence;
        if sequence == 0 || sequence > committed {
            return Err(Error::BeyondCommitted { sequence, committed });
        }
        let newest = self.head.head.segments().last().map(|row| row.name.epoch());
        if let Some(epoch) = newest.filter(|_| sequence == committed) {
            return Ok((self.at_head().await?, epoch));
        }
        let mut missing = Vec::new();
        for _ in 0..ATTEMPTS {
            let plan = self.reader.resolve(sequence.saturating_sub(1), &missing).await?;
            let Some(planned) = plan.segments.first() else { break };
            let Some(scanned) =
                self.scan(&plan.head, planned, move |entry| entry.sequence <= sequence).await?
            else {
                missing.push(planned.name);
                continue;
            };
            let (first, last) = (planned.name.first(), planned.name.last());
            let Some(found) = scanned.last.filter(|point| point.sequence == sequence) else {
                return Err(Error::Misnamed { segment: planned.name, first, last });
            };
            // A merged segment is named after the epoch of its last entry.
            let within = plan.head.head.epochs().iter().rfind(|row| row.start_sequence < sequence);
            let epoch = within.filter(|_| planned.name.level() > 0).map(|row| row.epoch);
            return Ok((found, epoch.unwrap_or(planned.name.epoch())));
        }
        Err(self.gone(sequence, sequence))
    }

    /// Everything that is history, under the head that is read for it.
    pub(crate) async fn runs(&mut self, missing: &[SegmentName]) -> Result<Vec<Run>> {
        let (head, runs) = self.reader.history(0, missing).await?;
        self.head = head;
        Ok(runs)
    }

    /// The last entry that was committed at this time or before, as far as segments hold it.
    pub(crate) async fn at_time(&mut self, ms: i64) -> Result<Point> {
        if ms >= self.head.head.committed().commit_ms {
            return self.at_head().await;
        }
        let mut missing = Vec::new();
        for _ in 0..ATTEMPTS {
            let runs = self.runs(&missing).await?;
            match self.last_until(&runs, ms, &mut missing).await? {
                Until::At(point) => return Ok(point),
                Until::Sequence(sequence) => return self.at(sequence).await,
                Until::Moved => {}
                Until::Hidden { first, last } => return Err(self.gone(first, last)),
                Until::Before { commit_ms } => {
                    return Err(Error::BeforeHistory { goal_ms: ms, first_ms: commit_ms });
                }
            }
        }
        Err(self.gone(1, self.head.head.committed().sequence))
    }

    /// Where a time falls into what the runs hold. Fetches one segment at most.
    pub(crate) async fn last_until(
        &self,
        runs: &[Run],
        ms: i64,
        missing: &mut Vec<SegmentName>,
    ) -> Result<Until> {
        let mut before: Option<u64> = None;
        for run in runs {
            let Some(planned) = run.segments.iter().find(|it| it.name.commit_ms() > ms) else {
                before = Some(run.last);
                continue;
            };
            let Some(scanned) = self.scan(&self.head, planned, move |entry| entry.commit_ms <= ms).await?
            else {
                missing.push(planned.name);
                return Ok(Until::Moved);
            };
            let preceding = planned.name.first().saturating_sub(1);
            return Ok(match scanned.last {
                Some(point) => Until::At(point),
                None if run.first <= preceding => Until::Sequence(preceding),
                None if preceding == 0 => Until::Before { commit_ms: scanned.first_commit_ms },
                // Nothing of a hole is known but that its entries were committed between its two ends.
                None => {
                    Until::Hidden { first: before.map_or(1, |last| last.saturating_add(1)), last: preceding }
                }
            });
        }
        Ok(match before {
            Some(last) => Until::Sequence(last),
            None => Until::Hidden { first: 1, last: self.head.head.committed().sequence },
        })
    }

    /// Reads a segment for as long as `wanted` says; `None` when it is not there any more.
    async fn scan(
        &self,
        head: &StoredHead,
        planned: &PlannedSegment,
        wanted: impl Fn(&Entry) -> bool + Send + 'static,
    ) -> Result<Option<Scanned>> {
        let failed = |source| Error::Cache {
            attempted: "creating a temporary file in",
            path: std::env::temp_dir(),
            source,
        };
        let mut file = Scratch(tempfile::NamedTempFile::new().map_err(failed)?);
        let fetched = self.reader.remote().fetch_segment(&head.head, planned, &mut file).await;
        if fetched.map_err(|error| Error::Remote(error.placed(file.0.path())))?.is_none() {
            return Ok(None);
        }
        let keys = self.reader.remote().keys().cloned();
        let (planned, lineage) = (*planned, head.head.lineage());
        blocking("reading a segment", move || {
            let mut options = ReadOptions::default().with_expected_lineage(lineage).with_legacy_refused();
            if let Some(keys) = keys {
                options = options.with_keys(keys);
            }
            last_wanted(file.0.path(), &planned, options, wanted).map(Some)
        })
        .await
    }

    fn gone(&self, first: u64, last: u64) -> Error {
        Error::Remote(graphstream_remote::Error::Gap {
            database: self.reader.remote().layout().database().to_string(),
            first,
            last,
            committed: self.head.head.committed().sequence,
        })
    }
}

/// Where a time falls.
pub(crate) enum Until {
    /// On an entry that was read.
    At(Point),
    /// On the last entry of a segment that was not read.
    Sequence(u64),
    /// A segment was compacted away meanwhile: look again.
    Moved,
    /// On an entry that no segment holds.
    Hidden { first: u64, last: u64 },
    /// Before the first entry that ever was.
    Before { commit_ms: i64 },
}

/// A segment that was read as far as it was wanted.
struct Scanned {
    /// Commit time of its first entry.
    first_commit_ms: i64,
    /// The last entry that was wanted.
    last: Option<Point>,
}

struct Scratch(tempfile::NamedTempFile);

impl SegmentSink for Scratch {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.0.write_all(chunk)
    }
}

fn last_wanted(
    path: &Path,
    planned: &PlannedSegment,
    options: ReadOptions,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Scanned> {
    let name = planned.name;
    let segment = |source| match source {
        graphstream_format::Error::KeyRequired { id } => Error::EncryptedSegment { segment: name, id },
        source => Error::Segment { segment: name, source: Box::new(source) },
    };
    let cache = |source| Error::Cache { attempted: "reading", path: path.to_path_buf(), source };
    let file = File::open(path).map_err(cache)?;
    let bytes = file.metadata().map_err(cache)?.len();
    let mut reader = SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file), bytes, options)
        .map_err(segment)?;
    let first_commit_ms = reader.header().first_commit_ms;
    let mut entry = Entry::default();
    let mut last = None;
    while reader.read_next(&mut entry).map_err(segment)? && wanted(&entry) {
        last = Some(Point::of(&entry));
    }
    Ok(Scanned { first_commit_ms, last })
}
