//! What an error of a leader means; one that must not be is a broken promise.

use graphstream_journal::{Error as JournalError, ErrorKind as JournalKind};
use graphstream_remote::{Error as RemoteError, ErrorKind as RemoteKind};
use graphstream_replication::{Error, ErrorKind};

use super::machine::{End, Life, Machine};

impl Machine {
    /// What an error means. `when` is for the trace, but one that was "shipping" may not end by itself for a head that is gone.
    pub fn judge(&self, error: &Error, life: &Life, when: &str) -> End {
        self.note(format_args!("{when}: {error}"));
        let (store, tally) = (&self.store, &self.store.tally);
        let wrong_head = store.heads.lock().unwrap().wrong_since(life.wrong);
        let bad_disk = *life.bad_disk.lock().unwrap();
        match error {
            Error::Remote(RemoteError::Behind { local, committed }) => {
                tally.hit("machine: behind");
                let disk = self.disk.lock().unwrap();
                let end = if disk.moves { 0 } else { disk.certain() };
                if committed.sequence <= end || *local >= committed.sequence {
                    self.broken(format_args!("promise 4, {when}: {error}, but it has {end}"));
                }
                End::Unfit
            }
            Error::Remote(RemoteError::Fork { common_through, .. }) => {
                tally.hit("machine: forks");
                let disk = self.disk.lock().unwrap();
                let truth = store.truth();
                let same = disk.numbers().into_iter().filter(|row| row.0 <= *common_through);
                let same =
                    same.into_iter().all(|(sequence, number)| truth.number_at(sequence) == Some(number));
                drop(truth);
                if !same || !disk.forks(store) {
                    self.broken(format_args!("promise 4, {when}: {error}, but it is no fork: {disk:?}"));
                }
                End::Unfit
            }
            Error::Remote(RemoteError::Fenced(fenced)) => {
                tally.hit("machine: fenced");
                let mut disk = self.disk.lock().unwrap();
                let (kept, lost): (Vec<_>, Vec<_>) =
                    disk.numbers().into_iter().partition(|row| row.0 <= fenced.fenced_after);
                let lost: Vec<u64> = lost.into_iter().map(|row| row.1).collect();
                store.truth().told_fenced(&self.name, fenced, &kept, &lost);
                disk.truncate(fenced.fenced_after);
                End::Fenced
            }
            Error::Journal(JournalError::Fenced { .. }) => End::Fenced,
            // Who runs waits for the head.
            Error::Remote(RemoteError::HeadMissing { .. }) if wrong_head && when != "shipping" => End::Failed,
            Error::Remote(
                RemoteError::EpochAboveHead { .. }
                | RemoteError::Rewound(_)
                | RemoteError::LocalChainMissing { .. },
            ) if wrong_head => {
                tally.hit("head: an older one refused");
                End::Failed
            }
            // A lost journal goes on from the last segment; who runs needs none.
            Error::Remote(RemoteError::Gap { .. })
                if store.holes.lock().unwrap().since(life.holes) && when != "shipping" =>
            {
                tally.hit("machine: meets a hole");
                End::Failed
            }
            Error::Journal(error)
                if bad_disk && matches!(error.kind(), JournalKind::Unavailable | JournalKind::Closed) =>
            {
                End::Failed
            }
            Error::LocalFile { .. } if bad_disk => End::Failed,
            Error::Remote(error) if bad_disk && error.kind() == RemoteKind::Local => End::Failed,
            error if error.kind() == ErrorKind::Store => End::Failed,
            error => {
                self.broken(format_args!("I4, {when}: {error}: {error:?}"));
                End::Failed
            }
        }
    }
}
