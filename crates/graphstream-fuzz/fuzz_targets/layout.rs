//! The parts of any bytes: they fill the file without a hole, and their fields fill them.
#![no_main]

use graphstream_format::layout::Parts;
use graphstream_fuzz::{fix_header, fix_v2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: Vec<u8>| {
    check(&bytes);
    let mut bytes = bytes;
    fix_v2(&mut bytes);
    fix_header(&mut bytes);
    check(&bytes);
});

fn check(bytes: &[u8]) {
    let mut end = 0;
    for part in Parts::new(bytes, bytes.len() as u64) {
        let part = part.expect("memory can be read");
        assert_eq!(part.offset, end, "{part:?}");
        assert!(part.length > 0, "{part:?}");
        for field in part.fields() {
            assert_eq!(field.offset, end, "{field:?} of {part:?}");
            end += field.length;
        }
        assert_eq!(end, part.end(), "{part:?}");
    }
    assert_eq!(end, bytes.len() as u64);
}
