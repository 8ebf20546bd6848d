//! What is wrong with a JSON text, and where.

use std::fmt;

use super::LINE_BYTES_MAX;
use crate::TextKind;

/// Keys are cut after this many characters, and a path after this many steps.
const KEY_CHARS_MAX: usize = 64;
const STEPS_MAX: usize = 16;

/// Where in a JSON text something is wrong, as a path of keys and indexes: `$.params.rows[3].name`.
///
/// Keys that are not plain words are quoted; long keys and long paths are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(String);

impl JsonPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The way to a value while it is parsed: a chain of steps on the stack, so that a text without errors costs nothing.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    pub(super) fn path(&self) -> JsonPath {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            match at {
                At::Root => break,
                At::Key(parent, key) => {
                    steps.push(key_step(key));
                    at = parent;
                }
                At::Index(parent, index) => {
                    steps.push(format!("[{index}]"));
                    at = parent;
                }
            }
        }
        let mut path = String::from("$");
        let left_out = steps.len().saturating_sub(STEPS_MAX);
        steps.iter().rev().take(STEPS_MAX).for_each(|step| path.push_str(step));
        if left_out > 0 {
            path.push_str(&format!(" and {left_out} levels more"));
        }
        JsonPath(path)
    }
}

fn key_step(key: &str) -> String {
    let cut: String = key.chars().take(KEY_CHARS_MAX).collect();
    let dots = if cut.len() < key.len() { "..." } else { "" };
    let plain = !cut.is_empty() && cut.chars().all(|c| c.is_alphanumeric() || "_$-".contains(c));
    if plain { format!(".{cut}{dots}") } else { format!("[{cut:?}{dots}]") }
}

/// What is wrong with a JSON text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// The text is no JSON.
    #[error("invalid JSON: {}", WithoutLine(.0))]
    Syntax(serde_json::Error),

    /// The line is longer than any entry.
    #[error("a line longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,

    /// Something else stands where this should.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What should be there.
        expected: &'static str,
        /// What kind of JSON value is there.
        found: &'static str,
    },

    /// A field must be there.
    #[error("the field `{field}` is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },

    /// The object has a field that is not known.
    #[error("an unknown field (known are {known})")]
    UnknownField {
        /// The names that are known.
        known: &'static str,
    },

    /// The object has a key twice.
    #[error("a key given twice")]
    DuplicateKey,

    /// An object with one key that begins with `$` says a kind of value that does not exist.
    #[error(
        "an unknown kind of value (an object whose only key begins with `$` is written as {{\"$map\": {{...}}}})"
    )]
    UnknownKind,

    /// The query is empty.
    #[error("an empty query")]
    EmptyQuery,

    /// An integer does not fit.
    #[error("an integer outside {range}")]
    IntegerRange {
        /// What it should lie in.
        range: &'static str,
    },

    /// A double is larger than the largest one.
    #[error("a number too large for a double")]
    DoubleRange,

    /// A `$double` is none of the texts there are.
    #[error("expected \"NaN\", \"Infinity\" or \"-Infinity\"")]
    DoubleText,

    /// A `$bytes` is no base64.
    #[error("expected base64 with padding")]
    Base64,

    /// A text is not what its kind requires.
    #[error("{kind} must be {}", kind.expected())]
    Text {
        /// The kind of text.
        kind: TextKind,
    },

    /// A hash is not hexadecimal.
    #[error("expected {digits} lowercase hexadecimal digits")]
    Hex {
        /// How many digits it should have.
        digits: usize,
    },

    /// The values are nested too deep.
    #[error("values nested too deep")]
    NestingTooDeep,

    /// There are too many values.
    #[error("more than {max} values in one entry")]
    TooManyValues {
        /// [`limits::VALUES_MAX`](crate::limits::VALUES_MAX).
        max: usize,
    },

    /// There are too many parameters.
    #[error("more than {max} parameters in one entry")]
    TooManyParams {
        /// [`limits::PARAMS_MAX`](crate::limits::PARAMS_MAX).
        max: usize,
    },
}

/// serde_json's message without its line, which is always the first: the caller knows which line of its input this is.
struct WithoutLine<'a>(&'a serde_json::Error);

impl fmt::Display for WithoutLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        write!(f, "{message} in column {}", self.0.column())
    }
}
