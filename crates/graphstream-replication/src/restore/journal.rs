//! Restoring a journal directory: verified segments under the names that a journal has, of a new lineage unless it is said.
//!
//! ```text
//!   journal.json     database id of the store, lineage: drawn, or the store's
//!   journal-{first}  the objects, with the lineage in their headers changed; where they overlap, or hold more than is wanted, the
//!                    entries that are wanted, written again
//! ```
//! A chain hash does not depend on the lineage, so the restored journal has the same chain; a store tells the two apart, and what is
//! appended to one never passes for the other's.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::header::HEADER_LEN;
use graphstream_format::{
    Header, Lineage, Position, SegmentStart, SegmentVersion, SegmentWriter, WriteOptions,
};
use graphstream_journal::{Journal, segment_name};

use super::fetch::{Local, is_plain, open, walk};
use super::work::{Work, clear, failed, sync_all, sync_dir};
use crate::{Error, Result};

/// What the journal's directory is filled with.
pub(super) struct Filling {
    pub(super) locals: Vec<Local>,
    /// Behind which entry it begins, and with which chain.
    pub(super) from: Position,
    pub(super) goal: u64,
    pub(super) database_id: [u8; 16],
    /// The restored journal's.
    pub(super) lineage: Option<Lineage>,
    pub(super) keys: Option<Arc<KeyRing>>,
}

/// Whether something stands where the journal is to be. An empty directory is nothing.
pub(super) fn stands(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => fs::symlink_metadata(dir).is_ok(),
    }
}

/// Builds the journal beside its place, and says of which lineage it is. Blocks.
pub(super) fn fill(work: &Work, filling: &Filling) -> Result<Lineage> {
    // A journal with keys holds nothing plain but what it sealed itself.
    for local in filling.locals.iter().filter(|local| filling.keys.is_some() && local.may_be_plain) {
        let mut file = File::open(&local.path).map_err(failed("opening", &local.path))?;
        if is_plain(&mut file).map_err(failed("reading", &local.path))? {
            return Err(Error::RestorePlain { segment: local.planned.name });
        }
    }
    let dir = work.journal();
    // What a killed restore has begun: its segments are fetched again where they were moved here.
    clear(&dir)?;
    let mut builder = Journal::builder(&dir).database_id(filling.database_id);
    if let Some(lineage) = filling.lineage {
        builder = builder.lineage(lineage);
    }
    if let Some(keys) = &filling.keys {
        builder = builder.keys(Arc::clone(keys));
    }
    let (journal, report) = builder.open()?;
    let lineage = report.position.lineage;
    journal.close()?;
    let mut at = filling.from;
    for local in &filling.locals {
        let name = local.planned.name;
        let begin = at.sequence.saturating_add(1);
        let place = dir.join(segment_name(begin));
        at = if name.first() == begin && name.last() <= filling.goal {
            set_lineage(local, lineage)?;
            fs::rename(&local.path, &place).map_err(failed("renaming", &local.path))?;
            local.end
        } else {
            cut(local, at, filling, lineage, &place)?
        };
    }
    sync_all(&dir)?;
    Ok(lineage)
}

/// Changes the lineage in a segment's header, which no hash of its content covers.
fn set_lineage(local: &Local, lineage: Lineage) -> Result<()> {
    let path = &local.path;
    let file = File::options().read(true).write(true).open(path).map_err(failed("opening", path))?;
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(failed("reading", path))?;
    let damaged = |source| Error::Segment { segment: local.planned.name, source: Box::new(source) };
    let mut header = Header::decode(&bytes).map_err(damaged)?;
    if header.lineage == lineage {
        return Ok(());
    }
    if header.is_encrypted() {
        // There it is authenticated with every chunk.
        return Err(Error::RestoreEncrypted { segment: local.planned.name });
    }
    header.lineage = lineage;
    file.write_all_at(&header.encode(), 0).map_err(failed("writing", path))
}

/// Writes the wanted entries of a segment as one of their own.
fn cut(local: &Local, from: Position, filling: &Filling, lineage: Lineage, place: &Path) -> Result<Position> {
    let header = open(local, from.lineage, None, filling.keys.clone())?.header().clone();
    if header.is_encrypted() {
        return Err(Error::RestoreEncrypted { segment: local.planned.name });
    }
    let first = from.sequence.saturating_add(1);
    let start = SegmentStart {
        lineage,
        first_seq: first,
        chain_before: from.chain_hash,
        created_ms: header.created_ms,
    };
    let file = File::create_new(place).map_err(failed("creating", place))?;
    let form = WriteOptions::default().with_version(SegmentVersion::like(header.kind()));
    let damaged = |source| Error::Segment { segment: local.planned.name, source: Box::new(source) };
    let mut writer = SegmentWriter::new(file, start, &form).map_err(damaged)?;
    let end = walk(local, from, filling.goal, filling.keys.clone(), |entry| {
        writer.push(&entry.payload, entry.commit_ms).map(drop).map_err(damaged)
    })?;
    let finished = writer.finish().map_err(damaged)?;
    finished.inner.sync_all().map_err(failed("syncing", place))?;
    Ok(end)
}

/// Gives the journal its place. What stands there is moved aside, and its new name returned. Blocks.
pub(super) fn publish(work: &Work, dir: &Path, now_ms: i64) -> Result<Option<PathBuf>> {
    let mut aside = None;
    if stands(dir) {
        let kept = super::database::set_aside_name(dir, now_ms);
        fs::rename(dir, &kept).map_err(failed("renaming", dir))?;
        aside = Some(kept);
    }
    fs::rename(work.journal(), dir).map_err(failed("renaming", &work.journal()))?;
    sync_dir(dir.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}
