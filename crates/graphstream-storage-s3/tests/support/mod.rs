//! The stores of the tests: the testkit's S3 servers, with the credentials that they know.
#![allow(dead_code)]

use graphstream_storage::{Key, StoreUrl};
use graphstream_storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
use graphstream_testkit::s3::{ACCESS_KEY_ID, BUCKET, REGION, S3Server, SECRET_ACCESS_KEY};

pub(crate) fn credentials() -> Credentials {
    Credentials::Static(StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
}

pub(crate) fn config_at(endpoint: &str) -> S3Config {
    S3Config::new(BUCKET).with_endpoint(endpoint).with_region(REGION).with_credentials(credentials())
}

pub(crate) fn config(server: &S3Server) -> S3Config {
    config_at(&server.endpoint())
}

pub(crate) async fn open(server: &S3Server) -> S3Backend {
    S3Backend::open(config(server)).await.unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// The store of `GRAPHSTREAM_S3_TEST_URL`, with the credentials of `AWS_*`, and a prefix that nobody else has.
pub(crate) async fn open_from_environment() -> Option<(S3Backend, Key)> {
    let url = std::env::var("GRAPHSTREAM_S3_TEST_URL").ok()?;
    let (config, prefix) = S3Config::from_url(&StoreUrl::new(url).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let unique = format!("graphstream-test-{}-{}", now.as_nanos(), std::process::id());
    let prefix = prefix.map_or_else(|| key(&unique), |prefix| prefix.join(&unique).unwrap());
    Some((S3Backend::open(config).await.unwrap(), prefix))
}
