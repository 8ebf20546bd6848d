//! A decorator that makes any backend fail on purpose: scripted to the n-th call, or by chance from a seed.
//!
//! ```text
//!   call ──► rules, in the order added: does operation, key and count match? the first one that fires decides
//!              │ none          │ Before       │ After                 │ Late                    │ Body, List, Stale
//!              ▼               ▼              ▼                       ▼                         ▼
//!            inner           error     inner, then error      error; inner when the      inner's answer, damaged
//!                                      (response lost)        test calls land_late       (or that of a captured view)
//! ```

mod body;
mod listing;
mod rule;
mod view;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use rule::{BodyFault, Fault, ListFault, Rule};
pub use view::StoreView;

use crate::error::{Error, ErrorClass, Result};
use crate::random::Random;
use crate::{
    GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta, Operation, PutBody, PutMode,
    StorageBackend, Version,
};

/// The source of injected [`Error::Backend`] errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("injected fault")]
pub struct InjectedFault;

/// A backend that fails by [`Rule`]s. Clones share rules, counters and the inner backend, so that a test keeps one handle
/// while the component under test owns another.
#[derive(Clone)]
pub struct FaultBackend {
    inner: Arc<dyn StorageBackend>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rules: Vec<rule::Armed>,
    random: Random,
    calls: [u64; Operation::ALL.len()],
    late: VecDeque<LateCall>,
    retry_after: Option<Duration>,
}

/// A change whose answer was an error and that still travels.
#[derive(Debug, Clone)]
enum LateCall {
    Put(Key, PutBody, PutMode),
    Delete(Key),
}

impl FaultBackend {
    /// Wraps `inner`, without any fault yet.
    pub fn new(inner: impl StorageBackend) -> Self {
        Self::with_seed(inner, 0)
    }

    /// Wraps `inner`; rules by chance draw from this seed.
    pub fn with_seed(inner: impl StorageBackend, seed: u64) -> Self {
        let state = State {
            rules: Vec::new(),
            random: Random::new(seed),
            calls: [0; Operation::ALL.len()],
            late: VecDeque::new(),
            retry_after: None,
        };
        Self { inner: Arc::new(inner), state: Arc::new(Mutex::new(state)) }
    }

    /// Adds a rule; its count of matching calls starts now.
    pub fn inject(&self, rule: Rule) {
        self.state().rules.push(rule::Armed::new(rule));
    }

    /// Removes all rules. Late calls stay.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// Injected errors of class `Throttled` say from now on when to come back.
    pub fn set_retry_after(&self, retry_after: Duration) {
        self.state().retry_after = Some(retry_after);
    }

    /// Calls of `operation` so far, failed ones included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.state().calls.get(operation as usize).copied().unwrap_or(0)
    }

    /// The backend behind, for looking at the truth.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn StorageBackend> {
        &self.inner
    }

    /// Changes that were answered by [`Fault::Late`] and have not landed.
    #[must_use]
    pub fn late_calls(&self) -> usize {
        self.state().late.len()
    }

    /// Lets the oldest late change reach the store; `None` when there is none. The result is what the caller of then
    /// never learnt.
    pub async fn land_late(&self) -> Option<Result<()>> {
        let call = self.state().late.pop_front()?;
        Some(match call {
            LateCall::Put(key, body, mode) => self.inner.put(&key, body, mode).await.map(drop),
            LateCall::Delete(key) => self.inner.delete(&key).await,
        })
    }

    /// Loses all late changes for good.
    pub fn drop_late(&self) {
        self.state().late.clear();
    }

    /// Copies the whole store as it is now, for [`Fault::Stale`].
    ///
    /// # Errors
    /// What the inner backend fails with.
    pub async fn capture(&self) -> Result<StoreView> {
        StoreView::capture(&*self.inner).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, operation: Operation) {
        if let Some(count) = self.state().calls.get_mut(operation as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// The fault for this call, if a rule fires. `subject` is the key or the prefix.
    fn decide(&self, operation: Operation, subject: &str) -> Option<Fault> {
        let State { rules, random, .. } = &mut *self.state();
        let mut fault = None;
        for armed in rules {
            // Every matching rule counts the call, whoever answers it.
            let fires = armed.fires(operation, subject, random);
            if fires && fault.is_none() {
                fault = Some(armed.fault());
            }
        }
        if let Some(fault) = &fault {
            tracing::debug!(%operation, subject, ?fault, "fault injected");
        }
        fault
    }

    fn error(&self, class: ErrorClass, operation: Operation, key: &Key, mode: Option<&PutMode>) -> Error {
        match (class, mode) {
            (ErrorClass::NotFound, _) => Error::NotFound { operation, key: key.clone() },
            (ErrorClass::Exists, _) => Error::Exists { key: key.clone() },
            (ErrorClass::VersionMismatch, Some(PutMode::Match(expected))) => {
                Error::VersionMismatch { key: key.clone(), expected: expected.clone(), found: None }
            }
            _ => self.plain_error(class, operation, key.as_str()),
        }
    }

    fn plain_error(&self, class: ErrorClass, operation: Operation, subject: &str) -> Error {
        let error = Error::backend(class, operation, subject, self.describe(), InjectedFault);
        match self.state().retry_after {
            Some(retry_after) if class == ErrorClass::Throttled => error.with_retry_after(retry_after),
            _ => error,
        }
    }
}

impl fmt::Debug for FaultBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultBackend").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What a fault means for a call that has an answer: whether to ask the inner backend, and what to say then.
enum Course {
    /// Ask, and answer truly.
    Straight,
    /// Fail without asking.
    Fail(ErrorClass),
    /// Ask, then fail whatever the answer was.
    AskThenFail(ErrorClass),
    /// Fail, and ask later.
    Postpone(ErrorClass),
    /// Ask, then damage the answer.
    Damage(Fault),
}

impl FaultBackend {
    /// Waits where the fault says so, and says how to go on.
    async fn course(&self, operation: Operation, subject: &str) -> Course {
        match self.decide(operation, subject) {
            None => Course::Straight,
            Some(Fault::Before(class)) => Course::Fail(class),
            Some(Fault::After(class)) => Course::AskThenFail(class),
            Some(Fault::Late(class)) => Course::Postpone(class),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Delay(duration)) => {
                tokio::time::sleep(duration).await;
                Course::Straight
            }
            Some(fault) => Course::Damage(fault),
        }
    }
}

