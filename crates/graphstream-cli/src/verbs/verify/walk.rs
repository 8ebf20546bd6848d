//! From segments to rows: each is read to its end and compared with the one before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::format::{ChainHash, Entry, Header, Lineage, Position, ReadOptions, SegmentKind};
use graphstream::journal::{self, JournalDir, SegmentInfo};
use graphstream::remote::{Committed, Remote};
use serde::Serialize;

use super::{Depth, Problem, shown};
use crate::failure::{Failure, Kind};
use crate::segments::{self, Bad, Fetched};
use crate::verbs::inspect::kind_word;

/// One segment, or a gap.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_sequence: Option<u64>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Problem>,
    #[serde(skip)]
    pub(super) failure: Option<Failure>,
    /// A segment, and not another object or a gap.
    #[serde(skip)]
    pub(super) is_segment: bool,
}

impl Row {
    /// An object that is no part of the history.
    pub(super) const fn leftover() -> Self {
        Self {
            status: "leftover",
            file: None,
            kind: None,
            first_sequence: None,
            last_sequence: None,
            entries: 0,
            bytes: 0,
            chain_hash: None,
            problem: None,
            failure: None,
            is_segment: false,
        }
    }

    pub(super) fn bad(status: &'static str, failure: Failure) -> Self {
        let is_segment = status != "gap";
        Self {
            status,
            is_segment,
            file: failure.where_().file.clone().filter(|_| status != "gap"),
            kind: None,
            first_sequence: None,
            last_sequence: None,
            entries: 0,
            bytes: 0,
            chain_hash: None,
            problem: Some(Problem::of(&failure)),
            failure: Some(failure),
        }
    }
}

/// Takes rows as they come.
pub(super) type Sink<'a> = dyn FnMut(Row) -> Result<(), Failure> + 'a;

/// Where the last segment ended.
#[derive(Debug, Clone, Copy)]
struct Joint {
    lineage: Lineage,
    last_sequence: u64,
    /// Not known behind damage.
    chain_hash: Option<ChainHash>,
}

/// Compares each segment with the one before.
#[derive(Debug)]
pub(super) struct Walk {
    joint: Option<Joint>,
    /// What messages say entries are missing in.
    place: PathBuf,
    any_bad: bool,
    /// Merged segments of a store may overlap those before.
    overlaps: bool,
    /// The keys of encrypted segments; with them, nothing plain is accepted but what a journal says.
    keys: Option<Arc<KeyRing>>,
    /// Of sealed segments nothing but the header is read.
    headers_only: bool,
}

/// What a segment is expected to be.
struct Subject<'a> {
    path: &'a Path,
    name: &'a Path,
    /// Another segment follows in the directory, which proves this one whole.
    followed_by: Option<PathBuf>,
    /// Somebody writes to it.
    live: bool,
    /// How it is read.
    options: ReadOptions,
}

/// Verifies the segments of a directory.
pub(super) fn journal(
    dir: &Path,
    keys: Option<Arc<KeyRing>>,
    depth: Depth,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let mut dir = JournalDir::open(dir)?;
    if let Some(keys) = &keys {
        dir = dir.with_keys(Arc::clone(keys));
        dir.check_keys()?;
    }
    let live = dir.writer()?.held;
    let lineage = dir.identity()?.map(|identity| identity.lineage);
    let sequences = dir.segment_sequences()?;
    let mut walk = Walk::new(dir.path().to_path_buf(), keys);
    walk.headers_only = depth == Depth::List;
    for (index, first) in sequences.iter().enumerate() {
        let path = dir.segment_path(*first);
        match dir.segment(*first) {
            // Released since it was listed.
            Ok(None) => continue,
            Ok(Some(SegmentInfo { header, .. })) => {
                if let Some(expected) = lineage.filter(|lineage| *lineage != header.lineage) {
                    let found = header.lineage;
                    let error = journal::Error::ForeignLineage { path, expected, found };
                    sink(walk.damaged(Some(&header), Failure::from(error)))?;
                    continue;
                }
                let followed_by = sequences.get(index + 1).map(|next| dir.segment_path(*next));
                let options = dir.read_options(&header)?;
                let subject = Subject { path: &path, name: &path, followed_by, live, options };
                for row in walk.segment(&subject, &header) {
                    sink(row)?;
                }
            }
            Err(error) => {
                let mut row = walk.damaged(None, error.into());
                // Its name is all that is known of it.
                row.first_sequence = Some(*first);
                sink(row)?;
            }
        }
    }
    Ok(())
}

