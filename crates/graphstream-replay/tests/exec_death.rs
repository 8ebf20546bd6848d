//! A child that dies, and what becomes of the batch it had: its position decides.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod child;
mod journal;

use std::process::Command;
use std::time::Duration;

use child::{Death, command, mortal};
use graphstream_replay::{ErrorClass, ExecOptions, ExecTarget, ReplayTarget};
use journal::{apply, follow, journal, sequence, sequences};

fn options() -> ExecOptions {
    ExecOptions::default().with_backoff(Duration::ZERO, Duration::ZERO)
}

#[test]
fn r05_whichever_world_came_true_nothing_is_missing_and_nothing_is_twice() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(12);
    for death in [Death::BeforeApplying, Death::Halfway, Death::BeforeAnswering] {
        for at in [1, 6, 12] {
            let file = dir.path().join(format!("{death:?}-{at}.jsonl"));
            let mut target = ExecTarget::spawn(mortal(&file, death, at), options()).unwrap();
            assert_eq!(follow(&mut target, &journal, 4).unwrap(), 1, "{death:?} at {at}");
            target.close().unwrap();
            assert_eq!(sequences(&file), Vec::from_iter(1..=12), "{death:?} at {at}");
        }
    }
}

#[test]
fn r05_the_position_after_reopening_is_the_childs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(8);
    for (death, kept) in [(Death::BeforeApplying, 4), (Death::Halfway, 6), (Death::BeforeAnswering, 8)] {
        let file = dir.path().join(format!("{death:?}.jsonl"));
        let mut target = ExecTarget::spawn(mortal(&file, death, 5), options()).unwrap();
        apply(&mut target, &journal[..4]).unwrap();
        let error = apply(&mut target, &journal[4..]).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Gone, "{error}");
        assert!(error.reason().unwrap().contains("the child ended (signal: 6"), "{:?}", error.reason());
        // Until then nobody knows, and nobody guesses.
        assert_eq!(target.position().unwrap_err().class(), ErrorClass::Gone);
        assert_eq!(apply(&mut target, &journal[4..]).unwrap_err().class(), ErrorClass::Gone);
        target.reopen().unwrap();
        assert_eq!(sequence(&mut target).unwrap(), kept, "{death:?}");
    }
}

/// A follower doesn't choose when its child is killed: here it happens at moments that a seed chooses, in the middle of starts,
/// batches and answers.
#[test]
fn r01_a_child_killed_at_any_moment_leaves_no_hole_and_no_duplicate() {
    const KILLS: u32 = 24;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let journal = journal(600);
    let mut target = ExecTarget::spawn(command(&file), options().with_restarts_max(10 * KILLS)).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let process = target.process_id().unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(random >> 52));
            assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
        });
        let mut at = sequence(&mut target).unwrap();
        let error = loop {
            let from = usize::try_from(at).unwrap();
            let Some(batch) = journal[from..].chunks(3).next() else { break None };
            match apply(&mut target, batch) {
                Ok(()) => at = sequence(&mut target).unwrap(),
                Err(error) => break Some(error),
            }
        };
        killer.join().unwrap();
        if let Some(error) = error {
            assert_eq!(error.class(), ErrorClass::Gone, "{error}");
        }
        target.reopen().unwrap();
        let kept = sequence(&mut target).unwrap();
        assert!((at..=at + 3).contains(&kept), "{at} were applied, {kept} were kept");
        assert_eq!(sequences(&file), Vec::from_iter(1..=kept));
    }
    follow(&mut target, &journal, 100).unwrap();
    target.close().unwrap();
    assert_eq!(sequences(&file), Vec::from_iter(1..=600));
}

#[test]
fn restarts_in_a_row_are_counted_and_an_applied_batch_starts_the_count_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.jsonl");
    let journal = journal(2);
    let mut target = ExecTarget::spawn(command(&file), options().with_restarts_max(2)).unwrap();
    for batch in [&journal[..1], &journal[1..]] {
        target.reopen().unwrap();
        apply(&mut target, batch).unwrap();
    }
    target.reopen().unwrap();
    target.reopen().unwrap();
    let error = target.reopen().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone);
    assert!(error.reason().unwrap().contains("in a row"), "{:?}", error.reason());
    assert!(target.process_id().is_none());
}
