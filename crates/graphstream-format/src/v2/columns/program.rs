//! Shapes as they are executed: all that is the same in every payload up to the next slot is one copy.
//!
//! ```text
//! shape   LITERAL OPEN LITERAL OPEN LITERAL VARINT CLOSE CLOSE  OPEN LITERAL ...
//! steps   [ ..... 0 ........ 0 ....... ] number, both lengths | [ 0 ....... ]
//! ```

use super::decode::{Stream, stream};
use super::{DEPTH_MAX, op};
use crate::limits;
use crate::varint;

/// Appends what is the same in every payload, then what is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Where in the program's literals it begins, and how long it is.
    pub(super) literal: u32,
    pub(super) literal_len: u32,
    /// Of each level, where in the literal a byte was left for the length of what is behind it.
    pub(super) opens: [Option<u32>; DEPTH_MAX],
    pub(super) slot: Slot,
    /// Of each level, whether it ends behind the slot.
    pub(super) closes: [bool; DEPTH_MAX],
    /// The slot's numbers or lengths, and how numbers are coded.
    pub(super) numbers: Stream,
    pub(super) coding: u8,
    pub(super) previous: u64,
    /// The slot's bytes.
    pub(super) bytes: Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    None,
    Time,
    Varint,
    Fixed,
    Bytes,
    Whole,
}

/// The steps of one shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has a TIME.
    pub(super) timed: bool,
}

/// The shapes of a frame. Its memory is kept from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) shapes: Vec<Shape>,
    pub(super) steps: Vec<Step>,
    pub(super) literals: Vec<u8>,
    operations: usize,
}

/// An OPEN without its CLOSE: its step, and where its byte stands in the literals.
type Opened = (usize, usize);

impl Program {
    pub(super) fn clear(&mut self) {
        self.shapes.clear();
        self.steps.clear();
        self.literals.clear();
        self.operations = 0;
    }

    /// Adds the shape that begins at `at`, without what its slots hold.
    pub(super) fn add(&mut self, columnar: &[u8], at: &mut usize) -> Option<()> {
        let (start, first_operation) = (self.steps.len(), self.operations);
        let (mut opened, mut depth) = ([Opened::default(); DEPTH_MAX], 0);
        let (mut timed, mut whole) = (false, false);
        let mut literal = self.literals.len();
        loop {
            if self.operations == limits::FRAME_OPERATIONS_MAX {
                return None;
            }
            let first = self.operations == first_operation;
            self.operations += 1;
            let code = *columnar.get(*at)?;
            *at += 1;
            // Nothing but END follows it.
            if whole && code != op::END {
                return None;
            }
            let slot = match code {
                op::END => Slot::None,
                op::LITERAL => {
                    let bytes = stream(columnar, at).filter(|bytes| bytes.len() > 0)?;
                    self.literals.extend_from_slice(columnar.get(bytes.at..bytes.end)?);
                    continue;
                }
                op::TIME if !timed => {
                    timed = true;
                    Slot::Time
                }
                op::VARINT => Slot::Varint,
                op::FIXED => Slot::Fixed,
                op::BYTES => Slot::Bytes,
                op::OPEN => {
                    *opened.get_mut(depth)? = (self.steps.len(), self.literals.len());
                    depth += 1;
                    // Most lengths take one byte.
                    self.literals.push(0);
                    continue;
                }
                op::CLOSE => {
                    depth = depth.checked_sub(1)?;
                    let (step, place) = *opened.get(depth)?;
                    if step == self.steps.len() {
                        self.close_literal(place)?;
                        continue;
                    }
                    // What it ends began in an earlier step, so there is one.
                    if literal < self.literals.len() {
                        self.push(&mut literal, Slot::None, &opened, depth + 1)?;
                    }
                    *self.steps.last_mut()?.closes.get_mut(depth)? = true;
                    continue;
                }
                op::WHOLE if first => {
                    whole = true;
                    Slot::Whole
                }
                _ => return None,
            };
            if slot != Slot::None || literal < self.literals.len() {
                self.push(&mut literal, slot, &opened, depth)?;
            }
            if code == op::END {
                self.shapes.push(Shape { start, end: self.steps.len(), timed });
                return (depth == 0).then_some(());
            }
        }
    }

    /// Ends a step that began at `literal`; `opened` are the OPENs up to this depth.
    fn push(
        &mut self,
        literal: &mut usize,
        slot: Slot,
        opened: &[Opened; DEPTH_MAX],
        depth: usize,
    ) -> Option<()> {
        let (here, begin) = (self.steps.len(), *literal);
        *literal = self.literals.len();
        let mut opens = [None; DEPTH_MAX];
        for (open, (step, place)) in opens.iter_mut().zip(opened).take(depth) {
            if *step == here {
                *open = Some(u32::try_from(*place - begin).ok()?);
            }
        }
        self.steps.push(Step {
            literal: u32::try_from(begin).ok()?,
            literal_len: u32::try_from(*literal - begin).ok()?,
            opens,
            slot,
            closes: [false; DEPTH_MAX],
            numbers: Stream::default(),
            coding: 0,
            previous: 0,
            bytes: Stream::default(),
        });
        Some(())
    }

    /// The length of what is the same in every payload is so too: puts it at this place of the literals.
    fn close_literal(&mut self, place: usize) -> Option<()> {
        let mut length = Vec::with_capacity(4);
        varint::write((self.literals.len() - place - 1) as u64, &mut length);
        self.literals.splice(place..=place, length);
        Some(())
    }
}
