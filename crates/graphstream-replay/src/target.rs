//! The contract of a replay target.

use graphstream_format::Position;
use graphstream_proto::JournalEntry;

use crate::digest::GraphDigest;
use crate::{Error, LineBatch, ReplayEntry, Result};

/// How often an entry can take effect in a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guarantee {
    /// Data and position move in one transaction: an entry takes effect once, whatever crashes.
    ExactlyOnce,
    /// The target can't remember its position: after a restart, entries may come again.
    AtLeastOnce,
}

/// Where entries are replayed into.
///
/// A target blocks: it is driven from a thread of its own. One caller at a time.
///
/// # Obligations
/// 1. **One step.** [`apply`](Self::apply) makes the effects of the whole batch and its position visible together, or
///    changes nothing. An entry that fails in the middle leaves no trace of the entries before it.
/// 2. **Durable.** When `apply` returns `Ok`, data and position survive the death of the process, and of the machine
///    as far as the target's storage keeps what it was told to sync.
/// 3. **Exact.** [`position`](Self::position) is what the last successful `apply` recorded, also after any crash and
///    reopening; `None` only if none ever succeeded.
/// 4. **One lineage.** A batch of another lineage than the recorded one is refused ([`Error::WrongLineage`]).
/// 5. **Forward only.** A batch that starts at or before the recorded sequence ([`Error::Backwards`]), or beyond the next
///    one ([`Error::Gap`]), is refused. Into a target without a position a batch may start anywhere: the caller decides.
/// 6. **Empty batches.** The recorded position again: nothing happens. A later position: it is recorded alone (an operator
///    skipped an entry, or adopts a restored database); a target that derives its position from its data
///    refuses with [`Error::CannotSkip`].
/// 7. **Nothing is skipped.** An entry the target can't apply is [`Error::Poison`] with its sequence and the target's
///    own words. A value it can't hold is such an entry; it is never replaced by null.
/// 8. **Refusals keep it usable.** After an error of any class but [`Gone`](crate::ErrorClass::Gone) and
///    [`Protocol`](crate::ErrorClass::Protocol) the target can be called again. After these two only
///    [`reopen`](Self::reopen) may be called; then `position` tells which of the two worlds came true.
/// 9. **No panic**, whatever the entries hold.
/// 10. **Lines.** [`apply_lines`](Self::apply_lines) keeps all of these but 2: what it has not made durable is so when the next `apply`,
///     `apply_lines` that says so, `position` or `close` returns without an error. A crash before leaves the first of those entries, any number,
///     with the position of the last of them.
///
/// [`check_batch`] does 4, 5 and 6. Exempt from 3 are targets with [`Guarantee::AtLeastOnce`]: they know only what this
/// process applied.
pub trait ReplayTarget: Send {
    /// How messages call it, such as `jsonl:out.jsonl`. Without credentials.
    fn name(&self) -> &str;

    /// How often an entry can take effect.
    fn guarantee(&self) -> Guarantee;

    /// The recorded position, `None` before the first batch.
    ///
    /// # Errors
    /// [`Error::Gone`] when the target can't be asked, [`Error::DamagedPosition`] when its answer makes no sense.
    fn position(&mut self) -> Result<Option<Position>>;

    /// Applies a batch of consecutive entries; `position` is that of its last entry.
    ///
    /// # Errors
    /// See the obligations; in every case nothing was applied, except after [`Error::Gone`], where it is not known.
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()>;

    /// Whether batches should come as lines: from a target that would make these of them. Making them where entries are decoded, many at a
    /// time, is cheaper than having another thread look at each value.
    fn takes_lines(&self) -> bool {
        false
    }

