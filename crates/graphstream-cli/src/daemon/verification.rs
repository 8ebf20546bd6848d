//! Verifying a database now and then, beside shipping it: one database of the process at a time.

use std::convert::Infallible;
use std::time::Duration;

use graphstream::remote::Severity;
use graphstream::replication::{self, FollowerOptions, Stop, Verified, VerifyDepth, verify_published};
use serde::Serialize;

use super::Shared;
use super::database::{Database, open_store};
use crate::failure::{Failure, Kind};
use crate::times;
use crate::verbs::follow::Target;
use crate::verbs::verify::Depth;

/// What the last verification came to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Verification {
    depth: Depth,
    at_ms: i64,
    seconds: f64,
    committed_sequence: u64,
    whole: bool,
    damaged: u64,
    leftovers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// The first thing that was wrong.
#[derive(Debug, Clone, Serialize)]
struct Problem {
    kind: Kind,
    message: String,
}

impl Database {
    /// Verifies on its schedule, for ever.
    pub(super) async fn verify_now_and_then(&self, shared: &Shared) -> Infallible {
        let Some(interval) = self.settings().verify_interval.value else {
            return std::future::pending().await;
        };
        let mut first = true;
        loop {
            self.verify_later(shared, interval, std::mem::take(&mut first)).await;
        }
    }

    /// Waits, and verifies once. `first` comes earlier: a process that is started again and again must come to it.
    async fn verify_later(&self, shared: &Shared, interval: Duration, first: bool) {
        let pause = if first { interval / 10 } else { interval };
        tokio::time::sleep(pause).await;
        let Ok(_turn) = shared.verifying.acquire().await else { return };
        let depth = self.settings().verify_depth.value;
        match self.verify(shared, depth).await {
            Ok(verified) => self.tell(depth, &verified),
            Err(failure) => {
                tracing::warn!(
                    error = failure.sentence(),
                    "could not be verified: it is tried again at its time"
                );
            }
        }
    }

    async fn verify(&self, shared: &Shared, depth: Depth) -> Result<Verified, Failure> {
        let settings = self.settings();
        let remote = open_store(settings, &shared.stores).await?;
        let scratch = tempfile::Builder::new()
            .prefix("graphstream-verify-")
            .tempdir()
            .map_err(|error| Failure::new(Kind::Io, "a temporary directory can't be made").because(&error))?;
        let depth = match depth {
            Depth::List => VerifyDepth::List,
            Depth::Chain => VerifyDepth::Chain,
            Depth::Replay => {
                VerifyDepth::Replay(Target::Grafeo(scratch.path().join("scratch.grafeo")).open()?)
            }
        };
        // What this process has published can't be less now.
        let floor = self.known().shipper.map_or(0, |shipper| shipper.committed.borrow().sequence);
        let options = FollowerOptions::default().with_cache_dir(scratch.path());
        let metrics = &self.metrics().verify;
        let stop = Stop::new();
        Ok(verify_published(remote, depth, floor, options, metrics, &stop).await?)
    }

    fn tell(&self, depth: Depth, verified: &Verified) {
        let found = verified.findings.iter().find(|finding| finding.severity() == Severity::Damage);
        let failure = found.map(Failure::from).or_else(|| verified.damage.as_ref().map(described));
        let (damaged, leftovers) = (verified.damaged(), verified.leftovers());
        match &failure {
            None => tracing::info!(?depth, time = ?verified.time, "verified: nothing is damaged"),
            Some(failure) => tracing::error!(
                ?depth,
                damaged,
                error = failure.sentence(),
                "what is published is damaged: graphstream verify names everything"
            ),
        }
        self.verified(Verification {
            depth,
            at_ms: times::now_ms(),
            seconds: verified.time.as_secs_f64(),
            committed_sequence: verified.committed,
            whole: damaged == 0,
            damaged,
            leftovers,
            restore_seconds: verified.drill.as_ref().map(|drill| drill.time.as_secs_f64()),
            restore_bytes: verified.drill.as_ref().map(|drill| drill.bytes),
            problem: failure.map(|failure| Problem { kind: failure.kind(), message: failure.sentence() }),
        });
    }
}

/// The library's error in the words of the command line, without taking it.
fn described(error: &replication::Error) -> Failure {
    let kind = match error.kind() {
        replication::ErrorKind::Target => Kind::Target,
        _ => Kind::Corruption,
    };
    Failure::of(kind, error)
}
