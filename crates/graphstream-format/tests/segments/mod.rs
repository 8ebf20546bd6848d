//! Builds segments for the tests and reads them back, whatever they are.
#![allow(dead_code, unreachable_pub)]

use std::fmt::Write as _;
use std::io::Cursor;

use graphstream_format::header::{FLAG_COLUMNS, FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, Header, field};
use graphstream_format::open::{Nonce, OpenHeader, Placement, RECORDS_START, RecordEncoder};
use graphstream_format::v2::{FOOTER_LEN, footer_field, frame_field};
use graphstream_format::{
    ChainHash, Compression, Entry, Error, Lineage, ReadOptions, Result, SegmentEnd, SegmentReader,
    SegmentStart, SegmentVersion, SegmentWriter, WriteOptions,
};
use sha2::{Digest, Sha256};

pub const CREATED_MS: i64 = 1_700_000_000_000;

pub fn start() -> SegmentStart {
    SegmentStart {
        lineage: Lineage::from_bytes(*b"0123456789abcdef"),
        first_seq: 1,
        chain_before: ChainHash::ZERO,
        created_ms: CREATED_MS,
    }
}

pub fn payload(sequence: u64) -> Vec<u8> {
    format!("CREATE (:Person {{id: {sequence}}})").into_bytes()
}

/// A sealed segment of these payloads; entry `i` (from 0) was committed `i` ms after its creation.
pub fn sealed_as(
    version: SegmentVersion,
    start: SegmentStart,
    payloads: &[Vec<u8>],
    compression: Compression,
) -> Vec<u8> {
    let options = WriteOptions::default().with_version(version).with_compression(compression);
    let mut writer = SegmentWriter::new(Cursor::new(Vec::new()), start, &options).unwrap();
    for (index, payload) in payloads.iter().enumerate() {
        assert_eq!(writer.push(payload, CREATED_MS + index as i64).unwrap(), start.first_seq + index as u64);
    }
    writer.finish().unwrap().inner.into_inner()
}

/// The same in version 1.
pub fn sealed_from(start: SegmentStart, payloads: &[Vec<u8>], compression: Compression) -> Vec<u8> {
    sealed_as(SegmentVersion::V1, start, payloads, compression)
}

pub fn sealed(entries: u64, compression: Compression) -> Vec<u8> {
    sealed_from(start(), &payloads(entries), compression)
}

/// A version 2 segment of one frame.
pub fn sealed_v2(entries: u64, compression: Compression) -> Vec<u8> {
    sealed_as(SegmentVersion::V2, start(), &payloads(entries), compression)
}

/// As `journal.proto` has entries: a query, parameters {id, name}, a time.
pub fn message(sequence: u64) -> Vec<u8> {
    let delimited = |field: u8, bytes: &[u8], out: &mut Vec<u8>| {
        out.push(field << 3 | 2);
        varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    };
    let (mut payload, mut id, mut name) = (Vec::new(), vec![3 << 3], Vec::new());
    let query = ["CREATE (:Person {id: $id, name: $name})", "MATCH (p {id: $id}) SET p.name = $name"];
    delimited(1, query[sequence as usize % 3 / 2].as_bytes(), &mut payload);
    varint(1000 + 7 * sequence, &mut id);
    delimited(5, format!("name {sequence}").as_bytes(), &mut name);
    for (key, value) in [("id", id), ("name", name)] {
        let mut param = Vec::new();
        delimited(1, key.as_bytes(), &mut param);
        delimited(2, &value, &mut param);
        delimited(2, &param, &mut payload);
    }
    payload.push(3 << 3);
    varint(CREATED_MS as u64 + sequence, &mut payload);
    payload
}

pub fn messages(entries: u64) -> Vec<Vec<u8>> {
    (1..=entries).map(message).collect()
}

pub fn payloads(entries: u64) -> Vec<Vec<u8>> {
    (1..=entries).map(payload).collect()
}

