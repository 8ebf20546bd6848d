//! How a case ends, and the small checks that cases are made of.

use std::path::Path;

use graphstream_format::Position;

use super::TargetFactory;
use crate::{Error, ReplayTarget, Result};

/// How a case ends.
pub type Outcome = Result<(), Broken>;

/// An obligation that isn't kept.
#[derive(Debug, thiserror::Error)]
#[error("obligation {obligation} is broken: {detail}")]
#[non_exhaustive]
pub struct Broken {
    /// The obligation, `R1` to `R9` of `ReplayTarget`, `T1` to `T5` of `TransactionalTarget`; `-` when a call failed that had no
    /// reason to.
    pub obligation: &'static str,
    /// What was expected and what happened.
    pub detail: String,
    /// The error of the call that should not have failed, or not so.
    pub source: Option<Box<Error>>,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { obligation: "-", detail: format!("unexpected error: {error}"), source: Some(Box::new(error)) }
    }
}

pub(super) fn check(obligation: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Broken { obligation, detail: detail(), source: None }) }
}

pub(super) fn expect_error(
    obligation: &'static str,
    expected: &str,
    result: Result<()>,
    fits: impl FnOnce(&Error) -> bool,
) -> Outcome {
    match result {
        Err(error) if fits(&error) => Ok(()),
        Err(error) => Err(Broken {
            obligation,
            detail: format!("expected {expected}, got another error: {error}"),
            source: Some(Box::new(error)),
        }),
        Ok(()) => {
            Err(Broken { obligation, detail: format!("expected {expected}, it succeeded"), source: None })
        }
    }
}

pub(super) fn effects_are(factory: &dyn TargetFactory, place: &Path, expected: u64) -> Outcome {
    let found = factory.effects(place);
    check("R1", found == expected, || format!("expected {expected} effects, found {found}"))
}

pub(super) fn position_is(target: &mut dyn ReplayTarget, expected: Option<Position>) -> Outcome {
    let found = target.position()?;
    check("R3", found == expected, || format!("expected position {expected:?}, found {found:?}"))
}
