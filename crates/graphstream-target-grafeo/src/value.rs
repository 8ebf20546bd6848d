//! Values, both ways. What grafeo can't hold is an error, never null.
//!
//! | journal | grafeo |
//! |---|---|
//! | null, bool, int64, double, string, bytes, list, map | the same; map keys are kept sorted |
//! | date | `Date` |
//! | datetime | `ZonedDatetime`: an offset, no named zone, microseconds (one-file format: milliseconds) |
//! | localdatetime | `Timestamp`, likewise |
//! | time, localtime | `Time` with and without offset, nanoseconds |
//! | duration | `Duration`: months, days, nanoseconds; fractions of seconds only |
//! | point, uuid, decimal, int128 | refused |

use std::collections::BTreeMap;
use std::sync::Arc;

use grafeo::Value;
use graphstream_proto::{ParamValue, TemporalKind};

use crate::temporal;
use crate::{Error, Result};

/// How fine a date-time a database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The one-file format.
    Milliseconds,
    /// The directory format.
    Microseconds,
}

/// A parameter's value as grafeo takes it.
///
/// # Errors
/// [`Error::Value`] for what grafeo can't hold.
pub fn to_grafeo(value: &ParamValue, precision: Precision) -> Result<Value> {
    let refused = |why| Err(Error::Value { kind: value.kind(), why });
    Ok(match value {
        ParamValue::Null => Value::Null,
        ParamValue::Bool(value) => Value::Bool(*value),
        ParamValue::Int64(value) => Value::Int64(*value),
        ParamValue::Double(value) => Value::Float64(*value),
        ParamValue::String(value) => Value::String(value.as_str().into()),
        ParamValue::Bytes(value) => Value::Bytes(value.as_slice().into()),
        ParamValue::List(values) => Value::List(
            values.iter().map(|value| to_grafeo(value, precision)).collect::<Result<Vec<_>>>()?.into(),
        ),
        ParamValue::Map(values) => {
            let mut map = BTreeMap::new();
            for (key, value) in values {
                map.insert(key.as_str().into(), to_grafeo(value, precision)?);
            }
            Value::Map(Arc::new(map))
        }
        ParamValue::Temporal { kind, text } => return temporal::to_grafeo(*kind, text, precision),
        ParamValue::Point { .. } => return refused("it has no point type"),
        ParamValue::Uuid(_) => return refused("it has no UUID type; pass it as a string"),
        ParamValue::Decimal(_) => return refused("it has no decimal type"),
        ParamValue::Int128(_) => return refused("its integers have 64 bits"),
    })
}

/// A stored value as a journal would carry it. Maps come back with their keys sorted.
///
/// # Errors
/// [`Error::Unportable`] for vectors, paths and counters.
pub fn from_grafeo(value: &Value) -> Result<ParamValue> {
    let temporal = |kind, text| ParamValue::Temporal { kind, text };
    Ok(match value {
        Value::Null => ParamValue::Null,
        Value::Bool(value) => ParamValue::Bool(*value),
        Value::Int64(value) => ParamValue::Int64(*value),
        Value::Float64(value) => ParamValue::Double(*value),
        Value::String(value) => ParamValue::String(value.to_string()),
        Value::Bytes(value) => ParamValue::Bytes(value.to_vec()),
        Value::List(values) => ParamValue::List(values.iter().map(from_grafeo).collect::<Result<Vec<_>>>()?),
        Value::Map(values) => ParamValue::Map(
            values
                .iter()
                .map(|(key, value)| Ok((key.as_str().to_owned(), from_grafeo(value)?)))
                .collect::<Result<Vec<_>>>()?,
        ),
        Value::Date(value) => temporal(TemporalKind::Date, temporal::date_text(*value)),
        Value::Timestamp(value) => {
            temporal(TemporalKind::LocalDateTime, temporal::local_datetime_text(*value))
        }
        Value::ZonedDatetime(value) => temporal(TemporalKind::DateTime, temporal::datetime_text(value)),
        Value::Time(value) => {
            let kind =
                if value.offset_seconds().is_some() { TemporalKind::Time } else { TemporalKind::LocalTime };
            temporal(kind, temporal::time_text(value))
        }
        Value::Duration(value) => temporal(TemporalKind::Duration, temporal::duration_text(value)),
        Value::Vector(_) => return Err(Error::Unportable { kind: "vector" }),
        Value::Path { .. } => return Err(Error::Unportable { kind: "path" }),
        _ => return Err(Error::Unportable { kind: "counter" }),
    })
}