/// A version 2 segment put together by hand, frame by frame: with frames smaller than the writer would cut them, and with anything in them
/// that a test wants. Checksums are computed at the end.
#[derive(Clone)]
pub struct Frames {
    pub start: SegmentStart,
    pub compressed: bool,
    /// Whether it says that there are columns. [`Frames::push`] stores rows so, too.
    pub columns: bool,
    /// The frames' bytes.
    pub frames: Vec<Vec<u8>>,
    pub next_seq: u64,
    pub commit_ms: i64,
    pub chain: ChainHash,
}

impl Frames {
    pub fn new(start: SegmentStart, compressed: bool) -> Self {
        let (next_seq, chain) = (start.first_seq, start.chain_before);
        let commit_ms = CREATED_MS - 1;
        Self { start, compressed, columns: false, frames: Vec::new(), next_seq, commit_ms, chain }
    }

    /// Three frames of two, one and three standard payloads.
    pub fn standard(compressed: bool) -> Self {
        let mut frames = Self::new(start(), compressed);
        let payloads = payloads(6);
        for part in [&payloads[..2], &payloads[2..3], &payloads[3..]] {
            frames.push(part);
        }
        frames
    }

    /// A frame of these payloads, one millisecond apart.
    pub fn push(&mut self, payloads: &[Vec<u8>]) {
        let (mut raw, chain_before) = (Vec::new(), self.chain);
        for (index, payload) in payloads.iter().enumerate() {
            varint(payload.len() as u64, &mut raw);
            varint((index > 0).into(), &mut raw);
            raw.extend_from_slice(payload);
            self.chain = self.chain.after(payload);
        }
        let raw_len = raw.len() as u32;
        if self.columns {
            raw.insert(0, 0);
        }
        self.push_as(payloads.len() as u32, &raw, raw_len, chain_before);
    }

    /// A frame of these payloads, stored as this columnar form.
    pub fn push_columnar(&mut self, payloads: &[Vec<u8>], columnar: &[u8]) {
        let (mut raw_len, chain_before) = (0, self.chain);
        for payload in payloads {
            assert!(payload.len() < 128);
            raw_len += 2 + payload.len() as u32;
            self.chain = self.chain.after(payload);
        }
        self.push_as(payloads.len() as u32, columnar, raw_len, chain_before);
    }

    fn push_as(&mut self, count: u32, stored: &[u8], raw_len: u32, chain_before: ChainHash) {
        let frame = self.frame(stored, raw_len, count, chain_before);
        self.frames.push(frame);
        self.next_seq += u64::from(count);
        self.commit_ms += i64::from(count);
    }

    /// The next frame, whatever it says about what it holds.
    pub fn frame(&self, raw: &[u8], raw_len: u32, count: u32, chain_before: ChainHash) -> Vec<u8> {
        let stored = if self.compressed { zstd::bulk::compress(raw, 3).unwrap() } else { raw.to_vec() };
        let mut frame = vec![0; 4];
        for field in [stored.len() as u32, raw_len, count] {
            frame.extend_from_slice(&field.to_be_bytes());
        }
        frame.extend_from_slice(&self.next_seq.to_be_bytes());
        frame.extend_from_slice(&(self.commit_ms + 1).to_be_bytes());
        frame.extend_from_slice(chain_before.as_bytes());
        frame.extend_from_slice(&stored);
        fix_frame(&mut frame);
        frame
    }

