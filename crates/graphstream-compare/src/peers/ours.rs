//! The journal, with its defaults but for what a measure is about.

use std::path::Path;

use anyhow::Result;
use graphstream_format::{Compression, SegmentVersion};
use graphstream_journal::{Journal, JournalOptions};

pub(crate) fn open(dir: &Path, segment: u64) -> Result<Journal> {
    open_with(dir, JournalOptions::default().with_segment_bytes_max(segment))
}

pub(crate) fn open_with(dir: &Path, options: JournalOptions) -> Result<Journal> {
    Ok(Journal::builder(dir).options(options).open()?.0)
}

/// Seals into this version, with the compression that suits it.
pub(crate) fn sealing(options: JournalOptions, version: SegmentVersion) -> JournalOptions {
    let compression = match version {
        SegmentVersion::V1 => Compression::VERSION_1,
        _ => Compression::default(),
    };
    options.with_segment_version(version).with_compression(compression)
}
