//! A line of `append --input`: what parses is written as a line that parses to the same.
#![no_main]

use graphstream_proto::json::{parse_entry_line, parse_line, write_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(entry) = parse_line(text, 7) {
        let _ = entry.encode();
    }
    let Ok(line) = parse_entry_line(text) else { return };
    let mut written = String::new();
    write_line(&line, &mut written);
    let again = parse_entry_line(written.trim_end()).expect("what was written");
    let mut twice = String::new();
    write_line(&again, &mut twice);
    assert_eq!(twice, written);
});
