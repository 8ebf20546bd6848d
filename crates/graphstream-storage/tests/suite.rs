//! The suite's choices: by name, elsewhere, and what a failed case leaves.
#![allow(missing_docs, clippy::unwrap_used)]

use graphstream_storage::conformance::{CASES, Suite};
use graphstream_storage::faults::{Fault, FaultBackend, Rule};
use graphstream_storage::{Key, ListRequest, Lister, MemoryBackend, Operation};

async fn left(backend: &MemoryBackend) -> Vec<String> {
    let objects = Lister::new(backend, ListRequest::default()).objects().await.unwrap();
    objects.into_iter().map(|object| object.key.as_str().to_owned()).collect()
}

#[tokio::test]
async fn cases_are_chosen_by_name_and_run_elsewhere() {
    let backend = MemoryBackend::new();
    let all = Suite::new(backend.clone()).run().await.unwrap();
    assert_eq!(all.len(), CASES.len());
    let suite = Suite::new(backend.clone()).prefix(Key::new("scratch/mine").unwrap());
    let ran = suite.clone().skip(["put_round_trips"]).run().await.unwrap();
    assert_eq!(
        ran.len(),
        CASES.len() - 2,
        "without the one skipped and the one that a prefix leaves no room for"
    );
    let ran = suite.only(["put_round_trips", "get_ranges"]).run().await.unwrap();
    assert_eq!(ran, ["put_round_trips", "get_ranges"]);
    assert!(left(&backend).await.is_empty());
}

#[tokio::test]
async fn a_name_that_no_case_has_is_a_failure() {
    for suite in
        [Suite::new(MemoryBackend::new()).only(["put"]), Suite::new(MemoryBackend::new()).skip(["put"])]
    {
        let failures = suite.run().await.unwrap_err();
        assert!(failures.to_string().contains("there is no case \"put\""), "{failures}");
    }
}

#[tokio::test]
async fn a_failed_case_leaves_its_objects_only_when_told_to() {
    for keep in [false, true] {
        let backend = MemoryBackend::new();
        let faulty = FaultBackend::new(backend.clone());
        faulty.inject(Rule::new(Operation::Put, Fault::IgnoreCondition).always());
        let suite = Suite::new(faulty).prefix(Key::new("p").unwrap()).keep_on_failure(keep);
        let failures =
            suite.only(["create_refuses_an_existing_object", "put_round_trips"]).run().await.unwrap_err();
        assert_eq!(failures.0.len(), 1);
        let left = left(&backend).await;
        assert_eq!(!left.is_empty(), keep, "{left:?}");
        assert!(left.iter().all(|key| key.starts_with("p/graphstream-conformance/create_refuses")));
    }
}
