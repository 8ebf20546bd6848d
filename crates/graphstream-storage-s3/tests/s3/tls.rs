//! `https:` endpoints: whom the backend talks to, and whom it tells nothing.

use std::path::PathBuf;

use graphstream_storage::{Error, ErrorClass, GetOptions, ListRequest, PutMode, StorageBackend};
use graphstream_storage_s3::{Error as S3Error, S3Backend, S3Config};
use graphstream_testkit::s3::{Conduct, S3Server};

use crate::support::{config_at, key};

struct Rig {
    server: S3Server,
    dir: tempfile::TempDir,
}

impl Rig {
    /// With a certificate for this host only.
    fn certified_for(name: &str) -> Self {
        let server = S3Server::start_with_tls(Conduct::Honest, &[name]).unwrap();
        Self { server, dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn config(&self) -> S3Config {
        config_at(&self.server.endpoint())
    }

    fn trusting(&self, pem: &str) -> S3Config {
        self.config().with_ca_file(self.file("ca.pem", pem))
    }

    fn certificate(&self) -> &str {
        self.server.certificate().unwrap()
    }
}

/// Fails because of the certificate, and the store has been told nothing.
async fn assert_not_trusted(rig: &Rig, config: S3Config, told: &str) {
    let backend = S3Backend::open(config).await.unwrap();
    let put = backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap_err();
    let get = backend.get(&key("a"), GetOptions::default()).await.unwrap_err();
    let list = backend.list(ListRequest::default()).await.unwrap_err();
    for error in [put, get, list] {
        assert_eq!(error.class(), ErrorClass::Other, "{error:?}");
        let Error::Backend { source, .. } = &error else { panic!("{error:?}") };
        let source = source.downcast_ref::<S3Error>().unwrap();
        assert!(matches!(source, S3Error::Tls { .. }), "{error:?}");
        assert!(source.hint().unwrap().contains("ca_file"), "{:?}", source.hint());
        let mut text = source.to_string();
        let mut cause = std::error::Error::source(source);
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        assert!(text.contains(told), "{text}");
    }
    for operation in ["PutObject", "GetObject", "ListObjectsV2"] {
        assert_eq!(rig.server.count(operation), 0, "{operation}");
    }
}

#[tokio::test]
async fn a_store_with_a_certificate_of_its_own_is_trusted_when_that_is_named() {
    let rig = Rig::certified_for("127.0.0.1");
    assert!(rig.server.endpoint().starts_with("https://127.0.0.1:"));
    // Beside another one, as bundles have it.
    let other = S3Server::start_with_tls(Conduct::Honest, &["other.example"]).unwrap();
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = format!("# A bundle\n{}{odd}{}", other.certificate().unwrap(), rig.certificate());
    for pem in [rig.certificate(), &bundle] {
        let backend = S3Backend::open(rig.trusting(pem)).await.unwrap();
        backend.put(&key("a"), "x".into(), PutMode::Overwrite).await.unwrap();
        let object = backend.get(&key("a"), GetOptions::default()).await.unwrap().found().unwrap();
        assert_eq!(object.bytes(10).await.unwrap().as_ref(), b"x");
    }
}

#[tokio::test]
async fn s14_a_store_that_nobody_vouches_for_is_told_nothing() {
    let rig = Rig::certified_for("127.0.0.1");
    let other = S3Server::start_with_tls(Conduct::Honest, &["127.0.0.1"]).unwrap();
    let other = rig.trusting(other.certificate().unwrap());
    assert_not_trusted(&rig, rig.config(), "UnknownIssuer").await;
    assert_not_trusted(&rig, other, "invalid peer certificate").await;
}

#[tokio::test]
async fn s14_a_certificate_for_another_host_is_refused() {
    let rig = Rig::certified_for("other.example");
    assert_not_trusted(&rig, rig.trusting(rig.certificate()), "not valid for name").await;
}

#[tokio::test]
async fn s14_a_server_without_tls_is_refused_at_an_https_endpoint() {
    let server = S3Server::honest().unwrap();
    let backend = S3Backend::open(config_at(&server.endpoint().replace("http:", "https:"))).await.unwrap();
    let error = backend.get(&key("a"), GetOptions::default()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Other, "{error:?}");
    assert_eq!(server.count("GetObject"), 0);
}

#[tokio::test]
async fn a_file_of_authorities_that_can_not_be_used_is_an_error_at_open() {
    let rig = Rig::certified_for("127.0.0.1");
    let cut = &rig.certificate()[..rig.certificate().len() / 2];
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in ["", "not PEM", cut, no_certificate] {
        let error = S3Backend::open(rig.trusting(content)).await.unwrap_err();
        assert!(matches!(error, S3Error::CaFile { .. }), "{content:?}: {error:?}");
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
    let missing = S3Backend::open(rig.config().with_ca_file("/no/such/file")).await.unwrap_err();
    assert!(missing.to_string().contains("/no/such/file"), "{missing}");
}
