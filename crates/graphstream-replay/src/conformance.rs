//! Whether a target keeps the obligations of [`ReplayTarget`](crate::ReplayTarget) and [`TransactionalTarget`]: plain
//! functions over a factory, each callable alone.
//!
//! ```no_run
//! # use graphstream_replay::conformance::{self, TargetFactory};
//! # fn check(factory: &dyn TargetFactory) {
//! conformance::all(factory).unwrap();
//! # }
//! ```
//!
//! Every case works in a place of its own. A crash between two calls is played by dropping the target without closing it,
//! and opening the place again. A case fails with a [`Broken`] that names the obligation; it doesn't panic. Crashes *inside*
//! a call need a process that is killed: the tests of each target do that.

use std::path::PathBuf;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::JournalEntry;

use crate::{Error, ErrorClass, Guarantee, ReplayEntry, ReplayTarget, Result, TransactionalTarget};

/// Makes targets for the suite, and looks into them.
pub trait TargetFactory {
    /// A path at which nothing is yet. It stays until the factory is dropped.
    fn fresh(&self) -> PathBuf;

    /// Opens the target at a path: a new one, or what an earlier one left.
    ///
    /// # Errors
    /// The target's.
    fn open(&self, place: &std::path::Path) -> Result<Box<dyn ReplayTarget>>;

    /// The same, for targets that a leader can write through.
    ///
    /// # Errors
    /// The target's.
    fn open_transactional(&self, place: &std::path::Path) -> Option<Result<Box<dyn TransactionalTarget>>> {
        let _ = place;
        None
    }

    /// The `n`th statement. Each has an effect that [`effects`](Self::effects) counts, and may be applied once only.
    fn statement(&self, n: u64) -> JournalEntry;

    /// Statements that run before the first one of a journal, such as a table's declaration. They count for no effect.
    fn schema(&self) -> Vec<JournalEntry> {
        Vec::new()
    }

    /// A statement that the target can't apply; `None` if it takes anything.
    fn poison(&self) -> Option<JournalEntry>;

    /// How many effects of [`statement`](Self::statement) are at a place whose target is closed.
    fn effects(&self, place: &std::path::Path) -> u64;

    /// Whether the target records a position without entries.
    fn can_skip(&self) -> bool {
        true
    }
}

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

fn check(obligation: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Broken { obligation, detail: detail(), source: None }) }
}

fn expect_error(
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

/// A case.
pub type Case = fn(&dyn TargetFactory) -> Outcome;

/// All cases, by name.
pub const CASES: &[(&str, Case)] = &[
    ("fresh_target_has_no_position", fresh_target_has_no_position),
    ("position_is_exact_after_every_call", position_is_exact_after_every_call),
    ("batches_of_any_size_have_the_same_effect", batches_of_any_size_have_the_same_effect),
    ("empty_batch", empty_batch),
    ("wrong_lineage", wrong_lineage),
    ("backwards_and_gaps", backwards_and_gaps),
    ("malformed_batch", malformed_batch),
    ("poison_leaves_nothing", poison_leaves_nothing),
    ("reopen_and_close_are_idempotent", reopen_and_close_are_idempotent),
    ("transactions", transactions),
    ("transaction_rules", transaction_rules),
];

/// Runs all cases.
///
/// # Errors
/// The first obligation that isn't kept.
pub fn all(factory: &dyn TargetFactory) -> Outcome {
    for (name, case) in CASES {
        case(factory).map_err(|broken| Broken { detail: format!("{name}: {}", broken.detail), ..broken })?;
    }
    Ok(())
}

/// A journal of the factory's statements, made as far as it is needed.
struct Journal<'a> {
    factory: &'a dyn TargetFactory,
    lineage: Lineage,
    schema: Vec<JournalEntry>,
    entries: Vec<ReplayEntry>,
}

impl<'a> Journal<'a> {
    fn new(factory: &'a dyn TargetFactory) -> Self {
        let lineage = Lineage::from_bytes([0xc0; 16]);
        Self { factory, lineage, schema: factory.schema(), entries: Vec::new() }
    }

    /// How many entries come before the first statement.
    fn head(&self) -> u64 {
        self.schema.len() as u64
    }

    /// The entries `first..=last`.
    fn range(&mut self, first: u64, last: u64) -> Result<Vec<ReplayEntry>, Broken> {
        while (self.entries.len() as u64) < last {
            let n = self.entries.len();
            let entry = match self.schema.get(n) {
                Some(entry) => entry.clone(),
                None => self.factory.statement((n - self.schema.len()) as u64 + 1),
            };
            let before = self.entries.last().map_or(ChainHash::ZERO, |entry| entry.chain_hash);
            self.entries.push(chained(n as u64 + 1, before, entry)?);
        }
        let from = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
        let to = usize::try_from(last).unwrap_or(usize::MAX);
        Ok(self.entries.get(from..to).unwrap_or_default().to_vec())
    }

