//! From an entry to a JSON line.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{EntryLine, keys};
use crate::{ParamValue, TemporalKind};

/// How a NaN whose bits are not the usual ones begins; 16 hexadecimal digits and `)` follow.
pub(super) const NAN_PREFIX: &str = "NaN(0x";

/// Appends an entry's line to `out`, without a newline at the end (there is none inside either).
///
/// ```
/// use std::borrow::Cow;
/// use graphstream_proto::{JournalEntry, json};
///
/// let entry = JournalEntry::new("RETURN $x", 5).with_param("x", 1.0);
/// let line = json::EntryLine {
///     sequence: 1,
///     commit_ms: 9,
///     chain_hash: "00".repeat(32).into(),
///     lineage: None,
///     entry: Cow::Borrowed(&entry),
/// };
/// let mut text = String::new();
/// json::write_line(&line, &mut text);
/// assert!(text.ends_with(r#""query":"RETURN $x","params":{"x":1.0},"timestamp_ms":5}"#));
/// assert_eq!(json::parse_entry_line(&text)?, line);
/// # Ok::<(), graphstream_proto::Error>(())
/// ```
pub fn write_line(line: &EntryLine<'_>, out: &mut String) {
    out.push_str("{\"sequence\":");
    integer(line.sequence, out);
    out.push_str(",\"commit_ms\":");
    integer(line.commit_ms, out);
    out.push_str(",\"chain_hash\":");
    string(&line.chain_hash, out);
    if let Some(lineage) = &line.lineage {
        out.push_str(",\"lineage\":");
        string(lineage, out);
    }
    out.push_str(",\"query\":");
    string(&line.entry.query, out);
    out.push_str(",\"params\":");
    object(&line.entry.params, out);
    out.push_str(",\"timestamp_ms\":");
    integer(line.entry.timestamp_ms, out);
    if let Some(uuid) = &line.entry.uuid_override {
        out.push_str(",\"uuid\":");
        string(uuid, out);
    }
    out.push('}');
}

fn value(value_: &ParamValue, out: &mut String) {
    match value_ {
        ParamValue::Null => out.push_str("null"),
        ParamValue::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        ParamValue::Int64(int) => integer(*int, out),
        ParamValue::Double(value) => double(*value, out),
        ParamValue::String(text) => string(text, out),
        ParamValue::List(values) => {
            out.push('[');
            for (index, item) in values.iter().enumerate() {
                comma(index, out);
                value(item, out);
            }
            out.push(']');
        }
        ParamValue::Map(pairs) => match pairs.as_slice() {
            [(key, _)] if key.starts_with('$') => one_key(keys::MAP, out, |out| object(pairs, out)),
            _ => object(pairs, out),
        },
        ParamValue::Bytes(bytes) => one_key(keys::BYTES, out, |out| {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }),
        ParamValue::Temporal { kind, text } => {
            let key = match kind {
                TemporalKind::Date => keys::DATE,
                TemporalKind::DateTime => keys::DATETIME,
                TemporalKind::LocalDateTime => keys::LOCAL_DATETIME,
                TemporalKind::Time => keys::TIME,
                TemporalKind::LocalTime => keys::LOCAL_TIME,
                TemporalKind::Duration => keys::DURATION,
            };
            one_key(key, out, |out| string(text, out));
        }
        ParamValue::Point { srid, x, y, z } => one_key(keys::POINT, out, |out| {
            out.push_str("{\"srid\":");
            integer(*srid, out);
            out.push_str(",\"x\":");
            double(*x, out);
            out.push_str(",\"y\":");
            double(*y, out);
            if let Some(z) = z {
                out.push_str(",\"z\":");
                double(*z, out);
            }
            out.push('}');
        }),
        ParamValue::Uuid(text) => one_key(keys::UUID, out, |out| string(text, out)),
        ParamValue::Decimal(text) => one_key(keys::DECIMAL, out, |out| string(text, out)),
        ParamValue::Int128(text) => one_key(keys::INT128, out, |out| string(text, out)),
    }
}

fn object(pairs: &[(String, ParamValue)], out: &mut String) {
    out.push('{');
    for (index, (key, item)) in pairs.iter().enumerate() {
        comma(index, out);
        string(key, out);
        out.push(':');
        value(item, out);
    }
    out.push('}');
}

fn one_key(key: &str, out: &mut String, content: impl FnOnce(&mut String)) {
    out.push_str("{\"");
    out.push_str(key);
    out.push_str("\":");
    content(out);
    out.push('}');
}

fn comma(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

fn integer(value: impl itoa::Integer, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Writing into a string does not fail.
fn formatted(text: std::fmt::Arguments<'_>, out: &mut String) {
    let _ = out.write_fmt(text);
}

fn double(value: f64, out: &mut String) {
    if value.is_finite() {
        // Rust's debug form is the shortest that reads back as the same double, and has a point or an exponent.
        formatted(format_args!("{value:?}"), out);
        return;
    }
    one_key(keys::DOUBLE, out, |out| {
        out.push('"');
        if value == f64::INFINITY {
            out.push_str("Infinity");
        } else if value == f64::NEG_INFINITY {
            out.push_str("-Infinity");
        } else if value.to_bits() == f64::NAN.to_bits() {
            out.push_str("NaN");
        } else {
            formatted(format_args!("{NAN_PREFIX}{:016x})", value.to_bits()), out);
        }
        out.push('"');
    });
}

/// A JSON string. Only what JSON forbids is escaped, so that text stays readable in any language.
fn string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    // Nothing that is escaped is part of a longer character.
    while let Some((plain, special)) = rest.split_at_checked(plain_len(rest.as_bytes())) {
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => formatted(format_args!("\\u{:04x}", u32::from(control)), out),
            None => break,
        }
        rest = chars.as_str();
    }
    out.push('"');
}

/// How many bytes come before the first one that is escaped. Nearly all texts have none: so many bytes are looked at together as the
/// compiler compares in one instruction, and then half of that.
fn plain_len(text: &[u8]) -> usize {
    let long = plain_chunks::<16>(text);
    let rest = text.get(long..).unwrap_or_default();
    let short = plain_chunks::<8>(rest);
    let rest = rest.get(short..).unwrap_or_default();
    long + short + rest.iter().position(is_escaped).unwrap_or(rest.len())
}

/// How many bytes the chunks have that come before the first one with a byte that is escaped.
fn plain_chunks<const TOGETHER: usize>(text: &[u8]) -> usize {
    let (chunks, _) = text.as_chunks::<TOGETHER>();
    let plain = |chunk: &&[u8; TOGETHER]| !chunk.iter().fold(false, |any, byte| any | is_escaped(byte));
    chunks.iter().take_while(plain).count() * TOGETHER
}

fn is_escaped(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\' | ..=0x1f)
}
