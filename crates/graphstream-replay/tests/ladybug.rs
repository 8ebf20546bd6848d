//! A real LadybugDB follows a journal: restarts, kills, refusals.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;
mod ladybug_db;

use std::process::Command;
use std::time::Duration;

use graphstream_format::Position;
use graphstream_proto::json::parse_line;
use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};
use graphstream_replay::{Error, ErrorClass, ExecTarget, ReplayEntry, ReplayTarget};
use journal::{LINEAGE, apply, chain, end, follow, sequence};
use ladybug_db::{Ladybug, SCRIPT, statement, temporal};

const SAMPLE_SCHEMA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream-cli/sample/schema-ladybug.jsonl");

/// A node per entry, in a table that would take two nodes with the same `n`.
fn nodes_journal(count: i64) -> Vec<ReplayEntry> {
    let schema = statement("CREATE NODE TABLE N (id SERIAL, n INT64, PRIMARY KEY (id))");
    let nodes = (2..=count).map(|n| statement("CREATE (:N {n: $n})").with_param("n", n));
    chain(std::iter::once(schema).chain(nodes))
}

/// A journal that goes on after `position` with one batch.
fn continued(position: Position, entries: impl IntoIterator<Item = JournalEntry>) -> Vec<ReplayEntry> {
    let mut chain_hash = position.chain_hash;
    (position.sequence + 1..)
        .zip(entries)
        .map(|(sequence, entry)| {
            chain_hash = chain_hash.after(&entry.encode().unwrap());
            ReplayEntry { sequence, commit_ms: 0, chain_hash, entry }
        })
        .collect()
}

#[test]
fn the_samples_schema_and_data_arrive_and_a_restart_goes_on_from_the_stored_position() {
    let Some(ladybug) = Ladybug::new() else { return };
    let schema = std::fs::read_to_string(SAMPLE_SCHEMA).unwrap();
    let schema = schema.lines().map(|line| parse_line(line, 0).unwrap());
    let places = (0..20_i64).map(|id| {
        statement("CREATE (:Place {id: $id, name: $name, url: $url, label: $label})")
            .with_param("id", id)
            .with_param("name", format!("Place \u{e9}\u{1f3d9} {id}"))
            .with_param("url", "http://dbpedia.org/resource/India")
            .with_param("label", "Country")
    });
    let parts = (1..20_i64).map(|id| {
        statement("MATCH (a:Place {id: $a}), (b:Place {id: $b}) CREATE (a)-[:isPartOf]->(b)")
            .with_param("a", id)
            .with_param("b", 0_i64)
    });
    let journal = chain(schema.chain(places).chain(parts));
    let mut target = ladybug.open();
    assert_eq!(target.position().unwrap(), None);
    let half = journal.len() / 2;
    follow(&mut target, &journal[..half], 7).unwrap();
    target.close().unwrap();
    let mut target = ladybug.open();
    assert_eq!(target.position().unwrap(), Some(end(&journal[..half])));
    follow(&mut target, &journal, 7).unwrap();
    target.close().unwrap();
    let output =
        Command::new(&ladybug.python).arg(SCRIPT).arg(ladybug.database()).arg("--counts").output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["position"]["sequence"], journal.len());
    assert_eq!(found["position"]["lineage"], LINEAGE.to_string());
    assert_eq!(found["tables"]["Place"], 20);
    assert_eq!(found["tables"]["isPartOf"], 19);
    assert_eq!(found["tables"]["Person"], 0);
}

#[test]
fn r05_killed_in_the_middle_of_batches_there_is_no_hole_and_no_duplicate() {
    const KILLS: u32 = 12;
    let Some(ladybug) = Ladybug::new() else { return };
    let journal = nodes_journal(3000);
    let mut target = ladybug.open();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut cut_short = 0;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let process = target.process_id().unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros((random >> 40) % 60_000));
            assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
        });
        let mut at = sequence(&mut target).unwrap();
        loop {
            let from = usize::try_from(at).unwrap();
            let Some(batch) = journal[from..].chunks(25).next() else { break };
            if let Err(error) = apply(&mut target, batch) {
                assert_eq!(error.class(), ErrorClass::Gone, "{error}");
                cut_short += 1;
                break;
            }
            at += batch.len() as u64;
        }
        killer.join().unwrap();
        target.reopen().unwrap();
        let kept = sequence(&mut target).unwrap();
        assert!((at..=at + 25).contains(&kept), "{at} were applied, {kept} were kept");
    }
    assert!(cut_short > 0, "every child had done everything before it was killed");
    follow(&mut target, &journal, 500).unwrap();
    target.close().unwrap();
    assert_eq!(ladybug.nodes(&ladybug.database()), Vec::from_iter(2..=3000));
}

