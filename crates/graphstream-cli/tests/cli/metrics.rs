//! What a daemon with `--metrics` answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::Running;

/// Where the daemon serves its metrics: it logs the address, whose port the system chose.
#[track_caller]
pub fn metrics_address(daemon: &Running) -> String {
    daemon.wait_for_stderr("the address of the metrics", |lines| {
        let line = lines.iter().find(|line| line.contains("serving metrics"))?;
        Some(line.split_once("address=")?.1.trim().to_owned())
    })
}

/// The whole HTTP answer.
pub fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: graphstream\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
