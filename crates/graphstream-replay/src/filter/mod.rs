//! Which entries somebody wants to see: by what their statement does, the labels it names, its parameters, its text. A pure predicate over
//! an entry, for whoever reads entries one by one and for an index over them.
//!
//! ```text
//!   kinds    CREATE, MERGE, SET ...        any of them     ┐
//!   labels   :Person, [:KNOWS]             any of them     │
//!   params   $id = 7                       all of them     ├─ all that are given must hold
//!   texts    anywhere in the statement     all of them     ┘
//! ```

mod statement;

use std::borrow::Cow;

use graphstream_proto::{JournalEntry, ParamValue};

pub use statement::{Statement, StatementKind};

/// What an entry must have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryFilter {
    /// Its statement does one of these.
    pub kinds: Vec<StatementKind>,
    /// Its statement names one of these labels, relationship types or tables.
    pub labels: Vec<String>,
    /// It has each of these parameters with this value, also inside of other parameters; see [`param_text`].
    pub params: Vec<(String, String)>,
    /// Its statement contains each of these texts.
    pub texts: Vec<String>,
}

impl EntryFilter {
    /// Whether every entry passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.labels.is_empty() && self.params.is_empty() && self.texts.is_empty()
    }

    /// Whether the entry passes.
    #[must_use]
    pub fn matches(&self, entry: &JournalEntry) -> bool {
        self.texts.iter().all(|text| entry.query.contains(text.as_str()))
            && self.params.iter().all(|(name, value)| has_param(&entry.params, name, value))
            && self.matches_statement(&entry.query)
    }

    fn matches_statement(&self, query: &str) -> bool {
        if self.kinds.is_empty() && self.labels.is_empty() {
            return true;
        }
        let statement = Statement::read(query);
        let kind = |kind: &StatementKind| statement.kinds.contains(kind);
        let label = |label: &String| statement.labels.iter().any(|named| named == label);
        (self.kinds.is_empty() || self.kinds.iter().any(kind))
            && (self.labels.is_empty() || self.labels.iter().any(label))
    }
}

/// Looks in maps and lists, too: rows of a batch are a list of maps.
fn has_param(params: &[(String, ParamValue)], name: &str, wanted: &str) -> bool {
    // A payload's nesting is bounded, but not by much less than a stack: what is found is kept on the heap.
    let mut left: Vec<(Option<&str>, &ParamValue)> =
        params.iter().map(|(key, value)| (Some(key.as_str()), value)).collect();
    while let Some((key, value)) = left.pop() {
        match value {
            ParamValue::Map(values) => {
                left.extend(values.iter().map(|(key, value)| (Some(key.as_str()), value)));
            }
            ParamValue::List(values) => left.extend(values.iter().map(|value| (key, value))),
            value if key == Some(name) && param_text(value).as_deref() == Some(wanted) => return true,
            _ => {}
        }
    }
    false
}

/// A value as a person would type it: texts as they are, numbers in decimal, `true`, `null`, dates and times in ISO 8601. `None` for what
/// nobody would: bytes, points, lists and maps.
#[must_use]
pub fn param_text(value: &ParamValue) -> Option<Cow<'_, str>> {
    Some(match value {
        ParamValue::Null => Cow::Borrowed("null"),
        ParamValue::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        ParamValue::Int64(value) => Cow::Owned(value.to_string()),
        ParamValue::Double(value) => Cow::Owned(format!("{value:?}")),
        ParamValue::String(text)
        | ParamValue::Temporal { text, .. }
        | ParamValue::Uuid(text)
        | ParamValue::Decimal(text)
        | ParamValue::Int128(text) => Cow::Borrowed(text),
        ParamValue::List(_) | ParamValue::Map(_) | ParamValue::Bytes(_) | ParamValue::Point { .. } => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> JournalEntry {
        let rows = ParamValue::List(vec![
            ParamValue::Map(vec![("id".to_owned(), ParamValue::Int64(7))]),
            ParamValue::Map(vec![
                ("id".to_owned(), ParamValue::Int64(8)),
                ("ok".to_owned(), ParamValue::Bool(true)),
            ]),
        ]);
        JournalEntry::new("UNWIND $rows AS row MERGE (p:Person {id: row.id})", 0)
            .with_param("rows", rows)
            .with_param("name", "Ada")
            .with_param("share", 0.5)
            .with_param("tags", ParamValue::List(vec!["a".into(), "b".into()]))
    }

    fn of(change: impl FnOnce(&mut EntryFilter)) -> bool {
        let mut filter = EntryFilter::default();
        change(&mut filter);
        filter.matches(&entry())
    }

    #[test]
    fn parameters_are_found_by_what_a_person_would_type() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (name, value) in
            [("name", "Ada"), ("id", "7"), ("id", "8"), ("ok", "true"), ("share", "0.5"), ("tags", "b")]
        {
            assert!(of(|filter| filter.params = vec![pair(name, value)]), "{name}={value}");
        }
        for (name, value) in [("name", "ada"), ("name", "Ad"), ("id", "9"), ("nobody", "Ada"), ("rows", "7")]
        {
            assert!(!of(|filter| filter.params = vec![pair(name, value)]), "{name}={value}");
        }
        assert!(of(|filter| filter.params = vec![pair("id", "7"), pair("name", "Ada")]));
        assert!(!of(|filter| filter.params = vec![pair("id", "7"), pair("name", "Bob")]));
    }

    #[test]
    fn all_that_is_given_must_hold_and_of_kinds_and_labels_one() {
        assert!(of(|_| ()) && EntryFilter::default().is_empty());
        assert!(of(|filter| filter.kinds = vec![StatementKind::Delete, StatementKind::Merge]));
        assert!(!of(|filter| filter.kinds = vec![StatementKind::Delete]));
        assert!(of(|filter| filter.labels = vec!["City".to_owned(), "Person".to_owned()]));
        assert!(!of(|filter| filter.labels = vec!["person".to_owned()]));
        assert!(of(|filter| filter.texts = vec!["UNWIND".to_owned(), "row.id".to_owned()]));
        assert!(!of(|filter| {
            filter.kinds = vec![StatementKind::Merge];
            filter.labels = vec!["City".to_owned()];
        }));
    }

    #[test]
    fn h11_deep_nesting_takes_no_stack() {
        let mut value = ParamValue::String("deep".to_owned());
        for _ in 0..10_000 {
            value = ParamValue::List(vec![value]);
        }
        let entry = JournalEntry::new("RETURN 1", 0).with_param("p", value);
        let filter =
            EntryFilter { params: vec![("p".to_owned(), "deep".to_owned())], ..EntryFilter::default() };
        assert!(filter.matches(&entry));
        // Dropping so deep a value would take the stack that looking at it did not.
        std::mem::forget(entry);
    }
}
