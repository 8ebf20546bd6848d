//! Index statements among data: whatever batches a journal is cut into, and whatever was rolled back or recovered in between, the graph
//! is the same and the indexes are those of the journal.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_replay::{Error as ReplayError, ReplayTarget, TransactionalTarget};
use graphstream_target_grafeo::{Error, GrafeoTarget};
use proptest::prelude::*;

mod journal;
mod sample;

use journal::{apply, copy_open, number, rows, run, statement};

const PERSON_ID: &str = "CREATE INDEX person_id FOR (n:Person) ON (n.id)";
const PLACE_ID: &str = "CREATE INDEX place_id FOR (n:Place) ON (n.id)";

fn indexes(target: &GrafeoTarget) -> Vec<String> {
    let mut names: Vec<_> = rows(target, "SHOW INDEXES")
        .into_iter()
        .map(|row| match row.first() {
            Some(ParamValue::String(name)) => name.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    names.sort_unstable();
    names
}

/// Whether grafeo looks nodes up by this property rather than at all of them: by what it says of its plan.
fn looks_up(target: &GrafeoTarget, property: &str) -> bool {
    let plan = rows(target, &format!("EXPLAIN MATCH (n:Person) WHERE n.{property} = 1 RETURN n"));
    let plan = format!("{plan:?}");
    assert!(plan.contains("NodeScan"), "no plan as we know it: {plan}");
    plan.contains("index:")
}

fn in_both_formats(check: impl Fn(&Path)) {
    for name in ["x.grafeo", "x"] {
        let dir = tempfile::tempdir().unwrap();
        check(&dir.path().join(name));
    }
}

#[test]
fn nodes_and_their_index_may_come_in_one_batch() {
    let queries = ["CREATE (:Person {id: 1})", PERSON_ID, "MATCH (n:Person {id: 1}) SET n.found = true"];
    in_both_formats(|path| {
        let mut target = GrafeoTarget::open(path).unwrap();
        run(&mut target, &queries).unwrap();
        assert!(looks_up(&target, "id"));
        let found = || number(&target, "MATCH (n:Person {id: 1}) WHERE n.found RETURN count(n)");
        assert_eq!(found(), 1);
        run(&mut target, &["MATCH (n:Person {id: 1}) SET n.id = 2, n.found = false"]).unwrap();
        assert_eq!(rows(&target, "MATCH (n:Person {id: 2}) RETURN n.found"), [[false.into()]]);
        assert!(rows(&target, "MATCH (n:Person {id: 1}) RETURN n").is_empty());
    });
}

#[test]
fn an_index_of_a_batch_that_failed_is_gone_and_the_others_work() {
    in_both_formats(|path| {
        let mut target = GrafeoTarget::open(path).unwrap();
        run(&mut target, &[PERSON_ID, "CREATE (:Person {id: 1, name: 'A'}), (:Person {id: 2, name: 'B'})"])
            .unwrap();
        for failing in [
            vec![PLACE_ID],
            vec!["CREATE INDEX person_name FOR (n:Person) ON (n.name)"],
            vec!["DROP INDEX person_id"],
            // Another one under the same name.
            vec!["CREATE INDEX person_id FOR (n:Person) ON (n.name)"],
            vec!["CREATE INDEX person_id FOR (n:Person"],
            // An index that is made while nodes are changed or gone, which then come back.
            vec!["MATCH (n:Person {id: 1}) DELETE n", "DROP INDEX person_id", PERSON_ID],
            vec!["MATCH (n:Person {id: 1}) SET n.id = 3", PLACE_ID, "CREATE (:Person {id: 1})"],
        ] {
            let mut batch = failing.clone();
            batch.push("this fails");
            run(&mut target, &batch).unwrap_err();
            assert_eq!(indexes(&target), ["person_id"], "{failing:?}");
            assert!(looks_up(&target, "id"), "{failing:?}");
            assert!(!looks_up(&target, "name"), "{failing:?}");
            for (id, name) in [(1, "A"), (2, "B")] {
                let found = rows(&target, &format!("MATCH (n:Person {{id: {id}}}) RETURN n.name"));
                assert_eq!(found, [[name.into()]], "{failing:?}");
            }
            assert!(rows(&target, "MATCH (n:Person {id: 3}) RETURN n").is_empty(), "{failing:?}");
        }
    });
}

#[test]
fn indexes_are_there_after_closing_and_after_recovery() {
    in_both_formats(|path| {
        let mut target = GrafeoTarget::open(path).unwrap();
        let both = "CREATE INDEX both FOR (n:Person) ON (n.first, n.last)";
        run(
            &mut target,
            &[PERSON_ID, "CREATE (:Person {id: 1})", "CREATE INDEX gone FOR (n:Person) ON (n.gone)"],
        )
        .unwrap();
        run(&mut target, &[both, PLACE_ID, "DROP INDEX gone"]).unwrap();
        let hold = |target: &GrafeoTarget, when: &str| {
            assert_eq!(indexes(target), ["both", "both", "person_id", "place_id"], "{when}");
            for property in ["id", "first", "last"] {
                assert!(looks_up(target, property), "{when}: {property}");
            }
            assert!(!looks_up(target, "gone"), "{when}");
            assert_eq!(number(target, "MATCH (n:Person {id: 1}) RETURN count(n)"), 1, "{when}");
        };
        hold(&target, "after the commit");
        let crashed = path.with_file_name("crashed").with_extension(path.extension().unwrap_or_default());
        copy_open(path, &crashed);
        let recovered = GrafeoTarget::open(&crashed).unwrap();
        hold(&recovered, "after recovery");
        for _ in 0..2 {
            target.close().unwrap();
            target.reopen().unwrap();
            hold(&target, "after closing");
        }
    });
}

#[test]
fn dropping_an_index_leaves_those_that_share_its_property() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    run(&mut target, &[PERSON_ID, PLACE_ID, "CREATE (:Person {id: 1})"]).unwrap();
    run(&mut target, &["CREATE (:Person {id: 2})", "DROP INDEX place_id", "CREATE (:Person {id: 3})"])
        .unwrap();
    assert_eq!(indexes(&target), ["person_id"]);
    assert!(looks_up(&target, "id"));
    for id in 1..=3 {
        assert_eq!(number(&target, &format!("MATCH (n:Person {{id: {id}}}) RETURN count(n)")), 1);
    }
    run(&mut target, &["DROP INDEX person_id"]).unwrap();
    assert!(!looks_up(&target, "id"));
    assert_eq!(number(&target, "MATCH (n:Person {id: 1}) RETURN count(n)"), 1);
}

#[test]
fn index_statements_may_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    for _ in 0..3 {
        run(&mut target, &[PERSON_ID, "CREATE INDEX person_id IF NOT EXISTS FOR (n:Person) ON (n.id)"])
            .unwrap();
        assert_eq!(indexes(&target), ["person_id"]);
    }
    run(&mut target, &["DROP INDEX person_id", "DROP INDEX person_id IF EXISTS"]).unwrap();
    // What isn't there can't be dropped, by a leader neither.
    let error = run(&mut target, &["DROP INDEX person_id"]).unwrap_err();
    assert!(error.reason().unwrap().contains("does not exist"), "{error:?}");
    run(&mut target, &["CREATE INDEX `a name` FOR (n:`A Label`) ON (n.`a property`)"]).unwrap();
    target.reopen().unwrap();
    assert_eq!(indexes(&target), ["a name"]);
    run(&mut target, &["DROP INDEX `a name`"]).unwrap();
    assert!(indexes(&target).is_empty());
}