/// Verifies files; those of one history in their order.
pub(super) fn files(
    files: &[PathBuf],
    keys: Option<Arc<KeyRing>>,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let mut readable = Vec::new();
    for path in files {
        match segments::header(path) {
            Ok(header) => readable.push((path, header)),
            Err(failure) if failure.kind() == Kind::Journal => return Err(failure),
            Err(failure) => sink(Row::bad("damaged", failure))?,
        }
    }
    readable.sort_by_key(|(_, header)| (header.lineage, header.first_seq));
    let mut walk = Walk::new(PathBuf::from("the files"), keys);
    for (path, header) in readable {
        if walk.joint.is_some_and(|joint| joint.lineage != header.lineage) {
            walk.joint = None;
        }
        let options = segments::options(walk.keys.as_ref());
        let subject = Subject { path, name: path, followed_by: None, live: false, options };
        for row in walk.segment(&subject, &header) {
            sink(row)?;
        }
    }
    Ok(())
}

impl Walk {
    fn new(place: PathBuf, keys: Option<Arc<KeyRing>>) -> Self {
        Self { joint: None, place, any_bad: false, overlaps: false, keys, headers_only: false }
    }

    /// Of a published history, which begins after a sequence with this chain hash, if that is known.
    pub(super) fn of_store(lineage: Lineage, after: u64, chain_hash: Option<ChainHash>) -> Self {
        let joint = Joint { lineage, last_sequence: after, chain_hash };
        Self { joint: Some(joint), overlaps: true, ..Self::new(PathBuf::new(), None) }
    }

    /// Verifies a fetched object.
    pub(super) fn object(&mut self, fetched: &Fetched) -> Vec<Row> {
        let options = fetched.options.clone();
        let subject =
            Subject { path: &fetched.path, name: &fetched.name, followed_by: None, live: false, options };
        self.segment(&subject, &fetched.segment.header)
    }

    /// An object that is not there, or not what it should be.
    pub(super) fn bad(&mut self, bad: Bad) -> Row {
        self.any_bad = true;
        if let Some(joint) = &mut self.joint {
            *joint = Joint { last_sequence: bad.last_sequence, chain_hash: None, ..*joint };
        }
        let status = if bad.failure.kind() == Kind::Gap { "gap" } else { "damaged" };
        let mut row = Row::bad(status, bad.failure);
        row.file = bad.name;
        row.first_sequence = Some(bad.first_sequence);
        row.last_sequence = Some(bad.last_sequence);
        row
    }

    /// The published chain hash must be that of the last entry.
    pub(super) fn end_of_store(
        &self,
        remote: &Remote,
        committed: &Committed,
    ) -> Result<Option<Row>, Failure> {
        let Some(joint) = &self.joint else { return Ok(None) };
        let sequence = committed.sequence;
        let Some(chain_hash) = joint.chain_hash.filter(|_| !self.any_bad && joint.last_sequence == sequence)
        else {
            return Ok(None);
        };
        let found = Position { lineage: joint.lineage, sequence, chain_hash };
        if remote.is_chain(&committed.chain, &found)? {
            return Ok(None);
        }
        let (expected, found) =
            (Box::new(committed.chain), Box::new(remote.shown_chain(&found, &committed.chain)));
        let error = graphstream::replication::Error::HeadChain { sequence, expected, found };
        Ok(Some(Row::bad("damaged", error.into())))
    }

