//! Builds segments for the tests and reads them back, whatever they are.
#![allow(dead_code, unreachable_pub)]

use std::fmt::Write as _;
use std::io::Cursor;

use graphstream_format::open::{Nonce, OpenHeader, Placement, RECORDS_START, RecordEncoder};
use graphstream_format::{
    ChainHash, Compression, Entry, Error, Lineage, ReadOptions, Result, SegmentEnd, SegmentReader,
    SegmentStart, v1,
};

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

/// A sealed version 1 segment of these payloads; entry `i` (from 0) was committed `i` ms after its creation.
pub fn sealed_from(start: SegmentStart, payloads: &[Vec<u8>], compression: Compression) -> Vec<u8> {
    let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start, compression).unwrap();
    for (index, payload) in payloads.iter().enumerate() {
        assert_eq!(writer.push(payload, CREATED_MS + index as i64).unwrap(), start.first_seq + index as u64);
    }
    writer.finish().unwrap().inner.into_inner()
}

pub fn sealed(entries: u64, compression: Compression) -> Vec<u8> {
    let payloads: Vec<_> = (1..=entries).map(payload).collect();
    sealed_from(start(), &payloads, compression)
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
        self.next_seq += payloads.len() as u64;
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
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    match SegmentReader::new(bytes, bytes.len() as u64, ReadOptions::default()) {
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
    let read = read(bytes);
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
