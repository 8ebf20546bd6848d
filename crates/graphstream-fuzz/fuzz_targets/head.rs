//! A head or an epoch object from a store: what parses is rendered to bytes that parse to the same.
#![no_main]

use graphstream_remote::{EpochObject, Head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(head) = Head::parse(bytes) {
        let rendered = head.render().expect("what was parsed");
        assert_eq!(Head::parse(&rendered).expect("what was rendered"), head);
        for row in head.epochs() {
            let object = head.epoch_object(row);
            let rendered = object.render().expect("a row of a head");
            assert_eq!(EpochObject::parse(&rendered).expect("what was rendered"), object);
        }
    }
    if let Ok(object) = EpochObject::parse(bytes) {
        let rendered = object.render().expect("what was parsed");
        assert_eq!(EpochObject::parse(&rendered).expect("what was rendered"), object);
    }
});
