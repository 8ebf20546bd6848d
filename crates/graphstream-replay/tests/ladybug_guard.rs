//! The determinism guard and a real LadybugDB: it knows every function, and what it accepts does the same twice.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod guard_corpus;
mod journal;
mod ladybug_db;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use graphstream_proto::JournalEntry;
use graphstream_replay::guard::{Dialect, Function, Guard, GuardOptions};
use graphstream_replay::{Error, ReplayTarget};
use guard_corpus::{Expected, cases};
use journal::{apply, chain, follow, sequence};
use ladybug_db::{Ladybug, statement};

const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ladybug_guard/functions.py");
const DIGEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ladybug_guard/digest.py");

/// The tables that the corpus writes to.
const SCHEMA: &[&str] = &[
    "CREATE NODE TABLE N (id INT64, s STRING, t STRING, x DOUBLE, y DOUBLE, timestamp INT64, rand INT64, d DATE, \
     at TIMESTAMP, u UUID, PRIMARY KEY (id))",
    "CREATE NODE TABLE Rand (id INT64, PRIMARY KEY (id))",
    "CREATE NODE TABLE U (id UUID, s STRING, v UUID, at TIMESTAMP, PRIMARY KEY (id))",
    "CREATE NODE TABLE G (id DOUBLE, c INT64, PRIMARY KEY (id))",
    "CREATE NODE TABLE L (id DOUBLE, ids INT64[], PRIMARY KEY (id))",
    "CREATE REL TABLE E (FROM N TO N, w INT64)",
    "CREATE REL TABLE V (FROM U TO U, w INT64)",
];

fn python(ladybug: &Ladybug, script: &str, argument: Option<&Path>) -> String {
    let output = Command::new(&ladybug.python).arg(script).args(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn r06_every_function_that_the_installed_ladybug_lists_has_a_verdict_and_deserves_it() {
    let Some(ladybug) = Ladybug::new() else { return };
    let found: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&python(&ladybug, FUNCTIONS, None)).unwrap();
    assert!(found.len() > 250, "{}", found.len());
    let mut called = 0;
    for (name, function) in &found {
        let verdict = |has_arguments| Function::of(name, has_arguments, Dialect::Ladybug);
        let verdicts: Vec<_> = [true, false].into_iter().filter_map(verdict).collect();
        assert!(!verdicts.is_empty(), "LadybugDB has a function {name}, which the guard doesn't know");
        let changes =
            |function: &Function| matches!(function, Function::Random | Function::Uuid | Function::Clock(_));
        if function["differs"] == true {
            assert!(
                verdicts.iter().all(changes),
                "{name} gave different results, and the guard says {verdicts:?}"
            );
        }
        let scalar = function["type"] == "SCALAR FUNCTION" || function["type"] == "REWRITE FUNCTION";
        let aggregate = function["type"] == "AGGREGATE FUNCTION";
        for verdict in &verdicts {
            match verdict {
                Function::Aggregate | Function::Collecting => {
                    assert!(aggregate || name == "count_star", "{name}")
                }
                Function::Surroundings => assert!(!scalar && !aggregate, "{name}"),
                _ => assert!(scalar, "{name} is a {}, and the guard says {verdict:?}", function["type"]),
            }
        }
        called += u32::from(function["called"] == true);
    }
    assert!(called > 190, "only {called} functions could be called");
    for changing in ["random", "gen_random_uuid", "current_timestamp"] {
        assert_eq!(found[changing]["differs"], true, "{changing}: the test can't tell");
    }
}

#[test]
fn r06_what_is_accepted_gives_equal_databases_twice() {
    let Some(ladybug) = Ladybug::new() else { return };
    let place = |name: &str| ladybug.dir.path().join(name);
    let guard = |dialect| Guard::new(GuardOptions::default().with_dialect(dialect));
    let (any, own) = (guard(Dialect::Any), guard(Dialect::Ladybug));
    // The ones that this database has: the others are grafeo's, or Cypher's.
    let mut target = ladybug.open_at(&place("tried")).unwrap();
    let mut kept: Vec<JournalEntry> = SCHEMA.iter().map(|query| statement(query)).collect();
    apply(&mut target, &chain(kept.clone())).unwrap();
    let (mut tried, mut refused) = (0, Vec::new());
    for case in cases() {
        let guard = if case.dialect == Dialect::Ladybug { &own } else { &any };
        if case.dialect == Dialect::Grafeo || matches!(case.expected, Expected::Refuse { .. }) {
            continue;
        }
        let entry = case.entry();
        let admitted = guard.admit(&entry, || panic!("it has one")).unwrap().into_owned();
        tried += 1;
        kept.push(admitted);
        let journal = chain(kept.clone());
        match apply(&mut target, &journal[journal.len() - 1..]) {
            Ok(()) => {}
            Err(Error::Poison { .. }) => refused.extend(kept.pop()),
            Err(other) => panic!("{}: {other}", entry.query),
        }
    }
    target.close().unwrap();
    let ran = kept.len() - SCHEMA.len();
    let refused: Vec<_> = refused.iter().map(|entry| entry.query.as_str()).collect();
    assert!(ran >= 150, "{ran} of {tried} ran; refused: {refused:#?}");
    let journal = chain(kept);
    let mut digests = Vec::new();
    for (name, batch) in [("one", 1), ("two", 7), ("three", 100)] {
        let mut target = ladybug.open_at(&place(name)).unwrap();
        let half = journal.len() / 2;
        follow(&mut target, &journal[..half], batch).unwrap();
        target.reopen().unwrap();
        assert_eq!(sequence(&mut target).unwrap(), half as u64);
        follow(&mut target, &journal, batch).unwrap();
        target.close().unwrap();
        digests.push(python(&ladybug, DIGEST, Some(&place(name))));
    }
    assert!(digests[0].contains("sequence"), "{}", digests[0]);
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

/// What is rewritten would have differed: the digests see it.
#[test]
fn r06_what_is_rewritten_gives_different_databases_without_that() {
    let Some(ladybug) = Ladybug::new() else { return };
    for query in ["CREATE (:U {id: gen_random_uuid()})", "CREATE (:N {id: 1, at: current_timestamp()})"] {
        let entries = SCHEMA.iter().map(|query| statement(query)).chain([statement(query)]);
        let journal = chain(entries);
        let digest = |name: &str| {
            let place = ladybug.dir.path().join(format!("{name} {}", query.len()));
            let mut target = ladybug.open_at(&place).unwrap();
            follow(&mut target, &journal, 3).unwrap();
            target.close().unwrap();
            python(&ladybug, DIGEST, Some(&place))
        };
        assert_ne!(digest("one"), digest("two"), "{query}");
    }
}
