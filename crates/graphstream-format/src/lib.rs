//! The `.hadbj` segment: bytes into values and back.
//!
//! A journal is a row of segments, each holding consecutive entries. While it is appended to, a segment is *open* and has its own
//! layout ([`open`]); then it is *sealed* into an immutable file: compact and indexed ([`v2`]), or as the predecessor did ([`v1`]). Every entry continues a SHA-256 chain over
//! all payloads since the beginning ([`ChainHash`]), so that two journals can be compared by one value.
//!
//! ```text
//!  payloads -> open::RecordEncoder -> open segment --scan--> SegmentWriter -> sealed segment
//!                                          |                                      |
//!                            open::Scanner, SegmentReader         SegmentReader, v2::RandomReader -> Entry
//! ```
//!
//! This crate opens no file, reads no clock, starts no thread unless the caller asks for some ([`v2::Workers`]). Whatever bytes it is given, it neither panics nor
//! allocates more than [`limits`] allow, and what it gives out was verified. `docs/format.md` in the repository is the normative
//! description of the bytes.

mod admission;
mod bytes;
mod chain;
mod compression;
mod convert;
mod damage;
pub mod encryption;
mod entry;
mod error;
pub mod header;
pub mod layout;
mod legacy;
pub mod limits;
mod lineage;
pub mod open;
mod read_at;
mod reader;
#[cfg(feature = "sabotage")]
#[doc(hidden)]
pub mod sabotage;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
mod stored;
pub mod v1;
pub mod v2;
mod varint;
mod window;
mod writer;

pub use chain::ChainHash;
pub use compression::Compression;
pub use convert::{convert, convert_encrypted};
pub use damage::{ChunkDefect, Damage, Offset, RecordDefect};
pub use entry::{Entry, Position, SegmentStart};
pub use error::{Error, KeyLineDefect, Result, Unwritable};
pub use header::{Header, SegmentKind};
pub use lineage::Lineage;
pub use read_at::ReadAt;
pub use reader::{ReadOptions, SegmentEnd, SegmentReader, Torn};
pub use stored::verify_stored;
pub use writer::{Finished, SegmentVersion, SegmentWriter, WriteOptions};