    /// A segment that can't be read at all.
    fn damaged(&mut self, header: Option<&Header>, failure: Failure) -> Row {
        self.any_bad = true;
        self.joint = header.filter(|header| header.is_sealed()).map(|header| Joint {
            lineage: header.lineage,
            last_sequence: header.last_seq,
            chain_hash: None,
        });
        let mut row = Row::bad("damaged", failure);
        row.kind = header.map(kind_word);
        row.first_sequence = header.map(|header| header.first_seq);
        row
    }

    /// A gap before the segment, if there is one, and the segment.
    fn segment(&mut self, subject: &Subject<'_>, header: &Header) -> Vec<Row> {
        let mut rows = Vec::new();
        let joint = self.joint;
        let next = joint.map(|joint| joint.last_sequence.saturating_add(1));
        if let Some(next) = next.filter(|next| *next < header.first_seq) {
            rows.push(self.gap(next, header.first_seq - 1));
        }
        if let Some(last) =
            joint.map(|joint| joint.last_sequence).filter(|last| !self.overlaps && *last >= header.first_seq)
        {
            let (path, found) = (subject.name.to_path_buf(), header.first_seq);
            rows.push(self.damaged(Some(header), journal::Error::Overlap { path, last, found }.into()));
            return rows;
        }
        let continues = next == Some(header.first_seq);
        let mut options = subject.options.clone();
        if header.first_seq == 1 {
            options = options.with_expected_chain(ChainHash::ZERO);
        } else if let Some(chain) = joint.and_then(|joint| joint.chain_hash).filter(|_| continues) {
            options = options.with_expected_chain(chain);
        }
        rows.push(if self.headers_only && header.is_sealed() {
            self.take_header(subject, header)
        } else {
            self.read(subject, header, options)
        });
        rows
    }

    /// What the header says, believed.
    fn take_header(&mut self, subject: &Subject<'_>, header: &Header) -> Row {
        let Header { lineage, first_seq, last_seq, entry_count, .. } = *header;
        self.joint = Some(Joint { lineage, last_sequence: last_seq, chain_hash: None });
        Row {
            status: "ok",
            file: Some(shown(subject.name)),
            kind: Some(kind_word(header)),
            first_sequence: Some(first_seq),
            last_sequence: Some(last_seq),
            entries: entry_count,
            bytes: std::fs::metadata(subject.path).map_or(0, |meta| meta.len()),
            chain_hash: None,
            problem: None,
            failure: None,
            is_segment: true,
        }
    }

    fn gap(&mut self, first: u64, last: u64) -> Row {
        self.any_bad = true;
        let path = self.place.clone();
        let mut row = Row::bad("gap", journal::Error::Gap { first, last, path }.into());
        row.first_sequence = Some(first);
        row.last_sequence = Some(last);
        row
    }

