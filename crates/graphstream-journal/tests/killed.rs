//! A writer's process is killed with SIGKILL at any moment, again and again on one directory: what it acknowledged is there, in an
//! unbroken chain without holes, duplicates or parts of a batch, before and after recovery.
//!
//! `GRAPHSTREAM_KILL_ROUNDS=n` adds n kills; `GRAPHSTREAM_CRASH_SEED` chooses their moments.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub, reason = "a module of this test")]
mod processes;

use std::path::Path;
use std::time::{Duration, Instant};

use graphstream_journal::{ChainHash, Entry, Error, Journal, JournalReader, ReaderOptions};
use processes::{Acked, Mark, PRODUCERS, Writer};

const CHILD: &str = "the_writers_process";
/// How many kills one journal goes through.
const JOURNAL_ROUNDS: u64 = 20;

#[test]
fn the_writers_process() {
    processes::append_until_killed();
}

/// Numbers that every run repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// All entries, with everything checked that holds at any time.
fn read(dir: &Path, acked: &[Acked]) -> Vec<Entry> {
    let reader = JournalReader::open(dir, ReaderOptions::default()).unwrap();
    let entries: Vec<Entry> = reader.map(|entry| entry.unwrap()).collect();
    let mut chain = ChainHash::ZERO;
    // Per producer: the round, and where its next entry belongs.
    let mut next = [(0, 0, 0); PRODUCERS];
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry.sequence, place as u64 + 1, "a hole or a duplicate");
        chain = chain.after(&entry.payload);
        assert_eq!(entry.chain_hash, chain, "sequence {}", entry.sequence);
        let mark = Mark::of(&entry.payload);
        let expected = &mut next[mark.producer];
        if mark.round != expected.0 {
            assert!(mark.round > expected.0 && expected.2 == 0, "a batch in parts before {mark:?}");
            *expected = (mark.round, 0, 0);
        }
        assert_eq!((mark.round, mark.append, mark.place), *expected, "lost, doubled or out of order");
        let whole = mark.place + 1 == mark.batch();
        *expected =
            if whole { (mark.round, mark.append + 1, 0) } else { (mark.round, mark.append, mark.place + 1) };
    }
    assert!(next.iter().all(|next| next.2 == 0), "a batch in parts at the end: {next:?}");
    for Acked { first, last, mark } in acked {
        assert!(*last <= entries.len() as u64, "{mark:?} was acknowledged as {first}..={last} and is lost");
        for (place, sequence) in (*first..=*last).enumerate() {
            let found = Mark::of(&entries[sequence as usize - 1].payload);
            assert_eq!(found, Mark { place, ..*mark }, "another entry than acknowledged at {sequence}");
        }
    }
    entries
}

#[test]
fn r01_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged() {
    let rounds =
        120 + std::env::var("GRAPHSTREAM_KILL_ROUNDS").map_or(0, |more| more.parse::<u64>().unwrap());
    let mut dir = tempfile::tempdir().unwrap();
    let seed = std::env::var("GRAPHSTREAM_CRASH_SEED").map_or(0, |seed| seed.parse::<u64>().unwrap());
    let mut numbers = Numbers(0x6b69_6c6c_2d39 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut acked = Vec::new();
    let (mut acks, mut recovered) = (0, 0);
    for round in 1..=rounds {
        // Every look reads all of it.
        if round % JOURNAL_ROUNDS == 0 {
            dir = tempfile::tempdir().unwrap();
            acks += acked.len() as u64;
            acked.clear();
        }
        let mut writer = Writer::start(CHILD, dir.path(), round);
        // A moment: after so many acknowledgements (none: perhaps during recovery), and a little later.
        for _ in 0..numbers.below(40) {
            acked.push(writer.next_ack().expect("the writer has failed"));
        }
        let moment = Instant::now() + Duration::from_micros(numbers.below(5_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        acked.extend(writer.kill());
        if acked.is_empty() {
            continue;
        }

        let before = read(dir.path(), &acked);
        // Sometimes the next writer finds what this one has left.
        if numbers.below(3) > 0 {
            let (journal, report) = Journal::builder(dir.path()).open().unwrap();
            recovered += usize::from(!report.is_clean());
            assert_eq!(report.position.sequence, before.len() as u64, "round {round}");
            assert_eq!(Some(report.position.chain_hash), before.last().map(|last| last.chain_hash));
            assert_eq!(read(dir.path(), &acked).len(), before.len(), "round {round}");
            journal.close().unwrap();
        }
    }
    acks += acked.len() as u64;
    eprintln!("{rounds} kills, {acks} acknowledgements");
    assert!(acks > rounds * 5, "only {acks} acknowledgements");
    assert!(recovered as u64 > rounds / 4, "only {recovered} unclean stops");
}

/// L16: a second writer fails fast, says who is at work, and leaves it alone; a killed one holds nothing.
#[test]
fn l16_a_second_process_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(CHILD, dir.path(), 1);
    let mut acked = vec![writer.next_ack().unwrap()];
    let error = Journal::builder(dir.path()).open().unwrap_err();
    assert!(matches!(error, Error::Locked { holder_pid: Some(pid), .. } if pid == writer.pid()), "{error:?}");
    // It goes on undisturbed, and is seen by readers.
    for _ in 0..20 {
        acked.push(writer.next_ack().unwrap());
    }
    acked.extend(writer.kill());
    let (journal, _) = Journal::builder(dir.path()).open().unwrap();
    let again = Journal::builder(dir.path()).open().unwrap_err();
    assert!(
        matches!(again, Error::Locked { holder_pid: Some(pid), .. } if pid == std::process::id()),
        "{again:?}"
    );
    read(dir.path(), &acked);
    drop(journal);
    assert!(Journal::builder(dir.path()).open().is_ok());
}
