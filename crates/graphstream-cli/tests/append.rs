//! `append`: what goes in, what is acknowledged, and what stands in the journal afterwards.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use cli::{Place, entries, entry};

#[test]
fn what_was_appended_is_read_in_order() {
    let place = Place::new();
    place.append(entries(1, 3));
    let found = place.cat();
    assert_eq!(found.len(), 3);
    for (line, n) in found.iter().zip(1..) {
        assert_eq!(line["sequence"], n);
        assert_eq!(line["params"], entry(n)["params"]);
    }
}
