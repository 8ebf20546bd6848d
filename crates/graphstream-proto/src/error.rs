//! The errors of this crate.

use crate::text::TextKind;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an entry could not be encoded, decoded or read from JSON.
///
/// Offsets count bytes from the start of the payload. No message contains a query or a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query is empty.
    #[error("an entry's query must not be empty")]
    EmptyQuery,

    /// The payload is, or would become, larger than a segment's entry may be.
    #[error("the payload is larger than {max} bytes")]
    PayloadTooLarge {
        /// [`limits::PAYLOAD_BYTES_MAX`](crate::limits::PAYLOAD_BYTES_MAX).
        max: usize,
    },

    /// Lists and maps lie too deep in each other.
    #[error("values are nested deeper than {max} protobuf messages")]
    NestingTooDeep {
        /// [`limits::MESSAGES_DEEP_MAX`](crate::limits::MESSAGES_DEEP_MAX).
        max: usize,
    },

    /// The entry has too many parameters.
    #[error("the entry has more than {max} parameters")]
    TooManyParams {
        /// [`limits::PARAMS_MAX`](crate::limits::PARAMS_MAX).
        max: usize,
    },

    /// The entry has too many values, nested ones included.
    #[error("the entry has more than {max} values")]
    TooManyValues {
        /// [`limits::VALUES_MAX`](crate::limits::VALUES_MAX).
        max: usize,
    },

    /// A parameter, or a key of a map, is given twice.
    #[error("{place} number {index} (from 0) has the same key as an earlier one")]
    DuplicateKey {
        /// `parameter` or `map entry`.
        place: &'static str,
        /// Which one, counted from 0.
        index: usize,
    },

    /// A text is not what its kind requires.
    #[error("{kind} must be {}", kind.expected())]
    InvalidText {
        /// The kind of text.
        kind: TextKind,
    },

    /// The payload ends inside a field.
    #[error(
        "the payload ends inside a field at offset {offset}: {needed} more bytes expected, {found} found"
    )]
    Truncated {
        /// Where the missing bytes should begin.
        offset: usize,
        /// How many should follow there.
        needed: u64,
        /// How many do.
        found: usize,
    },

    /// A varint has more than 64 bits.
    #[error("the varint at offset {offset} does not fit 64 bits")]
    VarintTooLong {
        /// Where it begins.
        offset: usize,
    },

    /// A field's key is no valid protobuf.
    #[error("no valid protobuf field begins at offset {offset}: its key is {key:#x}")]
    InvalidFieldKey {
        /// Where the key begins.
        offset: usize,
        /// The key: field number and wire type.
        key: u64,
    },

    /// The payload has no field 1, which tells the schemas apart.
    #[error("the payload has neither a query nor a sequence in field 1, so it has no known schema")]
    UnknownSchema,

    /// A field is not of this schema: it was written by a later version, or it is damaged.
    #[error(
        "field {field} of {message} at offset {offset} is unknown to this version, or has an unexpected wire type"
    )]
    UnknownField {
        /// The message's name.
        message: &'static str,
        /// The field's number.
        field: u32,
        /// Where it begins.
        offset: usize,
    },

    /// A field that occurs once is there twice.
    #[error("field {field} of {message} at offset {offset} occurs a second time")]
    RepeatedField {
        /// The message's name.
        message: &'static str,
        /// The field's number.
        field: u32,
        /// Where the second one begins.
        offset: usize,
    },

    /// A message lacks something it must have.
    #[error("{message} ends at offset {offset} without its {field}")]
    MissingField {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
        /// Where the message ends.
        offset: usize,
    },

    /// A generated message lacks something it must have, or it is a kind this version does not know.
    #[error("a {message} without a known {field}")]
    IncompleteMessage {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },

    /// A string is not UTF-8.
    #[error("the string at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// Where the string begins.
        offset: usize,
        /// What is wrong with it.
        source: std::str::Utf8Error,
    },

    /// A kind of date or time is unknown.
    #[error("the temporal value at offset {offset} has the unknown kind {kind}")]
    UnknownTemporalKind {
        /// Where the number is.
        offset: usize,
        /// The number.
        kind: u64,
    },

    /// The sequence in a predecessor's payload is not that of its frame.
    #[error("the payload says sequence {payload} but its frame says {frame}")]
    SequenceMismatch {
        /// The segment's sequence.
        frame: u64,
        /// The payload's own.
        payload: u64,
    },

    /// A value has no counterpart in the predecessor's schema.
    #[error("the predecessor's schema has no {kind} value")]
    NotInPredecessor {
        /// The kind of value.
        kind: &'static str,
    },

    /// A JSON text is not an entry.
    #[cfg(feature = "json")]
    #[error("{problem} at {path}")]
    Json {
        /// Where in the JSON text.
        path: crate::json::JsonPath,
        /// What is wrong there.
        problem: crate::json::JsonProblem,
    },
}
