//! From a payload of either schema to an entry.
//!
//! The schemas differ in the numbers of the entry's fields and in the kinds of values; the values they share have the same bytes:
//!
//! ```text
//!                  graphstream.v1        graphd
//!   sequence       -                     1 (varint)
//!   query          1 (bytes)             2
//!   params         2                     3
//!   timestamp_ms   3                     4
//!   uuid_override  4                     -
//!   values         1 ..= 13              1 ..= 7
//! ```

use crate::keys::first_duplicate;
use crate::limits::{PARAMS_MAX, PAYLOAD_BYTES_MAX, VALUES_MAX};
use crate::plain::{self, Plain};
use crate::wire::{Field, Reader, WireType};
use crate::{Error, JournalEntry, ParamValue, Result, TemporalKind};

/// The largest buffer of a query that is used again for the next, in bytes.
const KEPT_QUERY_BYTES_MAX: usize = 64 << 10;
/// The same for the key and the text of a parameter.
const KEPT_BYTES_MAX: usize = 256;

/// The schema of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schema {
    /// Package `graphstream.v1`, ours.
    V1,
    /// Package `graphd`, that of graphstream 0.3.
    Predecessor,
}

/// The schema of a payload, told by the wire type of its field 1.
///
/// # Errors
/// When there is no field 1, it has another wire type, or what stands before it is no protobuf.
pub fn schema_of(payload: &[u8]) -> Result<Schema> {
    let mut reader = Reader::new(payload);
    while let Some(field) = reader.field()? {
        match (field.number, field.wire_type) {
            (1, WireType::Bytes) => return Ok(Schema::V1),
            (1, WireType::Varint) => return Ok(Schema::Predecessor),
            (1, _) => return Err(Error::UnknownSchema),
            (_, wire_type) => reader.skip(wire_type)?,
        }
    }
    Err(Error::UnknownSchema)
}

/// Reads a payload into `entry`, in place of what it held; `beside` is called after each value, until it returns false. This is compiled
/// once without (`|| false`) and once for all that is done beside it.
pub(crate) fn entry(
    payload: &[u8],
    frame_sequence: u64,
    entry: &mut JournalEntry,
    beside: impl FnMut() -> bool,
) -> Result<()> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::PayloadTooLarge { max: PAYLOAD_BYTES_MAX });
    }
    let schema = schema_of(payload)?;
    Decoder { schema, values_left: VALUES_MAX, beside, idle: false }.entry(payload, frame_sequence, entry)
}

struct Decoder<F> {
    schema: Schema,
    values_left: usize,
    /// A piece of somebody else's work, done between the steps of this one until it says that nothing is left.
    beside: F,
    /// It has said so.
    idle: bool,
}

impl<F: FnMut() -> bool> Decoder<F> {
    fn entry(&mut self, payload: &[u8], frame_sequence: u64, entry: &mut JournalEntry) -> Result<()> {
        const MESSAGE: &str = "JournalEntry";
        let (mut sequence, mut query, mut timestamp_ms, mut uuid_override) = (None, None, None, None);
        let mut params = 0;
        let mut reader = Reader::new(payload);
        let params_key = match self.schema {
            Schema::V1 => 2 << 3 | 2,
            Schema::Predecessor => 3 << 3 | 2,
        };
        loop {
            // Most of an entry's fields.
            while let Some(message) = reader.short_message(params_key) {
                self.next_param(message, &mut entry.params, &mut params)?;
            }
            let Some(field) = reader.field()? else { break };
            match (self.schema, field.number, field.wire_type) {
                (Schema::Predecessor, 1, WireType::Varint) => {
                    once(&mut sequence, reader.varint()?, MESSAGE, field)?;
                }
                (Schema::V1, 1, WireType::Bytes) | (Schema::Predecessor, 2, WireType::Bytes) => {
                    let found = reader.string_or(&entry.query)?;
                    once(&mut query, found, MESSAGE, field)?;
                    self.step_aside();
                }
                (Schema::V1, 2, WireType::Bytes) | (Schema::Predecessor, 3, WireType::Bytes) => {
                    let message = reader.message()?;
                    self.next_param(message, &mut entry.params, &mut params)?;
                }
                (Schema::V1, 3, WireType::Varint) | (Schema::Predecessor, 4, WireType::Varint) => {
                    once(&mut timestamp_ms, reader.varint()?.cast_signed(), MESSAGE, field)?;
                }
                (Schema::V1, 4, WireType::Bytes) => {
                    once(&mut uuid_override, reader.string()?, MESSAGE, field)?;
                }
                _ => return Err(unknown(MESSAGE, field)),
            }
        }
        match (self.schema, sequence) {
            (Schema::Predecessor, Some(payload)) if payload != frame_sequence => {
                return Err(Error::SequenceMismatch { frame: frame_sequence, payload });
            }
            _ => {}
        }
        // A query that is not there is empty; `None` is the one that the entry holds.
        let query = query.unwrap_or(Some(""));
        if query.unwrap_or(&entry.query).is_empty() && self.schema == Schema::V1 {
            return Err(Error::EmptyQuery);
        }
        entry.params.truncate(params);
        self.refuse_duplicates(&entry.params, "parameter")?;
        if let Some(query) = query {
            replace(&mut entry.query, query, KEPT_QUERY_BYTES_MAX);
        }
        entry.timestamp_ms = timestamp_ms.unwrap_or_default();
        entry.uuid_override = uuid_override.map(str::to_owned);
        Ok(())
    }

