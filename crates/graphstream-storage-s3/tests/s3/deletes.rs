//! Deletes of many, and stores that have no such call.

use graphstream_storage::{ErrorClass, ListRequest, Lister, PutMode, StorageBackend};
use graphstream_testkit::s3::S3Server;

use crate::support::{key, open};

#[tokio::test]
async fn s12_each_key_has_its_outcome() {
    let server = S3Server::honest().unwrap();
    let backend = open(&server).await;
    let keys = ["a", "locked", "b c+d%", "missing"].map(key);
    for key in keys.iter().take(3) {
        backend.put(key, "x".into(), PutMode::Overwrite).await.unwrap();
    }
    server.protect("locked");
    let outcomes = backend.delete_many(&keys).await.unwrap();
    for (name, outcome) in outcomes {
        match name.as_str() {
            "locked" => assert_eq!(outcome.unwrap_err().class(), ErrorClass::Denied),
            _ => outcome.unwrap(),
        }
    }
    let left = Lister::new(&backend, ListRequest::default()).objects().await.unwrap();
    assert_eq!(left.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["locked"]);
    assert_eq!((server.count("DeleteObjects"), server.count("DeleteObject")), (1, 0));
}

#[tokio::test]
async fn a_store_without_bulk_deletes_is_asked_key_by_key_and_for_bulk_once() {
    let server = S3Server::honest().unwrap();
    server.lack("DeleteObjects");
    let backend = open(&server).await;
    let keys: Vec<_> = (0..40).map(|n| key(&format!("k/{n}"))).collect();
    for key in &keys {
        backend.put(key, "x".into(), PutMode::Overwrite).await.unwrap();
    }
    server.protect("k/7");
    for _ in 0..2 {
        let outcomes = backend.delete_many(&keys).await.unwrap();
        assert_eq!(outcomes.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
        for (key, outcome) in outcomes {
            assert_eq!(outcome.is_ok(), key.as_str() != "k/7", "{key}");
        }
    }
    assert_eq!((server.count("DeleteObjects"), server.count("DeleteObject")), (1, 80));
}

#[tokio::test]
async fn writing_needs_no_right_to_delete() {
    let server = S3Server::honest().unwrap();
    server.refuse("DeleteObject");
    server.refuse("DeleteObjects");
    let config = crate::support::config(&server).with_multipart_bytes_min(6 << 20).with_part_bytes(5 << 20);
    let backend = graphstream_storage_s3::S3Backend::open(config).await.unwrap();
    for (name, length) in [("small", 10), ("large", 11 << 20)] {
        let version = backend.put(&key(name), vec![1; length].into(), PutMode::Create).await.unwrap();
        backend.put(&key(name), vec![2; length].into(), PutMode::Match(version)).await.unwrap();
        backend.put(&key(name), vec![3; length].into(), PutMode::Overwrite).await.unwrap();
        assert_eq!(backend.delete(&key(name)).await.unwrap_err().class(), ErrorClass::Denied);
    }
}
