//! From a sealed segment in the journal to one that can be uploaded: verified entry by entry, or by its ends alone if that is said, hashed, and
//! cut again when it begins before the epoch does, or encrypted when it was sealed plain and encryption was turned on since.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::{EncryptWith, KeyRing, SEGMENT_RANDOM_LEN};
use graphstream_format::v2::{RandomReader, SegmentRange};
use graphstream_format::{
    ChainHash, Entry, Header, Lineage, Position, ReadOptions, SegmentReader, SegmentStart, SegmentVersion,
    SegmentWriter, WriteOptions,
};
use graphstream_journal::{JournalDir, SegmentInfo};
use graphstream_remote::{ChainValue, LocalSegment, OwnerNonce};
use graphstream_storage::PutBody;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const READ_BUFFER_BYTES: usize = 256 << 10;

/// A segment ready for upload, and the file it was cut into, if it was.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) segment: LocalSegment,
    pub(super) _cut: Option<tempfile::TempPath>,
}

/// Where a segment must join the chain: the last sequence before it that is committed or prepared, and the hash there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joint {
    pub(super) sequence: u64,
    pub(super) chain_hash: ChainHash,
}

/// How segments are made ready.
#[derive(Debug, Clone)]
pub(super) struct Preparing {
    pub(super) lineage: Lineage,
    /// Whether entries are verified where that is not needed anyway.
    pub(super) verify: bool,
    /// Nothing plain is uploaded: the key of what is sealed again, and what all that is random in it follows from.
    pub(super) encrypt: Option<Encrypting>,
}

#[derive(Debug, Clone)]
pub(super) struct Encrypting {
    pub(super) keys: Arc<KeyRing>,
    /// Of this start of this process, and of no other: the nonces of what it seals again are used for nothing else. The same segment is
    /// sealed to the same bytes each time, so that an upload whose answer was lost is recognised as ours.
    pub(super) nonce: OwnerNonce,
}

/// Verifies a sealed segment (if not told to spare that, for one that needs no cut) that must continue at `joint`, and computes what its upload needs. Blocks for the disk.
///
/// A segment that begins at or before the joint (another leader's epoch ended inside it) is cut again after it.
pub(super) fn prepare(
    dir: &JournalDir,
    info: &SegmentInfo,
    preparing: &Preparing,
    joint: Joint,
) -> Result<Prepared> {
    let &Preparing { lineage, verify, ref encrypt } = preparing;
    let (first, last) = (info.header.first_seq, info.header.last_seq);
    let next = joint.sequence.saturating_add(1);
    if first > next {
        return Err(Error::LocalGap { first: next, last: first.saturating_sub(1) });
    }
    let too_plain = encrypt.is_some() && !info.header.is_encrypted();
    if first == next && !too_plain {
        if !verify && let Some(segment) = by_its_ends(dir, info, lineage, joint)? {
            return Ok(Prepared { segment, _cut: None });
        }
        let (bytes, size) = dir.segment_bytes(info)?;
        let read = dir.read_options(&info.header)?;
        let segment = hash(bytes, size, &info.path, body(dir, info)?, read, lineage, joint)?;
        return Ok(Prepared { segment, _cut: None });
    }
    tracing::info!(
        first,
        last,
        after = joint.sequence,
        too_plain,
        "sealing a segment again: it begins before the epoch, or is plain and may not be"
    );
    let cut = cut(dir, info, preparing, joint)?;
    let (file, size) = open(&cut)?;
    let read = match encrypt {
        Some(encrypt) => ReadOptions::default().with_keys(Arc::clone(&encrypt.keys)),
        None => ReadOptions::default(),
    };
    let segment = hash(file, size, &cut, PutBody::File(cut.to_path_buf()), read, lineage, joint)?;
    Ok(Prepared { segment, _cut: Some(cut) })
}

