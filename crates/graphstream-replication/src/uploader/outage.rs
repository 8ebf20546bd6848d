//! Who is told of the uploader's outage state: watchers, metrics, the log, and `status` by a note in the directory.

use std::sync::Arc;
use std::time::Duration;

use graphstream_journal::{Clock, JournalDir, OutageNote};
use graphstream_metrics::GraphstreamMetrics;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Writer;
use crate::threads::blocking;
use crate::{Error, ErrorKind, Outage, OutageEvent, OutageState, OutageTransition, UploaderOptions};

/// Whether what is journaled gets away, as of the uploader's last look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutageStatus {
    /// The state.
    pub state: OutageState,
    /// Since when, in ms since 1970.
    pub since_ms: i64,
    /// Looks in a row that the store has ended.
    pub failures: u32,
    /// Bytes of segments that cursors hold back; counted where there is a budget.
    pub held_bytes: Option<u64>,
    /// The budget.
    pub held_bytes_max: Option<u64>,
}

/// The machine, and whom it is told to.
#[derive(Debug)]
pub(super) struct Outages {
    machine: Outage,
    /// What its times are since.
    started: Instant,
    /// The time in all but the present state that was not healthy.
    not_healthy: Duration,
    dir: JournalDir,
    clock: Arc<dyn Clock>,
    metrics: Arc<GraphstreamMetrics>,
    status: watch::Sender<OutageStatus>,
}

impl Outages {
    pub(super) fn new(
        options: &UploaderOptions,
        dir: JournalDir,
        clock: Arc<dyn Clock>,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Self {
        let status = OutageStatus {
            state: OutageState::Healthy,
            since_ms: clock.now_ms(),
            failures: 0,
            held_bytes: None,
            held_bytes_max: options.held_bytes_max,
        };
        Self {
            machine: Outage::new(options.failures_max, options.failing_max),
            started: Instant::now(),
            not_healthy: Duration::ZERO,
            dir,
            clock,
            metrics,
            status: watch::channel(status).0,
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<OutageStatus> {
        self.status.subscribe()
    }

    /// A look that began then has ended so. It is told with what the directory holds back.
    pub(super) async fn looked<T>(&mut self, began: Instant, result: &Result<T, Error>, writer: &Writer) {
        let event = match result {
            Ok(_) => Some(OutageEvent::Answered),
            Err(error) if error.kind() == ErrorKind::Store || error.is_missing_head() => {
                Some(OutageEvent::Failed { began: began.duration_since(self.started) })
            }
            // The store has nothing to do with it.
            Err(_) => None,
        };
        let max = self.status.borrow().held_bytes_max;
        let held = match max {
            Some(_) => writer.held(&self.dir).await.inspect_err(not_counted).ok(),
            None => None,
        };
        let full = max.zip(held.as_ref()).map(|(max, held)| held.cursor.is_some() && held.bytes >= max);
        let now = self.started.elapsed();
        // One change at most is told: both events are of this moment.
        let (before, since) = (self.machine.clone(), self.status.borrow().since_ms);
        for event in event.into_iter().chain(full.map(|full| OutageEvent::Budget { full })) {
            self.machine.step(now, event);
        }
        let transition = self.machine.change_from(&before, now);
        let status = OutageStatus {
            state: self.machine.state(),
            since_ms: if transition.is_some() { self.clock.now_ms() } else { since },
            failures: self.machine.failures(),
            held_bytes: held.map(|held| held.bytes),
            held_bytes_max: max,
        };
        self.count(now, transition);
        if let Some(transition) = transition {
            self.tell(transition, &status).await;
        }
        self.status.send_if_modified(|known| std::mem::replace(known, status.clone()) != status);
    }

    fn count(&mut self, now: Duration, transition: Option<OutageTransition>) {
        let leader = &self.metrics.leader;
        if let Some(transition) = transition {
            match transition.from {
                OutageState::Healthy => leader.outages.inc(),
                _ => self.not_healthy += transition.lasted,
            }
        }
        let lasts = match self.machine.state() {
            OutageState::Healthy => Duration::ZERO,
            _ => self.machine.lasts(now),
        };
        leader.outage_state.set(self.machine.state().number());
        leader.outage_seconds.set(self.not_healthy + lasts);
    }

    async fn tell(&self, transition: OutageTransition, status: &OutageStatus) {
        let OutageTransition { from, to, lasted } = transition;
        let dir = self.dir.clone();
        let held_bytes = match status.held_bytes {
            Some(bytes) => Some(bytes),
            None => {
                let held = blocking("counting what cursors hold back", move || Ok(dir.held()?)).await;
                held.inspect_err(not_counted).ok().map(|held| held.bytes)
            }
        };
        let (failures, held_bytes_max) = (status.failures, status.held_bytes_max);
        if to == OutageState::Healthy {
            tracing::info!(%from, %to, ?lasted, failures, held_bytes, held_bytes_max, "the outage is over");
        } else {
            tracing::warn!(%from, %to, ?lasted, failures, held_bytes, held_bytes_max, "what is journaled does not get away");
        }
        let note = OutageNote { state: to.name().to_owned(), since_ms: status.since_ms };
        let note = (to != OutageState::Healthy).then_some(note);
        let dir = self.dir.clone();
        let noted = blocking("noting the outage", move || Ok(dir.note_outage(note.as_ref())?)).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "`status` does not learn of this");
        }
    }
}

fn not_counted(error: &Error) {
    tracing::warn!(%error, "what cursors hold back can't be counted");
}
