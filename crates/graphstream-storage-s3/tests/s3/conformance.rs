//! The suite over S3: alone, in a box, over parts, below a prefix, under each decorator, and over any endpoint by environment.

use crate::support::{config, key, open, open_from_environment};
use graphstream_storage::conformance::{self, CASES};
use graphstream_storage::{
    CircuitBreaker, CircuitBreakerBackend, FaultBackend, MeteredBackend, PrefixBackend, RateLimitBackend,
    RateLimitConfig, RetryBackend, RetryPolicy, StackConfig, StorageBackend, TimeoutBackend, TimeoutConfig,
};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::s3::S3Server;

async fn suite(backend: &dyn StorageBackend) {
    conformance::all(backend).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3() {
    let server = S3Server::honest().unwrap();
    suite(&open(&server).await).await;
    assert_eq!(server.unfinished_uploads(), 0);
    assert!(server.count("CompleteMultipartUpload") > 0, "no case put an object in parts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_in_a_box_without_checksums_in_parts_of_five_mebibytes() {
    let server = S3Server::honest().unwrap();
    let config = config(&server).with_checksums(false).with_multipart_bytes_min(0).with_part_bytes(5 << 20);
    let backend: Box<dyn StorageBackend> = Box::new(S3Backend::open(config).await.unwrap());
    suite(&backend).await;
    assert_eq!(server.unfinished_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_under_the_default_decorators() {
    let server = S3Server::honest().unwrap();
    suite(&StackConfig::default().wrap(open(&server).await, &Default::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_under_each_decorator_alone() {
    let server = S3Server::honest().unwrap();
    suite(&RetryBackend::new(open(&server).await, RetryPolicy::default())).await;
    suite(&CircuitBreakerBackend::new(open(&server).await, CircuitBreaker::default())).await;
    suite(&TimeoutBackend::new(open(&server).await, TimeoutConfig::default())).await;
    suite(&RateLimitBackend::new(open(&server).await, &RateLimitConfig::default())).await;
    suite(&MeteredBackend::new(open(&server).await, Default::default())).await;
    suite(&FaultBackend::new(open(&server).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_below_a_prefix() {
    let server = S3Server::honest().unwrap();
    let part = PrefixBackend::new(open(&server).await, key("p/q"));
    for case in CASES.iter().filter(|case| case.name != "keys_may_be_long") {
        (case.run)(&part).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_of_the_environment() {
    let Some((backend, prefix)) = open_from_environment().await else {
        eprintln!("skipped: GRAPHSTREAM_S3_TEST_URL names no store");
        return;
    };
    let part = PrefixBackend::new(backend, prefix);
    for case in CASES.iter().filter(|case| case.name != "keys_may_be_long") {
        (case.run)(&part).await.unwrap_or_else(|violation| panic!("{}: {violation:?}", case.name));
    }
}
