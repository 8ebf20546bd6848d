//! The suite on this crate's own backends, bare and wrapped, and the proof that it fails on stores that lie.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use graphstream_storage::conformance::{self, Violation};
use graphstream_storage::faults::{BodyFault, Fault, FaultBackend, ListFault, Rule};
use graphstream_storage::{ErrorClass, MemoryBackend, Operation, StorageBackend};

#[tokio::test]
async fn memory_bare_boxed_and_shared() {
    conformance::all(&MemoryBackend::new()).await.unwrap();
    let boxed: Box<dyn StorageBackend> = Box::new(MemoryBackend::new());
    conformance::all(&boxed).await.unwrap();
    let shared: Arc<dyn StorageBackend> = Arc::new(MemoryBackend::new());
    conformance::all(&shared).await.unwrap();
}

#[tokio::test]
async fn faults_without_a_fault() {
    conformance::all(&FaultBackend::new(MemoryBackend::new())).await.unwrap();
}

#[tokio::test]
async fn every_case_leaves_nothing_behind() {
    for case in conformance::CASES {
        let backend = MemoryBackend::new();
        (case.run)(&backend).await.unwrap_or_else(|violation| panic!("{}: {violation}", case.name));
        let left = backend.list(Default::default()).await.unwrap();
        assert_eq!(left.objects, [], "{}", case.name);
    }
}

async fn lying(case: &str, rule: Rule) -> Violation {
    let backend = FaultBackend::new(MemoryBackend::new());
    backend.inject(rule);
    let case = conformance::CASES.iter().find(|known| known.name == case).unwrap();
    (case.run)(&backend).await.unwrap_err()
}

#[tokio::test]
async fn stores_that_lie_are_named_by_obligation() {
    use Operation::{Delete, Get, Head, List, Put};
    let ignoring = || Rule::new(Put, Fault::IgnoreCondition).always();
    for (case, rule, obligation) in [
        ("create_refuses_an_existing_object", ignoring(), "O4"),
        ("race_create_has_one_winner", ignoring(), "O4"),
        ("match_refuses_an_older_version", ignoring(), "O5"),
        ("match_refuses_a_missing_object", ignoring(), "O5"),
        ("race_match_has_one_winner", ignoring(), "O5"),
        ("race_counters_lose_no_increment", ignoring(), "O5"),
        ("put_round_trips", Rule::new(Get, Fault::Body(BodyFault::FlipBit(100))).always(), "O1"),
        ("large_object_from_a_file", Rule::new(Get, Fault::Body(BodyFault::FlipBit(81_000_000))), "O1"),
        ("large_object_from_a_file", Rule::new(Get, Fault::Body(BodyFault::Truncate(9_000_000))), "O10"),
        ("get_survives_replacement", Rule::new(Get, Fault::Body(BodyFault::Truncate(9_000))), "O10"),
        ("paging_over_a_thousand_keys", Rule::new(List, Fault::List(ListFault::Forget)).always(), "O7"),
        (
            "paging_while_keys_come_and_go",
            Rule::new(List, Fault::List(ListFault::Omit("01/015".into()))).always(),
            "O7",
        ),
        ("list_prefix_is_bytes", Rule::new(List, Fault::List(ListFault::Duplicate)).nth(3), "-"),
        ("delete_is_idempotent", Rule::new(Delete, Fault::Before(ErrorClass::NotFound)).nth(2), "-"),
        ("get_and_head_of_a_missing_object", Rule::new(Head, Fault::Before(ErrorClass::Denied)).nth(2), "O3"),
    ] {
        let violation = lying(case, rule.clone()).await;
        assert_eq!(violation.obligation, obligation, "{case} under {rule:?}: {violation}");
    }
}

#[tokio::test]
async fn s06_an_eventual_listing_and_stale_reads_are_named() {
    let empty = FaultBackend::new(MemoryBackend::new()).capture().await.unwrap();
    let stale = |operation| Rule::new(operation, Fault::Stale(empty.clone())).nth(2);
    let violation = lying("list_sees_changes_at_once", stale(Operation::List)).await;
    assert_eq!(violation.obligation, "O7", "{violation}");
    let violation = lying("put_overwrites", stale(Operation::Get)).await;
    assert_eq!(violation.source.unwrap().class(), ErrorClass::NotFound);
}
