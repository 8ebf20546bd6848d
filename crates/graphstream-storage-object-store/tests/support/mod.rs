//! A server for tests: whatever a function answers, on a free port of the loopback, until the test's runtime ends.
#![allow(dead_code)]

pub(crate) mod gcs;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use graphstream_storage::{Access, Bytes, OpenError, StorageBackend, StoreRegistry, StoreUrl};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Where it listens, and what it was asked.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, seen) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let request = Request::from_parts(parts, body);
                        let answer = answer(&request);
                        log.lock().unwrap().push(request);
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, seen }
    }

    /// Always the same answer.
    pub(crate) async fn saying(
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Self {
        Self::start(move |_| answer(status, headers, body)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    answer
}

pub(crate) fn registry() -> StoreRegistry {
    let mut registry = StoreRegistry::new();
    registry.register("gs", "gs://bucket/prefix", graphstream_storage_object_store::open_gcs_url);
    registry.register("az", "az://container/prefix", graphstream_storage_object_store::open_azure_url);
    for scheme in ["http", "https"] {
        registry.register(scheme, "https://host/path", graphstream_storage_object_store::open_http_url);
    }
    registry
}

pub(crate) async fn open(url: &str) -> Result<Arc<dyn StorageBackend>, OpenError> {
    registry().open(&StoreUrl::new(url)?, Access::Write).await
}
