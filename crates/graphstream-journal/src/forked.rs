//! Entries beyond a fence were never part of the published history: they are moved to `forked/`, where nothing reads them.

use std::path::{Path, PathBuf};

use graphstream_format::v2::SegmentRange;
use graphstream_format::{Entry, SegmentReader, SegmentStart};

use crate::committer::Tail;
use crate::directory::JournalDir;
use crate::error::{Error, Result};
use crate::form::Form;
use crate::identity::Identity;
use crate::segment_file::{FileSink, FileStream, OpenedSegment};
use crate::starting_point::StartingPoint;
use crate::{names, small_file};

/// Where the segments go.
const FORKED: &str = "forked";

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forked {
    /// The last sequence that stays.
    pub after: u64,
    /// The last sequence there was.
    pub last: u64,
    /// The original segments, where they are now.
    pub segments: Vec<PathBuf>,
}

/// Moves everything beyond `after` aside, newest segment first; all segments are sealed. The note in `journal.json` goes last,
/// so that a crash in between is continued by the next open.
pub(crate) fn fork_off(
    dir: &JournalDir,
    mut identity: Identity,
    after: u64,
    tail: Tail,
    form: &Form,
) -> Result<Option<Forked>> {
    let fs = &*dir.fs;
    let mut forked = Forked { after, last: tail.sequence, segments: Vec::new() };
    let aside = dir.path.join(FORKED);
    if tail.sequence > after {
        fs.create_dir_all(&aside).map_err(Error::io("creating", &aside))?;
        fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;
    }
    for first in dir.segment_sequences()?.into_iter().rev() {
        let path = dir.segment_path(first);
        let Some(segment) = OpenedSegment::open(fs, &path, first)? else { continue };
        let last = segment.header.last_seq;
        if last <= after {
            break;
        }
        let name = format!("{}-after-{after}", names::segment_name(first));
        let target = aside.join(name);
        let temp = dir.path.join(names::temp_name(&names::segment_name(first)));
        let keeps = first <= after;
        if keeps {
            cut(dir, &segment, &path, &temp, after, form)?;
            copy(dir, &segment, &target)?;
            fs.sync_dir(&aside).map_err(Error::io("syncing", &aside))?;
            fs.rename(&temp, &path).map_err(Error::io("renaming into", &path))?;
        } else {
            if dir.segment_sequences()?.first() == Some(&first) && first > 1 {
                keep_starting_point(dir, &segment, &path)?;
            }
            fs.rename(&path, &target).map_err(Error::io("moving aside", &path))?;
            fs.sync_dir(&aside).map_err(Error::io("syncing", &aside))?;
        }
        fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;
        forked.segments.push(target);
    }
    identity.fenced_after = None;
    // What takes the place of plain segments that were moved aside is encrypted.
    identity.plain_up_to = identity.plain_up_to.map(|last| last.min(after));
    identity.write(fs, &dir.path)?;
    if forked.segments.is_empty() {
        return Ok(None);
    }
    tracing::warn!(after, last = forked.last, "entries beyond the fence were moved aside");
    forked.segments.reverse();
    Ok(Some(forked))
}

/// What came before was released, so nothing else will say where the journal goes on.
fn keep_starting_point(dir: &JournalDir, segment: &OpenedSegment, path: &Path) -> Result<()> {
    let mut reader = open(dir, segment, path)?;
    let mut entry = Entry::default();
    reader.read_next(&mut entry).map_err(Error::segment(path))?;
    let Some(chain_hash) = reader.chain_before() else { return Ok(()) };
    let start = StartingPoint {
        sequence: segment.header.first_seq - 1,
        chain_hash,
        commit_ms: segment.header.first_commit_ms,
    };
    start.write(&*dir.fs, &dir.path)
}

/// Writes the part of a sealed segment that stays, synced, under its temporary name.
fn cut(
    dir: &JournalDir,
    segment: &OpenedSegment,
    path: &Path,
    temp: &Path,
    after: u64,
    form: &Form,
) -> Result<()> {
    let mut reader = open(dir, segment, path)?;
    let mut entry = Entry::default();
    let form = form.like(&segment.header);
    let mut writer = None;
    let file = small_file::create_over(&*dir.fs, temp)?;
    while reader.read_next(&mut entry).map_err(Error::segment(path))? {
        if entry.sequence > after {
            break;
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            None => {
                let Some(chain_before) = reader.chain_before() else { break };
                let start = SegmentStart {
                    lineage: segment.header.lineage,
                    first_seq: segment.header.first_seq,
                    chain_before,
                    created_ms: segment.header.created_ms,
                };
                let sink = FileSink::new(file.clone());
                writer.insert(form.writer(sink, start, temp, || range(dir, segment, path, after))?)
            }
        };
        writer.push(&entry.payload, entry.commit_ms).map_err(Error::segment(temp))?;
    }
    if let Some(writer) = writer {
        writer.finish().map_err(Error::segment(temp))?;
    }
    file.sync_all().map_err(Error::io("syncing", temp))
}

fn open(dir: &JournalDir, segment: &OpenedSegment, path: &Path) -> Result<SegmentReader<FileStream>> {
    let options = dir.read_options(&segment.header)?;
    let stream = FileStream::new(segment.file.clone());
    SegmentReader::new(stream, segment.file_bytes, options).map_err(Error::segment(path))
}

/// What the part of a segment up to `after` holds.
fn range(dir: &JournalDir, segment: &OpenedSegment, path: &Path, after: u64) -> Result<SegmentRange> {
    let mut reader = open(dir, segment, path)?;
    let mut entry = Entry::default();
    while entry.sequence < after && reader.read_next(&mut entry).map_err(Error::segment(path))? {}
    let first_commit_ms = segment.header.first_commit_ms;
    Ok(SegmentRange { last_seq: after, first_commit_ms, last_commit_ms: entry.commit_ms })
}

/// A synced copy of a segment's file.
fn copy(dir: &JournalDir, segment: &OpenedSegment, target: &Path) -> Result<()> {
    let file = small_file::create_over(&*dir.fs, target)?;
    let mut sink = FileSink::new(file.clone());
    std::io::copy(&mut FileStream::new(segment.file.clone()), &mut sink)
        .map_err(Error::io("copying to", target))?;
    file.sync_all().map_err(Error::io("syncing", target))
}