    /// The file, every checksum of it right, its index and footer as the frames say.
    pub fn file(&self) -> Vec<u8> {
        let mut file = vec![0; HEADER_LEN];
        let mut index = Vec::new();
        for frame in &self.frames {
            index.extend_from_slice(&(file.len() as u64).to_be_bytes());
            index.extend_from_slice(&frame[frame_field::FIRST_SEQ..frame_field::ENTRIES]);
            file.extend_from_slice(frame);
        }
        let mut flags = if self.compressed { FLAG_SEALED | FLAG_COMPRESSED } else { FLAG_SEALED };
        if self.columns {
            flags |= FLAG_COLUMNS;
        }
        let mut footer = (file.len() as u64).to_be_bytes().to_vec();
        footer.extend_from_slice(&(index.len() as u32).to_be_bytes());
        footer.extend_from_slice(&(self.frames.len() as u32).to_be_bytes());
        footer.extend_from_slice(&self.start.first_seq.to_be_bytes());
        footer.extend_from_slice(&(self.next_seq - 1).to_be_bytes());
        footer.extend_from_slice(&[2, flags]);
        footer.resize(footer_field::CRC32C, 0);
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_be_bytes());
        file.extend_from_slice(&index);
        file.extend_from_slice(self.chain.as_bytes());
        let header = Header {
            version: 2,
            flags,
            compression: u8::from(self.compressed) + u8::from(self.columns),
            ext_len: 0,
            first_seq: self.start.first_seq,
            last_seq: self.next_seq - 1,
            entry_count: self.next_seq - self.start.first_seq,
            body_len: (file.len() - HEADER_LEN) as u64,
            body_checksum: Sha256::digest(&file[HEADER_LEN..]).into(),
            prev_segment_checksum: self.start.chain_before.prefix_u64(),
            created_ms: self.start.created_ms,
            lineage: self.start.lineage,
            first_commit_ms: CREATED_MS,
            last_commit_ms: self.commit_ms,
        };
        file[..HEADER_LEN].copy_from_slice(&header.encode());
        file.extend_from_slice(&footer);
        file
    }
}

/// Makes the CRC of a frame right.
pub fn fix_frame(frame: &mut [u8]) {
    let crc = crc32c::crc32c(&frame[frame_field::STORED_LEN..]);
    frame[..4].copy_from_slice(&crc.to_be_bytes());
}

/// Puts bytes into the header and makes its CRC right.
pub fn reheader(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&file[..field::HEADER_CRC32C]);
    file[field::HEADER_CRC32C..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
    file
}

/// Puts bytes into the body of a version 2 segment and makes body checksum and header right.
pub fn rebody(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let checksum: [u8; 32] = Sha256::digest(&file[HEADER_LEN..file.len() - FOOTER_LEN]).into();
    reheader(file, field::BODY_CHECKSUM, &checksum)
}

