//! How a journal's segments are sealed: layout, compression, and the key if there is one.

use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::v2::SegmentRange;
use graphstream_format::{Header, SegmentStart, SegmentVersion, SegmentWriter, WriteOptions};

use crate::clock::Entropy;
use crate::error::{Error, Result};
use crate::keys::encrypt_with;

/// With keys, nothing plain is written.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) write: WriteOptions,
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Form {
    /// For a part of a segment that exists: what was plain stays plain, in the version that keeps what it says about commit times.
    pub(crate) fn like(&self, source: &Header) -> Self {
        let write = self.write.clone().with_version(SegmentVersion::like(source.kind()));
        let keys = self.keys.clone().filter(|_| source.is_encrypted());
        Self { write, keys, entropy: Arc::clone(&self.entropy) }
    }

    /// Starts a segment under its temporary name. An encrypted one must be told first what it will hold; nobody else is asked.
    pub(crate) fn writer<W: Write + Seek>(
        &self,
        sink: W,
        start: SegmentStart,
        temp: &Path,
        range: impl FnOnce() -> Result<SegmentRange>,
    ) -> Result<SegmentWriter<W>> {
        let writer = match &self.keys {
            None => SegmentWriter::new(sink, start, &self.write),
            Some(keys) => {
                let with = encrypt_with(keys.current(), &*self.entropy)?;
                SegmentWriter::encrypted(sink, start, &self.write, range()?, with)
            }
        };
        writer.map_err(Error::segment(temp))
    }
}
