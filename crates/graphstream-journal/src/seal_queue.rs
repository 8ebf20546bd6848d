//! The segments that wait to be sealed, in order, and how far each of them is.
//!
//! ```text
//!            compress: beside others         publish: in order, one at a time
//!  waiting --------------------------> ready --------------------------------> sealed, and gone from here
//!     ^                                  |
//!     +------ discard, while the one <---+
//!             in front fails
//! ```
//!
//! No segment is published before the one in front of it, because recovery takes everything before a sealed segment for sealed. A
//! failure counts only in front, where the segment is tried again later. Until it is published nothing behind it is begun, and what
//! is ready there is discarded: that may be the space it lacks.

use std::collections::VecDeque;

use crate::sabotage;
use crate::seal::{ReadySegment, SealOrder};

/// How many segments are sealed at once. Two pay on a single processor too: one is compressed while the other is synced.
pub(crate) const SEALED_AT_ONCE_MAX: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SealQueue {
    segments: VecDeque<Segment>,
    /// Steps under way.
    steps: usize,
    /// The segment in front has failed, and was not published since.
    failing: bool,
    /// No compression is begun any more.
    stopped: bool,
}

#[derive(Debug)]
struct Segment {
    order: SealOrder,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    /// A thread does a step of it.
    UnderWay,
    Ready(ReadySegment),
}

/// What a thread does for one segment, without the journal's lock.
#[derive(Debug)]
pub(crate) enum Step {
    Compress(SealOrder),
    Publish(ReadySegment),
    Discard(ReadySegment),
}

impl Step {
    pub(crate) fn first_sequence(&self) -> u64 {
        match self {
            Self::Compress(order) => order.first_sequence,
            Self::Publish(ready) | Self::Discard(ready) => ready.sealed.first_sequence,
        }
    }
}

impl SealQueue {
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether no step is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.steps == 0
    }

    pub(crate) fn push(&mut self, order: SealOrder) {
        self.segments.push_back(Segment { order, stage: Stage::Waiting });
    }

    /// The next step, which is the caller's from now on; `None` when there is none, or enough are under way. Who has ended a step asks
    /// again, so nothing stays behind. `again`: also one that has failed.
    pub(crate) fn begin(&mut self, again: bool) -> Option<Step> {
        let step = self.publication().or_else(|| self.discard()).or_else(|| self.compression(again))?;
        self.steps += 1;
        Some(step)
    }

    fn publication(&mut self) -> Option<Step> {
        let reach = if sabotage::is("n_plus_1_sealed_before_n") { usize::MAX } else { 1 };
        self.segments.iter_mut().take(reach).find_map(Segment::take_ready).map(Step::Publish)
    }

    fn discard(&mut self) -> Option<Step> {
        let behind = self.segments.iter_mut().skip(1);
        behind.filter(|_| self.failing).find_map(Segment::take_ready).map(Step::Discard)
    }

    fn compression(&mut self, again: bool) -> Option<Step> {
        let reach = match (self.failing, again) {
            // Nobody else would come to what has failed.
            (true, true) => 1,
            (false, _) if self.steps < SEALED_AT_ONCE_MAX => usize::MAX,
            _ => 0,
        };
        let waits = |segment: &&mut Segment| !self.stopped && matches!(segment.stage, Stage::Waiting);
        let segment = self.segments.iter_mut().take(reach).find(waits)?;
        segment.stage = Stage::UnderWay;
        Some(Step::Compress(segment.order.clone()))
    }

    /// Whether another thread would find something to compress.
    pub(crate) fn wants_another(&self) -> bool {
        let waits = |segment: &Segment| matches!(segment.stage, Stage::Waiting);
        !self.stopped && !self.failing && self.steps < SEALED_AT_ONCE_MAX && self.segments.iter().any(waits)
    }

    /// Ends a compression.
    pub(crate) fn ready(&mut self, ready: ReadySegment) {
        self.end(ready.sealed.first_sequence, Stage::Ready(ready));
    }

    /// Ends a step that has changed nothing.
    pub(crate) fn put_back(&mut self, first_sequence: u64) {
        self.end(first_sequence, Stage::Waiting);
    }

    /// Ends a step that has failed; returns whether that counts.
    pub(crate) fn failed(&mut self, first_sequence: u64) -> bool {
        self.put_back(first_sequence);
        let in_front =
            self.segments.front().is_some_and(|segment| segment.order.first_sequence == first_sequence);
        self.failing |= in_front;
        in_front
    }

    /// Ends a publication.
    pub(crate) fn published(&mut self, first_sequence: u64) {
        self.steps -= 1;
        self.segments.retain(|segment| segment.order.first_sequence != first_sequence);
        self.failing = false;
    }

    fn end(&mut self, first_sequence: u64, stage: Stage) {
        self.steps -= 1;
        let mut segments = self.segments.iter_mut();
        if let Some(segment) = segments.find(|segment| segment.order.first_sequence == first_sequence) {
            segment.stage = stage;
        }
    }

    /// No compression is begun any more; what is under way is ended, and published if it is its turn.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Forgets what was not sealed when it stopped: the next open does that.
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
    }
}

impl Segment {
    fn take_ready(&mut self) -> Option<ReadySegment> {
        match std::mem::replace(&mut self.stage, Stage::UnderWay) {
            Stage::Ready(ready) => Some(ready),
            other => {
                self.stage = other;
                None
            }
        }
    }
}

// The package of the schedules compiles this too, and has no property tests.
#[cfg(all(test, not(shuttle)))]
mod tests;