/// Puts bytes into the footer and makes its CRC right.
pub fn refooter(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    let start = file.len() - FOOTER_LEN;
    file[start + at..start + at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&file[start..start + footer_field::CRC32C]);
    file[start + footer_field::CRC32C..].copy_from_slice(&crc.to_be_bytes());
    file
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn columns() -> Compression {
    Compression::Columns { level: 3 }
}

pub fn zstd() -> Compression {
    Compression::Zstd { level: 3 }
}

/// An open segment under construction.
#[derive(Clone)]
pub struct OpenFile {
    pub bytes: Vec<u8>,
    pub header: OpenHeader,
    pub next_seq: u64,
    pub commit_ms: i64,
    /// File offset of every record.
    pub records: Vec<u64>,
    /// What the next record says was on disk.
    pub durable_offset: u64,
}

impl OpenFile {
    pub fn new() -> Self {
        Self::starting(start(), [0xc3; 16])
    }

    pub fn starting(start: SegmentStart, nonce: [u8; 16]) -> Self {
        let header = OpenHeader { start, nonce: Nonce::from_bytes(nonce) };
        Self {
            bytes: header.encode().unwrap().to_vec(),
            header,
            next_seq: start.first_seq,
            commit_ms: CREATED_MS,
            records: Vec::new(),
            durable_offset: RECORDS_START,
        }
    }

    /// The next record, holding these payloads, one millisecond apart.
    pub fn encode(&mut self, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut encoder = RecordEncoder::new(self.header.nonce);
        encoder.begin(self.next_seq);
        for payload in payloads {
            self.commit_ms += 1;
            encoder.push(payload, self.commit_ms).unwrap();
        }
        self.next_seq = self.next_seq.wrapping_add(payloads.len() as u64);
        let placement = Placement { offset: self.bytes.len() as u64, durable_offset: self.durable_offset };
        encoder.finish(placement).unwrap().to_vec()
    }

    pub fn push(&mut self, payloads: &[Vec<u8>]) {
        let record = self.encode(payloads);
        self.records.push(self.bytes.len() as u64);
        self.bytes.extend_from_slice(&record);
    }

    /// A record of the next `count` standard payloads.
    pub fn push_standard(&mut self, count: u64) {
        let payloads: Vec<_> = (self.next_seq..self.next_seq + count).map(payload).collect();
        self.push(&payloads);
    }

    /// An fdatasync that covers everything so far.
    pub fn sync(&mut self) {
        self.durable_offset = self.bytes.len() as u64;
    }
}

/// Everything a reader gives out before it ends or fails.
pub struct Read {
    pub entries: Vec<Entry>,
    pub end: Result<SegmentEnd>,
}

pub fn read(bytes: &[u8]) -> Read {
    read_with(bytes, ReadOptions::default())
}

pub fn read_with(bytes: &[u8], options: ReadOptions) -> Read {
    let mut reader = match SegmentReader::new(bytes, bytes.len() as u64, options) {
        Ok(reader) => reader,
        Err(error) => return Read { entries: Vec::new(), end: Err(error) },
    };
    let mut entries = Vec::new();
    let mut failure: Option<Error> = None;
    for item in reader.by_ref() {
        assert!(failure.is_none(), "an item after an error");
        match item {
            Ok(entry) => entries.push(entry),
            Err(error) => failure = Some(error),
        }
    }
    assert!(reader.next().is_none(), "an item after the end");
    let end = match failure {
        Some(error) => {
            assert!(reader.end().is_none(), "an end after an error");
            Err(error)
        }
        None => Ok(*reader.end().expect("an end or an error")),
    };
    Read { entries, end }
}

/// The whole error with its sources, as a user would see it.
pub fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        write!(text, ": {error}").unwrap();
        source = error.source();
    }
    text
}

/// A segment field by field, entry by entry.
pub fn render(bytes: &[u8]) -> String {
    render_with(bytes, &ReadOptions::default())
}

pub fn render_with(bytes: &[u8], options: &ReadOptions) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    match SegmentReader::new(bytes, bytes.len() as u64, options.clone()) {
        Ok(reader) => {
            let header = reader.header();
            line(format!("kind {:?}", reader.kind()));
            line(format!(
                "version {} flags {:#04x} compression {}",
                header.version, header.flags, header.compression
            ));
            line(format!("first_seq {} last_seq {}", header.first_seq, header.last_seq));
            line(format!("entry_count {} ext_len {}", header.entry_count, header.ext_len));
            line(format!("prev_segment_checksum {:016x}", header.prev_segment_checksum));
            line(format!("created_ms {}", header.created_ms));
            line(format!("lineage {}", header.lineage));
            line(format!(
                "first_commit_ms {} last_commit_ms {}",
                header.first_commit_ms, header.last_commit_ms
            ));
        }
        Err(error) => line(format!("error {}", text(&error))),
    }
    let read = read_with(bytes, options.clone());
    for entry in read.entries {
        line(format!(
            "entry {} {}{} {} {}",
            entry.sequence,
            entry.commit_ms,
            if entry.commit_exact { "" } else { " at most" },
            entry.chain_hash,
            String::from_utf8_lossy(&entry.payload)
        ));
    }
    match read.end {
        Ok(end) => {
            line(format!("end {} entries {} {}", end.last_seq, end.entries, end.chain_hash));
            if let Some(torn) = end.torn {
                line(format!("torn at {}: {}", torn.offset, torn.why));
            }
        }
        Err(error) => line(format!("error {}", text(&error))),
    }
    out
}
