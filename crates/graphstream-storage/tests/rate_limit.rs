//! So many requests and bytes per second, in the order of the callers.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use futures_util::future::{join, join_all};
use graphstream_storage::{
    FaultBackend, GetOptions, Key, MemoryBackend, Operation, PutMode, RateLimitBackend, RateLimitConfig,
    StorageBackend, conformance,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn requests(rate: u32) -> RateLimitConfig {
    RateLimitConfig::default().with_requests_per_second_max(NonZeroU32::new(rate).unwrap())
}

fn bytes(rate: u64) -> RateLimitConfig {
    RateLimitConfig::default().with_bytes_per_second_max(NonZeroU64::new(rate).unwrap())
}

fn key() -> Key {
    Key::new("k").unwrap()
}

/// Timers go by whole milliseconds.
fn about(elapsed: Duration, expected: Duration) -> bool {
    elapsed >= expected.saturating_sub(Duration::from_millis(1))
        && elapsed <= expected + Duration::from_millis(20)
}

#[tokio::test(start_paused = true)]
async fn the_suite_runs_through_it() {
    conformance::all(&RateLimitBackend::new(MemoryBackend::new(), &RateLimitConfig::default()))
        .await
        .unwrap();
    let both = requests(100).with_bytes_per_second_max(NonZeroU64::new(1 << 20).unwrap());
    conformance::all(&RateLimitBackend::new(MemoryBackend::new(), &both)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_rate_after_the_burst() {
    let backend = RateLimitBackend::new(MemoryBackend::new(), &requests(10));
    let start = Instant::now();
    for _ in 0..10 {
        let _ = backend.head(&key()).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    join_all((0..100).map(|_| async { backend.head(&key()).await })).await;
    assert!(about(start.elapsed(), 10 * SECOND), "{:?}", start.elapsed());
    // A rest refills no more than the burst.
    tokio::time::sleep(1000 * SECOND).await;
    let start = Instant::now();
    join_all((0..15).map(|_| async { backend.head(&key()).await })).await;
    assert!(about(start.elapsed(), SECOND / 2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn bytes_of_puts_and_bodies_keep_to_the_rate_even_when_one_is_larger_than_the_burst() {
    let backend = RateLimitBackend::new(MemoryBackend::new(), &bytes(1000));
    let start = Instant::now();
    backend.put(&key(), vec![0; 5000].into(), PutMode::Create).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "a full bucket lets it through");
    let object = backend.get(&key(), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.bytes(5000).await.unwrap().len(), 5000);
    assert!(about(start.elapsed(), 5 * SECOND), "{:?}", start.elapsed());
    backend.put(&key(), "x".into(), PutMode::Overwrite).await.unwrap();
    assert!(
        about(start.elapsed(), 9 * SECOND),
        "what was taken beyond the burst is paid for: {:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_the_order_in_which_they_came() {
    let backend = RateLimitBackend::new(MemoryBackend::new(), &bytes(100));
    backend.put(&key(), vec![0; 100].into(), PutMode::Create).await.unwrap();
    let served = std::sync::Mutex::new(Vec::new());
    // Small ones do not overtake a large one.
    join_all([90, 1, 50, 1].into_iter().enumerate().map(|(caller, size)| {
        let (backend, served) = (&backend, &served);
        async move {
            backend.put(&key(), vec![0; size].into(), PutMode::Overwrite).await.unwrap();
            served.lock().unwrap().push(caller);
        }
    }))
    .await;
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_nothing_and_holds_up_nobody() {
    let faults = FaultBackend::new(MemoryBackend::new());
    let backend = RateLimitBackend::new(faults.clone(), &bytes(100));
    backend.put(&key(), vec![0; 100].into(), PutMode::Create).await.unwrap();
    let start = Instant::now();
    let name = key();
    let leaving =
        tokio::time::timeout(SECOND / 2, backend.put(&name, vec![0; 100].into(), PutMode::Overwrite));
    let (left, next) = join(leaving, backend.put(&name, vec![0; 60].into(), PutMode::Overwrite)).await;
    assert!(left.is_err());
    next.unwrap();
    assert!(about(start.elapsed(), SECOND * 6 / 10), "{:?}", start.elapsed());
    assert_eq!(faults.calls(Operation::Put), 2);
}
