//! A key from a store: a name that parses is written exactly so, and no two keys are one name.
#![no_main]

use graphstream_remote::{DatabaseName, Layout, ObjectName};
use graphstream_storage::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = DatabaseName::new(text) {
        assert_eq!(name.as_str(), text);
    }
    // Names are read from keys only.
    let Ok(key) = Key::new(text) else { return };
    assert_eq!(key.as_str(), text);
    let Some(name) = ObjectName::parse(text) else { return };
    assert_eq!(name.to_string(), text);
    let layout = Layout::new("root", DatabaseName::new("a").expect("a name")).expect("a layout");
    // A key below a root may have become too long.
    if let Ok(key) = layout.key(&name) {
        assert_eq!(layout.parse(&key), Some(name));
    }
});
