//! The digest over all rows: what changes it, and what doesn't.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use graphstream_replay::ReplayTarget;
use graphstream_target_grafeo::{GrafeoTarget, GraphDigest};
use proptest::prelude::*;

mod journal;

use journal::run;

fn digest_of(queries: &[&str]) -> GraphDigest {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    if !queries.is_empty() {
        run(&mut target, queries).unwrap();
    }
    let digest = target.digest().unwrap();
    target.reopen().unwrap();
    assert_eq!(target.digest().unwrap(), digest, "another one after reopening");
    digest
}

const GRAPH: [&str; 4] = [
    "CREATE (:Person {id: 1, name: 'A'})",
    "CREATE (:Person:Teacher {id: 2, name: 'B'})",
    "CREATE (:Place {id: 1})",
    "CREATE ({id: 9})",
];

fn with(queries: &[&'static str]) -> Vec<&'static str> {
    GRAPH.into_iter().chain(queries.iter().copied()).collect()
}

const KNOWS: &str = "MATCH (a:Person {id: 1}), (b:Person {id: 2}) CREATE (a)-[:KNOWS {since: 2020}]->(b)";

#[test]
fn counts_are_by_label_and_type() {
    let digest = digest_of(&with(&[KNOWS, "MATCH (a:Person), (b:Place) CREATE (a)-[:LIVES_IN]->(b)"]));
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    // A node without a label counts for the empty one, a node with two for each.
    assert_eq!(digest.nodes, counts(&[("", 1), ("Person", 2), ("Place", 1), ("Teacher", 1)]));
    assert_eq!(digest.relationships, counts(&[("KNOWS", 1), ("LIVES_IN", 2)]));
    assert_eq!((digest.node_count, digest.relationship_count), (4, 3));
}

#[test]
fn an_empty_graph_has_the_digest_of_nothing() {
    let digest = digest_of(&[]);
    // SHA-256 of no bytes.
    assert_eq!(digest.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(digest_of(&["CREATE (:N)-[:R]->(:N)", "MATCH (n) DETACH DELETE n"]), digest);
}

#[test]
fn the_bytes_of_a_row_are_those_that_are_documented() {
    use sha2::{Digest as _, Sha256};
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash = |row: &str| hex(&Sha256::digest(row));
    let a = hash(r#"["node",["A","B"],{"k":{"$f64":"3ff8000000000000"},"s":"\"\n\u0001é"}]"#);
    let b = hash(r#"["node",[],{"l":[1,true,{"$map":{"x":"y"}}]}]"#);
    let rel = hash(&format!(r#"["rel","R","{a}","{b}",{{"d":{{"$date":"2024-02-29"}}}}]"#));
    let mut all = [a, b, rel];
    all.sort_unstable();
    let expected = hex(&Sha256::digest(all.map(|hash| hash + "\n").concat()));
    let found = digest_of(&[
        "CREATE (:B:A {s: '\"\\n\u{1}é', k: 1.5, nothing: null})-[:R {d: date('2024-02-29')}]->({l: [1, true, {x: 'y'}]})",
    ]);
    assert_eq!(found.sha256, expected);
}

#[test]
fn every_change_changes_it() {
    let mut seen = BTreeSet::new();
    let changes = [
        vec![],
        vec![KNOWS],
        vec!["MATCH (n:Person {id: 1}) SET n.name = 'a'"],
        vec!["MATCH (n:Person {id: 1}) SET n.Name = n.name REMOVE n.name"],
        vec!["MATCH (n:Person {id: 1}) SET n.name = ''"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = 1.0"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = '1'"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = true"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = [1]"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = [[1]]"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = []"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = date('2024-02-29')"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = '2024-02-29'"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = {a: 1}"],
        vec!["MATCH (n:Person {id: 1}) SET n.id = {b: 1}"],
        vec!["MATCH (n:Person {id: 1}) REMOVE n.id"],
        vec!["MATCH (n:Person {id: 1}) SET n.zero = 0.0"],
        vec!["MATCH (n:Person {id: 1}) SET n.zero = -0.0"],
        vec!["MATCH (n:Person {id: 1}) SET n:Teacher"],
        vec!["MATCH (n:Person {id: 1}) SET n:person"],
        vec!["MATCH (n:Person {id: 2}) REMOVE n:Teacher"],
        vec!["MATCH (n:Person {id: 2}) REMOVE n:Person"],
        vec!["CREATE (:Person {id: 1, name: 'A'})"],
        vec!["CREATE ()"],
        vec!["MATCH (n:Place) DELETE n"],
        vec!["MATCH (a:Person {id: 2}), (b:Person {id: 1}) CREATE (a)-[:KNOWS {since: 2020}]->(b)"],
        vec!["MATCH (a:Person {id: 1}), (b:Place) CREATE (a)-[:KNOWS {since: 2020}]->(b)"],
        vec!["MATCH (a:Person {id: 1}) CREATE (a)-[:KNOWS {since: 2020}]->(a)"],
        vec!["MATCH (a:Person {id: 1}), (b:Person {id: 2}) CREATE (a)-[:KNEW {since: 2020}]->(b)"],
        vec!["MATCH (a:Person {id: 1}), (b:Person {id: 2}) CREATE (a)-[:KNOWS {since: 2021}]->(b)"],
        vec!["MATCH (a:Person {id: 1}), (b:Person {id: 2}) CREATE (a)-[:KNOWS]->(b)"],
        vec![KNOWS, KNOWS],
    ];
    for change in changes {
        let digest = digest_of(&with(&change));
        assert!(seen.insert(digest.sha256), "{change:?} makes no difference");
    }
}

#[test]
fn a_property_that_is_null_is_no_property() {
    let removed = ["MATCH (n:Place) SET n.x = 1", "MATCH (n:Place) SET n.x = null"];
    assert_eq!(digest_of(&with(&removed)), digest_of(&GRAPH));
}

#[test]
fn literal_lists_and_vectors_have_a_digest() {
    let digests = ["[1.5, 2.5]", "[1.5, 2.25]", "[1, 2]", "[0.1, 0.2]", "[16777217, 1]", "[16777216, 1]"]
        .map(|list| digest_of(&[&format!("CREATE (:N {{x: {list}}})")]).sha256);
    assert_eq!(BTreeSet::from(digests.clone()).len(), digests.len(), "{digests:?}");
    let vectors = ["[1, 2]", "[2, 1]", "[1]"]
        .map(|list| digest_of(&[&format!("CREATE (:N {{x: vector({list})}})")]).sha256);
    assert_eq!(BTreeSet::from(vectors.clone()).len(), vectors.len(), "{vectors:?}");
    assert!(!digests.contains(&vectors[0]), "a vector isn't a list");
}

#[test]
fn it_is_independent_of_the_position_and_of_what_was_there_before() {
    let detour = with(&["CREATE (:Gone)-[:GONE]->(:Gone)", "MATCH (n:Gone) DETACH DELETE n"]);
    assert_eq!(digest_of(&detour), digest_of(&GRAPH));
    let with_index: Vec<_> = ["CREATE INDEX i FOR (n:Person) ON (n.id)"].into_iter().chain(GRAPH).collect();
    assert_eq!(digest_of(&with_index), digest_of(&GRAPH));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_independent_of_the_order_of_insertion(order in Just((0..24_u8).collect::<Vec<_>>()).prop_shuffle()) {
        let nodes = |order: &[u8]| -> Vec<String> {
            order.iter().map(|n| format!("CREATE (:L{} {{n: {n}, m: {}}})", n % 3, n / 2)).collect()
        };
        let relationships = |order: &[u8]| -> Vec<String> {
            order
                .iter()
                .map(|n| format!("MATCH (a {{n: {n}}}), (b {{n: {}}}) CREATE (a)-[:R{{n: {n}}}]->(b)", (n * 7) % 24))
                .collect()
        };
        let sorted: Vec<u8> = (0..24).collect();
        let queries = |first: &[u8], second: &[u8]| [nodes(first), relationships(second)].concat();
        let reversed: Vec<u8> = order.iter().rev().copied().collect();
        let all = [queries(&sorted, &sorted), queries(&order, &reversed)];
        let [a, b] = all.map(|queries| digest_of(&queries.iter().map(String::as_str).collect::<Vec<_>>()));
        prop_assert_eq!(a, b);
    }
}
