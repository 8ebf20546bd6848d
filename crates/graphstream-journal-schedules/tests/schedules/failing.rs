//! A sync that fails once: nobody is told *synced* after it, and everybody is told something.

use std::io::ErrorKind;

use graphstream_journal::{Ack, Error, Service, SyncPolicy};
use shuttle::thread;

use super::rig::{append, check, every_schedule, open, options};
use crate::crash_fs::{CrashFs, Fault};

fn fail_one_call(service: Service, sync_policy: SyncPolicy, call: u64) {
    let fs = CrashFs::new();
    let journal = open(fs.clone(), options(service, sync_policy));
    let first = append(&journal, &fs, b"first".to_vec(), Ack::Synced).unwrap();
    // The calls from here on are writes and syncs of the open segment, in whatever order.
    fs.fail(fs.calls() + call, Fault::Error(ErrorKind::Other));
    let producers: Vec<_> = (0..3_u8)
        .map(|producer| {
            let (journal, fs) = (journal.clone(), fs.clone());
            let ack = if producer == 0 { Ack::Written } else { Ack::Synced };
            thread::spawn(move || match append(&journal, &fs, vec![producer; 20], ack) {
                Ok(acknowledged) => Some(acknowledged),
                Err(Error::Unresolved { .. } | Error::Poisoned { .. }) => {
                    // It stays so, for this one and for all that follow.
                    let error = journal.append(b"after").unwrap_err();
                    assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
                    assert!(matches!(journal.sync(), Err(Error::Unresolved { .. } | Error::Poisoned { .. })));
                    None
                }
                Err(error) => panic!("{error:?}"),
            })
        })
        .collect();
    let mut acknowledged = vec![first];
    acknowledged.extend(producers.into_iter().filter_map(|producer| producer.join().unwrap()));
    let synced = journal.positions().synced.sequence;
    for one in acknowledged.iter().filter(|one| one.ack == Ack::Synced) {
        assert!(one.sequence <= synced);
        let survived = super::rig::after_power_cut(&fs, one.effects);
        assert!(survived.contains(&one.payload), "{} was not synced when it was said", one.sequence);
    }
    match journal.close() {
        Ok(_) | Err(Error::Poisoned { .. } | Error::Unresolved { .. }) => {}
        // It was sealing that failed.
        Err(Error::Shared(source)) => assert!(matches!(*source, Error::Io { .. }), "{source:?}"),
        Err(error) => panic!("{error:?}"),
    }
    let killed = fs.after_kill();
    drop(journal);
    drop(open(killed.clone(), options(Service::Inline, SyncPolicy::Never)));
    check(&killed, &acknowledged.iter().filter(|one| one.ack == Ack::Written).cloned().collect::<Vec<_>>());
}

#[test]
fn r01_a_failed_write_or_sync_is_told_to_everybody_who_waits() {
    for call in 0..3 {
        every_schedule(move || fail_one_call(Service::Inline, SyncPolicy::Never, call));
    }
}

#[test]
fn r01_a_failed_write_or_sync_of_the_pool_is_told_to_everybody_who_waits() {
    for call in 0..3 {
        every_schedule(move || fail_one_call(Service::Pool, SyncPolicy::Always, call));
    }
}

/// Nothing touches the directory when a close has returned, whatever it returned: a sync may still be under way when a write fails.
fn close_while_one_call_fails(service: Service, call: u64) {
    let fs = CrashFs::new();
    let journal = open(fs.clone(), options(service, SyncPolicy::Never));
    let _ = journal.append(b"first").unwrap().wait(Ack::Written).unwrap();
    fs.fail(fs.calls() + call, Fault::Error(ErrorKind::Other));
    let producers: Vec<_> = (0..2_u8)
        .map(|producer| {
            let journal = journal.clone();
            thread::spawn(move || journal.append([producer; 20])?.wait(Ack::Synced))
        })
        .collect();
    let _ = journal.close();
    let calls = fs.calls();
    for producer in producers {
        let _ = producer.join().unwrap();
    }
    assert_eq!(fs.calls(), calls, "the closed journal touched the directory");
}

#[test]
fn nothing_touches_the_directory_of_a_journal_whose_close_failed() {
    for service in [Service::Inline, Service::Pool] {
        for call in 0..3 {
            every_schedule(move || close_while_one_call_fails(service, call));
        }
    }
}
