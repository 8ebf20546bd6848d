//! Every payload of the journals that graphstream 0.3.0 itself wrote is read exactly as its own reader returned it: query, parameters in
//! order, timestamp; both directories, the open tail included.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "shared between tests")]
mod recorded;

use std::fs::File;

use graphstream_format::{ReadOptions, SegmentReader};
use graphstream_proto::{JournalEntry, Schema, schema_of};

/// The entries of a journal: sequence, chain hash and payload.
fn entries(journal: &str) -> Vec<(u64, String, Vec<u8>)> {
    let mut entries = Vec::new();
    for path in recorded::segments(journal) {
        let file = File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        for entry in SegmentReader::new(file, length, ReadOptions::default()).unwrap() {
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            entries.push((entry.sequence, entry.chain_hash.to_string(), entry.payload));
        }
    }
    entries
}

fn check((journal, count): (&str, u64)) {
    let (entries, expected) = (entries(journal), recorded::expected(journal));
    assert_eq!((entries.len() as u64, expected.len() as u64), (count, count), "{journal}");
    for ((sequence, chain_hash, payload), expected) in entries.into_iter().zip(expected) {
        assert_eq!(schema_of(&payload).unwrap(), Schema::Predecessor);
        let entry = recorded::check(&expected, sequence, &chain_hash, &payload);

        // The same entry as a payload of ours says the same; under another sequence the predecessor's is refused.
        let ours = entry.encode().unwrap();
        assert_eq!(schema_of(&ours).unwrap(), Schema::V1);
        assert_eq!(JournalEntry::decode(&ours, sequence + 1).unwrap(), entry);
        JournalEntry::decode(&payload, sequence + 1).unwrap_err();
    }
}

#[test]
fn the_cleanly_closed_journal_is_read_as_the_predecessor_read_it() {
    check(recorded::SEALED);
}

#[test]
fn the_journal_with_an_open_segment_is_read_as_the_predecessor_read_it() {
    check(recorded::UNSEALED_TAIL);
}

#[test]
fn both_crates_have_the_same_limit() {
    assert_eq!(graphstream_proto::limits::PAYLOAD_BYTES_MAX, graphstream_format::limits::PAYLOAD_BYTES_MAX);
}
