//! One writer for every kind of sealed segment.

use std::io::{Seek, Write};

use crate::chain::ChainHash;
use crate::compression::Compression;
use crate::encryption::EncryptWith;
use crate::entry::SegmentStart;
use crate::error::{Error, Result, Unwritable};
use crate::header::SegmentKind;
use crate::open::EntryRef;
pub use crate::v1::Finished;
use crate::{v1, v2};

/// Which sealed layout is written. Readers take both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentVersion {
    /// Version 1, which the predecessor reads too.
    V1,
    /// Version 2: smaller, with exact commit times and an index.
    #[default]
    V2,
}

impl SegmentVersion {
    /// The version that keeps what a segment of this kind says about commit times: version 1 for those that have none of their own per
    /// entry, so that they stay marked as inexact.
    #[must_use]
    pub const fn like(kind: SegmentKind) -> Self {
        match kind {
            SegmentKind::SealedV1 | SegmentKind::LegacyOpen => Self::V1,
            SegmentKind::SealedV2 | SegmentKind::Open => Self::V2,
        }
    }
}

/// How a sealed segment is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The layout.
    pub version: SegmentVersion,
    /// How the entries are stored.
    pub compression: Compression,
    /// Threads that encode the frames of version 2; `None` does it in the caller's.
    pub workers: Option<v2::Workers>,
}

impl WriteOptions {
    /// Writes this version.
    #[must_use]
    pub fn with_version(mut self, version: SegmentVersion) -> Self {
        self.version = version;
        self
    }

    /// Compresses so.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Has frames encoded by these threads.
    #[must_use]
    pub fn with_workers(mut self, workers: v2::Workers) -> Self {
        self.workers = Some(workers);
        self
    }
}

/// A streaming writer of one sealed segment of the version asked for.
#[derive(Debug)]
pub struct SegmentWriter<W: Write + Seek>(Inner<W>);

#[derive(Debug)]
enum Inner<W: Write + Seek> {
    V1(Box<v1::Writer<W>>),
    V2(Box<v2::Writer<W>>),
}

impl<W: Write + Seek> SegmentWriter<W> {
    /// Starts a segment at the beginning of `inner`, which must be empty.
    ///
    /// # Errors
    /// [`Error::Unwritable`](crate::Error::Unwritable) for a zero lineage, a zero sequence or a level out of range;
    /// [`Error::Io`](crate::Error::Io).
    pub fn new(inner: W, start: SegmentStart, options: &WriteOptions) -> Result<Self> {
        Ok(match options.version {
            SegmentVersion::V1 => {
                Self(Inner::V1(Box::new(v1::Writer::new(inner, start, options.compression)?)))
            }
            SegmentVersion::V2 => Self::of_v2(v2::Writer::new(inner, start, options.compression)?, options),
        })
    }

    /// As [`SegmentWriter::new`], for an encrypted segment, which must be told before its first entry what it will hold.
    ///
    /// # Errors
    /// As [`SegmentWriter::new`]; [`Unwritable::EncryptedVersion`] in version 1; [`Unwritable::Range`] for an impossible one.
    pub fn encrypted(
        inner: W,
        start: SegmentStart,
        options: &WriteOptions,
        range: v2::SegmentRange,
        with: EncryptWith<'_>,
    ) -> Result<Self> {
        if options.version != SegmentVersion::V2 {
            return Err(Error::Unwritable(Unwritable::EncryptedVersion));
        }
        let (key, random) = (with.key, &with.random);
        let writer = v2::Writer::encrypted(inner, start, options.compression, range, key, random)?;
        Ok(Self::of_v2(writer, options))
    }

    fn of_v2(mut writer: v2::Writer<W>, options: &WriteOptions) -> Self {
        if let Some(workers) = &options.workers {
            writer = writer.with_workers(workers.clone());
        }
        Self(Inner::V2(Box::new(writer)))
    }

    /// Appends the next entry and returns its sequence. `commit_ms` must not decrease.
    ///
    /// # Errors
    /// As [`v2::Writer::push`].
    pub fn push(&mut self, payload: &[u8], commit_ms: i64) -> Result<u64> {
        match &mut self.0 {
            Inner::V1(writer) => writer.push(payload, commit_ms),
            Inner::V2(writer) => writer.push(payload, commit_ms),
        }
    }

    /// As [`SegmentWriter::push`], for an entry that was just read and verified: its chain hash is not computed again. Every reader
    /// refuses a segment that was given a wrong one.
    ///
    /// # Errors
    /// As [`SegmentWriter::push`].
    pub fn push_verified(&mut self, entry: EntryRef<'_>) -> Result<u64> {
        match &mut self.0 {
            Inner::V1(writer) => writer.push_verified(entry),
            Inner::V2(writer) => writer.push_verified(entry),
        }
    }

    /// Number of entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        match &self.0 {
            Inner::V1(writer) => writer.entries(),
            Inner::V2(writer) => writer.entries(),
        }
    }

    /// The chain hash after the last entry so far.
    #[must_use]
    pub const fn chain_hash(&self) -> ChainHash {
        match &self.0 {
            Inner::V1(writer) => writer.chain_hash(),
            Inner::V2(writer) => writer.chain_hash(),
        }
    }

    /// Ends the segment and writes its header. Nothing is synced.
    ///
    /// # Errors
    /// [`Unwritable::Empty`](crate::Unwritable::Empty) without entries; [`Error::Io`](crate::Error::Io).
    pub fn finish(self) -> Result<Finished<W>> {
        match self.0 {
            Inner::V1(writer) => writer.finish(),
            Inner::V2(writer) => writer.finish(),
        }
    }
}
