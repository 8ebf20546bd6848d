//! What is behind the header: entries and their payloads, read and verified.

use graphstream::format::header::HEADER_LEN;
use graphstream::format::{Entry, Header, SegmentEnd, SegmentKind};
use graphstream::proto::{Schema, schema_of};
use serde::Serialize;

use super::frames::{Frames, Records};
use super::{Args, open};
use crate::exit::Code;
use crate::failure::Failure;

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
    pub(super) frames: Option<Frames>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chain_hash: Option<String>,
    pub(super) body_checksum_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) torn_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
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
    let mut body = Body { stored_bytes: file_bytes.saturating_sub(HEADER_LEN as u64), ..Body::default() };
    body.commit_times_exact = matches!(header.kind(), SegmentKind::Open | SegmentKind::SealedV2);
    let (mut rows, mut entry) = (Vec::new(), Entry::default());
    let mut reader = match open(args, header) {
        Ok(reader) => reader,
        // What is wrong is in the bytes behind the header, or how many there are; or the key is missing.
        Err(failure) if failure.code() == Code::Integrity || header.is_encrypted() => {
            body.status = status(header, &failure);
            body.body_checksum_verified = body.status == "encrypted";
            body.problem = Some(failure.sentence());
            return Ok((body, rows, Some(failure)));
        }
        Err(failure) => return Err(failure),
    };
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
            body.status = failure.as_ref().map_or("damaged", |failure| status(header, failure));
            body.problem = failure.as_ref().map(Failure::sentence);
        }
    }
    Ok((body, rows, failure))
}

/// Of a body that was not read to its end: an encrypted one without its key is not damaged for that.
fn status(header: &Header, failure: &Failure) -> &'static str {
    if header.is_encrypted() && failure.code() != Code::Integrity { "encrypted" } else { "damaged" }
}