#[test]
fn many_batches_that_fail_leave_one_that_works() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.grafeo");
    let mut target = GrafeoTarget::open(&path).unwrap();
    for _ in 0..50 {
        run(&mut target, &["CREATE (:Person {id: 1})", PERSON_ID, "CREATE (:Person {id: 2})", "no"])
            .unwrap_err();
    }
    assert_eq!(target.position().unwrap(), None);
    run(&mut target, &["CREATE (:Person {id: 1})"]).unwrap();
    let crashed = dir.path().join("crashed.grafeo");
    copy_open(&path, &crashed);
    let recovered = GrafeoTarget::open(&crashed).unwrap();
    assert!(indexes(&recovered).is_empty());
    assert_eq!(recovered.digest().unwrap(), target.digest().unwrap());
    assert_eq!(recovered.digest().unwrap().node_count, 1);
}

#[test]
fn labels_may_change_in_the_batch_of_the_node() {
    in_both_formats(|path| {
        let mut target = GrafeoTarget::open(path).unwrap();
        let queries = [
            "CREATE (:Person {id: 1}), (:Person {id: 2})",
            "MATCH (n:Person {id: 1}) SET n:Teacher:`Head of`, n.x = 1",
            "MATCH (n:Teacher) SET n.found = true",
            "MATCH (n:Person {id: 2}) REMOVE n:Person",
        ];
        run(&mut target, &queries).unwrap();
        assert_eq!(target.position().unwrap().unwrap().sequence, 4);
        let digest = target.digest().unwrap();
        let labels: Vec<_> = digest.nodes.into_iter().collect();
        assert_eq!(
            labels,
            [("", 1), ("Head of", 1), ("Person", 1), ("Teacher", 1)].map(|(l, n)| (l.to_owned(), n))
        );
        assert_eq!(number(&target, "MATCH (n:Teacher) WHERE n.found RETURN n.id"), 1);
    });
}

