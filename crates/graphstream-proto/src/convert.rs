//! Between our values and the generated messages, for programs that speak protobuf themselves and for the doors of the
//! predecessor. The payload's own way, [`JournalEntry::encode`] and [`JournalEntry::decode`], does not come through here.

use crate::{Error, JournalEntry, ParamValue, Result, TemporalKind, graphd, v1};

impl From<&JournalEntry> for v1::JournalEntry {
    fn from(entry: &JournalEntry) -> Self {
        Self {
            query: entry.query.clone(),
            params: v1_params(&entry.params),
            timestamp_ms: entry.timestamp_ms,
            uuid_override: entry.uuid_override.clone(),
        }
    }
}

/// Refuses what [`JournalEntry::decode`] would refuse as incomplete or empty; limits and keys are checked by
/// [`JournalEntry::encode`].
impl TryFrom<v1::JournalEntry> for JournalEntry {
    type Error = Error;

    fn try_from(entry: v1::JournalEntry) -> Result<Self> {
        if entry.query.is_empty() {
            return Err(Error::EmptyQuery);
        }
        let params = params_from_v1(entry.params)?;
        let (timestamp_ms, uuid_override) = (entry.timestamp_ms, entry.uuid_override);
        Ok(Self { query: entry.query, params, timestamp_ms, uuid_override })
    }
}

impl From<&ParamValue> for v1::GraphValue {
    fn from(value: &ParamValue) -> Self {
        use v1::graph_value::Value;
        let value = match value {
            ParamValue::Null => Value::NullValue(v1::NullValue {}),
            ParamValue::Bool(bool) => Value::BoolValue(*bool),
            ParamValue::Int64(int) => Value::Int64Value(*int),
            ParamValue::Double(double) => Value::DoubleValue(*double),
            ParamValue::String(text) => Value::StringValue(text.clone()),
            ParamValue::List(values) => {
                Value::ListValue(v1::ListValue { values: values.iter().map(Self::from).collect() })
            }
            ParamValue::Map(pairs) => Value::MapValue(v1::MapValue { entries: v1_params(pairs) }),
            ParamValue::Bytes(bytes) => Value::BytesValue(bytes.clone()),
            ParamValue::Temporal { kind, text } => Value::TemporalValue(v1::TemporalValue {
                kind: v1::TemporalKind::from(*kind).into(),
                text: text.clone(),
            }),
            ParamValue::Point { srid, x, y, z } => {
                Value::PointValue(v1::PointValue { srid: *srid, x: Some(*x), y: Some(*y), z: *z })
            }
            ParamValue::Uuid(text) => Value::UuidValue(text.clone()),
            ParamValue::Decimal(text) => Value::DecimalValue(text.clone()),
            ParamValue::Int128(text) => Value::Int128Value(text.clone()),
        };
        Self { value: Some(value) }
    }
}

impl TryFrom<v1::GraphValue> for ParamValue {
    type Error = Error;

    fn try_from(value: v1::GraphValue) -> Result<Self> {
        use v1::graph_value::Value;
        Ok(match value.value.ok_or(incomplete("GraphValue", "value"))? {
            Value::NullValue(v1::NullValue {}) => Self::Null,
            Value::BoolValue(bool) => Self::Bool(bool),
            Value::Int64Value(int) => Self::Int64(int),
            Value::DoubleValue(double) => Self::Double(double),
            Value::StringValue(text) => Self::String(text),
            Value::ListValue(list) => {
                Self::List(list.values.into_iter().map(Self::try_from).collect::<Result<_>>()?)
            }
            Value::MapValue(map) => Self::Map(params_from_v1(map.entries)?),
            Value::BytesValue(bytes) => Self::Bytes(bytes),
            Value::TemporalValue(temporal) => {
                let kind = u64::try_from(temporal.kind).ok().and_then(TemporalKind::from_number);
                let kind = kind.ok_or(incomplete("TemporalValue", "kind"))?;
                Self::Temporal { kind, text: temporal.text }
            }
            Value::PointValue(point) => Self::Point {
                srid: point.srid,
                x: point.x.ok_or(incomplete("PointValue", "x"))?,
                y: point.y.ok_or(incomplete("PointValue", "y"))?,
                z: point.z,
            },
            Value::UuidValue(text) => Self::Uuid(text),
            Value::DecimalValue(text) => Self::Decimal(text),
            Value::Int128Value(text) => Self::Int128(text),
        })
    }
}

