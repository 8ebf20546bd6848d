//! Google Cloud Storage as far as its XML API is used here: generations, pages, uploads in parts; each request under one lock. What is
//! not about storing (signatures, projects, access) is left out.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;

use graphstream_storage::Bytes;
use http::{Method, Request};

use super::{Answer, Server, answer};

const MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const PAGE_MAX: usize = 1000;

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, (Bytes, u64)>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    generation: u64,
}

/// A server with one bucket. `honest`: whether it looks at generations that puts ask for.
pub(crate) async fn start(bucket: &'static str, honest: bool) -> Server {
    let store = Mutex::new(Bucket::default());
    Server::start(move |request| store.lock().unwrap().answer(bucket, honest, request)).await
}

fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}{:x}\"", hasher.finish(), bytes.len())
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, &[], format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>"))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Bucket {
    fn answer(&mut self, bucket: &str, honest: bool, request: &Request<Bytes>) -> Answer {
        let path = request.uri().path().trim_start_matches('/');
        let (name, key) = path.split_once('/').unwrap_or((path, ""));
        if decoded(name) != bucket {
            return error(404, "NoSuchBucket");
        }
        let query = request.uri().query().unwrap_or_default();
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let key = decoded(key);
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        let upload = query.get("uploadId");
        match (request.method(), upload) {
            (&Method::GET, _) if key.is_empty() => self.list(&query),
            (&Method::GET | &Method::HEAD, _) => self.get(&key, header("if-none-match"), header("range")),
            (&Method::PUT, Some(upload)) => {
                let part = query["partNumber"].parse().unwrap();
                let Some(parts) = self.uploads.get_mut(upload) else { return error(404, "NoSuchUpload") };
                parts.insert(part, request.body().clone());
                answer(200, &[("etag", &etag(request.body()))], "")
            }
            (&Method::PUT, None) => {
                let found = self.objects.get(&key).map_or(0, |(_, generation)| *generation);
                let asked = header("x-goog-if-generation-match").map(|asked| asked.parse().unwrap());
                if asked.is_some_and(|asked: u64| honest && asked != found) {
                    return error(412, "PreconditionFailed");
                }
                self.put(key, request.body().clone(), "")
            }
            (&Method::POST, None) => {
                self.generation += 1;
                let id = self.generation.to_string();
                self.uploads.insert(id.clone(), BTreeMap::new());
                answer(
                    200,
                    &[],
                    format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                    ),
                )
            }
            (&Method::POST, Some(upload)) => {
                let Some(parts) = self.uploads.remove(upload) else { return error(404, "NoSuchUpload") };
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                let text = format!(
                    "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
                    etag(&whole)
                );
                self.put(key, whole.into(), &text)
            }
            (&Method::DELETE, Some(upload)) => {
                self.uploads.remove(upload);
                answer(204, &[], "")
            }
            (&Method::DELETE, None) => match self.objects.remove(&key) {
                Some(_) => answer(204, &[], ""),
                None => error(404, "NoSuchKey"),
            },
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn put(&mut self, key: String, bytes: Bytes, text: &str) -> Answer {
        self.generation += 1;
        let generation = self.generation.to_string();
        let etag = etag(&bytes);
        self.objects.insert(key, (bytes, self.generation));
        answer(200, &[("etag", &etag), ("x-goog-generation", &generation)], text.to_owned())
    }

    fn get(&self, key: &str, none_match: Option<&str>, range: Option<&str>) -> Answer {
        let Some((bytes, generation)) = self.objects.get(key) else { return error(404, "NoSuchKey") };
        let (etag, generation) = (etag(bytes), generation.to_string());
        // Said here, because to HEAD nothing else would say so of an empty object.
        let length = bytes.len().to_string();
        let headers = [
            ("etag", etag.as_str()),
            ("x-goog-generation", &generation),
            ("last-modified", MODIFIED),
            ("content-length", &length),
        ];
        if none_match == Some(&etag) {
            return answer(304, &headers[..3], "");
        }
        let Some(range) = range else { return answer(200, &headers, bytes.clone()) };
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |last: usize| bytes.len().min(last + 1));
        if start >= bytes.len() {
            return error(416, "InvalidRange");
        }
        let found = format!("bytes {start}-{}/{}", end - 1, bytes.len());
        let mut part = answer(206, &headers[..3], bytes.slice(start..end));
        part.headers_mut().insert("content-range", found.parse().unwrap());
        part
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        let prefix = text("prefix");
        let after = text("start-after").max(text("continuation-token"));
        let (mut rows, mut last, mut more) = (String::new(), String::new(), false);
        let mut count = 0;
        for (key, (bytes, _)) in &self.objects {
            let folded = key
                .strip_prefix(prefix)
                .and_then(|rest| rest.split_once(query.get("delimiter")?.as_str()))
                .map(|(directory, _)| format!("{prefix}{directory}/"));
            let name = folded.as_deref().unwrap_or(key);
            if !key.starts_with(prefix)
                || key.as_str() <= after
                || name == last
                || name <= text("continuation-token")
            {
                continue;
            }
            if count == PAGE_MAX {
                more = true;
                break;
            }
            count += 1;
            last = name.to_owned();
            rows += &match folded {
                Some(prefix) => {
                    format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(&prefix))
                }
                None => format!(
                    "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2024-01-01T00:00:00Z</LastModified><ETag>{}</ETag></Contents>",
                    escaped(key),
                    bytes.len(),
                    etag(bytes)
                ),
            };
        }
        if more {
            rows += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&last));
        }
        answer(200, &[], format!("<ListBucketResult>{rows}</ListBucketResult>"))
    }
}