    fn position(&mut self, sequence: u64) -> Result<Position, Broken> {
        let chain_hash = match sequence {
            0 => ChainHash::ZERO,
            _ => self.range(sequence, sequence)?.first().map_or(ChainHash::ZERO, |entry| entry.chain_hash),
        };
        Ok(Position { lineage: self.lineage, sequence, chain_hash })
    }

    fn apply(&mut self, target: &mut dyn ReplayTarget, first: u64, last: u64) -> Result<Result<()>, Broken> {
        let batch = self.range(first, last)?;
        let position = self.position(last)?;
        Ok(target.apply(&batch, position))
    }

    /// A target with the schema applied, and where.
    fn prepared(&mut self) -> Result<(PathBuf, Box<dyn ReplayTarget>), Broken> {
        let place = self.factory.fresh();
        let mut target = self.factory.open(&place)?;
        if self.head() > 0 {
            self.apply(target.as_mut(), 1, self.head())??;
        }
        Ok((place, target))
    }
}

fn chained(sequence: u64, before: ChainHash, entry: JournalEntry) -> Result<ReplayEntry, Broken> {
    let payload = entry.encode().map_err(|error| Broken {
        obligation: "-",
        detail: format!("the factory's entry {sequence} can't be encoded: {error}"),
        source: None,
    })?;
    let commit_ms = 1_700_000_000_000_i64.saturating_add_unsigned(sequence);
    Ok(ReplayEntry { sequence, commit_ms, chain_hash: before.after(&payload), entry })
}

fn effects_are(factory: &dyn TargetFactory, place: &std::path::Path, expected: u64) -> Outcome {
    let found = factory.effects(place);
    check("R1", found == expected, || format!("expected {expected} effects, found {found}"))
}

fn position_is(target: &mut dyn ReplayTarget, expected: Option<Position>) -> Outcome {
    let found = target.position()?;
    check("R3", found == expected, || format!("expected position {expected:?}, found {found:?}"))
}

/// R3: no position before the first batch, also after reopening.
///
/// # Errors
/// The obligation that isn't kept.
pub fn fresh_target_has_no_position(factory: &dyn TargetFactory) -> Outcome {
    let place = factory.fresh();
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), None)?;
    drop(target);
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), None)?;
    check("R3", target.guarantee() == Guarantee::ExactlyOnce, || {
        "a target that remembers nothing can't be checked".to_owned()
    })?;
    target.close()?;
    Ok(())
}

/// R1, R2, R3: a crash after any call finds exactly what was applied.
///
/// # Errors
/// The obligation that isn't kept.
pub fn position_is_exact_after_every_call(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    let mut at = head;
    for size in [1, 3, 1, 7] {
        journal.apply(target.as_mut(), at + 1, at + size)??;
        at += size;
        let expected = journal.position(at)?;
        position_is(target.as_mut(), Some(expected))?;
        // Killed: nothing is closed.
        drop(target);
        target = factory.open(&place)?;
        position_is(target.as_mut(), Some(expected))?;
    }
    target.close()?;
    drop(target);
    effects_are(factory, &place, at - head)
}

/// R1: how entries are cut into batches makes no difference.
///
/// # Errors
/// The obligation that isn't kept.
pub fn batches_of_any_size_have_the_same_effect(factory: &dyn TargetFactory) -> Outcome {
    for size in [1, 5, 24] {
        let mut journal = Journal::new(factory);
        let (place, mut target) = journal.prepared()?;
        let head = journal.head();
        let mut at = head;
        while at < head + 24 {
            let last = (at + size).min(head + 24);
            journal.apply(target.as_mut(), at + 1, last)??;
            at = last;
        }
        position_is(target.as_mut(), Some(journal.position(at)?))?;
        target.close()?;
        drop(target);
        effects_are(factory, &place, 24)?;
    }
    Ok(())
}

