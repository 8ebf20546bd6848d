//! What is refused before grafeo runs it, because a replay would give another result, or none; and what must not be mistaken for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use graphstream_replay::{Error as ReplayError, ReplayTarget, TransactionalTarget};
use graphstream_target_grafeo::{Error, GrafeoTarget};
use tempfile::TempDir;

mod journal;

use journal::{number, rows, run, statement};

fn open() -> (TempDir, GrafeoTarget) {
    let dir = tempfile::tempdir().unwrap();
    let target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    (dir, target)
}

/// The adapter's reason for refusing a statement, in a batch and in a leader's transaction.
fn refusal(target: &mut GrafeoTarget, query: &str) -> Error {
    target.begin().unwrap();
    let error = target.execute(&statement(query)).expect_err(query);
    assert!(matches!(error, ReplayError::Statement { .. }), "{query}: {error:?}");
    target.rollback().unwrap();
    let error = run(target, &[query]).expect_err(query);
    assert_eq!(target.digest().unwrap().node_count, 0, "{query}");
    match error {
        ReplayError::Poison { source, .. } => *source.downcast().unwrap(),
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn r06_functions_that_differ_at_every_replay_are_refused_wherever_they_stand() {
    let (_dir, mut target) = open();
    for query in [
        "CREATE (:N {x: rand()})",
        "CREATE (:N {x: 1 + rand()})",
        "CREATE (:N {x: [1, {y: Random()}]})",
        "CREATE (n:N) SET n.x = timestamp()",
        "CREATE (n:N) SET n:M, n.x = now()",
        "MATCH (n) SET n.x = id(n)",
        "MATCH (n) WHERE elementId(n) = '1' DELETE n",
        "MATCH (n) WITH n, current_timestamp() AS x SET n.x = x",
        "UNWIND [1] AS i CREATE (:N {x: toString(date())})",
        "CREATE (:N {x: datetime()}), (:N {x: time( ) })",
        "CREATE (:N {x: localdatetime(/* now */)})",
        // The conversions are clocks, too, when there is nothing to convert.
        "CREATE (:N {x: toDate()})",
        "CREATE (:N {x: toTime()})",
        "CREATE (:N {x: toDateTime()})",
        "CREATE (:N {x: rand ()})",
        "CREATE (:N {x: rand/* a comment */()})",
        "CREATE (:N {x: rand // a comment\n()})",
        "CREATE (:N {x: `rand`()})",
        "CREATE (:N {x: RAND()})",
        "CREATE (:N {x: CASE WHEN rand() > 0.5 THEN 1 ELSE 2 END})",
        "FOREACH (i IN range(1, 3) | CREATE (:N {x: rand()}))",
        "CALL { CREATE (:N {x: rand()}) }",
        "CREATE (:N {x: 'it\\'s', y: rand()})",
        "CREATE (:N {x: [1, 2][toInteger(rand())]})",
        "CREATE (:N {x: [i IN [1] | rand()]})",
        "MERGE (n:N {x: 1}) ON CREATE SET n.y = rand()",
        "MATCH (n) RETURN n ORDER BY rand() LIMIT 1",
        "EXPLAIN CREATE (:N {x: rand()})",
        "PROFILE CREATE (:N {x: rand()})",
    ] {
        let error = refusal(&mut target, query);
        assert!(matches!(error, Error::NotDeterministic { .. }), "{query}: {error:?}");
    }
}

#[test]
fn functions_that_grafeo_does_not_know_are_refused_and_not_null() {
    let (_dir, mut target) = open();
    for (query, name) in [
        ("CREATE (:N {x: point({x: 1, y: 2})})", "point"),
        ("CREATE (:N {x: randomUUID()})", "randomuuid"),
        ("CREATE (:N {x: uuid()})", "uuid"),
        ("CREATE (:N {x: gen_random_uuid()})", "gen_random_uuid"),
        ("CREATE (:N {x: no_such_function(1)})", "no_such_function"),
        ("CREATE (:N {x: apoc.create.uuid()})", "apoc.create.uuid"),
        ("CREATE (:N {x: date.truncate('day', $x)})", "date.truncate"),
        ("CALL db.labels() YIELD label CREATE (:N {x: label})", "db.labels"),
        ("CREATE (:N {x: toDat\u{e9}()})", "todat\u{e9}"),
    ] {
        match refusal(&mut target, query) {
            Error::UnknownFunction { function } => assert_eq!(function, name),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn schema_that_cannot_be_rolled_back_is_refused() {
    let (_dir, mut target) = open();
    for query in [
        "CREATE CONSTRAINT c FOR (n:N) REQUIRE n.x IS UNIQUE",
        "create\n/* one */ constraint c FOR (n:N) REQUIRE n.x IS NOT NULL",
        "DROP CONSTRAINT c",
        "ALTER CURRENT GRAPH TYPE SET { (:N {x INTEGER}) }",
    ] {
        let error = refusal(&mut target, query);
        assert!(matches!(error, Error::Schema { .. }), "{query}: {error:?}");
    }
    // In disguise: grafeo itself takes none of these.
    for query in [
        "EXPLAIN CREATE CONSTRAINT c FOR (n:N) REQUIRE n.x IS UNIQUE",
        "PROFILE CREATE INDEX i FOR (n:N) ON (n.x)",
        "; CREATE CONSTRAINT c FOR (n:N) REQUIRE n.x IS UNIQUE",
        "CREATE (:N); CREATE CONSTRAINT c FOR (n:N) REQUIRE n.x IS UNIQUE",
        "CREATE (:N); CREATE (:N)",
        "CREATE GRAPH other",
        "USE GRAPH __graphstream",
        "DROP GRAPH __graphstream",
        "USE __graphstream MATCH (n) DELETE n",
    ] {
        run(&mut target, &[query]).expect_err(query);
        assert_eq!(target.position().unwrap(), None, "{query}");
    }
    assert!(rows(&target, "SHOW CONSTRAINTS").is_empty());
    assert!(rows(&target, "SHOW INDEXES").is_empty());
    // What none of them did: two nodes with equal values are fine.
    run(&mut target, &["CREATE (:N {x: 1}), (:N {x: 1}), (:N)"]).unwrap();
}

#[test]
fn files_are_not_read() {
    let (_dir, mut target) = open();
    for query in [
        "LOAD CSV FROM 'file:///etc/passwd' AS row CREATE (:N {x: row[0]})",
        "load\tcsv WITH HEADERS FROM 'x' AS row CREATE (:N)",
        "WITH 1 AS x LOAD /* */ CSV FROM 'x' AS row CREATE (:N)",
    ] {
        assert!(matches!(refusal(&mut target, query), Error::LoadCsv), "{query}");
    }
}

#[test]
fn what_only_looks_like_such_a_function_is_run() {
    let (_dir, mut target) = open();
    for query in [
        "CREATE (:N {x: 'rand() is only text', y: \"timestamp()\"})",
        "CREATE (:N {x: 1}) // rand()",
        "CREATE /* rand() */ (:N {timestamp: 1, id: 2, now: 3})",
        "CREATE (:Timestamp:N {x: 1})-[:rand]->(:`now` {x: 2})",
        "MATCH (id:N) WHERE id.timestamp = 1 AND (id.id = 2) SET id.rand = (1 + 2)",
        "MATCH (n:N) WHERE NOT (n.x = 1) OR n.id IN ([1, 2]) SET n.y = 1",
        "MATCH (n:N {now: 3}) WITH n AS now WHERE (now.id = 2) SET now.y = 2",
        "CREATE (:N {x: date('2024-02-29'), y: datetime('2024-02-29T12:00:00'), z: time('12:00')})",
        "CREATE (:N {x: duration('P1D'), y: toDate('2024-02-29')})",
        "CREATE (:N {x: [1, 2, 3][1..size([1, 2, 3])]})",
        "MATCH (n:N) WHERE exists(n.x) WITH count(*) AS c, collect(n.x) AS xs CREATE (:N {x: c})",
        "UNWIND range(1, 3) AS i MERGE (n:N {x: i}) ON CREATE SET n.y = toString(i) ON MATCH SET n.y = 'm'",
        "MATCH (n:N {x: 1}) FOREACH (i IN [1] | CREATE (:N {x: 9}))",
        "MATCH (n:N) WHERE all(x IN [1] WHERE x > 0) SET n.all = coalesce(n.x, 0)",
        "MATCH (n:N)-[r:rand]->() SET r.x = type(r)",
        "MATCH (n:N) WITH DISTINCT (n.x) AS x RETURN x",
        "MATCH (n:N) SET n.c = CASE WHEN (n.x IS NULL) THEN (1) ELSE (2) END",
        "MATCH (n:N) RETURN n.x AS x UNION MATCH (n:N) RETURN n.y AS x",
        "MATCH (n:N {x: 1}) DETACH DELETE (n)",
    ] {
        run(&mut target, &[query]).unwrap_or_else(|error| panic!("{query}: {}", error.reason().unwrap()));
    }
    assert_eq!(number(&target, "MATCH (n:N) WHERE n.rand = 3 RETURN count(n)"), 1);
    assert_eq!(rows(&target, "MATCH (n:N) WHERE n.x = 'rand() is only text' RETURN n.x").len(), 1);
}

#[test]
fn the_adapters_own_node_is_out_of_reach() {
    let (dir, mut target) = open();
    run(&mut target, &["CREATE (:GraphstreamPosition {sequence: 99})"]).unwrap();
    let position = target.position().unwrap();
    assert_eq!(number(&target, "MATCH (n) RETURN count(n)"), 1);
    run(&mut target, &["MATCH (n) SET n.sequence = 7", "MATCH (n:GraphstreamPosition) DETACH DELETE n"])
        .unwrap();
    assert_eq!(target.digest().unwrap().node_count, 0);
    let after = target.position().unwrap();
    assert_eq!(after.map(|at| at.sequence), position.map(|at| at.sequence + 2));
    target.close().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    assert_eq!(target.position().unwrap(), after);
}

#[test]
fn a_reading_session_cannot_write() {
    let (_dir, mut target) = open();
    run(&mut target, &["CREATE (:N)"]).unwrap();
    let session = target.read_session().unwrap();
    for query in ["CREATE (:N)", "MATCH (n) DELETE n", "CREATE INDEX i FOR (n:N) ON (n.x)"] {
        assert!(session.execute_language(query, "cypher", None).is_err(), "{query}");
    }
    assert_eq!(number(&target, "MATCH (n) RETURN count(n)"), 1);
}

#[test]
fn garbage_never_panics() {
    let (_dir, mut target) = open();
    let deep = "(".repeat(20_000);
    let nested = format!("CREATE (:N {{x: {}1{}}})", "[".repeat(5_000), "]".repeat(5_000));
    for query in [
        "(",
        ")",
        "`",
        "'",
        "\"",
        "$",
        "/*",
        "//",
        "\\",
        "\u{0}",
        "\u{1f980}(",
        "`(",
        "'\\",
        "a.b.c.(",
        "..(",
        "..a(",
        "create index",
        "CREATE INDEX ``",
        "CREATE INDEX `a``b` FOR (n:N) ON (n.x)",
        "drop index",
        "DROP INDEX '",
        "CREATE INDEX \u{e9} FOR",
        "load",
        "CREATE (n {",
        &deep,
        &nested,
    ] {
        run(&mut target, &[query]).expect_err(query);
        run(&mut target, &["MATCH (n) RETURN n"]).unwrap();
    }
}
