//! What a daemon with `--http` answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::Running;

/// Where the daemon serves HTTP: it logs the address, whose port the system chose.
#[track_caller]
pub fn http_address(daemon: &Running) -> String {
    daemon.wait_for_stderr("the address of the HTTP pages", |lines| {
        let line = lines.iter().find(|line| line.contains("serving HTTP"))?;
        Some(line.split_once("address=")?.1.trim().to_owned())
    })
}

/// The whole answer.
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: graphstream\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The status code, and the body as JSON.
#[track_caller]
pub fn json(address: &str, path: &str) -> (u16, Value) {
    let answer = get(address, path);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, serde_json::from_str(body).unwrap())
}
