//! Stores that do not keep conditions, and what the suite and the backend make of them.

use graphstream_storage::conformance;
use graphstream_storage::{Error, PutMode, StorageBackend};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::s3::{Conduct, S3Server};

use crate::support::{config, key, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_o5_the_suite_finds_a_store_that_ignores_conditions() {
    let server = S3Server::start(Conduct::Ignoring).unwrap();
    let backend = open(&server).await;
    let violation = conformance::create_refuses_an_existing_object(&backend).await.unwrap_err();
    assert_eq!(violation.obligation, "O4", "{violation}");
    let violation = conformance::match_refuses_an_older_version(&backend).await.unwrap_err();
    assert_eq!(violation.obligation, "O5", "{violation}");
    let violation = conformance::race_create_has_one_winner(&backend).await.unwrap_err();
    assert_eq!(violation.obligation, "O4", "{violation}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_the_suite_finds_a_store_whose_check_then_write_races() {
    let server = S3Server::start(Conduct::Racing).unwrap();
    let backend = open(&server).await;
    // It keeps conditions when nobody else is there.
    conformance::create_refuses_an_existing_object(&backend).await.unwrap();
    let violation = conformance::race_create_has_one_winner(&backend).await.unwrap_err();
    assert_eq!(violation.obligation, "O4", "{violation}");
    let violation = conformance::race_match_has_one_winner(&backend).await.unwrap_err();
    assert_eq!(violation.obligation, "O5", "{violation}");
}

#[tokio::test]
async fn o5_a_backend_told_that_its_store_lies_refuses_conditions() {
    let server = S3Server::start(Conduct::Ignoring).unwrap();
    let backend = S3Backend::open(config(&server).with_conditional_puts(false)).await.unwrap();
    let version = backend.put(&key("a"), "x".into(), PutMode::Overwrite).await.unwrap();
    for mode in [PutMode::Create, PutMode::Match(version)] {
        let outcome = backend.put(&key("a"), "y".into(), mode).await;
        assert!(matches!(outcome, Err(Error::Unsupported { .. })), "{outcome:?}");
    }
    assert_eq!(server.count("PutObject"), 1);
}
