//! From a JSON line to an entry.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::path::{At, JsonProblem};
use super::text::{Budget, Kind, is_double};
use super::write::NAN_PREFIX;
use super::{EntryLine, LINE_BYTES_MAX, keys};
use crate::limits::{MESSAGES_DEEP_MAX, PARAMS_MAX, VALUES_MAX};
use crate::{JournalEntry, ParamValue, Result, TemporalKind, TextKind};

/// The protobuf messages around a parameter's value, and those a list and a map put around theirs.
const PARAM_LEVELS: usize = 2;
const LIST_LEVELS: usize = 2;
const MAP_LEVELS: usize = 3;

const INT64: &str = "-2^63 to 2^63 - 1 (a larger one is written as {\"$int128\": \"...\"})";
const MS: &str = "-2^63 to 2^63 - 1";
const SEQUENCE: &str = "0 to 2^64 - 1";
const SRID: &str = "0 to 2^32 - 1";
const FIELDS: &str = "query, params, timestamp_ms, uuid";
const POINT_FIELDS: &str = "srid, x, y, z";
/// More than a point has, so that a member too many is named.
const POINT_MEMBERS_MAX: usize = 16;

/// Reads one line of `append --input`; see [the module](super) for its shape. `default_timestamp_ms` is what an absent
/// `timestamp_ms` means: the time of the append.
///
/// ```
/// use graphstream_proto::{ParamValue, json};
///
/// let entry = json::parse_line(r#"{"query": "CREATE (:T {d: $d})", "params": {"d": {"$date": "2024-02-29"}}}"#, 7)?;
/// assert_eq!(entry.timestamp_ms, 7);
/// let error = json::parse_line(r#"{"query": "RETURN $n", "params": {"n": 9223372036854775808}}"#, 7).unwrap_err();
/// assert!(error.to_string().ends_with("at $.params.n"));
/// # Ok::<(), graphstream_proto::Error>(())
/// ```
///
/// # Errors
/// [`Error::Json`](crate::Error::Json) says what is wrong and where; it never contains the query or a value.
pub fn parse_line(line: &str, default_timestamp_ms: i64) -> Result<JournalEntry> {
    let fields = Line::parse(line)?;
    fields.check_segment_fields()?;
    fields.entry(Some(default_timestamp_ms))
}

/// Reads one line of `cat --json` or of a `jsonl` target.
///
/// # Errors
/// [`Error::Json`](crate::Error::Json) says what is wrong and where.
pub fn parse_entry_line(line: &str) -> Result<EntryLine<'static>> {
    let fields = Line::parse(line)?;
    let (Some(sequence), Some(commit_ms), Some(chain_hash)) =
        (fields.sequence()?, fields.commit_ms()?, fields.chain_hash()?)
    else {
        let field = match (fields.sequence, fields.commit_ms) {
            (None, _) => "sequence",
            (_, None) => "commit_ms",
            _ => "chain_hash",
        };
        return At::Root.fail(JsonProblem::MissingField { field });
    };
    Ok(EntryLine {
        sequence,
        commit_ms,
        chain_hash: Cow::Owned(chain_hash),
        lineage: fields.lineage()?.map(Cow::Owned),
        entry: Cow::Owned(fields.entry(None)?),
    })
}

