//! What a head's fields promise about each other.

use graphstream_format::Position;
use graphstream_format::encryption::KeyRing;

use super::{EPOCHS_MAX, Head, HeadProblem, Inconsistency, WINDOW_SEGMENTS_MAX};
use crate::ChainValue;
use crate::names::COMMIT_MS_MAX;

impl Head {
    pub(super) fn check(&self, keys: Option<&KeyRing>) -> Result<(), HeadProblem> {
        let inconsistent = HeadProblem::Inconsistent;
        self.check_epochs().map_err(inconsistent)?;
        self.check_keyed().map_err(inconsistent)?;
        self.check_chains(keys)?;
        self.check_window().map_err(inconsistent)?;
        if !(0..=COMMIT_MS_MAX).contains(&self.committed.commit_ms) {
            return Err(inconsistent(Inconsistency::CommitTime));
        }
        if self.snapshot.is_some_and(|snapshot| snapshot.sequence() > self.committed.sequence) {
            return Err(inconsistent(Inconsistency::Snapshot));
        }
        Ok(())
    }

    /// One sequence has one chain hash, as far as the keys at hand can tell.
    fn check_chains(&self, keys: Option<&KeyRing>) -> Result<(), HeadProblem> {
        let Self { epochs, committed, lineage, .. } = self;
        let start = Position::start(*lineage);
        let rows = epochs.iter().map(|row| (row.start_sequence, row.start_chain));
        for (sequence, chain) in rows.chain([(committed.sequence, committed.chain)]) {
            // A row may be older than all keys at hand: it is compared where it matters.
            let known = chain.key_id().is_none_or(|id| keys.is_some_and(|keys| keys.key(id).is_some()));
            let differs = (sequence == 0 && known && !chain.is(&start, keys)?)
                || (sequence == committed.sequence
                    && known
                    && chain.agrees(&committed.chain, *lineage, sequence, keys)? == Some(false));
            if differs {
                return Err(HeadProblem::Inconsistent(Inconsistency::Chain));
            }
        }
        Ok(())
    }

    /// A plain head has plain values; a keyed one a keyed position, and plain rows from before it was keyed alone.
    fn check_keyed(&self) -> Result<(), Inconsistency> {
        let is_keyed = |chain: &ChainValue| chain.key_id().is_some();
        let Self { epochs, committed, .. } = self;
        let fits = match self.plain_up_to {
            None => !is_keyed(&committed.chain) && !epochs.iter().any(|row| is_keyed(&row.start_chain)),
            Some(plain) => {
                let old = epochs.iter().take_while(|row| !is_keyed(&row.start_chain));
                let keyed = epochs.iter().skip_while(|row| !is_keyed(&row.start_chain));
                is_keyed(&committed.chain)
                    && plain <= committed.sequence
                    && (self.epoch == 0 || self.current_row().is_some_and(|row| is_keyed(&row.start_chain)))
                    && old.into_iter().all(|row| row.start_sequence <= plain)
                    && keyed.into_iter().all(|row| is_keyed(&row.start_chain))
            }
        };
        if fits { Ok(()) } else { Err(Inconsistency::Keyed) }
    }

    fn check_epochs(&self) -> Result<(), Inconsistency> {
        let Self { epochs, committed, .. } = self;
        if (self.epoch == 0) != self.owner.is_none() {
            return Err(Inconsistency::Owner);
        }
        // What epoch 0 committed: nothing.
        if self.epoch == 0 && committed.sequence != 0 {
            return Err(Inconsistency::Epochs);
        }
        let newest = epochs.last().map(|row| (row.epoch, Some(row.owner)));
        let expected = (self.epoch > 0).then_some((self.epoch, self.owner));
        let ascending = epochs.is_sorted_by(|a, b| a.epoch < b.epoch && a.start_sequence < b.start_sequence);
        let within = epochs.iter().all(|row| row.epoch > 0 && row.start_sequence <= committed.sequence);
        if newest != expected || !ascending || !within || epochs.len() > EPOCHS_MAX {
            return Err(Inconsistency::Epochs);
        }
        Ok(())
    }

    fn check_window(&self) -> Result<(), Inconsistency> {
        let names = || self.segments.iter().map(|segment| segment.name);
        let ends = names().next_back().is_none_or(|name| name.last() == self.committed.sequence);
        let contiguous =
            self.segments.is_sorted_by(|a, b| a.name.last().checked_add(1) == Some(b.name.first()));
        let ours = names().all(|name| name.level() == 0 && name.epoch() <= self.epoch);
        if ends && contiguous && ours && self.segments.len() <= WINDOW_SEGMENTS_MAX {
            Ok(())
        } else {
            Err(Inconsistency::Window)
        }
    }
}
