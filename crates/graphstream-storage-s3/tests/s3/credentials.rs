//! Where credentials come from, each in a process of its own, whose environment says it.

use std::path::Path;
use std::process::Command;

use graphstream_storage::{ErrorClass, PutMode, StorageBackend};
use graphstream_storage_s3::{Credentials, S3Backend};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY, environment};

use crate::support::{config_at, key};

const ENDPOINT: &str = "GRAPHSTREAM_TEST_S3_ENDPOINT";
const PROFILE: &str = "GRAPHSTREAM_TEST_S3_PROFILE";

/// Puts twice with ambient credentials and prints the class of each failure.
#[tokio::test]
async fn child_puts_twice() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let credentials = std::env::var(PROFILE).map_or(Credentials::Ambient, Credentials::Profile);
    let backend = S3Backend::open(config_at(&endpoint).with_credentials(credentials)).await.unwrap();
    for name in ["first", "second"] {
        match backend.put(&key(name), "x".into(), PutMode::Overwrite).await {
            Ok(_) => eprintln!("{name}: stored"),
            Err(error) => eprintln!("{name}: {}", error.class()),
        }
    }
}

fn child(endpoint: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "credentials::child_puts_twice", "--nocapture"]);
    command.env_clear().env(ENDPOINT, endpoint).envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains(SECRET_ACCESS_KEY), "{text}");
    text.lines()
        .filter(|line| line.starts_with("first") || line.starts_with("second"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn the_environments_credentials_are_used() {
    let server = S3Server::honest().unwrap();
    assert_eq!(child(&server.endpoint(), &environment()), "first: stored, second: stored");
    let mut wrong = environment();
    wrong[1].1 = "wrong";
    assert_eq!(child(&server.endpoint(), &wrong), "first: denied, second: denied");
}

#[test]
fn without_credentials_everything_is_denied() {
    let server = S3Server::honest().unwrap();
    let environment = &environment()[2..];
    assert_eq!(child(&server.endpoint(), environment), "first: denied, second: denied");
    assert_eq!(server.count("PutObject"), 0, "an unsigned request was sent");
}

/// A profile whose credentials a program gives, which notes each call.
#[cfg(feature = "ambient-credentials")]
fn profile(directory: &Path) -> String {
    let answer = format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY_ID}\", \"SecretAccessKey\": \"{SECRET_ACCESS_KEY}\", \
         \"SessionToken\": \"token\", \"Expiration\": \"2099-01-01T00:00:00Z\"}}"
    );
    let directory = directory.display();
    std::fs::write(format!("{directory}/answer.json"), answer).unwrap();
    let program = format!("#!/bin/sh\necho called >> {directory}/calls\ncat {directory}/answer.json\n");
    std::fs::write(format!("{directory}/program"), program).unwrap();
    let config = format!("[profile backup]\ncredential_process = /bin/sh {directory}/program\n");
    std::fs::write(format!("{directory}/config"), config).unwrap();
    format!("{directory}/config")
}

#[cfg(feature = "ambient-credentials")]
#[test]
fn s11_expired_credentials_are_asked_for_again() {
    let server = S3Server::honest().unwrap();
    for (expired, calls) in [(false, 1), (true, 2)] {
        let directory = tempfile::tempdir().unwrap();
        let config = profile(directory.path());
        let proxy = FaultProxy::start(server.address()).unwrap();
        if expired {
            let answer = Answer::error(400, "ExpiredToken");
            proxy.inject(Rule::new(S3Operation::PutObject, Fault::Before(Failure::Answer(answer))));
        }
        let environment = [
            ("AWS_CONFIG_FILE", config.as_str()),
            (PROFILE, "backup"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let said = child(&proxy.url(), &environment);
        let first = if expired { "unavailable" } else { "stored" };
        assert_eq!(said, format!("first: {first}, second: stored"));
        let called = std::fs::read_to_string(directory.path().join("calls")).unwrap();
        assert_eq!(called.lines().count(), calls);
    }
}

/// A token service that gives out the servers' credentials; what it was asked, it hands on.
#[cfg(feature = "ambient-credentials")]
fn token_service() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, questions) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let (mut request, mut buffer) = (String::new(), [0; 4096]);
        // The role's session is the last thing in the form.
        while !(request.contains("\r\n\r\n") && request.contains("RoleSessionName=")) {
            let read = client.read(&mut buffer).unwrap();
            assert!(read > 0, "{request}");
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        let answer = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/backup/b</Arn></AssumedRoleUser><Credentials>\
             <AccessKeyId>{ACCESS_KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET_ACCESS_KEY}</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        let length = answer.len();
        write!(
            client,
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
        )
        .unwrap();
        asked.send(request).unwrap();
    });
    (url, questions)
}

#[cfg(feature = "ambient-credentials")]
#[test]
fn a_web_identity_is_exchanged_for_credentials() {
    let server = S3Server::honest().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "identity-token").unwrap();
    let (service, questions) = token_service();
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_STS", &service),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    assert_eq!(child(&server.endpoint(), &environment), "first: stored, second: stored");
    let asked = questions.recv().unwrap();
    assert!(asked.contains("WebIdentityToken=identity-token") && asked.contains("backup"), "{asked}");
}

#[tokio::test]
async fn s11_a_skewed_clock_may_pass() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let answer = Answer::error(403, "RequestTimeTooSkewed");
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::Before(Failure::Answer(answer))));
    let backend = S3Backend::open(config_at(&proxy.url())).await.unwrap();
    let error = backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    backend.put(&key("a"), "x".into(), PutMode::Create).await.unwrap();
}
