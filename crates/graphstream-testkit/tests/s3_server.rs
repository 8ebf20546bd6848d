//! The S3 servers as far as no client is needed; what a client sees of them is in `graphstream-storage-s3`.
#![cfg(feature = "s3")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;

use graphstream_testkit::s3::{BUCKET, Conduct, S3Server};

fn answer(server: &S3Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn unsigned_requests_are_refused_and_counted() {
    for conduct in [Conduct::Honest, Conduct::Racing, Conduct::Ignoring] {
        let server = S3Server::start(conduct).unwrap();
        let answer = answer(&server, &format!("GET /{BUCKET}/object"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{conduct:?}: {answer}");
        assert!(answer.contains("AccessDenied"), "{conduct:?}: {answer}");
        assert_eq!((server.count("GetObject"), server.count("PutObject")), (1, 0));
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let server = S3Server::honest().unwrap();
    let address = server.address();
    let mut open = TcpStream::connect(address).unwrap();
    drop(server);
    // The connection that was open ends, and there is no new one.
    assert_eq!(open.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}
