//! All decorators together, in the default order.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::{GraphstreamMetrics, StorageOperation, StorageOutcome};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{
    ErrorClass, FaultBackend, GetOptions, Key, MemoryBackend, Operation, PutMode, StackConfig,
    StorageBackend, conformance,
};
use tokio::time::Instant;

fn key() -> Key {
    Key::new("k").unwrap()
}

fn stack() -> (FaultBackend, Arc<dyn StorageBackend>, Arc<GraphstreamMetrics>) {
    let (faults, metrics) = (FaultBackend::new(MemoryBackend::new()), GraphstreamMetrics::shared());
    let backend = StackConfig::default().wrap(faults.clone(), &metrics);
    (faults, backend, metrics)
}

#[tokio::test(start_paused = true)]
async fn the_suite_runs_through_it() {
    let (_, backend, metrics) = stack();
    conformance::all(&backend).await.unwrap();
    let boxed: Box<dyn StorageBackend> = Box::new(MemoryBackend::new());
    conformance::all(&StackConfig::default().wrap(boxed, &metrics)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_asked_again_and_its_attempts_are_counted() {
    let (faults, backend, metrics) = stack();
    faults.inject(Rule::new(Operation::Put, Fault::HangAfter));
    faults.inject(Rule::new(Operation::Get, Fault::Hang));
    let version = backend.put(&key(), "x".into(), PutMode::Create).await.unwrap();
    assert_eq!(faults.head(&key()).await.unwrap().version, version);
    let storage = metrics.snapshot().storage;
    let count = |operation, outcome| storage.requests(operation, outcome);
    assert_eq!(count(StorageOperation::Put, StorageOutcome::TimeoutUnknown), 1);
    assert_eq!(count(StorageOperation::Get, StorageOutcome::TimeoutUnknown), 1);
    assert_eq!(count(StorageOperation::Get, StorageOutcome::Ok), 1);
    assert_eq!((storage.resolved_puts, storage.retries(StorageOperation::Put)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_call_waits_for_the_breaker_and_is_the_probe() {
    let (faults, backend, metrics) = stack();
    faults.inject(Rule::new(Operation::Head, Fault::Before(ErrorClass::Unavailable)).always());
    for _ in 0..2 {
        assert_eq!(backend.head(&key()).await.unwrap_err().class(), ErrorClass::Unavailable);
    }
    assert_eq!(metrics.snapshot().storage.circuit_state, 2);
    let asked = faults.calls(Operation::Head);
    faults.clear();
    faults.put(&key(), "x".into(), PutMode::Create).await.unwrap();
    backend.head(&key()).await.unwrap();
    assert_eq!(faults.calls(Operation::Head), asked + 1);
    assert_eq!(metrics.snapshot().storage.circuit_state, 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_the_time_of_a_call_ends_in_a_typed_error_in_time() {
    let (faults, backend, _) = stack();
    for operation in [Operation::Get, Operation::Put] {
        faults.inject(Rule::new(operation, Fault::Hang).always());
    }
    for _ in 0..3 {
        let start = Instant::now();
        let get = backend.get(&key(), GetOptions::default()).await.unwrap_err();
        assert_eq!(get.class(), ErrorClass::Unavailable);
        let put = backend.put(&key(), "x".into(), PutMode::Create).await.unwrap_err();
        assert!(matches!(put.class(), ErrorClass::Unavailable | ErrorClass::TimeoutUnknown));
        // A call begins no attempt after 120 s, and the last one takes 31 s at most.
        assert!(start.elapsed() < Duration::from_secs(2 * 152), "{:?}", start.elapsed());
    }
}
