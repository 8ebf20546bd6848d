//! The obligations of [`ReplayTarget`](crate::ReplayTarget), R1 to R9.

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};

use super::journal::{Journal, chained};
use super::outcome::{check, effects_are, expect_error, position_is};
use super::{Outcome, TargetFactory};
use crate::{Error, ErrorClass, Guarantee, LineBatch, ReplayEntry, ReplayTarget};

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

/// R5: a target without a position takes its first batch wherever the caller starts, and goes on from there.
///
/// # Errors
/// The obligation that isn't kept.
pub fn first_batch_may_start_anywhere(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let place = factory.fresh();
    let mut target = factory.open(&place)?;
    let before = 1_000_000;
    let moved = |mut batch: Vec<ReplayEntry>| {
        for entry in &mut batch {
            entry.sequence += before;
        }
        batch
    };
    let head = journal.head();
    for (first, last) in [(1, head + 2), (head + 3, head + 3)] {
        let batch = moved(journal.range(first, last)?);
        let position = Position { sequence: before + last, ..journal.position(last)? };
        target.apply(&batch, position)?;
        position_is(target.as_mut(), Some(position))?;
        drop(target);
        target = factory.open(&place)?;
        position_is(target.as_mut(), Some(position))?;
    }
    target.close()?;
    drop(target);
    effects_are(factory, &place, 3)
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

/// R7, R9: whatever an entry holds, it is applied, or refused with its sequence and a reason; the target goes on.
///
/// # Errors
/// The obligation that isn't kept.
pub fn odd_entries_are_applied_or_refused(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    let mut here = journal.position(journal.head())?;
    let mut recorded = target.position()?;
    for entry in odd_entries(factory) {
        let entry = chained(here.sequence + 1, here.chain_hash, entry)?;
        let next = entry.position(here.lineage);
        match target.apply(&[entry], next) {
            Ok(()) => {
                here = next;
                recorded = Some(next);
            }
            Err(error) => expect_error("R7", "Poison with its sequence and a reason", Err(error), |error| {
                matches!(error, Error::Poison { sequence, .. } if *sequence == next.sequence)
                    && error.reason().is_some_and(|reason| !reason.is_empty())
            })?,
        }
        position_is(target.as_mut(), recorded)?;
    }
    drop(target);
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), recorded)?;
    target.close()?;
    Ok(())
}

/// Statements that are none, and the first statement with a parameter of every kind that it doesn't use.
fn odd_entries(factory: &dyn TargetFactory) -> Vec<JournalEntry> {
    let deep = (0..40).fold(ParamValue::Null, |inner, _| ParamValue::List(vec![inner]));
    let temporal = |kind, text: &str| ParamValue::Temporal { kind, text: text.to_owned() };
    let values = [
        ParamValue::Null,
        ParamValue::Bool(true),
        ParamValue::Int64(i64::MIN),
        ParamValue::Double(f64::NAN),
        ParamValue::Double(f64::NEG_INFINITY),
        ParamValue::Double(-0.0),
        ParamValue::String("\0\n\u{2028}\u{1f980}".to_owned()),
        ParamValue::String("x".repeat(1 << 20)),
        ParamValue::List(Vec::new()),
        ParamValue::List(vec![ParamValue::Int64(1), ParamValue::String("mixed".to_owned())]),
        ParamValue::Map(Vec::new()),
        ParamValue::Map(vec![("$date".to_owned(), ParamValue::String("not a date".to_owned()))]),
        ParamValue::Bytes((0..=255).collect()),
        temporal(TemporalKind::Date, "2024-02-29"),
        temporal(TemporalKind::Date, "-999999999-01-01"),
        temporal(TemporalKind::DateTime, "2024-02-29T12:00:00.123456789+01:00[Europe/Berlin]"),
        temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.5"),
        temporal(TemporalKind::Time, "12:00:00+01:00"),
        temporal(TemporalKind::LocalTime, "12:00:00.5"),
        temporal(TemporalKind::Duration, "P1Y2M3DT4H5M6.5S"),
        ParamValue::Point { srid: 4979, x: 1.0, y: f64::INFINITY, z: Some(f64::NAN) },
        ParamValue::Uuid("00112233-4455-6677-8899-aabbccddeeff".to_owned()),
        ParamValue::Decimal("-123456789012345678901234567890.5E-7".to_owned()),
        ParamValue::Int128("-170141183460469231731687303715884105728".to_owned()),
        deep,
    ];
    let queries = [";", "\0", "no statement", "'", "/*", "\u{1f980}"];
    let mut all: Vec<_> = queries.into_iter().map(|query| JournalEntry::new(query, i64::MIN)).collect();
    for (n, value) in (1..).zip(values) {
        all.push(factory.statement(n).with_param("odd", value.clone()));
        all.push(factory.statement(n).with_param("a name, $odd", value));
    }
    all
}

