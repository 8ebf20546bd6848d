//! Which call fails, and how.

use std::time::Duration;

use bytes::Bytes;

use crate::faults::StoreView;
use crate::random::Random;
use crate::{ErrorClass, Key, Operation};

/// How a call fails.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// An error; the store never saw the call.
    Before(ErrorClass),
    /// An error, although the store did what was asked: the response is lost.
    After(ErrorClass),
    /// An error now; a put or delete reaches the store when the test calls
    /// [`land_late`](crate::faults::FaultBackend::land_late). For reads as [`Before`](Self::Before).
    Late(ErrorClass),
    /// Never answers; the store never saw the call.
    Hang,
    /// Never answers, although the store did what was asked.
    HangAfter,
    /// Waits (tokio's clock), then answers truly.
    Delay(Duration),
    /// Damages the body of a get.
    Body(BodyFault),
    /// Damages a page of a listing.
    List(ListFault),
    /// Answers a get, head or list from an older state of the store.
    Stale(StoreView),
    /// Performs a put as [`PutMode::Overwrite`](crate::PutMode::Overwrite) whatever its mode: a store that takes conditions
    /// for comments.
    IgnoreCondition,
}

/// What happens to the body of a get. Metadata and range stay as the store gave them, except where said.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BodyFault {
    /// The body ends after so many bytes with an error, as a broken connection does.
    Cut(u64),
    /// The body ends after so many bytes without an error.
    Truncate(u64),
    /// These bytes follow the body.
    Extend(Bytes),
    /// One bit is flipped, counted from the first bit of the body, modulo its length. An empty body stays as it is.
    FlipBit(u64),
    /// These bytes come instead, with their own length announced.
    Replace(Bytes),
    /// The object of this key comes instead, complete, under the name that was asked.
    Swap(Key),
}

/// What happens to a page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFault {
    /// Keys that contain this text are missing.
    Omit(String),
    /// The last object comes twice.
    Duplicate,
    /// The objects come in descending order.
    Reverse,
    /// The token that was sent (or a constant one) comes back as the next one.
    RepeatToken,
    /// The page is the last one, whatever follows.
    Forget,
}

#[derive(Debug, Clone)]
enum When {
    Nth(u64),
    First(u64),
    Always,
    PerMille(u32),
}

/// Which calls fail, and how. Without further choice: the first call of the operation.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Operation,
    key_contains: Option<String>,
    when: When,
    fault: Fault,
}

impl Rule {
    /// The next call of `operation` ends in `fault`.
    #[must_use]
    pub fn new(operation: Operation, fault: Fault) -> Self {
        Self { operation, key_contains: None, when: When::Nth(1), fault }
    }

    /// Only calls whose key (for listings: prefix) contains this text; others do not count.
    #[must_use]
    pub fn on_key(mut self, contains: impl Into<String>) -> Self {
        self.key_contains = Some(contains.into());
        self
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// The first `n` matching calls.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// Every matching call.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.when = When::Always;
        self
    }

    /// Matching calls by chance, so many in a thousand, drawn from the backend's seed.
    #[must_use]
    pub fn per_mille(mut self, chance: u32) -> Self {
        self.when = When::PerMille(chance);
        self
    }
}

/// A rule at work.
#[derive(Debug)]
pub(super) struct Armed {
    rule: Rule,
    seen: u64,
}

impl Armed {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, seen: 0 }
    }

    pub(super) fn fires(&mut self, operation: Operation, subject: &str, random: &Random) -> bool {
        let elsewhere = self.rule.key_contains.as_ref().is_some_and(|text| !subject.contains(text.as_str()));
        if operation != self.rule.operation || elsewhere {
            return false;
        }
        self.seen = self.seen.saturating_add(1);
        match self.rule.when {
            When::Nth(n) => self.seen == n,
            When::First(n) => self.seen <= n,
            When::Always => true,
            When::PerMille(chance) => random.next() % 1000 < u64::from(chance),
        }
    }

    pub(super) fn fault(&self) -> Fault {
        self.rule.fault.clone()
    }
}
