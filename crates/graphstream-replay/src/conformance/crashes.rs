//! Crashes between any two calls: a run of calls is cut off after each of them, and what is found must be what they had made.

use std::path::Path;

use graphstream_format::Position;

use super::journal::{Journal, chained};
use super::outcome::{check, effects_are, position_is};
use super::{Broken, Outcome, TargetFactory};
use crate::{BatchStep, Error, ReplayTarget, TransactionalTarget, check_batch};

/// A call of a run.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// So many entries.
    Apply(u64),
    /// As many, of which the middle one can't be applied.
    ApplyPoison(u64),
    /// The position that it has, again.
    Nothing,
    /// The next position, without its entry.
    Skip,
    Position,
    Reopen,
    Close,
}

/// The calls that a follower makes, in an order that has each behind several others.
const CALLS: &[Call] = &[
    Call::Position,
    Call::Apply(1),
    Call::Apply(3),
    Call::ApplyPoison(3),
    Call::Apply(2),
    Call::Nothing,
    Call::Reopen,
    Call::Skip,
    Call::Position,
    Call::Apply(1),
    Call::ApplyPoison(1),
    Call::Skip,
    Call::Close,
    Call::Reopen,
    Call::Apply(2),
    Call::Nothing,
    Call::Close,
];

/// What a target must hold.
#[derive(Debug, Clone, Copy)]
struct Expected {
    sequence: u64,
    effects: u64,
}

/// R1, R2, R3, R7: killed between any two calls, a target has what the calls before made, with their position, and nothing else; and it
/// goes on from there.
///
/// # Errors
/// The obligation that isn't kept.
pub fn crash_between_any_two_calls(factory: &dyn TargetFactory) -> Outcome {
    for cut in 0..=CALLS.len() {
        let mut journal = Journal::new(factory);
        let (place, mut target) = journal.prepared()?;
        let head = journal.head();
        let mut expected = Expected { sequence: head, effects: 0 };
        let (before, _) = CALLS.split_at(cut);
        for call in before {
            make(factory, &mut journal, target.as_mut(), *call, &mut expected)
                .map_err(|broken| after(broken, before))?;
        }
        // Killed: nothing is closed.
        drop(target);
        recovered(factory, &mut journal, &place, expected).map_err(|broken| after(broken, before))?;
    }
    Ok(())
}

fn after(broken: Broken, calls: &[Call]) -> Broken {
    Broken { detail: format!("{} (killed after {calls:?})", broken.detail), ..broken }
}

/// What is there after a kill, and that it goes on.
fn recovered(
    factory: &dyn TargetFactory,
    journal: &mut Journal<'_>,
    place: &Path,
    expected: Expected,
) -> Outcome {
    let mut target = factory.open(place)?;
    let found = target.position()?;
    let wanted = journal.position(expected.sequence)?;
    // A target without any batch has none.
    let fits = found == Some(wanted) || (found.is_none() && expected.sequence == 0);
    check("R3", fits, || format!("expected position {wanted:?}, found {found:?}"))?;
    journal.apply(target.as_mut(), expected.sequence + 1, expected.sequence + 2)??;
    target.close()?;
    drop(target);
    effects_are(factory, place, expected.effects + 2)
}

fn make(
    factory: &dyn TargetFactory,
    journal: &mut Journal<'_>,
    target: &mut dyn ReplayTarget,
    call: Call,
    expected: &mut Expected,
) -> Outcome {
    let at = expected.sequence;
    match call {
        Call::Apply(entries) => {
            journal.apply(target, at + 1, at + entries)??;
            *expected = Expected { sequence: at + entries, effects: expected.effects + entries };
        }
        Call::ApplyPoison(entries) => {
            let Some(poison) = factory.poison() else { return Ok(()) };
            let mut batch = journal.range(at + 1, at + entries)?;
            let mut before = journal.position(at)?.chain_hash;
            for (n, entry) in batch.iter_mut().enumerate() {
                if n as u64 == entries / 2 {
                    entry.entry = poison.clone();
                }
                *entry = chained(entry.sequence, before, entry.entry.clone())?;
                before = entry.chain_hash;
            }
            let position = Position { sequence: at + entries, chain_hash: before, ..journal.position(at)? };
            let refused = matches!(target.apply(&batch, position), Err(Error::Poison { .. }));
            check("R7", refused, || "expected Poison".to_owned())?;
        }
        Call::Nothing => {
            let here = journal.position(at)?;
            let is_nothing =
                matches!(check_batch("", target.position()?.as_ref(), &[], &here), Ok(BatchStep::Nothing));
            if is_nothing {
                target.apply(&[], here)?;
            }
        }
        Call::Skip if factory.can_skip() => {
            target.apply(&[], journal.position(at + 1)?)?;
            expected.sequence += 1;
        }
        Call::Skip => {}
        Call::Position => drop(target.position()?),
        Call::Reopen => target.reopen()?,
        Call::Close => target.close()?,
    }
    Ok(())
}

/// A call of a leader's run.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Execute,
    Commit,
    Rollback,
    Apply,
}

const STEPS: &[Step] = &[
    Step::Begin,
    Step::Execute,
    Step::Commit,
    Step::Apply,
    Step::Begin,
    Step::Execute,
    Step::Execute,
    Step::Rollback,
    Step::Begin,
    Step::Execute,
    Step::Execute,
    Step::Commit,
    Step::Begin,
    Step::Commit,
    Step::Apply,
];

/// T1 to T3: killed between any two calls of a leader, its database has what was committed, and nothing of an open transaction.
///
/// # Errors
/// The obligation that isn't kept.
pub fn crash_between_any_two_steps_of_a_leader(factory: &dyn TargetFactory) -> Outcome {
    for cut in 0..=STEPS.len() {
        let mut journal = Journal::new(factory);
        let (place, target) = journal.prepared()?;
        drop(target);
        let Some(target) = factory.open_transactional(&place) else { return Ok(()) };
        let mut target = target?;
        let head = journal.head();
        let mut expected = Expected { sequence: head, effects: 0 };
        let mut open = 0;
        for step in STEPS.iter().take(cut) {
            take(&mut journal, target.as_mut(), *step, &mut expected, &mut open)?;
        }
        drop(target);
        recovered(factory, &mut journal, &place, expected).map_err(|broken| Broken {
            detail: format!("{} (killed after {:?})", broken.detail, STEPS.get(..cut)),
            ..broken
        })?;
    }
    Ok(())
}

/// `open` counts what the open transaction has executed.
fn take(
    journal: &mut Journal<'_>,
    target: &mut dyn TransactionalTarget,
    step: Step,
    expected: &mut Expected,
    open: &mut u64,
) -> Outcome {
    let at = expected.sequence;
    match step {
        Step::Begin => {
            target.begin()?;
            *open = 0;
        }
        Step::Execute => {
            *open += 1;
            for entry in journal.range(at + *open, at + *open)? {
                target.execute(&entry.entry)?;
            }
        }
        Step::Commit => {
            // A commit without a statement moves the position alone, past an entry.
            let sequence = at + (*open).max(1);
            target.commit(journal.position(sequence)?)?;
            *expected = Expected { sequence, effects: expected.effects + *open };
        }
        Step::Rollback => target.rollback()?,
        Step::Apply => {
            journal.apply(target, at + 1, at + 2)??;
            *expected = Expected { sequence: at + 2, effects: expected.effects + 2 };
        }
    }
    position_is(target, Some(journal.position(expected.sequence)?))
}
