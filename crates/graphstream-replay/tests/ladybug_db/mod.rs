//! A LadybugDB that follows through `crates/graphstream/examples/ladybug_target.py`.
//!
//! It needs a Python with the packages of `crates/graphstream/examples/requirements.txt`, named by `GRAPHSTREAM_TEST_PYTHON`; `cargo xtask test`
//! makes one. Without it every test says on standard error that it was skipped.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};
use graphstream_replay::{ExecOptions, ExecTarget, Result};
use tempfile::TempDir;

const PYTHON: &str = "GRAPHSTREAM_TEST_PYTHON";
pub(crate) const SCRIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../graphstream/examples/ladybug_target.py");

/// A database that isn't there yet, and the Python that will make it.
pub(crate) struct Ladybug {
    pub(crate) python: PathBuf,
    pub(crate) dir: TempDir,
}

impl Ladybug {
    pub(crate) fn new() -> Option<Self> {
        let Some(python) = std::env::var_os(PYTHON).map(PathBuf::from) else {
            // Past the harness, which shows nothing of a test that passes.
            let notice = format!(
                "\n!!! SKIPPED: {PYTHON} isn't set, no LadybugDB was tested. Run `cargo xtask test`.\n"
            );
            std::io::stderr().write_all(notice.as_bytes()).unwrap();
            return None;
        };
        Some(Self { python, dir: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("copy.lbug")
    }

    /// A child that serves a database, the one of [`database`](Self::database) unless another is named.
    pub(crate) fn open(&self) -> ExecTarget {
        self.open_at(&self.database()).unwrap()
    }

    pub(crate) fn open_at(&self, place: &Path) -> Result<ExecTarget> {
        let command = format!("exec '{}' '{SCRIPT}' '{}'", self.python.display(), place.display());
        let options =
            ExecOptions::default().with_restarts_max(1000).with_backoff(Duration::ZERO, Duration::ZERO);
        ExecTarget::spawn(command, options)
    }

    /// Runs a line of Python with a connection `c` to a closed database; what it printed.
    pub(crate) fn ask(&self, place: &Path, python: &str) -> String {
        let program = format!(
            "import ladybug, sys; c = ladybug.Connection(ladybug.Database(sys.argv[1], read_only=True)); {python}"
        );
        let output = Command::new(&self.python).args(["-c", &program]).arg(place).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The `n`s of all nodes of a closed database, ordered.
    pub(crate) fn nodes(&self, place: &Path) -> Vec<u64> {
        let query = "MATCH (n:N) RETURN n.n ORDER BY n.n";
        let found = self.ask(place, &format!("print([r[0] for r in c.execute('{query}').get_all()])"));
        serde_json::from_str(&found).unwrap()
    }
}

pub(crate) fn statement(query: &str) -> JournalEntry {
    JournalEntry::new(query, 0)
}

pub(crate) fn temporal(kind: TemporalKind, text: &str) -> ParamValue {
    ParamValue::Temporal { kind, text: text.to_owned() }
}