    /// As [`apply`](Self::apply), with entries that are lines, and perhaps with more at hand: returns whether they are durable. A sync may be put off
    /// for the lines that follow, not without a bound.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); [`Error::State`] from a target that takes none. After [`Error::Gone`] lines that were taken before and are not durable
    /// are as unknown as these.
    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        let _ = lines;
        Err(Error::State {
            target: self.name().to_owned(),
            attempt: "take lines",
            state: "it is given entries as they are",
        })
    }

    /// Drops whatever is unfinished and starts again from what is durable, as a new process would.
    ///
    /// # Errors
    /// As when it was opened first. It may be called again after an error.
    fn reopen(&mut self) -> Result<()>;

    /// A digest of what is in the database, the same wherever the same entries were applied; `None` from a target that can't tell.
    /// It looks at everything.
    ///
    /// # Errors
    /// [`Error::Gone`] when the database can't be read.
    fn state_digest(&mut self) -> Result<Option<GraphDigest>> {
        Ok(None)
    }

    /// Finishes: everything applied is durable, files are closed, a child has ended. A second call does nothing.
    ///
    /// # Errors
    /// [`Error::Gone`] if the end wasn't clean. What was applied stays applied.
    fn close(&mut self) -> Result<()>;
}

/// A database that a leader writes through: the mutation runs inside an open transaction, is journaled, and is then
/// committed together with its position.
///
/// ```text
///          begin            execute (any number)          journal: append, synced
/// closed ─────────▶ open ────────────────────────▶ open ─────────────────────────▶ commit(position) ──▶ closed
///                     └──────────────────────────────┴──── rollback ──▶ closed
/// ```
///
/// # Obligations, beyond those of [`ReplayTarget`]
/// 1. `execute` forces everything that could fail at commit (constraints, values, locks): after it succeeded, `commit`
///    fails only when the database itself is gone.
/// 2. A statement that fails leaves no effect in the open transaction, or the transaction refuses everything but
///    `rollback`.
/// 3. `commit` makes the effects and the position durable in one step. After an error it isn't known whether it did:
///    [`reopen`](ReplayTarget::reopen), ask for the position, replay from there.
/// 4. `apply` is refused while a transaction is open ([`Error::State`]).
/// 5. A statement that can't run inside a transaction is refused, so it is never journaled.
pub trait TransactionalTarget: ReplayTarget {
    /// Opens the transaction.
    ///
    /// # Errors
    /// [`Error::State`] if one is open, [`Error::Gone`] if the database is.
    fn begin(&mut self) -> Result<()>;

    /// Runs one statement in the open transaction.
    ///
    /// # Errors
    /// [`Error::Statement`] with the database's words: roll back, nothing is journaled.
    fn execute(&mut self, entry: &JournalEntry) -> Result<()>;

    /// Undoes the open transaction. Without one it does nothing.
    ///
    /// # Errors
    /// [`Error::Gone`] if the database can't even do that.
    fn rollback(&mut self) -> Result<()>;

    /// Commits the open transaction and records `position` in it.
    ///
    /// # Errors
    /// [`Error::WrongLineage`], [`Error::Backwards`] before anything is done (the transaction stays open);
    /// [`Error::Gone`] when it isn't known whether it took effect.
    fn commit(&mut self, position: Position) -> Result<()>;
}

impl<T: ReplayTarget + ?Sized> ReplayTarget for &mut T {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn guarantee(&self) -> Guarantee {
        (**self).guarantee()
    }
    fn position(&mut self) -> Result<Option<Position>> {
        (**self).position()
    }
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        (**self).apply(batch, position)
    }
    fn takes_lines(&self) -> bool {
        (**self).takes_lines()
    }
    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        (**self).apply_lines(lines)
    }
    fn reopen(&mut self) -> Result<()> {
        (**self).reopen()
    }
    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}

impl<T: ReplayTarget + ?Sized> ReplayTarget for Box<T> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn guarantee(&self) -> Guarantee {
        (**self).guarantee()
    }
    fn position(&mut self) -> Result<Option<Position>> {
        (**self).position()
    }
    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        (**self).apply(batch, position)
    }
    fn takes_lines(&self) -> bool {
        (**self).takes_lines()
    }
    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        (**self).apply_lines(lines)
    }
    fn reopen(&mut self) -> Result<()> {
        (**self).reopen()
    }
    fn state_digest(&mut self) -> Result<Option<GraphDigest>> {
        (**self).state_digest()
    }
    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}

