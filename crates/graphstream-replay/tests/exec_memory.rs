//! A child that doesn't read costs its parent no memory.
//!
//! One test in a binary of its own: the allocator counts for the whole process, and tests beside it would be counted, too.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod journal;

use std::time::Duration;

use graphstream_proto::JournalEntry;
use graphstream_replay::{ErrorClass, ExecOptions, ExecTarget};
use journal::{apply, chain};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// Nothing is buffered for it: the call waits, with what the pipe took and one buffer of its own.
#[test]
fn h01_a_child_that_never_reads_holds_the_caller_and_no_memory() {
    let text = "x".repeat(MIB);
    let journal = chain((0..48).map(|_| JournalEntry::new("RETURN $t", 0).with_param("t", text.clone())));
    let options = ExecOptions::default()
        .with_backoff(Duration::ZERO, Duration::ZERO)
        .with_answer_timeout(Some(Duration::from_millis(200)))
        .with_exit_timeout(Duration::from_millis(200));
    let mut target = ExecTarget::spawn(r#"echo '{"position":null}'; exec sleep 600"#, options).unwrap();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let error = apply(&mut target, &journal).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Gone, "{error}");
    assert!(error.reason().unwrap().contains("longer than it may"), "{error}");
    // The journal is 48 MiB; a copy of it would be seen. One entry's line is 1 MiB.
    let peak = ALLOCATED.peak_usage().saturating_sub(before);
    assert!(peak > MIB, "a line is in memory: {peak} bytes counted");
    assert!(peak < 16 * MIB, "{peak} bytes for lines of 1 MiB");
}
