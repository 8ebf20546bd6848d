//! The columnar form of a frame's rows. Memory is kept from frame to frame, up to a limit; nothing is allocated per entry.

use super::shape::{Shaper, Slot, likeness};
use super::{COLUMNAR_OVERHEAD_MAX, WHOLE_OPERATIONS, coding, zigzag};
use crate::limits;
use crate::varint;

/// Most bytes that columns keep from frame to frame: more than those of any ordinary frame. Otherwise frames with much in ever other columns
/// would add up.
const KEPT_BYTES_MAX: usize = 2 << 20;

/// About how many numbers of a column tell how it is coded.
const SAMPLED: usize = 64;

/// Makes columns of rows. One per thread.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    shaper: Shaper,
    /// The shapes of this frame: as many as there are checksums. Those behind are kept for their memory.
    shapes: Vec<Shape>,
    checksums: Vec<u32>,
    /// By a byte of the query's likeness, the shape of the last payload with it.
    by_query: Vec<Option<u8>>,
    /// Operations of these shapes.
    operations: usize,
    ids: Vec<u8>,
    commit_deltas: Vec<u8>,
    times: Vec<u8>,
    time: u64,
    /// The stream that is being coded.
    scratch: Vec<u8>,
    out: Vec<u8>,
}

/// A shape with its columns, as many as are in use.
#[derive(Debug, Default)]
struct Shape {
    operations: Vec<u8>,
    columns: Vec<Column>,
    columns_used: usize,
}

/// The values of one slot.
#[derive(Debug, Default)]
struct Column {
    kind: Kind,
    /// Each with the time of its entry.
    numbers: Vec<(u64, u64)>,
    /// Lengths as varints.
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    Numbers,
    Fixed,
    Bytes,
}

impl Encoder {
    /// The columnar form of these rows: `count` entries as a frame of compression 0 holds them.
    pub(crate) fn encode(&mut self, rows: &[u8], count: u32) -> &[u8] {
        self.out.clear();
        if self.kept_bytes() > KEPT_BYTES_MAX {
            self.shapes = Vec::new();
        }
        // A larger frame is one entry: there is nothing beside it that it could be like.
        if rows.len() > limits::FRAME_RAW_BYTES_MAX || self.columns(rows, count).is_none() {
            self.out.clear();
            self.out.push(0);
            self.out.extend_from_slice(rows);
        }
        &self.out
    }

    /// Memory of the columns, in use or kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.shapes.iter().map(Shape::kept_bytes).sum()
    }

    /// `None` if the columns take more than the rows.
    fn columns(&mut self, rows: &[u8], count: u32) -> Option<()> {
        (self.operations, self.time) = (0, 0);
        self.checksums.clear();
        self.by_query.clear();
        self.by_query.resize(256, None);
        for stream in [&mut self.ids, &mut self.commit_deltas, &mut self.times] {
            stream.clear();
        }
        let mut rest = rows;
        for _ in 0..count {
            let (payload_len, read) = varint::read(rest)?;
            let (delta, delta_len) = varint::read(rest.get(read..)?)?;
            let (payload, behind) =
                rest.get(read + delta_len..)?.split_at_checked(usize::try_from(payload_len).ok()?)?;
            rest = behind;
            varint::write(delta, &mut self.commit_deltas);
            self.entry(payload)?;
        }
        let longest = rows.len() + COLUMNAR_OVERHEAD_MAX;
        self.out.push(u8::try_from(self.checksums.len()).ok()?);
        let shapes = self.shapes.get(..self.checksums.len())?;
        for shape in shapes {
            self.out.extend_from_slice(&shape.operations);
        }
        for stream in [&self.ids, &self.commit_deltas, &self.times] {
            write_stream(stream, &mut self.out);
        }
        for column in shapes.iter().flat_map(|shape| shape.columns.iter().take(shape.columns_used)) {
            column.write(&mut self.out, &mut self.scratch);
            if self.out.len() > longest {
                return None;
            }
        }
        (self.out.len() <= longest).then_some(())
    }

    fn entry(&mut self, payload: &[u8]) -> Option<()> {
        let place = likeness(payload).map_or(0, |likeness| likeness >> 56) as usize;
        let likely = *self.by_query.get(place)?;
        let shape = likely.and_then(|id| self.shapes.get(usize::from(id)));
        let id = match (likely, shape) {
            (Some(id), Some(shape)) if self.shaper.follow(&shape.operations, payload) => id,
            _ => {
                let id = u8::try_from(self.other_shape(payload)?).ok()?;
                self.by_query.get_mut(place)?.replace(id);
                id
            }
        };
        self.ids.push(id);
        if let Some(time) = self.shaper.time {
            varint::write(zigzag(time.wrapping_sub(self.time)), &mut self.times);
            self.time = time;
        }
        let columns = &mut self.shapes.get_mut(usize::from(id))?.columns;
        for (slot, column) in self.shaper.slots.iter().zip(columns) {
            match *slot {
                Slot::Number(number) => column.numbers.push((number, self.time)),
                Slot::Fixed { start } => column.bytes.extend_from_slice(payload.get(start..start + 8)?),
                Slot::Bytes { start, end } => {
                    varint::write((end - start) as u64, &mut column.lengths);
                    column.bytes.extend_from_slice(payload.get(start..end)?);
                }
            }
        }
        Some(())
    }

    /// The shape of a payload that has to be taken apart for it.
    fn other_shape(&mut self, payload: &[u8]) -> Option<usize> {
        let known = if self.shaper.take_apart(payload) { self.shape(1) } else { None };
        known.or_else(|| {
            self.shaper.whole(payload);
            self.shape(0)
        })
    }

    /// The number of the shape that the shaper holds. `None` if it is new and there is no room for it and for this many payloads' without
    /// structure.
    fn shape(&mut self, spare: usize) -> Option<usize> {
        let operations = &self.shaper.shape;
        let checksum = crc32c::crc32c(operations);
        for (id, _) in self.checksums.iter().enumerate().filter(|(_, known)| **known == checksum) {
            if self.shapes.get(id)?.operations == *operations {
                return Some(id);
            }
        }
        let (id, total) = (self.checksums.len(), self.operations + self.shaper.operations);
        if id + spare >= limits::FRAME_SHAPES_MAX
            || total + spare * WHOLE_OPERATIONS > limits::FRAME_OPERATIONS_MAX
        {
            return None;
        }
        self.operations = total;
        self.checksums.push(checksum);
        if id == self.shapes.len() {
            self.shapes.push(Shape::default());
        }
        self.shapes.get_mut(id)?.begin(operations, &self.shaper.slots);
        Some(id)
    }
}

