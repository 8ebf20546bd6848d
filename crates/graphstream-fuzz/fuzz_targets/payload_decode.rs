//! A payload: what decodes is encoded to a payload that decodes to the same.
#![no_main]

use graphstream_proto::{Error, JournalEntry, Schema, schema_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let Ok(entry) = JournalEntry::decode(payload, 1) else { return };
    let encoded = match entry.encode() {
        Ok(encoded) => encoded,
        // Its writer refused neither empty queries nor keys given twice.
        Err(_) if matches!(schema_of(payload), Ok(Schema::Predecessor)) => return,
        // Texts are checked when written, not when read.
        Err(Error::InvalidText { .. }) => return,
        Err(error) => panic!("decoded, but not to be encoded: {error}"),
    };
    assert!(matches!(schema_of(&encoded), Ok(Schema::V1)));
    let again = JournalEntry::decode(&encoded, 1).expect("what was encoded");
    // By their bytes: NaN is not equal to itself.
    assert_eq!(again.encode().expect("as before"), encoded);
});
