//! Appends that wait because cursors hold back what they may.

use graphstream_journal::{Ack, Error, Journal, Service, SyncPolicy, WhenFull};
use shuttle::thread;

use super::rig::{append, check, every_schedule, open, options, read};
use crate::crash_fs::CrashFs;

/// Two segments are held back by a cursor, which is all that may be.
fn full(fs: &CrashFs, service: Service) -> Journal {
    let options =
        options(service, SyncPolicy::Never).with_held_bytes_max(1024).with_when_full(WhenFull::Block);
    let journal = open(fs.clone(), options);
    journal.release("uploader", 0).unwrap();
    for n in 0..2 {
        let _ = journal.append(vec![n; 600]).unwrap();
        journal.seal().unwrap();
    }
    assert!(matches!(journal.check_room(), Err(Error::BudgetFull { .. })));
    journal
}

fn producers(journal: &Journal, fs: &CrashFs) -> Vec<thread::JoinHandle<Option<super::rig::Acknowledged>>> {
    let producers = (0..2_u8).map(|producer| {
        let (journal, fs) = (journal.clone(), fs.clone());
        thread::spawn(move || match append(&journal, &fs, vec![10 + producer; 20], Ack::Synced) {
            Ok(acknowledged) => Some(acknowledged),
            Err(Error::Closed) => None,
            Err(error) => panic!("{error:?}"),
        })
    });
    producers.collect()
}

fn a_moved_cursor_lets_everybody_go_on(service: Service, told: bool) {
    let fs = CrashFs::new();
    let journal = full(&fs, service);
    let producers = producers(&journal, &fs);
    if told {
        journal.release("uploader", 2).unwrap();
    } else {
        // As another process does it.
        journal.dir().set_cursor("uploader", 2, 0).unwrap();
    }
    let acknowledged: Vec<_> =
        producers.into_iter().map(|producer| producer.join().unwrap().expect("nobody closes")).collect();
    journal.close().unwrap();
    let read = read(&fs);
    for one in &acknowledged {
        assert!(read.contains(&one.payload));
    }
}

#[test]
fn who_waits_for_a_cursor_goes_on_when_it_is_moved() {
    every_schedule(|| a_moved_cursor_lets_everybody_go_on(Service::Inline, true));
}

#[test]
fn who_waits_for_a_cursor_goes_on_when_it_is_moved_beside_the_pool() {
    every_schedule(|| a_moved_cursor_lets_everybody_go_on(Service::Pool, true));
}

#[test]
fn who_waits_for_a_cursor_sees_that_another_process_has_moved_it() {
    every_schedule(|| a_moved_cursor_lets_everybody_go_on(Service::Inline, false));
}

#[test]
fn who_waits_for_a_cursor_is_told_of_the_end() {
    every_schedule(|| {
        let fs = CrashFs::new();
        let journal = full(&fs, Service::Inline);
        let producers = producers(&journal, &fs);
        journal.close().unwrap();
        assert!(producers.into_iter().all(|producer| producer.join().unwrap().is_none()), "it stays full");
        assert_eq!(read(&fs).len(), 2);
        check(&fs, &[]);
    });
}