/// The fields of a line, not yet looked into.
#[derive(Default)]
struct Line<'a> {
    query: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    timestamp_ms: Option<&'a RawValue>,
    uuid: Option<&'a RawValue>,
    sequence: Option<&'a RawValue>,
    commit_ms: Option<&'a RawValue>,
    chain_hash: Option<&'a RawValue>,
    lineage: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let at = At::Root;
        if line.len() > LINE_BYTES_MAX {
            return at.fail(JsonProblem::LineTooLong);
        }
        if !line.trim_start().starts_with('{') {
            // Not handed to serde_json as an object: its message would contain the value it finds instead.
            return match serde_json::from_str::<&RawValue>(line) {
                Ok(raw) => at.expect(raw, Kind::Object, "an object").map(|()| Self::default()),
                Err(error) => at.fail(JsonProblem::Syntax(error)),
            };
        }
        let mut fields = Self::default();
        for (key, raw) in at.object(line, &mut Budget::new(VALUES_MAX))? {
            let field = match key.as_str() {
                "query" => &mut fields.query,
                "params" => &mut fields.params,
                "timestamp_ms" => &mut fields.timestamp_ms,
                "uuid" => &mut fields.uuid,
                "sequence" => &mut fields.sequence,
                "commit_ms" => &mut fields.commit_ms,
                "chain_hash" => &mut fields.chain_hash,
                "lineage" => &mut fields.lineage,
                _ => return At::Key(&at, &key).fail(JsonProblem::UnknownField { known: FIELDS }),
            };
            *field = Some(raw);
        }
        Ok(fields)
    }

    /// The entry. Without a default, `timestamp_ms` must be there.
    fn entry(&self, default_timestamp_ms: Option<i64>) -> Result<JournalEntry> {
        let root = At::Root;
        let Some(query) = self.query else {
            return root.fail(JsonProblem::MissingField { field: "query" });
        };
        let at = At::Key(&root, "query");
        let query = at.string(query)?;
        if query.is_empty() {
            return at.fail(JsonProblem::EmptyQuery);
        }
        let at = At::Key(&root, "timestamp_ms");
        let timestamp_ms = match self.timestamp_ms {
            Some(raw) => Some(at.integer(raw, MS)?),
            None => default_timestamp_ms,
        };
        let Some(timestamp_ms) = timestamp_ms else {
            return root.fail(JsonProblem::MissingField { field: "timestamp_ms" });
        };
        let at = At::Key(&root, "uuid");
        let uuid_override = self.uuid.map(|raw| checked_text(&at, raw, TextKind::Uuid)).transpose()?;
        let at = At::Key(&root, "params");
        let params = self.params.map(|raw| params(&at, raw)).transpose()?.unwrap_or_default();
        Ok(JournalEntry { query, params, timestamp_ms, uuid_override })
    }

    /// An input line's other fields are passed over, but not when they are nonsense.
    fn check_segment_fields(&self) -> Result<()> {
        self.sequence()?;
        self.commit_ms()?;
        self.chain_hash()?;
        self.lineage()?;
        Ok(())
    }

    fn sequence(&self) -> Result<Option<u64>> {
        let at = At::Key(&At::Root, "sequence");
        self.sequence.map(|raw| at.integer(raw, SEQUENCE)).transpose()
    }

    fn commit_ms(&self) -> Result<Option<i64>> {
        let at = At::Key(&At::Root, "commit_ms");
        self.commit_ms.map(|raw| at.integer(raw, MS)).transpose()
    }

    fn chain_hash(&self) -> Result<Option<String>> {
        let at = At::Key(&At::Root, "chain_hash");
        self.chain_hash.map(|raw| hex(&at, raw, 64)).transpose()
    }

    fn lineage(&self) -> Result<Option<String>> {
        let at = At::Key(&At::Root, "lineage");
        self.lineage.map(|raw| hex(&at, raw, 32)).transpose()
    }
}

fn params(at: &At<'_>, raw: &RawValue) -> Result<Vec<(String, ParamValue)>> {
    at.expect(raw, Kind::Object, "an object")?;
    let mut budget = Budget::new(VALUES_MAX);
    let fields = at.object(raw.get(), &mut budget)?;
    if fields.len() > PARAMS_MAX {
        return at.fail(JsonProblem::TooManyParams { max: PARAMS_MAX });
    }
    map(at, fields, PARAM_LEVELS, &mut budget)
}

