//! A header: what decodes says the same again when encoded, and its lengths don't overflow.
#![no_main]

use graphstream_format::Header;
use graphstream_format::header::HEADER_LEN;
use graphstream_fuzz::fix_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = [0; HEADER_LEN];
    let taken = data.len().min(HEADER_LEN);
    bytes[..taken].copy_from_slice(&data[..taken]);
    fix_header(&mut bytes);
    if let Ok(header) = Header::decode(&bytes) {
        if !header.is_legacy() {
            assert_eq!(header.encode(), bytes);
        }
        let _ = header.file_len();
    }
});
