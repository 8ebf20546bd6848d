//! Power cuts at every step: whatever the disk kept of what was not synced, recovery finds a prefix of what was appended, with
//! at least all that was acknowledged as synced, and no batch in parts. Also when the power is cut during recovery.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod lives;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use graphstream_journal::{Ack, Compression, Service};
use graphstream_testkit::{CrashFs, Crashes, Fault, Lies};
use lives::{DIR, Life, Settings, Step, in_parallel, read_all, sequences, showing};

/// L01, L02, L03, L05, L07, L08: every life of up to four steps, every boundary, every kind of loss. A life is cut during its last
/// step only: what comes before is a shorter life.
#[test]
fn l01_l03_l07_l08_every_short_life_survives_every_power_cut() {
    let lives: Vec<_> = (1..=4).flat_map(sequences).collect();
    // Compression changes bytes, not orders; it is what the other lives are for.
    let settings = Settings { compression: Compression::None, ..Settings::default() };
    let states = in_parallel(&lives, |steps| {
        let life = Life::on(CrashFs::new(), settings, steps, format!("{steps:?}"));
        life.crash_everywhere(life.before_last_step, 0, 21)
    });
    eprintln!("{states} crash states of {} lives", lives.len());
    assert!(states >= 100_000, "only {states} states");
}

/// L09, L10, and crashes inside recovery (two levels): lives that rotate and seal.
#[test]
fn l09_l10_rotation_sealing_and_recovery_survive_every_power_cut() {
    use Step::{Append as A, Batch as B, Kill as K, Large as L, Reopen as R, Seal as S, Sync as Y};
    let lives: [&[Step]; 7] = [
        &[A, B, B, B, A],
        &[B, Y, B, B, K, A, Y, B],
        &[L, A, L],
        &[A, K, B, K, A],
        &[A, S, B, R, A, Y, A],
        &[B, B, K, K, B, S],
        &[A, Y, L, B, B, K, B],
    ];
    let states = in_parallel(&lives, |steps| Life::of(steps).crash_everywhere(0, 4, 4));
    assert!(states > 4_000, "only {states} states");
    eprintln!("{states} crash states");
}

/// The same with encryption, where sealing reads twice and no file but the open segment may show an entry. The disk sees the same
/// operations in the same order, so lives of up to three steps are enough.
#[test]
fn k01_l01_l03_l07_l09_encrypted_lives_survive_every_power_cut_and_show_nothing() {
    use Step::{Append as A, Batch as B, Kill as K, Large as L, Reopen as R, Seal as S, Sync as Y};
    let settings = Settings { encrypted: true, compression: Compression::None, ..Settings::default() };
    let life = |steps: &[Step]| Life::on(CrashFs::new(), settings, steps, format!("{steps:?}, encrypted"));
    let short: Vec<_> = (1..=3).flat_map(sequences).collect();
    let states = in_parallel(&short, |steps| {
        let life = life(steps);
        life.crash_everywhere(life.before_last_step, 0, 21)
    });
    assert!(states > 10_000, "only {states} states of short lives");
    let long: [&[Step]; 4] =
        [&[A, B, B, B, A], &[B, Y, B, B, K, A, Y, B], &[L, A, L], &[A, S, B, R, A, Y, A]];
    let states = in_parallel(&long, |steps| life(steps).crash_everywhere(0, 4, 4));
    assert!(states > 2_000, "only {states} states of long lives");
}

/// The test above can fail: without encryption, the files show entries.
#[test]
fn k01_plain_entries_are_noticed() {
    let plain = Settings { compression: Compression::None, ..Settings::default() };
    for settings in [plain, Settings { encrypted: true, ..plain }] {
        let steps = [Step::Append, Step::Seal, Step::Append];
        let life = Life::on(CrashFs::new(), settings, &steps, "shown".to_owned());
        assert_eq!(showing(&life.fs).is_some(), !settings.encrypted);
        let mut crashes = Crashes::of(&life.fs);
        let mut temporary = 0;
        for at in 0..crashes.boundaries() {
            for image in crashes.at(at, 0, 1) {
                let shown = showing(&image.boot());
                temporary += usize::from(
                    shown.is_some_and(|path| path.ends_with("journal-0000000000000001.hadbj.tmp")),
                );
            }
        }
        assert_eq!(temporary > 0, !settings.encrypted, "{temporary} temporary files of sealing");
    }
}

/// L01, L03, L05, L06: zeros are written ahead of records (decision 0015), alone and with any operation failing; what a power cut leaves
/// of them, and of the records in them, in whatever order, is a clean end or a torn tail.
#[test]
fn l01_l03_l05_l06_zeros_ahead_of_records_survive_every_power_cut() {
    use Step::{Append as A, AppendSynced as AS, Batch as B, Kill as K, Large as L, Reopen as R, Sync as Y};
    let settings =
        Settings { segment_bytes_max: 64 << 10, compression: Compression::None, ..Settings::default() };
    let steps = [AS, L, AS, L, A, B, Y, K, L, L, AS, R, A];
    let whole = Life::on(CrashFs::new(), settings, &steps, format!("{steps:?}"));
    let longest = whole.fs.longest_write_of_zeros();
    assert!(longest >= 16 << 10, "no zeros were written ahead: {longest}");
    let mut states = whole.crash_everywhere(0, 4, 16);
    let calls = whole.fs.calls();
    let faults = [Fault::Error(ErrorKind::Other), Fault::Error(ErrorKind::StorageFull), Fault::Short];
    let plans: Vec<_> = (0..calls).flat_map(|call| faults.map(|fault| (call, fault))).collect();
    states += in_parallel(&plans, |(call, fault)| {
        let fs = CrashFs::new();
        fs.fail(*call, *fault);
        let told = format!("{steps:?}, {fault:?} at call {call}");
        let life = Life::on(fs, settings, &steps, told);
        assert!(*fault != Fault::Short || life.errors.is_empty(), "{}: {:?}", life.told, life.errors);
        life.crash_everywhere(life.failed_at.unwrap_or(usize::MAX), 0, 0)
    });
    eprintln!("{states} crash states");
    assert!(states > 5_000, "only {states} states");
}

