//! This test binary as the child of an `exec` target: it serves a `jsonl` file, and dies where it is told to.
//!
//! The harness prints to standard output too, so the protocol goes through descriptor 3.

use std::fs::File;
use std::path::{Path, PathBuf};

use graphstream_format::Position;
use graphstream_replay::{Guarantee, JsonlTarget, ReplayEntry, ReplayTarget, Result, serve};

const FILE: &str = "GRAPHSTREAM_TEST_CHILD_FILE";
const DEATH: &str = "GRAPHSTREAM_TEST_CHILD_DEATH";

/// The world that a child leaves behind when it dies in the middle of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "not every test binary lets its child die")]
pub(crate) enum Death {
    /// Nothing of the batch is there.
    BeforeApplying,
    /// A part of it is, with its position.
    Halfway,
    /// All of it is, but nobody was told.
    BeforeAnswering,
}

/// A command that serves the file.
pub(crate) fn command(file: &Path) -> String {
    let binary = std::env::current_exe().unwrap();
    format!(
        "{FILE}='{}' exec '{}' --exact child::serves_a_file --nocapture 3>&1 1>/dev/null",
        file.display(),
        binary.display()
    )
}

/// A command that serves the file and dies once, in the batch that holds `sequence`.
#[allow(dead_code, reason = "not every test binary lets its child die")]
pub(crate) fn mortal(file: &Path, death: Death, sequence: u64) -> String {
    format!("{DEATH}={death:?}:{sequence} {}", command(file))
}

/// The child. Without its variable it is no child, and there is nothing to test.
#[test]
fn serves_a_file() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let output = File::options().write(true).open("/dev/fd/3").unwrap();
    let mut target = Mortal { inner: JsonlTarget::open(&file).unwrap(), death: planned_death(&file) };
    serve(&mut target, std::io::stdin().lock(), output).unwrap();
    std::process::exit(0);
}

/// Where to die, unless an earlier child already did.
fn planned_death(file: &Path) -> Option<(Death, u64, PathBuf)> {
    let plan = std::env::var(DEATH).ok()?;
    let died = file.with_extension("died");
    if died.exists() {
        return None;
    }
    let (death, sequence) = plan.split_once(':').unwrap();
    let death = [Death::BeforeApplying, Death::Halfway, Death::BeforeAnswering]
        .into_iter()
        .find(|known| format!("{known:?}") == death)
        .unwrap();
    Some((death, sequence.parse().unwrap(), died))
}

struct Mortal {
    inner: JsonlTarget,
    death: Option<(Death, u64, PathBuf)>,
}

impl ReplayTarget for Mortal {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn guarantee(&self) -> Guarantee {
        self.inner.guarantee()
    }
    fn position(&mut self) -> Result<Option<Position>> {
        self.inner.position()
    }
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        let now = |(_, sequence, _): &_| batch.iter().any(|entry| entry.sequence == *sequence);
        let Some((death, _, died)) = self.death.take_if(|planned| now(planned)) else {
            return self.inner.apply(batch, position);
        };
        File::create(died).unwrap();
        let applied = match death {
            Death::BeforeApplying => 0,
            Death::Halfway => batch.len() / 2,
            Death::BeforeAnswering => batch.len(),
        };
        if let Some(last) = batch[..applied].last() {
            self.inner.apply(&batch[..applied], last.position(position.lineage))?;
        }
        std::process::abort();
    }
    fn reopen(&mut self) -> Result<()> {
        self.inner.reopen()
    }
    fn close(&mut self) -> Result<()> {
        self.inner.close()
    }
}
