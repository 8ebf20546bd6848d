//! Credentials of the environment reach the store and nobody else: no log, no error, no other machine (K01).
//!
//! Each test runs its part again in a process of its own, whose environment is the part's.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use graphstream_storage::{Bytes, ErrorClass, GetOptions, Key, ListRequest, PutMode, StorageBackend};
use http::Request;
use support::{Server, answer, open};

const SECRET: &str = "Y2FuYXJ5LTdmMWM5YjI0"; // base64, as Azure's keys are

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

/// In the child: all output of the calls, and whether the server saw the secret.
async fn calls(url: &str) -> (String, bool) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();
    // It says again what it was told, as some servers do.
    let echo = |request: &Request<Bytes>| {
        let headers: String = request.headers().values().map(|value| value.to_str().unwrap()).collect();
        answer(403, &[], format!("<Code>AccessDenied</Code><Message>{headers} {}</Message>", request.uri()))
    };
    let server = Server::start(echo).await;
    let store = open(&url.replace("SERVER", &server.url())).await.unwrap();
    let mut output = format!("{store:?} {}", store.describe());
    let key = Key::new("a/b").unwrap();
    let error = store.get(&key, GetOptions::default()).await.map(drop).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error:?}");
    output += &format!("{error} {error:?}");
    let errors = [
        store.put(&key, "x".into(), PutMode::Overwrite).await.map(drop).unwrap_err(),
        store.head(&key).await.map(drop).unwrap_err(),
        store.list(ListRequest::default()).await.map(drop).unwrap_err(),
        store.delete(&key).await.unwrap_err(),
    ];
    for error in errors {
        output += &format!("{error} {error:?}");
    }
    let shown = server.seen.lock().unwrap().iter().any(|request| {
        let of_header = |value: &http::HeaderValue| value.to_str().unwrap().contains(SECRET);
        request.headers().values().any(of_header) || request.uri().to_string().contains(SECRET)
    });
    output += &String::from_utf8_lossy(&log.0.lock().unwrap());
    (output, shown)
}

/// Runs the test `name` again, as a child, with these variables and no others that clouds read.
fn child(name: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os("CANARY_CHILD").is_some() {
        return false;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env("CANARY_CHILD", "yes").env("HOME", "/nonexistent");
    for (variable, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("GOOGLE_") || name.starts_with("AZURE_"))
    {
        command.env_remove(variable);
    }
    let status = command.envs(variables.iter().copied()).status().unwrap();
    assert!(status.success(), "{name}");
    true
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn nothing_shows(url: &str, sent: bool) {
    let (output, shown) = runtime().block_on(calls(url));
    assert!(!output.contains(SECRET), "{output}");
    assert!(output.contains("AccessDenied"), "{output}");
    assert_eq!(shown, sent, "whether the store was told");
}

#[test]
fn k01_a_bearer_token_is_in_no_output() {
    if !child("k01_a_bearer_token_is_in_no_output", &[("GOOGLE_BEARER_TOKEN", SECRET)]) {
        nothing_shows("gs://bucket?endpoint=SERVER", true);
    }
}

#[test]
fn k01_a_header_of_the_environment_is_in_no_output() {
    let header = format!("Basic {SECRET}");
    if !child(
        "k01_a_header_of_the_environment_is_in_no_output",
        &[("GRAPHSTREAM_HTTP_AUTHORIZATION", &header)],
    ) {
        nothing_shows("SERVER/dav", true);
    }
}

#[test]
fn k01_an_account_key_is_in_no_output_and_is_not_sent() {
    let variables = [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_ACCOUNT_KEY", SECRET)];
    if !child("k01_an_account_key_is_in_no_output_and_is_not_sent", &variables) {
        nothing_shows("az://container?endpoint=SERVER", false);
    }
}

#[test]
fn k01_a_shared_access_signature_is_in_no_output() {
    let sas = format!("sv=2024-01-01&sig={SECRET}");
    let variables = [("AZURE_STORAGE_ACCOUNT_NAME", "account"), ("AZURE_STORAGE_SAS_KEY", sas.as_str())];
    if !child("k01_a_shared_access_signature_is_in_no_output", &variables) {
        nothing_shows("az://container?endpoint=SERVER", true);
    }
}

/// Nothing is asked of the network: the refusal comes first, and the name resolves nowhere.
#[test]
fn credentials_do_not_leave_the_machine_in_the_clear() {
    let sas = format!("sv=2024-01-01&sig={SECRET}");
    let header = format!("Basic {SECRET}");
    let variables = [
        ("GOOGLE_BEARER_TOKEN", SECRET),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_SAS_KEY", sas.as_str()),
        ("GRAPHSTREAM_HTTP_AUTHORIZATION", header.as_str()),
    ];
    if child("credentials_do_not_leave_the_machine_in_the_clear", &variables) {
        return;
    }
    runtime().block_on(async {
        for url in [
            "gs://bucket?endpoint=http://elsewhere.invalid",
            "az://container?endpoint=http://elsewhere.invalid",
            "http://elsewhere.invalid/dav",
        ] {
            let store = open(url).await.unwrap();
            let error =
                store.get(&Key::new("k").unwrap(), GetOptions::default()).await.map(drop).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Other, "{error:?}");
            assert!(format!("{error:?}").contains("InTheClear"), "{error:?}");
        }
    });
}

#[test]
fn whoever_gives_no_credentials_is_named_and_the_outcome_is_definite() {
    let variables = [("GCE_METADATA_HOST", "127.0.0.1:1"), ("GCE_METADATA_IP", "127.0.0.1:1")];
    if child("whoever_gives_no_credentials_is_named_and_the_outcome_is_definite", &variables) {
        return;
    }
    runtime().block_on(async {
        let store = open("gs://bucket").await.unwrap();
        let key = Key::new("k").unwrap();
        let error = store.put(&key, "x".into(), PutMode::Create).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        let error = store.get(&key, GetOptions::default()).await.map(drop).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        assert!(format!("{error:?}").contains("NoCredentials { host: \"127.0.0.1:1\""), "{error:?}");
    });
}
