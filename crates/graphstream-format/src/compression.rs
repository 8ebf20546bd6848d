//! zstd, with its memory and its input bounded.

use std::io::{BufRead, Read, Result, Write};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;
use zstd::zstd_safe::{self, CParameter};

use crate::error::{Error, Unwritable};
use crate::limits;

/// How a sealed body, or each of its frames, is stored.
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
    /// Version 2: the entries of a frame sorted into columns ([`v2::columns`](crate::v2::columns)), then one zstd frame. Version 1, which has
    /// none, is written as with [`Compression::Zstd`].
    Columns {
        /// As of zstd.
        level: i32,
    },
}

impl Default for Compression {
    /// Columns, then zstd, level 3.
    fn default() -> Self {
        Self::Columns { level: 3 }
    }
}

impl Compression {
    /// What version 1 is written with unless told otherwise: zstd, level 1. On bodies with chain hashes in them it takes half the time of
    /// level 3 for 1 % more bytes.
    pub const VERSION_1: Self = Self::Zstd { level: 1 };

    /// Refuses levels whose window a reader would refuse.
    pub(crate) fn check(self) -> crate::Result<()> {
        match self {
            Self::Zstd { level } | Self::Columns { level } if !limits::ZSTD_LEVELS.contains(&level) => {
                Err(Error::Unwritable(Unwritable::ZstdLevel(level)))
            }
            Self::None | Self::Zstd { .. } | Self::Columns { .. } => Ok(()),
        }
    }
}

/// The fast levels look for repetitions of 6 and 7 bytes. Between two chain hashes, which repeat nothing, those of 5 count.
const FAST_LEVELS: std::ops::RangeInclusive<i32> = 1..=2;
const FAST_MATCH_BYTES_MIN: u32 = 5;

/// A streaming encoder into `writer`.
pub(crate) fn encoder<W: Write>(writer: W, level: i32) -> Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(writer, level)?;
    if FAST_LEVELS.contains(&level) {
        encoder.set_parameter(CParameter::MinMatch(FAST_MATCH_BYTES_MIN))?;
    }
    Ok(encoder)
}

/// A streaming decoder of exactly one frame: it stops behind it, allocates no more than a window of
/// `2^window_log_max` bytes, and decodes no second or skippable frame.
pub(crate) fn decoder<R: BufRead>(reader: R, window_log_max: u32) -> Result<Decoder<'static, R>> {
    let mut decoder = Decoder::with_buffer(reader)?;
    decoder.window_log_max(window_log_max)?;
    Ok(decoder.single_frame())
}

/// How many bytes `stored` says that it holds, if it is exactly one zstd frame that needs no dictionary and keeps to the window limit: then
/// decoding it writes no more than that, and reads all of `stored`.
pub(crate) fn content_len(stored: &[u8]) -> Option<usize> {
    const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
    const SINGLE_SEGMENT: u8 = 0x20;
    let Some((magic, [descriptor, window, ..])) = stored.split_first_chunk::<4>() else {
        return None;
    };
    let content = usize::try_from(zstd_safe::get_frame_content_size(stored).ok()??).ok()?;
    // The window: 2^(10 + e) * (1 + m / 8), from the top five and the low three bits. A single segment has none but its content.
    let window_log = u32::from(window >> 3) + 10;
    let window_fits = descriptor & SINGLE_SEGMENT != 0
        || window_log < limits::ZSTD_WINDOW_LOG_MAX
        || (window_log == limits::ZSTD_WINDOW_LOG_MAX && window & 7 == 0);
    let one = *magic == MAGIC
        && window_fits
        && zstd_safe::get_dict_id_from_frame(stored).is_none()
        && zstd_safe::find_frame_compressed_size(stored) == Ok(stored.len());
    one.then_some(content)
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