/// A version 2 segment by its header, its index and its last frame: what a leader that has just sealed it may do with. `None` for any other, and
/// for one that does not fit: verifying says why.
fn by_its_ends(
    dir: &JournalDir,
    info: &SegmentInfo,
    lineage: Lineage,
    joint: Joint,
) -> Result<Option<LocalSegment>> {
    let header = &info.header;
    let Some(path) = dir.os_path(info).filter(|_| header.lineage == lineage) else { return Ok(None) };
    let (file, bytes) = open(&path)?;
    let opened = match dir.keys().filter(|_| header.is_encrypted()) {
        Some(keys) => RandomReader::open_encrypted(&file, bytes, keys),
        None => RandomReader::open(&file, bytes),
    };
    let Ok(mut ends) = opened else { return Ok(None) };
    let (before, after) = ends.chain();
    let fits = before == joint.chain_hash && ends.last_seq() == header.last_seq;
    if !fits || !matches!(ends.entry(header.last_seq), Ok(Some(_))) {
        return Ok(None);
    }
    let mut hashing = Hashing { inner: file, sha256: Sha256::new() };
    let mut buffered = BufReader::with_capacity(READ_BUFFER_BYTES, &mut hashing);
    let read = std::io::copy(&mut buffered, &mut std::io::sink());
    read.map_err(|source| Error::LocalFile { attempted: "reading", path: path.clone(), source })?;
    let segment = LocalSegment::new(
        header.first_seq..=header.last_seq,
        (before, after),
        header.last_commit_ms,
        bytes,
        hashing.sha256.finalize().into(),
        PutBody::File(path),
    );
    Ok(Some(segment.with_encrypted(header.is_encrypted())))
}

fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |source| Error::LocalFile { attempted: "reading", path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((file, bytes))
}

fn damaged(path: &Path) -> impl Fn(graphstream_format::Error) -> Error {
    let path: PathBuf = path.to_path_buf();
    move |source| match source {
        // Encryption was turned on, or the key changed, while the journal was being shipped.
        graphstream_format::Error::KeyRequired { id } | graphstream_format::Error::UnknownKey { id } => {
            Error::EncryptedLocal { path: path.clone(), id }
        }
        // A disk that fails says nothing about what is on it.
        graphstream_format::Error::Io { source, .. } => {
            Error::LocalFile { attempted: "reading", path: path.clone(), source }
        }
        source => Error::Local { path: path.clone(), source: Box::new(source) },
    }
}

/// What is uploaded: the file itself, or its bytes where the operating system does not have it.
fn body(dir: &JournalDir, info: &SegmentInfo) -> Result<PutBody> {
    if let Some(path) = dir.os_path(info) {
        return Ok(PutBody::File(path));
    }
    let mut content = Vec::new();
    let (mut bytes, _) = dir.segment_bytes(info)?;
    bytes.read_to_end(&mut content).map_err(|source| Error::LocalFile {
        attempted: "reading",
        path: info.path.clone(),
        source,
    })?;
    Ok(PutBody::from(content))
}

/// Reads a whole segment once: entries and chain are verified, the file is hashed.
fn hash(
    file: impl Read,
    bytes: u64,
    path: &Path,
    body: PutBody,
    options: ReadOptions,
    lineage: Lineage,
    joint: Joint,
) -> Result<LocalSegment> {
    let damaged = damaged(path);
    let options =
        options.with_expected_lineage(lineage).with_legacy_refused().with_expected_chain(joint.chain_hash);
    let mut tee = Hashing { inner: BufReader::with_capacity(READ_BUFFER_BYTES, file), sha256: Sha256::new() };
    let mut reader = SegmentReader::new(&mut tee, bytes, options).map_err(&damaged)?;
    let end = reader.verify().map_err(&damaged)?;
    let (first, encrypted) = (reader.header().first_seq, reader.header().is_encrypted());
    drop(reader);
    // The reader has verified the exact length, but may have had no need to read the last bytes through this.
    std::io::copy(&mut tee, &mut std::io::sink()).map_err(|source| Error::LocalFile {
        attempted: "reading",
        path: path.to_path_buf(),
        source,
    })?;
    let segment = LocalSegment::new(
        first..=end.last_seq,
        (joint.chain_hash, end.chain_hash),
        end.last_commit_ms,
        bytes,
        tee.sha256.finalize().into(),
        body,
    );
    Ok(segment.with_encrypted(encrypted))
}

