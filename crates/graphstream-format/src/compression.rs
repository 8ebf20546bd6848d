//! zstd, with its memory and its input bounded.

use std::io::{BufRead, Read, Result, Write};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::error::{Error, Unwritable};
use crate::limits;

/// How a sealed body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// As it is.
    None,
    /// One zstd frame.
    Zstd {
        /// From 1 (fast) to 19 (small); see [`limits::ZSTD_LEVELS`].
        level: i32,
    },
}

impl Default for Compression {
    /// zstd, level 3.
    fn default() -> Self {
        Self::Zstd { level: 3 }
    }
}

impl Compression {
    /// Refuses levels whose window a reader would refuse.
    pub(crate) fn check(self) -> crate::Result<()> {
        match self {
            Self::Zstd { level } if !limits::ZSTD_LEVELS.contains(&level) => {
                Err(Error::Unwritable(Unwritable::ZstdLevel(level)))
            }
            Self::None | Self::Zstd { .. } => Ok(()),
        }
    }
}

/// A streaming encoder into `writer`.
pub(crate) fn encoder<W: Write>(writer: W, level: i32) -> Result<Encoder<'static, W>> {
    Encoder::new(writer, level)
}

/// A streaming decoder of exactly one frame: it stops behind it, allocates no more than a window of
/// `2^window_log_max` bytes, and decodes no second or skippable frame.
pub(crate) fn decoder<R: BufRead>(reader: R, window_log_max: u32) -> Result<Decoder<'static, R>> {
    let mut decoder = Decoder::with_buffer(reader)?;
    decoder.window_log_max(window_log_max)?;
    Ok(decoder.single_frame())
}

/// Whether nothing more comes out of a reader.
pub(crate) fn at_end<R: Read>(reader: &mut R) -> Result<bool> {
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(read) => return Ok(read == 0),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
