//! What callers get when the store refuses, fails, is not there, or is not what it should be.

use std::net::TcpListener;

use graphstream_storage::{Error, ErrorClass, GetOptions, ListRequest, PutMode, StorageBackend};
use graphstream_storage_s3::{Credentials, Error as S3Error, S3Backend, S3Config, StaticCredentials};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::{ACCESS_KEY_ID, BUCKET, S3Server};

use crate::support::{config, config_at, key, open};

/// Every operation on one key, and how it ends.
async fn every_operation(backend: &S3Backend) -> Vec<(&'static str, Result<(), Error>)> {
    let key = key("a/b");
    let keys = [key.clone()];
    vec![
        ("get", backend.get(&key, GetOptions::default()).await.map(drop)),
        ("put", backend.put(&key, "x".into(), PutMode::Overwrite).await.map(drop)),
        ("create", backend.put(&key, "x".into(), PutMode::Create).await.map(drop)),
        ("head", backend.head(&key).await.map(drop)),
        ("delete", backend.delete(&key).await),
        ("delete_many", backend.delete_many(&keys).await.and_then(|mut outcomes| outcomes.remove(0).1)),
        ("list", backend.list(ListRequest::new("a/")).await.map(drop)),
    ]
}

/// The error, and all its causes.
fn rendered(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_missing_bucket_is_never_a_missing_object() {
    let server = S3Server::honest().unwrap();
    let mut config = config(&server);
    config.bucket = "no-such-bucket".into();
    let backend = S3Backend::open(config).await.unwrap();
    for (operation, outcome) in every_operation(&backend).await {
        let error = outcome.expect_err(operation);
        assert_eq!(error.class(), ErrorClass::Other, "{operation}: {error}");
        let text = rendered(&error);
        assert!(
            text.contains("there is no bucket no-such-bucket at http://127.0.0.1"),
            "{operation}: {text}"
        );
    }
}

#[tokio::test]
async fn a_404_without_a_code_is_not_a_missing_object() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let page = Answer::status(404).with_body("<html>no such page</html>");
    proxy.inject(Rule::any(Fault::Before(Failure::Answer(page))).always());
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    for (operation, outcome) in every_operation(&backend).await {
        let error = outcome.expect_err(operation);
        assert_eq!(error.class(), ErrorClass::Other, "{operation}: {error}");
    }
}

#[tokio::test]
async fn wrong_keys_are_denied_and_not_repeated() {
    let server = S3Server::honest().unwrap();
    for (id, secret) in [(ACCESS_KEY_ID, "wrong-secret"), ("WRONGKEYID", "wrong-secret")] {
        let credentials = Credentials::Static(StaticCredentials::new(id, secret));
        let backend = S3Backend::open(config(&server).with_credentials(credentials)).await.unwrap();
        for (operation, outcome) in every_operation(&backend).await {
            let error = outcome.expect_err(operation);
            assert_eq!(error.class(), ErrorClass::Denied, "{operation}: {error}");
            assert!(!rendered(&error).contains("wrong-secret"), "{operation}: {}", rendered(&error));
        }
    }
    let anonymous = config(&server).with_credentials(Credentials::Anonymous);
    for (operation, outcome) in every_operation(&S3Backend::open(anonymous).await.unwrap()).await {
        assert_eq!(outcome.expect_err(operation).class(), ErrorClass::Denied, "{operation}");
    }
}

#[tokio::test]
async fn s01_a_dead_endpoint_is_unavailable_and_nothing_was_changed() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for endpoint in [format!("http://{gone}"), "http://no-such-host.invalid".to_owned()] {
        let backend = S3Backend::open(config_at(&endpoint)).await.unwrap();
        for (operation, outcome) in every_operation(&backend).await {
            let error = outcome.expect_err(operation);
            assert_eq!(error.class(), ErrorClass::Unavailable, "{operation}: {}", rendered(&error));
            assert!(rendered(&error).contains("found no connection"), "{operation}: {}", rendered(&error));
        }
    }
}

#[tokio::test]
async fn s02_a_lost_answer_to_a_write_is_unknown_and_to_a_read_is_not() {
    for fault in [Fault::Before(Failure::Reset), Fault::After(Failure::Reset), Fault::After(Failure::Close)] {
        let server = S3Server::honest().unwrap();
        let proxy = FaultProxy::start(server.address()).unwrap();
        proxy.inject(Rule::any(fault.clone()).always());
        let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
        for (operation, outcome) in every_operation(&backend).await {
            let expected = match operation {
                "get" | "head" | "list" => ErrorClass::Unavailable,
                _ => ErrorClass::TimeoutUnknown,
            };
            let error = outcome.expect_err(operation);
            assert_eq!(error.class(), expected, "{fault:?}, {operation}: {}", rendered(&error));
        }
    }
}

