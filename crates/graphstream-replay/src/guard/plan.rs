//! What is put in place of what a statement reads from the clock or from chance.

use std::collections::BTreeSet;

use graphstream_proto::{JournalEntry, ParamValue};

use super::{Clock, Place, Reason, Refusal, clock, folded};

/// The prefix of every parameter that is made here.
const PREFIX: &str = "graphstream_";

/// How a statement is made safe to replay.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In the order of the text.
    pub(super) edits: Vec<Edit>,
    /// Parameters of the text that a name made here could collide with, in lower case.
    taken: BTreeSet<String>,
}

/// A function call and what takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) value: Value,
}

/// A value that an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Clock(Clock),
    Uuid,
    /// The same where UUIDs are text.
    UuidText,
}

impl Value {
    fn parameter(self) -> &'static str {
        match self {
            Self::Clock(Clock::Date) => "graphstream_date",
            Self::Clock(Clock::LocalDateTime) => "graphstream_timestamp",
            Self::Clock(Clock::DateTime) => "graphstream_datetime",
            Self::Clock(Clock::LocalTime) => "graphstream_time",
            Self::Clock(Clock::Milliseconds) => "graphstream_timestamp_ms",
            Self::Uuid | Self::UuidText => "graphstream_uuid",
        }
    }
}

impl Plan {
    pub(super) fn sees_parameter(&mut self, name: &str) {
        if is_ours(name) {
            self.taken.insert(folded(name));
        }
    }

    pub(super) fn takes_uuid(&self) -> bool {
        self.edits.iter().any(|edit| matches!(edit.value, Value::Uuid | Value::UuidText))
    }

    /// The entry with the edits made and their values bound.
    pub(super) fn apply(&self, entry: &JournalEntry, uuid: Option<String>) -> Result<JournalEntry, Refusal> {
        let mut made: Vec<(Value, String)> = Vec::new();
        let mut taken = self.taken.clone();
        taken.extend(entry.params.iter().filter(|(key, _)| is_ours(key)).map(|(key, _)| folded(key)));
        let mut admitted = JournalEntry {
            query: String::with_capacity(entry.query.len() + 32 * self.edits.len()),
            params: entry.params.clone(),
            timestamp_ms: entry.timestamp_ms,
            uuid_override: uuid,
        };
        let mut at = 0;
        for edit in &self.edits {
            let name = match made.iter().find(|(value, _)| *value == edit.value) {
                Some((_, name)) => name.clone(),
                None => {
                    let name = free_name(edit.value, &taken);
                    let value = value_of(edit.value, &admitted).ok_or_else(|| Refusal {
                        place: Place::of(&entry.query, edit.start),
                        words: entry.query.get(edit.start..edit.end).unwrap_or_default().to_owned(),
                        reason: Reason::Timestamp,
                    })?;
                    admitted.params.push((name.clone(), value));
                    made.push((edit.value, name.clone()));
                    name
                }
            };
            admitted.query.push_str(entry.query.get(at..edit.start).unwrap_or_default());
            admitted.query.push('$');
            admitted.query.push_str(&name);
            at = edit.end;
        }
        admitted.query.push_str(entry.query.get(at..).unwrap_or_default());
        Ok(admitted)
    }
}

/// Whether a name made here could be this one.
fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// A name that neither the text nor the entry's parameters have.
fn free_name(value: Value, taken: &BTreeSet<String>) -> String {
    let base = value.parameter();
    let mut name = base.to_owned();
    let mut number = 1_u32;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    name
}

fn value_of(value: Value, entry: &JournalEntry) -> Option<ParamValue> {
    match value {
        Value::Clock(clock) => clock::value(clock, entry.timestamp_ms),
        Value::Uuid => entry.uuid_override.clone().map(ParamValue::Uuid),
        Value::UuidText => entry.uuid_override.clone().map(ParamValue::String),
    }
}
