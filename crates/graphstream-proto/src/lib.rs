//! The graph payload of a journal entry: a query, its typed parameters, and their two outer shapes.
//!
//! ```text
//!                      encode / decode                      json (feature)
//!   protobuf bytes  <------------------>  JournalEntry  <-------------------->  a JSON line
//!   (in a segment)                        ParamValue                            (append --input, cat --json)
//!         |
//!         +-- graphstream.v1: what we write            field 1 is the query (bytes)
//!         +-- graphd: what graphstream 0.3 wrote       field 1 is the sequence (varint)
//! ```
//!
//! [`JournalEntry::decode`] reads both payload schemas and refuses what it does not know: an entry that is understood by
//! half would make a follower differ from its leader without a word. Everything is bounded by [`limits`] before memory is
//! taken, on any input. The messages themselves, generated from `proto/`, are in [`v1`] and [`graphd`].

mod convert;
mod decode;
mod encode;
mod entry;
mod error;
#[cfg(feature = "json")]
pub mod json;
mod keys;
pub mod limits;
mod plain;
mod text;
mod value;
mod wire;

/// The messages of package `graphstream.v1`: the payload as we write it.
#[rustfmt::skip]
#[path = "generated/v1.rs"]
#[allow(missing_docs, clippy::all, reason = "generated code")]
pub mod v1;

/// The messages of package `graphd`: the payload as graphstream 0.3 wrote it.
#[rustfmt::skip]
#[path = "generated/graphd.rs"]
#[allow(missing_docs, clippy::all, reason = "generated code")]
pub mod graphd;

pub use decode::{Schema, schema_of};
pub use entry::JournalEntry;
pub use error::{Error, Result};
pub use text::TextKind;
pub use value::{ParamValue, TemporalKind};
