//! Fetching one segment, verified before it is given away: size, hash if the head names it, header against the name.
//! Entries and chain are verified by whoever reads them.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use graphstream_format::header::HEADER_LEN;
use graphstream_format::{Header, ReadOptions, SegmentReader, verify_stored};
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, Key};
use sha2::{Digest, Sha256};

use crate::error::{Attempt, Error, Result, SegmentDamage};
use crate::{Head, ObjectName, PlannedSegment, Remote};

/// Where fetched bytes go. What it holds is to be thrown away unless the fetch succeeds.
pub trait SegmentSink: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever storing them fails with.
    fn write(&mut self, chunk: &[u8]) -> io::Result<()>;
}

impl SegmentSink for Vec<u8> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.extend_from_slice(chunk);
        Ok(())
    }
}

/// A file that appears under its name when it is complete and durable, or not at all.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl SegmentFile {
    /// Begins the file that is to be `path`; the bytes go to `path` with `.tmp` appended, which is replaced if it is left
    /// over. One fetch per path at a time.
    ///
    /// # Errors
    /// Creating the temporary file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        Ok(Self { file: File::create(&temporary)?, temporary, path: path.to_owned() })
    }

    /// Makes the content durable, then gives it its name. Blocks for the disk.
    ///
    /// # Errors
    /// Syncing or renaming. The temporary file is removed then.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        // Nothing is left for drop to remove.
        self.temporary.clear();
        match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(directory) => File::open(directory)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl SegmentSink for SegmentFile {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)
    }
}

/// A fetched segment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetchedSegment {
    /// Its header, which agrees with its name and the head's lineage.
    pub header: Header,
    /// Bytes of the object.
    pub size: u64,
    /// SHA-256 of the object.
    pub sha256: [u8; 32],
}