/// R6: an empty batch does nothing, or moves the position alone.
///
/// # Errors
/// The obligation that isn't kept.
pub fn empty_batch(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let place = factory.fresh();
    let mut target = factory.open(&place)?;
    let nowhere = journal.position(0)?;
    target.apply(&[], nowhere)?;
    position_is(target.as_mut(), None)?;
    let head = journal.head();
    journal.apply(target.as_mut(), 1, head + 2)??;
    let here = journal.position(head + 2)?;
    target.apply(&[], here)?;
    position_is(target.as_mut(), Some(here))?;
    expect_error("R5", "Backwards", target.apply(&[], journal.position(head + 1)?), |error| {
        matches!(error, Error::Backwards { .. })
    })?;
    let forked = Position { chain_hash: ChainHash::from_bytes([9; 32]), ..here };
    expect_error("R6", "Forked", target.apply(&[], forked), |error| matches!(error, Error::Forked { .. }))?;
    position_is(target.as_mut(), Some(here))?;
    let skipped = journal.position(head + 3)?;
    let mut effects = 2;
    if factory.can_skip() {
        target.apply(&[], skipped)?;
        position_is(target.as_mut(), Some(skipped))?;
        drop(target);
        target = factory.open(&place)?;
        position_is(target.as_mut(), Some(skipped))?;
        journal.apply(target.as_mut(), head + 4, head + 4)??;
        effects += 1;
    } else {
        expect_error("R6", "CannotSkip or Poison", target.apply(&[], skipped), |error| {
            matches!(error, Error::CannotSkip { .. } | Error::Poison { .. })
        })?;
        position_is(target.as_mut(), Some(here))?;
    }
    target.close()?;
    drop(target);
    effects_are(factory, &place, effects)
}

/// R4: a target follows one lineage.
///
/// # Errors
/// The obligation that isn't kept.
pub fn wrong_lineage(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    journal.apply(target.as_mut(), head + 1, head + 1)??;
    let here = journal.position(head + 1)?;
    let batch = journal.range(head + 2, head + 2)?;
    let elsewhere = Position { lineage: Lineage::from_bytes([0xdd; 16]), ..journal.position(head + 2)? };
    for reopened in [false, true] {
        if reopened {
            drop(target);
            target = factory.open(&place)?;
        }
        for batch in [&batch[..], &[]] {
            expect_error("R4", "WrongLineage", target.apply(batch, elsewhere), |error| {
                matches!(error, Error::WrongLineage { .. })
            })?;
        }
        position_is(target.as_mut(), Some(here))?;
    }
    // R8: it goes on.
    journal.apply(target.as_mut(), head + 2, head + 2)??;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 2)
}

/// R5: neither a repetition nor a hole.
///
/// # Errors
/// The obligation that isn't kept.
pub fn backwards_and_gaps(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    journal.apply(target.as_mut(), head + 1, head + 5)??;
    let here = journal.position(head + 5)?;
    for reopened in [false, true] {
        if reopened {
            drop(target);
            target = factory.open(&place)?;
        }
        for (first, last) in [(head + 5, head + 5), (head + 1, head + 5), (head + 3, head + 9)] {
            expect_error("R5", "Backwards", journal.apply(target.as_mut(), first, last)?, |error| {
                matches!(error, Error::Backwards { .. })
            })?;
        }
        expect_error("R5", "Gap", journal.apply(target.as_mut(), head + 7, head + 8)?, |error| {
            matches!(error, Error::Gap { .. })
        })?;
        position_is(target.as_mut(), Some(here))?;
    }
    journal.apply(target.as_mut(), head + 6, head + 6)??;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 6)
}

/// R5: entries that don't follow each other, or don't end at the position.
///
/// # Errors
/// The obligation that isn't kept.
pub fn malformed_batch(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    let here = target.position()?;
    let mut holed = journal.range(head + 1, head + 3)?;
    holed.remove(1);
    let whole = journal.range(head + 1, head + 2)?;
    let short = journal.position(head + 1)?;
    let end = journal.position(head + 3)?;
    for (batch, position) in [(&holed, end), (&whole, short), (&whole, end)] {
        expect_error("R5", "MalformedBatch", target.apply(batch, position), |error| {
            matches!(error, Error::MalformedBatch { .. })
        })?;
        position_is(target.as_mut(), here)?;
    }
    target.close()?;
    drop(target);
    effects_are(factory, &place, 0)
}

/// R1, R7, R8: an entry that can't be applied, at any place in a batch, leaves nothing of the batch; then it goes on.
///
/// # Errors
/// The obligation that isn't kept.
pub fn poison_leaves_nothing(factory: &dyn TargetFactory) -> Outcome {
    let Some(poison) = factory.poison() else { return Ok(()) };
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    journal.apply(target.as_mut(), head + 1, head + 2)??;
    let here = journal.position(head + 2)?;
    for at in 0..4_u64 {
        let mut batch = journal.range(head + 3, head + 6)?;
        let mut before = here.chain_hash;
        for (n, entry) in batch.iter_mut().enumerate() {
            if n as u64 == at {
                entry.entry = poison.clone();
            }
            *entry = chained(entry.sequence, before, entry.entry.clone())?;
            before = entry.chain_hash;
        }
        let position = Position { lineage: here.lineage, sequence: head + 6, chain_hash: before };
        expect_error("R7", "Poison with its sequence", target.apply(&batch, position), |error| {
            matches!(error, Error::Poison { sequence, .. } if *sequence == head + 3 + at)
                && error.class() == ErrorClass::Poison
                && error.reason().is_some_and(|reason| !reason.is_empty())
        })?;
        position_is(target.as_mut(), Some(here))?;
    }
    drop(target);
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), Some(here))?;
    journal.apply(target.as_mut(), head + 3, head + 6)??;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 6)
}

