//! URLs of stores: parameters and surroundings into `object_store`'s builders.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcp")]
mod gcs;
#[cfg(feature = "http")]
mod http;

use std::sync::Arc;

use ::http::Uri;
#[cfg(any(feature = "azure", feature = "gcp"))]
use graphstream_storage::Parameters;
use graphstream_storage::{ErrorClass, Key, OpenError, PrefixBackend, StorageBackend, StoreUrl};
use object_store::{ObjectStore, RetryConfig};

#[cfg(feature = "azure")]
pub use self::azure::open_azure_url;
#[cfg(feature = "gcp")]
pub use self::gcs::open_gcs_url;
#[cfg(feature = "http")]
pub use self::http::open_http_url;
use crate::error::Error;
use crate::{ObjectStoreBackend, ObjectStoreOptions};

type Opened = Result<Arc<dyn StorageBackend>, OpenError>;

/// One attempt: retrying is a decorator's business.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: std::time::Duration::ZERO, ..RetryConfig::default() }
}

/// `store`, as its messages call it, or what of it lies below the prefix.
fn opened(store: impl ObjectStore, options: ObjectStoreOptions, name: &str, prefix: Option<Key>) -> Opened {
    let backend = ObjectStoreBackend::with_options(Arc::new(store), options).with_name(name);
    Ok(match prefix {
        Some(prefix) => Arc::new(PrefixBackend::new(backend, prefix)),
        None => Arc::new(backend),
    })
}

/// What is wrong before anything was asked.
fn failed(url: &str) -> impl Fn(Error) -> OpenError {
    move |error| OpenError::store(ErrorClass::Other, url, error)
}

/// As [`failed`], of a builder.
fn not_built(url: &str) -> impl Fn(object_store::Error) -> OpenError {
    move |source| OpenError::store(ErrorClass::Other, url, source)
}

/// The bucket and the prefix below it.
#[cfg(any(feature = "azure", feature = "gcp"))]
fn bucket(url: &StoreUrl, expected: &'static str) -> Result<(String, Option<Key>), OpenError> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    let bucket = url.authority().filter(|bucket| !bucket.is_empty() && bucket.chars().all(known));
    let bucket = bucket.ok_or_else(|| url.location(expected))?.to_owned();
    Ok((bucket, prefix(url, expected)?))
}

/// The path as a prefix of keys.
fn prefix(url: &StoreUrl, expected: &'static str) -> Result<Option<Key>, OpenError> {
    match url.path()?.trim_start_matches('/').trim_end_matches('/') {
        "" => Ok(None),
        prefix => Key::new(prefix).map(Some).map_err(|_| url.location(expected)),
    }
}

/// The parameter `endpoint`.
#[cfg(any(feature = "azure", feature = "gcp"))]
fn endpoint(url: &StoreUrl, parameters: &mut Parameters) -> Result<Option<Uri>, OpenError> {
    let given = parameters.take("endpoint").map(|text| parse_endpoint(&text));
    given.transpose().map_err(|_| OpenError::InvalidParameter {
        scheme: url.scheme().to_owned(),
        name: "endpoint",
        expected: "http[s]://host[:port]",
    })
}

/// An address without user, password and query.
fn parse_endpoint(text: &str) -> Result<Uri, Error> {
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| Error::InvalidEndpoint)?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if scheme && authority && uri.query().is_none() { Ok(uri) } else { Err(Error::InvalidEndpoint) }
}