/// The values of an object's members, which lie `level` messages deep.
fn map(
    at: &At<'_>,
    fields: Vec<(String, &RawValue)>,
    level: usize,
    budget: &mut Budget,
) -> Result<Vec<(String, ParamValue)>> {
    let mut pairs = Vec::with_capacity(fields.len());
    for (key, raw) in fields {
        let value = value(&At::Key(at, &key), raw, level, budget)?;
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn value(at: &At<'_>, raw: &RawValue, level: usize, budget: &mut Budget) -> Result<ParamValue> {
    if level > MESSAGES_DEEP_MAX {
        return at.fail(JsonProblem::NestingTooDeep);
    }
    match Kind::of(raw) {
        Kind::Null => Ok(ParamValue::Null),
        Kind::Bool(bool) => Ok(ParamValue::Bool(bool)),
        Kind::String => at.string(raw).map(ParamValue::String),
        Kind::Number if is_double(raw.get()) => double(at, raw).map(ParamValue::Double),
        Kind::Number => at.integer(raw, INT64).map(ParamValue::Int64),
        Kind::Array => {
            let members = at.array(raw, budget)?;
            let mut values = Vec::with_capacity(members.len());
            for (index, member) in members.into_iter().enumerate() {
                values.push(value(&At::Index(at, index), member, level + LIST_LEVELS, budget)?);
            }
            Ok(ParamValue::List(values))
        }
        Kind::Object => {
            let fields = at.object(raw.get(), budget)?;
            match fields.as_slice() {
                [(key, inner)] if key.starts_with('$') => {
                    budget.give_back(1);
                    one_key(&At::Key(at, key), key, inner, level, budget)
                }
                _ => map(at, fields, level + MAP_LEVELS, budget).map(ParamValue::Map),
            }
        }
    }
}

/// The value of an object with one key that begins with `$`.
fn one_key(at: &At<'_>, key: &str, raw: &RawValue, level: usize, budget: &mut Budget) -> Result<ParamValue> {
    let temporal = |kind: TemporalKind| {
        Ok(ParamValue::Temporal { kind, text: checked_text(at, raw, TextKind::from(kind))? })
    };
    match key {
        keys::DATE => temporal(TemporalKind::Date),
        keys::DATETIME => temporal(TemporalKind::DateTime),
        keys::LOCAL_DATETIME => temporal(TemporalKind::LocalDateTime),
        keys::TIME => temporal(TemporalKind::Time),
        keys::LOCAL_TIME => temporal(TemporalKind::LocalTime),
        keys::DURATION => temporal(TemporalKind::Duration),
        keys::UUID => checked_text(at, raw, TextKind::Uuid).map(ParamValue::Uuid),
        keys::DECIMAL => checked_text(at, raw, TextKind::Decimal).map(ParamValue::Decimal),
        keys::INT128 => checked_text(at, raw, TextKind::Int128).map(ParamValue::Int128),
        keys::DOUBLE => double_text(at, raw).map(ParamValue::Double),
        keys::POINT => point(at, raw),
        keys::BYTES => {
            let text = at.string(raw)?;
            STANDARD.decode(text).map(ParamValue::Bytes).or_else(|_| at.fail(JsonProblem::Base64))
        }
        keys::MAP => {
            at.expect(raw, Kind::Object, "an object")?;
            let fields = at.object(raw.get(), budget)?;
            map(at, fields, level + MAP_LEVELS, budget).map(ParamValue::Map)
        }
        _ => at.fail(JsonProblem::UnknownKind),
    }
}

fn point(at: &At<'_>, raw: &RawValue) -> Result<ParamValue> {
    at.expect(raw, Kind::Object, "an object")?;
    let (mut srid, mut x, mut y, mut z) = (None, None, None, None);
    // A point has few members; they are no values of the entry.
    for (key, raw) in at.object(raw.get(), &mut Budget::new(POINT_MEMBERS_MAX))? {
        let at = At::Key(at, &key);
        match key.as_str() {
            "srid" => srid = Some(at.integer(raw, SRID)?),
            "x" => x = Some(coordinate(&at, raw)?),
            "y" => y = Some(coordinate(&at, raw)?),
            "z" => z = Some(coordinate(&at, raw)?),
            _ => return at.fail(JsonProblem::UnknownField { known: POINT_FIELDS }),
        }
    }
    let Some(srid) = srid else { return at.fail(JsonProblem::MissingField { field: "srid" }) };
    let Some(x) = x else { return at.fail(JsonProblem::MissingField { field: "x" }) };
    let Some(y) = y else { return at.fail(JsonProblem::MissingField { field: "y" }) };
    Ok(ParamValue::Point { srid, x, y, z })
}

/// A coordinate is always a double, so a whole number may do without a point.
fn coordinate(at: &At<'_>, raw: &RawValue) -> Result<f64> {
    if Kind::of(raw) != Kind::Object {
        at.expect(raw, Kind::Number, "a number")?;
        return double(at, raw);
    }
    match at.object(raw.get(), &mut Budget::new(1))?.as_slice() {
        [(key, inner)] if key == keys::DOUBLE => double_text(&At::Key(at, key), inner),
        _ => at.fail(JsonProblem::UnknownKind),
    }
}

fn double(at: &At<'_>, raw: &RawValue) -> Result<f64> {
    // Rust's parser, unlike serde_json's default one, always finds the nearest double.
    match raw.get().parse::<f64>() {
        Ok(double) if double.is_finite() => Ok(double),
        _ => at.fail(JsonProblem::DoubleRange),
    }
}

fn double_text(at: &At<'_>, raw: &RawValue) -> Result<f64> {
    let text = at.string(raw)?;
    match text.as_str() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        other => other
            .strip_prefix(NAN_PREFIX)
            .and_then(|rest| rest.strip_suffix(')'))
            .filter(|digits| is_hex(digits, 16))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(f64::from_bits)
            .filter(|double| double.is_nan())
            .map_or_else(|| at.fail(JsonProblem::DoubleText), Ok),
    }
}

fn checked_text(at: &At<'_>, raw: &RawValue, kind: TextKind) -> Result<String> {
    let text = at.string(raw)?;
    match kind.check(&text) {
        Ok(()) => Ok(text),
        Err(_) => at.fail(JsonProblem::Text { kind }),
    }
}

fn hex(at: &At<'_>, raw: &RawValue, digits: usize) -> Result<String> {
    let text = at.string(raw)?;
    if is_hex(&text, digits) { Ok(text) } else { at.fail(JsonProblem::Hex { digits }) }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
