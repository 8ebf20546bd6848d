//! Which S3 operation a request is, from its method, path and query.

use std::fmt;

use hyper::{Method, Uri};

/// The operations of S3 that clients of an object store use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are S3's")]
pub enum S3Operation {
    GetObject,
    HeadObject,
    PutObject,
    DeleteObject,
    DeleteObjects,
    ListObjectsV2,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListMultipartUploads,
    ListParts,
    /// Of a bucket, and whatever else there is.
    Other,
}

impl fmt::Display for S3Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The operation, and its subject: the key, of a listing the prefix.
pub(super) fn classify(method: &Method, uri: &Uri) -> (S3Operation, String) {
    let path = uri.path().trim_start_matches('/');
    let (_bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let has = |name| parameter(uri, name).is_some();
    if key.is_empty() {
        let operation = match method.as_str() {
            "GET" if has("uploads") => S3Operation::ListMultipartUploads,
            "GET" if parameter(uri, "list-type").as_deref() == Some("2") => S3Operation::ListObjectsV2,
            "POST" if has("delete") => S3Operation::DeleteObjects,
            _ => S3Operation::Other,
        };
        return (operation, parameter(uri, "prefix").unwrap_or_default());
    }
    let operation = match method.as_str() {
        "GET" if has("uploadId") => S3Operation::ListParts,
        "GET" => S3Operation::GetObject,
        "HEAD" => S3Operation::HeadObject,
        "PUT" if has("partNumber") => S3Operation::UploadPart,
        "PUT" => S3Operation::PutObject,
        "DELETE" if has("uploadId") => S3Operation::AbortMultipartUpload,
        "DELETE" => S3Operation::DeleteObject,
        "POST" if has("uploads") => S3Operation::CreateMultipartUpload,
        "POST" if has("uploadId") => S3Operation::CompleteMultipartUpload,
        _ => S3Operation::Other,
    };
    (operation, decoded(key))
}

/// A parameter of the query; empty when it has no value.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then(|| decoded(value))
    })
}

/// Without percent signs. What is no UTF-8 then is for no script to match.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let number = escaped.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(number.unwrap_or(b'%'));
        rest = number.and_then(|_| escaped.get(2..)).unwrap_or(escaped);
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_told_from_the_others() {
        use S3Operation::*;
        for (method, uri, operation, subject) in [
            ("GET", "/b/a/k?x-id=GetObject", GetObject, "a/k"),
            ("HEAD", "/b/k", HeadObject, "k"),
            ("PUT", "/b/k%20%C3%A9?x-id=PutObject", PutObject, "k é"),
            ("DELETE", "/b/100%", DeleteObject, "100%"),
            ("POST", "/b/?delete", DeleteObjects, ""),
            ("POST", "/b?delete=", DeleteObjects, ""),
            ("GET", "/b/?list-type=2&prefix=a%2Fb", ListObjectsV2, "a/b"),
            ("GET", "/b?uploads&prefix=a", ListMultipartUploads, "a"),
            ("POST", "/b/k?uploads", CreateMultipartUpload, "k"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", UploadPart, "k"),
            ("GET", "/b/k?uploadId=u", ListParts, "k"),
            ("POST", "/b/k?uploadId=u", CompleteMultipartUpload, "k"),
            ("DELETE", "/b/k?uploadId=u", AbortMultipartUpload, "k"),
            ("PUT", "/b", Other, ""),
            ("HEAD", "/b", Other, ""),
            ("GET", "/", Other, ""),
        ] {
            let found = classify(&method.parse().unwrap(), &uri.parse().unwrap());
            assert_eq!(found, (operation, subject.to_owned()), "{method} {uri}");
        }
    }
}
