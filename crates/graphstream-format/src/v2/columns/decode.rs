//! Payloads out of a frame's columns. Every byte of the columnar form is used exactly once, nothing is allocated on the word of a length,
//! and time and memory are linear in what there is: an operation that appends nothing does not exist.

use super::building::Building;
use super::{COLUMNAR_OVERHEAD_MAX, DEPTH_MAX, coding, op, unzigzag};
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
    operations: Vec<Operation>,
    shapes: Vec<Shape>,
    columns: Vec<Column>,
    ids: Stream,
    commit_deltas: Stream,
    times: Column,
}

/// Where the operations and the columns of a shape begin.
#[derive(Clone, Copy, Debug)]
struct Shape {
    operation: usize,
    column: usize,
    /// Whether it has a TIME.
    timed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    End,
    Literal { start: u32, end: u32 },
    Time,
    Varint,
    Fixed,
    Bytes,
    Open,
    Close,
    Whole,
}

/// What is left of a stream, as places in the columnar form.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    pub(super) at: usize,
    pub(super) end: usize,
}

/// One stream, and of numbers how they are coded.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    stream: Stream,
    numbers: bool,
    coding: u8,
    previous: u64,
}

impl Decoder {
    /// Finds shapes and columns in this columnar form of `count` entries. `None` if it is none.
    pub(crate) fn begin(&mut self, columnar: &[u8], count: u32) -> Option<()> {
        self.operations.clear();
        self.shapes.clear();
        self.columns.clear();
        let (&shapes, _) = columnar.split_first()?;
        let mut at = 1;
        for _ in 0..shapes {
            let (operation, column) = (self.operations.len(), self.columns.len());
            let timed = self.shape(columnar, &mut at)?;
            self.shapes.push(Shape { operation, column, timed });
        }
        self.ids = stream(columnar, &mut at)?;
        self.commit_deltas = stream(columnar, &mut at)?;
        self.times =
            Column { stream: stream(columnar, &mut at)?, coding: coding::DELTA, ..Column::default() };
        for column in &mut self.columns {
            column.stream = stream(columnar, &mut at)?;
            if column.numbers {
                column.coding = column.stream.byte(columnar).filter(|coding| *coding <= coding::TIME)?;
            }
        }
        (at == columnar.len() && self.ids.len() == count as usize).then_some(())
    }

    /// Reads the operations of one shape, and makes room for its columns. Whether it has a TIME.
    pub(super) fn shape(&mut self, columnar: &[u8], at: &mut usize) -> Option<bool> {
        let (mut open, mut timed, first) = (0, false, self.operations.len());
        loop {
            if self.operations.len() == limits::FRAME_OPERATIONS_MAX {
                return None;
            }
            let code = *columnar.get(*at)?;
            *at += 1;
            let operation = match code {
                op::END => Operation::End,
                op::LITERAL => {
                    let literal = stream(columnar, at).filter(|literal| literal.len() > 0)?;
                    Operation::Literal {
                        start: u32::try_from(literal.at).ok()?,
                        end: u32::try_from(literal.end).ok()?,
                    }
                }
                op::TIME if !timed => {
                    timed = true;
                    Operation::Time
                }
                op::VARINT => Operation::Varint,
                op::FIXED => Operation::Fixed,
                op::BYTES => Operation::Bytes,
                op::OPEN if open < DEPTH_MAX => {
                    open += 1;
                    Operation::Open
                }
                op::CLOSE if open > 0 => {
                    open -= 1;
                    Operation::Close
                }
                op::WHOLE if self.operations.len() == first => Operation::Whole,
                _ => return None,
            };
            let whole = matches!(self.operations.get(first), Some(Operation::Whole));
            let numbers = matches!(operation, Operation::Varint);
            let columns = match operation {
                Operation::Varint | Operation::Fixed => 1,
                Operation::Bytes | Operation::Whole => 2,
                _ => 0,
            };
            self.columns.extend((0..columns).map(|_| Column { numbers, ..Column::default() }));
            self.operations.push(operation);
            match operation {
                Operation::End => return (open == 0).then_some(timed),
                // Nothing but END follows it.
                _ if whole => return None,
                _ => {}
            }
        }
    }

    /// Builds the payload of the next entry and returns its commit time delta.
    pub(crate) fn next(&mut self, columnar: &[u8], out: &mut Building<'_>) -> Option<u64> {
        let id = self.ids.byte(columnar)?;
        let delta = self.commit_deltas.varint(columnar)?;
        let shape = *self.shapes.get(usize::from(id))?;
        if shape.timed {
            self.times.number(columnar, 0)?;
        }
        let time = self.times.previous;
        let mut columns = self.columns.get_mut(shape.column..)?.iter_mut();
        let mut opened = [0; DEPTH_MAX];
        let mut depth = 0;
        for operation in self.operations.get(shape.operation..)? {
            match *operation {
                Operation::End => break,
                Operation::Literal { start, end } => out.append(columnar, start as usize, end as usize)?,
                Operation::Time => out.varint(time)?,
                Operation::Varint => out.varint(columns.next()?.number(columnar, time)?)?,
                Operation::Fixed => out.append_next(columnar, &mut columns.next()?.stream, 8)?,
                Operation::Bytes | Operation::Whole => {
                    let len = columns.next()?.stream.varint(columnar)?;
                    if matches!(operation, Operation::Bytes) {
                        out.varint(len)?;
                    }
                    out.append_next(columnar, &mut columns.next()?.stream, usize::try_from(len).ok()?)?;
                }
                Operation::Open => {
                    *opened.get_mut(depth)? = out.at;
                    depth += 1;
                    // Room for a length of one byte, as most are.
                    out.varint(0)?;
                }
                Operation::Close => {
                    depth = depth.checked_sub(1)?;
                    out.close(*opened.get(depth)?)?;
                }
            }
        }
        Some(delta)
    }

    /// Whether every column was used up.
    pub(crate) fn finished(&self) -> bool {
        let columns = self.columns.iter().map(|column| column.stream);
        [self.ids, self.commit_deltas, self.times.stream]
            .into_iter()
            .chain(columns)
            .all(|stream| stream.len() == 0)
    }
}

/// A stream begins with its length.
fn stream(columnar: &[u8], at: &mut usize) -> Option<Stream> {
    let (len, read) = varint::read(columnar.get(*at..)?)?;
    let start = *at + read;
    let end = start.checked_add(usize::try_from(len).ok()?).filter(|&end| end <= columnar.len())?;
    *at = end;
    Some(Stream { at: start, end })
}

impl Stream {
    const fn len(&self) -> usize {
        self.end - self.at
    }

    fn byte(&mut self, columnar: &[u8]) -> Option<u8> {
        let byte = *columnar.get(self.at..self.end)?.first()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self, columnar: &[u8]) -> Option<u64> {
        let (value, read) = varint::read(columnar.get(self.at..self.end)?)?;
        self.at += read;
        Some(value)
    }
}

impl Column {
    /// The next number, of an entry with this time.
    fn number(&mut self, columnar: &[u8], time: u64) -> Option<u64> {
        let difference = unzigzag(self.stream.varint(columnar)?);
        let from = match self.coding {
            coding::PLAIN => 0,
            coding::DELTA => self.previous,
            _ => time,
        };
        self.previous = from.wrapping_add(difference);
        Some(self.previous)
    }
}
