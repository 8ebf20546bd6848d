//! The obligations of [`TransactionalTarget`], T1 to T4.

use graphstream_format::{Lineage, Position};

use super::journal::Journal;
use super::outcome::{effects_are, expect_error, position_is};
use super::{Outcome, TargetFactory};
use crate::{Error, TransactionalTarget};

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
