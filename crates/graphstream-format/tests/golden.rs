//! Bytes that were once written stay readable. `golden/v1`, `golden/v2`, `golden/v2-encrypted` and `golden/open` hold small segments and, beside each, what a reader
//! says about it; broken ones are named by their defect. Files are added, never edited: `GOLDEN_ADD=1 cargo test` writes
//! those that are missing and changes none.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, KeyRing};
use graphstream_format::v2::SegmentRange;
use graphstream_format::{ChainHash, Compression, ReadOptions, SegmentStart, SegmentVersion, v2};
use segments::{
    CREATED_MS, Frames, OpenFile, columns, messages, payload, rebody, refooter, sealed, sealed_as,
    sealed_from, sealed_v2, start, zstd,
};

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

/// Messages of two queries, and among them payloads that are none.
fn three_shapes() -> Vec<Vec<u8>> {
    let mut payloads = messages(30);
    for (index, payload) in payloads.iter_mut().enumerate().filter(|(index, _)| index % 10 == 4) {
        *payload = segments::payload(index as u64);
    }
    payloads
}

/// More queries than a frame may have shapes.
fn many_shapes() -> Vec<Vec<u8>> {
    let mut payloads: Vec<_> =
        (0..300_u16).map(|query| [&[10, 2][..], &query.to_be_bytes(), &[24, 1]].concat()).collect();
    payloads.extend(messages(200));
    payloads
}

/// Two entries, "a dozen byte" and a number.
fn numbered(number: u8) -> Vec<u8> {
    [&b"a dozen byte"[..], &[number]].concat()
}

/// What the entries of the numbers 1 and 2 might be stored as, each with one defect.
fn broken_columns() -> Vec<(&'static str, Vec<u8>)> {
    use v2::columns::{coding, op};
    let shape = [&[op::LITERAL, 12][..], b"a dozen byte", &[op::VARINT, op::END]].concat();
    let streams = [2, 0, 0, 2, 0, 1, 0, 3, coding::PLAIN, 2, 4];
    let good = [&[1], shape.as_slice(), &streams].concat();
    let with = |at: usize, byte: u8| {
        let mut columnar = good.clone();
        columnar[at] = byte;
        columnar
    };
    let (operation, end, streams) = (shape.len() - 1, shape.len(), shape.len() + 1);
    let upto = |at: usize, rest: &[u8]| [&good[..streams + at], rest].concat();
    vec![
        ("broken-columns-no-shape", with(0, 0)),
        ("broken-columns-unknown-operation", with(operation, 9)),
        ("broken-columns-shape-without-end", with(end, op::LITERAL)),
        ("broken-columns-close-without-open", with(operation, op::CLOSE)),
        ("broken-columns-open-without-close", with(operation, op::OPEN)),
        ("broken-columns-unknown-shape", with(streams + 1, 1)),
        ("broken-columns-first-commit-time", with(streams + 4, 1)),
        ("broken-columns-commit-times-too-few", upto(3, &[1, 0, 0, 3, coding::PLAIN, 2, 4])),
        ("broken-columns-unknown-coding", with(streams + 8, 3)),
        ("broken-columns-number-left-over", upto(7, &[4, coding::PLAIN, 2, 4, 6])),
        ("broken-columns-number-missing", upto(7, &[2, coding::PLAIN, 2])),
        ("broken-columns-number-of-a-long-varint", upto(7, &[4, coding::PLAIN, 2, 0x84, 0])),
        ("broken-columns-longer-than-its-rows", upto(7, &[4, coding::PLAIN, 2, 0x84, 2])),
        ("broken-columns-bytes-behind", upto(11, &[0])),
        ("broken-columns-cut", upto(10, &[])),
        ("broken-columns-other-number", with(streams + 9, 6)),
    ]
}

