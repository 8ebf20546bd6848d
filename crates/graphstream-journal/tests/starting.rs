//! A journal that begins behind entries which stayed elsewhere.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use graphstream_journal::{Ack, ChainHash, JournalBuilder, Lineage, StartingPoint};
use graphstream_testkit::{CrashFs, Crashes};
use memory::{DIR, builder, payload, read};

const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);

fn start(sequence: u64) -> StartingPoint {
    let chain_hash = ChainHash::from_bytes([u8::try_from(sequence).unwrap(); 32]);
    StartingPoint { sequence, chain_hash, commit_ms: 1_700_000_000_000 }
}

fn beginning(fs: &CrashFs, sequence: u64) -> JournalBuilder {
    builder(fs).lineage(LINEAGE).database_id([1; 16]).starting_point(start(sequence))
}

/// Appends what comes next, and says which sequence that was.
fn goes_on(builder: JournalBuilder) -> u64 {
    let (journal, report) = builder.open().unwrap();
    let next = report.position.sequence + 1;
    assert_eq!(journal.append(payload(next)).unwrap().wait(Ack::Synced).unwrap(), next..=next);
    journal.close().unwrap();
    next
}

#[test]
fn without_segments_it_is_moved_forward_and_never_back() {
    let fs = CrashFs::new();
    for (given, begins) in [(20, 20), (25, 25), (10, 25), (25, 25)] {
        let (journal, report) = beginning(&fs, given).open().unwrap();
        assert_eq!(
            (report.position.sequence, report.position.chain_hash),
            (begins, start(begins).chain_hash)
        );
        journal.close().unwrap();
    }
    // Of another history, or without saying of which: it stays.
    for other in [
        builder(&fs).starting_point(start(30)),
        builder(&fs).lineage(Lineage::from_bytes([8; 16])).starting_point(start(30)),
    ] {
        assert_eq!(other.open().unwrap().1.position.sequence, 25);
    }
    assert_eq!(goes_on(beginning(&fs, 30)), 31);
    assert_eq!(goes_on(beginning(&fs, 40)), 32, "it has entries now");
    let entries = read(&fs);
    assert_eq!(entries[0].chain_hash, start(30).chain_hash.after(&payload(31)));
}

/// L11: the power is cut at any step of setting it up or moving it; setting it up again ends in the same journal.
#[test]
fn l11_setting_up_behind_other_entries_survives_power_cuts() {
    let fs = CrashFs::new();
    beginning(&fs, 20).open().unwrap().0.close().unwrap();
    beginning(&fs, 25).open().unwrap().0.close().unwrap();
    let mut crashes = Crashes::of(&fs);
    let mut states = 0;
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 2, at as u64) {
            let fs = image.boot();
            // Whatever stands there is no journal yet, or one that begins at one of the two.
            if fs.content(format!("{DIR}/journal.json")).is_some() {
                let sequence = builder(&fs).open().unwrap().1.position.sequence;
                assert!([20, 25].contains(&sequence), "{image:?}: {sequence}");
            }
            assert_eq!(goes_on(beginning(&fs, 25)), 26, "{image:?}");
            states += 1;
        }
    }
    assert!(states > 20, "{states}");
}
