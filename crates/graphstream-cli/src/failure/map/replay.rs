//! Errors of what entries are applied to.

use graphstream::replay;

use crate::failure::{Failure, Kind};

impl From<replay::Error> for Failure {
    fn from(error: replay::Error) -> Self {
        let kind = match &error {
            replay::Error::Poison { .. } | replay::Error::Statement { .. } => Kind::Poison,
            replay::Error::WrongLineage { .. } => Kind::Lineage,
            replay::Error::Forked { .. } => Kind::Fork,
            replay::Error::Damaged { .. } | replay::Error::DamagedPosition { .. } => Kind::Corruption,
            _ => Kind::Target,
        };
        let hint = match &error {
            replay::Error::Poison { .. } => {
                "look at the entry with graphstream cat --from-sequence, mend the target and start again; nothing is skipped on its own, \
                 only with follow --skip"
            }
            replay::Error::Gone { .. } => "start the same command again: it goes on where the target is",
            replay::Error::Protocol { .. } => "run the child by hand: its first line must be its position",
            replay::Error::WrongLineage { .. } => {
                "an empty target, or the database that this target followed before"
            }
            replay::Error::Forked { .. } => {
                "an empty target: this one applied entries that are not in the history"
            }
            replay::Error::Gap { .. } | replay::Error::Backwards { .. } => "an empty target",
            replay::Error::Damaged { .. } | replay::Error::DamagedPosition { .. } => {
                "an empty target: the follower fills it again"
            }
            _ => "check --target",
        };
        let sequence = error.sequence();
        Self::of(kind, &error).hint(hint).place(|place| place.sequence = sequence)
    }
}
