//! Getting what the plan names onto the local disk, verified: several at a time, and only what is not there yet.
//!
//! ```text
//!   segment ──► fetch (size, hash, header) ──► read whole: frames, checksums, chain ──► its ends ─┐ in order
//!   segment ──► is there from an earlier restore ────────────────────► the same ──► its ends ─────┤──► do they join? ──► the goal
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use graphstream_format::encryption::KeyRing;
use graphstream_format::header::HEADER_LEN;
use graphstream_format::{ChainHash, Entry, Header, Lineage, Position, ReadOptions, SegmentReader};
use graphstream_remote::{PlannedSegment, Remote, SegmentName, SnapshotManifest, StoredHead};
use tokio::sync::mpsc;

use super::work::{Download, Work, failed};
use crate::error::SnapshotDamage;
use crate::snapshot::Heard;
use crate::threads::{blocking, task};
use crate::{Error, Result};

const READ_BUFFER_BYTES: usize = 256 << 10;

/// A segment on the local disk.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) planned: PlannedSegment,
    pub(super) path: PathBuf,
    /// Whether it is history without being encrypted, by the head: from before encryption was turned on.
    pub(super) may_be_plain: bool,
    /// Where the chain stands after it, or at the goal inside it.
    pub(super) end: Position,
}

/// A segment that was verified by itself.
#[derive(Debug)]
struct Verified {
    local: Local,
    /// The chain hashes before its first entry and after its last.
    chain: (ChainHash, ChainHash),
}

/// What came of fetching.
pub(super) enum Fetched {
    /// Everything is here; the chain runs from where it had to begin to the goal.
    All { locals: Vec<Local>, begin: Position, end: Position },
    /// A segment was compacted away meanwhile: plan again without it.
    Moved(SegmentName),
}

/// What is fetched, and how.
#[derive(Clone)]
pub(super) struct Fetch {
    pub(super) remote: Remote,
    pub(super) head: Arc<StoredHead>,
    pub(super) work: Arc<Work>,
    pub(super) fetches_max: usize,
    /// Segments are not only read, but stay: the disk begins with each as soon as it is here.
    pub(super) stay: bool,
    pub(super) heard: Heard,
}

impl Fetch {
    /// Fetches and verifies segments that must lead from `from` to the entry `goal`. Without a position to begin with, the first segment
    /// says what the chain was before it.
    pub(super) async fn segments(
        &self,
        segments: &[PlannedSegment],
        from: Option<Position>,
        goal: u64,
    ) -> Result<Fetched> {
        let (alive, mut all_ended) = mpsc::channel::<()>(1);
        let verified = stream::iter(segments.to_vec())
            .map(|planned| {
                let (alive, fetched) = (alive.clone(), self.clone().segment(planned));
                task("fetching a segment", async move {
                    let _alive = alive;
                    fetched.await
                })
            })
            .buffered(self.fetches_max.clamp(1, 64));
        let joined = self.joined(verified, from, goal).await;
        // A task that is given up ends when it next waits. Until then it may write, and holds the directory: whoever restores again, at once, must
        // not meet it.
        drop(alive);
        let _ = all_ended.recv().await;
        joined
    }

    /// Joins segments in order, as far as they come.
    async fn joined(
        &self,
        verified: impl Stream<Item = Result<(SegmentName, Option<Verified>)>>,
        from: Option<Position>,
        goal: u64,
    ) -> Result<Fetched> {
        let mut verified = std::pin::pin!(verified);
        let lineage = self.head.head.lineage();
        let mut begin = from;
        let mut at = from;
        let mut locals = Vec::new();
        while let Some(result) = verified.next().await {
            let (name, segment) = result?;
            let Some(Verified { mut local, chain }) = segment else { return Ok(Fetched::Moved(name)) };
            let before = at.unwrap_or(Position {
                lineage,
                sequence: name.first().saturating_sub(1),
                chain_hash: chain.0,
            });
            begin.get_or_insert(before);
            local.end = self.join(&local, chain, before, goal).await?;
            at = Some(local.end);
            locals.push(local);
        }
        let start = Position::start(lineage);
        let (begin, end) = (begin.unwrap_or(start), at.unwrap_or(start));
        if end.sequence == goal {
            Ok(Fetched::All { locals, begin, end })
        } else {
            Err(Error::RestoreShort { goal, end: end.sequence })
        }
    }

