//! No secret is in any log or error, whatever happens and however much is logged.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use graphstream_storage::{GetOptions, ListRequest, PutMode, StackConfig, StorageBackend};
use graphstream_storage_s3::{Credentials, CustomerKey, Encryption, S3Backend, StaticCredentials};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule};
use graphstream_testkit::s3::{ACCESS_KEY_ID, Conduct, S3Process, SECRET_ACCESS_KEY, serve_if_asked};
use support::{config_at, key};

const TOKEN: &str = "canary-token-5d0e9b7a";
const CUSTOMER_KEY: [u8; 32] = *b"canary-customer-key-32-bytes-lon";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The server logs what it receives, so it is another process.
#[test]
fn s3_server() {
    serve_if_asked().unwrap();
}

#[tokio::test]
async fn no_secret_is_in_any_log_or_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let writer = log.clone();
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();

    let server = S3Process::start("s3_server", Conduct::Honest).unwrap();
    let proxy = FaultProxy::start(server.endpoint().trim_start_matches("http://").parse().unwrap()).unwrap();
    let right = StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY).with_session_token(TOKEN);
    let wrong = StaticCredentials::new("UNKNOWNKEYID", SECRET_ACCESS_KEY).with_session_token(TOKEN);
    let mut errors = String::new();
    let encrypted = Encryption::Customer(CustomerKey::new(CUSTOMER_KEY));
    let configs = [(&right, Encryption::Bucket), (&right, encrypted.clone()), (&wrong, encrypted)];
    for (credentials, encryption) in configs {
        let config = config_at(&proxy.url())
            .with_credentials(Credentials::Static(credentials.clone()))
            .with_encryption(encryption)
            .with_multipart_bytes_min(6 << 20)
            .with_part_bytes(5 << 20);
        let backend = S3Backend::open(config.clone()).await.unwrap();
        errors += &format!("{config:?} {backend:?}");
        let stack = StackConfig::default().wrap(backend.clone(), &Default::default());
        let failures = [
            None,
            Some(Failure::Reset),
            Some(Failure::Answer(Answer::error(403, "SignatureDoesNotMatch"))),
            Some(Failure::Answer(Answer::error(400, "ExpiredToken"))),
            Some(Failure::Answer(Answer::status(500).with_body("not XML"))),
            Some(Failure::Answer(Answer::redirect(307, "http://elsewhere.invalid/"))),
        ];
        for failure in failures {
            proxy.clear();
            if let Some(failure) = failure {
                proxy.inject(Rule::any(Fault::Before(failure)).always());
            }
            let key = key("a/b");
            let mut note = |outcome: Result<(), graphstream_storage::Error>| {
                if let Err(error) = outcome {
                    errors += &format!("{error} {error:?}\n");
                }
            };
            note(backend.put(&key, "x".into(), PutMode::Create).await.map(drop));
            note(backend.put(&key, vec![0; 11 << 20].into(), PutMode::Overwrite).await.map(drop));
            note(backend.get(&key, GetOptions::default()).await.map(drop));
            note(backend.head(&key).await.map(drop));
            note(backend.list(ListRequest::default()).await.map(drop));
            note(backend.delete_many(std::slice::from_ref(&key)).await.map(drop));
            note(backend.delete(&key).await);
        }
        proxy.clear();
        stack.put(&key("c"), "x".into(), PutMode::Overwrite).await.map(drop).unwrap_or_default();
    }

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    // The log is there, and the requests are in it.
    assert!(log.contains("PutObject") && log.contains("TRACE"), "{} bytes of log", log.len());
    assert!(errors.contains("SignatureDoesNotMatch"), "{errors}");
    let (encoded, bytes) = (base64(&CUSTOMER_KEY), format!("{CUSTOMER_KEY:?}"));
    let text = std::str::from_utf8(&CUSTOMER_KEY).unwrap();
    let secrets = [SECRET_ACCESS_KEY, TOKEN, text, &encoded, bytes.trim_matches(['[', ']'])];
    for (name, place) in [("errors", &errors), ("log", &log)] {
        for secret in secrets {
            let line = place.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} in the {name}: {}", line.unwrap_or_default());
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
