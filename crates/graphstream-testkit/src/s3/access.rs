//! Counts requests and refuses some.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};
use s3s::s3_error;

#[derive(Debug, Default)]
struct State {
    counts: HashMap<String, u64>,
    refused: HashSet<String>,
    lacking: HashSet<String>,
}

/// What the requests have to pass; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Access(Arc<Mutex<State>>);

impl Access {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, operation: &str) -> u64 {
        self.state().counts.get(operation).copied().unwrap_or(0)
    }

    pub(super) fn refuse(&self, operation: &str) {
        self.state().refused.insert(operation.to_owned());
    }

    pub(super) fn allow(&self, operation: &str) {
        self.state().refused.remove(operation);
    }

    pub(super) fn lack(&self, operation: &str) {
        self.state().lacking.insert(operation.to_owned());
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let mut state = self.state();
        *state.counts.entry(operation.to_owned()).or_default() += 1;
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Anonymous requests are not allowed"));
        }
        if state.refused.contains(operation) {
            return Err(s3_error!(AccessDenied, "Not authorized to perform this operation"));
        }
        if state.lacking.contains(operation) {
            return Err(s3_error!(NotImplemented, "A header or operation is not implemented"));
        }
        Ok(())
    }
}
