//! What happens when the holder of a role panics.

use super::Shared;
use crate::error::Error;
use crate::failure::Failure;
use crate::queue::{Group, Outcome};
use crate::ticket::Level;

/// Turns a panic of whoever holds a role into a poisoned journal, so that nobody waits for a role that never ends.
pub(super) struct Role<'a> {
    pub(super) shared: &'a Shared,
    /// The group that a writer has taken; a syncer has none.
    pub(super) group: Option<&'a Group>,
}

impl Role<'_> {
    /// It ended as it should.
    pub(super) fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let failure = Failure::poison(Error::Panicked);
        let mut state = self.shared.state();
        if let Some(group) = self.group {
            let _ = group.outcome.set(Outcome {
                first_sequence: 0,
                written: 0,
                attempted: usize::MAX,
                failure: Some(failure.clone()),
            });
            state.writing = false;
        } else {
            state.syncing = false;
        }
        self.shared.finish(&mut state, failure);
        // The journal may have been over before.
        self.shared.announce(&mut state, Level::Written);
        self.shared.call_locked(&mut state);
    }
}