/// What a kill in the middle of a write leaves: the end of the database's WAL is missing. Whole batches before it are kept, and what is
/// written after it survives the next kill.
#[test]
fn l01_a_torn_wal_of_the_database_is_cut_back_to_a_whole_batch() {
    let Some(ladybug) = Ladybug::new() else { return };
    let journal = nodes_journal(60);
    let mut target = ladybug.open();
    follow(&mut target, &journal[..50], 10).unwrap();
    kill(&target);
    drop(target);
    let wal = ladybug.dir.path().join("copy.lbug.wal");
    let (main, whole) = (std::fs::read(ladybug.database()).unwrap(), std::fs::read(&wal).unwrap());
    let mut positions = Vec::new();
    for missing in [0, 1, 7, 100, 1000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(ladybug.database(), &main).unwrap();
        std::fs::write(&wal, &whole[..whole.len() - missing]).unwrap();
        let mut target = ladybug.open();
        let at = sequence(&mut target).unwrap();
        assert!(at <= 50 && at.is_multiple_of(10), "{at} without the last {missing} bytes");
        positions.push(at);
        let from = usize::try_from(at).unwrap();
        apply(&mut target, &journal[from..from + 10]).unwrap();
        kill(&target);
        target.reopen().unwrap();
        assert_eq!(sequence(&mut target).unwrap(), at + 10, "without the last {missing} bytes");
        follow(&mut target, &journal, 10).unwrap();
        target.close().unwrap();
        assert_eq!(
            ladybug.nodes(&ladybug.database()),
            Vec::from_iter(2..=60),
            "without the last {missing} bytes"
        );
    }
    assert_eq!(positions.first(), Some(&50));
    assert!(positions.contains(&40) && positions.contains(&0), "{positions:?}");
}

fn kill(target: &ExecTarget) {
    let process = target.process_id().unwrap().to_string();
    assert!(Command::new("kill").args(["-9", &process]).status().unwrap().success());
}

#[test]
fn an_entry_that_fails_is_answered_with_its_sequence_and_nothing_of_its_batch_is_kept() {
    let Some(ladybug) = Ladybug::new() else { return };
    let journal = nodes_journal(3);
    let mut target = ladybug.open();
    apply(&mut target, &journal).unwrap();
    let here = end(&journal);
    let good = || statement("CREATE (:N {n: $n})").with_param("n", 99_i64);
    let refused = [
        statement("CREATE (:Nowhere {n: 1})"),
        statement("no Cypher"),
        statement("CREATE (:N {id: 0, n: 1})"),
        statement("CREATE (:N {n: $missing})"),
        statement("CREATE (:N {n: $n})").with_param("n", "not a number"),
        // What would end the batch's transaction, and with it keep a part of the batch.
        statement("COMMIT"),
        statement("commit;"),
        statement(" /* a */ // b\n COMMIT"),
        statement("ROLLBACK"),
        statement("BEGIN TRANSACTION"),
        statement("CHECKPOINT"),
        statement("PROFILE COMMIT"),
        statement("CREATE (:N {n: 1}); COMMIT;"),
        // What the database or its binding can't take is never replaced by something else.
        good().with_param("odd", ParamValue::Point { srid: 4326, x: 1.0, y: 2.0, z: None }),
        good().with_param("odd", ParamValue::Int128("9223372036854775808".to_owned())),
        good().with_param("odd", temporal(TemporalKind::Time, "12:00:00Z")),
        good().with_param("odd", temporal(TemporalKind::LocalTime, "12:00:00")),
        good().with_param("odd", temporal(TemporalKind::Duration, "P1Y")),
        good().with_param("odd", temporal(TemporalKind::Date, "-0044-03-15")),
        good().with_param("odd", temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.123456789")),
        good()
            .with_param("odd", temporal(TemporalKind::DateTime, "2024-02-29T12:00:00+01:00[Europe/Berlin]")),
    ];
    for entry in refused {
        for (batch, at) in [
            (continued(here, [entry.clone(), good()]), 4),
            (continued(here, [good(), good(), entry.clone()]), 6),
        ] {
            let error = apply(&mut target, &batch).expect_err(&entry.query);
            assert!(
                matches!(error, Error::Poison { sequence, .. } if sequence == at),
                "{entry:?}: {error:?}"
            );
            assert!(!error.reason().unwrap().is_empty());
        }
    }
    assert_eq!(target.position().unwrap(), Some(here));
    // The child goes on; so does one that is started again.
    apply(&mut target, &continued(here, [statement("CREATE (:N {n: 4})")])).unwrap();
    target.reopen().unwrap();
    assert_eq!(sequence(&mut target).unwrap(), 4);
    target.close().unwrap();
    assert_eq!(ladybug.nodes(&ladybug.database()), [2, 3, 4]);
}

/// A LadybugDB that is open belongs to one process: the second child says so and nothing happens to the first.
#[test]
fn l16_a_second_child_on_one_database_is_refused() {
    let Some(ladybug) = Ladybug::new() else { return };
    let journal = nodes_journal(3);
    let mut first = ladybug.open();
    apply(&mut first, &journal[..2]).unwrap();
    let error = ladybug.open_at(&ladybug.database()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    assert!(error.reason().unwrap().contains("concurrency"), "{:?}", error.reason());
    apply(&mut first, &journal[2..]).unwrap();
    first.close().unwrap();
    assert_eq!(ladybug.nodes(&ladybug.database()), [2, 3]);
}