impl Shape {
    fn kept_bytes(&self) -> usize {
        let columns = self.columns.iter().map(|column| {
            size_of::<Column>()
                + column.numbers.capacity() * size_of::<(u64, u64)>()
                + column.lengths.capacity()
                + column.bytes.capacity()
        });
        self.operations.capacity() + columns.sum::<usize>()
    }

    fn begin(&mut self, operations: &[u8], slots: &[Slot]) {
        self.operations.clear();
        self.operations.extend_from_slice(operations);
        self.columns_used = slots.len();
        if self.columns.len() < slots.len() {
            self.columns.resize_with(slots.len(), Column::default);
        }
        for (column, slot) in self.columns.iter_mut().zip(slots) {
            column.begin(match slot {
                Slot::Number(_) => Kind::Numbers,
                Slot::Fixed { .. } => Kind::Fixed,
                Slot::Bytes { .. } => Kind::Bytes,
            });
        }
    }
}

impl Column {
    fn begin(&mut self, kind: Kind) {
        self.kind = kind;
        self.numbers.clear();
        self.lengths.clear();
        self.bytes.clear();
    }

    fn write(&self, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        match self.kind {
            Kind::Numbers => {
                self.code(scratch);
                write_stream(scratch, out);
            }
            Kind::Fixed => write_stream(&self.bytes, out),
            Kind::Bytes => {
                write_stream(&self.lengths, out);
                write_stream(&self.bytes, out);
            }
        }
    }

    /// The coding that takes least, of equals the first, by a sample of the numbers.
    fn coding(&self) -> u8 {
        let mut costs = [0; 3];
        let step = (self.numbers.len() / SAMPLED).max(1);
        for pair in self.numbers.windows(2).step_by(step) {
            let &[(previous, _), (number, time)] = pair else { continue };
            for (cost, from) in costs.iter_mut().zip([0, previous, time]) {
                *cost += varint::len(zigzag(number.wrapping_sub(from)));
            }
        }
        let [plain, delta, time] = costs;
        if plain <= delta && plain <= time {
            coding::PLAIN
        } else if delta <= time {
            coding::DELTA
        } else {
            coding::TIME
        }
    }

    /// The numbers as a stream.
    fn code(&self, out: &mut Vec<u8>) {
        let coding = self.coding();
        out.clear();
        out.push(coding);
        let mut previous = 0;
        for &(number, time) in &self.numbers {
            let from = match coding {
                coding::PLAIN => 0,
                coding::DELTA => previous,
                _ => time,
            };
            varint::write(zigzag(number.wrapping_sub(from)), out);
            previous = number;
        }
    }
}

fn write_stream(stream: &[u8], out: &mut Vec<u8>) {
    varint::write(stream.len() as u64, out);
    out.extend_from_slice(stream);
}
