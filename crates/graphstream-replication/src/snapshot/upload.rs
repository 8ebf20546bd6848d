//! The archive on its way: cut into data objects while it is written, a few of them in flight, and read back.
//!
//! ```text
//!   blocking thread: archive ──► 8 MiB, sealed if the history is ──► [1 waits] ──► uploads_max in flight ──► part rows, in order
//!   reading back:    one object after the other ──► chunks ──► [1 waits] ──► blocking thread: archive ──► compared with the manifest
//! ```

use std::io::{self, Read, Write};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use graphstream_format::encryption::{ObjectSealer, TAG_LEN};
use graphstream_remote::{Remote, SegmentSink, SnapshotManifest, SnapshotName, SnapshotPart};
use graphstream_storage::Bytes;
use tokio::sync::mpsc;

use super::archive::{self, Archived};
use super::opening::{self, Opening};
use super::source::Item;
use crate::error::SnapshotDamage;
use crate::threads::{self, Outlet};
use crate::{Error, Result};

/// Hears how many bytes of how many were dealt with.
pub(crate) type Heard = Arc<dyn Fn(u64) + Send + Sync>;

/// Where an archive is written to: full pieces go on, the last one when the archive is flushed.
struct Parts {
    piece: Vec<u8>,
    bytes_max: usize,
    sealer: Option<ObjectSealer>,
    out: Outlet<Vec<u8>>,
}

/// Room behind a piece for its tag.
const TAG_ROOM: usize = TAG_LEN;

impl Parts {
    fn send(&mut self) -> io::Result<()> {
        let room = self.bytes_max.saturating_add(TAG_ROOM);
        let mut piece = std::mem::replace(&mut self.piece, Vec::with_capacity(room));
        if let Some(sealer) = &mut self.sealer {
            sealer.seal_next(&mut piece).map_err(io::Error::other)?;
        }
        // Whoever uploads has given up, and says why.
        if self.out.send(piece) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.bytes_max.saturating_sub(self.piece.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= self.bytes_max {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

/// What was uploaded.
pub(super) struct Uploaded {
    pub(super) archived: Archived,
    pub(super) parts: Vec<SnapshotPart>,
    /// For the listing behind the last part.
    pub(super) sealer: Option<ObjectSealer>,
}

/// Archives `items` into data objects of `part_bytes`, encrypted if there is a sealer.
pub(super) async fn upload(
    remote: &Remote,
    (name, attempt): (&SnapshotName, u64),
    items: Vec<Item>,
    sealer: Option<ObjectSealer>,
    (part_bytes, uploads_max): (usize, usize),
    heard: Heard,
) -> Result<Uploaded> {
    let (out, pieces) = threads::channel(1);
    let archiving = threads::start(move || {
        let piece = Vec::with_capacity(part_bytes.saturating_add(TAG_ROOM));
        let parts = Parts { piece, bytes_max: part_bytes, sealer, out };
        let (archived, parts) = archive::write(&items, parts, |bytes| heard(bytes))?;
        Ok((archived, parts.sealer))
    });
    let pieces = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    let uploaded: Result<Vec<SnapshotPart>> = pieces
        .enumerate()
        .map(|(index, piece)| async move {
            Ok(remote.put_snapshot_part(name, attempt, index, Bytes::from(piece)).await?)
        })
        .buffered(uploads_max)
        .try_collect()
        .await;
    let archived = archiving.end("archiving the database").await;
    // What the store says comes first: the archive then only found nobody who takes it.
    let parts = uploaded?;
    let (archived, sealer) = archived?;
    Ok(Uploaded { archived, parts, sealer })
}

/// Reads everything that the manifest names, and compares it with the manifest.
pub(super) async fn read_back(remote: &Remote, manifest: Arc<SnapshotManifest>, heard: Heard) -> Result<()> {
    let name = manifest.name()?;
    let (chunks, inbox) = mpsc::channel::<Vec<u8>>(READ_AHEAD);
    let expected = Arc::clone(&manifest);
    let opening = Opening::of(&manifest, remote.keys().map(|keys| &**keys))?;
    let reading = threads::start(move || {
        let mut bytes = Chunks { inbox, opening, chunk: Bytes::new() };
        archive::read(&mut bytes, &expected, None, |bytes| heard(bytes))?;
        // A frame that ends early, with objects behind it that nobody asked for.
        io::copy(&mut bytes, &mut io::sink()).map(drop).map_err(|source| opening::damage(name, source))
    });
    let fetched = fetch_all(remote, &manifest, name, chunks).await;
    let read = reading.end("reading the snapshot back").await;
    // An object that is not what was put, rather than what came of unpacking it.
    match fetched {
        Err(error) if !matches!(error, Error::Remote(graphstream_remote::Error::Sink { .. })) => Err(error),
        fetched => read.and(fetched),
    }
}

/// Objects that wait while one is unpacked: memory is bounded by three of them.
const READ_AHEAD: usize = 1;

async fn fetch_all(
    remote: &Remote,
    manifest: &SnapshotManifest,
    snapshot: SnapshotName,
    chunks: mpsc::Sender<Vec<u8>>,
) -> Result<()> {
    for index in 0..manifest.parts.len() {
        let mut piece = Vec::new();
        // A piece is held at once, so that the thread never gets what its hash denies.
        if !remote.fetch_snapshot_part(manifest, index, &mut piece as &mut dyn SegmentSink).await? {
            return Err(Error::SnapshotDamaged { snapshot, source: SnapshotDamage::Missing { index } });
        }
        if chunks.send(piece).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Data objects from a task, opened, as a blocking reader.
struct Chunks {
    inbox: mpsc::Receiver<Vec<u8>>,
    opening: Opening,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.inbox.blocking_recv() {
                Some(object) => self.chunk = Bytes::from(self.opening.open(object)?),
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        let taken = self.chunk.split_to(count);
        if let Some(room) = buffer.get_mut(..count) {
            room.copy_from_slice(&taken);
        }
        Ok(count)
    }
}