impl<T: TransactionalTarget + ?Sized> TransactionalTarget for Box<T> {
    fn begin(&mut self) -> Result<()> {
        (**self).begin()
    }
    fn execute(&mut self, entry: &JournalEntry) -> Result<()> {
        (**self).execute(entry)
    }
    fn rollback(&mut self) -> Result<()> {
        (**self).rollback()
    }
    fn commit(&mut self, position: Position) -> Result<()> {
        (**self).commit(position)
    }
}

/// What a batch asks of a target at a given position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStep {
    /// Nothing: an empty batch at the recorded position.
    Nothing,
    /// Only the position moves: an empty batch at a later one.
    PositionOnly,
    /// Entries are to be applied and the position recorded.
    Entries,
}

/// Checks a batch against the position recorded in `target`: obligations 4, 5 and 6 of [`ReplayTarget`].
///
/// # Errors
/// [`Error::WrongLineage`], [`Error::Backwards`], [`Error::Gap`], [`Error::Forked`], [`Error::MalformedBatch`].
pub fn check_batch(
    target: &str,
    recorded: Option<&Position>,
    batch: &[ReplayEntry],
    position: &Position,
) -> Result<BatchStep> {
    let malformed =
        |sequence, expected| Error::MalformedBatch { target: target.to_owned(), sequence, expected };
    if let Some(recorded) = recorded
        && recorded.lineage != position.lineage
    {
        return Err(Error::WrongLineage {
            target: target.to_owned(),
            recorded: recorded.lineage,
            offered: position.lineage,
        });
    }
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
        return match recorded {
            Some(r) if position.sequence < r.sequence => Err(Error::Backwards {
                target: target.to_owned(),
                recorded: r.sequence,
                offered: position.sequence,
            }),
            Some(r) if position.sequence == r.sequence && position.chain_hash != r.chain_hash => {
                Err(Error::Forked {
                    target: target.to_owned(),
                    sequence: r.sequence,
                    recorded: r.chain_hash,
                    offered: position.chain_hash,
                })
            }
            Some(r) if position.sequence == r.sequence => Ok(BatchStep::Nothing),
            None if position.sequence == 0 => Ok(BatchStep::Nothing),
            _ => Ok(BatchStep::PositionOnly),
        };
    };
    if first.sequence == 0 {
        return Err(malformed(0, "sequences from 1"));
    }
    for pair in batch.windows(2) {
        if let [before, after] = pair
            && before.sequence.checked_add(1) != Some(after.sequence)
        {
            return Err(malformed(after.sequence, "each entry one sequence after the one before"));
        }
    }
    if last.sequence != position.sequence || last.chain_hash != position.chain_hash {
        return Err(malformed(last.sequence, "the batch's position to be that of its last entry"));
    }
    check_first(target, recorded, first.sequence)?;
    Ok(BatchStep::Entries)
}

/// The same for lines, which follow each other.
pub(crate) fn check_lines(target: &str, recorded: Option<&Position>, lines: &LineBatch) -> Result<()> {
    let offered = lines.last().lineage;
    match recorded.map(|recorded| recorded.lineage) {
        Some(recorded) if recorded != offered => {
            return Err(Error::WrongLineage { target: target.to_owned(), recorded, offered });
        }
        _ => {}
    }
    match lines.misplaced() {
        Some(sequence) => Err(Error::MalformedBatch {
            target: target.to_owned(),
            sequence,
            expected: "each entry one sequence after the one before, from 1",
        }),
        None => check_first(target, recorded, lines.first()),
    }
}

fn check_first(target: &str, recorded: Option<&Position>, first: u64) -> Result<()> {
    let Some(recorded) = recorded.map(|recorded| recorded.sequence) else { return Ok(()) };
    if first <= recorded {
        return Err(Error::Backwards { target: target.to_owned(), recorded, offered: first });
    }
    if first - recorded > 1 {
        return Err(Error::Gap { target: target.to_owned(), recorded, first });
    }
    Ok(())
}
