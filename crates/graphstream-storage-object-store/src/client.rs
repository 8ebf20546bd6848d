//! HTTP/1.1 for `object_store`, in place of its own client: no redirect is followed, nothing is repeated, nothing is timed.
//!
//! ```text
//!   request ─► to the store itself? ─ yes ─► 2xx, and what object_store knows better (304, 404, 409, 412, 416, ..): passed on,
//!                    │                       the text of an error cut down to its code
//!                    │                       3xx and all others: an error with its status, so that it gets a class
//!                    └─ no: a request for credentials ─► 2xx: passed on;  all others: there are no credentials
//! ```
//! Retries and time-outs are decorators' business. What a server says in an error's text may repeat what it was sent, so no more than
//! its code is kept, and no more than 64 KiB of it is read.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};

use crate::error::Error;

/// So much of an error's text is looked at for its code.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// The clients of one store, which share their connections.
#[derive(Clone)]
pub(crate) struct StoreClient {
    client: Client<HttpsConnector<connect::HttpConnector>, HttpRequestBody>,
    store: Origin,
    /// For every request to the store; never for others.
    authorization: Option<HeaderValue>,
}

impl StoreClient {
    /// A client of the store at `endpoint`.
    pub(crate) fn new(endpoint: &Uri, authorization: Option<HeaderValue>) -> Result<Self, Error> {
        let store = Origin::of(endpoint).ok_or(Error::InvalidEndpoint)?;
        let mut connector = connect::HttpConnector::new();
        connector.enforce_http(false);
        // Without it the last bytes of a request wait for an acknowledgement of those before.
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { client, store, authorization })
    }
}

fn tls() -> Result<rustls::ClientConfig, Error> {
    use hyper_rustls::ConfigBuilderExt as _;

    // Not the process's default: which one that is, other crates of the program decide.
    let builder = || {
        let provider = rustls::crypto::ring::default_provider().into();
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        builder.with_safe_default_protocol_versions().map_err(|source| Error::Tls { source })
    };
    let rooted = match builder()?.with_native_roots() {
        Ok(rooted) => rooted,
        Err(error) => {
            // A store at an http: address needs none.
            tracing::warn!(%error, "no certificates of authorities: no https: server will be trusted");
            builder()?.with_root_certificates(rustls::RootCertStore::empty())
        }
    };
    Ok(rooted.with_no_client_auth())
}

impl fmt::Debug for StoreClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClient").field("store", &self.store).finish_non_exhaustive()
    }
}

impl HttpConnector for StoreClient {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for StoreClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let to = Origin::of(request.uri());
        let of_store = to.as_ref() == Some(&self.store);
        let headers = request.headers_mut();
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("graphstream/", env!("CARGO_PKG_VERSION"))));
        if let (true, Some(authorization)) = (of_store, &self.authorization) {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().trim_ascii() == b"Bearer") {
            // Of somebody who is to remain unknown.
            headers.remove(AUTHORIZATION);
        }
        if to.as_ref().is_none_or(|to| !to.is_private() && shows_credentials(&request)) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Error::InTheClear));
        }
        let answered = match self.client.request(request).await {
            Ok(answer) => answered(answer).await,
            Err(error) => {
                let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Unknown };
                Err(HttpError::new(kind, error))
            }
        };
        match (answered, to) {
            (Ok(answer), _) if of_store || answer.status().is_success() => Ok(answer),
            (Err(error), _) if of_store => Err(error),
            (outcome, to) => {
                let host = to.map_or_else(String::new, |to| to.authority);
                let source: Box<dyn StdError + Send + Sync> = match outcome {
                    Ok(answer) => Box::new(Error::Answer { status: answer.status().as_u16(), code: None }),
                    Err(error) => Box::new(error),
                };
                Err(HttpError::new(HttpErrorKind::Unknown, Error::NoCredentials { host, source }))
            }
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    https: bool,
    authority: String,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self { https, authority: uri.authority()?.as_str().to_ascii_lowercase() })
    }

    /// Whether nobody between here and there can read what is sent.
    fn is_private(&self) -> bool {
        let host = match self.authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => self.authority.split(':').next(),
        };
        let host = host.unwrap_or_default();
        self.https
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Whether whoever reads the request could make others. A signature over the request itself shows nothing.
fn shows_credentials(request: &HttpRequest) -> bool {
    let value = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    let sas = request.uri().query().unwrap_or_default().split('&').any(|pair| pair.starts_with("sig="));
    sas || [b"bearer".as_slice(), b"basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// An answer as `object_store` is to see it.
async fn answered(answer: http::Response<Incoming>) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = answer.into_parts();
    let status = parts.status;
    if status.is_success() {
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error));
        return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)));
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        let host = parts.headers.get(LOCATION).and_then(|location| host(location.to_str().ok()?));
        let error = Error::Redirected { status: status.as_u16(), host };
        return Err(HttpError::new(HttpErrorKind::Unknown, error));
    }
    let text = Limited::new(body, ERROR_BYTES_MAX).collect().await;
    let text = text.map(|text| text.to_bytes()).unwrap_or_default();
    let code = code(&parts.headers, &text);
    if known_to_object_store(status) {
        parts.headers.remove(http::header::CONTENT_LENGTH);
        let code = code.map(|code| format!("<Code>{code}</Code>")).unwrap_or_default();
        return Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(code)));
    }
    Err(HttpError::new(HttpErrorKind::Unknown, Error::Answer { status: status.as_u16(), code }))
}

/// What has a meaning of its own there, so that nothing but the status is to be seen.
fn known_to_object_store(status: StatusCode) -> bool {
    // 405: the server of a directory that is asked for as an object.
    matches!(status.as_u16(), 304 | 404 | 405 | 409 | 412 | 416)
}

/// The store's own code for an error: a word.
fn code(headers: &HeaderMap, text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let header = headers.get("x-ms-error-code").and_then(|value| value.to_str().ok());
    let element = || text.split_once("<Code>")?.1.split_once("</Code>").map(|(code, _)| code);
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    header
        .or_else(element)
        .filter(|code| (1..=64).contains(&code.len()) && code.chars().all(known))
        .map(str::to_owned)
}

/// The host of a redirect, if it names one.
fn host(location: &str) -> Option<String> {
    let uri: Uri = location.parse().ok()?;
    uri.host().map(str::to_owned)
}
