//! The journals that graphstream 0.3.0 itself wrote, and what its own reader returned for them.

use std::fs::File;
use std::path::{Path, PathBuf};

use graphstream_proto::{JournalEntry, ParamValue};
use serde_json::Value;

/// A journal closed cleanly: 600 entries.
pub const SEALED: (&str, u64) = ("sealed", 600);
/// A journal whose last segment was left open: 450 entries.
pub const UNSEALED_TAIL: (&str, u64) = ("unsealed-tail", 450);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../graphstream-format/tests/fixtures/graphstream-0.3.0")
}

/// The segments of a journal, ascending.
pub fn segments(journal: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join(journal))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hadbj"))
        .collect();
    files.sort();
    files
}

/// The lines beside the directory, as the predecessor's reader returned them.
pub fn expected(journal: &str) -> Vec<Value> {
    let file = File::open(fixtures().join(format!("{journal}.expected.jsonl.zst"))).unwrap();
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

/// Checks an entry, payload included, against its line; returns what the payload says.
pub fn check(expected: &Value, sequence: u64, chain_hash: &str, payload: &[u8]) -> JournalEntry {
    assert_eq!(expected["sequence"], sequence);
    assert_eq!(expected["chain_hash"], chain_hash, "sequence {sequence}");
    let entry = JournalEntry::decode(payload, sequence).unwrap();
    assert_eq!(expected["query"], entry.query, "sequence {sequence}");
    assert_eq!(expected["timestamp_ms"], entry.timestamp_ms, "sequence {sequence}");
    let params: Vec<_> = expected["params"].as_array().unwrap().iter().map(param).collect();
    assert_eq!(entry.params, params, "sequence {sequence}");
    assert_eq!(entry.uuid_override, None);
    entry
}