#[test]
fn properties_may_be_copied_in_the_batch_of_the_node() {
    in_both_formats(|path| {
        let mut target = GrafeoTarget::open(path).unwrap();
        let queries = [
            "CREATE (:Person {id: 1})-[:KNOWS {since: 2}]->(:Person {id: 3})",
            "MATCH (a:Person)-[r:KNOWS]->(b) SET b.since = r.since, b.of = (a.id)",
            "MATCH (b:Person {id: 3}) CREATE (:Copy {since: b.since})",
            "MATCH (b:Person {id: 3}) MERGE (c:Copy {since: b.since}) SET c.of = b.of",
        ];
        run(&mut target, &queries).unwrap();
        let found = rows(&target, "MATCH (b:Person {id: 3}), (c:Copy) RETURN b.since, b.of, c.since, c.of");
        assert_eq!(found, [[2, 1, 2, 1].map(ParamValue::Int64)]);
        // A leader that made the node in the same transaction.
        target.begin().unwrap();
        target.execute(&statement("CREATE (:New {id: 1})")).unwrap();
        let error = target.execute(&statement("MATCH (n:New) SET n.copy = n.id")).unwrap_err();
        assert!(error.reason().unwrap().contains("null"), "{error:?}");
        target.rollback().unwrap();
    });
}

#[test]
fn rows_of_a_parameter_need_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    target.begin().unwrap();
    let rows = ParamValue::List(vec![ParamValue::Map(vec![("id".to_owned(), 1_i64.into())])]);
    for _ in 0..2 {
        let entry = statement("UNWIND $rows AS row MERGE (n:Person {id: row.id}) SET n.copy = row.id");
        target.execute(&entry.with_param("rows", rows.clone())).unwrap();
    }
    target.rollback().unwrap();
}

#[test]
fn r07_a_batch_that_needs_commits_in_between_leaves_nothing_when_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let queries = ["CREATE (:Person {id: 1})", "MATCH (n:Person) SET n:Teacher", "CREATE (:Person)", "no"];
    let error = run(&mut target, &queries).unwrap_err();
    assert_eq!(error.sequence(), Some(4));
    assert_eq!(target.position().unwrap(), None);
    assert_eq!(target.digest().unwrap().node_count, 0);
}