/// R8: reopening and closing, once and again.
///
/// # Errors
/// The obligation that isn't kept.
pub fn reopen_and_close_are_idempotent(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let head = journal.head();
    journal.apply(target.as_mut(), head + 1, head + 1)??;
    let here = journal.position(head + 1)?;
    target.reopen()?;
    target.reopen()?;
    position_is(target.as_mut(), Some(here))?;
    target.close()?;
    target.close()?;
    let after = journal.apply(target.as_mut(), head + 2, head + 2)?;
    expect_error("R8", "an error after close", after, |error| error.class() == ErrorClass::Gone)?;
    target.reopen()?;
    position_is(target.as_mut(), Some(here))?;
    journal.apply(target.as_mut(), head + 2, head + 2)??;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 2)
}

/// T1 to T3: what is committed is there with its position, what isn't is not.
///
/// # Errors
/// The obligation that isn't kept.
pub fn transactions(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, target) = journal.prepared()?;
    drop(target);
    let Some(target) = factory.open_transactional(&place) else { return Ok(()) };
    let mut target = target?;
    let head = journal.head();
    let run = |target: &mut dyn TransactionalTarget, journal: &mut Journal<'_>, sequence| -> Outcome {
        for entry in journal.range(sequence, sequence)? {
            target.execute(&entry.entry)?;
        }
        Ok(())
    };
    target.begin()?;
    run(target.as_mut(), &mut journal, head + 1)?;
    target.commit(journal.position(head + 1)?)?;
    let here = journal.position(head + 1)?;
    position_is(&mut target, Some(here))?;
    // Rolled back, also with a statement that failed in it.
    target.begin()?;
    run(target.as_mut(), &mut journal, head + 2)?;
    target.rollback()?;
    target.rollback()?;
    if let Some(poison) = factory.poison() {
        target.begin()?;
        run(target.as_mut(), &mut journal, head + 2)?;
        expect_error("T2", "Statement", target.execute(&poison), |error| {
            matches!(error, Error::Statement { .. })
        })?;
        expect_error(
            "T2",
            "an error: only rollback is left",
            target.commit(journal.position(head + 2)?),
            |_| true,
        )?;
        target.rollback()?;
    }
    position_is(&mut target, Some(here))?;
    // Killed before the commit.
    target.begin()?;
    run(target.as_mut(), &mut journal, head + 2)?;
    drop(target);
    let Some(target) = factory.open_transactional(&place) else { return Ok(()) };
    let mut target = target?;
    position_is(&mut target, Some(here))?;
    // Several statements, one position.
    target.begin()?;
    run(target.as_mut(), &mut journal, head + 2)?;
    run(target.as_mut(), &mut journal, head + 3)?;
    target.commit(journal.position(head + 3)?)?;
    // A leader replays what its database missed.
    journal.apply(&mut target, head + 4, head + 6)??;
    position_is(&mut target, Some(journal.position(head + 6)?))?;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 6)
}

/// T4 and the order of calls.
///
/// # Errors
/// The obligation that isn't kept.
pub fn transaction_rules(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, target) = journal.prepared()?;
    drop(target);
    let Some(target) = factory.open_transactional(&place) else { return Ok(()) };
    let mut target = target?;
    let head = journal.head();
    let is_state = |error: &Error| matches!(error, Error::State { .. });
    let next = journal.position(head + 1)?;
    expect_error("T4", "State", target.execute(&factory.statement(1)), is_state)?;
    expect_error("T4", "State", target.commit(next), is_state)?;
    target.begin()?;
    expect_error("T4", "State", target.begin(), is_state)?;
    expect_error("T4", "State", journal.apply(&mut target, head + 1, head + 1)?, is_state)?;
    target.execute(&factory.statement(1))?;
    target.commit(next)?;
    for (position, what) in
        [(journal.position(head + 1)?, "Backwards"), (journal.position(head)?, "Backwards")]
    {
        target.begin()?;
        expect_error("R5", what, target.commit(position), |error| matches!(error, Error::Backwards { .. }))?;
        target.rollback()?;
    }
    let elsewhere = Position { lineage: Lineage::from_bytes([0xdd; 16]), ..journal.position(head + 2)? };
    target.begin()?;
    expect_error("R4", "WrongLineage", target.commit(elsewhere), |error| {
        matches!(error, Error::WrongLineage { .. })
    })?;
    target.rollback()?;
    position_is(&mut target, Some(next))?;
    target.close()?;
    drop(target);
    effects_are(factory, &place, 1)
}