#[tokio::test]
async fn s14_a_redirect_is_refused_and_nothing_is_sent_there() {
    let server = S3Server::honest().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    for status in [301, 302, 307, 308] {
        let proxy = FaultProxy::start(server.address()).unwrap();
        let location = format!("http://{}/{BUCKET}/a/b?secret=1", elsewhere.local_addr().unwrap());
        let answer = Answer::redirect(status, &location).with_header("x-amz-bucket-region", "eu-west-7");
        proxy.inject(Rule::any(Fault::Before(Failure::Answer(answer))).always());
        let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
        for (operation, outcome) in every_operation(&backend).await {
            let error = outcome.expect_err(operation);
            assert_eq!(error.class(), ErrorClass::Other, "{status} {operation}: {error}");
            let text = rendered(&error);
            for part in [&elsewhere.local_addr().unwrap().to_string(), "not followed", "region is eu-west-7"]
            {
                assert!(text.contains(part), "{status} {operation}: {text}");
            }
            assert!(!text.contains("secret=1"), "{text}");
        }
        // One request each: head asks again only after 404.
        assert_eq!(proxy.seen().len(), 7, "{status}: {:?}", proxy.seen());
    }
    let connected = elsewhere.accept();
    assert!(connected.is_err(), "somebody followed the redirect: {connected:?}");
}

#[tokio::test]
async fn s04_a_conflict_under_way_is_not_another_object() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let conflict = Answer::error(409, "ConditionalRequestConflict");
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::Before(Failure::Answer(conflict))));
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    let error = backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap();
}

#[tokio::test]
async fn errors_name_operation_key_status_code_and_request() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let slow = Answer::error(503, "SlowDown").with_header("retry-after", "7");
    proxy.inject(Rule::any(Fault::Before(Failure::Answer(slow))));
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    let error = backend.put(&key("a/b"), "x".into(), PutMode::Overwrite).await.unwrap_err();
    assert_eq!(
        rendered(&error),
        "put a/b in s3://graphstream-test failed (throttled): PutObject was answered with 503 SlowDown, request id SCRIPTED"
    );
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn a_store_without_conditional_puts_is_said_so() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let answer = Fault::Before(Failure::Answer(Answer::error(501, "NotImplemented")));
    proxy.inject(Rule::new(S3Operation::PutObject, answer));
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    let error = backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_at_open() {
    let open = |config| async { S3Backend::open(config).await.unwrap_err() };
    assert!(matches!(open(S3Config::new("Not_A_Bucket")).await, S3Error::InvalidBucket));
    assert!(matches!(
        open(S3Config::new("bucket").with_endpoint("minio:9000")).await,
        S3Error::InvalidEndpoint
    ));
}

#[tokio::test]
async fn a_file_that_changes_or_is_none_stores_nothing() {
    let server = S3Server::honest().unwrap();
    let backend = open(&server).await;
    let directory = tempfile::tempdir().unwrap();
    let outcome = backend.put(&key("a"), directory.path().to_owned().into(), PutMode::Overwrite).await;
    assert!(matches!(outcome, Err(Error::Source { .. })), "{outcome:?}");
    assert_eq!(backend.head(&key("a")).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn s11_a_head_without_a_word_is_explained_by_a_get() {
    let server = S3Server::honest().unwrap();
    for (status, code, expected) in [
        (400, "ExpiredToken", ErrorClass::Unavailable),
        (403, "RequestTimeTooSkewed", ErrorClass::Unavailable),
        (403, "AccessDenied", ErrorClass::Denied),
        (404, "NoSuchKey", ErrorClass::NotFound),
        (404, "NoSuchBucket", ErrorClass::Other),
    ] {
        let proxy = FaultProxy::start(server.address()).unwrap();
        let answer = |answer| Fault::Before(Failure::Answer(answer));
        proxy.inject(Rule::new(S3Operation::HeadObject, answer(Answer::status(status))));
        proxy.inject(Rule::new(S3Operation::GetObject, answer(Answer::error(status, code))));
        let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.class(), expected, "{status} {code}: {error}");
    }
}
