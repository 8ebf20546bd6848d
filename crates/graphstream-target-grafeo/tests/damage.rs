//! Databases that somebody else made, changed or damaged.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use grafeo::{Config, GrafeoDB, Value};
use graphstream_replay::{Error as ReplayError, ErrorClass, ReplayTarget};
use graphstream_target_grafeo::GrafeoTarget;

mod journal;

use journal::{copy_open, number, run, statement};

/// Works on the database without the adapter.
fn directly(path: &Path, work: impl FnOnce(&GrafeoDB)) {
    let db = GrafeoDB::with_config(Config::persistent(path)).unwrap();
    work(&db);
    db.close().unwrap();
}

fn applied(path: &Path) {
    let mut target = GrafeoTarget::open(path).unwrap();
    run(&mut target, &["CREATE INDEX n_id FOR (n:N) ON (n.id)", "CREATE (:N {id: 1})-[:R]->(:N {id: 2})"])
        .unwrap();
    target.close().unwrap();
}

#[test]
fn a_position_that_makes_no_sense_is_reported_and_not_taken_for_none() {
    let tampered: [(&str, Value); 9] = [
        ("lineage", Value::from("no hexadecimal digits")),
        ("lineage", Value::Int64(7)),
        ("lineage", Value::Null),
        ("sequence", Value::Int64(-1)),
        ("sequence", Value::from("2")),
        ("chain_hash", Value::from("00")),
        ("chain_hash", Value::Null),
        ("indexes", Value::List(vec![Value::from("a name without a statement")].into())),
        ("indexes", Value::Null),
    ];
    for (key, value) in tampered {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.grafeo");
        applied(&path);
        directly(&path, |db| {
            let session = db.session();
            session.use_graph("__graphstream");
            let node = db.store().graph("__graphstream").unwrap().node_ids()[0];
            session.set_node_property(node, key, value.clone()).unwrap();
        });
        let error = GrafeoTarget::open(&path).unwrap_err();
        assert!(matches!(error, ReplayError::DamagedPosition { .. }), "{key} = {value:?}: {error:?}");
        assert_eq!(error.class(), ErrorClass::Damaged);
        // Nothing was changed: it is found again.
        GrafeoTarget::open(&path).unwrap_err();
    }
}

#[test]
fn two_positions_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    applied(&path);
    directly(&path, |db| {
        let session = db.session();
        session.use_graph("__graphstream");
        session.create_node_with_props(&["GraphstreamPosition"], [("sequence", Value::Int64(1))]).unwrap();
    });
    let error = GrafeoTarget::open(&path).unwrap_err();
    assert!(matches!(error, ReplayError::DamagedPosition { .. }), "{error:?}");
}

#[test]
fn a_database_without_a_position_can_be_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    directly(&path, |db| {
        db.session().execute_cypher("CREATE (:N {id: 1})").unwrap();
    });
    let mut target = GrafeoTarget::open(&path).unwrap();
    assert_eq!(target.position().unwrap(), None);
    assert_eq!(number(&target, "MATCH (n:N) RETURN count(n)"), 1);
    run(&mut target, &["MATCH (n:N {id: 1}) SET n.id = 2"]).unwrap();
    assert_eq!(number(&target, "MATCH (n:N) RETURN n.id"), 2);
}

#[test]
fn a_file_that_is_damaged_is_refused_or_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    applied(&path);
    let good = std::fs::read(&path).unwrap();
    let mut target = GrafeoTarget::open(&path).unwrap();
    let expected = (target.position().unwrap(), target.digest().unwrap());
    drop(target);
    let damaged = dir.path().join("damaged.grafeo");
    let mut refused = 0;
    let cuts = (0..good.len()).step_by(good.len() / 20 + 1).map(|len| good[..len].to_vec());
    let flips = (0..good.len()).step_by(good.len() / 300 + 1).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    for bytes in cuts.chain(flips) {
        std::fs::write(&damaged, &bytes).unwrap();
        match GrafeoTarget::open(&damaged) {
            Err(_) => refused += 1,
            Ok(mut target) => {
                let found = (target.position().unwrap(), target.digest().unwrap());
                // An empty file is a new database's.
                assert!(found == expected || bytes.is_empty(), "{found:?}");
            }
        }
        let _ = std::fs::remove_dir_all(dir.path().join("damaged.grafeo.wal"));
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn what_is_no_file_is_refused() {
    let error = GrafeoTarget::open("/dev/null").unwrap_err();
    assert!(matches!(error, ReplayError::NotAFile { .. }), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    std::fs::write(&path, "this is no database, whatever its name says").unwrap();
    let error = GrafeoTarget::open(&path).unwrap_err();
    assert!(matches!(error, ReplayError::Open { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"this is no database, whatever its name says");
}

#[test]
fn a_damaged_wal_loses_position_and_data_together_or_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    let mut target = GrafeoTarget::open(&path).unwrap();
    for n in 1..=12_i64 {
        let entries = (0..n).map(|_| statement("CREATE (:N {pad: 'some bytes'})"));
        journal::apply(&mut target, entries).unwrap();
    }
    let crashed = dir.path().join("crashed.grafeo");
    copy_open(&path, &crashed);
    let wal = dir.path().join("crashed.grafeo.wal");
    let log = std::fs::read_dir(&wal)
        .unwrap()
        .map(|file| file.unwrap().path())
        .max_by_key(|file| std::fs::metadata(file).unwrap().len())
        .unwrap();
    let (good, name) = (std::fs::read(&log).unwrap(), log.file_name().unwrap().to_owned());
    assert!(good.len() > 1000);
    let cuts = (0..good.len()).step_by(good.len() / 40).map(|len| good[..len].to_vec());
    let flips = (0..good.len()).step_by(good.len() / 40).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    let mut recovered = BTreeSet::new();
    for (n, bytes) in cuts.chain(flips).enumerate() {
        let damaged = dir.path().join(format!("damaged-{n}.grafeo"));
        copy_open(&crashed, &damaged);
        std::fs::write(dir.path().join(format!("damaged-{n}.grafeo.wal")).join(&name), bytes).unwrap();
        let Ok(mut target) = GrafeoTarget::open(&damaged) else { continue };
        let sequence = target.position().unwrap().map_or(0, |at| at.sequence);
        assert_eq!(target.digest().unwrap().node_count, sequence);
        recovered.insert(sequence);
    }
    assert!(recovered.len() > 5, "{recovered:?}");
}
