//! How long a follower waits between two looks at the head.
//!
//! ```text
//!   changed ──► poll_interval, for 8 looks that find nothing ──► half as long again each time ──► poll_interval_max
//!      ▲                                                                                               │
//!      └───────────────────────────────── changed ─────────────────────────────────────────────────────┘
//! ```
//! A leader under load publishes about as often as it seals, so who has just found something will find more soon.

use std::time::Duration;

use crate::FollowerOptions;

/// So many looks that find nothing leave the pace as it is.
const PATIENCE: u32 = 8;
/// The slowest pace, as a multiple of the fastest, unless it is said.
const SLOWEST: u32 = 5;

/// The pace of looks.
#[derive(Debug)]
pub(super) struct Pace {
    fastest: Duration,
    slowest: Duration,
    /// Looks in a row that found nothing.
    quiet: u32,
}

impl Pace {
    pub(super) fn new(options: &FollowerOptions) -> Self {
        let fastest = options.poll_interval;
        let slowest = options.poll_interval_max.unwrap_or(fastest.saturating_mul(SLOWEST)).max(fastest);
        Self { fastest, slowest, quiet: 0 }
    }

    /// A look found a new head.
    pub(super) fn changed(&mut self) {
        self.quiet = 0;
    }

    /// A look found nothing.
    pub(super) fn unchanged(&mut self) {
        self.quiet = self.quiet.saturating_add(1);
    }

    /// The pause before the next look.
    pub(super) fn pause(&self) -> Duration {
        let mut pause = self.fastest;
        for _ in PATIENCE..self.quiet {
            if pause >= self.slowest {
                break;
            }
            pause = (pause + pause / 2).max(pause + Duration::from_nanos(1));
        }
        pause.min(self.slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(options: &FollowerOptions, looks: u32) -> Vec<u64> {
        let mut pace = Pace::new(options);
        (0..looks)
            .map(|_| {
                pace.unchanged();
                u64::try_from(pace.pause().as_millis()).unwrap()
            })
            .collect()
    }

    #[test]
    fn it_slows_down_when_nothing_changes_and_is_back_at_once() {
        let options = FollowerOptions::default().with_poll_interval(Duration::from_millis(100));
        assert_eq!(
            pauses(&options, 14),
            [100, 100, 100, 100, 100, 100, 100, 100, 150, 225, 337, 500, 500, 500]
        );
        let mut pace = Pace::new(&options);
        for _ in 0..1000 {
            pace.unchanged();
        }
        assert_eq!(pace.pause(), Duration::from_millis(500));
        pace.changed();
        assert_eq!(pace.pause(), Duration::from_millis(100));
    }

    #[test]
    fn it_stays_within_what_was_asked_for() {
        let same = FollowerOptions::default()
            .with_poll_interval(Duration::from_secs(2))
            .with_poll_interval_max(Duration::from_secs(1));
        assert!(pauses(&same, 50).iter().all(|pause| *pause == 2000), "never faster than the interval");
        let none = FollowerOptions::default()
            .with_poll_interval(Duration::ZERO)
            .with_poll_interval_max(Duration::from_nanos(30));
        assert!(pauses(&none, 100).iter().all(|pause| *pause == 0));
        let mut pace = Pace::new(&none);
        pace.quiet = u32::MAX;
        assert_eq!(pace.pause(), Duration::from_nanos(30));
    }
}
