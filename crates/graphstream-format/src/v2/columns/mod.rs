//! The entries of a frame, sorted: what is alike stands together, so that zstd sees a third of the bytes and finds more in them.
//!
//! A payload is a *shape* (query, keys, tags: bytes that repeat from entry to entry) with *slots* in it (times, numbers, texts). A shape
//! is stored once a frame, and of each slot there is a column with the values of all its entries:
//!
//! ```text
//! payload   [tag "CREATE (:Person {id: $id, name: $name})" tag .. "id" tag] 17 [tag .. "name" tag] "Ada" [tag] 1700000000000
//! shape     LITERAL ................................................... OPEN VARINT LITERAL ...  BYTES CLOSE LITERAL TIME
//! columns                                                              17, 18, ..               3, ..; Ada..    the frame's times
//!
//! columnar  0 | the entries as rows
//!           or: number of shapes | shapes | shape of each entry | commit time deltas | times | columns, shape by shape
//! ```
//!
//! What a payload means is not known here. `Shaper` guesses that it is a protobuf message as `journal.proto` has it, and
//! whatever it can't give back byte for byte is a shape without structure ([`op::WHOLE`]). The decoder knows nothing of protobuf: it
//! executes shapes.

mod building;
mod decode;
mod encode;
mod program;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use building::{Building, SLACK};
pub(crate) use decode::{Decoder, Form, form_of};
pub(crate) use encode::Encoder;

/// Most bytes that the columnar form is longer than the rows: its first byte. A writer whose columns would be longer stores rows.
pub(crate) const COLUMNAR_OVERHEAD_MAX: usize = 1;

/// Operations of a shape. Each appends to the payload.
pub mod op {
    /// Ends the shape.
    pub const END: u8 = 0;
    /// The bytes that follow: a length (varint, at least 1) and as many bytes.
    pub const LITERAL: u8 = 1;
    /// The entry's time, as a varint; at most once in a shape.
    pub const TIME: u8 = 2;
    /// A number of the slot's column, as a varint.
    pub const VARINT: u8 = 3;
    /// Eight bytes of the slot's column.
    pub const FIXED: u8 = 4;
    /// A length and as many bytes, of the slot's two columns.
    pub const BYTES: u8 = 5;
    /// The length, as a varint, of what is appended up to the CLOSE that belongs to it. May stand inside one other.
    pub const OPEN: u8 = 6;
    /// Ends what the last OPEN began.
    pub const CLOSE: u8 = 7;
    /// As BYTES, without the length: a payload without structure. The only operation of its shape.
    pub const WHOLE: u8 = 8;
}

/// How the numbers of a column are stored: all as zigzag varints of a difference, modulo 2^64.
pub mod coding {
    /// To zero.
    pub const PLAIN: u8 = 0;
    /// To the number before it in the column; to zero for the first.
    pub const DELTA: u8 = 1;
    /// To the time of its entry.
    pub const TIME: u8 = 2;
}

/// Operations of the shape of payloads without structure.
const WHOLE_OPERATIONS: usize = 2;

/// OPENs that may be open at once.
const DEPTH_MAX: usize = 2;

#[inline]
const fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

#[inline]
const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}
