//! The suite over the store of `GRAPHSTREAM_OBJECT_STORE_TEST_URL`, below a prefix that nobody else has.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use graphstream_storage::conformance::CASES;
use graphstream_storage::{Key, PrefixBackend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_the_environment_keeps_the_contract() {
    let Ok(url) = std::env::var("GRAPHSTREAM_OBJECT_STORE_TEST_URL") else { return };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let prefix = format!("graphstream-test-{}-{}", now.as_nanos(), std::process::id());
    let store = PrefixBackend::new(support::open(&url).await.unwrap(), Key::new(prefix).unwrap());
    let mut failed = BTreeMap::new();
    // The prefix takes of a key's length.
    for case in CASES.iter().filter(|case| case.name != "keys_may_be_long") {
        if let Err(violation) = (case.run)(&store).await {
            failed.insert(case.name, format!("{violation:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases: {failed:#?}", failed.len(), CASES.len());
}
