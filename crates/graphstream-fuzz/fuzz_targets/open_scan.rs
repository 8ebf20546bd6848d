//! An open segment: the live scanner and the reader agree, and a shorter file never holds other entries than a longer one.
#![no_main]

use graphstream_format::Entry;
use graphstream_format::open::{Outcome, Scanner};
use graphstream_fuzz::{fix_header, fix_open, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: Vec<u8>| {
    let mut bytes = bytes;
    let cut = bytes
        .split_off(bytes.len().saturating_sub(2))
        .into_iter()
        .fold(0, |cut, byte| cut << 8 | usize::from(byte));
    fix_open(&mut bytes);
    fix_header(&mut bytes);
    let scanned = scan(&bytes, cut % 7);
    let (entries, end) = read(&bytes);
    if let Some((scanned, outcome)) = &scanned {
        assert_eq!(scanned, &entries);
        match outcome {
            Outcome::Corrupt { .. } => assert!(end.is_err()),
            Outcome::Torn { .. } => assert!(end.is_ok_and(|end| end.torn.is_some())),
            _ => assert!(end.is_ok_and(|end| end.torn.is_none())),
        }
    }
    bytes.truncate(cut);
    let (fewer, _) = read(&bytes);
    assert!(entries.starts_with(&fewer));
});

/// Hashes so many blocks of each entry ahead.
fn scan(bytes: &[u8], ahead: usize) -> Option<(Vec<Entry>, Outcome)> {
    let mut scanner = Scanner::open(bytes).ok()?;
    let mut entries = Vec::new();
    loop {
        let Some(found) = scanner.next_entry().ok()? else { break };
        let mut entry = Entry::default();
        found.copy_to(&mut entry);
        entries.push(entry);
        (0..ahead).for_each(|_| drop(scanner.hash_ahead()));
    }
    Some((entries, scanner.judge().ok()?))
}
