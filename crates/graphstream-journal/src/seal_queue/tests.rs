use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graphstream_format::ChainHash;
use proptest::prelude::*;

use super::*;
use crate::seal::SealedSegment;

fn order(first_sequence: u64) -> SealOrder {
    SealOrder {
        first_sequence,
        last_sequence: first_sequence,
        chain_hash: ChainHash::ZERO,
        chain: Arc::default(),
    }
}

fn ready(first_sequence: u64) -> ReadySegment {
    let sealed = SealedSegment {
        path: PathBuf::new(),
        first_sequence,
        last_sequence: first_sequence,
        file_bytes: 0,
        first_commit_ms: 0,
        last_commit_ms: 0,
        chain_hash: ChainHash::ZERO,
    };
    ReadySegment { sealed, temp: None, spent: Duration::ZERO }
}

/// Threads that seal, without threads: any of them may be the next to end its step, and may fail.
#[derive(Default)]
struct Sealers {
    queue: SealQueue,
    /// Each with what its thread may do next.
    under_way: Vec<(Step, bool)>,
    published: Vec<u64>,
    /// The timer will look again.
    retry: bool,
    compressions_max: usize,
}

impl Sealers {
    /// As `Shared::drain` does: the first look of a thread, or the one behind the end of a step.
    fn look(&mut self, again: bool) {
        let step = self.queue.begin(again);
        self.under_way.extend(step.map(|step| {
            let again = again && !matches!(step, Step::Compress(_));
            (step, again)
        }));
        let compresses = |(step, _): &&(Step, bool)| matches!(step, Step::Compress(_));
        let compressions = self.under_way.iter().filter(compresses).count();
        self.compressions_max = self.compressions_max.max(compressions);
    }

    fn end(&mut self, place: usize, fails: bool) {
        let (step, again) = self.under_way.remove(place % self.under_way.len());
        let first = step.first_sequence();
        match step {
            Step::Discard(_) => self.queue.put_back(first),
            _ if fails => {
                if !self.queue.failed(first) {
                    return;
                }
                self.retry = true;
            }
            Step::Compress(_) => self.queue.ready(ready(first)),
            Step::Publish(_) => {
                self.queue.published(first);
                self.published.push(first);
            }
        }
        self.look(again);
    }
}

#[derive(Clone, Debug)]
enum Event {
    HandOver,
    End { place: usize, fails: bool },
    Timer,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::HandOver),
        (any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(place, fails)| Event::End { place, fails }),
        Just(Event::Timer),
    ]
}

/// Whatever ends in whatever order, and fails: segments are published in order, at most two are compressed at once, and when nothing
/// fails any more all of them are.
#[test]
fn segments_are_published_in_order_and_none_is_forgotten() {
    proptest!(ProptestConfig::with_cases(2_000), |(events in prop::collection::vec(event(), 1..80))| {
        let mut sealers = Sealers::default();
        let mut handed_over = 0;
        for event in events {
            match event {
                Event::HandOver => {
                    handed_over += 1;
                    sealers.queue.push(order(handed_over));
                    // While sealing fails, only the timer looks.
                    if !sealers.retry {
                        sealers.look(true);
                    }
                }
                Event::End { place, fails } if !sealers.under_way.is_empty() => sealers.end(place, fails),
                Event::End { .. } => {}
                Event::Timer if sealers.retry => {
                    sealers.retry = false;
                    sealers.look(true);
                }
                Event::Timer => {}
            }
        }
        while sealers.retry || !sealers.under_way.is_empty() {
            if std::mem::take(&mut sealers.retry) {
                sealers.look(true);
            } else {
                sealers.end(0, false);
            }
        }
        prop_assert!(sealers.published.iter().copied().eq(1..=handed_over), "{:?}", sealers.published);
        prop_assert!(sealers.queue.is_empty() && sealers.queue.is_idle());
        prop_assert!(sealers.compressions_max <= SEALED_AT_ONCE_MAX);
    });
}

#[test]
fn what_is_ready_behind_a_failure_gives_its_space_back() {
    let mut queue = SealQueue::default();
    for first in 1..=3 {
        queue.push(order(first));
    }
    assert!(matches!(queue.begin(true), Some(Step::Compress(order)) if order.first_sequence == 1));
    assert!(matches!(queue.begin(true), Some(Step::Compress(order)) if order.first_sequence == 2));
    assert!(queue.begin(true).is_none(), "two at once are enough");
    queue.ready(ready(2));
    assert!(queue.failed(1));
    assert!(matches!(queue.begin(false), Some(Step::Discard(ready)) if ready.sealed.first_sequence == 2));
    assert!(queue.begin(false).is_none(), "a failure is not tried again at once");
    queue.put_back(2);
    assert!(matches!(queue.begin(true), Some(Step::Compress(order)) if order.first_sequence == 1));
    assert!(queue.begin(true).is_none(), "nothing behind a failure is begun");
}

#[test]
fn a_queue_that_stops_publishes_what_is_under_way() {
    let mut queue = SealQueue::default();
    for first in 1..=3 {
        queue.push(order(first));
    }
    assert!(queue.begin(true).is_some() && queue.begin(true).is_some());
    queue.stop();
    queue.ready(ready(2));
    assert!(queue.begin(true).is_none(), "2 waits for 1, and 3 is not begun");
    queue.ready(ready(1));
    for first in 1..=2 {
        assert!(
            matches!(queue.begin(true), Some(Step::Publish(ready)) if ready.sealed.first_sequence == first)
        );
        queue.published(first);
    }
    assert!(queue.begin(true).is_none());
    assert!(queue.is_idle());
}
