//! A head or an epoch object from a store, with and without keys: what parses is rendered to bytes that parse to the same, and keys let nothing
//! plain pass.
#![no_main]

use std::sync::LazyLock;

use graphstream_format::encryption::{DataKey, KeyRing};
use graphstream_remote::{EpochObject, Head};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::new(DataKey::taking(&mut [7; 32])));

fuzz_target!(|bytes: &[u8]| {
    for keys in [None, Some(&*KEYS)] {
        if let Ok(head) = Head::parse(bytes, keys) {
            assert_eq!(head.is_keyed(), keys.is_some());
            let rendered = head.render(keys).expect("what was parsed");
            assert_eq!(Head::parse(&rendered, keys).expect("what was rendered"), head);
            for row in head.epochs() {
                let object = head.epoch_object(row);
                let rendered = object.render(keys).expect("a row of a head");
                let keys = keys.filter(|_| row.start_chain.key_id().is_some());
                assert_eq!(EpochObject::parse(&rendered, keys).expect("what was rendered"), object);
            }
        }
        if let Ok(object) = EpochObject::parse(bytes, keys) {
            assert_eq!(object.row.start_chain.key_id().is_some(), keys.is_some());
            let rendered = object.render(keys).expect("what was parsed");
            assert_eq!(EpochObject::parse(&rendered, keys).expect("what was rendered"), object);
        }
    }
});