fn v2() -> BTreeMap<&'static str, Golden> {
    use v2::{FINAL_HASH_LEN, FOOTER_LEN, INDEX_ROW_LEN, footer_field, frame_field, index_field};
    let plain = || sealed_v2(3, Compression::None);
    let frames = || Frames::standard(false);
    let index = |file: &[u8]| file.len() - FOOTER_LEN - FINAL_HASH_LEN - 3 * INDEX_ROW_LEN;
    let mut all = BTreeMap::new();
    let mut add = |name, bytes| {
        all.insert(name, Golden { bytes, exact: true });
    };
    add("one-entry", sealed_v2(1, Compression::None));
    add("three-entries", plain());
    add("three-frames", frames().file());
    let later = [payload(41), payload(42)];
    add("later-segment", sealed_as(SegmentVersion::V2, later_start(), &later, Compression::None));
    let empty = [Vec::new(), payload(2), Vec::new()];
    add("empty-payload", sealed_as(SegmentVersion::V2, start(), &empty, Compression::None));
    add("broken-header-crc", flipped(plain(), 126));
    add("broken-chain-trailer-flag", with_header_crc(plain(), 6, 0x0c));
    add("broken-extension-length", with_header_crc(plain(), 11, 56));
    add("broken-entry-count", with_header_crc(plain(), 35, 4));
    add("broken-chain-prefix", with_header_crc(plain(), 83, 1));
    add("broken-body-checksum", with_header_crc(plain(), 75, 0x55));
    add("broken-last-commit-time", with_header_crc(plain(), 123, 0xff));
    add("broken-second-frame", {
        let at = 128 + frames().frames[0].len() + frame_field::ENTRIES + 3;
        flipped(frames().file(), at)
    });
    add("broken-second-frame-continues-another-chain", {
        let mut frames = frames();
        frames.frames[1][frame_field::CHAIN_BEFORE] ^= 1;
        segments::fix_frame(&mut frames.frames[1]);
        frames.file()
    });
    add("broken-frames-swapped", {
        let mut frames = frames();
        frames.frames.swap(0, 1);
        frames.file()
    });
    add("broken-frame-missing", {
        let mut frames = frames();
        frames.frames.remove(1);
        frames.file()
    });
    add("broken-index-offset-of-second-frame", {
        let file = frames().file();
        let at = index(&file) + INDEX_ROW_LEN + index_field::OFFSET + 7;
        rebody(file, at, &[7])
    });
    add("broken-index-chain-of-third-frame", {
        let file = frames().file();
        let at = index(&file) + 2 * INDEX_ROW_LEN + index_field::CHAIN_BEFORE;
        rebody(file, at, &[7])
    });
    add("broken-last-chain-hash", {
        let file = frames().file();
        let at = file.len() - FOOTER_LEN - 1;
        rebody(file, at, &[7])
    });
    add("broken-footer-crc", {
        let bytes = plain();
        let last = bytes.len() - 1;
        flipped(bytes, last)
    });
    add("broken-footer-frame-count", refooter(frames().file(), footer_field::FRAME_COUNT + 3, &[2]));
    add("broken-footer-last-sequence", refooter(frames().file(), footer_field::LAST_SEQ + 7, &[7]));
    add("broken-footer-flags", refooter(frames().file(), footer_field::FLAGS, &[5]));
    add("broken-footer-zeros", refooter(frames().file(), footer_field::ZEROS, &[1]));
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
    add("one-message-columns", sealed_as(SegmentVersion::V2, start(), &messages(1), columns()));
    add("forty-messages-columns", sealed_as(SegmentVersion::V2, start(), &messages(40), columns()));
    add("three-entries-columns", sealed_v2(3, columns()));
    add("three-shapes-columns", sealed_as(SegmentVersion::V2, start(), &three_shapes(), columns()));
    add("many-shapes-columns", sealed_as(SegmentVersion::V2, start(), &many_shapes(), columns()));
    for (name, columnar) in broken_columns() {
        let mut frames = Frames { columns: true, ..Frames::new(start(), true) };
        frames.push_columnar(&[numbered(1), numbered(2)], &columnar);
        add(name, frames.file());
    }
    add("broken-columns-of-rows", {
        // Rows, said to be columns in header and footer.
        let mut frames = Frames::standard(true);
        frames.columns = true;
        frames.file()
    });
    add("broken-columns-flag-alone", with_header_crc(sealed_v2(3, columns()), 7, 1));
    add("broken-columns-without-flag", with_header_crc(sealed_v2(3, columns()), 6, 5));
    add("broken-columns-footer-flags", refooter(sealed_v2(3, columns()), footer_field::FLAGS, &[5]));
    add("three-entries-zstd", sealed_v2(3, zstd()));
    add("three-frames-zstd", Frames::standard(true).file());
    add("broken-zstd-frame", flipped(sealed_v2(3, zstd()), 128 + 64 + 20));
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

