//! Reading fixed-width big-endian fields from slices whose bounds were checked, without a panic on a path that
//! cannot fail; and writing hexadecimal digits.

use std::fmt;

/// The `N` bytes at `at`; zeros where the slice is too short (callers check lengths first).
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(found) = bytes.get(at..at.saturating_add(N)) {
        out.copy_from_slice(found);
    } else {
        debug_assert!(false, "field of {N} bytes at {at} outside of {}", bytes.len());
    }
    out
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array(bytes, at))
}

/// Puts `value` at `at` of a buffer that has room for it.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(value.len())) {
        place.copy_from_slice(value);
    } else {
        debug_assert!(false, "field of {} bytes at {at} outside of the buffer", value.len());
    }
}

/// Writes two lowercase digits for each of at most 32 bytes, without a buffer on the heap: a hash is written for every entry that is printed.
pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; 64];
    let digits = digits.get_mut(..2 * bytes.len()).ok_or(fmt::Error)?;
    hex::encode_to_slice(bytes, digits).map_err(|_| fmt::Error)?;
    f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
}