#[test]
fn an_entry_that_fails_for_the_data_in_parts_of_a_batch_leaves_the_position_of_the_parts() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    let make = "CREATE (:Person {id: 1})-[:KNOWS]->(:Person {id: 2})";
    // Without the labels it would be the second that fails, and with them it doesn't.
    let queries = [make, "MATCH (n:Person) REMOVE n:Person", "MATCH (n:Person) DELETE n"];
    run(&mut target, &queries).unwrap();
    assert_eq!(target.digest().unwrap().node_count, 2);
    let queries = [make, "MATCH (n {id: 1}) SET n:Linked", "MATCH (n:Linked) DELETE n"];
    let error = run(&mut target, &queries).unwrap_err();
    assert_eq!(error.sequence(), Some(6));
    assert_eq!(target.position().unwrap().unwrap().sequence, 4);
    assert_eq!(target.digest().unwrap().node_count, 4);
    assert!(!target.digest().unwrap().nodes.contains_key("Linked"));
}

#[test]
fn labels_that_grafeo_would_ignore_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    run(&mut target, &["CREATE (:Person {id: 1})"]).unwrap();
    for query in [
        "CREATE (n:Person {id: 2}) SET n:Teacher",
        "CREATE (n:Person:Teacher) REMOVE n:Teacher",
        "MERGE (n:Person {id: 2}) SET n:Teacher",
        "MERGE (n:Person {id: 2}) ON CREATE SET n.x = 1, n:Teacher ON MATCH SET n.x = 2",
        "CREATE (n:Person) SET n.x = {on: 1, call: [m IN [1] | m]}, n:Teacher",
        "MATCH (m:Person) FOREACH (i IN [1] | SET m.x = 1) CREATE (n:Person) SET n.call = 1, n:Teacher",
        "MATCH (m:Person) CREATE (n:Person) set n.x=m.id , n : Teacher",
        "UNWIND [1] AS i CREATE (n:Person) SET n.`set`={a:1} REMOVE n.x, n:Teacher",
    ] {
        let error = run(&mut target, &[query]).expect_err(query);
        let ReplayError::Poison { source, .. } = error else { panic!("{query}: {error:?}") };
        assert!(matches!(source.downcast_ref(), Some(Error::Labels)), "{query}: {source:?}");
        // A leader that has made the node in the same transaction.
        target.begin().unwrap();
        target.execute(&statement("CREATE (:Person {id: 3})")).unwrap();
        target.execute(&statement("MATCH (n:Person {id: 3}) SET n:Teacher")).unwrap_err();
        target.rollback().unwrap();
        assert_eq!(target.digest().unwrap().node_count, 1);
    }
    for query in [
        "MERGE (n:Person {id: 1}) SET n:Teacher",
        "CREATE (:Person {`set`: 1})-[:KNOWS {`remove`: 2}]->(:Person:Teacher {x: 1})",
        "CREATE (n:Person) SET n.x = {a: 1}, n += {b: 1} WITH n MATCH (m:Person) SET m.`set` = 1",
        "CREATE (n:Person) SET n.x = [l IN [1] WHERE n:Person | l] CREATE (:Teacher)",
    ] {
        run(&mut target, &[query]).unwrap_or_else(|error| panic!("{query}: {}", error.reason().unwrap()));
    }
}

