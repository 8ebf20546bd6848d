//! Entries beyond a fence are set aside, and what stays is continued.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::path::Path;

use graphstream_journal::{Ack, Journal, RecoveryReport};
use graphstream_testkit::{CrashFs, Crashes};
use memory::{DIR, builder, payload, read, sealed};

/// Entries 1..=11, of which those beyond `after` were fenced off.
fn fenced(after: u64) -> CrashFs {
    let fs = sealed(11);
    let (journal, _) = builder(&fs).open().unwrap();
    journal.fence(after).unwrap();
    drop(journal);
    // What happened before is on disk.
    fs.after_kill()
}

fn open(fs: &CrashFs, context: &str) -> (Journal, RecoveryReport) {
    builder(fs).open().unwrap_or_else(|error| panic!("{context}: {error:?}"))
}

#[test]
fn what_stays_is_a_prefix_and_is_continued() {
    let before = read(&sealed(11));
    for after in 0..=11 {
        let fs = fenced(after);
        let (journal, report) = open(&fs, "the fence was noted");
        assert_eq!(report.position.sequence, after);
        let set_aside = report.forked.map(|forked| (forked.after, forked.last, forked.segments.len()));
        let segments = (1..=11).step_by(3).filter(|first| (first + 2).min(11) > after).count();
        assert_eq!(set_aside, (after < 11).then_some((after, 11, segments)), "after {after}");
        let chain = report.position.chain_hash;
        let _ = journal.append(b"another").unwrap().wait(Ack::Synced).unwrap();
        journal.close().unwrap();
        let entries = read(&fs);
        assert_eq!(entries.len() as u64, after + 1);
        for (entry, before) in entries.iter().zip(&before).take(after as usize) {
            assert_eq!((&entry.payload, entry.chain_hash), (&before.payload, before.chain_hash));
        }
        assert_eq!(entries.last().unwrap().chain_hash, chain.after(b"another"));
        let (_, report) = open(&fs, "done once");
        assert!(report.is_clean(), "{report:?}");
    }
}

/// L11: the power is cut at any step; the next open goes on, and no entry is lost: it stays, or it is set aside.
#[test]
fn l11_setting_aside_survives_power_cuts() {
    let mut states = 0;
    for after in [0, 3, 7, 10] {
        let fs = fenced(after);
        drop(open(&fs, "the fence was noted"));
        let mut crashes = Crashes::of(&fs);
        for at in 0..crashes.boundaries() {
            for image in crashes.at(at, 2, at as u64) {
                let context = format!("fenced after {after}, cut at {at}, {:?}", image.persisted);
                let fs = image.boot();
                let (journal, report) = open(&fs, &context);
                assert_eq!(report.position.sequence, after, "{context}");
                drop(journal);
                let entries: Vec<_> = read(&fs).into_iter().map(|entry| entry.payload).collect();
                assert!(entries.into_iter().eq((1..=after).map(payload)), "{context}");
                for first in (1..=11).step_by(3).filter(|first| (first + 2).min(11) > after) {
                    let name = format!("forked/{}-after-{after}", graphstream_journal::segment_name(first));
                    let kept = fs.content(Path::new(DIR).join(&name));
                    let text = String::from_utf8_lossy(&kept.unwrap_or_default()).into_owned();
                    for n in first..=(first + 2).min(11) {
                        let wanted = String::from_utf8(payload(n)).unwrap();
                        assert!(text.contains(&wanted), "{context}: entry {n} is not in {name}");
                    }
                }
                states += 1;
            }
        }
    }
    assert!(states > 100, "only {states} states");
}