/// What the files in `golden/v2-encrypted` were encrypted with.
fn golden_key() -> DataKey {
    DataKey::taking(&mut b"the key of the golden files, 32b".to_owned())
}

fn options(layout: &str) -> ReadOptions {
    match layout {
        "v2-encrypted" => ReadOptions::default().with_keys(Arc::new(KeyRing::new(golden_key()))),
        _ => ReadOptions::default(),
    }
}

fn encrypted() -> BTreeMap<&'static str, Golden> {
    let seal_of = |payloads: Vec<Vec<u8>>, compression| {
        let last = CREATED_MS + payloads.len() as i64 - 1;
        let last_seq = payloads.len() as u64;
        let range = SegmentRange { last_seq, first_commit_ms: CREATED_MS, last_commit_ms: last };
        let random = std::array::from_fn(|index| index as u8);
        let sink = std::io::Cursor::new(Vec::new());
        let mut writer =
            v2::Writer::encrypted(sink, start(), compression, range, &golden_key(), &random).unwrap();
        for (payload, commit_ms) in payloads.into_iter().zip(CREATED_MS..) {
            writer.push(&payload, commit_ms).unwrap();
        }
        writer.finish().unwrap().inner.into_inner()
    };
    let seal = |entries: u64, compression| seal_of(segments::payloads(entries), compression);
    let plain = || seal(3, Compression::None);
    let mut all = BTreeMap::new();
    let mut add = |name, bytes| {
        all.insert(name, Golden { bytes, exact: true });
    };
    add("one-entry", seal(1, Compression::None));
    add("three-entries", plain());
    add("broken-lineage-changed", with_header_crc(plain(), 100, 0));
    add("broken-salt", flipped(plain(), 128 + 16));
    add("broken-key-id", flipped(plain(), 128));
    add("broken-first-chunk", flipped(plain(), 184 + 40));
    add("broken-chunk-length", flipped(plain(), 184));
    add("broken-not-encrypted", sealed_v2(3, Compression::None));
    all.insert("three-entries-zstd", Golden { bytes: seal(3, zstd()), exact: false });
    all.insert("three-entries-columns", Golden { bytes: seal(3, columns()), exact: false });
    all.insert("forty-messages-columns", Golden { bytes: seal_of(messages(40), columns()), exact: false });
    all
}

fn check(name: &str, built: &BTreeMap<&'static str, Golden>) {
    let options = options(name);
    let render = |bytes: &[u8]| segments::render_with(bytes, &options);
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
fn golden_encrypted() {
    check("v2-encrypted", &encrypted());
}

#[test]
fn golden_sealed_version_2() {
    check("v2", &v2());
}

/// Of each whole golden file, with every single bit flipped and cut at every place: an error, or the right entries and nothing else.
#[test]
fn every_flipped_bit_and_every_cut_of_a_golden_file_is_an_error_or_harmless() {
    for (layout, least) in [("v1", 5), ("v2", 5), ("v2-encrypted", 3), ("open", 5)] {
        let mut seen = 0;
        for file in fs::read_dir(directory(layout)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.extension().is_none_or(|extension| extension != "seg") || name.starts_with("broken") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let read = |bytes: &[u8]| segments::read_with(bytes, options(layout));
            let whole = read(&bytes);
            let check = |damaged: &[u8], what: String| {
                let read = read(damaged);
                assert!(
                    whole.entries.starts_with(&read.entries),
                    "{layout}/{name}: {what} gave a wrong entry"
                );
                if layout != "open" {
                    assert!(read.end.is_err(), "{layout}/{name}: {what} went unseen");
                }
            };
            // A file that is damaged on purpose would be healed by one of the flips.
            let flips = if name.starts_with("torn") { 0 } else { bytes.len() * 8 };
            for bit in 0..flips {
                check(&flipped_bit(&bytes, bit), format!("bit {bit}"));
            }
            for cut in 0..bytes.len() {
                check(&bytes[..cut], format!("cut at {cut}"));
            }
            seen += 1;
        }
        assert!(seen >= least, "{layout}: {seen}");
    }
}

fn flipped_bit(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

#[test]
fn golden_open() {
    check("open", &open());
}
