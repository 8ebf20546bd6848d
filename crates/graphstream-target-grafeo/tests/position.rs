//! Position and data are in one transaction: whatever kills a process or refuses an entry, the position says n exactly when the
//! graph holds the entries 1..=n.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use graphstream_format::{ChainHash, Position};
use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_replay::{Error as ReplayError, ErrorClass, ReplayEntry, ReplayTarget, TransactionalTarget};
use graphstream_target_grafeo::GrafeoTarget;

mod journal;

use journal::{LINEAGE, chain, copy_open, end, number, rows, statement};

const PATH: &str = "GRAPHSTREAM_TEST_GRAFEO_PATH";
const SEED: &str = "GRAPHSTREAM_TEST_GRAFEO_SEED";

/// The entries `1..=count` of a journal in which every entry counts: applied twice or not at all, the total is another one.
fn counted(count: u64) -> Vec<ReplayEntry> {
    chain(
        None,
        (1..=count).map(|n| {
            let query = match n {
                1 => "CREATE (:Total {entries: 1, sum: $n}), (:Counted {n: $n})",
                2 => "CREATE INDEX counted FOR (c:Counted) ON (c.n)",
                // Changes a label of the node that the entry before it made.
                _ if n % 5 == 0 => {
                    "MATCH (t:Total), (c:Counted {n: $n - 1}) \
                     SET t.entries = t.entries + 1, t.sum = t.sum + $n, c:Fifth"
                }
                _ => {
                    "MATCH (t:Total), (c:Counted {n: 1}) SET t.entries = t.entries + 1, t.sum = t.sum + $n \
                     CREATE (c)-[:COUNTS]->(:Counted {n: $n})"
                }
            };
            let entry = statement(query);
            if n == 2 { entry } else { entry.with_param("n", i64::try_from(n).unwrap()) }
        }),
    )
}

/// Says which entries are in the graph: exactly `1..=position`.
fn holds_its_position(target: &mut GrafeoTarget) -> u64 {
    let Some(position) = target.position().unwrap() else {
        assert_eq!(target.digest().unwrap().node_count, 0);
        return 0;
    };
    let last = position.sequence;
    assert_eq!(position, end(&counted(last)), "the position is another journal's");
    // Entry 2 makes an index.
    let counted: Vec<u64> = (1..=last).filter(|n| *n != 2).collect();
    let expected: Vec<u64> = counted.iter().copied().filter(|n| n % 5 != 0).collect();
    let int = |n: u64| ParamValue::Int64(i64::try_from(n).unwrap());
    let found: Vec<_> =
        rows(target, "MATCH (c:Counted) RETURN c.n ORDER BY c.n").into_iter().flatten().collect();
    assert_eq!(found, expected.iter().copied().map(int).collect::<Vec<_>>());
    let totals = vec![int(counted.len() as u64), int(counted.iter().sum())];
    assert_eq!(rows(target, "MATCH (t:Total) RETURN t.entries, t.sum"), [totals]);
    let digest = target.digest().unwrap();
    assert_eq!(digest.relationship_count, expected.len() as u64 - 1);
    assert_eq!(digest.nodes.get("Fifth").copied().unwrap_or(0), last / 5);
    last
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn start(test: &str, path: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PATH, path)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn number_behind(line: &str, word: &str) -> Option<u64> {
    // The test runner's own words may stand before it on the line.
    line.split_once(word).map(|(_, number)| number.trim().parse().unwrap())
}

#[test]
fn child_applies_until_killed() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let mut random = Random(std::env::var(SEED).unwrap().parse().unwrap());
    let mut target = GrafeoTarget::open(path).unwrap();
    for round in 1.. {
        let at = target.position().unwrap().map_or(0, |at| at.sequence);
        let last = at + 1 + random.below(8);
        let batch = counted(last).split_off(usize::try_from(at).unwrap());
        match random.below(8) {
            // A batch that is refused at its end leaves nothing, also of what grafeo wrote for it.
            0 => {
                let poisoned = batch.into_iter().map(|entry| entry.entry).chain([statement("MATCH")]);
                journal::apply(&mut target, poisoned).unwrap_err();
            }
            // A leader's way to the same.
            1 => {
                target.begin().unwrap();
                target.execute(&batch[0].entry).unwrap();
                target.commit(end(&batch[..1])).unwrap();
            }
            _ => target.apply(&batch, end(&batch)).unwrap(),
        }
        println!("applied {}", target.position().unwrap().map_or(0, |at| at.sequence));
        // Closing writes the file anew.
        if round % 5 == 0 {
            target.reopen().unwrap();
        }
    }
}

