//! A leader's determinism guard: what is refused was neither executed nor journaled, and what is rewritten is the same in the database, in the
//! journal and in every follower.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use graphstream_format::Position;
use graphstream_proto::{JournalEntry, ParamValue};
use graphstream_replay::guard::{Dialect, GuardOptions, Reason};
use graphstream_replication::{Error, ErrorKind, Leader};
use world::{LONG, Recorder, World, entry};

const RANDOM: &str = "CREATE (:Item {number: $number, luck: rand()})";
const CLOCK: &str = "CREATE (:Item {number: $number, at: current_timestamp(), id: gen_random_uuid()})";
const REWRITTEN: &str = "CREATE (:Item {number: $number, at: $graphstream_timestamp, id: $graphstream_uuid})";

fn numbered(query: &str, number: i64) -> JournalEntry {
    JournalEntry::new(query, 1_700_000_000_000).with_param("number", number)
}

#[track_caller]
fn assert_refused(error: &Error, index: usize) {
    let Error::Refused { index: found, source } = error else { panic!("{error:?}") };
    assert_eq!((*found, source.reason, source.place.column), (index, Reason::Random, 39));
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[track_caller]
fn assert_rewritten(entry: &JournalEntry) {
    assert_eq!(entry.query, REWRITTEN);
    let uuid = entry.uuid_override.clone().unwrap();
    assert_eq!(
        &entry.params[1..],
        [
            (
                "graphstream_timestamp".to_owned(),
                ParamValue::Temporal {
                    kind: graphstream_proto::TemporalKind::LocalDateTime,
                    text: "2023-11-14T22:13:20.000".to_owned()
                }
            ),
            ("graphstream_uuid".to_owned(), ParamValue::Uuid(uuid)),
        ]
    );
}

#[tokio::test]
async fn r06_what_is_executed_is_safe_to_replay() {
    let world = World::new();
    let database = Recorder::default();
    let builder = world.leader("journal").database(Box::new(database.clone()));
    let (leader, _) = builder.start().await.unwrap();
    let error = leader.execute_batch(vec![entry(1), numbered(RANDOM, 2)]).await.unwrap_err();
    assert_refused(&error, 1);
    assert_eq!((database.durable().rows.len(), leader.journal().positions().written.sequence), (0, 0));
    let written = leader.execute_batch(vec![entry(1), numbered(CLOCK, 2)]).await.unwrap();
    assert_eq!(written.position.sequence, 2);
    leader.execute(numbered(CLOCK, 3)).await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let follower = Recorder::default();
    world.catch_up(&follower).await.unwrap();
    let rows = follower.durable().rows.clone();
    assert_eq!(rows, database.durable().rows);
    assert_eq!(rows[0], entry(1));
    assert_rewritten(&rows[1]);
    assert_rewritten(&rows[2]);
    assert_ne!(rows[1].uuid_override, rows[2].uuid_override);
}

#[tokio::test]
async fn r06_what_is_appended_is_safe_to_replay() {
    let world = World::new();
    let leader = world.lead("journal").await;
    assert_refused(&leader.append(&numbered(RANDOM, 1)).unwrap_err(), 0);
    assert_refused(&leader.append_batch(&[entry(1), numbered(RANDOM, 2)]).unwrap_err(), 1);
    drop(leader.append_batch(&[entry(1), numbered(CLOCK, 2)]).unwrap());
    leader.sync().await.unwrap();
    leader.shutdown(LONG).await.unwrap();
    let follower = Recorder::default();
    world.catch_up(&follower).await.unwrap();
    follower.assert_holds(2);
    assert_rewritten(&follower.durable().rows[1]);
}

#[tokio::test]
async fn r06_who_executes_by_himself_asks_before() {
    let world = World::new();
    let leader = world.lead("journal").await;
    let through = leader.write_through(Position::start(leader.journal().lineage())).await.unwrap();
    // It was executed with another time.
    let error = through.write().await.unwrap().append(&[entry(1), numbered(CLOCK, 2)]).unwrap_err();
    assert!(matches!(error, Error::NotAdmitted { index: 1 }), "{error:?}");
    assert_refused(&through.write().await.unwrap().append(&[numbered(RANDOM, 1)]).unwrap_err(), 0);
    assert_refused(&leader.admit(numbered(RANDOM, 1)).unwrap_err(), 0);
    assert_eq!(leader.journal().positions().written.sequence, 0);
    let admitted = leader.admit(numbered(CLOCK, 1)).unwrap();
    assert_rewritten(&admitted);
    assert_eq!(leader.admit(admitted.clone()).unwrap(), admitted);
    assert_eq!(leader.admit(entry(1)).unwrap(), entry(1));
    let synced = through.write().await.unwrap().append(&[admitted]).unwrap().synced().await.unwrap();
    assert_eq!(synced.committed().position.sequence, 1);
}

#[tokio::test]
async fn the_guard_is_told_whose_cypher_it_is_or_to_be_off() {
    let conversion = || numbered("CREATE (:Item {number: $number, at: timestamp('2024-02-29')})", 1);
    let world = World::new();
    let lead = async |name: &str, guard: Option<GuardOptions>| -> Leader {
        let (leader, _) = world.leader(name).guard(guard).start().await.unwrap();
        leader
    };
    let grafeo = lead("journal", Some(GuardOptions::default().with_dialect(Dialect::Grafeo))).await;
    assert!(matches!(grafeo.append(&conversion()).unwrap_err(), Error::Refused { .. }));
    grafeo.shutdown(LONG).await.unwrap();
    let off = lead("journal", None).await;
    drop(off.append_batch(&[conversion(), numbered(RANDOM, 2), numbered(CLOCK, 3)]).unwrap());
    off.shutdown(LONG).await.unwrap();
    let follower = Recorder::default();
    world.catch_up(&follower).await.unwrap();
    assert_eq!(follower.durable().rows[2], numbered(CLOCK, 3));
}