#[async_trait]
impl StorageBackend for FaultBackend {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.counted(Operation::Get);
        match self.course(Operation::Get, key.as_str()).await {
            Course::Straight => self.inner.get(key, options).await,
            Course::Fail(class) | Course::Postpone(class) => {
                Err(self.error(class, Operation::Get, key, None))
            }
            Course::AskThenFail(class) => {
                let _ = self.inner.get(key, options).await;
                Err(self.error(class, Operation::Get, key, None))
            }
            Course::Damage(Fault::Stale(view)) => view.backend().get(key, options).await,
            Course::Damage(Fault::Body(fault)) => {
                let lost = self.plain_error(ErrorClass::Unavailable, Operation::Get, key.as_str());
                body::damaged_get(&*self.inner, key, options, fault, lost).await
            }
            Course::Damage(Fault::HangAfter) => {
                let _ = self.inner.get(key, options).await;
                std::future::pending().await
            }
            Course::Damage(_) => self.inner.get(key, options).await,
        }
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.counted(Operation::Put);
        match self.course(Operation::Put, key.as_str()).await {
            Course::Fail(class) => Err(self.error(class, Operation::Put, key, Some(&mode))),
            Course::AskThenFail(class) => {
                let _ = self.inner.put(key, body, mode.clone()).await;
                Err(self.error(class, Operation::Put, key, Some(&mode)))
            }
            Course::Postpone(class) => {
                let error = self.error(class, Operation::Put, key, Some(&mode));
                self.state().late.push_back(LateCall::Put(key.clone(), body, mode));
                Err(error)
            }
            Course::Damage(Fault::HangAfter) => {
                let _ = self.inner.put(key, body, mode).await;
                std::future::pending().await
            }
            Course::Damage(Fault::IgnoreCondition) => self.inner.put(key, body, PutMode::Overwrite).await,
            Course::Straight | Course::Damage(_) => self.inner.put(key, body, mode).await,
        }
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.counted(Operation::Head);
        match self.course(Operation::Head, key.as_str()).await {
            Course::Fail(class) | Course::Postpone(class) => {
                Err(self.error(class, Operation::Head, key, None))
            }
            Course::AskThenFail(class) => {
                let _ = self.inner.head(key).await;
                Err(self.error(class, Operation::Head, key, None))
            }
            Course::Damage(Fault::Stale(view)) => view.backend().head(key).await,
            Course::Damage(Fault::HangAfter) => {
                let _ = self.inner.head(key).await;
                std::future::pending().await
            }
            Course::Straight | Course::Damage(_) => self.inner.head(key).await,
        }
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.counted(Operation::Delete);
        match self.course(Operation::Delete, key.as_str()).await {
            Course::Fail(class) => Err(self.error(class, Operation::Delete, key, None)),
            Course::AskThenFail(class) => {
                let _ = self.inner.delete(key).await;
                Err(self.error(class, Operation::Delete, key, None))
            }
            Course::Postpone(class) => {
                self.state().late.push_back(LateCall::Delete(key.clone()));
                Err(self.error(class, Operation::Delete, key, None))
            }
            Course::Damage(Fault::HangAfter) => {
                let _ = self.inner.delete(key).await;
                std::future::pending().await
            }
            Course::Straight | Course::Damage(_) => self.inner.delete(key).await,
        }
    }

    /// Each key is decided on its own under [`Operation::DeleteMany`], so that a rule for one key fails only that one.
    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.counted(Operation::DeleteMany);
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            let error = |class| self.error(class, Operation::DeleteMany, key, None);
            let outcome = match self.course(Operation::DeleteMany, key.as_str()).await {
                Course::Fail(class) => Err(error(class)),
                Course::AskThenFail(class) => {
                    let _ = self.inner.delete(key).await;
                    Err(error(class))
                }
                Course::Postpone(class) => {
                    self.state().late.push_back(LateCall::Delete(key.clone()));
                    Err(error(class))
                }
                Course::Damage(Fault::HangAfter) => {
                    let _ = self.inner.delete(key).await;
                    std::future::pending().await
                }
                Course::Straight | Course::Damage(_) => self.inner.delete(key).await,
            };
            outcomes.push((key.clone(), outcome));
        }
        Ok(outcomes)
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.counted(Operation::List);
        match self.course(Operation::List, &request.prefix).await {
            Course::Straight => self.inner.list(request).await,
            Course::Fail(class) | Course::Postpone(class) => {
                Err(self.plain_error(class, Operation::List, &request.prefix))
            }
            Course::AskThenFail(class) => {
                let error = self.plain_error(class, Operation::List, &request.prefix);
                let _ = self.inner.list(request).await;
                Err(error)
            }
            Course::Damage(Fault::Stale(view)) => view.backend().list(request).await,
            Course::Damage(Fault::List(fault)) => {
                let asked = request.continuation.clone();
                Ok(listing::damaged(self.inner.list(request).await?, asked, &fault))
            }
            Course::Damage(Fault::HangAfter) => {
                let _ = self.inner.list(request).await;
                std::future::pending().await
            }
            Course::Damage(_) => self.inner.list(request).await,
        }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