impl From<TemporalKind> for v1::TemporalKind {
    fn from(kind: TemporalKind) -> Self {
        match kind {
            TemporalKind::Date => Self::Date,
            TemporalKind::DateTime => Self::Datetime,
            TemporalKind::LocalDateTime => Self::LocalDatetime,
            TemporalKind::Time => Self::Time,
            TemporalKind::LocalTime => Self::LocalTime,
            TemporalKind::Duration => Self::Duration,
        }
    }
}

/// Fails on the kinds of values the predecessor's schema does not have.
impl TryFrom<&ParamValue> for graphd::GraphValue {
    type Error = Error;

    fn try_from(value: &ParamValue) -> Result<Self> {
        use graphd::graph_value::Value;
        let value = match value {
            ParamValue::Null => Value::NullValue(graphd::NullValue {}),
            ParamValue::Bool(bool) => Value::BoolValue(*bool),
            ParamValue::Int64(int) => Value::IntValue(*int),
            ParamValue::Double(double) => Value::FloatValue(*double),
            ParamValue::String(text) => Value::StringValue(text.clone()),
            ParamValue::List(values) => Value::ListValue(graphd::ListValue {
                values: values.iter().map(Self::try_from).collect::<Result<_>>()?,
            }),
            ParamValue::Map(pairs) => Value::MapValue(graphd::MapValue {
                entries: pairs
                    .iter()
                    .map(|(key, value)| {
                        Ok(graphd::MapEntry { key: key.clone(), value: Some(Self::try_from(value)?) })
                    })
                    .collect::<Result<_>>()?,
            }),
            ParamValue::Bytes(_)
            | ParamValue::Temporal { .. }
            | ParamValue::Point { .. }
            | ParamValue::Uuid(_)
            | ParamValue::Decimal(_)
            | ParamValue::Int128(_) => return Err(Error::NotInPredecessor { kind: value.kind() }),
        };
        Ok(Self { value: Some(value) })
    }
}

/// A value that is not there is null, as the predecessor read it. Maps are kept, which it read as null.
impl From<graphd::GraphValue> for ParamValue {
    fn from(value: graphd::GraphValue) -> Self {
        use graphd::graph_value::Value;
        match value.value {
            None | Some(Value::NullValue(graphd::NullValue {})) => Self::Null,
            Some(Value::BoolValue(bool)) => Self::Bool(bool),
            Some(Value::IntValue(int)) => Self::Int64(int),
            Some(Value::FloatValue(double)) => Self::Double(double),
            Some(Value::StringValue(text)) => Self::String(text),
            Some(Value::ListValue(list)) => Self::List(list.values.into_iter().map(Self::from).collect()),
            Some(Value::MapValue(map)) => Self::Map(
                map.entries
                    .into_iter()
                    .map(|entry| (entry.key, entry.value.map_or(Self::Null, Self::from)))
                    .collect(),
            ),
        }
    }
}

fn v1_params(pairs: &[(String, ParamValue)]) -> Vec<v1::ParamEntry> {
    pairs.iter().map(|(key, value)| v1::ParamEntry { key: key.clone(), value: Some(value.into()) }).collect()
}

fn params_from_v1(entries: Vec<v1::ParamEntry>) -> Result<Vec<(String, ParamValue)>> {
    entries
        .into_iter()
        .map(|entry| {
            let value = entry.value.ok_or(incomplete("ParamEntry", "value"))?;
            Ok((entry.key, ParamValue::try_from(value)?))
        })
        .collect()
}

fn incomplete(message: &'static str, field: &'static str) -> Error {
    Error::IncompleteMessage { message, field }
}
