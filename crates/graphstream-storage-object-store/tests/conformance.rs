//! The suite over the stores that `object_store` brings along, alone and under each decorator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use graphstream_storage::{
    CircuitBreaker, CircuitBreakerBackend, Error, ErrorClass, FaultBackend, Key, MeteredBackend,
    PrefixBackend, RateLimitBackend, RateLimitConfig, RetryBackend, RetryPolicy, StackConfig, StorageBackend,
    TimeoutBackend, TimeoutConfig, conformance,
};
use graphstream_storage_object_store::object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use graphstream_storage_object_store::{ObjectStoreBackend, ObjectStoreOptions};

fn memory() -> ObjectStoreBackend {
    ObjectStoreBackend::new(Arc::new(InMemory::new()))
}

async fn suite(backend: &dyn StorageBackend) {
    conformance::all(backend).await.unwrap();
}

#[tokio::test]
async fn memory_bare_boxed_and_ordered() {
    suite(&memory()).await;
    let boxed: Box<dyn StorageBackend> = Box::new(memory());
    suite(&boxed).await;
    let ordered = ObjectStoreOptions::default().with_listing_is_ordered(true);
    suite(&ObjectStoreBackend::with_options(Arc::new(InMemory::new()), ordered)).await;
}

#[tokio::test]
async fn memory_under_each_decorator() {
    suite(&StackConfig::default().wrap(memory(), &Default::default())).await;
    suite(&RetryBackend::new(memory(), RetryPolicy::default())).await;
    suite(&CircuitBreakerBackend::new(memory(), CircuitBreaker::default())).await;
    suite(&TimeoutBackend::new(memory(), TimeoutConfig::default())).await;
    suite(&RateLimitBackend::new(memory(), &RateLimitConfig::default())).await;
    suite(&MeteredBackend::new(memory(), Default::default())).await;
    suite(&FaultBackend::new(memory())).await;
    let part = PrefixBackend::new(memory(), Key::new("p/q").unwrap());
    for case in conformance::CASES.iter().filter(|case| case.name != "keys_may_be_long") {
        (case.run)(&part).await.unwrap();
    }
}

/// What `object_store`'s local store can't do. Take graphstream-storage-fs.
const NOT_LOCAL: [&str; 13] = [
    // No put with a version (`NotImplemented`): refused, not pretended.
    "put_agrees_on_versions",
    "match_replaces_the_version_it_saw",
    "match_refuses_an_older_version",
    "match_refuses_a_missing_object",
    "match_refuses_a_recreated_object",
    "put_streams_a_file",
    "get_if_changed",
    "race_match_has_one_winner",
    "race_counters_lose_no_increment",
    "put_of_equal_bytes",
    "match_from_a_file_refuses_an_older_version",
    "race_match_against_overwrite",
    "race_match_against_delete",
];

#[tokio::test]
async fn local_but_for_puts_with_a_version() {
    let root = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(
        LocalFileSystem::new_with_prefix(root.path()).unwrap().with_automatic_cleanup(true).with_fsync(true),
    );
    let backend = ObjectStoreBackend::new(store);
    for case in conformance::CASES {
        let outcome = (case.run)(&backend).await;
        if NOT_LOCAL.contains(&case.name) {
            // Not by chance: each meets the refusal itself.
            let error = outcome.unwrap_err().source.unwrap();
            assert!(matches!(error, Error::Unsupported { .. }), "{}: {error:?}", case.name);
        } else if case.name == "keys_may_be_long" {
            // It writes `NAME#1` aside first, so a name of 255 bytes is too long.
            assert_eq!(outcome.unwrap_err().source.unwrap().class(), ErrorClass::Other);
        } else {
            outcome.unwrap_or_else(|violation| panic!("{}: {violation:?}", case.name));
        }
    }
}
