//! `http:`: what a server of files and their properties gives out can be followed from, and is never written to.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use futures_util::TryStreamExt as _;
use graphstream_storage::{Bytes, Error, GetOptions, GetOutcome, Key, ListRequest, PutMode, StorageBackend};
use http::Request;
use support::{Answer, Server, answer, open};

const OBJECTS: [(&str, &str); 3] = [("head.json", "{}"), ("seg/0/a b", "0123456789"), ("seg/1/c", "")];
const MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// The objects below `/dav/people`, with properties as WsgiDAV writes them: etags there without quotes.
fn dav(request: &Request<Bytes>) -> Answer {
    let path = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8().unwrap();
    let Some(name) = path.strip_prefix("/dav/people") else { return answer(404, &[], "") };
    let name = name.trim_start_matches('/');
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    if request.method().as_str() == "PROPFIND" {
        let deep = header("depth") == Some("infinity");
        let mut rows = String::new();
        for (key, text) in OBJECTS {
            let Some(rest) = key.strip_prefix(name).map(|rest| rest.trim_start_matches('/')) else {
                continue;
            };
            let directory = rest.split_once('/').filter(|_| !deep).map(|(directory, _)| directory);
            let parent = key.strip_suffix(rest).unwrap();
            let (href, properties) = match directory {
                Some(directory) => (
                    format!("{parent}{directory}/"),
                    "<D:resourcetype><D:collection/></D:resourcetype>".to_owned(),
                ),
                None => (
                    key.replace(' ', "%20"),
                    format!(
                        "<D:resourcetype/><D:getcontentlength>{}</D:getcontentlength><D:getetag>e-{}</D:getetag>",
                        text.len(),
                        text.len()
                    ),
                ),
            };
            rows += &format!(
                "<D:response><D:href>/dav/people/{href}</D:href><D:propstat><D:prop>{properties}\
                 <D:getlastmodified>{MODIFIED}</D:getlastmodified></D:prop>\
                 <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            );
        }
        return answer(207, &[], format!("<D:multistatus xmlns:D=\"DAV:\">{rows}</D:multistatus>"));
    }
    let Some((_, text)) = OBJECTS.iter().find(|(key, _)| *key == name) else { return answer(404, &[], "") };
    let (etag, length) = (format!("\"e-{}\"", text.len()), text.len().to_string());
    let headers = [("etag", etag.as_str()), ("last-modified", MODIFIED), ("content-length", &length)];
    if header("if-none-match") == Some(&etag) {
        return answer(304, &headers[..2], "");
    }
    match header("range") {
        Some("bytes=2-4") => {
            let mut part = answer(206, &headers[..2], &text[2..5]);
            part.headers_mut().insert("content-range", format!("bytes 2-4/{length}").parse().unwrap());
            part
        }
        Some(_) => answer(416, &[], ""),
        None => answer(200, &headers, *text),
    }
}

async fn read(store: &dyn StorageBackend, key: &Key, options: GetOptions) -> Option<Vec<u8>> {
    match store.get(key, options).await.unwrap() {
        GetOutcome::Found(object) => {
            let chunks: Vec<Bytes> = object.body.try_collect().await.unwrap();
            Some(chunks.concat())
        }
        GetOutcome::NotModified => None,
    }
}

#[tokio::test]
async fn a_server_of_files_is_read_from() {
    let server = Server::start(dav).await;
    let store = open(&format!("{}/dav/people/", server.url())).await.unwrap();
    assert_eq!(store.describe(), format!("{} below dav/people", server.url()));

    assert_eq!(read(&store, &key("head.json"), GetOptions::default()).await.unwrap(), b"{}");
    let version = store.head(&key("head.json")).await.unwrap().version;
    assert_eq!(version.as_str(), "\"e-2\"");
    assert_eq!(
        read(&store, &key("head.json"), GetOptions::default().with_if_changed_from(version)).await,
        None
    );
    assert_eq!(
        read(&store, &key("seg/0/a b"), GetOptions::default().with_range(2..5)).await.unwrap(),
        b"234"
    );
    let error =
        store.get(&key("seg/1/c"), GetOptions::default().with_range(2..5)).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::InvalidRange { size: Some(0), .. }), "{error:?}");
    let error = store.get(&key("seg/2/d"), GetOptions::default()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");

    let page = store.list(ListRequest::new("seg/")).await.unwrap();
    let rows: Vec<_> =
        page.objects.iter().map(|meta| (meta.key.as_str(), meta.size, meta.version.as_str())).collect();
    assert_eq!(rows, [("seg/0/a b", 10, "\"e-10\""), ("seg/1/c", 0, "\"e-0\"")]);
    let page = store.list(ListRequest::default().with_delimiter()).await.unwrap();
    assert_eq!(page.prefixes, ["seg/"]);
    assert_eq!(page.objects.len(), 1);
}

#[tokio::test]
async fn nothing_is_written_or_deleted_over_http() {
    let server = Server::start(dav).await;
    let store = open(&format!("{}/dav/people", server.url())).await.unwrap();
    let errors = [
        store.put(&key("k"), "x".into(), PutMode::Create).await.map(drop).unwrap_err(),
        store.put(&key("k"), "x".into(), PutMode::Overwrite).await.map(drop).unwrap_err(),
        store.delete(&key("seg")).await.unwrap_err(),
        store.delete_many(&[key("seg")]).await.unwrap().pop().unwrap().1.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    }
    assert_eq!(server.requests(), 0);
}
