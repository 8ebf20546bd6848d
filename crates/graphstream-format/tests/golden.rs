//! Bytes that were once written stay readable. `golden/v1` and `golden/open` hold small segments and, beside each, what a reader
//! says about it; broken ones are named by their defect. Files are added, never edited: `GOLDEN_ADD=1 cargo test` writes
//! those that are missing and changes none.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graphstream_format::{ChainHash, Compression, SegmentStart};
use segments::{OpenFile, payload, render, sealed, sealed_from, start, zstd};

struct Golden {
    bytes: Vec<u8>,
    /// Whether today's writer must still give exactly these bytes; zstd may compress better one day.
    exact: bool,
}

fn later_start() -> SegmentStart {
    SegmentStart { first_seq: 41, chain_before: ChainHash::ZERO.after(b"what was before"), ..start() }
}

fn flipped(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 0x10;
    bytes
}

fn with_header_crc(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    let crc = crc32c::crc32c(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn v1() -> BTreeMap<&'static str, Golden> {
    let plain = || sealed(3, Compression::None);
    let mut all = BTreeMap::new();
    let mut add = |name, bytes| {
        all.insert(name, Golden { bytes, exact: true });
    };
    add("one-entry", sealed(1, Compression::None));
    add("three-entries", plain());
    add("later-segment", sealed_from(later_start(), &[payload(41), payload(42)], Compression::None));
    add("empty-payload", sealed_from(start(), &[Vec::new(), payload(2), Vec::new()], Compression::None));
    add("broken-magic", flipped(plain(), 0));
    add("broken-version-9", with_header_crc(plain(), 5, 9));
    add("broken-header-crc", flipped(plain(), 126));
    add("broken-unknown-flag", with_header_crc(plain(), 6, 0x2c));
    add("broken-unknown-compression", with_header_crc(plain(), 7, 2));
    add("broken-entry-count", with_header_crc(plain(), 35, 4));
    add("broken-first-sequence", with_header_crc(with_header_crc(plain(), 19, 2), 27, 4));
    add("broken-chain-prefix", with_header_crc(plain(), 83, 1));
    add("broken-body-checksum", with_header_crc(plain(), 75, 0x55));
    add("broken-second-entry", flipped(plain(), 128 + 48 + payload(1).len() + 60));
    add("broken-trailer", {
        let bytes = plain();
        let last = bytes.len() - 1;
        flipped(bytes, last)
    });
    add("broken-cut", {
        let mut bytes = plain();
        bytes.truncate(300);
        bytes
    });
    add("broken-appended", {
        let mut bytes = plain();
        bytes.push(0);
        bytes
    });
    let mut add = |name, bytes| {
        all.insert(name, Golden { bytes, exact: false });
    };
    add("three-entries-zstd", sealed(3, zstd()));
    add("broken-zstd-body", flipped(sealed(3, zstd()), 150));
    all
}

fn open() -> BTreeMap<&'static str, Golden> {
    let three = || {
        let mut file = OpenFile::new();
        file.push_standard(2);
        file.sync();
        file.push_standard(1);
        file.push_standard(2);
        file
    };
    let mut all = BTreeMap::new();
    let mut add = |name, bytes| {
        all.insert(name, Golden { bytes, exact: true });
    };
    add("no-record", OpenFile::new().bytes);
    add("three-records", three().bytes);
    add("reserved-space", {
        let mut bytes = three().bytes;
        bytes.resize(2048, 0);
        bytes
    });
    add("later-segment", {
        let mut file = OpenFile::starting(later_start(), [0x5e; 16]);
        file.push_standard(1);
        file.bytes
    });
    add("torn-last-record", {
        let mut bytes = three().bytes;
        bytes.truncate(bytes.len() - 9);
        bytes
    });
    add("torn-second-record-third-whole", {
        let file = three();
        flipped(file.bytes.clone(), file.records[1] as usize + 60)
    });
    add("broken-below-durable", {
        let file = three();
        flipped(file.bytes.clone(), file.records[0] as usize + 60)
    });
    add("broken-header-crc", flipped(three().bytes, 13));
    add("broken-nonce", flipped(three().bytes, 130));
    add("broken-chain-before", flipped(three().bytes, 170));
    add("broken-sequence", {
        let mut file = OpenFile::new();
        file.push_standard(1);
        file.next_seq += 1;
        file.push_standard(1);
        file.bytes
    });
    all
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn check(name: &str, built: &BTreeMap<&'static str, Golden>) {
    let directory = directory(name);
    if std::env::var_os("GOLDEN_ADD").is_some() {
        fs::create_dir_all(&directory).unwrap();
        for (name, golden) in built {
            let (segment, text) =
                (directory.join(format!("{name}.seg")), directory.join(format!("{name}.txt")));
            if !segment.exists() {
                fs::write(&segment, &golden.bytes).unwrap();
                fs::write(&text, render(&golden.bytes)).unwrap();
            }
        }
    }
    let mut seen = 0;
    for file in fs::read_dir(&directory).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(render(&bytes), expected, "{name}");
        assert_eq!(expected.contains("error"), name.starts_with("broken"), "{name}");
        if let Some(golden) = built.get(name).filter(|golden| golden.exact) {
            assert!(golden.bytes == bytes, "{name} is no longer written with these bytes");
        }
        seen += 1;
    }
    for name in built.keys() {
        assert!(directory.join(format!("{name}.seg")).exists(), "{name} is missing: GOLDEN_ADD=1 adds it");
    }
    assert!(seen >= built.len());
}

#[test]
fn golden_sealed_version_1() {
    check("v1", &v1());
}

#[test]
fn golden_open() {
    check("open", &open());
}
