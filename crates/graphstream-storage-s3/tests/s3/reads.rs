//! Bodies that arrive whole, or not at all.

use graphstream_storage::{
    ErrorClass, GetOptions, PutMode, RetryBackend, RetryConfig, RetryPolicy, StorageBackend,
};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::fault_proxy::{BodyFault, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::S3Server;

use crate::support::{config_at, key};

fn body() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| (n % 251) as u8).collect()
}

async fn proxied(server: &S3Server) -> (FaultProxy, S3Backend) {
    let proxy = FaultProxy::start(server.address()).unwrap();
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    backend.put(&key("a"), body().into(), PutMode::Overwrite).await.unwrap();
    (proxy, backend)
}

async fn read(backend: &dyn StorageBackend) -> Result<Vec<u8>, graphstream_storage::Error> {
    let object = backend.get(&key("a"), GetOptions::default()).await?.found().unwrap();
    object.bytes(2_000_000).await.map(|bytes| bytes.to_vec())
}

#[tokio::test]
async fn s07_a_body_that_is_not_what_was_put_is_corrupt() {
    let server = S3Server::honest().unwrap();
    let (proxy, backend) = proxied(&server).await;
    let mut other = body();
    other.reverse();
    let faults = [
        BodyFault::FlipBit(8_000_000 / 3),
        BodyFault::Replace(other.into()),
        BodyFault::Truncate(999_999),
        BodyFault::Extend(b"more".as_slice().into()),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(fault)));
        let Err(error) = read(&backend).await else { panic!("damage {number} went unseen") };
        assert_eq!(error.class(), ErrorClass::Corrupt, "{error:?}");
    }
    assert!(read(&backend).await.unwrap() == body());
}

#[tokio::test]
async fn s07_a_cut_body_ends_with_an_error() {
    let server = S3Server::honest().unwrap();
    let (proxy, backend) = proxied(&server).await;
    let faults = [BodyFault::Cut(0), BodyFault::Cut(500_000), BodyFault::ResetAt(500_000)];
    for (number, fault) in faults.into_iter().enumerate() {
        proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(fault)));
        let Err(error) = read(&backend).await else { panic!("damage {number} went unseen") };
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
    }
}

#[tokio::test]
async fn s10_a_cut_body_is_read_on_under_the_retry_decorator() {
    let server = S3Server::honest().unwrap();
    let (proxy, backend) = proxied(&server).await;
    let backend = RetryBackend::new(backend, RetryPolicy::new(RetryConfig::default()));
    proxy.clear();
    proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(BodyFault::Cut(300_000))).first(2));
    assert!(read(&backend).await.unwrap() == body());
    assert_eq!(proxy.count(S3Operation::GetObject), 3);
}

#[tokio::test]
async fn s07_an_object_that_is_replaced_while_it_is_read_is_never_mixed() {
    let server = S3Server::honest().unwrap();
    let (proxy, backend) = proxied(&server).await;
    let reading = RetryBackend::new(backend.clone(), RetryPolicy::new(RetryConfig::default()));
    proxy.inject(Rule::new(S3Operation::GetObject, Fault::Body(BodyFault::Cut(300_000))));
    let object = reading.get(&key("a"), GetOptions::default()).await.unwrap().found().unwrap();
    let mut other = body();
    other.reverse();
    backend.put(&key("a"), other.into(), PutMode::Overwrite).await.unwrap();
    let error = object.bytes(2_000_000).await.unwrap_err();
    assert!(matches!(error, graphstream_storage::Error::Changed { .. }), "{error:?}");
}
