//! A statement before the determinism guard: its tokens cover it, a refusal names a place in it, and what is admitted is admitted again as it is.
#![no_main]

use graphstream_proto::JournalEntry;
use graphstream_replay::guard::{AdmitError, Dialect, Guard, GuardOptions, Place, Tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (dialect, query) = input;
    let dialect = [Dialect::Any, Dialect::Ladybug, Dialect::Grafeo][usize::from(dialect) % 3];
    let mut tokens = Tokens::new(query, dialect);
    let mut at = 0;
    for token in tokens.by_ref().map_while(Result::ok) {
        assert_eq!(token.offset, at);
        at += token.text.len();
        assert_eq!(&query[token.offset..at], token.text);
    }
    assert_eq!(tokens.offset(), at);

    let guard = Guard::new(GuardOptions::default().with_dialect(dialect));
    let entry = JournalEntry::new(query, 1_700_000_000_000);
    match guard.admit(&entry, || Ok([7; 16])) {
        Ok(admitted) => {
            assert_eq!(at, query.len());
            admitted.encode().expect("it has a statement, and parameters of their kind");
            let again = guard.admit(&admitted, || panic!("it has a UUID")).expect("it was admitted");
            assert_eq!(again, admitted);
        }
        Err(AdmitError::Refused(refusal)) => {
            assert!(query.is_char_boundary(refusal.place.offset));
            assert_eq!(refusal.place, Place::of(query, refusal.place.offset));
            assert!(!refusal.words.contains(char::is_control));
        }
        Err(other) => panic!("{other}"),
    }
});
