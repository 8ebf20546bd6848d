//! A payload: what decodes is what the generated messages read, decodes the same over another entry, and is encoded to a payload that
//! decodes to the same.
#![no_main]

use graphstream_proto::{Error, JournalEntry, Schema, schema_of, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|payload: &[u8]| {
    let decoded = JournalEntry::decode(payload, 1);
    // Over an entry whose texts stand there already, and over one whose do not.
    let mut over = decoded.as_ref().cloned().unwrap_or_default();
    for _ in 0..2 {
        let again = over.decode_beside(payload, 1, || true);
        assert_eq!(format!("{:?}", again.map(|()| &over)), format!("{:?}", decoded.as_ref()));
        over = JournalEntry::new("another", 7).with_param("p", "text").with_param("q", 1_i64);
    }
    let Ok(entry) = decoded else { return };
    if matches!(schema_of(payload), Ok(Schema::V1)) {
        let message = v1::JournalEntry::decode(payload).expect("what the decoder has read");
        assert_eq!(JournalEntry::try_from(message).expect("of known kinds"), entry);
    }
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
