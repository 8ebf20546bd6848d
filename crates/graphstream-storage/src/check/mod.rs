//! What a store really does, found out by asking it: for operators before they trust one, and for leaders before they start.
//!
//! ```text
//!   check   every call on fresh keys below one prefix, races of 16 writers on 8 keys, then everything deleted     ─► Report
//!   probe   a dozen requests on one key that stays: cheap enough for every start of a leader                      ─► Conditions
//! ```
//! Three kinds of store must never be taken for one with conditional puts: one that ignores the condition, says yes and overwrites
//! ([`Verdict::Ignored`]), one that says no and overwrites ([`Verdict::StoresRefused`]), and one that checks and then writes, so that in a
//! race several win ([`Verdict::Races`]). The first two are seen by the probe for certain, the third if it shows in a small race.
//!
//! The store should be bare, or under time-outs alone: a decorator that asks again also hides.

mod conditions;
mod probe;
mod race;
mod reading;
mod report;
mod scope;

pub use probe::{Conditions, probe};
pub use report::{Capability, Finding, Report, Verdict};

use crate::error::Result;
use crate::random::Random;
use crate::{Key, StorageBackend};

/// Finds out what `backend` does, under a new prefix `graphstream-check-{random}/` in it, which is empty afterwards if the store allows
/// deletes. Some 3,000 small requests, most of them at once. Dropped early, it leaves its objects.
///
/// # Errors
/// What the first put or the first get failed with: then nothing else can be found out.
pub async fn check(backend: &dyn StorageBackend) -> Result<Report> {
    let root = Key::new(format!("graphstream-check-{:016x}", Random::unseeded().next()))?;
    let scope = scope::Scope::new(backend, root);
    let found = findings(&scope).await;
    let left = scope.clean().await;
    let findings = found?;
    Ok(Report { prefix: scope.root().clone(), findings, left })
}

async fn findings(scope: &scope::Scope<'_>) -> Result<Vec<Finding>> {
    let mut findings = reading::put_and_get(scope).await?;
    findings.push(Finding::of(Capability::Range, reading::range(scope).await));
    findings.push(Finding::of(Capability::Head, reading::head(scope).await));
    findings.push(Finding::of(Capability::ConditionalGet, reading::conditional_get(scope).await));
    findings.push(Finding::of(Capability::Create, conditions::create(scope).await));
    findings.push(Finding::of(Capability::Match, conditions::swap(scope).await));
    findings.extend(reading::listings(scope).await);
    findings.push(Finding::of(Capability::Delete, reading::delete(scope).await));
    findings.push(Finding::of(Capability::DeleteMany, reading::delete_many(scope).await));
    Ok(findings)
}
