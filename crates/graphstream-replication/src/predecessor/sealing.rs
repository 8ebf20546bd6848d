//! Entries of a predecessor into segments of ours: the same payloads, the same chain, commit times that never decrease.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use graphstream_format::{ChainHash, Entry, Lineage, SegmentStart, SegmentWriter, WriteOptions};
use graphstream_proto::JournalEntry;
use graphstream_remote::LocalSegment;
use graphstream_storage::PutBody;
use sha2::{Digest, Sha256};

use super::import::ImportTimes;
use super::walk::Visitor;
use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 << 10;

/// A segment that is being written.
struct Growing {
    writer: SegmentWriter<BufWriter<File>>,
    path: PathBuf,
    first: u64,
    chain_before: ChainHash,
    payload_bytes: u64,
}

impl std::fmt::Debug for Growing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growing")
            .field("path", &self.path)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// Writes segments into a directory.
#[derive(Debug)]
pub(super) struct Sealing {
    dir: PathBuf,
    lineage: Lineage,
    times: ImportTimes,
    segment_bytes_max: u64,
    /// Entries up to here are in the store already.
    after: u64,
    /// The last commit time.
    commit_ms: i64,
    chain_hash: ChainHash,
    growing: Option<Growing>,
    /// Sealed and not yet taken.
    sealed: Vec<LocalSegment>,
}

impl Sealing {
    /// Of a history of which the entries up to `after`, committed at `commit_ms`, are in the store.
    pub(super) fn new(
        dir: &Path,
        lineage: Lineage,
        times: ImportTimes,
        segment_bytes_max: u64,
        (after, commit_ms): (u64, i64),
    ) -> Self {
        let dir = dir.to_path_buf();
        let (growing, sealed) = (None, Vec::new());
        let chain_hash = ChainHash::ZERO;
        Self { dir, lineage, times, segment_bytes_max, after, commit_ms, chain_hash, growing, sealed }
    }

    /// Segments that are ready; the last one may grow on.
    pub(super) fn take(&mut self) -> Vec<LocalSegment> {
        std::mem::take(&mut self.sealed)
    }

    /// Seals the last segment. Blocks for the disk.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some(growing) = self.growing.take() else { return Ok(()) };
        let local = |source| Error::Cache { attempted: "writing", path: growing.path.clone(), source };
        let written = |source| Error::Local { path: growing.path.clone(), source: Box::new(source) };
        let finished = growing.writer.finish().map_err(written)?;
        finished.inner.into_inner().map_err(|error| local(error.into_error()))?;
        let (size, sha256) = hashed(&growing.path).map_err(local)?;
        let last = finished.header.last_seq;
        self.sealed.push(LocalSegment::new(
            growing.first..=last,
            (growing.chain_before, finished.chain_hash),
            finished.header.last_commit_ms,
            size,
            sha256,
            PutBody::File(growing.path),
        ));
        Ok(())
    }

    fn begin(&mut self, first: u64, chain_before: ChainHash) -> Result<Growing> {
        let path = self.dir.join(format!("{first:016x}.hadbj"));
        let local = |source| Error::Cache { attempted: "creating", path: path.clone(), source };
        let file = File::create(&path).map_err(local)?;
        let (lineage, created_ms) = (self.lineage, self.commit_ms);
        let start = SegmentStart { lineage, first_seq: first, chain_before, created_ms };
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer = SegmentWriter::new(writer, start, &WriteOptions::default());
        let writer =
            writer.map_err(|source| Error::Local { path: path.clone(), source: Box::new(source) })?;
        Ok(Growing { writer, path, first, chain_before, payload_bytes: 0 })
    }
}

impl Visitor for Sealing {
    fn entry(&mut self, entry: &Entry, decoded: &JournalEntry) -> Result<()> {
        let chain_before = std::mem::replace(&mut self.chain_hash, entry.chain_hash);
        let told = match self.times {
            ImportTimes::Segment => entry.commit_ms,
            ImportTimes::Entry => decoded.timestamp_ms,
        };
        // The key of a segment has room for the years to 10889, and none for those before 1970.
        let told = told.clamp(0, graphstream_remote::COMMIT_MS_MAX);
        self.commit_ms = self.commit_ms.max(told);
        if entry.sequence <= self.after {
            return Ok(());
        }
        let mut growing = match self.growing.take() {
            Some(growing) => growing,
            None => self.begin(entry.sequence, chain_before)?,
        };
        let written = growing.writer.push(&entry.payload, self.commit_ms);
        written.map_err(|source| Error::Local { path: growing.path.clone(), source: Box::new(source) })?;
        growing.payload_bytes += entry.payload.len() as u64;
        let full = growing.payload_bytes >= self.segment_bytes_max;
        self.growing = Some(growing);
        if full { self.finish() } else { Ok(()) }
    }
}

/// Length and SHA-256 of a file.
fn hashed(path: &Path) -> std::io::Result<(u64, [u8; 32])> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let (mut sha256, mut buffer, mut size) = (Sha256::new(), vec![0; BUFFER_BYTES], 0_u64);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, sha256.finalize().into()));
        }
        sha256.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}
