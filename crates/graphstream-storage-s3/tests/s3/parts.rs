//! Bodies in parts: what is visible, what is left behind, and who sweeps it.

use std::time::Duration;

use graphstream_storage::{Error, ErrorClass, GetOptions, PutMode, StorageBackend};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::S3Server;

use crate::support::{config, config_at, key};

const MIB: usize = 1 << 20;

/// 12 MiB and a bit: three parts of 5 MiB, the last one shorter.
fn body(seed: u8) -> Vec<u8> {
    (0..12 * MIB + 3).map(|n| (n % 249) as u8 ^ seed).collect()
}

async fn in_parts(server: &S3Server) -> S3Backend {
    S3Backend::open(config(server).with_multipart_bytes_min(6 << 20).with_part_bytes(5 << 20)).await.unwrap()
}

async fn proxied(proxy: &FaultProxy) -> S3Backend {
    let config = config_at(&proxy.url()).with_multipart_bytes_min(6 << 20).with_part_bytes(5 << 20);
    S3Backend::open(config).await.unwrap()
}

async fn stored(backend: &S3Backend) -> Vec<u8> {
    let object = backend.get(&key("a"), GetOptions::default()).await.unwrap().found().unwrap();
    object.bytes(20 << 20).await.unwrap().to_vec()
}

#[tokio::test]
async fn conditions_hold_for_bodies_in_parts() {
    let server = S3Server::honest().unwrap();
    let backend = in_parts(&server).await;
    let first = backend.put(&key("a"), body(1).into(), PutMode::Create).await.unwrap();
    assert_eq!(backend.head(&key("a")).await.unwrap().version, first);
    let again = backend.put(&key("a"), body(2).into(), PutMode::Create).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    let second = backend.put(&key("a"), body(3).into(), PutMode::Match(first.clone())).await.unwrap();
    let stale = backend.put(&key("a"), body(4).into(), PutMode::Match(first.clone())).await;
    assert!(matches!(stale, Err(Error::VersionMismatch { .. })), "{stale:?}");
    let missing = backend.put(&key("b"), body(4).into(), PutMode::Match(first)).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert!(stored(&backend).await == body(3));
    assert_eq!(backend.head(&key("a")).await.unwrap().version, second);
    assert_eq!(server.unfinished_uploads(), 0, "a refused upload was left behind");
}

#[tokio::test]
async fn whole_bodies_in_parts_are_verified_when_they_are_read() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let backend = proxied(&proxy).await;
    backend.put(&key("a"), body(1).into(), PutMode::Create).await.unwrap();
    let flip = graphstream_testkit::fault_proxy::BodyFault::FlipBit(77_777_777);
    proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(flip)));
    let object = backend.get(&key("a"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.bytes(20 << 20).await.unwrap_err().class(), ErrorClass::Corrupt);
    assert!(stored(&backend).await == body(1));
}

#[tokio::test]
async fn before_the_last_call_every_failure_is_definite_and_leaves_nothing() {
    for operation in [S3Operation::CreateMultipartUpload, S3Operation::UploadPart] {
        for failure in [Failure::Reset, Failure::Answer(Answer::error(500, "InternalError"))] {
            let server = S3Server::honest().unwrap();
            let proxy = FaultProxy::start(server.address()).unwrap();
            let backend = proxied(&proxy).await;
            proxy.inject(Rule::new(operation, Fault::Before(failure.clone())));
            let error = backend.put(&key("a"), body(1).into(), PutMode::Create).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Unavailable, "{operation} {failure:?}: {error}");
            assert_eq!(server.unfinished_uploads(), 0, "{operation} {failure:?}");
            assert_eq!(backend.head(&key("a")).await.unwrap_err().class(), ErrorClass::NotFound);
            backend.put(&key("a"), body(2).into(), PutMode::Create).await.unwrap();
        }
    }
}