    /// Where the chain stands after a segment, or at the goal inside it.
    async fn join(
        &self,
        local: &Local,
        chain: (ChainHash, ChainHash),
        at: Position,
        goal: u64,
    ) -> Result<Position> {
        let name = local.planned.name;
        let joins = name.first() == at.sequence.saturating_add(1);
        if joins && chain.0 != at.chain_hash {
            return Err(forked(name, at, chain.0));
        }
        let end = if joins && name.last() <= goal {
            Position { lineage: at.lineage, sequence: name.last(), chain_hash: chain.1 }
        } else {
            // It overlaps what is there, or holds more than is wanted: the entries tell.
            let (local, keys) = (local.clone(), self.remote.keys().cloned());
            blocking("verifying a segment", move || walk(&local, at, goal, keys, |_| Ok(()))).await?
        };
        // What is committed, and where an epoch begins, the head knows the chain.
        let committed = self.head.head.committed();
        let known = self.head.head.epochs().iter().map(|row| (row.start_sequence, row.start_chain));
        for (sequence, expected) in known.chain([(committed.sequence, committed.chain)]) {
            if sequence == end.sequence && !self.remote.is_chain(&expected, &end)? {
                let found = Box::new(self.remote.shown_chain(&end, &expected));
                return Err(Error::HeadChain { sequence, expected: Box::new(expected), found });
            }
        }
        Ok(end)
    }

    /// One segment, fetched unless it is here, and read whole.
    async fn segment(self, planned: PlannedSegment) -> Result<(SegmentName, Option<Verified>)> {
        let (name, path) = (planned.name, self.work.segment(&planned));
        let may_be_plain = !self.head.head.demands_encryption(name.last());
        let local = Local { planned, path, may_be_plain, end: Position::start(self.head.head.lineage()) };
        if local.path.metadata().is_ok_and(|found| found.len() == planned.size)
            && let Ok(verified) = self.verify(&local).await
        {
            (self.heard)(planned.size);
            return Ok((name, Some(verified)));
        }
        // Bytes that are not what they should be may have been damaged on the way: they are fetched once more.
        let mut fetched = self.fetch(&local).await;
        if matches!(&fetched, Err(error) if error.is_damage()) {
            tracing::warn!(segment = %name, "fetching it once more");
            fetched = self.fetch(&local).await;
        }
        Ok((name, fetched?))
    }

