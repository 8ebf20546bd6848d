//! Unsigned LEB128 numbers: seven bits a byte, the lowest first, the top bit set on all but the last. Only the shortest
//! form is accepted, so every value has exactly one encoding.

/// Appends `value`.
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
pub(crate) fn len(value: u64) -> usize {
    let bits = (64 - (value | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

/// The number at the start of `bytes` and how many bytes it took; `None` if it is cut, too long, or not the shortest
/// form.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
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
                assert_eq!(read(&out[..out.len() - 1]), None, "{value} cut");
            }
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
