//! A decorator that makes failed calls again, as far as that is safe.
//!
//! ```text
//!             definite, may pass                 unknown (class TimeoutUnknown)
//!             Throttled, Unavailable             │
//!                     │             ┌────────────┴─────────────────┐
//!                     │         get, head, list, delete,       create, match
//!                     │         overwrite                          │
//!                     ▼             ▼                              ▼
//!                   pause ──► the same call again           read back: what is there?
//!                                   ▲                   ours    │ nothing yet │ another's, gone
//!                                   │                    ▼      ▼             ▼
//!                                   └──────────────── Ok    pause, again    Unresolved
//! ```
//! Other classes are answers and are passed on at once. A call of which one attempt had an unknown outcome never ends in a
//! definite error, whatever later attempts say: that attempt may have happened (O9).

mod body;
mod policy;
mod put;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graphstream_metrics::GraphstreamMetrics;

pub use policy::{Attempts, Backoff, RetryConfig, RetryPolicy};

use crate::error::{Error, ErrorClass, Result};
use crate::{
    GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, Operation, PutBody, PutMode,
    StorageBackend, Version,
};

/// Makes failed calls again. Cheap to clone; clones share everything.
///
/// - **Reads** are repeated. A body that breaks off is read on from where it stopped; if the object was replaced meanwhile,
///   it ends in [`Error::Changed`], never in a mixture.
/// - **Creates and matches** whose answer was lost are resolved by reading the object back and comparing its bytes, streamed.
///   What was to be written counts as written, with the version that is there, even if somebody else wrote the same bytes;
///   so who matches never writes equal bytes twice (O6). Something else ends in [`Error::Unresolved`], class `TimeoutUnknown`.
/// - **Overwrites and deletes** are repeated. An attempt whose answer was lost may land later still, then also over what others
///   have put since: who can't have that uses conditions.
///
/// Memory does not depend on the size of objects. A put from a file reads it again for each attempt and comparison.
#[derive(Debug)]
pub struct RetryBackend<B> {
    inner: Arc<B>,
    policy: RetryPolicy,
    metrics: Arc<GraphstreamMetrics>,
}

impl<B> Clone for RetryBackend<B> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            policy: self.policy.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<B: StorageBackend> RetryBackend<B> {
    /// Wraps `inner`.
    pub fn new(inner: B, policy: RetryPolicy) -> Self {
        Self { inner: Arc::new(inner), policy, metrics: GraphstreamMetrics::shared() }
    }

    /// Counts retries there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<GraphstreamMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// Makes a call that may be repeated whatever came of it.
    async fn repeat<T, F>(
        &self,
        operation: Operation,
        attempts: &mut Attempts,
        call: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut failed = None;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = may_pass(&error) && self.pause(operation, attempts, error.retry_after()).await;
            let error = kept(failed, error);
            if !again {
                return Err(error);
            }
            failed = Some(error);
        }
    }

    /// Waits for the next attempt, at least for `at_least`; `false` when there is to be none.
    async fn pause(&self, operation: Operation, attempts: &mut Attempts, at_least: Option<Duration>) -> bool {
        let again = attempts.pause(at_least).await;
        if again {
            self.metrics.storage.count_retry(operation.metric());
            tracing::debug!(%operation, failures = attempts.failures(), "asking the store again");
        }
        again
    }
}

/// Whether the same call may end otherwise the next time.
fn may_pass(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::TimeoutUnknown)
}

/// The error that a call ends with if it ends now: once unknown, always unknown.
fn kept(before: Option<Error>, now: Error) -> Error {
    match before {
        Some(unknown) if unknown.class().is_unknown() && !now.class().is_unknown() => unknown,
        _ => now,
    }
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for RetryBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let mut attempts = self.policy.attempts();
        let call = || self.inner.get(key, options.clone());
        Ok(match self.repeat(Operation::Get, &mut attempts, call).await? {
            GetOutcome::Found(object) => GetOutcome::Found(self.resumed(object, attempts)),
            unchanged @ GetOutcome::NotModified => unchanged,
        })
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        match mode {
            PutMode::Overwrite => {
                let call = || self.inner.put(key, body.clone(), PutMode::Overwrite);
                self.repeat(Operation::Put, &mut self.policy.attempts(), call).await
            }
            PutMode::Create | PutMode::Match(_) => self.conditional_put(key, body, mode).await,
        }
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.repeat(Operation::Head, &mut self.policy.attempts(), || self.inner.head(key)).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.repeat(Operation::Delete, &mut self.policy.attempts(), || self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let mut attempts = self.policy.attempts();
        let mut outcomes: Vec<(Key, Result<()>)> = Vec::new();
        let mut call_failed = None;
        loop {
            // After the first answer only what failed is asked for again.
            let asked: Vec<usize> = match outcomes.is_empty() {
                true => (0..keys.len()).collect(),
                false => open(&outcomes),
            };
            let batch: Vec<Key> = asked.iter().filter_map(|at| keys.get(*at)).cloned().collect();
            match self.inner.delete_many(&batch).await {
                Ok(answers) if outcomes.is_empty() => {
                    let before = call_failed.take().filter(|error: &Error| error.class().is_unknown());
                    outcomes = answers;
                    if let Some(error) = before {
                        self.taint(&mut outcomes, &error);
                    }
                }
                Ok(answers) => {
                    for (at, (_, answer)) in asked.into_iter().zip(answers) {
                        if let Some((_, outcome)) = outcomes.get_mut(at) {
                            let before = std::mem::replace(outcome, Ok(())).err();
                            *outcome = answer.map_err(|error| kept(before, error));
                        }
                    }
                }
                Err(error) if outcomes.is_empty() => {
                    let pause = self.pause(Operation::DeleteMany, &mut attempts, error.retry_after());
                    let again = may_pass(&error) && pause.await;
                    let error = kept(call_failed, error);
                    if !again {
                        return Err(error);
                    }
                    call_failed = Some(error);
                    continue;
                }
                Err(error) if error.class().is_unknown() => self.taint(&mut outcomes, &error),
                Err(_) => {}
            }
            let left = open(&outcomes);
            let longest =
                left.iter().filter_map(|at| outcomes.get(*at)?.1.as_ref().err()?.retry_after()).max();
            if left.is_empty() || !self.pause(Operation::DeleteMany, &mut attempts, longest).await {
                return Ok(outcomes);
            }
        }
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        let call = || self.inner.list(request.clone());
        self.repeat(Operation::List, &mut self.policy.attempts(), call).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Which deletes failed and may do better the next time.
fn open(outcomes: &[(Key, Result<()>)]) -> Vec<usize> {
    let open =
        |(at, (_, outcome)): (usize, &(Key, Result<()>))| outcome.as_ref().is_err_and(may_pass).then_some(at);
    outcomes.iter().enumerate().filter_map(open).collect()
}

impl<B: StorageBackend> RetryBackend<B> {
    /// A whole bulk delete had an unknown outcome: so has each of its keys that is not gone by an answer.
    fn taint(&self, outcomes: &mut [(Key, Result<()>)], cause: &Error) {
        for (key, outcome) in outcomes {
            if outcome.as_ref().is_err_and(|error| !error.class().is_unknown()) {
                let class = ErrorClass::TimeoutUnknown;
                let lost =
                    Error::backend(class, Operation::DeleteMany, key, self.describe(), cause.to_string());
                *outcome = Err(lost);
            }
        }
    }
}
