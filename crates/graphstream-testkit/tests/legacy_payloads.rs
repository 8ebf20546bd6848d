//! Every payload of the journals that graphstream 0.3.0 itself wrote is read exactly as its own reader returned it: query, parameters in
//! order, timestamp; both directories, the open tail included.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::path::{Path, PathBuf};

use graphstream_format::{ReadOptions, SegmentReader};
use graphstream_proto::{JournalEntry, ParamValue, Schema, schema_of};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../graphstream-format/tests/fixtures/graphstream-0.3.0")
}

/// The entries of a directory: sequence, chain hash and payload.
fn entries(directory: &str) -> Vec<(u64, String, Vec<u8>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hadbj"))
        .collect();
    files.sort();
    let mut entries = Vec::new();
    for path in files {
        let file = File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        for entry in SegmentReader::new(file, length, ReadOptions::default()).unwrap() {
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            entries.push((entry.sequence, entry.chain_hash.to_string(), entry.payload));
        }
    }
    entries
}

/// The lines beside the directory, as the predecessor's reader returned them.
fn expected(directory: &str) -> Vec<Value> {
    let file = File::open(fixtures().join(format!("{directory}.expected.jsonl.zst"))).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn param(pair: &Value) -> (String, ParamValue) {
    let key = pair[0].as_str().unwrap().to_owned();
    let value = match &pair[1] {
        Value::Null => ParamValue::Null,
        Value::Bool(bool) => ParamValue::Bool(*bool),
        Value::String(text) => ParamValue::String(text.clone()),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| ParamValue::Double(number.as_f64().unwrap()), ParamValue::Int64)
        }
        other => panic!("the fixtures have no {other}"),
    };
    (key, value)
}

fn check(directory: &str, count: usize) {
    let (entries, expected) = (entries(directory), expected(directory));
    assert_eq!((entries.len(), expected.len()), (count, count), "{directory}");
    for ((sequence, chain_hash, payload), expected) in entries.into_iter().zip(expected) {
        assert_eq!(expected["sequence"], sequence);
        assert_eq!(expected["chain_hash"], chain_hash);
        assert_eq!(schema_of(&payload).unwrap(), Schema::Predecessor);
        let entry = JournalEntry::decode(&payload, sequence).unwrap();
        assert_eq!(expected["query"], entry.query, "sequence {sequence}");
        assert_eq!(expected["timestamp_ms"], entry.timestamp_ms, "sequence {sequence}");
        let params: Vec<_> = expected["params"].as_array().unwrap().iter().map(param).collect();
        assert_eq!(entry.params, params, "sequence {sequence}");
        assert_eq!(entry.uuid_override, None);

        // The same entry as a payload of ours says the same; under another sequence the predecessor's is refused.
        let ours = entry.encode().unwrap();
        assert_eq!(schema_of(&ours).unwrap(), Schema::V1);
        assert_eq!(JournalEntry::decode(&ours, sequence + 1).unwrap(), entry);
        JournalEntry::decode(&payload, sequence + 1).unwrap_err();
    }
}

#[test]
fn the_cleanly_closed_journal_is_read_as_the_predecessor_read_it() {
    check("sealed", 600);
}

#[test]
fn the_journal_with_an_open_segment_is_read_as_the_predecessor_read_it() {
    check("unsealed-tail", 450);
}

#[test]
fn both_crates_have_the_same_limit() {
    assert_eq!(graphstream_proto::limits::PAYLOAD_BYTES_MAX, graphstream_format::limits::PAYLOAD_BYTES_MAX);
}
