//! What cursors hold back, and when that is too much.
//!
//! ```text
//!    may go   |           held back: these bytes count                 |  does not
//!  [seg] [seg] [seg] [seg] [seg] [seg] [left, waits to be sealed]       [open]
//!             ^
//!      the slowest cursor
//! ```
//!
//! A segment counts from when it is left until every cursor has passed its last entry, whether somebody removes it then or not.
//! The open one never does: it may stay open for as long as nothing is appended, and nobody could ship it. Without a cursor nobody is
//! waited for, so nothing counts.

use std::collections::VecDeque;

use crate::cursor::Cursor;
use crate::error::Error;

/// What cursors hold back in a journal's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// Bytes of the segments, without the one that is open, that hold entries which the slowest cursor has not passed.
    pub bytes: u64,
    /// How many segments these are.
    pub segments: usize,
    /// The slowest cursor; `None` without any, and then nothing is held.
    pub cursor: Option<Cursor>,
}

/// A segment that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftSegment {
    pub(crate) last_sequence: u64,
    pub(crate) bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: u64,
    /// The sum of what is in `segments`.
    bytes: u64,
    /// Ascending; complete from the slowest cursor on, if there is one.
    segments: VecDeque<LeftSegment>,
    slowest: Option<Cursor>,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, segments: VecDeque::new(), slowest: None }
    }

    /// Whether this cursor has gone forward, so that all it holds back is known. One that went back, or is new, may hold back more.
    pub(crate) fn covers(&self, slowest: &Cursor) -> bool {
        self.slowest.as_ref().is_some_and(|known| known.sequence <= slowest.sequence)
    }

    /// The writer has left a segment.
    pub(crate) fn left(&mut self, segment: LeftSegment) {
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
    }

    /// A segment was sealed, and has another size now.
    pub(crate) fn sealed(&mut self, sealed: LeftSegment) {
        let found =
            self.segments.binary_search_by_key(&sealed.last_sequence, |segment| segment.last_sequence);
        if let Some(segment) = found.ok().and_then(|place| self.segments.get_mut(place)) {
            self.bytes = self.bytes - segment.bytes + sealed.bytes;
            *segment = sealed;
        }
    }

    /// The slowest cursor stands here now. `found`: what the directory holds beyond it, for one that is not covered.
    pub(crate) fn moved(&mut self, slowest: Option<Cursor>, found: Vec<LeftSegment>) {
        let first_known = self.segments.front().map_or(u64::MAX, |segment| segment.last_sequence);
        // What was left or sealed since the directory was read is known better here.
        for segment in found.into_iter().rev().filter(|segment| segment.last_sequence < first_known) {
            self.bytes += segment.bytes;
            self.segments.push_front(segment);
        }
        let passed = slowest.as_ref().map_or(u64::MAX, |cursor| cursor.sequence);
        while let Some(segment) = self.segments.front().filter(|segment| segment.last_sequence <= passed) {
            self.bytes -= segment.bytes;
            self.segments.pop_front();
        }
        self.slowest = slowest;
    }

    pub(crate) fn held(&self) -> Held {
        match &self.slowest {
            None => Held::default(),
            Some(cursor) => {
                Held { bytes: self.bytes, segments: self.segments.len(), cursor: Some(cursor.clone()) }
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slowest.is_some() && self.bytes >= self.bytes_max
    }

    /// Why nothing may be appended, if that is so.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let cursor = self.slowest.as_ref().filter(|_| self.is_full())?;
        Some(Error::BudgetFull {
            held: self.bytes,
            max: self.bytes_max,
            cursor: cursor.name.clone(),
            sequence: cursor.sequence,
        })
    }
}

// The package of the schedules compiles this too, and has no property tests.
#[cfg(all(test, not(shuttle)))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn cursor(sequence: u64) -> Cursor {
        Cursor { name: "uploader".to_owned(), sequence, updated_ms: 0 }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Left {
            entries: u64,
            bytes: u64,
        },
        Sealed {
            place: usize,
            bytes: u64,
        },
        /// Somebody looks: at no cursor, or at one somewhere in the journal.
        Looked {
            at: Option<prop::sample::Index>,
        },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (1..5_u64, 0..100_u64).prop_map(|(entries, bytes)| Event::Left { entries, bytes }),
            2 => (0..20_usize, 0..100_u64).prop_map(|(place, bytes)| Event::Sealed { place, bytes }),
            3 => prop::option::weighted(0.9, any::<prop::sample::Index>()).prop_map(|at| Event::Looked { at }),
        ]
    }

    proptest! {
        /// The books agree with a count of the whole directory, however the cursors jump about.
        #[test]
        fn what_is_held_is_what_the_slowest_cursor_has_not_passed(events in vec(event(), 0..60)) {
            let mut budget = Budget::new(150);
            let mut directory: Vec<LeftSegment> = Vec::new();
            let mut known: Option<u64> = None;
            for event in events {
                match event {
                    Event::Left { entries, bytes } => {
                        let last_sequence = directory.last().map_or(0, |last| last.last_sequence) + entries;
                        directory.push(LeftSegment { last_sequence, bytes });
                        budget.left(LeftSegment { last_sequence, bytes });
                    }
                    Event::Sealed { place, bytes } => {
                        if let Some(segment) = directory.get_mut(place) {
                            segment.bytes = bytes;
                            budget.sealed(*segment);
                        }
                    }
                    Event::Looked { at } => {
                        let end = directory.last().map_or(0, |last| last.last_sequence);
                        known = at.map(|at| at.index(usize::try_from(end).unwrap() + 1) as u64);
                        let slowest = known.map(cursor);
                        let found = match &slowest {
                            Some(slowest) if !budget.covers(slowest) => directory
                                .iter()
                                .filter(|segment| segment.last_sequence > slowest.sequence)
                                .copied()
                                .collect(),
                            _ => Vec::new(),
                        };
                        budget.moved(slowest, found);
                    }
                }
                let beyond = |segment: &&LeftSegment| known.is_some_and(|at| segment.last_sequence > at);
                let bytes: u64 = directory.iter().filter(beyond).map(|segment| segment.bytes).sum();
                let held = budget.held();
                prop_assert_eq!(held.bytes, bytes);
                prop_assert_eq!(held.segments, directory.iter().filter(beyond).count());
                prop_assert_eq!(held.cursor.map(|cursor| cursor.sequence), known);
                prop_assert_eq!(budget.is_full(), bytes >= 150);
                prop_assert_eq!(budget.refusal().is_some(), budget.is_full());
            }
        }
    }

    #[test]
    fn a_segment_that_was_left_while_the_directory_was_read_counts_once() {
        let mut budget = Budget::new(100);
        budget.left(LeftSegment { last_sequence: 8, bytes: 50 });
        budget.sealed(LeftSegment { last_sequence: 8, bytes: 20 });
        let stale =
            [LeftSegment { last_sequence: 4, bytes: 10 }, LeftSegment { last_sequence: 8, bytes: 50 }];
        budget.moved(Some(cursor(0)), stale.to_vec());
        assert_eq!(budget.held().bytes, 30);
    }
}