/// L09, L10: several segments wait to be sealed while the writer goes on. The pool decides what comes when, so this is tried often.
#[test]
fn l09_l10_sealing_beside_the_writer_survives_every_power_cut() {
    use Step::{Append as A, AppendSynced as AS, Batch as B, Large as L, Reopen as R, Seal as S, Sync as Y};
    let lives: [&[Step]; 2] = [&[A, L, B, B, L, A, Y], &[B, B, S, B, B, R, AS, L, A]];
    let tries: Vec<_> = (0..6).flat_map(|_| lives).collect();
    let settings = Settings { service: Service::Pool, compression: Compression::None, ..Settings::default() };
    let states = in_parallel(&tries, |steps| {
        let life = Life::on(CrashFs::new(), settings, steps, format!("{steps:?} with the pool"));
        life.crash_everywhere(0, 0, 0)
    });
    assert!(states > 1_000, "only {states} states");
}

/// L04, L05, L06, L07: every operation of a life fails once, and then there is a power cut at every step. What an opening was told
/// by names whose sync had failed, or that a killed process had not synced, must be made durable before it is relied on.
#[test]
fn l04_l05_l06_l07_every_operation_fails_before_every_power_cut() {
    use Step::{Append as A, AppendSynced as AS, Batch as B, Kill as K, Large as L, Reopen as R, Sync as Y};
    let steps = [A, B, K, AS, L, R, B, Y, B];
    let calls = Life::of(&steps).fs.calls();
    let faults = [Fault::Error(ErrorKind::Other), Fault::Error(ErrorKind::StorageFull)];
    let plans: Vec<_> = (0..calls).flat_map(|call| faults.map(|fault| (call, fault))).collect();
    let errors = AtomicUsize::new(0);
    let states = in_parallel(&plans, |(call, fault)| {
        let fs = CrashFs::new();
        fs.fail(*call, *fault);
        let told = format!("{steps:?}, {fault:?} at call {call}");
        let settings = Settings { compression: Compression::None, ..Settings::default() };
        let life = Life::on(fs, settings, &steps, told);
        errors.fetch_add(life.errors.len(), Ordering::Relaxed);
        // Before it fails, all lives are the same.
        life.crash_everywhere(life.failed_at.unwrap_or(usize::MAX), 0, 0)
    });
    let errors = errors.into_inner();
    eprintln!("{states} crash states after {errors} errors");
    assert!(errors > 100, "only {errors} errors");
    assert!(states > 5_000, "only {states} states");
}

/// The tests above can fail: when syncs of files or of directories do nothing, a power cut shows it.
#[test]
fn l07_missing_syncs_are_noticed() {
    for lies in [Lies { files: true, dirs: false }, Lies { files: false, dirs: true }] {
        let fs = CrashFs::new();
        fs.lie(lies);
        let steps = [Step::Append, Step::Sync, Step::Batch, Step::Seal, Step::Append];
        let life = Life::on(fs, Settings::default(), &steps, format!("{lies:?}"));
        let mut crashes = Crashes::of(&life.fs);
        let wrong = (0..crashes.boundaries())
            .flat_map(|at| crashes.at(at, 0, 1))
            .filter(|image| life.verdict(&image.boot(), image.at).is_err());
        assert!(wrong.count() > 10, "{lies:?} went unnoticed");
    }
}

/// A journal goes on after a crash: what is appended then is there after the next.
#[test]
fn l01_appending_goes_on_after_a_torn_tail() {
    let settings = Settings::default();
    let life = Life::of(&[Step::Append, Step::Sync, Step::Batch, Step::Append]);
    let mut crashes = Crashes::of(&life.fs);
    let mut torn = 0;
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 0, 1) {
            let fs = image.boot();
            let (journal, report) = settings.open(&fs, 50).unwrap();
            torn += usize::from(report.torn_tail.is_some());
            let found = report.position.sequence;
            assert_eq!(journal.append(b"more").unwrap().wait(Ack::Synced).unwrap(), found + 1..=found + 1);
            std::mem::forget(journal);
            fs.break_locks();
            // The whole disk is lost but for what was synced.
            let mut crashes = Crashes::of(&fs);
            let after = crashes.boundaries() - 1;
            for image in crashes.at(after, 0, 1) {
                let fs = image.boot();
                let (_, report) = settings.open(&fs, 51).unwrap();
                assert_eq!(report.position.sequence, found + 1);
                assert_eq!(read_all(&fs).last().unwrap(), b"more");
            }
        }
    }
    assert!(torn > 10, "only {torn} torn tails");
    assert!(life.fs.files().iter().all(|path| path.starts_with(Path::new(DIR))));
}