#[test]
fn the_bundled_sample_is_the_same_however_it_is_cut() {
    let entries = || sample::schema().into_iter().chain(sample::data().into_iter().take(1500));
    let dir = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for batch in [1, 97, 5000] {
        let mut target = GrafeoTarget::open(dir.path().join(format!("{batch}.grafeo"))).unwrap();
        let entries: Vec<_> = entries().collect();
        for entries in entries.chunks(batch) {
            apply(&mut target, entries.to_vec()).unwrap();
        }
        assert_eq!(indexes(&target), ["forum_id", "person_id", "place_id"]);
        digests.push(target.digest().unwrap());
    }
    // The indexes in the middle of the data, all in one batch.
    let mut target = GrafeoTarget::open(dir.path().join("middle.grafeo")).unwrap();
    let (data, schema) = (sample::data(), sample::schema());
    let entries = data[..700].iter().chain(&schema).chain(&data[700..1500]).cloned();
    apply(&mut target, entries).unwrap();
    digests.push(target.digest().unwrap());
    assert!(digests[0].node_count > 300 && digests[0].relationship_count > 300, "{:?}", digests[0]);
    for digest in &digests {
        assert_eq!(digest, &digests[0]);
    }
}

/// Small statements about few nodes, so that they meet. Whatever they do, they do it to all rows they find.
fn any_statement() -> impl Strategy<Value = JournalEntry> {
    let queries = prop::sample::select(vec![
        "CREATE (:Person {id: $a, n: $b})",
        "CREATE (:Person {id: toFloat($a), n: $b})",
        "MATCH (n:Person {id: $a}) SET n.n = $b",
        "MATCH (n:Person {id: $a}) SET n.id = $b",
        "MATCH (n:Person) WHERE n.n = $a SET n.id = n.id + 1",
        "MATCH (n:Person {id: $a}) REMOVE n.id",
        "MATCH (n:Person {id: $a}) SET n:Place",
        "MATCH (n:Place:Person {id: $a}) REMOVE n:Person SET n.n = $b",
        "MATCH (a:Person {id: $a}), (b:Person {id: $b}) CREATE (a)-[:KNOWS {n: $a}]->(b)",
        "MATCH (a:Person {id: $a})-[r:KNOWS]->() DELETE r",
        "MATCH (n:Person {id: $a}) DETACH DELETE n",
        "MERGE (n:Person {id: $a}) SET n.n = 0",
        "MERGE (n:Person {id: $a}) ON CREATE SET n.n = $b ON MATCH SET n.n = -$b",
        "UNWIND [$a, $b] AS i MERGE (n:Place {id: i})",
        "MATCH (a:Person {id: $a}), (b:Person {id: $b}) MERGE (a)-[r:KNOWS]->(b) ON MATCH SET r.n = $b",
        "MATCH (:Person {id: $a})-[r:KNOWS]->(b) SET r.n = coalesce(r.n, 0) + 1, b.n = r.n",
        "MATCH (n:Person {id: $a}) SET n = {id: $b, list: [$a, {b: $b}]}",
        "MATCH (n:Person {id: $a}) SET n += {id: $b, text: toString($a)}",
        "OPTIONAL MATCH (n:Place {id: $a}) WITH count(n) AS c CREATE (:Counted {id: $b, c: c})",
        "MATCH (a:Person)-[:KNOWS]->(b:Person) WHERE a.id = $a WITH b, count(a) AS c SET b.known = c",
        "MATCH (n:Person) WHERE n.id IN [$a, $b] AND NOT (n)-[:KNOWS]->() SET n.alone = true",
        "MATCH (n) WHERE n.id = $a AND n.n = $b SET n.both = true",
        "MATCH (n:Person {id: $a}) SET n.copy = n.id, n.both = [n.id, n.n], n.sum = n.id + n.n",
        "MATCH (a:Person {id: $a}), (b:Person {id: $b}) CREATE (:Copy {id: a.n, n: (b.id)})-[:OF {n: a.id}]->(a)",
        "MATCH (a:Person {id: $a}) WITH a, a.n AS x SET a.x = x, a.y = coalesce(a.n, 0)",
        "MATCH (a:Person {id: $a}) SET a += {m: a.id, `m n`: properties(a).n}",
        "MATCH (a:Person {id: $a}) MERGE (b:Place {id: a.n}) SET b.of = a.id",
        "MATCH (a:Person {id: $a}) UNWIND [a.id, $b] AS x CREATE (:Made {id: x})",
        "MATCH (a:Person {id: $a}) WITH sum(a.n) AS s, collect(a.n) AS ns CREATE (:Made {id: $b, s: s, c: size(ns)})",
        "MATCH (a:Person {id: $a}) FOREACH (x IN [$b] | SET a.n = x)",
        "MATCH (a:Person {id: $a}) SET a.n = CASE WHEN a.id > 1 THEN a.id ELSE a.n END",
        "MATCH (n {id: toFloat($a)}) SET n.n = $b",
        PERSON_ID,
        PLACE_ID,
        "CREATE INDEX person_n FOR (n:Person) ON (n.n)",
        "DROP INDEX person_id IF EXISTS",
        "DROP INDEX person_n IF EXISTS",
    ]);
    (queries, 0..4_i64, 0..4_i64).prop_map(|(query, a, b)| match query.contains('$') {
        true => statement(query).with_param("a", a).with_param("b", b),
        false => statement(query),
    })
}

