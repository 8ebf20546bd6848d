//! A store that is down for longer than the disk budget lasts: what is told, what is held up, and how it is caught up on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use graphstream_journal::{Ack, Error as JournalError, JournalDir, JournalOptions, WhenFull};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_replication::{Error, Leader, OutageState, OutageStatus, Stop, Uploader, UploaderOptions};
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{ErrorClass, Operation};
use tokio::sync::watch;
use world::{LONG, Recorder, World, append_to, cut_off, entry, patient_uploads, sealed, small_segments};

const BUDGET: u64 = 6000;

fn calls(world: &World) -> u64 {
    Operation::ALL.iter().map(|operation| world.faults.calls(*operation)).sum()
}

fn bounded(when_full: WhenFull) -> JournalOptions {
    small_segments().with_held_bytes_max(BUDGET).with_when_full(when_full)
}

async fn lead(world: &World, when_full: WhenFull, metrics: &Arc<GraphstreamMetrics>) -> Leader {
    let leader = world.leader("journal").journal_options(bounded(when_full)).metrics(Arc::clone(metrics));
    leader.start().await.unwrap().0
}

async fn reach(outage: &mut watch::Receiver<OutageStatus>, state: OutageState) -> OutageStatus {
    let reached = outage.wait_for(|status| status.state == state);
    tokio::time::timeout(LONG, reached).await.expect("it gets there").unwrap().clone()
}

