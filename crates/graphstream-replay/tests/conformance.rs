//! The suite that every target has to pass, on a file of lines and on a child process that serves one.
#![cfg(all(unix, feature = "conformance"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod child;
mod journal;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use graphstream_proto::JournalEntry;
use graphstream_replay::conformance::{self, TargetFactory};
use graphstream_replay::{ExecOptions, ExecTarget, JsonlTarget, ReplayTarget, Result};
use tempfile::TempDir;

struct Factory {
    dir: TempDir,
    made: AtomicU32,
    open: fn(&Path) -> Result<Box<dyn ReplayTarget>>,
}

impl TargetFactory for Factory {
    fn fresh(&self) -> PathBuf {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        self.dir.path().join(format!("{n}.jsonl"))
    }

    fn open(&self, place: &Path) -> Result<Box<dyn ReplayTarget>> {
        (self.open)(place)
    }

    fn statement(&self, n: u64) -> JournalEntry {
        JournalEntry::new("CREATE (:Effect {n: $n})", 0).with_param("n", i64::try_from(n).unwrap())
    }

    /// A file takes any entry.
    fn poison(&self) -> Option<JournalEntry> {
        None
    }

    fn effects(&self, place: &Path) -> u64 {
        let lines = journal::sequences(place);
        assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
        lines.len() as u64
    }

    fn can_skip(&self) -> bool {
        false
    }
}

fn conforms(open: fn(&Path) -> Result<Box<dyn ReplayTarget>>) {
    let factory = Factory { dir: tempfile::tempdir().unwrap(), made: AtomicU32::new(0), open };
    for (name, case) in conformance::CASES {
        case(&factory).unwrap_or_else(|broken| panic!("{name}: {broken}: {:?}", broken.source));
    }
}

#[test]
fn a_file_of_lines_keeps_every_obligation() {
    conforms(|place| Ok(Box::new(JsonlTarget::open(place)?)));
}

#[test]
fn a_child_that_serves_a_file_keeps_every_obligation() {
    conforms(|place| Ok(Box::new(ExecTarget::spawn(child::command(place), ExecOptions::default())?)));
}
