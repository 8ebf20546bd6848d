//! Taking over a predecessor's directory: its segments are sealed again under the directory's lineage, entries and chain
//! unchanged, the originals kept in `legacy/`.
//!
//! ```text
//! journal.json (adopting) -> for each segment: temp (sealed again, synced); original -> legacy/; temp -> its name -> journal.json
//! ```
//!
//! A crash at any step is continued by the next open: what is already of our lineage is done, and an original that is
//! only in `legacy/` is read there.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use graphstream_format::{
    ChainHash, Compression, Entry, Header, ReadOptions, SegmentReader, SegmentStart, v1,
};

use crate::directory::{JournalDir, remove_if_exists};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::recovery::{Opening, TornTail};
use crate::seal::SealedSegment;
use crate::segment_file::{FileSink, FileStream, OpenedSegment};
use crate::{names, small_file};

/// Other files of the predecessor, of the same name as ours and of another shape.
const OTHER_FILES: [&str; 2] = ["upload_manifest.json", names::RECOVERY_JSON];

/// What was taken over from a predecessor's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adoption {
    /// The segments sealed again by this open, ascending (an interrupted earlier open may have done others).
    pub segments: Vec<SealedSegment>,
    /// A torn tail of its last open segment that was left out.
    pub torn_tail: Option<TornTail>,
    /// Where the originals are.
    pub originals: PathBuf,
}

/// What a run over a predecessor's segments carries from one to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    /// The last sequence and the chain hash after it; `None` before the first segment.
    last: Option<(u64, ChainHash)>,
    /// The predecessor kept one time per segment: they are clamped across segments.
    commit_ms: Option<i64>,
}

/// Reads all of it before anything is changed.
pub(crate) fn check(dir: &JournalDir, sequences: &[u64]) -> Result<()> {
    let mut running = Running::default();
    for &first in sequences {
        let path = dir.segment_path(first);
        let Some(opened) = OpenedSegment::open(&*dir.fs, &path, first)? else { continue };
        if !opened.header.is_legacy() {
            return Err(Error::IdentityMissing { path: dir.path.join(names::JOURNAL_JSON) });
        }
        let (mut reader, _) = running.begin(dir, &path, opened)?;
        let mut entry = Entry::default();
        while reader.read_next(&mut entry).map_err(Error::segment(&path))? {}
        running.finish(&path, &reader)?;
    }
    Ok(())
}

/// Seals again what is not done yet. The identity says `adopting`.
pub(crate) fn adopt(opening: &Opening<'_>, mut identity: Identity) -> Result<(Identity, Adoption)> {
    let dir = opening.dir;
    let fs = &*dir.fs;
    let originals = dir.path.join(names::LEGACY);
    fs.create_dir_all(&originals).map_err(Error::io("creating", &originals))?;
    fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;

    let moved = JournalDir::at(&originals, dir.fs.clone());
    let mut firsts: BTreeSet<u64> = dir.segment_sequences()?.into_iter().collect();
    firsts.extend(moved.segment_sequences()?);

    let mut adoption = Adoption { segments: Vec::new(), torn_tail: None, originals: originals.clone() };
    let mut running = Running::default();
    for first in firsts {
        let path = dir.segment_path(first);
        let in_place = OpenedSegment::open(fs, &path, first)?;
        // After a power cut the original may stand in both places.
        let sealed_again = in_place.as_ref().filter(|segment| !segment.header.is_legacy());
        if let Some(done) = sealed_again
            && done.header.lineage != identity.lineage
        {
            let found = done.header.lineage;
            return Err(Error::ForeignLineage { path, expected: identity.lineage, found });
        }
        let done = sealed_again.is_some();
        // The original is always read, also of what is done: it carries the clamp and the chain on.
        let original_path = moved.segment_path(first);
        let (source_path, source) = match OpenedSegment::open(fs, &original_path, first)? {
            Some(original) => (original_path.clone(), original),
            None => match in_place {
                Some(segment) => (path.clone(), segment),
                None => continue,
            },
        };
        if !source.header.is_legacy() {
            return Err(Error::IdentityMissing { path: originals.join(names::segment_name(first)) });
        }
        let temp = dir.path.join(names::temp_name(&names::segment_name(first)));
        let order = Resealing { dir, identity: &identity, compression: opening.form.write.compression };
        let sealed = order.reseal(&mut running, &source_path, source, &temp, &path, &mut adoption)?;
        if done {
            remove_if_exists(fs, &temp)?;
            continue;
        }
        if source_path == path {
            fs.rename(&path, &original_path).map_err(Error::io("moving aside", &path))?;
            fs.sync_dir(&originals).map_err(Error::io("syncing", &originals))?;
        }
        if let Some(sealed) = sealed {
            fs.rename(&temp, &path).map_err(Error::io("renaming into", &path))?;
            adoption.segments.push(sealed);
        } else {
            // An empty one that a power cut has left in both places.
            remove_if_exists(fs, &path)?;
        }
        fs.sync_dir(&dir.path).map_err(Error::io("syncing", &dir.path))?;
    }
    for name in OTHER_FILES {
        move_aside(dir, &originals, name)?;
    }
    identity.adopting = false;
    identity.write(fs, &dir.path)?;
    tracing::info!(segments = adoption.segments.len(), "predecessor's directory taken over");
    Ok((identity, adoption))
}

