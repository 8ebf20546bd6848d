//! `s3:` URLs.

use graphstream_storage::{Access, GetOptions, OpenError, PutMode, StorageBackend, StoreRegistry, StoreUrl};
use graphstream_storage_s3::{Credentials, Encryption, S3Config, open_url};
use graphstream_testkit::s3::S3Server;

use crate::support::{key, open};

fn parsed(url: &str) -> Result<(S3Config, Option<graphstream_storage::Key>), OpenError> {
    S3Config::from_url(&StoreUrl::new(url).unwrap())
}

#[test]
fn every_parameter_means_something() {
    let (config, prefix) = parsed("s3://bucket").unwrap();
    assert_eq!((config, prefix), (S3Config::new("bucket"), None));
    let (config, prefix) = parsed(
        "s3://bucket/some%20prefix/x/?region=eu-west-1&endpoint=http://127.0.0.1:9000&ca_file=/c.pem&path_style=false&profile=backup&sse=kms\
         &kms_key_id=k/1&storage_class=STANDARD_IA&checksums=false&conditional_puts=false",
    )
    .unwrap();
    let expected = S3Config::new("bucket")
        .with_region("eu-west-1")
        .with_endpoint("http://127.0.0.1:9000")
        .with_ca_file("/c.pem")
        .with_path_style(false)
        .with_credentials(Credentials::Profile("backup".into()))
        .with_encryption(Encryption::Kms(Some("k/1".into())))
        .with_storage_class("STANDARD_IA")
        .with_checksums(false)
        .with_conditional_puts(false);
    assert_eq!((config, prefix), (expected, Some(key("some prefix/x"))));
    assert_eq!(parsed("s3://b-b/?anonymous=true").unwrap().0.credentials, Credentials::Anonymous);
    assert_eq!(parsed("s3://b-b/?sse=s3").unwrap().0.encryption, Encryption::Store);
}

#[test]
fn what_means_nothing_is_refused_without_repeating_values() {
    for (url, expected) in [
        (
            "s3://bucket?regoin=x",
            "a s3 store has no parameter \"regoin\"; it has region, endpoint, ca_file, path_style, profile, anonymous, \
          kms_key_id, sse, storage_class, checksums, conditional_puts",
        ),
        ("s3://bucket?secret_access_key=canary", "a s3 store has no parameter \"secret_access_key\""),
        ("s3://bucket?path_style=canary", "the parameter \"path_style\" of a s3 store takes true or false"),
        ("s3://bucket?sse=canary", "the parameter \"sse\" of a s3 store takes s3 or kms"),
        (
            "s3://bucket?kms_key_id=canary",
            "the parameter \"kms_key_id\" of a s3 store takes a key with sse=kms only",
        ),
        (
            "s3://bucket?anonymous=true&profile=canary",
            "the parameter \"anonymous\" of a s3 store takes false beside a profile",
        ),
        ("s3:///canary", "a s3 store takes a bucket and perhaps a prefix: s3://bucket/prefix"),
        ("s3://bucket/a//canary", "a s3 store takes a bucket and perhaps a prefix: s3://bucket/prefix"),
    ] {
        let error = parsed(url).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{url}: {error}");
        assert!(!error.contains("canary"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_url_opens_the_bucket_below_its_prefix() {
    let server = S3Server::honest().unwrap();
    let mut registry = StoreRegistry::new();
    registry.register("s3", "s3://bucket/prefix", open_url);
    let url = StoreUrl::new(format!("{}&anonymous=true", server.url("p/q"))).unwrap();
    let store = registry.open(&url, Access::Write).await.unwrap();
    assert_eq!(store.describe(), "s3://graphstream-test below p/q");
    open(&server).await.put(&key("p/q/r"), "x".into(), PutMode::Create).await.unwrap();
    let denied = store.get(&key("r"), GetOptions::default()).await.unwrap_err();
    assert_eq!(denied.class(), graphstream_storage::ErrorClass::Denied, "{denied}");

    let bad = StoreUrl::new("s3://bucket?endpoint=minio:9000").unwrap();
    let error = registry.open(&bad, Access::Read).await.unwrap_err();
    assert!(matches!(error, OpenError::Store { .. }), "{error}");
}
