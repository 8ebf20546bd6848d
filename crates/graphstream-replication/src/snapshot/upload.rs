//! The archive on its way: cut into data objects while it is written, a few of them in flight, and read back.
//!
//! ```text
//!   blocking thread: archive ──► 8 MiB ──► [1 waits] ──► uploads_max in flight ──► part rows, in order
//!   reading back:    one object after the other ──► chunks ──► [1 waits] ──► blocking thread: archive ──► compared with the manifest
//! ```

use std::io::{self, Read, Write};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use graphstream_remote::{Remote, SegmentSink, SnapshotManifest, SnapshotName, SnapshotPart};
use graphstream_storage::Bytes;
use tokio::sync::mpsc;

use super::archive::{self, Archived};
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
    out: Outlet<Vec<u8>>,
}

impl Parts {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(self.bytes_max));
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

/// Archives `items` into data objects of `part_bytes`.
pub(super) async fn upload(
    remote: &Remote,
    name: &SnapshotName,
    attempt: u64,
    items: Vec<Item>,
    (part_bytes, uploads_max): (usize, usize),
    heard: Heard,
) -> Result<(Archived, Vec<SnapshotPart>)> {
    let (out, pieces) = threads::channel(1);
    let archiving = threads::start(move || {
        let parts = Parts { piece: Vec::with_capacity(part_bytes), bytes_max: part_bytes, out };
        archive::write(&items, parts, |bytes| heard(bytes))
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
    Ok((archived?, parts))
}

/// Reads everything that the manifest names, and compares it with the manifest.
pub(super) async fn read_back(remote: &Remote, manifest: Arc<SnapshotManifest>, heard: Heard) -> Result<()> {
    let name = manifest.name()?;
    let (chunks, inbox) = mpsc::channel::<Bytes>(READ_AHEAD);
    let expected = Arc::clone(&manifest);
    let reading = threads::start(move || {
        let mut bytes = Chunks { inbox, chunk: Bytes::new() };
        archive::read(&mut bytes, &expected, None, |bytes| heard(bytes))?;
        // A frame that ends early, with objects behind it that nobody asked for.
        io::copy(&mut bytes, &mut io::sink()).map(drop).map_err(|source| Error::SnapshotDamaged {
            snapshot: name,
            source: SnapshotDamage::Compression(source),
        })
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
    chunks: mpsc::Sender<Bytes>,
) -> Result<()> {
    for index in 0..manifest.parts.len() {
        let mut piece = Vec::new();
        // A piece is held at once, so that the thread never gets what its hash denies.
        if !remote.fetch_snapshot_part(manifest, index, &mut piece as &mut dyn SegmentSink).await? {
            return Err(Error::SnapshotDamaged { snapshot, source: SnapshotDamage::Missing { index } });
        }
        if chunks.send(Bytes::from(piece)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Chunks of bytes from a task, as a blocking reader.
struct Chunks {
    inbox: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.inbox.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
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
