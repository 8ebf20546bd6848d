//! URLs of stores over HTTP: what they may say, what is never sent or shown, and what a server's answers mean.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use graphstream_storage::{Error, ErrorClass, GetOptions, Key, ListRequest, OpenError, PutMode, StoreUrl};
use support::{Server, open, registry};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn what_means_nothing_is_refused_without_repeating_values() {
    for (url, expected) in [
        (
            "gs://bucket?endpiont=canary",
            "a gs store has no parameter \"endpiont\"; it has endpoint, anonymous",
        ),
        ("gs://bucket?service_account_key=canary", "a gs store has no parameter \"service_account_key\""),
        ("gs://bucket?anonymous=canary", "the parameter \"anonymous\" of a gs store takes true or false"),
        (
            "gs://bucket?endpoint=canary:90",
            "the parameter \"endpoint\" of a gs store takes http[s]://host[:port]",
        ),
        ("gs://bucket?endpoint=http://canary:pw@host", "the parameter \"endpoint\" of a gs store takes"),
        ("gs://bucket?endpoint=http://host?canary", "the parameter \"endpoint\" of a gs store takes"),
        ("gs:bucket", "a gs store takes a bucket and perhaps a prefix: gs://bucket/prefix"),
        ("gs:///canary", "a gs store takes a bucket"),
        ("gs://bucket/a//canary", "a gs store takes a bucket"),
        ("gs://bucket:80/canary", "a gs store takes a bucket"),
        (
            "az://c?sas_key=canary",
            "a az store has no parameter \"sas_key\"; it has account, endpoint, anonymous",
        ),
        ("az://c?account=evil.example/canary", "the parameter \"account\" of a az store takes the name of"),
        ("az://c/a/../canary", "a az store takes a container and perhaps a prefix: az://container/prefix"),
        ("https://host/path?sig=canary", "a https store has no parameter \"sig\"; it has none"),
        ("https:///canary", "a https store takes a host and perhaps a path: https://host/path"),
        ("http://ho st/canary", "a http store takes a host and perhaps a path"),
    ] {
        let url = StoreUrl::new(url).unwrap();
        let error = registry().check(&url).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{url}: {error:?}");
    }
    for url in [
        "gs://user:canary@bucket",
        "https://user:canary@host/",
        "abfss://canary@account.dfs.core.windows.net/",
    ] {
        let error = StoreUrl::new(url).unwrap_err();
        assert!(matches!(error, OpenError::CredentialsInUrl { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

/// The class of a get, of a head, of a create and of a listing.
async fn classes(url: &str) -> [ErrorClass; 4] {
    let store = open(url).await.unwrap();
    let class = |error: Error| error.class();
    [
        store.get(&key("k"), GetOptions::default()).await.map(drop).map_err(class).unwrap_err(),
        store.head(&key("k")).await.map(drop).map_err(class).unwrap_err(),
        store.put(&key("k"), "x".into(), PutMode::Create).await.map(drop).map_err(class).unwrap_err(),
        store.list(ListRequest::default()).await.map(drop).map_err(class).unwrap_err(),
    ]
}

#[tokio::test]
async fn s01_every_answer_has_a_class_and_is_asked_for_once() {
    use ErrorClass::{Denied, Exists, NotFound, Other, Throttled, TimeoutUnknown, Unavailable};

    const NO_BUCKET: &str = "<Error><Code>NoSuchBucket</Code></Error>";
    const SLOW: &str = "<Error><Code>SlowDown</Code></Error>";
    for (status, body, expected) in [
        (400, "", [Other, Other, Other, Other]),
        (401, "", [Denied; 4]),
        (403, "", [Denied; 4]),
        (404, "", [NotFound, NotFound, Other, Unavailable]),
        (404, NO_BUCKET, [Other, NotFound, Other, Other]),
        (408, "", [Unavailable, Unavailable, TimeoutUnknown, Unavailable]),
        (412, "", [Unavailable, Unavailable, Exists, Unavailable]),
        (429, "", [Throttled, Throttled, Throttled, Throttled]),
        (500, "", [Unavailable, Unavailable, TimeoutUnknown, Unavailable]),
        (503, "", [Unavailable, Unavailable, TimeoutUnknown, Unavailable]),
        (503, SLOW, [Throttled, Unavailable, Throttled, Throttled]),
        (507, "", [Unavailable, Unavailable, TimeoutUnknown, Unavailable]),
    ] {
        let server = Server::saying(status, &[], body).await;
        let found = classes(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await;
        assert_eq!(found, expected, "{status} {body}");
        assert_eq!(server.requests(), 4, "{status}");
    }
}

#[tokio::test]
async fn s14_no_redirect_is_followed() {
    let elsewhere = Server::saying(200, &[("etag", "\"1\"")], "not yours").await;
    let location: &'static str = format!("{}/secret-path", elsewhere.url()).leak();
    let headers: &'static [_] = vec![("location", location)].leak();
    for status in [301, 302, 303, 307, 308] {
        let server = Server::saying(status, headers, "").await;
        for url in
            [format!("gs://bucket?anonymous=true&endpoint={}", server.url()), format!("{}/dav", server.url())]
        {
            // Over http: a put is refused before anything is sent.
            assert_eq!(classes(&url).await, [ErrorClass::Other; 4], "{status} {url}");
        }
        let store = open(&format!("{}/dav", server.url())).await.unwrap();
        let error = store.get(&key("k"), GetOptions::default()).await.map(drop).unwrap_err();
        let error = format!("{:#}", Chain(&error));
        assert!(error.contains("points to 127.0.0.1: redirects are refused"), "{error}");
    }
    assert_eq!(elsewhere.requests(), 0);
}

/// An error with all that is behind it.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut next = Some(self.0);
        while let Some(error) = next {
            write!(f, "{error}: ")?;
            next = error.source();
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_has_changed_nothing() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let found = classes(&format!("gs://bucket?anonymous=true&endpoint=http://{address}")).await;
    assert_eq!(found, [ErrorClass::Unavailable; 4]);
}

#[tokio::test]
async fn an_error_of_any_length_is_read_to_its_limit() {
    let server = Server::start(|_| support::answer(404, &[], vec![b'x'; 32 << 20])).await;
    let store = open(&format!("gs://bucket?anonymous=true&endpoint={}", server.url())).await.unwrap();
    let error = store.get(&key("k"), GetOptions::default()).await.map(drop).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(format!("{error} {error:?}").len() < 4096);
}
