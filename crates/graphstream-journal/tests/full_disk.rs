//! L06 on a real full disk. `GRAPHSTREAM_TEST_SMALL_FS` names a directory on a file system of a few MiB, for example a tmpfs
//! mounted with `size=4m`; the injected form of this test runs always (tests/faults.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use graphstream_journal::{
    Ack, Compression, Error, Journal, JournalOptions, JournalReader, ReaderOptions, Service,
};

fn payload(n: u64) -> Vec<u8> {
    (0..40_000_u64).map(|place| (place * 7 + n) as u8).collect()
}

fn read(dir: &Path) -> Vec<Vec<u8>> {
    JournalReader::open(dir, ReaderOptions::default()).unwrap().map(|entry| entry.unwrap().payload).collect()
}

/// Leaves at most so many bytes free.
fn fill(path: &Path, free: u64) {
    let mut file = File::create(path).unwrap();
    let mut written = 0_u64;
    while file.write(&[1; 4096]).is_ok_and(|bytes| bytes > 0) {
        written += 4096;
    }
    file.set_len(written.saturating_sub(free)).unwrap();
}

#[test]
fn l06_a_full_disk_refuses_acknowledges_nothing_and_recovers_without_a_restart() {
    let Some(small) = std::env::var_os("GRAPHSTREAM_TEST_SMALL_FS") else {
        eprintln!("SKIPPED: GRAPHSTREAM_TEST_SMALL_FS is not set");
        return;
    };
    for service in [Service::Inline, Service::Pool] {
        let root = tempfile::tempdir_in(&small).unwrap();
        let (dir, ballast) = (root.path().join("journal"), root.path().join("ballast"));
        let options = JournalOptions::default()
            .with_segment_bytes_max(128 << 10)
            .with_compression(Compression::None)
            .with_service(service);
        let (journal, _) = Journal::builder(&dir).options(options.clone()).open().unwrap();
        fill(&ballast, 1 << 20);
        let mut acked = 0;
        let error = loop {
            match journal.append(payload(acked + 1)).unwrap().wait(Ack::Synced) {
                Ok(range) => {
                    acked += 1;
                    assert_eq!(range, acked..=acked);
                }
                Err(error) => break error,
            }
        };
        assert!(acked > 5, "{acked} entries before {error:?}");
        for _ in 0..5 {
            let again = journal.append(payload(acked + 1)).unwrap().wait(Ack::Synced).unwrap_err();
            assert!(matches!(again, Error::Full { .. } | Error::SealBacklog { .. }), "{again:?}");
        }
        assert_eq!(read(&dir).len() as u64, acked);

        std::fs::remove_file(&ballast).unwrap();
        let ticket = journal.append(payload(acked + 1)).unwrap();
        assert_eq!(ticket.wait(Ack::Synced).unwrap(), acked + 1..=acked + 1);
        journal.close().unwrap();
        let (journal, report) = Journal::builder(&dir).options(options).open().unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.position.sequence, acked + 1);
        drop(journal);
        assert!(read(&dir).into_iter().eq((1..=acked + 1).map(payload)));
    }
}
