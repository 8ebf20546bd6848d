//! When a shipper with nothing to ship asks the store whether another leader has taken over.
//!
//! ```text
//!  published        asked            asked                        asked       asked
//!     │───interval───│──2 intervals───│── ... doubling, up to ─────│──10 min───│── ...
//! ```
//! Beside a process that appends, only the shipper can learn it, and tells the writer. A rival comes seldom, and whoever publishes
//! learns it anyway: so an idle database asks less and less.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause between two questions.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// When to ask next.
#[derive(Debug)]
pub(super) struct RivalCheck {
    pause_first: Duration,
    pause: Duration,
    next: Instant,
}

impl RivalCheck {
    /// At once, and then after pauses that begin with this one.
    pub(super) fn new(pause_first: Duration, now: Instant) -> Self {
        Self { pause_first, pause: pause_first, next: now }
    }

    /// Whether it is time; the next time is later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.wait(now);
        }
        due
    }

    fn wait(&mut self, now: Instant) {
        self.next = now + self.pause;
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX.max(self.pause_first));
    }

    /// Something was published: nobody else leads.
    pub(super) fn published(&mut self, now: Instant) {
        self.pause = self.pause_first;
        self.wait(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes_until_something_is_published() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut check = RivalCheck::new(10 * second, start);
        let mut asked = |until: u64| -> Vec<u64> {
            let asked = (0..until).filter(|&at| check.is_due(start + second * u32::try_from(at).unwrap()));
            asked.collect()
        };
        assert_eq!(asked(2600), [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430]);
        check.published(start + 2600 * second);
        assert!(!check.is_due(start + 2609 * second));
        assert!(check.is_due(start + 2610 * second));
        assert!(!check.is_due(start + 2629 * second));
        assert!(check.is_due(start + 2630 * second));
    }
}
