//! Taking a JSON text apart, one level at a time.
//!
//! serde_json gives each member as the text it is ([`RawValue`]), so that a number is seen as it was written: `1` and `1.0` are
//! different values, and 9223372036854775808 must not become a double. serde_json's `arbitrary_precision` would show it
//! too, but features are shared by a whole build, and it changes how every other crate reads numbers.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::path::{At, JsonProblem};
use crate::limits::VALUES_MAX;
use crate::{Error, Result};

/// The kind of a JSON value, told by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    pub(super) fn of(raw: &RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => Self::String,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ => Self::Number,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl At<'_> {
    pub(super) fn fail<T>(&self, problem: JsonProblem) -> Result<T> {
        Err(Error::Json { path: self.path(), problem })
    }

    /// Refuses a value that is not of the wanted kind.
    pub(super) fn expect(&self, raw: &RawValue, wanted: Kind, expected: &'static str) -> Result<()> {
        let found = Kind::of(raw);
        if found == wanted {
            return Ok(());
        }
        self.fail(JsonProblem::Kind { expected, found: found.name() })
    }

    pub(super) fn string(&self, raw: &RawValue) -> Result<String> {
        self.expect(raw, Kind::String, "a string")?;
        serde_json::from_str(raw.get()).or_else(|error| self.fail(JsonProblem::Syntax(error)))
    }

    /// A whole number within the range of `T`, which `range` describes.
    pub(super) fn integer<T: std::str::FromStr>(&self, raw: &RawValue, range: &'static str) -> Result<T> {
        self.expect(raw, Kind::Number, "an integer")?;
        if is_double(raw.get()) {
            return self.fail(JsonProblem::Kind { expected: "an integer", found: "a double" });
        }
        raw.get().parse().or_else(|_| self.fail(JsonProblem::IntegerRange { range }))
    }

    /// The members of an array.
    pub(super) fn array<'a>(&self, raw: &'a RawValue, budget: &mut Budget) -> Result<Vec<&'a RawValue>> {
        self.expect(raw, Kind::Array, "an array")?;
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        match deserializer.deserialize_seq(Members { most: budget.left }) {
            Ok(members) => self.charge(members, budget),
            Err(error) => self.fail(JsonProblem::Syntax(error)),
        }
    }

    /// The members of an object in their order. No key occurs twice.
    pub(super) fn object<'a>(
        &self,
        text: &'a str,
        budget: &mut Budget,
    ) -> Result<Vec<(String, &'a RawValue)>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = match deserializer.deserialize_map(Fields { most: budget.left }) {
            Ok(fields) => self.charge(fields, budget)?,
            Err(error) => return self.fail(JsonProblem::Syntax(error)),
        };
        if let Err(error) = deserializer.end() {
            return self.fail(JsonProblem::Syntax(error));
        }
        let duplicate = crate::keys::first_duplicate(&fields).and_then(|index| fields.get(index));
        match duplicate {
            Some((key, _)) => At::Key(self, key).fail(JsonProblem::DuplicateKey),
            None => Ok(fields),
        }
    }

    fn charge<T>(&self, members: Option<Vec<T>>, budget: &mut Budget) -> Result<Vec<T>> {
        let Some(members) = members else {
            return self.fail(JsonProblem::TooManyValues { max: VALUES_MAX });
        };
        budget.left -= members.len();
        Ok(members)
    }
}

/// How many values may still come. Members are counted when they are collected, so that the memory for them is bounded.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) fn new(values: usize) -> Self {
        Self { left: values }
    }

    /// Gives back what members were counted that are no values themselves.
    pub(super) fn give_back(&mut self, members: usize) {
        self.left += members;
    }
}

/// Whether a number is written as a double.
pub(super) fn is_double(number: &str) -> bool {
    number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Collects the members of an array; `None` when there are too many.
struct Members {
    most: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while members.len() < self.most {
            match access.next_element()? {
                Some(member) => members.push(member),
                None => return Ok(Some(members)),
            }
        }
        // The rest is read to find errors of syntax, but not kept.
        let mut more = false;
        while access.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok((!more).then_some(members))
    }
}

/// Collects the members of an object; `None` when there are too many.
struct Fields {
    most: usize,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Option<Vec<(String, &'de RawValue)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while fields.len() < self.most {
            match access.next_entry()? {
                Some(field) => fields.push(field),
                None => return Ok(Some(fields)),
            }
        }
        let mut more = false;
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok((!more).then_some(fields))
    }
}
