//! What is behind the header: entries, payloads, and the records of an open segment.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use graphstream::format::header::HEADER_LEN;
use graphstream::format::open::{ALIGNMENT, EXTENSION_LEN, RECORD_HEADER_LEN, record_field};
use graphstream::format::{Entry, Header, ReadOptions, SegmentEnd, SegmentKind};
use graphstream::proto::{Schema, schema_of};
use serde::Serialize;

use super::Args;
use crate::failure::Failure;
use crate::segments;

/// What reading the body gave; with damage, what was whole before it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Body {
    pub(super) status: &'static str,
    pub(super) entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_commit_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_commit_ms: Option<i64>,
    pub(super) commit_times_exact: bool,
    pub(super) payload_bytes: u64,
    pub(super) payload_bytes_largest: u64,
    pub(super) stored_bytes: u64,
    /// Payloads in our schema, in the predecessor's, and in neither.
    pub(super) payloads_v1: u64,
    pub(super) payloads_graphd: u64,
    pub(super) payloads_other: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) records: Option<Records>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chain_hash: Option<String>,
    pub(super) body_checksum_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) torn_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

/// The records of an open segment.
#[derive(Debug, Default, Serialize)]
pub(super) struct Records {
    pub(super) count: u64,
    pub(super) entries_largest: u64,
    pub(super) bytes_largest: u64,
    pub(super) end_offset: u64,
    pub(super) durable_offset: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct EntryRow {
    pub(super) sequence: u64,
    pub(super) commit_ms: i64,
    pub(super) payload_bytes: usize,
    pub(super) chain_hash: String,
}

pub(super) fn read_body(
    args: &Args,
    header: &Header,
    file_bytes: u64,
) -> Result<(Body, Vec<EntryRow>, Option<Failure>), Failure> {
    let mut reader = segments::open(&args.file, ReadOptions::default())?;
    let mut body = Body { stored_bytes: file_bytes.saturating_sub(HEADER_LEN as u64), ..Body::default() };
    body.commit_times_exact = matches!(header.kind(), SegmentKind::Open | SegmentKind::SealedV2);
    let (mut rows, mut entry) = (Vec::new(), Entry::default());
    let failure = loop {
        match reader.read_next(&mut entry) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(Failure::in_segment(&args.file, &error)),
        }
        let length = entry.payload.len() as u64;
        body.entries += 1;
        body.first_sequence.get_or_insert(entry.sequence);
        body.last_sequence = Some(entry.sequence);
        body.first_commit_ms.get_or_insert(entry.commit_ms);
        body.last_commit_ms = Some(entry.commit_ms);
        body.payload_bytes += length;
        body.payload_bytes_largest = body.payload_bytes_largest.max(length);
        body.chain_hash = Some(entry.chain_hash.to_string());
        match schema_of(&entry.payload) {
            Ok(Schema::V1) => body.payloads_v1 += 1,
            Ok(_) => body.payloads_graphd += 1,
            Err(_) => body.payloads_other += 1,
        }
        if args.entries {
            rows.push(EntryRow {
                sequence: entry.sequence,
                commit_ms: entry.commit_ms,
                payload_bytes: entry.payload.len(),
                chain_hash: entry.chain_hash.to_string(),
            });
        }
    };
    match (&failure, reader.end()) {
        (None, Some(SegmentEnd { body_checksum_verified, torn, chain_hash, .. })) => {
            body.status = if torn.is_some() { "torn" } else { "whole" };
            body.body_checksum_verified = *body_checksum_verified;
            body.chain_hash = Some(chain_hash.to_string());
            body.torn_offset = torn.map(|torn| torn.offset);
            body.problem = torn.map(|torn| torn.why.to_string());
        }
        _ => {
            body.status = "damaged";
            body.problem = failure.as_ref().map(Failure::sentence);
        }
    }
    Ok((body, rows, failure))
}

/// Counts the records up to the last whole entry. Their checksums were verified by the reader; here only lengths are followed.
pub(super) fn walk_records(file: &mut File, last_sequence: Option<u64>, file_bytes: u64) -> Records {
    let mut records = Records { end_offset: (HEADER_LEN + EXTENSION_LEN) as u64, ..Records::default() };
    let Some(last_sequence) = last_sequence else { return records };
    loop {
        let mut fixed = [0; RECORD_HEADER_LEN];
        let read = file.seek(SeekFrom::Start(records.end_offset)).and_then(|_| file.read_exact(&mut fixed));
        if read.is_err() {
            return records;
        }
        let number = |at: usize, length: usize| {
            fixed
                .get(at..at + length)
                .unwrap_or_default()
                .iter()
                .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        let (length, entries) = (number(record_field::LENGTH, 4), number(record_field::COUNT, 4));
        let last = number(record_field::FIRST_SEQ, 8).saturating_add(entries).saturating_sub(1);
        let whole = (RECORD_HEADER_LEN as u64 + length).next_multiple_of(ALIGNMENT as u64);
        if entries == 0 || last > last_sequence || records.end_offset.saturating_add(whole) > file_bytes {
            return records;
        }
        records.count += 1;
        records.entries_largest = records.entries_largest.max(entries);
        records.bytes_largest = records.bytes_largest.max(whole);
        records.durable_offset = number(record_field::DURABLE_OFFSET, 8);
        records.end_offset += whole;
        if last == last_sequence {
            return records;
        }
    }
}