impl Remote {
    /// Streams a segment of `head`'s history into `sink`; `None` when the object is not there (any more): resolve again,
    /// naming it as missing.
    ///
    /// # Errors
    /// [`Error::SegmentDamaged`] for other bytes than expected, [`Error::SegmentTooLarge`], [`Error::Sink`],
    /// [`Error::Storage`] (also for a body that the connection cut). The sink's content is worthless then.
    pub async fn fetch_segment(
        &self,
        head: &Head,
        segment: &PlannedSegment,
        sink: &mut dyn SegmentSink,
    ) -> Result<Option<FetchedSegment>> {
        let key = self.layout().key(&ObjectName::Segment(segment.name))?;
        let failed = |source| Error::storage(Attempt::ReadSegment, &key)(source);
        let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
        let expected = segment.size;
        if expected > self.segment_bytes_max() {
            return Err(Error::SegmentTooLarge { key, size: expected, limit: self.segment_bytes_max() });
        }
        let object = match self.backend().get(&key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (mut body, length) = (object.body, object.meta.size);
        let mut sha256 = Sha256::new();
        let mut start = Vec::with_capacity(HEADER_LEN);
        let mut found: u64 = 0;
        if length != expected {
            // Another segment under this name is more than one of another length.
            while start.len() < HEADER_LEN
                && let Some(chunk) = body.next_chunk().await.map_err(failed)?
            {
                start.extend(chunk.iter().take(HEADER_LEN.saturating_sub(start.len())));
            }
            let other = misplaced(&start, head, segment, length);
            return Err(damaged(other.unwrap_or(SegmentDamage::Size { expected, found: length })));
        }
        while let Some(chunk) = body.next_chunk().await.map_err(failed)? {
            found = found.saturating_add(chunk.len() as u64);
            if found > expected {
                break;
            }
            sha256.update(&chunk);
            let wanted = HEADER_LEN.saturating_sub(start.len());
            start.extend(chunk.iter().take(wanted));
            sink.write(&chunk).map_err(|source| Error::Sink { key: key.clone(), source })?;
        }
        if found != expected {
            return Err(damaged(SegmentDamage::Size { expected, found }));
        }
        let sha256: [u8; 32] = sha256.finalize().into();
        if let Some(expected) = segment.sha256.filter(|expected| *expected != sha256) {
            let other = misplaced(&start, head, segment, found);
            let (expected, found) = (hex::encode(expected), hex::encode(sha256));
            return Err(damaged(other.unwrap_or(SegmentDamage::Sha256 { expected, found })));
        }
        let header = check_header(&start, head, segment, &key)?;
        Ok(Some(FetchedSegment { header, size: found, sha256 }))
    }
}

/// Whether bytes that are not what was expected, so many, begin like another segment: one that belongs elsewhere, or takes this one's place.
fn misplaced(start: &[u8], head: &Head, segment: &PlannedSegment, found: u64) -> Option<SegmentDamage> {
    let header = Header::decode(<&[u8; HEADER_LEN]>::try_from(start).ok()?).ok()?;
    let expected = segment.size;
    belongs(&header, head, segment).err().or_else(|| {
        let whole = header.is_sealed() && header.file_len() == Some(found) && found != expected;
        whole.then_some(SegmentDamage::Replaced { expected, found })
    })
}

/// Whether a segment with this header is the one that was planned.
fn belongs(header: &Header, head: &Head, segment: &PlannedSegment) -> Result<(), SegmentDamage> {
    let (expected, found) = (head.lineage(), header.lineage);
    if expected != found {
        return Err(SegmentDamage::Lineage { expected, found });
    }
    let (first, last) = (header.first_seq, header.last_seq);
    if (first, last) != (segment.name.first(), segment.name.last()) {
        return Err(SegmentDamage::Sequences { first, last });
    }
    Ok(())
}

fn check_header(start: &[u8], head: &Head, segment: &PlannedSegment, key: &Key) -> Result<Header> {
    let damaged = |source| Error::SegmentDamaged { key: key.clone(), source: Box::new(source) };
    let Ok(start) = <&[u8; HEADER_LEN]>::try_from(start) else {
        return Err(damaged(SegmentDamage::Size { expected: HEADER_LEN as u64, found: start.len() as u64 }));
    };
    let header = Header::decode(start).map_err(|source| damaged(SegmentDamage::Header(source)))?;
    if !header.is_sealed() {
        return Err(damaged(SegmentDamage::NotSealed));
    }
    if !header.is_encrypted()
        && let Some(plain_up_to) = head.plain_up_to().filter(|plain| segment.name.last() > *plain)
    {
        return Err(damaged(SegmentDamage::Plaintext { plain_up_to }));
    }
    belongs(&header, head, segment).map_err(damaged)?;
    Ok(header)
}

impl Error {
    /// For bytes that are not those the head names: looks for the place where they contradict themselves, in the file they
    /// were fetched into. Any other error, and damage that shows nowhere else, stays as it is. Reads the file; blocks.
    #[must_use]
    pub fn placed(self, fetched: &Path) -> Self {
        match self {
            Self::SegmentDamaged { key, source } if matches!(*source, SegmentDamage::Sha256 { .. }) => {
                let source =
                    contradiction(fetched).map_or(source, |found| Box::new(SegmentDamage::Contents(found)));
                Self::SegmentDamaged { key, source }
            }
            other => other,
        }
    }
}

/// What is wrong in a segment's file, if anything is.
fn contradiction(path: &Path) -> Option<graphstream_format::Error> {
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let found = match SegmentReader::new(BufReader::new(&file), bytes, ReadOptions::default()) {
        // What takes no key shows without one.
        Err(graphstream_format::Error::KeyRequired { .. }) => {
            verify_stored(BufReader::new(File::open(path).ok()?), bytes).err()?
        }
        read => read.and_then(|mut reader| reader.verify()).err()?,
    };
    (!matches!(found, graphstream_format::Error::Io { .. })).then_some(found)
}