    #[inline]
    fn next_param(
        &mut self,
        message: Reader<'_>,
        params: &mut Vec<(String, ParamValue)>,
        count: &mut usize,
    ) -> Result<()> {
        if *count == PARAMS_MAX {
            return Err(Error::TooManyParams { max: PARAMS_MAX });
        }
        if *count == params.len() {
            params.push((String::new(), ParamValue::Null));
        }
        if let Some((key, value)) = params.get_mut(*count) {
            self.param(message, key, value)?;
        }
        *count += 1;
        Ok(())
    }

    /// Reads a parameter, or one key of a map, in place of another.
    #[inline]
    fn param(&mut self, reader: Reader<'_>, key: &mut String, value: &mut ParamValue) -> Result<()> {
        if self.plain_param(&reader, key, value).is_none() {
            self.any_param(reader, key, value)?;
        }
        self.step_aside();
        Ok(())
    }

    /// The short way; `None` where it does not lead, and then nothing is counted.
    #[inline]
    fn plain_param(&mut self, reader: &Reader<'_>, key: &mut String, value: &mut ParamValue) -> Option<()> {
        let values_left = self.values_left.checked_sub(1)?;
        let (name, plain) = plain::param(reader.may_nest()?)?;
        match plain {
            Plain::Bool(bool) => *value = ParamValue::Bool(bool),
            Plain::Int64(number) => match value {
                // Nothing to be dropped.
                ParamValue::Int64(held) => *held = number,
                _ => *value = ParamValue::Int64(number),
            },
            Plain::Double(number) => *value = ParamValue::Double(number),
            Plain::String(text) => {
                let text = std::str::from_utf8(text).ok()?;
                if let ParamValue::String(held) = value {
                    replace(held, text, KEPT_BYTES_MAX);
                } else {
                    *value = ParamValue::String(text.to_owned());
                }
            }
        }
        // Entry after entry has the same keys: what equals a text is one, and stands there already.
        if key.as_bytes() != name {
            replace(key, std::str::from_utf8(name).ok()?, KEPT_BYTES_MAX);
        }
        self.values_left = values_left;
        Some(())
    }

    fn any_param(&mut self, mut reader: Reader<'_>, key: &mut String, value: &mut ParamValue) -> Result<()> {
        const MESSAGE: &str = "ParamEntry";
        let (mut name, mut valued) = (None, None);
        while let Some(field) = reader.field()? {
            match (field.number, field.wire_type) {
                (1, WireType::Bytes) => once(&mut name, reader.string()?, MESSAGE, field)?,
                (2, WireType::Bytes) => {
                    self.value(reader.message()?, value)?;
                    once(&mut valued, (), MESSAGE, field)?;
                }
                _ => return Err(unknown(MESSAGE, field)),
            }
        }
        if valued.is_none() {
            self.count_value()?;
            *value = self.absent(MESSAGE, &reader)?;
        }
        replace(key, name.unwrap_or_default(), KEPT_BYTES_MAX);
        Ok(())
    }

    fn value(&mut self, mut reader: Reader<'_>, value: &mut ParamValue) -> Result<()> {
        const MESSAGE: &str = "GraphValue";
        self.count_value()?;
        let mut valued = None;
        while let Some(field) = reader.field()? {
            if self.schema == Schema::Predecessor && field.number > 7 {
                return Err(unknown(MESSAGE, field));
            }
            match (field.number, field.wire_type) {
                (1, WireType::Bytes) => match reader.message()?.field()? {
                    None => *value = ParamValue::Null,
                    Some(inner) => return Err(unknown("NullValue", inner)),
                },
                (2, WireType::Varint) => *value = ParamValue::Bool(reader.varint()? != 0),
                (3, WireType::Varint) => *value = ParamValue::Int64(reader.varint()?.cast_signed()),
                (4, WireType::Fixed64) => *value = ParamValue::Double(double(&mut reader)?),
                (5, WireType::Bytes) => {
                    let text = reader.string()?;
                    if let ParamValue::String(held) = value {
                        replace(held, text, KEPT_BYTES_MAX);
                    } else {
                        *value = ParamValue::String(text.to_owned());
                    }
                }
                (6, WireType::Bytes) => *value = ParamValue::List(self.list(reader.message()?)?),
                (7, WireType::Bytes) => *value = ParamValue::Map(self.map(reader.message()?)?),
                (8, WireType::Bytes) => *value = ParamValue::Bytes(reader.bytes()?.to_vec()),
                (9, WireType::Bytes) => *value = temporal(reader.message()?)?,
                (10, WireType::Bytes) => *value = point(reader.message()?)?,
                (11, WireType::Bytes) => *value = ParamValue::Uuid(reader.string()?.to_owned()),
                (12, WireType::Bytes) => *value = ParamValue::Decimal(reader.string()?.to_owned()),
                (13, WireType::Bytes) => *value = ParamValue::Int128(reader.string()?.to_owned()),
                _ => return Err(unknown(MESSAGE, field)),
            }
            once(&mut valued, (), MESSAGE, field)?;
        }
        if valued.is_none() {
            *value = self.absent(MESSAGE, &reader)?;
        }
        Ok(())
    }