/// R10: lines have the effect of entries, are refused where these are, and count when the target has said where it stands; killed before, it has
/// some of them, from the first on.
///
/// # Errors
/// The obligation that isn't kept.
pub fn lines_are_as_good_as_entries(factory: &dyn TargetFactory) -> Outcome {
    let mut journal = Journal::new(factory);
    let (place, mut target) = journal.prepared()?;
    if !target.takes_lines() {
        let refused = target.apply_lines(&LineBatch::new(Lineage::from_bytes([7; 16]))).map(drop);
        return expect_error("R10", "State", refused, |error| matches!(error, Error::State { .. }));
    }
    let head = journal.head();
    for (first, last) in [(head + 1, head + 1), (head + 2, head + 4), (head + 5, head + 5)] {
        target.apply_lines(&lines(&journal.range(first, last)?, journal.position(last)?.lineage))?;
    }
    let here = journal.position(head + 5)?;
    position_is(target.as_mut(), Some(here))?;
    let again = lines(&journal.range(head + 3, head + 6)?, here.lineage);
    expect_error("R5", "Backwards", target.apply_lines(&again).map(drop), |error| {
        matches!(error, Error::Backwards { .. })
    })?;
    let beyond = lines(&journal.range(head + 7, head + 7)?, here.lineage);
    expect_error("R5", "Gap", target.apply_lines(&beyond).map(drop), |error| {
        matches!(error, Error::Gap { .. })
    })?;
    let mut holed = journal.range(head + 6, head + 8)?;
    holed.remove(1);
    expect_error(
        "R5",
        "MalformedBatch",
        target.apply_lines(&lines(&holed, here.lineage)).map(drop),
        |error| matches!(error, Error::MalformedBatch { .. }),
    )?;
    let elsewhere = lines(&journal.range(head + 6, head + 6)?, Lineage::from_bytes([0xdd; 16]));
    expect_error("R4", "WrongLineage", target.apply_lines(&elsewhere).map(drop), |error| {
        matches!(error, Error::WrongLineage { .. })
    })?;
    // Killed: what was said of its position stays.
    drop(target);
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), Some(here))?;
    // Killed before it has said anything, entries after lines make all durable, and so does closing.
    target.apply_lines(&lines(&journal.range(head + 6, head + 7)?, here.lineage))?;
    drop(target);
    let mut target = factory.open(&place)?;
    let found = target.position()?.map_or(0, |position| position.sequence);
    check("R10", (head + 5..=head + 7).contains(&found), || format!("it stands at {found}"))?;
    position_is(target.as_mut(), Some(journal.position(found)?))?;
    target.apply_lines(&lines(&journal.range(found + 1, head + 8)?, here.lineage))?;
    journal.apply(target.as_mut(), head + 9, head + 9)??;
    target.apply_lines(&lines(&journal.range(head + 10, head + 10)?, here.lineage))?;
    target.close()?;
    drop(target);
    let mut target = factory.open(&place)?;
    position_is(target.as_mut(), Some(journal.position(head + 10)?))?;
    drop(target);
    effects_are(factory, &place, 10)
}

fn lines(batch: &[ReplayEntry], lineage: Lineage) -> LineBatch {
    let mut lines = LineBatch::new(lineage);
    for entry in batch {
        lines.push(entry.sequence, entry.commit_ms, entry.chain_hash, &entry.entry);
    }
    lines
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
