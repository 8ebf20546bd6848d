//! Memory does not depend on the size of objects: 200 MiB up and down, with the server in another process.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::io::Write;

use graphstream_storage::{GetOptions, PutMode, StackConfig, StorageBackend};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::s3::{Conduct, S3Process, serve_if_asked};
use support::{config_at, key};

const MIB: u64 = 1 << 20;
const OBJECT: u64 = 200 * MIB;

#[test]
fn s3_server() {
    serve_if_asked().unwrap();
}

/// A block that tells its place.
fn block(number: u64) -> Vec<u8> {
    (number + 1).to_le_bytes().repeat(1 << 17)
}

/// The most that this process has ever had in memory, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn o10_200_mib_go_up_and_down_in_64_mib() {
    let server = S3Process::start("s3_server", Conduct::Honest).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for number in 0..OBJECT / MIB {
        file.write_all(&block(number)).unwrap();
    }
    file.flush().unwrap();
    let backend = S3Backend::open(config_at(server.endpoint())).await.unwrap();
    let backend = StackConfig::default().wrap(backend, &Default::default());
    let before = peak();
    backend.put(&key("large"), file.path().to_owned().into(), PutMode::Create).await.unwrap();
    let up = peak();
    let mut object = backend.get(&key("large"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.meta.size, OBJECT);
    let (mut at, mut expected) = (0, Vec::new());
    while let Some(chunk) = object.body.next_chunk().await.unwrap() {
        for byte in chunk {
            let within = (at % MIB) as usize;
            if within == 0 {
                expected = block(at / MIB);
            }
            assert!(expected.get(within) == Some(&byte), "byte {at} is another");
            at += 1;
        }
    }
    assert_eq!(at, OBJECT);
    let down = peak();
    eprintln!(
        "peak: {} MiB before, {} MiB after the put, {} MiB after the get",
        before / MIB,
        up / MIB,
        down / MIB
    );
    assert!(down < 64 * MIB, "{} MiB", down / MIB);
}
