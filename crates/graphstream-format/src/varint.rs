//! Unsigned LEB128 numbers: seven bits a byte, the lowest first, the top bit set on all but the last. Only the shortest
//! form is accepted, so every value has exactly one encoding.

/// Appends `value`.
#[inline]
pub(crate) fn write(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// How many bytes [`write`] appends for `value`.
#[inline]
pub(crate) fn len(value: u64) -> usize {
    let bits = (64 - (value | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

/// The number at the start of `bytes` and how many bytes it took; `None` if it is cut, too long, or not the shortest
/// form.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    if let Some(&byte) = bytes.first().filter(|byte| **byte < 0x80) {
        return Some((byte.into(), 1));
    }
    if let Some(word) = bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
        && ends(word) != 0
    {
        return read_word(word);
    }
    read_bytewise(bytes)
}

/// The same from `at` on, where fewer than eight bytes may be left but stand behind others: not byte by byte then.
#[inline]
pub(crate) fn read_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(at..)?;
    match bytes.last_chunk().map(|word| u64::from_le_bytes(*word)) {
        // What is shifted in ends a number, but none in its shortest form.
        Some(word) if (1..8).contains(&rest.len()) => read_word(word >> (8 * (8 - rest.len()))),
        _ => read(rest),
    }
}

/// The top bit of each byte that ends a number.
const fn ends(word: u64) -> u64 {
    !word & 0x8080_8080_8080_8080
}

/// The number at the start of a word in which one ends.
#[inline]
fn read_word(word: u64) -> Option<(u64, usize)> {
    let ends = ends(word);
    // All bits up to the top one of the last byte.
    let ours = word & (ends ^ (ends - 1));
    let bytes = (ends.trailing_zeros() / 8) as usize + 1;
    (bytes == 1 || ours >> (8 * (bytes - 1)) != 0).then(|| (seven_bits_each(ours), bytes))
}

/// What [`write`] appends for a `value` below 2^56, as a little-endian number, and how many bytes of it: without a branch.
#[inline]
pub(crate) const fn word(value: u64) -> (u64, usize) {
    let word = (value & 0x0fff_ffff) | ((value << 4) & 0x0fff_ffff_0000_0000);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word << 2) & 0x3fff_0000_3fff_0000);
    let word = (word & 0x007f_007f_007f_007f) | ((word << 1) & 0x7f00_7f00_7f00_7f00);
    let last = (63 - (word | 1).leading_zeros()) / 8;
    let continued = 0x8080_8080_8080_8080 & ((1 << (8 * last)) - 1);
    (word | continued, last as usize + 1)
}

/// The low seven bits of each byte, together.
const fn seven_bits_each(word: u64) -> u64 {
    let word = word & 0x7f7f_7f7f_7f7f_7f7f;
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

fn read_bytewise(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if index == 9 && part > 1 {
            return None;
        }
        value |= part << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || byte != 0;
            return shortest.then_some((value, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_round_trips() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                write(value, &mut out);
                assert_eq!(out.len(), len(value), "{value}");
                assert_eq!(read(&out), Some((value, out.len())));
                if value < 1 << 56 {
                    let (bytes, len) = word(value);
                    let bytes = bytes.to_le_bytes();
                    assert_eq!(bytes.split_at(len), (&out[..], &[0; 8][len..]), "{value}");
                }
                assert_eq!(read(&out[..out.len() - 1]), None, "{value} cut");
            }
        }
    }

    /// With anything behind it, and read byte by byte: the same.
    #[test]
    fn h01_the_fast_way_is_the_slow_way() {
        let mut bytes = [0_u8; 12];
        for seed in 0..200_000_u64 {
            let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = mixed ^ (mixed >> 29);
            bytes[..8].copy_from_slice(&mixed.to_le_bytes());
            // Most bits set, so that most numbers are long.
            let long = mixed.rotate_left(17) as u8 % 11;
            for byte in &mut bytes[..usize::from(long)] {
                *byte |= 0x80;
            }
            if seed % 3 == 0 {
                bytes[usize::from(long)] = (seed % 2) as u8;
            }
            assert_eq!(read(&bytes), read_bytewise(&bytes), "{bytes:02x?}");
            for at in 0..=bytes.len() {
                assert_eq!(read_at(&bytes, at), read_bytewise(&bytes[at..]), "{bytes:02x?} from {at}");
            }
            assert_eq!(read_at(&bytes[..5], 3), read_bytewise(&bytes[3..5]), "{bytes:02x?}");
        }
    }

    #[test]
    fn h01_longer_forms_and_overflow_are_refused() {
        assert_eq!(read(&[0x80, 0x00]), None);
        assert_eq!(read(&[0xff, 0x80, 0x00]), None);
        assert_eq!(read(&[0xff; 12]), None);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some((u64::MAX, 10)));
    }
}
