//! `s3://` stores that can't be reached, or refuse: every verb ends within a bounded time, with what to try next; and uploads that are left behind.
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::time::Duration;

use cli::{Graphstream, Place, Running, Signal, entries};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule};
use graphstream_testkit::s3::{BUCKET, S3Server, SECRET_ACCESS_KEY, environment};

fn with_keys(call: Graphstream) -> Graphstream {
    environment().into_iter().fold(call, |call, (name, value)| call.env(name, value))
}

/// Every verb that only looks at a store, on this one.
fn looking(place: &Place, url: &str) -> Vec<Graphstream> {
    let target = format!("jsonl:{}", place.path("follower.jsonl").display());
    let from = |verb| Graphstream::new(verb).args(["--from", url, "--database", Place::DATABASE]);
    let calls = vec![
        from("follow").args(["--once", "--target", &target]),
        from("verify"),
        from("status"),
        from("cat"),
        Graphstream::new("storage").args(["check", url]),
        Graphstream::new("storage").args(["sweep", url]),
    ];
    calls.into_iter().map(with_keys).collect()
}

fn replicate_once(place: &Place, url: &str) -> Graphstream {
    let call = place.on_journal("replicate").args(["--once", "--database", Place::DATABASE]);
    with_keys(call).args(["--to", url])
}

/// All of them at once; each ends with code 4 and a hint that says `told`.
#[track_caller]
fn assert_told(place: &Place, url: &str, told: &str, change: impl Fn(Graphstream) -> Graphstream) {
    let calls = looking(place, url).into_iter().chain([replicate_once(place, url)]);
    let running: Vec<Running> = calls.map(|call| change(call).arg("--json").spawn()).collect();
    for running in running {
        let finished = running.wait();
        assert!(!finished.stderr.contains(SECRET_ACCESS_KEY), "{}", finished.stderr);
        let finished = finished.expect_code(4);
        let error = finished.error();
        assert!(error["hint"].as_str().unwrap().contains(told), "{}: {error}", finished.args);
    }
}

fn as_it_is(call: Graphstream) -> Graphstream {
    call
}

#[test]
fn s01_where_nobody_listens_every_verb_says_so() {
    let place = Place::new();
    place.append(entries(1, 1));
    let closed = S3Server::honest().unwrap().endpoint();
    for endpoint in [closed.as_str(), "http://no-such-host.invalid"] {
        let url = format!("s3://bucket/x?endpoint={endpoint}&region=us-east-1");
        assert_told(&place, &url, "check endpoint=", as_it_is);
    }
}

#[test]
fn s11_what_the_store_refuses_comes_with_what_to_change() {
    let place = Place::new();
    place.append(entries(1, 1));
    let server = S3Server::honest().unwrap();
    let missing = server.url("x").replace(BUCKET, "no-such-bucket");
    assert_told(&place, &missing, "check the bucket's name", as_it_is);
    let wrong_key = |call: Graphstream| call.env("AWS_SECRET_ACCESS_KEY", "wrong");
    assert_told(&place, &server.url("x"), "check the credentials", wrong_key);

    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = format!("s3://{BUCKET}/x?endpoint={}&region=us-east-1", proxy.url());
    let elsewhere = Answer::status(400).with_header("content-type", "application/xml").with_body(
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region \
         'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>",
    );
    for (answer, told) in [
        (elsewhere, "region=eu-central-1"),
        (
            Answer::error(301, "PermanentRedirect").with_header("x-amz-bucket-region", "eu-west-1"),
            "region=eu-west-1",
        ),
        (Answer::error(400, "ExpiredToken"), "fresh credentials"),
    ] {
        proxy.clear();
        proxy.inject(Rule::any(Fault::Before(Failure::Answer(answer))).always());
        assert_told(&place, &url, told, as_it_is);
    }
}

#[test]
fn nobody_needs_the_right_to_delete() {
    let (place, server) = (Place::new(), S3Server::honest().unwrap());
    server.refuse("DeleteObject");
    server.refuse("DeleteObjects");
    let url = server.url("x");
    for part in 0..2 {
        place.append(entries(part * 5 + 1, 5));
        replicate_once(&place, &url).ok();
    }
    let verify = Graphstream::new("verify").args(["--from", &url, "--database", Place::DATABASE, "--json"]);
    assert_eq!(with_keys(verify).ok().json_lines().last().unwrap()["summary"]["entries"], 10);
    assert_eq!(server.count("DeleteObject") + server.count("DeleteObjects"), 0);
    // The check does delete what it has put, and says that it may not.
    let check = with_keys(Graphstream::new("storage")).args(["check", &url, "--json"]).ok();
    assert!(check.json()["left"].as_u64().unwrap() > 0 && check.json()["can_lead"] == true);
    check.expect_stderr(["could not be deleted"]);
}

