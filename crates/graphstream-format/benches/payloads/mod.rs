//! What the benches of version 2 have in common: payloads, and the work that is measured.

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, KeyRing, SEGMENT_RANDOM_LEN};
use graphstream_format::open::EntryRef;
use graphstream_format::v2::{SegmentRange, Workers, Writer, frame_field, index_field};
use graphstream_format::{ChainHash, Compression, Entry, Lineage, ReadOptions, SegmentReader, SegmentStart};

pub const ENTRIES: u64 = 200_000;
pub const ZSTD: Compression = Compression::Zstd { level: 3 };
pub const COLUMNS: Compression = Compression::Columns { level: 3 };

pub type Payloads = Vec<(Vec<u8>, ChainHash)>;

fn chained(payloads: impl Iterator<Item = Vec<u8>>) -> Payloads {
    let mut chain = ChainHash::ZERO;
    let chained = payloads.map(|payload| {
        chain = chain.after(&payload);
        (payload, chain)
    });
    chained.collect()
}

pub fn text() -> Payloads {
    chained((0..ENTRIES).map(|index| {
        let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "CREATE (:Person {{id: $id, firstName: $firstName, birthday: $birthday, locationIP: $ip}}) \
             id={index} firstName=Name{} birthday={} ip={}.{}.{}.{}",
            scattered % 997,
            scattered % 20_000,
            scattered as u8,
            (scattered >> 8) as u8,
            (scattered >> 16) as u8,
            (scattered >> 24) as u8,
        )
        .into_bytes()
    }))
}

/// The sample again and again, which no frame is long enough to notice.
pub fn graph() -> Payloads {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
    let lines = zstd::decode_all(std::fs::File::open(sample).unwrap()).unwrap();
    let payloads: Vec<Vec<u8>> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| message(&serde_json::from_slice(line).unwrap()))
        .collect();
    chained(payloads.iter().cloned().cycle().take(ENTRIES as usize))
}

/// One line as journal.proto has it.
fn message(line: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    delimited(1, line["query"].as_str().unwrap().as_bytes(), &mut out);
    for (key, value) in line["params"].as_object().unwrap() {
        let (mut param, mut inner) = (Vec::new(), Vec::new());
        match value.as_i64() {
            Some(number) => {
                inner.push(3 << 3);
                varint(number.cast_unsigned(), &mut inner);
            }
            None => delimited(5, value.as_str().unwrap().as_bytes(), &mut inner),
        }
        delimited(1, key.as_bytes(), &mut param);
        delimited(2, &inner, &mut param);
        delimited(2, &param, &mut out);
    }
    out.push(3 << 3);
    varint(line["timestamp_ms"].as_u64().unwrap(), &mut out);
    out
}

fn delimited(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const START: SegmentStart = SegmentStart {
    lineage: Lineage::from_bytes([1; 16]),
    first_seq: 1,
    chain_before: ChainHash::ZERO,
    created_ms: 0,
};

pub fn seal(
    payloads: &[(Vec<u8>, ChainHash)],
    compression: Compression,
    workers: Option<&Workers>,
) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), START, compression).unwrap();
    if let Some(workers) = workers {
        writer = writer.with_workers(workers.clone());
    }
    fill(writer, payloads)
}

pub fn seal_encrypted(
    payloads: &[(Vec<u8>, ChainHash)],
    compression: Compression,
    keys: &KeyRing,
) -> Vec<u8> {
    let range = SegmentRange { last_seq: ENTRIES, first_commit_ms: 0, last_commit_ms: 0 };
    let (sink, random) = (Cursor::new(Vec::new()), [9; SEGMENT_RANDOM_LEN]);
    fill(Writer::encrypted(sink, START, compression, range, keys.current(), &random).unwrap(), payloads)
}

fn fill(mut writer: Writer<Cursor<Vec<u8>>>, payloads: &[(Vec<u8>, ChainHash)]) -> Vec<u8> {
    for (sequence, (payload, chain_hash)) in (1..).zip(payloads) {
        writer.push_verified(EntryRef { sequence, commit_ms: 0, chain_hash: *chain_hash, payload }).unwrap();
    }
    writer.finish().unwrap().inner.into_inner()
}

pub fn verify(file: &[u8], workers: Option<&Workers>, keys: Option<&Arc<KeyRing>>) {
    let mut options = ReadOptions::default();
    options.keys = keys.cloned();
    let mut reader = SegmentReader::new(file, file.len() as u64, options).unwrap();
    if let Some(workers) = workers {
        reader = reader.with_workers(workers.clone());
    }
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        black_box(&entry.payload);
    }
    assert_eq!(reader.end().unwrap().entries, ENTRIES);
}

/// The entries of each frame as they are stored.
pub fn frames(file: &[u8]) -> Vec<&[u8]> {
    let footer = &file[file.len() - 64..];
    let at = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let index = &file[at(footer, 0)..file.len() - 96];
    let mut frames = Vec::new();
    for row in index.chunks(56) {
        let frame = &file[at(row, index_field::OFFSET)..];
        let stored_len = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
        frames.push(&frame[frame_field::ENTRIES..][..stored_len]);
    }
    frames
}

/// zstd over the rows of the same frames, and nothing else.
pub struct Alone {
    plain: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
    out: Vec<u8>,
}

impl Alone {
    pub fn new(payloads: &Payloads) -> Self {
        Self {
            plain: seal(payloads, Compression::None, None),
            compressor: zstd::bulk::Compressor::new(3).unwrap(),
            out: Vec::with_capacity(1 << 20),
        }
    }

    pub fn run(&mut self) -> usize {
        let frames = frames(&self.plain);
        frames.iter().map(|raw| self.compressor.compress_to_buffer(raw, &mut self.out).unwrap()).sum()
    }
}

/// Decompressing frames of rows, their CRC and the chain over the same payloads, and nothing else.
pub struct Bare<'p> {
    payloads: &'p Payloads,
    packed: Vec<u8>,
    decompressor: zstd::bulk::Decompressor<'static>,
    out: Vec<u8>,
}

impl<'p> Bare<'p> {
    pub fn new(payloads: &'p Payloads) -> Self {
        Self {
            payloads,
            packed: seal(payloads, ZSTD, None),
            decompressor: zstd::bulk::Decompressor::new().unwrap(),
            out: Vec::with_capacity(1 << 20),
        }
    }

    pub fn run(&mut self) -> (u32, ChainHash) {
        let mut crc = 0;
        for stored in frames(&self.packed) {
            crc ^= crc32c::crc32c(stored);
            self.decompressor.decompress_to_buffer(stored, &mut self.out).unwrap();
        }
        (crc, self.payloads.iter().fold(ChainHash::ZERO, |chain, (payload, _)| chain.after(payload)))
    }
}

pub fn keys() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(DataKey::taking(&mut [7; 32])))
}
