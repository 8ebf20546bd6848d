//! Which request a fault strikes.

use super::{Fault, S3Operation};

#[derive(Debug, Clone)]
enum When {
    Nth(u64),
    First(u64),
    Always,
    PerMille(u32),
}

/// Which requests a fault strikes. Without further choice: the first request of the operation.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Option<S3Operation>,
    subject_contains: Option<String>,
    when: When,
    fault: Fault,
}

impl Rule {
    /// The next request of `operation`.
    #[must_use]
    pub fn new(operation: S3Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), subject_contains: None, when: When::Nth(1), fault }
    }

    /// The next request of any operation.
    #[must_use]
    pub fn any(fault: Fault) -> Self {
        Self { operation: None, subject_contains: None, when: When::Nth(1), fault }
    }

    /// Only requests whose key (of a listing: prefix) contains this text; others do not count.
    #[must_use]
    pub fn on_key(mut self, contains: impl Into<String>) -> Self {
        self.subject_contains = Some(contains.into());
        self
    }

    /// Only the n-th matching request, from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// The first `n` matching requests.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// Every matching request.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.when = When::Always;
        self
    }

    /// Matching requests by chance, so many in a thousand, drawn from the proxy's seed.
    #[must_use]
    pub fn per_mille(mut self, chance: u32) -> Self {
        self.when = When::PerMille(chance);
        self
    }
}

/// The rules at work, in the order added: each counts its own matches, and the first that fires decides.
#[derive(Debug)]
pub(super) struct Script {
    rules: Vec<(Rule, u64)>,
    random: u64,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), random: seed }
    }

    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn fault(&mut self, operation: S3Operation, subject: &str) -> Option<Fault> {
        let Self { rules, random } = self;
        let mut struck = None;
        for (rule, matched) in rules {
            let elsewhere = rule.subject_contains.as_ref().is_some_and(|text| !subject.contains(text));
            if elsewhere || rule.operation.is_some_and(|wanted| wanted != operation) {
                continue;
            }
            *matched += 1;
            let fires = match rule.when {
                When::Nth(n) => *matched == n,
                When::First(n) => *matched <= n,
                When::Always => true,
                When::PerMille(chance) => next(random) % 1000 < u64::from(chance),
            };
            if fires && struck.is_none() {
                struck = Some(rule.fault.clone());
            }
        }
        struck
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
