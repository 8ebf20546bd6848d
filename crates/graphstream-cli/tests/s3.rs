//! `s3://` stores, against servers on the loopback interface: the whole path, what goes wrong on the way there, and stores that lie.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::{Finished, Graphstream, Place, entries};
use graphstream_testkit::s3::{Conduct, REGION, S3Server, SECRET_ACCESS_KEY, environment};

/// With the server's credentials, and no others that this machine may have.
fn with_keys(call: Graphstream) -> Graphstream {
    environment().into_iter().fold(call, |call, (name, value)| call.env(name, value))
}

fn from(verb: &str, url: &str) -> Graphstream {
    with_keys(Graphstream::new(verb)).args(["--from", url, "--database", Place::DATABASE])
}

fn replicate(place: &Place, url: &str) -> Graphstream {
    with_keys(place.on_journal("replicate")).args(["--once", "--database", Place::DATABASE, "--to", url])
}

fn check(url: &str) -> Graphstream {
    with_keys(Graphstream::new("storage")).args(["check", url])
}

/// K01: whatever happens, the secret is not told.
#[track_caller]
fn discreet(finished: Finished) -> Finished {
    assert!(!finished.text().contains(SECRET_ACCESS_KEY) && !finished.stderr.contains(SECRET_ACCESS_KEY));
    finished
}

#[test]
fn the_whole_path_over_s3() {
    let (place, server) = (Place::new(), S3Server::honest().unwrap());
    let url = server.url("some/prefix");
    place.fill(3, 20);
    let shipped = discreet(replicate(&place, &url).run()).expect_code(0);
    assert!(shipped.text().contains("shipped 3 segments"), "{}", shipped.text());
    place.append(entries(61, 5));
    replicate(&place, &url).ok();

    let target = format!("jsonl:{}", place.path("follower.jsonl").display());
    let followed = from("follow", &url).args(["--once", "--target", &target]).ok();
    assert!(followed.text().contains("applied through sequence 65 of 65"), "{}", followed.text());
    let lines = std::fs::read_to_string(place.path("follower.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 65);

    let verified = from("verify", &url).arg("--json").ok().json_lines();
    assert_eq!(verified.last().unwrap()["summary"]["entries"], 65);
    let status = from("status", &url).arg("--json").ok().json();
    assert_eq!((&status["store"]["committed_sequence"], &status["store"]["epoch"]), (&65.into(), &2.into()));
    assert_eq!(status["store"]["url"], format!("s3://{}/some/prefix", graphstream_testkit::s3::BUCKET));
    assert_eq!(from("cat", &url).arg("--json").ok().json_lines(), place.cat());
    // Beside the prefix there is nothing.
    from("verify", &server.url("")).run().expect_code(4);
}

#[test]
fn what_is_wrong_with_the_way_there_is_said() {
    let server = S3Server::honest().unwrap();
    let (endpoint, place) = (server.endpoint(), Place::new());
    place.append(entries(1, 1));
    let at = |bucket: &str, endpoint: &str| {
        format!("s3://{bucket}/x?endpoint={endpoint}&region={REGION}&path_style=true")
    };

    let missing = at("no-such-bucket", &endpoint);
    for call in [check(&missing), replicate(&place, &missing), from("status", &missing)] {
        discreet(call.run()).expect_code(4).expect_stderr(["there is no bucket no-such-bucket"]);
    }

    let good = server.url("x");
    for call in [check(&good), replicate(&place, &good), from("verify", &good)] {
        let refused = discreet(call.env("AWS_SECRET_ACCESS_KEY", "wrong").arg("--json").run()).expect_code(4);
        let error = refused.error();
        assert_eq!(error["kind"], "denied", "{error}");
        assert!(error["hint"].as_str().unwrap().contains("credentials"), "{error}");
    }

    // Nobody listens there any more.
    let dead = at("bucket", &{
        let stopped = S3Server::honest().unwrap();
        stopped.endpoint()
    });
    let error = discreet(check(&dead).arg("--json").run()).expect_code(4).error();
    assert_eq!(error["kind"], "store", "{error}");

    for (url, told) in [
        ("s3://", "s3://bucket/prefix"),
        ("s3://bucket?regoin=x", "has no parameter \"regoin\"; it has region, endpoint"),
        ("s3://bucket?path_style=perhaps", "\"path_style\""),
        ("s3://key:SECRET@bucket", "credentials don't belong in the URL"),
    ] {
        let refused = check(url).run().expect_code(2).expect_no_stdout();
        assert!(!refused.stderr.contains("SECRET"));
        refused.expect_stderr([told]);
    }
}

#[test]
fn o4_o5_stores_that_lie_are_named_and_not_led_in() {
    for (conduct, verdict) in [(Conduct::Racing, "races"), (Conduct::Ignoring, "ignored")] {
        let server = S3Server::start(conduct).unwrap();
        let done = discreet(check(&server.url("x")).arg("--json").run()).expect_code(4);
        let report = done.json();
        assert_eq!((&report["can_lead"], &report["left"]), (&false.into(), &0.into()), "{report}");
        for row in report["findings"].as_array().unwrap() {
            let conditional =
                ["conditional_create", "conditional_match"].contains(&row["capability"].as_str().unwrap());
            if conditional {
                assert_eq!(row["verdict"], verdict, "{report}");
            }
        }
        let both = format!("conditional_create {verdict}, conditional_match {verdict}");
        done.expect_stderr([both.as_str()]);
    }

    let (place, server) = (Place::new(), S3Server::start(Conduct::Ignoring).unwrap());
    place.append(entries(1, 10));
    let refused = replicate(&place, &server.url("x")).run().expect_code(4);
    refused.expect_stderr([
        "does not keep conditions on puts: create ignored, replace ignored",
        "--allow-unconditional-store",
    ]);
    let told = replicate(&place, &server.url("x")).arg("--allow-unconditional-store").ok();
    assert!(told.stderr.contains("nothing here keeps a second leader"), "{}", told.stderr);
}

#[test]
fn an_honest_store_is_found_honest() {
    let server = S3Server::honest().unwrap();
    let done = discreet(check(&server.url("x")).run()).expect_code(0);
    assert!(done.text().contains("a leader finds here all that it needs"), "{}", done.text());
    assert!(done.lines()[1..14].iter().all(|line| line.ends_with(" works")), "{}", done.text());
}
