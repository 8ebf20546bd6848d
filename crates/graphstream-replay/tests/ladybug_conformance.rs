//! The suite that every target has to pass, on a real LadybugDB behind a child process.
#![cfg(all(unix, feature = "conformance"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod ladybug_db;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use graphstream_proto::JournalEntry;
use graphstream_replay::conformance::{self, TargetFactory};
use graphstream_replay::{ReplayTarget, Result};
use ladybug_db::{Ladybug, statement};

struct Factory {
    ladybug: Ladybug,
    made: AtomicU32,
}

impl TargetFactory for Factory {
    fn fresh(&self) -> PathBuf {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        self.ladybug.dir.path().join(format!("{n}.lbug"))
    }

    fn open(&self, place: &Path) -> Result<Box<dyn ReplayTarget>> {
        Ok(Box::new(self.ladybug.open_at(place)?))
    }

    /// A table that would take an `n` twice.
    fn schema(&self) -> Vec<JournalEntry> {
        vec![statement("CREATE NODE TABLE N (id SERIAL, n INT64, PRIMARY KEY (id))")]
    }

    fn statement(&self, n: u64) -> JournalEntry {
        statement("CREATE (:N {n: $n})").with_param("n", i64::try_from(n).unwrap())
    }

    fn poison(&self) -> Option<JournalEntry> {
        Some(statement("MATCH (n:N) SET n.nothing = 1"))
    }

    fn effects(&self, place: &Path) -> u64 {
        let nodes = self.ladybug.nodes(place);
        assert!(nodes.windows(2).all(|pair| pair[0] < pair[1]), "an entry took effect twice: {nodes:?}");
        nodes.len() as u64
    }
}

#[test]
fn a_ladybug_behind_a_child_keeps_every_obligation() {
    let Some(ladybug) = Ladybug::new() else { return };
    let factory = Factory { ladybug, made: AtomicU32::new(0) };
    for (name, case) in conformance::CASES {
        case(&factory).unwrap_or_else(|broken| panic!("{name}: {broken}: {:?}", broken.source));
    }
}
