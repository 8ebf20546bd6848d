//! Counts and a digest over all rows, independent of internal ids and of the order of insertion.
//!
//! ```text
//! node row   ["node",["Label",...],{"key":value,...}]                      labels and keys sorted, nulls left out
//! rel row    ["rel","TYPE","<hash of start>","<hash of end>",{"key":value,...}]
//! hash       SHA-256 of the row's bytes, lowercase hex
//! digest     SHA-256 over all hashes, sorted, each followed by a newline
//! ```
//!
//! Rows are JSON without spaces; strings escape only what JSON requires. `{"$f64":"<16 hex digits>"}` is a double by its bits, bytes
//! and temporals are one-key objects as in the journal's JSON, `{"$vector":"<8 hex digits for each>"}` is a vector. A follower in another database can compute the same.
//!
//! A relationship names its ends by their content. Two graphs are told apart unless they differ only in which of several
//! nodes with equal labels and properties a relationship hangs on.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use grafeo::{GraphStore, NodeId};
use graphstream_proto::{ParamValue, TemporalKind};
use sha2::{Digest, Sha256};

use crate::{Result, from_grafeo};

/// What is in a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphDigest {
    /// Nodes by label; one with several labels counts for each, one without counts for the empty label.
    pub nodes: BTreeMap<String, u64>,
    /// Relationships by type.
    pub relationships: BTreeMap<String, u64>,
    /// All nodes.
    pub node_count: u64,
    /// All relationships.
    pub relationship_count: u64,
    /// SHA-256 over all rows, lowercase hex.
    pub sha256: String,
}

/// Walks over the whole graph.
pub(crate) fn of_store(store: &dyn GraphStore) -> Result<GraphDigest> {
    let mut nodes = BTreeMap::new();
    let mut relationships = BTreeMap::new();
    let mut hashes = Vec::new();
    let mut hash_of: HashMap<NodeId, String> = HashMap::new();
    let mut row = String::new();
    let ids = store.node_ids();
    for &id in &ids {
        let Some(node) = store.get_node(id) else { continue };
        let mut labels: Vec<&str> = node.labels.iter().map(|label| label.as_str()).collect();
        labels.sort_unstable();
        row.clear();
        row.push_str("[\"node\",[");
        for (n, label) in labels.iter().enumerate() {
            if n > 0 {
                row.push(',');
            }
            push_string(label, &mut row);
        }
        row.push_str("],");
        push_properties(node.properties.iter().map(|(k, v)| (k.as_str(), v)), &mut row)?;
        row.push(']');
        for label in &labels {
            *nodes.entry((*label).to_owned()).or_default() += 1;
        }
        if labels.is_empty() {
            *nodes.entry(String::new()).or_default() += 1;
        }
        let hash = sha256(row.as_bytes());
        hashes.push(hash.clone());
        hash_of.insert(id, hash);
    }
    let node_count = hashes.len() as u64;
    for &id in &ids {
        for (_, edge) in store.edges_from(id, grafeo_core::graph::Direction::Outgoing) {
            let Some(edge) = store.get_edge(edge) else { continue };
            let (Some(start), Some(end)) = (hash_of.get(&edge.src), hash_of.get(&edge.dst)) else { continue };
            row.clear();
            row.push_str("[\"rel\",");
            push_string(&edge.edge_type, &mut row);
            // Writing to a String doesn't fail.
            let _ = write!(row, ",\"{start}\",\"{end}\",");
            push_properties(edge.properties.iter().map(|(k, v)| (k.as_str(), v)), &mut row)?;
            row.push(']');
            *relationships.entry(edge.edge_type.to_string()).or_default() += 1;
            hashes.push(sha256(row.as_bytes()));
        }
    }
    let relationship_count = hashes.len() as u64 - node_count;
    hashes.sort_unstable();
    let mut all = Sha256::new();
    for hash in &hashes {
        all.update(hash.as_bytes());
        all.update(b"\n");
    }
    let sha256 = hex(&all.finalize());
    Ok(GraphDigest { nodes, relationships, node_count, relationship_count, sha256 })
}

fn push_properties<'a>(
    properties: impl Iterator<Item = (&'a str, &'a grafeo::Value)>,
    row: &mut String,
) -> Result<()> {
    let mut properties: Vec<_> =
        properties.filter(|(_, value)| !matches!(value, grafeo::Value::Null)).collect();
    properties.sort_unstable_by_key(|(key, _)| *key);
    row.push('{');
    for (n, (key, value)) in properties.into_iter().enumerate() {
        if n > 0 {
            row.push(',');
        }
        push_string(key, row);
        row.push(':');
        match value {
            // No parameter can be one, but the function vector() makes them.
            grafeo::Value::Vector(values) => {
                row.push_str("{\"$vector\":\"");
                for value in values.iter() {
                    let _ = write!(row, "{:08x}", value.to_bits());
                }
                row.push_str("\"}");
            }
            _ => push_value(&from_grafeo(value)?, row),
        }
    }
    row.push('}');
    Ok(())
}

fn push_value(value: &ParamValue, row: &mut String) {
    let mut tagged = |tag: &str, text: &str| {
        let _ = write!(row, "{{\"{tag}\":\"{text}\"}}");
    };
    match value {
        ParamValue::Null => row.push_str("null"),
        ParamValue::Bool(value) => row.push_str(if *value { "true" } else { "false" }),
        ParamValue::Int64(value) => {
            let _ = write!(row, "{value}");
        }
        ParamValue::Double(value) => tagged("$f64", &format!("{:016x}", value.to_bits())),
        ParamValue::String(value) => push_string(value, row),
        ParamValue::Bytes(value) => tagged("$bytes", &hex(value)),
        ParamValue::Temporal { kind, text } => tagged(
            match kind {
                TemporalKind::Date => "$date",
                TemporalKind::DateTime => "$datetime",
                TemporalKind::LocalDateTime => "$localdatetime",
                TemporalKind::Time => "$time",
                TemporalKind::LocalTime => "$localtime",
                TemporalKind::Duration => "$duration",
            },
            text,
        ),
        ParamValue::Uuid(text) => tagged("$uuid", text),
        ParamValue::Decimal(text) => tagged("$decimal", text),
        ParamValue::Int128(text) => tagged("$int128", text),
        ParamValue::Point { srid, x, y, z } => {
            let z = z.map_or("null".to_owned(), |z| format!("{:016x}", z.to_bits()));
            tagged("$point", &format!("{srid} {:016x} {:016x} {z}", x.to_bits(), y.to_bits()));
        }
        ParamValue::List(values) => {
            row.push('[');
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    row.push(',');
                }
                push_value(value, row);
            }
            row.push(']');
        }
        ParamValue::Map(values) => {
            row.push_str("{\"$map\":{");
            for (n, (key, value)) in values.iter().enumerate() {
                if n > 0 {
                    row.push(',');
                }
                push_string(key, row);
                row.push(':');
                push_value(value, row);
            }
            row.push_str("}}");
        }
    }
}

/// A JSON string with the escapes that JSON requires, the short ones where there are.
fn push_string(text: &str, row: &mut String) {
    row.push('"');
    for c in text.chars() {
        match c {
            '"' => row.push_str("\\\""),
            '\\' => row.push_str("\\\\"),
            '\n' => row.push_str("\\n"),
            '\r' => row.push_str("\\r"),
            '\t' => row.push_str("\\t"),
            '\u{8}' => row.push_str("\\b"),
            '\u{c}' => row.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(row, "\\u{:04x}", u32::from(c));
            }
            c => row.push(c),
        }
    }
    row.push('"');
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('?');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
