//! Producers: entries go into the queue, whose bytes are bounded.

use std::sync::Arc;

use graphstream_format::limits;

use super::{Shared, wait_on};
use crate::error::{Error, Result};
use crate::options::QueuePolicy;
use crate::queue::{Group, Item};

/// What an entry costs in the queue beside its payload.
const ITEM_BYTES: usize = std::mem::size_of::<Item>();
/// This much is handed to the service pool at once: it writes while the producer goes on, so that a burst takes two processors.
pub(super) const HAND_OVER_BYTES: usize = 1 << 20;

impl Shared {
    /// Queues entries that belong together (one, or a batch). Returns their group and the place of the first in it.
    pub(crate) fn enqueue<P: AsRef<[u8]>>(
        &self,
        entries: &[(P, Option<i64>)],
    ) -> Result<(Arc<Group>, usize)> {
        let bytes = check_sizes(entries)?;
        let cost = bytes + entries.len() * ITEM_BYTES;
        let mut state = self.state();
        loop {
            state = self.make_room(state, self.options.when_full)?;
            let max = self.options.queue_bytes_max;
            if state.queued_bytes == 0 || state.queued_bytes + cost <= max {
                break;
            }
            if self.options.queue_policy == QueuePolicy::Fail {
                return Err(Error::QueueFull { queued: state.queued_bytes, bytes: cost, max });
            }
            state = if state.can_write() { self.lead_write(state) } else { wait_on(&self.space, state) };
        }
        if self.pooled() && !state.asked.flush_timer {
            self.arm_flush_timer(&mut state)?;
        }
        state.queued_bytes += cost;
        let queue = &mut state.queue;
        let (group, index) = (Arc::clone(&queue.group), queue.items.len());
        for (place, (payload, commit_ms)) in entries.iter().enumerate() {
            let payload = payload.as_ref();
            queue.payloads.extend_from_slice(payload);
            let together = if place == 0 { entries.len() - 1 } else { 0 };
            queue.items.push(Item { bytes: payload.len(), together, commit_ms: *commit_ms });
        }
        if self.pooled() && state.is_burst() {
            let group = state.queued_group;
            self.ask_to_write(&mut state, group);
        }
        Ok((group, index))
    }
}

fn check_sizes<P: AsRef<[u8]>>(entries: &[(P, Option<i64>)]) -> Result<usize> {
    let (mut bytes, mut framed) = (0_usize, 0_usize);
    for (payload, _) in entries {
        let len = payload.as_ref().len();
        if len > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge { bytes: len, max: limits::PAYLOAD_BYTES_MAX });
        }
        bytes += len;
        framed += len + limits::ENTRY_OVERHEAD_BYTES_MAX;
        if framed > limits::BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { bytes: framed, max: limits::BATCH_BYTES_MAX });
        }
    }
    if entries.is_empty() { Err(Error::EmptyBatch) } else { Ok(bytes) }
}