    fn read(&mut self, subject: &Subject<'_>, header: &Header, options: ReadOptions) -> Row {
        let mut row = Row {
            status: "ok",
            file: Some(shown(subject.name)),
            kind: Some(kind_word(header)),
            first_sequence: Some(header.first_seq),
            last_sequence: None,
            entries: 0,
            bytes: 0,
            chain_hash: None,
            problem: None,
            failure: None,
            is_segment: true,
        };
        let before = self.joint;
        let read = self.read_entries(subject, options, before, &mut row);
        let torn = match read {
            Ok(torn) => torn,
            Err(failure) => {
                let failure = match self.without_key(subject, header, failure, &mut row) {
                    Some(damage) => damage,
                    None => return row,
                };
                self.any_bad = true;
                row.problem = Some(Problem::of(&failure));
                row.failure = Some(failure);
                row.status = "damaged";
                let last_sequence =
                    if header.is_sealed() { Some(header.last_seq) } else { row.last_sequence };
                self.joint = last_sequence.map(|last_sequence| Joint {
                    lineage: header.lineage,
                    last_sequence,
                    chain_hash: None,
                });
                return row;
            }
        };
        let last_sequence = row.last_sequence.unwrap_or(header.first_seq.saturating_sub(1));
        if let Some((offset, why)) = torn {
            let failure = match &subject.followed_by {
                Some(next) => Some(Failure::from(journal::Error::DamagedBelowNext {
                    path: subject.name.to_path_buf(),
                    offset,
                    last_sequence,
                    next: next.clone(),
                })),
                // The writer is in the middle of it.
                None if subject.live => None,
                None => {
                    let text = format!(
                        "{} ends in a torn tail at file offset {offset}, after sequence {last_sequence}: {why}",
                        subject.name.display()
                    );
                    let torn = Failure::new(Kind::Corruption, text).file(subject.name).place(|place| {
                        place.offset = Some(offset);
                        place.sequence = Some(last_sequence);
                    });
                    row.status = "torn";
                    row.problem = Some(Problem::torn(&torn));
                    None
                }
            };
            if let Some(failure) = failure {
                self.any_bad = true;
                row.status = "damaged";
                row.problem = Some(Problem::of(&failure));
                row.failure = Some(failure);
            }
        }
        row
    }

    /// Verifies what takes no key, if that is what was missing; gives back what is damaged.
    fn without_key(
        &mut self,
        subject: &Subject<'_>,
        header: &Header,
        failure: Failure,
        row: &mut Row,
    ) -> Option<Failure> {
        if !header.is_encrypted() || failure.kind() != Kind::Usage {
            return Some(failure);
        }
        if let Err(damage) = segments::check_stored(subject.path, subject.name) {
            return Some(damage);
        }
        let Header { lineage, last_seq, .. } = *header;
        self.joint = Some(Joint { lineage, last_sequence: last_seq, chain_hash: None });
        row.status = "encrypted";
        row.last_sequence = Some(last_seq);
        row.bytes = std::fs::metadata(subject.path).map_or(0, |meta| meta.len());
        row.problem = Some(Problem::without_key(&failure));
        None
    }

    /// Reads to the end; the torn tail, if there is one.
    fn read_entries(
        &mut self,
        subject: &Subject<'_>,
        options: ReadOptions,
        before: Option<Joint>,
        row: &mut Row,
    ) -> Result<Option<(u64, String)>, Failure> {
        let damaged = |error: &graphstream::format::Error| Failure::in_segment(subject.name, error);
        let mut reader = segments::open_as(subject.path, subject.name, options)?;
        row.bytes = std::fs::metadata(subject.path).map_or(0, |meta| meta.len());
        let lineage = reader.header().lineage;
        let mut entry = Entry::default();
        while reader.read_next(&mut entry).map_err(|error| damaged(&error))? {
            row.entries += 1;
            row.last_sequence = Some(entry.sequence);
            // A merged segment may begin before the end of the one before it.
            if let Some(Joint { last_sequence, chain_hash: Some(expected), .. }) = before
                && entry.sequence == last_sequence
                && entry.chain_hash != expected
            {
                let error = journal::Error::Fork {
                    path: subject.name.to_path_buf(),
                    sequence: entry.sequence,
                    expected,
                    found: entry.chain_hash,
                };
                return Err(error.into());
            }
        }
        let Some(end) = reader.end().copied() else { return Ok(None) };
        let known = row.entries > 0 || !matches!(reader.kind(), SegmentKind::LegacyOpen);
        let last_sequence = end.last_seq.max(before.map_or(0, |joint| joint.last_sequence));
        row.chain_hash = known.then(|| end.chain_hash.to_string());
        self.joint = Some(Joint { lineage, last_sequence, chain_hash: known.then_some(end.chain_hash) });
        Ok(end.torn.map(|torn| (torn.offset, torn.why.to_string())))
    }
}
