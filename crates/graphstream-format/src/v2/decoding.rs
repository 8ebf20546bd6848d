//! Frames between being read and being given out: two at a time, since the chains of two take less time than one after the other.

use std::sync::Arc;

use super::frame::{Codec, Frame, Place, Stored};
use super::workers::UnderWay;
use crate::encryption::ChunkOpener;
use crate::error::Result;
use crate::limits;

/// What becomes of a frame. Its buffers are used again.
#[derive(Debug)]
pub(super) struct Decoded {
    /// Whether it was read, and what it is.
    pub(super) result: Result<()>,
    pub(super) stored: Vec<u8>,
    pub(super) frame: Frame,
    /// Where it stands, and its number in the segment.
    pub(super) place: Place,
    pub(super) number: u32,
}

impl Decoded {
    pub(super) fn new() -> Self {
        Self {
            result: Ok(()),
            stored: Vec::new(),
            frame: Frame::default(),
            place: Place { offset: 0, sequence: None },
            number: 0,
        }
    }

    fn unpack(&mut self, with: &DecodeWith, codec: &mut Codec) -> Result<()> {
        if let Some(opener) = &with.opener {
            let text_len = opener.open(self.number, false, &mut self.stored, self.place.offset)?.len();
            self.stored.truncate(text_len);
        }
        self.frame.unpack(&mut self.stored, self.place, with.form, codec)
    }
}

/// What all frames of a segment are decoded with.
#[derive(Clone, Debug)]
pub(super) struct DecodeWith {
    /// Opens the chunks of an encrypted segment.
    pub(super) opener: Option<Arc<ChunkOpener>>,
    pub(super) form: Stored,
}

/// Frames that are decoded together, in order: one or two.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Decoded>);

impl Batch {
    pub(super) fn push(&mut self, read: Decoded) {
        self.0.push(read);
    }

    /// Whether one more may be read for it. What is larger than other frames are is decoded alone, or memory would be that of two of these.
    pub(super) fn has_room(&self) -> bool {
        match self.0.as_slice() {
            [] => true,
            [one] => one.result.is_ok() && one.stored.len() <= limits::FRAME_RAW_BYTES_MAX,
            _ => false,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes those that could be read.
    pub(super) fn decode(mut self, with: &DecodeWith, codec: &mut Codec) -> Self {
        for read in self.0.iter_mut().filter(|read| read.result.is_ok()) {
            read.result = read.unpack(with, codec);
        }
        match self.0.as_mut_slice() {
            [one, two] if one.result.is_ok() && two.result.is_ok() => {
                Frame::chain_two(&mut one.frame, &mut two.frame);
            }
            // Nothing behind a damaged frame is given out.
            [one, ..] if one.result.is_ok() => one.frame.chain(),
            _ => {}
        }
        self
    }

    pub(super) fn into_frames(self) -> impl Iterator<Item = Decoded> {
        self.0.into_iter()
    }
}

/// A batch that is or was decoded.
#[derive(Debug)]
pub(super) enum Decoding {
    Done(Batch),
    Worker(UnderWay<Batch>),
}

impl Decoding {
    pub(super) fn wait(self) -> Result<Batch> {
        match self {
            Self::Done(batch) => Ok(batch),
            Self::Worker(under_way) => under_way.wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::damage::Damage;
    use crate::error::Error;

    fn read(stored_len: usize, result: Result<()>) -> Decoded {
        Decoded { result, stored: vec![0; stored_len], ..Decoded::new() }
    }

    #[test]
    fn two_frames_are_decoded_together_unless_one_is_large_or_none() {
        let largest = limits::FRAME_RAW_BYTES_MAX;
        for (stored_len, room) in [(0, true), (largest, true), (largest + 1, false)] {
            let mut batch = Batch::default();
            assert!(batch.has_room());
            batch.push(read(stored_len, Ok(())));
            assert_eq!(batch.has_room(), room, "{stored_len} bytes");
            batch.push(read(0, Ok(())));
            assert!(!batch.has_room());
        }
        let mut batch = Batch::default();
        batch.push(read(0, Err(Error::damaged(Damage::EndsEarly, 0, None))));
        assert!(!batch.has_room());
    }
}
