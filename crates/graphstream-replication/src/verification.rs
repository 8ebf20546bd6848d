//! Verifying what is published, as a daemon does it now and then: by names, by every byte, or by replaying every entry.
//!
//! ```text
//!  list     inventory ──▶ findings                                      Remote::inventory
//!  chain    that, then every segment on the follower's way, into nothing
//!  replay   that, then the same into a scratch database: a restore drill
//! ```
//! Names are judged all at once; of what reading finds, the first ends it. `graphstream verify` goes on behind damage and names everything.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use graphstream_format::Position;
use graphstream_metrics::VerifyMetrics;
use graphstream_remote::{Finding, Remote, Severity};
use graphstream_replay::{Guarantee, ReplayEntry, ReplayTarget, check_batch};

use crate::drill::{Drill, drill};
use crate::{Error, ErrorKind, FollowerOptions, Result, Stop};

/// How deep a verification looks.
pub enum VerifyDepth {
    /// Names alone: one listing.
    List,
    /// That, and every byte.
    Chain,
    /// That, and every entry, into this empty target.
    Replay(Box<dyn ReplayTarget>),
}

impl std::fmt::Debug for VerifyDepth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl VerifyDepth {
    /// Its name on the command line.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Chain => "chain",
            Self::Replay(_) => "replay",
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::List => 1,
            Self::Chain => 2,
            Self::Replay(_) => 3,
        }
    }
}

/// What a verification came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// What was committed then; 0 without a head.
    pub committed: u64,
    /// What names show: damage first, then what is left over.
    pub findings: Vec<Finding>,
    /// What reading or replaying found to be damaged first, or the target refused.
    pub damage: Option<Error>,
    /// How long it took.
    pub time: Duration,
    /// What replaying took, and gave.
    pub drill: Option<Drill>,
}

impl Verified {
    /// Findings of damage.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.count(Severity::Damage) + u64::from(self.damage.is_some())
    }

    /// Objects that are no part of the history.
    #[must_use]
    pub fn leftovers(&self) -> u64 {
        self.count(Severity::Leftover)
    }

    fn count(&self, severity: Severity) -> u64 {
        self.findings.iter().filter(|finding| finding.severity() == severity).count() as u64
    }
}

/// A target that keeps its position and nothing else.
#[derive(Debug, Default)]
struct Nowhere(Option<Position>);

impl ReplayTarget for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }
    fn position(&mut self) -> graphstream_replay::Result<Option<Position>> {
        Ok(self.0)
    }
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> graphstream_replay::Result<()> {
        check_batch("nowhere", self.0.as_ref(), batch, &position)?;
        self.0 = Some(position);
        Ok(())
    }
    fn reopen(&mut self) -> graphstream_replay::Result<()> {
        Ok(())
    }
    fn close(&mut self) -> graphstream_replay::Result<()> {
        Ok(())
    }
}

/// Verifies what is published, and counts it. `floor` is a sequence that is known to have been committed, 0 for none.
///
/// # Errors
/// [`Error::NoDatabase`]; [`Error::Remote`] when the store fails; [`Error::ScratchNotEmpty`] and whatever else keeps it from being finished.
/// What is damaged is no error here.
pub async fn verify_published(
    remote: Remote,
    depth: VerifyDepth,
    floor: u64,
    options: FollowerOptions,
    metrics: &VerifyMetrics,
    stop: &Stop,
) -> Result<Verified> {
    let begun = Instant::now();
    let number = depth.number();
    let verified = verify(remote, depth, floor, options, stop, begun).await;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
    metrics.runs.inc();
    metrics.last_ms.set(now_ms);
    metrics.depth.set(number);
    metrics.seconds.observe(begun.elapsed());
    match &verified {
        Ok(verified) => {
            metrics.damaged.set(verified.damaged());
            metrics.leftovers.set(verified.leftovers());
            if verified.damaged() == 0 {
                metrics.last_success_ms.set(now_ms);
            } else {
                metrics.failures.inc();
            }
            if let Some(drill) = &verified.drill {
                metrics.restore_seconds.set(drill.time);
                metrics.restore_bytes.set(drill.bytes);
            }
        }
        Err(_) => metrics.failures.inc(),
    }
    verified
}

async fn verify(
    remote: Remote,
    depth: VerifyDepth,
    floor: u64,
    options: FollowerOptions,
    stop: &Stop,
    begun: Instant,
) -> Result<Verified> {
    let inventory = match remote.inventory().await {
        Ok(inventory) => inventory.with_floor(floor),
        Err(error) if error.kind().is_integrity() => {
            let (findings, time) = (Vec::new(), begun.elapsed());
            return Ok(Verified { committed: 0, findings, damage: Some(error.into()), time, drill: None });
        }
        Err(error) => return Err(error.into()),
    };
    let findings = inventory.findings();
    let Some(head) = inventory.head() else {
        if findings.is_empty() {
            let (database, store) = (inventory.database().to_owned(), remote.backend().describe());
            return Err(Error::NoDatabase { database, store });
        }
        return Ok(Verified { committed: 0, findings, damage: None, time: begun.elapsed(), drill: None });
    };
    let committed = head.committed().sequence;
    // What names show to be damaged is not read: the first thing that is wrong would be met again.
    let damaged = findings.iter().any(|finding| finding.severity() == Severity::Damage);
    let (target, replays): (Box<dyn ReplayTarget>, bool) = match depth {
        VerifyDepth::Replay(target) if !damaged => (target, true),
        VerifyDepth::Chain if !damaged => (Box::new(Nowhere::default()), false),
        _ => {
            return Ok(Verified { committed, findings, damage: None, time: begun.elapsed(), drill: None });
        }
    };
    let (mut damage, mut found) = (None, None);
    match drill(remote, target, options, stop).await {
        Ok(drill) => found = Some(drill).filter(|_| replays),
        Err(error) if matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Target) => {
            damage = Some(error)
        }
        Err(error) => return Err(error),
    }
    Ok(Verified { committed, findings, damage, time: begun.elapsed(), drill: found })
}
