//! Whether a target keeps the obligations of [`ReplayTarget`] and [`TransactionalTarget`]: plain
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

mod crashes;
mod journal;
mod outcome;
mod replay;
mod transactions;

use std::path::PathBuf;

use graphstream_proto::JournalEntry;

use crate::{ReplayTarget, Result, TransactionalTarget};

pub use self::crashes::{crash_between_any_two_calls, crash_between_any_two_steps_of_a_leader};
pub use self::outcome::{Broken, Outcome};
pub use self::replay::{
    backwards_and_gaps, batches_of_any_size_have_the_same_effect, empty_batch,
    first_batch_may_start_anywhere, fresh_target_has_no_position, lines_are_as_good_as_entries,
    malformed_batch, odd_entries_are_applied_or_refused, poison_leaves_nothing,
    position_is_exact_after_every_call, reopen_and_close_are_idempotent, wrong_lineage,
};
pub use self::transactions::{transaction_rules, transactions};

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

/// A case.
pub type Case = fn(&dyn TargetFactory) -> Outcome;

/// All cases, by name.
pub const CASES: &[(&str, Case)] = &[
    ("fresh_target_has_no_position", fresh_target_has_no_position),
    ("position_is_exact_after_every_call", position_is_exact_after_every_call),
    ("batches_of_any_size_have_the_same_effect", batches_of_any_size_have_the_same_effect),
    ("empty_batch", empty_batch),
    ("wrong_lineage", wrong_lineage),
    ("first_batch_may_start_anywhere", first_batch_may_start_anywhere),
    ("backwards_and_gaps", backwards_and_gaps),
    ("malformed_batch", malformed_batch),
    ("poison_leaves_nothing", poison_leaves_nothing),
    ("odd_entries_are_applied_or_refused", odd_entries_are_applied_or_refused),
    ("lines_are_as_good_as_entries", lines_are_as_good_as_entries),
    ("reopen_and_close_are_idempotent", reopen_and_close_are_idempotent),
    ("transactions", transactions),
    ("transaction_rules", transaction_rules),
    ("crash_between_any_two_calls", crash_between_any_two_calls),
    ("crash_between_any_two_steps_of_a_leader", crash_between_any_two_steps_of_a_leader),
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
