//! That everything gets on while nothing fails: what was there some time ago is committed, or applied, now.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::machine::Machine;

/// One position, over time.
#[derive(Debug)]
pub struct Progress {
    patience: Duration,
    /// Since when somebody looks, and nothing of his own is in the way.
    since: Instant,
    marks: VecDeque<(Instant, u64)>,
}

impl Progress {
    pub fn new(patience: Duration) -> Self {
        Self { patience, since: Instant::now(), marks: VecDeque::new() }
    }

    /// Something is in the way.
    pub fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// The goal stands here now. What it was long ago, if it is not reached though nothing was in the way for so long.
    pub fn reached(&mut self, free_for: Duration, goal: u64, reached: u64) -> Option<u64> {
        self.marks.push_back((Instant::now(), goal));
        let mut late = None;
        while let Some((at, mark)) = self.marks.front().copied() {
            if at.elapsed() < self.patience {
                break;
            }
            self.marks.pop_front();
            late = Some(mark);
        }
        late.filter(|mark| *mark > reached && free_for.min(self.since.elapsed()) > self.patience)
    }

    /// Of a leader.
    pub fn late(&mut self, machine: &Machine, goal: u64, committed: u64) -> Option<u64> {
        self.reached(free_for(machine), goal, committed)
    }

    pub fn patience_is_over(&self, machine: &Machine) -> bool {
        free_for(machine).min(self.since.elapsed()) > self.patience
    }
}

/// For how long nothing of the world was in its way.
fn free_for(machine: &Machine) -> Duration {
    let held = *machine.hold.lock().unwrap();
    let free = held.map_or(Duration::MAX, |until| Instant::now().saturating_duration_since(until));
    machine.store.calm_for().min(free)
}
