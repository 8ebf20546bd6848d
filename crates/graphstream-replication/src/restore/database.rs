//! Restoring into a database: unpack a snapshot, replay what follows, and only then give it its name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::Position;
use graphstream_format::encryption::KeyRing;
use graphstream_remote::SnapshotManifest;
use graphstream_replay::ReplayTarget;

use super::fetch::{Local, walk};
use super::work::{Work, clear, failed, sync_all, sync_dir};
use crate::error::SnapshotDamage;
use crate::follower::{Applier, Batch, Batcher, Limits, Spares};
use crate::snapshot::{Engine, Heard, Opening, is_known, places, unpack};
use crate::threads;
use crate::{Error, Result};

/// Where the database stands until it is whole.
pub(super) fn staged(work: &Work, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or(std::ffi::OsStr::new("database"));
    work.database().join(name)
}

/// The position of a database that an earlier restore has begun, if it can go on: within the plan. Anything else of it is removed.
pub(super) fn resume(
    work: &Work,
    path: &Path,
    engine: &dyn Engine,
    after: u64,
    goal: u64,
) -> Result<Option<Position>> {
    let staged = staged(work, path);
    if fs::symlink_metadata(&staged).is_ok() {
        // One that can't be opened, or is beyond the goal, is only work that is done again.
        let found = engine.position(&staged).ok().flatten();
        if let Some(position) = found.filter(|found| found.sequence >= after && found.sequence <= goal) {
            tracing::info!(sequence = position.sequence, "going on with the database of an earlier restore");
            return Ok(Some(position));
        }
    }
    clear(&work.database())?;
    Ok(None)
}

/// Makes the files of a snapshot, verified, where the database is staged. Blocks.
pub(super) fn install(
    work: &Work,
    manifest: &SnapshotManifest,
    keys: Option<&KeyRing>,
    path: &Path,
    heard: &Heard,
) -> Result<()> {
    let snapshot = manifest.name()?;
    if let Some(file) =
        manifest.files.iter().map(|file| &file.path).chain(&manifest.directories).find(|it| !is_known(it))
    {
        let source = SnapshotDamage::Path { path: file.to_string() };
        return Err(Error::SnapshotDamaged { snapshot, source });
    }
    let unpacking = work.unpacking();
    clear(&unpacking)?;
    fs::create_dir(&unpacking).map_err(failed("creating", &unpacking))?;
    let name = path.file_name().unwrap_or(std::ffi::OsStr::new("database"));
    let parts = (0..manifest.parts.len()).map(|index| work.part(manifest, index)).collect();
    let objects = Chained { parts, opening: Opening::of(manifest, keys)?, next: 0, open: None };
    let unpacked = unpack(objects, manifest, Some(&unpacking.join(name)), |bytes| heard(bytes));
    if let Err(error) = unpacked {
        // Which of the objects it is, nobody can tell: all are fetched again.
        clear(&work.parts(manifest))?;
        return Err(error);
    }
    sync_all(&unpacking)?;
    clear(&work.database())?;
    fs::rename(&unpacking, work.database()).map_err(failed("renaming", &unpacking))?;
    clear(&work.parts(manifest))
}

/// Data objects in files, opened, one after the other.
struct Chained {
    parts: Vec<PathBuf>,
    opening: Opening,
    next: usize,
    open: Option<Box<dyn Read>>,
}

impl Read for Chained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.open {
                let count = file.read(buffer)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            let Some(path) = self.parts.get(self.next) else { return Ok(0) };
            self.open = Some(match self.opening.is_needed() {
                true => Box::new(io::Cursor::new(self.opening.open(fs::read(path)?)?)),
                false => Box::new(File::open(path)?),
            });
            self.next += 1;
        }
    }
}

/// What is replayed, and how.
pub(super) struct Replay {
    pub(super) locals: Vec<Local>,
    pub(super) from: Position,
    pub(super) goal: u64,
    pub(super) keys: Option<Arc<KeyRing>>,
    pub(super) batch: (usize, usize),
    pub(super) heard: Heard,
}

/// Replays verified segments into a target, which must stand at `from`, and closes it.
pub(super) async fn replay(target: Box<dyn ReplayTarget>, replay: Replay) -> Result<Option<Position>> {
    let lines = target.takes_lines();
    let applier = Applier::spawn(target)?;
    let Replay { locals, from, goal, keys, batch: (entries_max, bytes_max), heard } = replay;
    let limits = Limits { entries_max, bytes_max, lines };
    let (batches, mut decoded) = threads::channel::<Batch>(limits.batches_ahead());
    let spares = Spares::default();
    let for_lines = spares.clone();
    let decoding = threads::start(move || {
        let mut at = from;
        let mut batcher = Batcher::new(from.lineage, limits, for_lines);
        for local in &locals {
            let mut given_up = false;
            at = walk(local, at, goal, keys.clone(), |entry| {
                if let Some(batch) = batcher.push(entry)? {
                    given_up = !batches.send(batch);
                }
                // Whoever applies has failed, and says why.
                if given_up { Err(Error::Ended("the target")) } else { Ok(()) }
            })?;
        }
        if let Some(batch) = batcher.take() {
            batches.send(batch);
        }
        Ok(())
    });
    let applied: Result<()> = async {
        while let Some(batch) = decoded.recv().await {
            let count = batch.hashes.len() as u64;
            // Durable when it is asked for its position, at the end.
            let (_durable, applied) = applier.apply(batch.content, batch.position).await?;
            spares.give(applied);
            heard(count);
        }
        Ok(())
    }
    .await;
    drop(decoded);
    let decoding: Result<()> = decoding.end("decoding segments").await;
    let position = applied.and(decoding);
    let position = match position {
        Ok(()) => applier.position().await,
        Err(error) => Err(error),
    };
    let closed = applier.close().await;
    let position = position?;
    closed.map(|()| position)
}

/// Whether something stands where the database is to be.
pub(super) fn stands(path: &Path) -> bool {
    places(path).any(|(_, place)| fs::symlink_metadata(place).is_ok())
}

/// Gives a whole database its name. One that stands there is moved aside, and its new name returned. Blocks.
pub(super) fn publish(work: &Work, path: &Path, now_ms: i64) -> Result<Option<PathBuf>> {
    let staged = staged(work, path);
    sync_all(&work.database())?;
    let mut aside = None;
    if stands(path) {
        let kept = set_aside_name(path, now_ms);
        // The database last: without it nobody takes what stands beside it for anything.
        for (from, to) in pairs(path, &kept).rev() {
            rename_if_there(&from, &to)?;
        }
        aside = Some(kept);
    }
    for (from, to) in pairs(&staged, path).rev() {
        rename_if_there(&from, &to)?;
    }
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}

/// What is called what it was before a restore.
pub(super) fn set_aside_name(path: &Path, now_ms: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".before-restore-{now_ms}"));
    PathBuf::from(name)
}

/// Removes a database that was set aside. What can't be removed is only space.
pub(crate) fn discard(path: &Path) {
    for (_, place) in places(path) {
        if let Err(error) = clear(&place) {
            tracing::warn!(path = %place.display(), %error, "a database that a snapshot took the place of could not be removed");
        }
    }
}

fn pairs(from: &Path, to: &Path) -> impl DoubleEndedIterator<Item = (PathBuf, PathBuf)> {
    let of = |path: &Path| places(path).map(|(_, place)| place).collect::<Vec<_>>();
    of(from).into_iter().zip(of(to))
}

fn rename_if_there(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("renaming", from)(error)),
        _ => Ok(()),
    }
}