    fn list(&mut self, mut reader: Reader<'_>) -> Result<Vec<ParamValue>> {
        let mut values = Vec::new();
        while let Some(field) = reader.field()? {
            match (field.number, field.wire_type) {
                (1, WireType::Bytes) => {
                    let mut value = ParamValue::Null;
                    self.value(reader.message()?, &mut value)?;
                    values.push(value);
                    self.step_aside();
                }
                _ => return Err(unknown("ListValue", field)),
            }
        }
        Ok(values)
    }

    fn map(&mut self, mut reader: Reader<'_>) -> Result<Vec<(String, ParamValue)>> {
        let mut pairs = Vec::new();
        while let Some(field) = reader.field()? {
            match (field.number, field.wire_type) {
                (1, WireType::Bytes) => {
                    let (mut key, mut value) = (String::new(), ParamValue::Null);
                    self.param(reader.message()?, &mut key, &mut value)?;
                    pairs.push((key, value));
                }
                _ => return Err(unknown("MapValue", field)),
            }
        }
        self.refuse_duplicates(&pairs, "map entry")?;
        Ok(pairs)
    }

    #[inline]
    fn step_aside(&mut self) {
        if !self.idle {
            self.idle = !(self.beside)();
        }
    }

    /// Counted before the value is made, so that memory is bounded by the limit and not by the payload.
    fn count_value(&mut self) -> Result<()> {
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return Err(Error::TooManyValues { max: VALUES_MAX }),
        }
        Ok(())
    }

    /// What a value that is not there means: the predecessor read it as null; we never write it.
    fn absent(&self, message: &'static str, reader: &Reader<'_>) -> Result<ParamValue> {
        match self.schema {
            Schema::Predecessor => Ok(ParamValue::Null),
            Schema::V1 => Err(Error::MissingField { message, field: "value", offset: reader.offset() }),
        }
    }

    fn refuse_duplicates(&self, pairs: &[(String, ParamValue)], place: &'static str) -> Result<()> {
        match (self.schema, first_duplicate(pairs)) {
            (Schema::V1, Some(index)) => Err(Error::DuplicateKey { place, index }),
            _ => Ok(()),
        }
    }
}

/// Replaces a text, in its buffer unless that is larger than `kept_max`: else entries with one long text each, in different
/// places, would add up.
fn replace(text: &mut String, by: &str, kept_max: usize) {
    if text.capacity() > kept_max {
        *text = by.to_owned();
    } else {
        text.clear();
        text.push_str(by);
    }
}

fn temporal(mut reader: Reader<'_>) -> Result<ParamValue> {
    const MESSAGE: &str = "TemporalValue";
    let (mut kind, mut text) = (None, None);
    while let Some(field) = reader.field()? {
        match (field.number, field.wire_type) {
            (1, WireType::Varint) => {
                let number = reader.varint()?;
                let parsed = TemporalKind::from_number(number)
                    .ok_or(Error::UnknownTemporalKind { offset: field.offset, kind: number })?;
                once(&mut kind, parsed, MESSAGE, field)?;
            }
            (2, WireType::Bytes) => once(&mut text, reader.string()?.to_owned(), MESSAGE, field)?,
            _ => return Err(unknown(MESSAGE, field)),
        }
    }
    let missing = |field| Error::MissingField { message: MESSAGE, field, offset: reader.offset() };
    Ok(ParamValue::Temporal {
        kind: kind.ok_or_else(|| missing("kind"))?,
        text: text.ok_or_else(|| missing("text"))?,
    })
}