/// Batches, each with whether it is tried first with an entry that fails at its end, and whether the target is reopened after it.
type Cut = Vec<(usize, bool, bool)>;

fn replay(path: &Path, entries: &[JournalEntry], cut: &Cut) -> (String, Vec<String>) {
    let mut target = GrafeoTarget::open(path).unwrap();
    let mut rest = entries;
    let mut cut = cut.iter().cycle();
    while !rest.is_empty() {
        let (len, fails, reopens) = *cut.next().unwrap();
        let (batch, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        if fails {
            apply(&mut target, batch.iter().cloned().chain([statement("no")])).unwrap_err();
        }
        apply(&mut target, batch.to_vec()).unwrap();
        if reopens {
            target.reopen().unwrap();
        }
    }
    (target.digest().unwrap().sha256, indexes(&target))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r06_any_journal_gives_one_graph_however_it_is_cut(
        entries in prop::collection::vec(any_statement(), 1..40),
        cut in prop::collection::vec((1..12_usize, any::<bool>(), prop::bool::weighted(0.2)), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let one_by_one = replay(&dir.path().join("1.grafeo"), &entries, &vec![(1, false, false)]);
        let cut = replay(&dir.path().join("2.grafeo"), &entries, &cut);
        prop_assert_eq!(one_by_one, cut);
    }
}

#[test]
fn paths_of_several_steps_find_the_relationships_of_their_batch() {
    let nodes = "CREATE (:N {id: 1}), (:N {id: 2}), (:N {id: 3})";
    let knows = "MATCH (a:N), (b:N) WHERE b.id = a.id + 1 CREATE (a)-[:KNOWS]->(b)";
    for (path, found) in [
        ("MATCH (a:N {id: 1})-[:KNOWS*1..3]->(b:N) SET b.found = true", 2),
        ("MATCH (a:N {id: 1})-[:KNOWS*2]->(b:N) SET b.found = true", 1),
        ("MATCH (a:N {id: 1})-[k *]->(b:N) SET b.found = true", 2),
    ] {
        in_both_formats(|place| {
            let mut target = GrafeoTarget::open(place).unwrap();
            run(&mut target, &[nodes, knows, path]).unwrap();
            assert_eq!(number(&target, "MATCH (n:N) WHERE n.found RETURN count(n)"), found, "{path}");
            assert_eq!(target.position().unwrap().unwrap().sequence, 3);
        });
    }
    // Leaders run a batch in one transaction.
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    run(&mut target, &[nodes]).unwrap();
    target.begin().unwrap();
    target.execute(&statement(knows)).unwrap();
    let error = target.execute(&statement("MATCH (a:N)-[*1..2]->(b:N) SET b.found = true")).unwrap_err();
    let ReplayError::Statement { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source.downcast::<Error>().unwrap(), Error::Paths));
}
