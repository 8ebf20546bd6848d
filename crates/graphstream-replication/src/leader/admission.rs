//! What a leader lets into its journal: statements that do the same wherever they are replayed.

use std::borrow::Cow;
use std::sync::Arc;

use graphstream_journal::Entropy;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_proto::JournalEntry;
use graphstream_replay::guard::{AdmitError, Guard, Verdict};

use crate::{Error, Result};

/// A leader's guard, if it has one.
#[derive(Debug)]
pub(super) struct Admission {
    guard: Option<Guard>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<GraphstreamMetrics>,
}

impl Admission {
    pub(super) fn new(
        guard: Option<Guard>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Self {
        Self { guard, entropy, metrics }
    }

    /// The entries as they are to be executed and journaled.
    pub(super) fn admit<'e>(&self, entries: &'e [JournalEntry]) -> Result<Cow<'e, [JournalEntry]>> {
        let Some(guard) = &self.guard else { return Ok(Cow::Borrowed(entries)) };
        let mut admitted = Cow::Borrowed(entries);
        for (index, entry) in entries.iter().enumerate() {
            if entry.query.is_empty() {
                // It will not be encoded.
                continue;
            }
            match guard.admit(entry, || self.entropy.random()) {
                Ok(Cow::Borrowed(_)) => {}
                Ok(Cow::Owned(rewritten)) => {
                    self.metrics.leader.statements_rewritten.inc();
                    if let Some(entry) = admitted.to_mut().get_mut(index) {
                        *entry = rewritten;
                    }
                }
                Err(AdmitError::Refused(source)) => return Err(self.refused(index, source)),
                Err(AdmitError::Random(source)) => return Err(Error::Randomness { source }),
                Err(_) => return Err(Error::NotAdmitted { index }),
            }
        }
        Ok(admitted)
    }

    /// Whether entries that were executed already may be journaled as they are.
    pub(super) fn check(&self, entries: &[JournalEntry]) -> Result<()> {
        let Some(guard) = &self.guard else { return Ok(()) };
        for (index, entry) in entries.iter().enumerate() {
            match guard.check(&entry.query) {
                Ok(Verdict::AsItIs) => {}
                Ok(_) => return Err(Error::NotAdmitted { index }),
                Err(source) => return Err(self.refused(index, source)),
            }
        }
        Ok(())
    }

    fn refused(&self, index: usize, source: graphstream_replay::guard::Refusal) -> Error {
        self.metrics.leader.statements_refused.inc();
        Error::Refused { index, source }
    }
}
