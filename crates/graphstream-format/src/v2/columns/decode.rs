//! Payloads out of a frame's columns. Every byte of the columnar form is used exactly once, nothing is allocated on the word of a length,
//! and time and memory are linear in what there is: an operation that appends nothing does not exist.

use super::building::{Building, SLACK};
use super::program::{Program, Slot, Step};
use super::{COLUMNAR_OVERHEAD_MAX, DEPTH_MAX, coding, unzigzag};
use crate::limits;
use crate::varint;

/// What the first byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The entries follow as rows, from this place on.
    Rows {
        /// In bytes from the start.
        start: usize,
    },
    /// Columns.
    Columns,
}

/// The form of these bytes, if it may be that of a frame whose rows have this length.
pub(crate) fn form_of(columnar: &[u8], raw_len: usize) -> Option<Form> {
    match columnar.first()? {
        0 => (columnar.len() == raw_len + COLUMNAR_OVERHEAD_MAX).then_some(Form::Rows { start: 1 }),
        _ => (raw_len <= limits::FRAME_RAW_BYTES_MAX).then_some(Form::Columns),
    }
}

/// Makes payloads of columns. Its memory is kept from frame to frame. One per thread.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    program: Program,
    ids: Stream,
    commit_deltas: Stream,
    times: Stream,
    time: u64,
}

/// What is left of a stream, as places in the columnar form.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Decoder {
    /// Finds shapes and columns in this columnar form of `count` entries. `None` if it is none.
    pub(crate) fn begin(&mut self, columnar: &[u8], count: u32) -> Option<()> {
        self.program.clear();
        let (&shapes, _) = columnar.split_first()?;
        let mut at = 1;
        for _ in 0..shapes {
            self.program.add(columnar, &mut at)?;
        }
        // So that its end is copied as fast as anything else.
        self.program.literals.extend_from_slice(&[0; SLACK]);
        self.ids = stream(columnar, &mut at)?;
        self.commit_deltas = stream(columnar, &mut at)?;
        (self.times, self.time) = (stream(columnar, &mut at)?, 0);
        for step in &mut self.program.steps {
            match step.slot {
                Slot::None | Slot::Time => {}
                Slot::Varint => {
                    step.numbers = stream(columnar, &mut at)?;
                    step.coding = step.numbers.byte(columnar).filter(|coding| *coding <= coding::TIME)?;
                }
                Slot::Fixed => step.bytes = stream(columnar, &mut at)?,
                Slot::Bytes | Slot::Whole => {
                    step.numbers = stream(columnar, &mut at)?;
                    step.bytes = stream(columnar, &mut at)?;
                }
            }
        }
        (at == columnar.len() && self.ids.len() == count as usize).then_some(())
    }

    /// Builds the payload of the next entry and returns its commit time delta.
    #[inline]
    pub(crate) fn next(&mut self, columnar: &[u8], out: &mut Building<'_>) -> Option<u64> {
        let id = self.ids.byte(columnar)?;
        let delta = self.commit_deltas.varint(columnar)?;
        let shape = *self.program.shapes.get(usize::from(id))?;
        if shape.timed {
            self.time = self.time.wrapping_add(unzigzag(self.times.varint(columnar)?));
        }
        let mut opened = [0; DEPTH_MAX];
        for step in self.program.steps.get_mut(shape.start..shape.end)? {
            for (opened, open) in opened.iter_mut().zip(step.opens) {
                *opened = open.map_or(*opened, |open| out.at + open as usize);
            }
            out.append(&self.program.literals, step.literal as usize, step.literal_len as usize)?;
            match step.slot {
                Slot::None => {}
                Slot::Time => out.varint(self.time)?,
                Slot::Varint => out.varint(step.number(columnar, self.time)?)?,
                Slot::Fixed => step.bytes.append_to(columnar, 8, out)?,
                Slot::Bytes | Slot::Whole => {
                    let len = step.numbers.varint(columnar)?;
                    if step.slot == Slot::Bytes {
                        out.varint(len)?;
                    }
                    step.bytes.append_to(columnar, len, out)?;
                }
            }
            for (opened, closes) in opened.iter().zip(step.closes).rev() {
                if closes {
                    out.close(*opened)?;
                }
            }
        }
        Some(delta)
    }

    /// Whether every column was used up.
    pub(crate) fn finished(&self) -> bool {
        let columns = self.program.steps.iter().flat_map(|step| [step.numbers, step.bytes]);
        [self.ids, self.commit_deltas, self.times].into_iter().chain(columns).all(|stream| stream.len() == 0)
    }
}

/// A stream begins with its length.
pub(super) fn stream(columnar: &[u8], at: &mut usize) -> Option<Stream> {
    let (len, read) = varint::read(columnar.get(*at..)?)?;
    let start = *at + read;
    let end = start.checked_add(usize::try_from(len).ok()?).filter(|&end| end <= columnar.len())?;
    *at = end;
    Some(Stream { at: start, end })
}

impl Stream {
    pub(super) const fn len(&self) -> usize {
        self.end - self.at
    }

    /// Goes on by this many bytes; `None` if there are not as many.
    #[inline]
    fn advance(&mut self, len: usize) -> Option<()> {
        self.at = self.at.checked_add(len).filter(|at| *at <= self.end)?;
        Some(())
    }

    #[inline]
    fn byte(&mut self, columnar: &[u8]) -> Option<u8> {
        let byte = *columnar.get(self.at)?;
        self.advance(1)?;
        Some(byte)
    }

    #[inline]
    fn varint(&mut self, columnar: &[u8]) -> Option<u64> {
        let (value, read) = varint::read(columnar.get(self.at..)?)?;
        self.advance(read)?;
        Some(value)
    }

    /// Appends the next bytes of it.
    #[inline]
    fn append_to(&mut self, columnar: &[u8], len: u64, out: &mut Building<'_>) -> Option<()> {
        let (start, len) = (self.at, usize::try_from(len).ok()?);
        self.advance(len)?;
        out.append(columnar, start, len)
    }
}

impl Step {
    /// The next number of its column, of an entry with this time.
    #[inline]
    fn number(&mut self, columnar: &[u8], time: u64) -> Option<u64> {
        let difference = unzigzag(self.numbers.varint(columnar)?);
        let from = match self.coding {
            coding::PLAIN => 0,
            coding::DELTA => self.previous,
            _ => time,
        };
        self.previous = from.wrapping_add(difference);
        Some(self.previous)
    }
}