fn move_aside(dir: &JournalDir, originals: &Path, name: &str) -> Result<()> {
    let (from, to) = (dir.path.join(name), originals.join(name));
    match dir.fs.rename(&from, &to) {
        Ok(()) => dir.fs.sync_dir(originals).map_err(Error::io("syncing", originals)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("moving aside", &from)(error)),
    }
}

/// Into version 1, which marks commit times as inexact: the predecessor kept none.
struct Resealing<'a> {
    dir: &'a JournalDir,
    identity: &'a Identity,
    compression: Compression,
}

impl Resealing<'_> {
    /// Writes and syncs the new segment under its temporary name; `None` if the original has no entry.
    fn reseal(
        &self,
        running: &mut Running,
        source_path: &Path,
        source: OpenedSegment,
        temp: &Path,
        path: &Path,
        adoption: &mut Adoption,
    ) -> Result<Option<SealedSegment>> {
        let (mut reader, commit_ms) = running.begin(self.dir, source_path, source)?;
        let mut entry = Entry::default();
        let mut more = reader.read_next(&mut entry).map_err(Error::segment(source_path))?;
        let mut sealed = None;
        if more {
            let chain_before = running.chain_before(&reader, source_path)?;
            let header: &Header = reader.header();
            let start = SegmentStart {
                lineage: self.identity.lineage,
                first_seq: header.first_seq,
                chain_before,
                created_ms: header.created_ms,
            };
            let file = small_file::create_over(&*self.dir.fs, temp)?;
            let sink = FileSink::new(file.clone());
            let mut writer = v1::Writer::new(sink, start, self.compression).map_err(Error::segment(temp))?;
            while more {
                writer.push(&entry.payload, commit_ms).map_err(Error::segment(temp))?;
                more = reader.read_next(&mut entry).map_err(Error::segment(source_path))?;
            }
            let finished = writer.finish().map_err(Error::segment(temp))?;
            file.sync_all().map_err(Error::io("syncing", temp))?;
            sealed = Some(SealedSegment::new(path.to_path_buf(), &finished.header, finished.chain_hash));
        }
        let torn = running.finish(source_path, &reader)?;
        adoption.torn_tail = torn.or(adoption.torn_tail.take());
        Ok(sealed)
    }
}

type LegacyReader = SegmentReader<FileStream>;

impl Running {
    /// A reader of the next segment, which must continue the one before; and its commit time.
    fn begin(&mut self, dir: &JournalDir, path: &Path, opened: OpenedSegment) -> Result<(LegacyReader, i64)> {
        let first = opened.header.first_seq;
        let mut options = ReadOptions::default();
        match self.last {
            Some((last, _)) if first > last + 1 => {
                return Err(Error::Gap { first: last + 1, last: first - 1, path: dir.path.clone() });
            }
            Some((last, _)) if first <= last => {
                return Err(Error::Overlap { path: path.to_path_buf(), last, found: first });
            }
            Some((_, chain)) => options = options.with_expected_chain(chain),
            None if first == 1 => options = options.with_expected_chain(ChainHash::ZERO),
            // The predecessor had removed what came before: the chain begins with what the segment says.
            None => {}
        }
        let commit_ms =
            self.commit_ms.map_or(opened.header.created_ms, |ms| ms.max(opened.header.created_ms));
        self.commit_ms = Some(commit_ms);
        let stream = FileStream::new(opened.file);
        let reader = SegmentReader::new(stream, opened.file_bytes, options).map_err(Error::segment(path))?;
        Ok((reader, commit_ms))
    }

    /// The chain hash before the first entry, which has been read.
    fn chain_before(&self, reader: &LegacyReader, path: &Path) -> Result<ChainHash> {
        if let Some((_, chain)) = self.last {
            return Ok(chain);
        }
        if reader.header().first_seq == 1 {
            return Ok(ChainHash::ZERO);
        }
        // Only an open segment does not say it; without anything before it, it is a gap down to the beginning.
        reader.chain_before().ok_or_else(|| Error::Gap {
            first: 1,
            last: reader.header().first_seq - 1,
            path: path.to_path_buf(),
        })
    }

    /// After the segment was read to its end.
    fn finish(&mut self, path: &Path, reader: &LegacyReader) -> Result<Option<TornTail>> {
        let Some(end) = reader.end() else { return Ok(None) };
        if end.entries > 0 {
            self.last = Some((end.last_seq, end.chain_hash));
        } else if self.last.is_none() && end.last_seq == 0 {
            self.last = Some((0, ChainHash::ZERO));
        }
        Ok(end.torn.map(|torn| TornTail {
            path: path.to_path_buf(),
            offset: torn.offset,
            last_sequence: end.last_seq,
            why: torn.why,
        }))
    }
}
