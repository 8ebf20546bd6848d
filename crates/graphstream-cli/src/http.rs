//! The HTTP side of a daemon: pages for a scraper, an orchestrator and people, on a thread of its own.
//!
//! It is for neighbours, not for the world: on the loopback address unless told otherwise, one request per connection,
//! and bounded in connections, bytes and time, so that nobody who connects and stays silent keeps others out for long.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::failure::{Failure, Kind};

/// Connections at the same time; others wait.
const CONNECTIONS_MAX: usize = 64;
/// The least that hyper takes.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// How long a request may take to arrive.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a connection may take altogether.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    kind: &'static str,
    body: String,
}

impl Page {
    /// `/metrics`.
    pub(crate) fn metrics(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            kind: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body,
        }
    }

    /// `/healthz`: the process answers.
    pub(crate) fn healthy() -> Self {
        Self::text(StatusCode::OK, "ok\n")
    }

    /// A JSON object; `fine` says whether the code is 200 or 503.
    pub(crate) fn json(fine: bool, value: &impl serde::Serialize) -> Self {
        let status = if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        match serde_json::to_string(value) {
            Ok(body) => Self { status, kind: "application/json", body: body + "\n" },
            Err(_) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, "the answer can't be written\n"),
        }
    }

    fn text(status: StatusCode, body: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    fn respond(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        response
    }
}

/// Parses `--http`: `ADDR:PORT`, or a port on the loopback address.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse()
        .map_err(|_| "expected a port (then on 127.0.0.1) or an address as in 0.0.0.0:9464".to_owned())
}

/// Starts answering, for the rest of the process. `pages` knows each path that there is. Returns the address, whose port the
/// system chose if 0 was asked for.
pub(crate) fn serve(
    address: SocketAddr,
    pages: impl Fn(&str) -> Option<Page> + Send + Sync + 'static,
) -> Result<SocketAddr, Failure> {
    let failed = |error: &std::io::Error| {
        Failure::new(Kind::Usage, format!("HTTP can't be served on {address}, neither metrics nor status"))
            .because(error)
            .hint("another port for --http")
    };
    let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    let bound = listener.local_addr().map_err(|error| failed(&error))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(|error| failed(&error))?
    };
    // Shipping is not held up by a scrape, and an answer comes while it is.
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || runtime.block_on(accept(listener, Arc::new(pages))))
        .map_err(|error| failed(&error))?;
    tracing::info!(address = %bound, "serving HTTP");
    Ok(bound)
}

async fn accept(
    listener: tokio::net::TcpListener,
    pages: Arc<impl Fn(&str) -> Option<Page> + Send + Sync + 'static>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME_MAX)
        .max_buf_size(REQUEST_BYTES_MAX)
        .keep_alive(false);
    loop {
        let slot = Arc::clone(&connections).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let pages = Arc::clone(&pages);
        let service = service_fn(move |request| {
            let response = answer(&request, &*pages);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Who has gone, or speaks something else, has no answer coming.
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await;
            drop(slot);
        });
    }
}

fn answer<B>(request: &Request<B>, pages: &dyn Fn(&str) -> Option<Page>) -> Response<Full<Bytes>> {
    let Some(page) = pages(request.uri().path()) else {
        return Page::text(StatusCode::NOT_FOUND, "there is no such page\n").respond();
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = Page::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n").respond();
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    page.respond()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn server() -> SocketAddr {
        serve(parse("0").unwrap(), |path| match path {
            "/metrics" => Some(Page::metrics("a 1\n# EOF\n".to_owned())),
            "/healthz" => Some(Page::healthy()),
            "/readyz" => Some(Page::json(false, &serde_json::json!({"ready": false}))),
            _ => None,
        })
        .unwrap()
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        // A server that has refused may have closed.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn get(address: SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    #[test]
    fn each_page_has_its_status_and_others_are_refused() {
        let address = server();
        assert!(address.ip().is_loopback());
        let metrics = get(address, "/metrics");
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
        assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
        assert!(metrics.ends_with("\r\n\r\na 1\n# EOF\n"), "{metrics}");
        assert!(get(address, "/healthz?verbose").ends_with("ok\n"));
        let unready = get(address, "/readyz");
        assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
        assert!(unready.ends_with("{\"ready\":false}\n"), "{unready}");
        assert!(get(address, "/").starts_with("HTTP/1.1 404 "));
        let posted = ask(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD"), "{posted}");
        let head = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(head.contains("content-length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn h01_a_request_without_an_end_is_cut_off() {
        let answer = ask(server(), &format!("GET /{} HTTP/1.1\r\n", "x".repeat(REQUEST_BYTES_MAX + 2048)));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    #[test]
    fn h01_silent_and_gone_connections_do_not_keep_others_out() {
        let address = server();
        let silent: Vec<_> = (0..CONNECTIONS_MAX + 8).map(|_| TcpStream::connect(address).unwrap()).collect();
        for mut stream in silent.iter().take(8) {
            let _ = stream.write_all(b"GET /metr");
        }
        drop(TcpStream::connect(address).unwrap());
        // Answered once the silent ones have had their time.
        assert!(get(address, "/healthz").ends_with("ok\n"));
        drop(silent);
    }

    #[test]
    fn addresses_default_to_loopback() {
        assert_eq!(parse("9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(parse(":9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(parse("0.0.0.0:1").unwrap().to_string(), "0.0.0.0:1");
        assert!(parse("localhost").is_err());
    }
}