/// Appends from `first` on until that is refused; returns the last that was not.
async fn fill(leader: &Leader, first: u64) -> u64 {
    for number in first..10_000 {
        // Their sizes are final then.
        leader.journal().seal().unwrap();
        match leader.append(&entry(number)) {
            Ok(ticket) => assert_eq!(ticket.acked(Ack::Synced).await.unwrap(), number..=number),
            Err(Error::Journal(JournalError::BudgetFull { held, max, cursor, .. })) => {
                assert!(held >= max && max == BUDGET && cursor == "uploader");
                return number - 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("never full");
}

/// S01, L06: healthy, degraded, full, and healthy again without anybody doing anything here.
#[tokio::test]
async fn s01_an_outage_longer_than_the_budget_is_told_and_caught_up_on() {
    let world = World::new();
    let metrics = GraphstreamMetrics::shared();
    let leader = lead(&world, WhenFull::Fail, &metrics).await;
    let mut outage = leader.outage();
    assert_eq!(outage.borrow().state, OutageState::Healthy);
    cut_off(&world.faults);
    for number in 1..=30 {
        leader.append(&entry(number)).unwrap().acked(Ack::Synced).await.unwrap();
    }
    let status = reach(&mut outage, OutageState::Degraded).await;
    assert!(status.failures >= 3 && status.held_bytes.unwrap() < BUDGET, "{status:?}");
    let directory = leader.journal().dir().clone();
    assert_eq!(directory.outage().unwrap().unwrap().state, "degraded");
    assert_eq!(metrics.leader.outage_state.get(), 1);

    let last = fill(&leader, 31).await;
    let status = reach(&mut outage, OutageState::Full).await;
    assert!(status.held_bytes.unwrap() >= BUDGET && status.held_bytes_max == Some(BUDGET), "{status:?}");
    assert_eq!(metrics.leader.outage_state.get(), 2);
    assert!(metrics.journal.held_bytes.get() >= BUDGET && metrics.journal.budget_exhaustions.get() > 0);
    assert!(matches!(leader.room().await, Err(Error::Journal(JournalError::BudgetFull { .. }))));
    // What was accepted is *synced*, and can be read.
    assert_eq!(leader.journal().positions().synced.sequence, last);

    world.faults.clear();
    let status = reach(&mut outage, OutageState::Healthy).await;
    assert_eq!(status.failures, 0);
    assert_eq!(directory.outage().unwrap(), None);
    assert_eq!(metrics.leader.outage_state.get(), 0);
    assert!(metrics.leader.outages.get() == 1 && metrics.leader.outage_seconds.get() > 0.0);
    leader.room().await.unwrap();
    leader.append(&entry(last + 1)).unwrap().acked(Ack::Synced).await.unwrap();
    assert_eq!(leader.sync().await.unwrap().sequence, last + 1);
    leader.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(last + 1);
}

/// S08: a leader whose head is deleted goes on journaling, publishes nothing, says so, and goes on when the head is back.
#[tokio::test]
async fn s08_a_running_leader_waits_for_a_head_that_is_gone() {
    let world = World::new();
    let metrics = GraphstreamMetrics::shared();
    let leader = lead(&world, WhenFull::Fail, &metrics).await;
    leader.append(&entry(1)).unwrap().acked(Ack::Synced).await.unwrap();
    leader.sync().await.unwrap();
    let head = world.object(&world.head_key()).await;
    world.remove(&world.head_key()).await;
    leader.append(&entry(2)).unwrap().acked(Ack::Synced).await.unwrap();
    leader.journal().seal().unwrap();
    let mut outage = leader.outage();
    reach(&mut outage, OutageState::Degraded).await;
    assert!(!world.keys("").await.contains(&world.head_key()), "a running leader never creates a head");
    leader.append(&entry(3)).unwrap().acked(Ack::Synced).await.unwrap();
    assert!(leader.is_shipping() && leader.watch().borrow().sequence == 1);

    world.put(&world.head_key(), head).await;
    reach(&mut outage, OutageState::Healthy).await;
    assert_eq!(leader.sync().await.unwrap().sequence, 3);
    leader.shutdown(LONG).await.unwrap();
    let target = Recorder::default();
    world.catch_up(&target).await.unwrap();
    target.assert_holds(3);
}

/// With one thread for everything, a writer that waits must not keep the uploader from ending the wait.
#[tokio::test]
async fn who_writes_through_waits_for_the_store_without_a_thread() {
    let world = World::new();
    let database = Recorder::default();
    let leader = world
        .leader("journal")
        .journal_options(bounded(WhenFull::Block))
        .database(Box::new(database.clone()))
        .start()
        .await
        .unwrap()
        .0;
    cut_off(&world.faults);
    let mut executed = 0;
    while leader.journal().check_room().is_ok() {
        executed += 1;
        leader.execute(entry(executed)).await.unwrap();
        // Its size is final then.
        leader.journal().seal().unwrap();
    }
    let next = executed + 1;
    let waits = tokio::time::timeout(Duration::from_millis(50), leader.execute(entry(next))).await;
    assert!(waits.is_err(), "the budget is exhausted");
    database.assert_holds(executed);
    let store_comes_back = async {
        tokio::task::yield_now().await;
        world.faults.clear();
    };
    let (written, room, ()) = tokio::join!(leader.execute(entry(next)), leader.room(), store_comes_back);
    room.unwrap();
    assert_eq!(written.unwrap().position.sequence, next);
    leader.shutdown(LONG).await.unwrap();
    database.assert_holds(next);
}

/// A writer in another process, and a shipper that is told the writer's budget.
#[tokio::test]
async fn beside_the_writer_the_shipper_tells_when_the_budget_is_exhausted() {
    let world = World::new();
    let (journal, _) = graphstream_journal::Journal::builder(world.dir("journal"))
        .options(bounded(WhenFull::Fail))
        .open()
        .unwrap();
    let metrics = GraphstreamMetrics::shared();
    let options = patient_uploads().with_held_bytes_max(Some(BUDGET));
    let mut uploader = Uploader::open(world.dir("journal"), world.remote(), options, metrics).await.unwrap();
    let mut outage = uploader.outage();
    cut_off(&world.faults);
    let mut last = 0;
    while journal.check_room().is_ok() {
        last += 1;
        append_to(&journal, last, last);
        // Its size is final then.
        journal.seal().unwrap();
    }
    let stop = Stop::new();
    let ship = async {
        reach(&mut outage, OutageState::Full).await;
        world.faults.clear();
        reach(&mut outage, OutageState::Healthy).await;
        stop.cancel();
    };
    let (shipped, ()) = tokio::join!(uploader.run(&stop), ship);
    shipped.unwrap();
    // The writer looks within a second.
    while journal.check_room().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    append_to(&journal, last + 1, last + 1);
    journal.close().unwrap();
}

/// A shipper holds back what it has not shipped from its start on, also when it never reached the store.
#[tokio::test]
async fn a_shipper_holds_segments_back_before_it_has_published_anything() {
    let world = World::new();
    let journal = world.journal("journal", 30);
    journal.release("history", 30).unwrap();
    let left = sealed(&world.dir("journal")).len();
    cut_off(&world.faults);
    world.uploader("journal").await.unwrap_err();
    let dir = JournalDir::open(world.dir("journal")).unwrap();
    assert_eq!(dir.cursor("uploader").unwrap().unwrap().sequence, 0);
    append_to(&journal, 31, 60);
    journal.seal().unwrap();
    assert_eq!(journal.release("history", 60).unwrap(), 0, "they are not stored");
    assert!(sealed(&world.dir("journal")).len() > left);
}

/// A backlog costs one put a segment, and a share of a head's; nothing is sent twice.
#[tokio::test]
async fn catching_up_takes_two_requests_a_segment_at_most() {
    let world = World::new();
    let metrics = GraphstreamMetrics::shared();
    let journal = small_segments().with_segment_age_max(Duration::MAX);
    let leader = world.leader("journal").journal_options(journal).metrics(metrics.clone());
    let leader = leader.start().await.unwrap().0;
    cut_off(&world.faults);
    let mut last = 0;
    while sealed(&world.dir("journal")).len() < 64 {
        last += 1;
        leader.append(&entry(last)).unwrap().acked(Ack::Synced).await.unwrap();
    }
    let sealed_sequence = leader.journal().positions().sealed.sequence;
    let mut outage = leader.outage();
    reach(&mut outage, OutageState::Degraded).await;
    let before = calls(&world);
    world.faults.clear();
    leader.stored(sealed_sequence).await.unwrap();
    reach(&mut outage, OutageState::Healthy).await;
    let segments = world.segments().await.len() as u64;
    let sent = calls(&world) - before;
    assert!(segments >= 64 && sent <= 2 * segments, "{sent} requests for {segments} segments");

    // One by one, too, with the head's own update.
    let before = calls(&world);
    for _ in 0..8 {
        last += 1;
        leader.append(&entry(last)).unwrap().acked(Ack::Synced).await.unwrap();
        leader.sync().await.unwrap();
    }
    let (sent, published) = (calls(&world) - before, world.segments().await.len() as u64 - segments);
    assert!(sent <= 2 * published, "{sent} requests for {published} segments");
    leader.shutdown(LONG).await.unwrap();
}

/// An hour of looks, every ten seconds, at a journal that does not grow.
#[tokio::test(start_paused = true)]
async fn an_idle_leader_sends_nothing() {
    let world = World::new();
    let uploads = UploaderOptions::default().with_upload_interval(Duration::from_secs(10));
    let leader = world.leader("journal").uploader_options(uploads).start().await.unwrap().0;
    leader.append(&entry(1)).unwrap().wait(Ack::Synced).unwrap();
    leader.sync().await.unwrap();
    let before = calls(&world);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(calls(&world), before);
    leader.append(&entry(2)).unwrap().wait(Ack::Synced).unwrap();
    leader.sync().await.unwrap();
    assert!(calls(&world) > before);
    leader.shutdown(LONG).await.unwrap();
}

/// R08: the store is down when the leader is shut down: that ends in time, says what is not stored, and the next start goes on.
#[tokio::test]
async fn r08_a_leader_that_is_full_can_be_shut_down() {
    let world = World::new();
    let leader = lead(&world, WhenFull::Block, &GraphstreamMetrics::shared()).await;
    world.faults.inject(Rule::new(Operation::Put, Fault::Before(ErrorClass::Unavailable)).always());
    let mut last = 0;
    while leader.journal().check_room().is_ok() {
        last += 1;
        leader.append(&entry(last)).unwrap().acked(Ack::Synced).await.unwrap();
    }
    let error = leader.shutdown(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. } | Error::Remote(_)), "{error}");
    world.faults.clear();
    let leader = lead(&world, WhenFull::Block, &GraphstreamMetrics::shared()).await;
    assert_eq!(leader.sync().await.unwrap().sequence, last);
    leader.shutdown(LONG).await.unwrap();
}