    async fn fetch(&self, local: &Local) -> Result<Option<Verified>> {
        let mut download = Download::create(&local.path)?;
        let fetched = self.remote.fetch_segment(&self.head.head, &local.planned, &mut download).await;
        match fetched {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.placed(download.temporary()).into()),
        }
        download.finish()?;
        (self.heard)(local.planned.size);
        self.verify(local).await.map(Some)
    }

    async fn verify(&self, local: &Local) -> Result<Verified> {
        let (local, keys, lineage) = (local.clone(), self.remote.keys().cloned(), self.head.head.lineage());
        let stay = self.stay;
        blocking("verifying a segment", move || {
            let mut reader = open(&local, lineage, None, keys)?;
            let segment = in_segment(local.planned.name);
            let end = reader.verify().map_err(&segment)?;
            let before = reader.chain_before().unwrap_or(ChainHash::ZERO);
            if stay {
                // It is synced again, with all others, when its lineage was changed: most of it is on the disk then.
                File::open(&local.path)
                    .and_then(|file| file.sync_data())
                    .map_err(failed("syncing", &local.path))?;
            }
            Ok(Verified { local, chain: (before, end.chain_hash) })
        })
        .await
    }

    /// Fetches the data objects of a snapshot that are not here yet.
    pub(super) async fn parts(&self, manifest: &SnapshotManifest) -> Result<()> {
        let dir = self.work.parts(manifest);
        fs::create_dir_all(&dir).map_err(failed("creating", &dir))?;
        let sizes: Vec<u64> = manifest.parts.iter().map(|part| part.size).collect();
        let mut fetched = stream::iter(sizes.into_iter().enumerate())
            .map(|(index, size)| async move {
                let path = self.work.part(manifest, index);
                // Its hash is compared when it is unpacked; what is wrong then is fetched again with all others.
                if !path.metadata().is_ok_and(|found| found.len() == size) {
                    self.part(manifest, index, &path).await?;
                }
                (self.heard)(size);
                Ok::<_, Error>(())
            })
            .buffer_unordered(self.fetches_max.clamp(1, 64));
        while let Some(result) = fetched.next().await {
            result?;
        }
        Ok(())
    }

    async fn part(&self, manifest: &SnapshotManifest, index: usize, path: &Path) -> Result<()> {
        let mut damaged = false;
        loop {
            let mut download = Download::create(path)?;
            match self.remote.fetch_snapshot_part(manifest, index, &mut download).await {
                Ok(true) => return download.finish(),
                Ok(false) => {
                    let source = SnapshotDamage::Missing { index };
                    return Err(Error::SnapshotDamaged { snapshot: manifest.name()?, source });
                }
                Err(error) if error.kind() == graphstream_remote::ErrorKind::Damage => {
                    if std::mem::replace(&mut damaged, true) {
                        let source = SnapshotDamage::Object(Box::new(error));
                        return Err(Error::SnapshotDamaged { snapshot: manifest.name()?, source });
                    }
                    tracing::warn!(%error, "fetching it once more");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn forked(segment: SegmentName, ours: Position, theirs: ChainHash) -> Error {
    Error::Forked { segment, sequence: ours.sequence, ours: ours.chain_hash, theirs }
}

fn in_segment(name: SegmentName) -> impl Fn(graphstream_format::Error) -> Error {
    move |source| match source {
        graphstream_format::Error::KeyRequired { id } => Error::EncryptedSegment { segment: name, id },
        source => Error::Segment { segment: name, source: Box::new(source) },
    }
}

/// Opens a segment that must be what its name says.
pub(super) fn open(
    local: &Local,
    lineage: Lineage,
    chain: Option<ChainHash>,
    keys: Option<Arc<KeyRing>>,
) -> Result<SegmentReader<BufReader<File>>> {
    let name = local.planned.name;
    let mut file = File::open(&local.path).map_err(failed("opening", &local.path))?;
    let keys = match local.may_be_plain && is_plain(&mut file).map_err(failed("reading", &local.path))? {
        true => None,
        false => keys,
    };
    let bytes = file.metadata().map_err(failed("opening", &local.path))?.len();
    let mut options = ReadOptions::default().with_expected_lineage(lineage).with_legacy_refused();
    if let Some(chain) = chain {
        options = options.with_expected_chain(chain);
    }
    if let Some(keys) = keys {
        options = options.with_keys(keys);
    }
    let reader = SegmentReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file), bytes, options)
        .map_err(in_segment(name))?;
    let header = reader.header();
    if !header.is_sealed() || header.first_seq != name.first() || header.last_seq != name.last() {
        return Err(Error::Misnamed { segment: name, first: header.first_seq, last: header.last_seq });
    }
    Ok(reader)
}

/// Whether a file's header says that it is not encrypted. Of a damaged one the reader says what is wrong.
pub(super) fn is_plain(file: &mut File) -> io::Result<bool> {
    let mut start = [0; HEADER_LEN];
    let header = file.read_exact(&mut start).ok().and_then(|()| Header::decode(&start).ok());
    file.rewind()?;
    Ok(header.is_some_and(|header| !header.is_encrypted()))
}

/// Reads a segment from behind `from` up to the entry `goal` and gives each entry to `visit`; where both overlap the chain must be
/// one. Returns where it ended. Blocks.
pub(super) fn walk(
    local: &Local,
    from: Position,
    goal: u64,
    keys: Option<Arc<KeyRing>>,
    mut visit: impl FnMut(&Entry) -> Result<()>,
) -> Result<Position> {
    let name = local.planned.name;
    let joins = name.first() == from.sequence.saturating_add(1);
    let mut reader = open(local, from.lineage, joins.then_some(from.chain_hash), keys)?;
    let segment = in_segment(name);
    let mut at = from;
    let mut entry = Entry::default();
    while at.sequence < goal && reader.read_next(&mut entry).map_err(&segment)? {
        if entry.sequence == from.sequence && entry.chain_hash != from.chain_hash {
            return Err(forked(name, from, entry.chain_hash));
        }
        if entry.sequence > from.sequence {
            at = Position { lineage: from.lineage, sequence: entry.sequence, chain_hash: entry.chain_hash };
            visit(&entry)?;
        }
    }
    Ok(at)
}
