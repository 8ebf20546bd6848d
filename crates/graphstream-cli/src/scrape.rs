//! `--metrics ADDR`: answers every HTTP GET with the metrics as text. One connection at a time, bounded in bytes and time:
//! it is for a scraper beside the process, not for the world.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use graphstream::metrics::GraphstreamMetrics;

use crate::failure::{Failure, Kind};

const REQUEST_BYTES_MAX: usize = 8 * 1024;
const TIMEOUT: Duration = Duration::from_secs(2);

/// Parses `--metrics`: `ADDR:PORT`, or a port on the loopback address.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse()
        .map_err(|_| "expected a port (then on 127.0.0.1) or an address as in 0.0.0.0:9464".to_owned())
}

/// Starts answering, for the rest of the process. Returns the address, whose port the system chose if 0 was asked for.
pub(crate) fn serve(address: SocketAddr, metrics: Arc<GraphstreamMetrics>) -> Result<SocketAddr, Failure> {
    let failed = |error: &std::io::Error| {
        Failure::new(Kind::Usage, format!("metrics can't be served on {address}"))
            .because(error)
            .hint("another port for --metrics")
    };
    let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
    let bound = listener.local_addr().map_err(|error| failed(&error))?;
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    // A scraper that has gone, or speaks something else, has no answer coming.
                    Ok(stream) => drop(answer(stream, &metrics)),
                    Err(error) => {
                        tracing::warn!(%error, "a metrics connection failed");
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            }
        })
        .map_err(|error| failed(&error))?;
    tracing::info!(address = %bound, "serving metrics");
    Ok(bound)
}

fn answer(mut stream: TcpStream, metrics: &GraphstreamMetrics) -> std::io::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || request.len() > REQUEST_BYTES_MAX {
            return respond(
                &mut stream,
                "408 Request Timeout",
                "the request took too long or was too long\n",
            );
        }
        stream.set_read_timeout(Some(left))?;
        let mut part = [0; 1024];
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    if !request.starts_with(b"GET ") {
        return respond(&mut stream, "405 Method Not Allowed", "only GET\n");
    }
    respond(&mut stream, "200 OK", &metrics.snapshot().to_prometheus())
}

fn respond(stream: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let kind = if status.starts_with("200") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn a_get_is_answered_with_the_metrics_and_anything_else_refused() {
        let metrics = GraphstreamMetrics::shared();
        metrics.leader.segments_uploaded.add(3);
        let address = serve(parse("0").unwrap(), metrics).unwrap();
        assert!(address.ip().is_loopback());
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("graphstream_leader_uploaded_segments_total 3\n"), "{answer}");
        assert!(ask(address, "POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.0 405"));
        // Closed without a request: the next one is still answered.
        drop(TcpStream::connect(address).unwrap());
        assert!(ask(address, "GET / HTTP/1.0\r\n\r\n").contains("200 OK"));
    }

    #[test]
    fn h01_a_request_without_an_end_is_cut_off() {
        let address = serve(parse("0").unwrap(), GraphstreamMetrics::shared()).unwrap();
        let answer = ask(address, &"x".repeat(REQUEST_BYTES_MAX + 2048));
        assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    }

    #[test]
    fn addresses_default_to_loopback() {
        assert_eq!(parse("9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(parse(":9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(parse("0.0.0.0:1").unwrap().to_string(), "0.0.0.0:1");
        assert!(parse("localhost").is_err());
    }
}
