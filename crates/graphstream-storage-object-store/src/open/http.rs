//! `https:` and `http:` URLs.

use graphstream_storage::{Access, OpenError, OpenFuture, StoreUrl};
use http::HeaderValue;
use object_store::http::HttpBuilder;

use super::{failed, not_built, once, opened, parse_endpoint, prefix};
use crate::ObjectStoreOptions;
use crate::client::StoreClient;
use crate::error::Error;

const EXPECTED: &str = "a host and perhaps a path: https://host/path";
const AUTHORIZATION: &str = "GRAPHSTREAM_HTTP_AUTHORIZATION";

/// The opener of `https://host/path` and `http://host/path` for a [`StoreRegistry`](graphstream_storage::StoreRegistry). Any server
/// that has ETags can be read by key; to list, it must answer PROPFIND of infinite depth (WebDAV). These stores are for reading: there
/// are no conditional puts, and puts and deletes are refused.
///
/// There are no parameters. `GRAPHSTREAM_HTTP_AUTHORIZATION` in the environment is the whole `Authorization` header of every request;
/// it goes to this host alone, and over `http:` only within this machine. The store is not asked. The future needs a tokio runtime.
///
/// # Errors
/// Any but [`OpenError::Store`]; the future that one, when the environment's header is none.
pub fn open_http_url(url: &StoreUrl, _access: Access) -> Result<OpenFuture, OpenError> {
    let host = url.authority().filter(|host| !host.is_empty()).ok_or_else(|| url.location(EXPECTED))?;
    let address = format!("{}://{host}", url.scheme());
    let endpoint = parse_endpoint(&address).map_err(|_| url.location(EXPECTED))?;
    // The path is a prefix: listings name paths from the root on.
    let prefix = prefix(url, EXPECTED)?;
    url.parameters()?.end()?;
    let store = url.to_string();
    Ok(Box::pin(async move {
        let authorization = authorization().map_err(failed(&store))?;
        let client = StoreClient::new(&endpoint, authorization).map_err(failed(&store))?;
        let built = HttpBuilder::new()
            .with_url(&address)
            .with_retry(once())
            .with_http_connector(client)
            .build()
            .map_err(not_built(&store))?;
        // No conditional puts, and a key's deletion takes what lies below it along, if the server has a directory there.
        let options = ObjectStoreOptions::default().with_etags_are_quoted(true).with_read_only(true);
        opened(built, options, &address, prefix)
    }))
}

fn authorization() -> Result<Option<HeaderValue>, Error> {
    let Some(value) = std::env::var_os(AUTHORIZATION).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let mut header =
        HeaderValue::from_bytes(value.as_encoded_bytes()).map_err(|_| Error::InvalidAuthorization)?;
    header.set_sensitive(true);
    Ok(Some(header))
}
