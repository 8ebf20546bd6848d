//! The follower as a process of its own, started from this program's own file, and how far it is.
//!
//! It is in a process group of its own, so that a ctrl-C reaches the demo alone, which then ends it. A demo that is killed takes
//! it along, because its standard input ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::sync::watch;

use crate::failure::{Failure, Kind};
use crate::verbs::follow;

/// A running `graphstream follow`. Dropping it kills it.
pub(super) struct FollowerProcess {
    child: Child,
    reports: watch::Receiver<Option<Reported>>,
    errors: PathBuf,
}

/// What it last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) applied: u64,
    pub(super) committed: u64,
}

impl FollowerProcess {
    /// Starts it; it ends when `until` is applied, or never.
    pub(super) fn start(
        store: &Path,
        target: &Path,
        cache: &Path,
        errors: &Path,
        until: Option<u64>,
    ) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::new(Kind::Internal, "the follower's process can't be started").because(error)
        };
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(errors)
            .map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        command
            .args(["follow", "--json", "--log-level", "warn", "--database", "demo", "--batch", "100"])
            .args(["--poll-interval", "100ms", "--while-stdin", "--cache"])
            .arg(cache)
            .arg("--from")
            .arg(format!("file://{}", store.display()))
            .arg("--target")
            .arg(format!("grafeo:{}", target.display()))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        if let Some(until) = until {
            command.arg("--until-sequence").arg(until.to_string());
        }
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let (sender, reports) = watch::channel(None);
        if let Some(stdout) = child.stdout.take() {
            // Ends with the process.
            std::thread::Builder::new()
                .name("follower".to_owned())
                .spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        if let Ok(report) = serde_json::from_str::<follow::Report>(&line) {
                            let (applied, committed) = (report.applied_sequence, report.committed_sequence);
                            let _ = sender.send(Some(Reported { applied, committed }));
                        }
                    }
                })
                .map_err(|error| failed(&error))?;
        }
        Ok(Self { child, reports, errors: errors.to_path_buf() })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Reported>> {
        self.reports.clone()
    }

    /// Waits until it has said something that `wanted` takes; fails when it ends before.
    pub(super) async fn reports(&mut self, wanted: impl Fn(Reported) -> bool) -> Result<Reported, Failure> {
        let found = self.reports.wait_for(|report| report.is_some_and(&wanted)).await.map(|report| *report);
        match found {
            Ok(Some(report)) => Ok(report),
            _ => Err(self.ended("the follower ended too early")),
        }
    }

    /// SIGKILL, and what it had said until then.
    pub(super) fn kill(mut self) -> Result<Reported, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::new(Kind::Internal, "the follower can't be killed").because(error)
        };
        self.child.kill().map_err(|error| failed(&error))?;
        self.child.wait().map_err(|error| failed(&error))?;
        let last = *self.reports.borrow();
        Ok(last.unwrap_or(Reported { applied: 0, committed: 0 }))
    }

    /// Waits for its end, which must be a good one.
    pub(super) async fn finish(mut self) -> Result<Reported, Failure> {
        while self.reports.changed().await.is_ok() {}
        let status = self.child.wait().map_err(|error| {
            Failure::new(Kind::Internal, "the follower's end can't be waited for").because(&error)
        })?;
        if !status.success() {
            return Err(self.ended(&format!("the follower ended with {status}")));
        }
        let last = *self.reports.borrow();
        last.ok_or_else(|| self.ended("the follower said nothing"))
    }

    /// Its own words are in its log.
    fn ended(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it said nothing on stderr").to_owned();
        Failure::new(Kind::Target, format!("{what}: {last}"))
    }
}

impl Drop for FollowerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
