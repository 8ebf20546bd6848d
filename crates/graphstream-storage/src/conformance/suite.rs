//! Some or all cases with choices: another prefix, by name, leaving what a failed case had.

use std::sync::Arc;

use crate::conformance::scope::Scope;
use crate::conformance::{CASES, Case, Failures, Violation};
use crate::{Key, PrefixBackend, StorageBackend};

/// The cases to run on a backend.
///
/// ```no_run
/// # use graphstream_storage::{Key, MemoryBackend, conformance::Suite};
/// # async fn check() -> Result<(), Box<dyn std::error::Error>> {
/// let suite = Suite::new(MemoryBackend::new()).prefix(Key::new("scratch/mine")?).skip(["large_object_from_a_file"]);
/// let ran = suite.run().await?;
/// assert!(ran.contains(&"put_round_trips"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Suite {
    backend: Arc<dyn StorageBackend>,
    prefixed: bool,
    only: Option<Vec<String>>,
    skip: Vec<String>,
    keep_on_failure: bool,
}

impl Suite {
    /// Every case, under `graphstream-conformance/`.
    pub fn new(backend: impl StorageBackend) -> Self {
        Self {
            backend: Arc::new(backend),
            prefixed: false,
            only: None,
            skip: Vec::new(),
            keep_on_failure: false,
        }
    }

    /// Works below `prefix/`. `keys_may_be_long` is left out then: the prefix takes its room.
    #[must_use]
    pub fn prefix(mut self, prefix: Key) -> Self {
        self.backend = Arc::new(PrefixBackend::new(self.backend, prefix));
        self.prefixed = true;
        self
    }

    /// Only the cases of these names.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only.get_or_insert_default().extend(names.into_iter().map(Into::into));
        self
    }

    /// Not the cases of these names: what a store is known not to do, say.
    #[must_use]
    pub fn skip<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.skip.extend(names.into_iter().map(Into::into));
        self
    }

    /// Whether a failed case leaves its objects, to be looked at. Default false; the next run removes them first.
    #[must_use]
    pub fn keep_on_failure(mut self, keep: bool) -> Self {
        self.keep_on_failure = keep;
        self
    }

    /// Runs the cases one after the other, and says which they were.
    ///
    /// # Errors
    /// All cases that failed, with their names; also a name that no case has.
    pub async fn run(self) -> Result<Vec<&'static str>, Failures> {
        let mut failures: Vec<(&'static str, Violation)> = Vec::new();
        for name in self.only.iter().flatten().chain(&self.skip) {
            if !CASES.iter().any(|case| case.name == name) {
                failures.push(("-", Violation::new("-", format!("there is no case {name:?}"))));
            }
        }
        let mut ran = Vec::new();
        for case in CASES.iter().filter(|case| self.runs(case)) {
            ran.push(case.name);
            if let Err(violation) = (case.run)(&self.backend).await {
                failures.push((case.name, violation));
                if !self.keep_on_failure {
                    // A new scope is an empty one. What can't be removed has failed for a reason that the case has told.
                    let _ = Scope::new(&self.backend, case.name).await;
                }
            }
        }
        if failures.is_empty() { Ok(ran) } else { Err(Failures(failures)) }
    }

    fn runs(&self, case: &Case) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|name| name == case.name);
        self.only.as_ref().is_none_or(named)
            && !named(&self.skip)
            && !(self.prefixed && case.name == "keys_may_be_long")
    }
}
