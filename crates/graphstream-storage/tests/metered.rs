//! What the metrics decorator counts.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use graphstream_metrics::{GraphstreamMetrics, StorageOperation, StorageOutcome};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{
    ErrorClass, FaultBackend, GetOptions, Key, ListRequest, MemoryBackend, MeteredBackend, Operation,
    PutMode, StorageBackend, conformance,
};

#[tokio::test]
async fn the_suite_runs_through_it() {
    let metrics = GraphstreamMetrics::shared();
    conformance::all(&MeteredBackend::new(MemoryBackend::new(), metrics.clone())).await.unwrap();
    let storage = metrics.snapshot().storage;
    assert!(storage.bytes_written > 20 << 20 && storage.bytes_read > 20 << 20);
}

#[tokio::test]
async fn requests_count_by_operation_and_outcome_and_bytes_as_they_pass() {
    let metrics = GraphstreamMetrics::shared();
    let faults = FaultBackend::new(MemoryBackend::new());
    let backend = MeteredBackend::new(faults.clone(), metrics.clone());
    let key = Key::new("k").unwrap();
    let version = backend.put(&key, "12345".into(), PutMode::Create).await.unwrap();
    backend.put(&key, "1234567".into(), PutMode::Create).await.unwrap_err();
    backend.get(&key, GetOptions::default().with_if_changed_from(version)).await.unwrap();
    let object = backend.get(&key, GetOptions::default().with_range(1..4)).await.unwrap().found().unwrap();
    assert_eq!(metrics.snapshot().storage.bytes_read, 0);
    assert_eq!(object.bytes(10).await.unwrap(), "234");
    backend.head(&Key::new("none").unwrap()).await.unwrap_err();
    backend.list(ListRequest::default()).await.unwrap();
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Before(ErrorClass::Denied)).on_key("k"));
    let keys = [Key::new("a").unwrap(), key.clone(), Key::new("z").unwrap()];
    backend.delete_many(&keys).await.unwrap();
    faults.inject(Rule::new(Operation::Delete, Fault::Hang));
    assert!(tokio::time::timeout(Duration::from_millis(1), backend.delete(&key)).await.is_err());

    let storage = metrics.snapshot().storage;
    assert_eq!((storage.bytes_written, storage.bytes_read), (5, 3));
    for (operation, outcome) in [
        (StorageOperation::Put, StorageOutcome::Ok),
        (StorageOperation::Put, StorageOutcome::Exists),
        (StorageOperation::Get, StorageOutcome::NotModified),
        (StorageOperation::Get, StorageOutcome::Ok),
        (StorageOperation::Head, StorageOutcome::NotFound),
        (StorageOperation::List, StorageOutcome::Ok),
        (StorageOperation::DeleteMany, StorageOutcome::Denied),
        (StorageOperation::Delete, StorageOutcome::TimeoutUnknown),
    ] {
        assert_eq!(storage.requests(operation, outcome), 1, "{operation:?} {outcome:?}");
    }
    let all: u64 =
        storage.requests.iter().flat_map(|request| &request.outcomes).map(|(_, count)| count).sum();
    assert_eq!(all, 8);
}

#[test]
fn operations_and_classes_are_labelled_as_in_the_metrics() {
    let ours: Vec<_> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
    let theirs: Vec<_> = StorageOperation::ALL.iter().map(|operation| operation.as_str()).collect();
    assert_eq!(ours, theirs);
    for class in [ErrorClass::NotFound, ErrorClass::TimeoutUnknown, ErrorClass::Other] {
        assert!(StorageOutcome::ALL.iter().any(|outcome| outcome.as_str() == class.as_str()));
    }
}
