//! Standard output: results and nothing else, so that a pipe gets only what was asked for.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::failure::{Failure, Kind};

/// Standard output, buffered; flushed by [`Out::flush`] and at the end.
pub(crate) struct Out {
    inner: BufWriter<StdoutLock<'static>>,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self { inner: BufWriter::with_capacity(64 * 1024, io::stdout().lock()) }
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.inner, "{text}").map_err(broken)
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.inner, value).map_err(|error| broken(error.into()))?;
        self.inner.write_all(b"\n").map_err(broken)
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.inner.flush().map_err(broken)
    }
}

fn broken(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        // The reader has seen enough (`cat | head`).
        return Failure::new(Kind::BrokenPipe, "nobody reads standard output any more");
    }
    Failure::new(Kind::Io, "standard output can't be written").because(&error)
}
