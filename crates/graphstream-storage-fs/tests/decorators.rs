//! The suite on directories under the decorators: all of them in the default order, and each that keeps state of its own.
#![allow(missing_docs, clippy::unwrap_used)]

use graphstream_storage::{
    CircuitBreaker, CircuitBreakerBackend, FaultBackend, Key, RateLimitBackend, RateLimitConfig,
    RetryBackend, RetryPolicy, StackConfig, StorageBackend, TimeoutBackend, TimeoutConfig, conformance,
};
use graphstream_storage_fs::{FsBackend, FsOptions};

struct Store {
    root: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        // Another file system, if there is one, on which syncs cost nothing.
        let shared_memory = std::path::Path::new("/dev/shm");
        let place = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
        Self { root: tempfile::tempdir_in(place).unwrap() }
    }

    fn open(&self) -> FsBackend {
        FsBackend::open(self.root.path(), FsOptions::default()).unwrap()
    }
}

async fn suite(backend: &dyn StorageBackend) {
    conformance::all(backend).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_order() {
    let store = Store::new();
    suite(&StackConfig::default().wrap(store.open(), &Default::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alone() {
    let store = Store::new();
    suite(&RetryBackend::new(store.open(), RetryPolicy::default())).await;
    suite(&CircuitBreakerBackend::new(store.open(), CircuitBreaker::default())).await;
    suite(&TimeoutBackend::new(store.open(), TimeoutConfig::default())).await;
    suite(&RateLimitBackend::new(store.open(), &RateLimitConfig::default())).await;
}

#[tokio::test]
async fn below_a_prefix_and_under_faults_that_never_fire() {
    let store = Store::new();
    let part =
        graphstream_storage::PrefixBackend::new(FaultBackend::new(store.open()), Key::new("p/q").unwrap());
    for case in conformance::CASES.iter().filter(|case| case.name != "keys_may_be_long") {
        (case.run)(&part).await.unwrap();
    }
}
