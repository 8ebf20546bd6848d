//! `gs:` over a server that keeps Google's rules in memory: the whole suite, and what `storage check` finds.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use graphstream_storage::check;
use graphstream_storage::conformance::CASES;
use graphstream_storage::{GetOptions, Key, PutMode, StorageBackend};
use support::{gcs, open};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcs_keeps_the_contract() {
    let server = gcs::start("bucket", true).await;
    let store = open(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await.unwrap();
    let mut failed = BTreeMap::new();
    for case in CASES {
        if let Err(violation) = (case.run)(&store).await {
            failed.insert(case.name, format!("{violation:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(
        server.seen.lock().unwrap().iter().all(|request| !request.headers().contains_key("authorization"))
    );
}

#[tokio::test]
async fn a_store_that_ignores_generations_is_found_out() {
    let server = gcs::start("bucket", false).await;
    let store = open(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await.unwrap();
    for case in CASES.iter().filter(|case| case.name.starts_with("race_create_has_one")) {
        assert!((case.run)(&store).await.is_err(), "{}", case.name);
    }
}

#[tokio::test]
async fn the_check_finds_all_that_a_leader_needs() {
    let server = gcs::start("bucket", true).await;
    let store = open(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await.unwrap();
    let report = check::check(&store).await.unwrap();
    assert_eq!(report.lacking().count(), 0, "{report:?}");
}

#[tokio::test]
async fn a_url_opens_the_bucket_below_its_prefix() {
    let server = gcs::start("bucket", true).await;
    let store = open(&format!("gs://bucket/some%20prefix/x/?anonymous=true&endpoint={}", server.url()))
        .await
        .unwrap();
    assert_eq!(store.describe(), "gs://bucket below some prefix/x");
    store.put(&key("a/b"), "1".into(), PutMode::Create).await.unwrap();
    let whole = open(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await.unwrap();
    whole.get(&key("some prefix/x/a/b"), GetOptions::default()).await.unwrap();
}