fn killed_at_any_moment(name: &str, seed: u64) {
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let mut at = 0;
    for round in 0..10 {
        let mut child = start("child_applies_until_killed", &path, random.below(1 << 32));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = at;
        let mut left = random.below(12);
        while left > 0 {
            let Some(line) = lines.next() else { panic!("the child ended by itself") };
            if let Some(sequence) = number_behind(&line.unwrap(), "applied ") {
                acknowledged = sequence;
                left -= 1;
            }
        }
        // Somewhere in what it does next.
        let moment = Instant::now() + Duration::from_micros(random.below(6000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the child ended by itself");
        for line in lines {
            acknowledged = number_behind(&line.unwrap(), "applied ").unwrap_or(acknowledged);
        }
        // Every second time the next child finds what this one left, and not what our look into it made of that.
        let looked_at =
            if round % 2 == 0 { path.clone() } else { dir.path().join(format!("{round}-{name}")) };
        if looked_at != path {
            copy_open(&path, &looked_at);
        }
        let mut target = GrafeoTarget::open(&looked_at).unwrap();
        at = holds_its_position(&mut target);
        assert!(at >= acknowledged, "round {round}: {acknowledged} was acknowledged, {at} is there");
    }
    assert!(at > 50, "hardly anything was applied: {at}");
}

#[test]
fn r05_killed_at_any_moment_a_file_holds_exactly_its_position() {
    killed_at_any_moment("x.grafeo", 5);
}

#[test]
fn r05_killed_at_any_moment_a_directory_holds_exactly_its_position() {
    killed_at_any_moment("x", 6);
}

#[test]
fn child_applies_until_its_files_are_full() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let pad = "x".repeat(std::env::var(SEED).unwrap().parse().unwrap());
    let mut target = GrafeoTarget::open(path).unwrap();
    for n in 1..10_000_i64 {
        let entry = statement("CREATE (:Big {n: $n, pad: $pad})").with_param("n", n);
        if let Err(error) = journal::apply(&mut target, [entry.with_param("pad", pad.as_str())]) {
            assert_eq!(error.class(), ErrorClass::Gone, "{error:?}");
            assert_eq!(target.position().unwrap_err().class(), ErrorClass::Gone);
            println!("full");
            return;
        }
        println!("applied {n}");
    }
}

/// grafeo itself logs a warning and reports success.
#[cfg(unix)]
#[test]
fn a_commit_that_cannot_be_written_is_an_error() {
    // Small records wait in a buffer until the sync; large ones are written, and cut, before it.
    for (name, pad) in [("x.grafeo", 0), ("x", 0), ("x.grafeo", 30_000), ("x", 30_000)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        // A file that reaches this size takes no more; the signal that would come with that is ignored.
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child_applies_until_its_files_are_full", "--nocapture"])
            .env(PATH, &path)
            .env(SEED, pad.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("full"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let acknowledged =
            said.lines().filter_map(|line| number_behind(line, "applied ")).next_back().unwrap();
        let mut target = GrafeoTarget::open(&path).unwrap();
        let at = target.position().unwrap().unwrap().sequence;
        assert!(at >= acknowledged, "{acknowledged} was acknowledged, {at} is there");
        assert_eq!(target.digest().unwrap().node_count, at);
        assert_eq!(number(&target, "MATCH (b:Big) RETURN max(b.n)"), i64::try_from(at).unwrap());
    }
}

#[test]
fn hundreds_of_commits_are_recognised() {
    // The number of a commit is written in one byte up to 250, then in three.
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x")).unwrap();
    let all = counted(300);
    for batch in all.chunks(1) {
        target.apply(batch, end(batch)).unwrap();
    }
    assert_eq!(holds_its_position(&mut target), 300);
}

#[test]
fn child_opens() {
    let Some(path) = std::env::var_os(PATH) else { return };
    match GrafeoTarget::open(path) {
        Ok(_) => println!("opened"),
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::Invalid);
            println!("refused {error}: {}", error.reason().unwrap());
        }
    }
}

#[test]
fn a_database_that_is_open_elsewhere_is_refused() {
    for name in ["x.grafeo", "x"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let said = || {
            let output = start("child_opens", &path, 0).wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        let mut target = GrafeoTarget::open(&path).unwrap();
        let batch = counted(3);
        target.apply(&batch, end(&batch)).unwrap();
        let refusal = said();
        assert!(refusal.contains("can't be opened: "), "{refusal}");
        assert!(refusal.contains("locked") || refusal.contains("another process"), "{refusal}");
        // In the same process too.
        let second = GrafeoTarget::open(&path).unwrap_err();
        assert!(matches!(second, ReplayError::Open { .. }), "{second:?}");
        assert_eq!(holds_its_position(&mut target), 3);
        target.close().unwrap();
        assert!(said().contains("opened"));
    }
}

#[test]
fn r07_an_entry_that_fails_leaves_nothing_of_its_batch() {
    let poisons = [
        statement("this is no statement"),
        statement("CREATE (:Counted {n: rand()})"),
        statement("CREATE CONSTRAINT c FOR (n:Counted) REQUIRE n.n IS UNIQUE"),
        JournalEntry::new("CREATE (:Counted {n: $n})", 0),
        statement("CREATE (:Counted {n: $n})").with_param("n", ParamValue::Decimal("1.5".to_owned())),
        // Fails after it has begun to take effect.
        statement("MATCH (c:Counted {n: 1}) CREATE (:Counted {n: 99}) DELETE c"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let batch = counted(5);
    target.apply(&batch, end(&batch)).unwrap();
    for poison in poisons {
        for place in 0..4 {
            let mut entries: Vec<_> = counted(9).split_off(5).into_iter().map(|entry| entry.entry).collect();
            entries.insert(place, poison.clone());
            let error = journal::apply(&mut target, entries).unwrap_err();
            assert!(matches!(error, ReplayError::Poison { .. }), "{error:?}");
            assert_eq!(error.sequence(), Some(6 + place as u64), "{poison:?}");
            assert_eq!(holds_its_position(&mut target), 5, "{poison:?}");
        }
    }
    let batch = counted(9).split_off(5);
    target.apply(&batch, end(&batch)).unwrap();
    assert_eq!(holds_its_position(&mut target), 9);
    target.close().unwrap();
    target.reopen().unwrap();
    assert_eq!(holds_its_position(&mut target), 9);
}

/// grafeo computes this without checks, so that it panics where arithmetic is checked, as it is in tests.
#[cfg(debug_assertions)]
#[test]
fn r09_a_panic_of_the_database_is_an_error_that_leaves_nothing() {
    let panics = statement("UNWIND [{years: 9223372036854775807}] AS y CREATE (:Counted {n: duration(y)})");
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let batch = counted(4);
    target.apply(&batch, end(&batch)).unwrap();
    let next = counted(6).split_off(4);
    let entries = [next[0].entry.clone(), panics.clone(), next[1].entry.clone()];
    let error = journal::apply(&mut target, entries).unwrap_err();
    assert_eq!((error.class(), error.sequence()), (ErrorClass::Poison, Some(6)), "{error:?}");
    assert_eq!(holds_its_position(&mut target), 4);
    // A leader finds out by reopening.
    target.begin().unwrap();
    target.execute(&next[0].entry).unwrap();
    let error = target.execute(&panics).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error:?}");
    target.commit(end(&next)).unwrap_err();
    target.reopen().unwrap();
    assert_eq!(holds_its_position(&mut target), 4);
    target.apply(&next, end(&next)).unwrap();
    assert_eq!(holds_its_position(&mut target), 6);
}

#[test]
fn a_batch_that_does_not_follow_the_position_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let all = counted(9);
    target.apply(&all[..5], end(&all[..5])).unwrap();
    for reopened in [false, true] {
        if reopened {
            target.reopen().unwrap();
        }
        let error = target.apply(&all[6..], end(&all)).unwrap_err();
        assert!(matches!(error, ReplayError::Gap { recorded: 5, first: 7, .. }), "{error:?}");
        let error = target.apply(&all[4..], end(&all)).unwrap_err();
        assert!(matches!(error, ReplayError::Backwards { recorded: 5, offered: 5, .. }), "{error:?}");
        let elsewhere = Position { lineage: graphstream_format::Lineage::from_bytes([8; 16]), ..end(&all) };
        let error = target.apply(&all[5..], elsewhere).unwrap_err();
        assert!(matches!(error, ReplayError::WrongLineage { .. }), "{error:?}");
        let forked = Position { chain_hash: ChainHash::ZERO, ..end(&all[..5]) };
        let error = target.apply(&[], forked).unwrap_err();
        assert!(matches!(error, ReplayError::Forked { sequence: 5, .. }), "{error:?}");
        assert_eq!(holds_its_position(&mut target), 5);
    }
    target.apply(&all[5..], end(&all)).unwrap();
    assert_eq!(holds_its_position(&mut target), 9);
}

#[test]
fn a_new_target_may_begin_anywhere() {
    // A database that was restored from a snapshot: what came before is in it already.
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let adopted = Position { lineage: LINEAGE, sequence: 41, chain_hash: ChainHash::from_bytes([4; 32]) };
    target.apply(&[], adopted).unwrap();
    let batch = chain(Some(adopted), [statement("CREATE (:Counted {n: 42})")]);
    target.apply(&batch, end(&batch)).unwrap();
    target.reopen().unwrap();
    assert_eq!(target.position().unwrap(), Some(end(&batch)));
    assert_eq!(number(&target, "MATCH (c:Counted) RETURN c.n"), 42);
}

#[test]
fn a_position_that_is_too_far_for_the_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let beyond = Position { lineage: LINEAGE, sequence: u64::MAX, chain_hash: ChainHash::ZERO };
    target.apply(&[], beyond).unwrap_err();
    target.reopen().unwrap();
    assert_eq!(target.position().unwrap(), None);
}
