//! The entries of the demo: bundled or from files, read in a stream so that any file fits.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use graphstream::proto::JournalEntry;
use graphstream::proto::json::{LINE_BYTES_MAX, parse_line};

use crate::failure::{Failure, Kind};
use crate::lines::{LineError, Lines};
use crate::times;

/// About 5,000 mutations of the LDBC Social Network Benchmark data set; see `sample/NOTICE.md`.
pub(crate) const SAMPLE: &[u8] = include_bytes!("../../../sample/ldbc-snb-sample.jsonl.zst");
const SCHEMA: &[u8] = include_bytes!("../../../sample/schema-grafeo.jsonl");

/// Where entries come from.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Sample,
    Schema,
    File(PathBuf),
}

impl Data {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Sample => "the bundled sample".to_owned(),
            Self::Schema => "the bundled indexes".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>, Failure> {
        Ok(match self {
            Self::Schema => Box::new(SCHEMA),
            Self::Sample => Box::new(BufReader::new(zstd::Decoder::new(SAMPLE).map_err(|error| {
                Failure::new(Kind::Internal, "the bundled sample can't be read").because(&error)
            })?)),
            Self::File(path) => Box::new(BufReader::new(
                File::open(path).map_err(|error| Failure::opening(path, Kind::Input, &error))?,
            )),
        })
    }

    /// The entries, one after another.
    pub(super) fn entries(&self) -> Result<Entries, Failure> {
        Ok(Entries { lines: Lines::new(self.open()?, LINE_BYTES_MAX), line: Vec::new(), name: self.name() })
    }

    /// Reads everything once: the number of entries, all of them good.
    pub(super) fn count(&self) -> Result<u64, Failure> {
        let mut entries = self.entries()?;
        let mut count = 0;
        while entries.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Refuses what can be read only once.
    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        let meta = std::fs::metadata(path).map_err(|error| Failure::opening(path, Kind::Input, &error))?;
        if !meta.is_file() {
            return Err(
                Failure::new(Kind::Input, format!("{} is not a regular file", path.display())).file(path)
            );
        }
        Ok(Self::File(path.to_path_buf()))
    }
}

/// A stream of entries.
pub(super) struct Entries {
    lines: Lines<Box<dyn BufRead + Send>>,
    line: Vec<u8>,
    name: String,
}

impl Entries {
    pub(super) fn next(&mut self) -> Result<Option<JournalEntry>, Failure> {
        loop {
            match self.lines.next(&mut self.line) {
                Ok(true) if self.line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(true) => break,
                Ok(false) => return Ok(None),
                Err(LineError::Io(error)) => {
                    return Err(self.bad(&Failure::new(Kind::Input, "it can't be read").because(&error)));
                }
                Err(LineError::TooLong) => {
                    return Err(self.bad(&Failure::new(
                        Kind::Input,
                        format!("it is longer than {LINE_BYTES_MAX} bytes"),
                    )));
                }
            }
        }
        let text =
            std::str::from_utf8(&self.line).map_err(|error| self.bad(&Failure::of(Kind::Input, &error)))?;
        let entry =
            parse_line(text, times::now_ms()).map_err(|error| self.bad(&Failure::of(Kind::Input, &error)))?;
        Ok(Some(entry))
    }

    /// Up to `count` entries.
    pub(super) fn batch(&mut self, count: usize) -> Result<Vec<JournalEntry>, Failure> {
        let mut batch = Vec::with_capacity(count.min(1024));
        while batch.len() < count {
            match self.next()? {
                Some(entry) => batch.push(entry),
                None => break,
            }
        }
        Ok(batch)
    }

    fn bad(&self, cause: &Failure) -> Failure {
        let number = self.lines.number();
        cause
            .clone()
            .while_doing(format_args!("line {number} of {} is no entry", self.name))
            .place(|place| place.line = Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_data_is_whole() {
        assert!((4_000..=6_000).contains(&Data::Sample.count().unwrap()));
        assert!(Data::Schema.count().unwrap() >= 3);
    }
}
