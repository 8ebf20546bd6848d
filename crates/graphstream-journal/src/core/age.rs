//! Rotation by age: no entry stays in the open segment for longer than it may, under load and when nothing follows it.

use std::time::Duration;

use super::{Shared, State};
use crate::open_segment::OpenFile;
use crate::service::{COMMITS, job};
use crate::sync::Instant;

/// When an aged segment could not be left (too many wait to be sealed, the device is full), how long until the next attempt.
const RETRY: Duration = Duration::from_secs(1);

/// When the oldest entry of a segment was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    pub(crate) at: Instant,
    /// The same by the journal's clock, which a test can set.
    pub(crate) at_ms: i64,
}

impl Shared {
    /// Without a pool there are no timers: whether the segment is to be left before the next entry is written.
    pub(crate) fn is_aged_by_clock(&self, open: &OpenFile, now_ms: i64) -> bool {
        let (Some(max), Some(oldest)) = (self.options.segment_age_max, open.oldest.get()) else {
            return false;
        };
        let age_ms = u128::try_from(now_ms.saturating_sub(oldest.at_ms)).unwrap_or(0);
        !self.pooled() && age_ms >= max.as_millis() && self.takes_another(&self.state())
    }

    /// Sees to it that the open segment is left in time. One timer serves all segments: it looks at the one that is open then.
    pub(super) fn arm_age_timer(&self, state: &mut State, at_least: Duration) {
        let (Some(max), Some((open, _))) = (self.options.segment_age_max, &state.open) else { return };
        let Some(oldest) = open.oldest.get() else { return };
        if !self.pooled() || state.asked.age_timer {
            return;
        }
        let left = max.saturating_sub(oldest.at.elapsed()).max(at_least);
        match COMMITS.after(left, job(&self.this, Self::rotate_on_time)) {
            Ok(()) => state.asked.age_timer = true,
            // The next write tries again.
            Err(error) => tracing::error!(%error, "journal service unavailable"),
        }
    }

    fn rotate_on_time(&self) {
        let mut state = self.write_turn(self.state());
        let oldest = state.open.as_ref().and_then(|(open, _)| open.oldest.get());
        let due = match (self.options.segment_age_max, oldest) {
            (Some(max), Some(oldest)) => oldest.at.elapsed() >= max,
            _ => false,
        };
        let mut again = Duration::ZERO;
        if due && self.takes_another(&state) {
            // The timer counts as armed until this is through, so that a failure is not followed by the next attempt at once.
            let (after, failure) =
                self.write_role(state, false, |committer, host| committer.leave_segment(host));
            state = after;
            if let Some(failure) = failure {
                tracing::warn!(error = %failure.not_written(), "rotation by age failed");
                again = RETRY;
            }
        } else if due {
            again = RETRY;
        }
        state.asked.age_timer = false;
        if state.over.is_none() {
            self.arm_age_timer(&mut state, again);
        }
    }

    /// Whether one more segment may wait to be sealed. An aged segment can still be written to: that is better than to hold
    /// up, or fail, the appends.
    fn takes_another(&self, state: &State) -> bool {
        state.to_seal.len() < self.options.waiting_segments_max
    }
}