struct Hashing<R> {
    inner: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Writes the entries after the joint into a segment of their own.
fn cut(
    dir: &JournalDir,
    info: &SegmentInfo,
    preparing: &Preparing,
    joint: Joint,
) -> Result<tempfile::TempPath> {
    let path = &*info.path;
    let lineage = preparing.lineage;
    let damaged = damaged(path);
    let entries = || {
        let (file, bytes) = dir.segment_bytes(info)?;
        let options = dir.read_options(&info.header)?;
        let options = options.with_expected_lineage(lineage).with_legacy_refused();
        let buffered = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        SegmentReader::new(buffered, bytes, options).map_err(&damaged)
    };
    let mut reader = entries()?;
    let unwritable =
        |source| Error::LocalFile { attempted: "cutting again", path: path.to_path_buf(), source };
    let (output, output_path) = tempfile::NamedTempFile::new().map_err(unwritable)?.into_parts();
    let start = SegmentStart {
        lineage,
        first_seq: joint.sequence.saturating_add(1),
        chain_before: joint.chain_hash,
        created_ms: reader.header().created_ms,
    };
    let recut = |source| Error::Local { path: output_path.to_path_buf(), source: Box::new(source) };
    let mut writer = match &preparing.encrypt {
        None => {
            let form = WriteOptions::default().with_version(SegmentVersion::like(reader.kind()));
            SegmentWriter::new(output, start, &form).map_err(recut)?
        }
        Some(encrypt) => {
            let (range, end) = range_after(&mut entries()?, joint, &info.header).map_err(&damaged)?;
            let position = |sequence, chain_hash| Position { lineage, sequence, chain_hash };
            let random =
                encrypt.random(&position(joint.sequence, joint.chain_hash), &position(range.last_seq, end));
            let with = EncryptWith::new(encrypt.keys.current(), random);
            SegmentWriter::encrypted(output, start, &WriteOptions::default(), range, with).map_err(recut)?
        }
    };
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).map_err(&damaged)? {
        if entry.sequence == joint.sequence && entry.chain_hash != joint.chain_hash {
            let keys = preparing.encrypt.as_ref().map(|encrypt| &*encrypt.keys);
            let shown = |chain_hash| {
                let position = Position { lineage, sequence: joint.sequence, chain_hash };
                Box::new(ChainValue::of(&position, keys))
            };
            return Err(Error::Remote(graphstream_remote::Error::Fork {
                sequence: joint.sequence,
                local: shown(entry.chain_hash),
                published: shown(joint.chain_hash),
                common_through: 0,
            }));
        }
        if entry.sequence > joint.sequence {
            writer.push(&entry.payload, entry.commit_ms).map_err(recut)?;
        }
    }
    let finished = writer.finish().map_err(recut)?;
    finished.inner.sync_all().map_err(unwritable)?;
    Ok(output_path)
}

/// What an encrypted segment of the entries after the joint must be told before the first of them, and the chain hash after the last.
fn range_after<R: Read>(
    reader: &mut SegmentReader<R>,
    joint: Joint,
    header: &Header,
) -> graphstream_format::Result<(SegmentRange, ChainHash)> {
    let mut range = SegmentRange {
        last_seq: header.last_seq,
        first_commit_ms: header.first_commit_ms,
        last_commit_ms: header.last_commit_ms,
    };
    let mut entry = Entry::default();
    let mut first = true;
    while reader.read_next(&mut entry)? {
        if entry.sequence > joint.sequence {
            if std::mem::take(&mut first) {
                range.first_commit_ms = entry.commit_ms;
            }
            range.last_commit_ms = entry.commit_ms;
        }
    }
    Ok((range, entry.chain_hash))
}

impl Encrypting {
    /// What is random in a segment of the entries between two positions: the same for the same entries in this start of the process, another
    /// for any others. It stands in the open, so chain hashes go into it by their MACs.
    fn random(&self, before: &Position, end: &Position) -> [u8; SEGMENT_RANDOM_LEN] {
        let key = self.keys.current();
        let half = |number: u8| {
            Sha256::new()
                .chain_update([number])
                .chain_update(self.nonce.as_bytes())
                .chain_update(key.chain_mac(before).mac)
                .chain_update(key.chain_mac(end).mac)
                .finalize()
        };
        let mut random = [0; SEGMENT_RANDOM_LEN];
        for (to, from) in random.iter_mut().zip(half(0).into_iter().chain(half(1))) {
            *to = from;
        }
        random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_a_segment_that_cannot_be_read_is_not_damage_and_is_tried_again() {
        let source = std::io::Error::other("the disk");
        let failed = graphstream_format::Error::Io { operation: "reading", offset: 0, source };
        let error = damaged(Path::new("journal-0000000000000001.hadbj"))(failed);
        assert!(matches!(error, Error::LocalFile { .. }) && error.is_transient(), "{error:?}");
    }
}
