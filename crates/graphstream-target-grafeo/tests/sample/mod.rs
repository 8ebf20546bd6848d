//! The sample that the command line bundles: indexes first, then 4,998 mutations.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io::Read as _;

use graphstream_proto::JournalEntry;
use graphstream_proto::json::parse_line;

const SCHEMA: &str = include_str!("../../../graphstream-cli/sample/schema-grafeo.jsonl");
const DATA: &[u8] = include_bytes!("../../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");

/// The index statements.
pub(crate) fn schema() -> Vec<JournalEntry> {
    parse(SCHEMA)
}

/// The mutations.
pub(crate) fn data() -> Vec<JournalEntry> {
    let mut text = String::new();
    zstd::Decoder::new(DATA).unwrap().read_to_string(&mut text).unwrap();
    parse(&text)
}

fn parse(lines: &str) -> Vec<JournalEntry> {
    lines.lines().map(|line| parse_line(line, 0).unwrap()).collect()
}
