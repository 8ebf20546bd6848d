//! The suite that every target has to pass, in both of grafeo's file formats, plainly and with a leader's transactions.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use graphstream_proto::JournalEntry;
use graphstream_replay::conformance::{self, TargetFactory};
use graphstream_replay::{ReplayTarget, Result, TransactionalTarget};
use graphstream_target_grafeo::GrafeoTarget;
use tempfile::TempDir;

mod journal;

struct Factory {
    dir: TempDir,
    made: AtomicU32,
    /// `.grafeo` is the one-file format, anything else a directory.
    extension: &'static str,
}

impl Factory {
    fn new(extension: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), made: AtomicU32::new(0), extension }
    }
}

impl TargetFactory for Factory {
    fn fresh(&self) -> PathBuf {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        self.dir.path().join(format!("{n}.{}", self.extension))
    }

    fn open(&self, place: &Path) -> Result<Box<dyn ReplayTarget>> {
        Ok(Box::new(GrafeoTarget::open(place)?))
    }

    fn open_transactional(&self, place: &Path) -> Option<Result<Box<dyn TransactionalTarget>>> {
        Some(GrafeoTarget::open(place).map(|target| Box::new(target) as Box<dyn TransactionalTarget>))
    }

    fn schema(&self) -> Vec<JournalEntry> {
        vec![JournalEntry::new("CREATE INDEX effect_n FOR (e:Effect) ON (e.n)", 0)]
    }

    fn statement(&self, n: u64) -> JournalEntry {
        JournalEntry::new("CREATE (:Effect {n: $n})", 0).with_param("n", i64::try_from(n).unwrap())
    }

    fn poison(&self) -> Option<JournalEntry> {
        Some(JournalEntry::new("MATCH (e:Effect) SET e.n = ", 0))
    }

    fn effects(&self, place: &Path) -> u64 {
        let target = GrafeoTarget::open(place).unwrap();
        let found = journal::number(&target, "MATCH (e:Effect) RETURN count(e)");
        let distinct = journal::number(&target, "MATCH (e:Effect) RETURN count(DISTINCT e.n)");
        assert_eq!(found, distinct, "an entry took effect twice");
        u64::try_from(found).unwrap()
    }
}

/// Every case there is, named when it fails.
fn conforms(extension: &'static str) {
    let factory = Factory::new(extension);
    for (name, case) in conformance::CASES {
        case(&factory).unwrap_or_else(|broken| panic!("{name}: {broken}: {:?}", broken.source));
    }
}

#[test]
fn a_target_in_one_file_keeps_every_obligation() {
    conforms("grafeo");
}

#[test]
fn a_target_in_a_directory_keeps_every_obligation() {
    conforms("dir");
}