fn point(mut reader: Reader<'_>) -> Result<ParamValue> {
    const MESSAGE: &str = "PointValue";
    let (mut srid, mut x, mut y, mut z) = (None, None, None, None);
    while let Some(field) = reader.field()? {
        match (field.number, field.wire_type) {
            (1, WireType::Varint) => {
                let number = u32::try_from(reader.varint()?).map_err(|_| unknown(MESSAGE, field))?;
                once(&mut srid, number, MESSAGE, field)?;
            }
            (2, WireType::Fixed64) => once(&mut x, double(&mut reader)?, MESSAGE, field)?,
            (3, WireType::Fixed64) => once(&mut y, double(&mut reader)?, MESSAGE, field)?,
            (4, WireType::Fixed64) => once(&mut z, double(&mut reader)?, MESSAGE, field)?,
            _ => return Err(unknown(MESSAGE, field)),
        }
    }
    let missing = |field| Error::MissingField { message: MESSAGE, field, offset: reader.offset() };
    Ok(ParamValue::Point {
        srid: srid.unwrap_or_default(),
        x: x.ok_or_else(|| missing("x"))?,
        y: y.ok_or_else(|| missing("y"))?,
        z,
    })
}

fn double(reader: &mut Reader<'_>) -> Result<f64> {
    Ok(f64::from_bits(u64::from_le_bytes(reader.fixed64()?)))
}

/// Sets what may occur once. Protobuf lets the last one win; an entry that says two things is refused instead.
fn once<T>(slot: &mut Option<T>, value: T, message: &'static str, field: Field) -> Result<()> {
    if slot.is_some() {
        return Err(Error::RepeatedField { message, field: field.number, offset: field.offset });
    }
    *slot = Some(value);
    Ok(())
}

fn unknown(message: &'static str, field: Field) -> Error {
    Error::UnknownField { message, field: field.number, offset: field.offset }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Writer;

    /// A parameter of every plain kind, as it is written.
    fn written(key: &str, value: &ParamValue) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes_field(1, key.as_bytes()).unwrap();
        let write = |out: &mut Writer| match value {
            ParamValue::Bool(bool) => out.varint_field(2, (*bool).into()),
            ParamValue::Int64(number) => out.varint_field(3, number.cast_unsigned()),
            ParamValue::Double(number) => out.double_field(4, *number),
            ParamValue::String(text) => out.bytes_field(5, text.as_bytes()),
            _ => Ok(()),
        };
        out.message_field(2, write).unwrap();
        out.finish().unwrap()
    }

    fn plain_value() -> impl Strategy<Value = ParamValue> {
        prop_oneof![
            any::<bool>().prop_map(ParamValue::Bool),
            any::<i64>().prop_map(ParamValue::Int64),
            (0..64_u32, any::<i64>()).prop_map(|(shift, number)| ParamValue::Int64(number >> shift)),
            any::<f64>().prop_map(ParamValue::Double),
            "\\PC{0,60}".prop_map(ParamValue::String),
        ]
    }

    fn short_way(
        message: &[u8],
        values_left: usize,
        held: (String, ParamValue),
    ) -> Option<(String, ParamValue)> {
        let mut decoder = Decoder { schema: Schema::V1, values_left, beside: || false, idle: false };
        let (mut key, mut value) = held;
        let found = decoder.plain_param(&Reader::new(message), &mut key, &mut value);
        assert_eq!(decoder.values_left, values_left - usize::from(found.is_some()));
        found.map(|()| (key, value))
    }

    fn long_way(message: &[u8], values_left: usize) -> Result<(String, ParamValue)> {
        let mut decoder = Decoder { schema: Schema::V1, values_left, beside: || false, idle: false };
        let (mut key, mut value) = (String::new(), ParamValue::Null);
        decoder.any_param(Reader::new(message), &mut key, &mut value)?;
        Ok((key, value))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn plain_parameters_take_the_short_way_over_any_other(
            key in "\\PC{0,12}", value in plain_value(), held_key in "\\PC{0,3}", held in plain_value(), same in any::<bool>(),
        ) {
            let message = written(&key, &value);
            let held_key = if same { key.clone() } else { held_key };
            let found = short_way(&message, 1, (held_key, held));
            prop_assert_eq!(&found, &(message.len() < 128).then(|| (key.clone(), value.clone())));
            prop_assert_eq!(long_way(&message, 1).unwrap(), (key, value));
        }

        #[test]
        fn h11_the_short_way_reads_nothing_that_the_long_way_reads_otherwise(
            key in "\\PC{0,12}", value in plain_value(), held in plain_value(), values_left in 0..2_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>(),
        ) {
            let mut message = written(&key, &value);
            for (at, byte) in changes {
                let at = at.index(message.len());
                message[at] = byte;
            }
            message.truncate(cut.index(2 * message.len() + 1));
            if let Some(found) = short_way(&message, values_left, (key, held)) {
                prop_assert_eq!(found, long_way(&message, values_left).unwrap());
            }
        }
    }
}
