//! How objects are encrypted and stored.

use graphstream_storage::{ErrorClass, GetOptions, PutMode, StorageBackend};
use graphstream_storage_s3::{CustomerKey, Encryption, S3Backend, S3Config};
use graphstream_testkit::s3::S3Server;

use crate::support::{config, key, open};

async fn put_both(config: S3Config) -> S3Backend {
    let config = config.with_multipart_bytes_min(6 << 20).with_part_bytes(5 << 20);
    let backend = S3Backend::open(config).await.unwrap();
    backend.put(&key("small"), "x".into(), PutMode::Create).await.unwrap();
    backend.put(&key("large"), vec![7; 11 << 20].into(), PutMode::Create).await.unwrap();
    backend
}

#[tokio::test]
async fn encryption_and_storage_class_are_asked_for_in_both_kinds_of_put() {
    const SSE: &str = "x-amz-server-side-encryption";
    const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
    for (encryption, algorithm, key_id) in [
        (Encryption::Bucket, None, None),
        (Encryption::Store, Some("AES256"), None),
        (Encryption::Kms(None), Some("aws:kms"), None),
        (Encryption::Kms(Some("arn:aws:kms:key/1".into())), Some("aws:kms"), Some("arn:aws:kms:key/1")),
    ] {
        let server = S3Server::honest().unwrap();
        put_both(config(&server).with_encryption(encryption).with_storage_class("STANDARD_IA")).await;
        for name in ["small", "large"] {
            assert_eq!(server.header_of(name, SSE).as_deref(), algorithm, "{name}");
            assert_eq!(server.header_of(name, KEY_ID).as_deref(), key_id, "{name}");
            assert_eq!(
                server.header_of(name, "x-amz-storage-class").as_deref(),
                Some("STANDARD_IA"),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_customers_key_opens_what_it_closed_and_nothing_else() {
    let server = S3Server::honest().unwrap();
    let with = |byte| config(&server).with_encryption(Encryption::Customer(CustomerKey::new([byte; 32])));
    let backend = put_both(with(1)).await;
    for (name, size) in [("small", 1), ("large", 11 << 20)] {
        assert_eq!(backend.head(&key(name)).await.unwrap().size, size);
        let object = backend.get(&key(name), GetOptions::default()).await.unwrap().found().unwrap();
        assert_eq!(object.bytes(size).await.unwrap().len() as u64, size);
    }
    let other = S3Backend::open(with(2)).await.unwrap();
    let outcome = other.get(&key("small"), GetOptions::default()).await.unwrap_err();
    assert_eq!(outcome.class(), ErrorClass::Denied, "{outcome}");
    let without = open(&server).await.get(&key("small"), GetOptions::default()).await.unwrap_err();
    assert_eq!(without.class(), ErrorClass::Other, "{without}");
}
