//! From an entry to a payload of schema `graphstream.v1`.

use crate::keys::first_duplicate;
use crate::limits::{PARAMS_MAX, VALUES_MAX};
use crate::text::TextKind;
use crate::wire::Writer;
use crate::{Error, JournalEntry, ParamValue, Result};

pub(crate) fn entry(entry: &JournalEntry) -> Result<Vec<u8>> {
    if entry.query.is_empty() {
        return Err(Error::EmptyQuery);
    }
    if entry.params.len() > PARAMS_MAX {
        return Err(Error::TooManyParams { max: PARAMS_MAX });
    }
    if let Some(index) = first_duplicate(&entry.params) {
        return Err(Error::DuplicateKey { place: "parameter", index });
    }
    if let Some(uuid) = &entry.uuid_override {
        TextKind::Uuid.check(uuid)?;
    }
    let mut values_left = VALUES_MAX;
    let mut writer = Writer::with_capacity(entry.query.len().saturating_add(32 + 32 * entry.params.len()));
    writer.bytes_field(1, entry.query.as_bytes())?;
    for (key, value) in &entry.params {
        param(&mut writer, 2, key, value, &mut values_left)?;
    }
    if entry.timestamp_ms != 0 {
        writer.varint_field(3, entry.timestamp_ms.cast_unsigned())?;
    }
    if let Some(uuid) = &entry.uuid_override {
        writer.bytes_field(4, uuid.as_bytes())?;
    }
    writer.finish()
}

/// A `ParamEntry`: a parameter or one key of a map.
fn param(w: &mut Writer, number: u32, key: &str, param: &ParamValue, values_left: &mut usize) -> Result<()> {
    w.message_field(number, |w| {
        if !key.is_empty() {
            w.bytes_field(1, key.as_bytes())?;
        }
        w.message_field(2, |w| value(w, param, values_left))
    })
}

/// The content of a `GraphValue`.
fn value(w: &mut Writer, value_: &ParamValue, values_left: &mut usize) -> Result<()> {
    let Some(left) = values_left.checked_sub(1) else {
        return Err(Error::TooManyValues { max: VALUES_MAX });
    };
    *values_left = left;
    match value_ {
        ParamValue::Null => w.message_field(1, |_| Ok(())),
        ParamValue::Bool(bool) => w.varint_field(2, u64::from(*bool)),
        ParamValue::Int64(int) => w.varint_field(3, int.cast_unsigned()),
        ParamValue::Double(double) => w.double_field(4, *double),
        ParamValue::String(text) => w.bytes_field(5, text.as_bytes()),
        ParamValue::List(values) => w.message_field(6, |w| {
            values.iter().try_for_each(|item| w.message_field(1, |w| value(w, item, values_left)))
        }),
        ParamValue::Map(pairs) => {
            if let Some(index) = first_duplicate(pairs) {
                return Err(Error::DuplicateKey { place: "map entry", index });
            }
            w.message_field(7, |w| {
                pairs.iter().try_for_each(|(key, item)| param(w, 1, key, item, values_left))
            })
        }
        ParamValue::Bytes(bytes) => w.bytes_field(8, bytes),
        ParamValue::Temporal { kind, text } => {
            TextKind::from(*kind).check(text)?;
            w.message_field(9, |w| {
                w.varint_field(1, kind.number())?;
                w.bytes_field(2, text.as_bytes())
            })
        }
        ParamValue::Point { srid, x, y, z } => w.message_field(10, |w| {
            if *srid != 0 {
                w.varint_field(1, u64::from(*srid))?;
            }
            w.double_field(2, *x)?;
            w.double_field(3, *y)?;
            z.map_or(Ok(()), |z| w.double_field(4, z))
        }),
        ParamValue::Uuid(text) => checked_text(w, 11, TextKind::Uuid, text),
        ParamValue::Decimal(text) => checked_text(w, 12, TextKind::Decimal, text),
        ParamValue::Int128(text) => checked_text(w, 13, TextKind::Int128, text),
    }
}

fn checked_text(w: &mut Writer, number: u32, kind: TextKind, text: &str) -> Result<()> {
    kind.check(text)?;
    w.bytes_field(number, text.as_bytes())
}
