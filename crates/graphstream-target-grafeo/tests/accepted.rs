//! What the writer's determinism guard accepts does the same twice.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use graphstream_replay::Error as ReplayError;
use graphstream_replay::guard::{Dialect, Guard, GuardOptions};
use graphstream_target_grafeo::GrafeoTarget;

#[path = "../../graphstream-replay/tests/guard_corpus/mod.rs"]
mod guard_corpus;
mod journal;

use guard_corpus::{Expected, cases};
use journal::apply;

#[test]
fn r06_what_is_accepted_gives_equal_databases_twice() {
    let guard = |dialect| Guard::new(GuardOptions::default().with_dialect(dialect));
    let (any, own) = (guard(Dialect::Any), guard(Dialect::Grafeo));
    let dir = tempfile::tempdir().unwrap();
    let mut tried = GrafeoTarget::open(dir.path().join("tried")).unwrap();
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for case in cases() {
        let guard = if case.dialect == Dialect::Grafeo { &own } else { &any };
        if case.dialect == Dialect::Ladybug || matches!(case.expected, Expected::Refuse { .. }) {
            continue;
        }
        let admitted = guard.admit(&case.entry(), || panic!("it has one")).unwrap().into_owned();
        match apply(&mut tried, [admitted.clone()]) {
            Ok(()) => kept.push(admitted),
            Err(ReplayError::Poison { .. }) => refused.push(admitted.query),
            Err(other) => panic!("{}: {other}", admitted.query),
        }
    }
    assert!(kept.len() >= 130, "{} ran; refused: {refused:#?}", kept.len());
    let mut digests = vec![tried.digest().unwrap()];
    for batch in [1, 7, 1000] {
        let mut target = GrafeoTarget::open(dir.path().join(format!("in batches of {batch}"))).unwrap();
        for entries in kept.chunks(batch) {
            apply(&mut target, entries.to_vec()).unwrap();
        }
        digests.push(target.digest().unwrap());
    }
    assert!(digests.first().unwrap().node_count > 50, "{digests:?}");
    assert!(digests.windows(2).all(|pair| pair.first() == pair.last()), "{digests:?}");
}
