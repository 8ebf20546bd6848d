//! The journal, with its defaults but for what a measure is about.

use std::path::Path;

use anyhow::Result;
use graphstream_journal::{Journal, JournalOptions};

pub(crate) fn open(dir: &Path, segment: u64) -> Result<Journal> {
    let options = JournalOptions::default().with_segment_bytes_max(segment);
    Ok(Journal::builder(dir).options(options).open()?.0)
}