#[tokio::test]
async fn s02_a_lost_answer_to_the_last_call_is_unknown() {
    for fault in [Fault::Before(Failure::Reset), Fault::After(Failure::Reset)] {
        let server = S3Server::honest().unwrap();
        let proxy = FaultProxy::start(server.address()).unwrap();
        let backend = proxied(&proxy).await;
        proxy.inject(Rule::new(S3Operation::CompleteMultipartUpload, fault.clone()));
        let error = backend.put(&key("a"), body(1).into(), PutMode::Create).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::TimeoutUnknown, "{fault:?}: {error}");
        assert_eq!(server.unfinished_uploads(), 0, "{fault:?}");
    }
}

#[tokio::test]
async fn an_error_behind_a_200_is_an_error() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let backend = proxied(&proxy).await;
    let answer = Answer::error(200, "InternalError");
    proxy.inject(Rule::new(S3Operation::CompleteMultipartUpload, Fault::Before(Failure::Answer(answer))));
    let error = backend.put(&key("a"), body(1).into(), PutMode::Create).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TimeoutUnknown, "{error}");
    assert_eq!(backend.head(&key("a")).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn s12_a_dropped_put_aborts_its_upload() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let backend = proxied(&proxy).await;
    proxy.inject(Rule::new(S3Operation::UploadPart, Fault::Before(Failure::Hang)).nth(2));
    let putting = {
        let backend = backend.clone();
        tokio::spawn(async move { backend.put(&key("a"), body(1).into(), PutMode::Create).await })
    };
    until(|| proxy.struck() == 1).await;
    assert_eq!(server.unfinished_uploads(), 1);
    putting.abort();
    assert!(putting.await.unwrap_err().is_cancelled());
    until(|| server.unfinished_uploads() == 0).await;
    assert_eq!(backend.head(&key("a")).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn s12_orphans_are_swept_by_age_and_prefix() {
    let server = S3Server::honest().unwrap();
    let backend = in_parts(&server).await;
    // Neither completed nor aborted: what a process that died leaves behind.
    server.refuse("UploadPart");
    server.refuse("AbortMultipartUpload");
    for name in ["mine/a b+%", "mine/c", "theirs/d"] {
        let error = backend.put(&key(name), body(1).into(), PutMode::Create).await.unwrap_err();
        // The refusal may come while the part is still being written, and the connection ends with it.
        assert!(matches!(error.class(), ErrorClass::Denied | ErrorClass::Unavailable), "{error}");
    }
    assert_eq!(server.unfinished_uploads(), 3);
    server.allow("AbortMultipartUpload");
    let day = Duration::from_secs(24 * 3600);
    let orphans = async |prefix| backend.unfinished_uploads(prefix, day, None).await.unwrap();
    assert_eq!(orphans("mine/").await.uploads, [], "younger than a day");
    server.age_uploads(day + Duration::from_secs(60));
    let found = orphans("mine/").await;
    let keys: Vec<_> = found.uploads.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!((keys, found.next), (vec!["mine/a b+%", "mine/c"], None));
    for upload in &found.uploads {
        backend.abort_upload(upload).await.unwrap();
        // It is gone, whoever aborted it.
        backend.abort_upload(upload).await.unwrap();
    }
    assert_eq!(server.unfinished_uploads(), 1);
    assert_eq!(orphans("").await.uploads[0].key, "theirs/d");
}

#[tokio::test]
async fn a_file_that_shrinks_while_its_parts_are_sent_stores_nothing() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let config = config_at(&proxy.url())
        .with_multipart_bytes_min(6 << 20)
        .with_part_bytes(5 << 20)
        .with_parallel_parts(1);
    let backend = S3Backend::open(config).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body(1)).unwrap();
    proxy.inject(Rule::new(S3Operation::UploadPart, Fault::Delay(Duration::from_millis(300))));
    let putting = {
        let (backend, path) = (backend.clone(), file.path().to_owned());
        tokio::spawn(async move { backend.put(&key("a"), path.into(), PutMode::Create).await })
    };
    until(|| proxy.struck() == 1).await;
    std::fs::write(file.path(), b"short").unwrap();
    let outcome = putting.await.unwrap();
    assert!(matches!(outcome, Err(Error::SourceChanged { .. })), "{outcome:?}");
    assert_eq!(server.unfinished_uploads(), 0);
    assert_eq!(backend.head(&key("a")).await.unwrap_err().class(), ErrorClass::NotFound);
}

/// Waits for what another task or the server will do.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
