//! Producers that wait for different things at once.

use std::time::Duration;

use graphstream_journal::{Ack, QueuePolicy, Service, SyncPolicy};
use shuttle::thread;

use super::rig::{Acknowledged, append, check, every_schedule, open, options, read};
use crate::crash_fs::CrashFs;

/// Three producers with two entries each; odd ones wait for *written*, even ones for *synced*.
fn produce(service: Service, sync_policy: SyncPolicy, queue_bytes_max: usize) {
    let fs = CrashFs::new();
    let journal = open(
        fs.clone(),
        options(service, sync_policy)
            .with_queue_bytes_max(queue_bytes_max)
            .with_queue_policy(QueuePolicy::Block),
    );
    let producers: Vec<_> = (0..3_u8)
        .map(|producer| {
            let (journal, fs) = (journal.clone(), fs.clone());
            thread::spawn(move || {
                (0..2_u8)
                    .map(|n| {
                        let ack = if (producer + n).is_multiple_of(2) { Ack::Synced } else { Ack::Written };
                        // Four entries fill a segment: some schedules rotate.
                        append(&journal, &fs, vec![producer * 2 + n; 200], ack).unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let acknowledged: Vec<Acknowledged> =
        producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
    let report = journal.close().unwrap();
    assert_eq!(report.position.sequence, 6);
    for pair in acknowledged.chunks(2) {
        assert!(pair[0].sequence < pair[1].sequence, "a producer's entries changed places");
    }
    assert_eq!(read(&fs).len(), 6);
    check(&fs, &acknowledged);
}

#[test]
fn producers_that_do_the_work_themselves_each_get_their_ack() {
    every_schedule(|| produce(Service::Inline, SyncPolicy::Never, 1 << 20));
}

#[test]
fn producers_each_get_their_ack_when_every_write_is_synced() {
    every_schedule(|| produce(Service::Inline, SyncPolicy::Always, 1 << 20));
}

/// The queue takes one entry: the others wait for space, and write it out.
#[test]
fn producers_that_find_the_queue_full_each_get_their_ack() {
    every_schedule(|| produce(Service::Inline, SyncPolicy::Never, 1));
}

#[test]
fn producers_each_get_their_ack_beside_the_pool() {
    every_schedule(|| produce(Service::Pool, SyncPolicy::Always, 1));
}

/// Who waits for *synced* waits for the timer.
#[test]
fn producers_each_get_their_ack_from_the_interval() {
    every_schedule(|| produce(Service::Pool, SyncPolicy::INTERVAL, 1 << 20));
}

/// Sealing takes turns with writing, and comes before those who only write.
#[test]
fn sealing_among_producers_ends() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal =
            open(fs.clone(), options(Service::Pool, SyncPolicy::Never).with_waiting_segments_max(1));
        let producers: Vec<_> = (0..2_u8)
            .map(|producer| {
                let (journal, fs) = (journal.clone(), fs.clone());
                thread::spawn(move || append(&journal, &fs, vec![producer; 900], Ack::Written).unwrap())
            })
            .collect();
        let sealed = journal.seal().unwrap().map_or(0, |sealed| sealed.last_sequence);
        assert!(journal.positions().sealed.sequence >= sealed);
        let acknowledged: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        assert_eq!(journal.close().unwrap().position.sequence, 2);
        check(&fs, &acknowledged);
    });
}

/// Raising the floor takes a turn without writing: those who held back for it are let go.
#[test]
fn raising_the_floor_among_producers_ends() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Inline, SyncPolicy::Never));
        let producers: Vec<_> = (0..2_u8)
            .map(|producer| {
                let (journal, fs) = (journal.clone(), fs.clone());
                thread::spawn(move || append(&journal, &fs, vec![producer; 20], Ack::Written).unwrap())
            })
            .collect();
        journal.raise_commit_floor(5_000);
        let acknowledged: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        check(&fs, &acknowledged);
    });
}

/// A producer that gives up may have been called to write or to sync for the others just then.
#[test]
fn producers_get_their_ack_when_another_gives_up() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = open(fs.clone(), options(Service::Inline, SyncPolicy::Never));
        let hasty = {
            let journal = journal.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let ticket = journal.append([9; 20]).unwrap();
                    ticket.wait_timeout(Ack::Synced, Duration::from_millis(1)).unwrap();
                }
            })
        };
        let producers: Vec<_> = (0..3_u8)
            .map(|producer| {
                let (journal, fs) = (journal.clone(), fs.clone());
                thread::spawn(move || append(&journal, &fs, vec![producer; 20], Ack::Synced).unwrap())
            })
            .collect();
        let acknowledged: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        hasty.join().unwrap();
        assert_eq!(journal.close().unwrap().position.sequence, 5);
        check(&fs, &acknowledged);
    });
}
