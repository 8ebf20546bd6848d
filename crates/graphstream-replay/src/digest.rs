//! A digest of what is in a graph, the same for equal graphs in whatever database: independent of internal ids and of the order of
//! insertion.
//!
//! ```text
//! node row   ["node",["Label",...],{"key":value,...}]                      labels and keys sorted, nulls left out
//! rel row    ["rel","TYPE","<hash of start>","<hash of end>",{"key":value,...}]
//! hash       SHA-256 of the row's bytes, lowercase hex
//! digest     SHA-256 over all hashes, sorted, each followed by a newline
//! ```
//!
//! Rows are JSON without spaces; strings escape only what JSON requires. `{"$f64":"<16 hex digits>"}` is a double by its bits, bytes
//! and temporals are one-key objects as in the journal's JSON, `{"$vector":"<8 hex digits for each>"}` is a vector. Whoever keeps a graph can compute the
//! same: a [`GraphDigester`] takes its nodes and relationships one by one.
//!
//! A relationship names its ends by their content. Two graphs are told apart unless they differ only in which of several
//! nodes with equal labels and properties a relationship hangs on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use graphstream_proto::{ParamValue, TemporalKind};
use sha2::{Digest, Sha256};

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

/// A property's value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DigestValue<'a> {
    /// What a parameter can be. Null is as if there were no property.
    Param(Cow<'a, ParamValue>),
    /// A vector of numbers, which no parameter can be.
    Vector(&'a [f32]),
}

/// The hash of a node's row: by it, relationships name their ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeHash(String);

/// Takes the nodes and relationships of a graph, in any order but nodes before their relationships. Keeps 64 bytes of each.
#[derive(Debug, Default)]
pub struct GraphDigester {
    nodes: BTreeMap<String, u64>,
    relationships: BTreeMap<String, u64>,
    node_count: u64,
    hashes: Vec<String>,
    row: String,
}

impl GraphDigester {
    /// Nothing yet: the digest of an empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a node.
    pub fn node(&mut self, mut labels: Vec<&str>, properties: Vec<(&str, DigestValue<'_>)>) -> NodeHash {
        labels.sort_unstable();
        self.row.clear();
        self.row.push_str("[\"node\",[");
        for (n, label) in labels.iter().enumerate() {
            if n > 0 {
                self.row.push(',');
            }
            push_string(label, &mut self.row);
        }
        self.row.push_str("],");
        push_properties(properties, &mut self.row);
        self.row.push(']');
        for label in &labels {
            *self.nodes.entry((*label).to_owned()).or_default() += 1;
        }
        if labels.is_empty() {
            *self.nodes.entry(String::new()).or_default() += 1;
        }
        self.node_count += 1;
        let hash = sha256(self.row.as_bytes());
        self.hashes.push(hash.clone());
        NodeHash(hash)
    }

    /// Takes a relationship between two nodes.
    pub fn relationship(
        &mut self,
        kind: &str,
        start: &NodeHash,
        end: &NodeHash,
        properties: Vec<(&str, DigestValue<'_>)>,
    ) {
        self.row.clear();
        self.row.push_str("[\"rel\",");
        push_string(kind, &mut self.row);
        // Writing to a String doesn't fail.
        let _ = write!(self.row, ",\"{}\",\"{}\",", start.0, end.0);
        push_properties(properties, &mut self.row);
        self.row.push(']');
        *self.relationships.entry(kind.to_owned()).or_default() += 1;
        self.hashes.push(sha256(self.row.as_bytes()));
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(mut self) -> GraphDigest {
        self.hashes.sort_unstable();
        let mut all = Sha256::new();
        for hash in &self.hashes {
            all.update(hash.as_bytes());
            all.update(b"\n");
        }
        GraphDigest {
            node_count: self.node_count,
            relationship_count: self.hashes.len() as u64 - self.node_count,
            nodes: self.nodes,
            relationships: self.relationships,
            sha256: hex(&all.finalize()),
        }
    }
}

fn push_properties(mut properties: Vec<(&str, DigestValue<'_>)>, row: &mut String) {
    properties.retain(
        |(_, value)| !matches!(value, DigestValue::Param(param) if matches!(**param, ParamValue::Null)),
    );
    properties.sort_unstable_by_key(|(key, _)| *key);
    row.push('{');
    for (n, (key, value)) in properties.into_iter().enumerate() {
        if n > 0 {
            row.push(',');
        }
        push_string(key, row);
        row.push(':');
        match value {
            DigestValue::Vector(values) => {
                row.push_str("{\"$vector\":\"");
                for value in values {
                    let _ = write!(row, "{:08x}", value.to_bits());
                }
                row.push_str("\"}");
            }
            DigestValue::Param(value) => push_value(&value, row),
        }
    }
    row.push('}');
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DigestValue<'static> {
        DigestValue::Param(Cow::Owned(ParamValue::String(text.to_owned())))
    }

    #[test]
    fn order_and_nulls_make_no_difference_and_everything_else_does() {
        let digest = |turned: bool, name: &str, kind: &str, back: bool| {
            let mut graph = GraphDigester::new();
            let ada = |graph: &mut GraphDigester| {
                let nothing = DigestValue::Param(Cow::Owned(ParamValue::Null));
                graph.node(vec!["Person", "Author"], vec![("name", text(name)), ("born", nothing)])
            };
            let city = |graph: &mut GraphDigester| graph.node(vec!["City"], vec![("name", text("London"))]);
            let (ada, city) = if turned {
                let city = city(&mut graph);
                (ada(&mut graph), city)
            } else {
                (ada(&mut graph), city(&mut graph))
            };
            let (start, end) = if back { (&city, &ada) } else { (&ada, &city) };
            graph.relationship(kind, start, end, vec![]);
            graph.finish()
        };
        let one = digest(false, "Ada", "LIVES_IN", false);
        assert_eq!((one.node_count, one.relationship_count, one.nodes["Author"]), (2, 1, 1));
        assert_eq!(digest(true, "Ada", "LIVES_IN", false), one);
        for other in [
            digest(false, "Bob", "LIVES_IN", false),
            digest(false, "Ada", "BORN_IN", false),
            digest(false, "Ada", "LIVES_IN", true),
        ] {
            assert_ne!(other.sha256, one.sha256);
        }
        // The empty input of SHA-256: what an empty graph is known by.
        assert!(GraphDigester::new().finish().sha256.starts_with("e3b0c442"));
    }
}