#[test]
fn s10_a_signal_ends_what_waits_for_a_store_that_says_nothing() {
    let place = Place::new();
    place.append(entries(1, 1));
    let server = S3Server::honest().unwrap();
    let target = format!("jsonl:{}", place.path("daemon.jsonl").display());
    let proxy = FaultProxy::start(server.address()).unwrap();
    proxy.inject(Rule::any(Fault::Before(Failure::Hang)).always());
    let url = format!("s3://{BUCKET}/x?endpoint={}&region=us-east-1", proxy.url());
    let follow = Graphstream::new("follow").args(["--from", &url, "--database", Place::DATABASE]);
    let daemon = with_keys(follow.args(["--target", &target]));
    let replicate =
        || with_keys(place.on_journal("replicate")).args(["--database", Place::DATABASE, "--to", &url]);
    for call in looking(&place, &url).into_iter().chain([daemon, replicate(), replicate().arg("--once")]) {
        proxy.clear();
        proxy.inject(Rule::any(Fault::Before(Failure::Hang)).always());
        let running = call.spawn();
        cli::until("the store to be asked", || (!proxy.seen().is_empty()).then_some(()));
        // Not SIGINT, which a test in the background of a shell ignores.
        let ended = running.kill(Signal::Term);
        let expected = match ended.args.split(' ').next() {
            // Whoever has a target in hand closes it first.
            Some("follow") => (Some(0), None),
            // What is sealed was not shipped, and 0 would say so.
            Some("replicate") => (Some(4), None),
            _ => (None, Some(15)),
        };
        assert_eq!((ended.code(), ended.signal()), expected, "{}", ended.args);
    }
}

#[test]
fn s12_uploads_that_are_left_behind_are_shown_and_with_confirm_aborted() {
    let server = S3Server::honest().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Neither completed nor aborted: what a process that died leaves.
    server.refuse("UploadPart");
    server.refuse("AbortMultipartUpload");
    runtime.block_on(leave_behind(&server, &["x/a", "x/b+%", "y"]));
    server.allow("AbortMultipartUpload");
    let sweep = || with_keys(Graphstream::new("storage")).args(["sweep", &server.url("x")]);
    assert!(sweep().ok().text().contains("0 unfinished uploads found"));
    server.age_uploads(Duration::from_secs(2 * 24 * 3600));

    let shown = sweep().ok().expect_stderr(["--confirm"]);
    assert!(
        shown.text().contains("2 unfinished uploads found") && shown.text().contains("x/b+%"),
        "{}",
        shown.text()
    );
    assert_eq!(server.unfinished_uploads(), 3);
    let told = sweep().args(["--confirm", "--json"]).ok().json_lines();
    assert_eq!((told.len(), &told[0]["key"], &told[1]["aborted"]), (3, &"x/a".into(), &true.into()));
    assert_eq!(told[2]["summary"]["aborted"], 2);
    assert_eq!(server.unfinished_uploads(), 1, "what is not below the prefix stays");
    let done = sweep().args(["--older-than", "1s", "--json"]).ok().json_lines();
    assert_eq!(done[0]["summary"]["uploads"], 0);
    server.refuse("ListMultipartUploads");
    assert_eq!(sweep().arg("--json").run().expect_code(4).error()["kind"], "denied");
    Graphstream::new("storage").args(["sweep", "file:///srv"]).run().expect_code(2).expect_stderr(["s3://"]);
}

async fn leave_behind(server: &S3Server, keys: &[&str]) {
    use graphstream::storage::{PutMode, StorageBackend};
    use graphstream::storage_s3::{Credentials, S3Backend, S3Config, StaticCredentials};
    use graphstream_testkit::s3::{ACCESS_KEY_ID, REGION};

    let keypair = StaticCredentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let config = S3Config::new(BUCKET).with_endpoint(server.endpoint()).with_region(REGION);
    let config = config.with_credentials(Credentials::Static(keypair)).with_multipart_bytes_min(1 << 20);
    let backend = S3Backend::open(config).await.unwrap();
    for key in keys {
        let body = vec![7; 2 << 20];
        backend.put(&key.parse().unwrap(), body.into(), PutMode::Create).await.unwrap_err();
    }
}
