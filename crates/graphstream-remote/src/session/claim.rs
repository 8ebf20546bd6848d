//! Claiming: swapping the next epoch and our nonce into the head.

use std::sync::Arc;

use graphstream_storage::{ErrorClass, PutMode, Version};

use super::{Claim, Comparison, LeaderSession, LocalChain, Shared, decide};
use crate::error::{Attempt, Error, Result};
use crate::{Head, Remote, StoredHead, WriteId};

impl LeaderSession {
    /// Claims the next epoch, fencing whoever owned the head; creates the head of a new database first. `claimed_ms` is the
    /// clock in ms since 1970. A session that owns an epoch keeps it.
    ///
    /// The journal is compared with the head before each attempt, and again when the outcome of one was not plain.
    /// A journal that ends before [`epoch_start`](Self::epoch_start) then catches up exactly to it, not to a newer head: what lies
    /// behind it a rival has committed. After an error the call may be repeated: an attempt of ours that landed unseen is recognised by its nonce.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Behind`] when the journal ends before the committed position and its end is not
    /// [proven](Self::prove); [`Error::TooManyEpochs`]; [`Error::Contended`] when rivals kept claiming.
    pub async fn claim(&mut self, local: &dyn LocalChain, claimed_ms: i64) -> Result<()> {
        self.refuse_fenced()?;
        if self.claim.is_some() {
            return Ok(());
        }
        let mut lost = None;
        for _ in 0..Remote::ATTEMPTS {
            let Some(stored) = self.read_checked(self.stored.as_ref()).await? else {
                lost = self.create().await?;
                continue;
            };
            self.stored = Some(stored.clone());
            match decide::compare(&stored.head, local, self.known, self.remote.proofs())? {
                Comparison::Agrees | Comparison::Behind { proven: true, .. } => {}
                Comparison::Behind { local, proven: false } => {
                    return Err(Error::Behind { local, committed: stored.head.committed() });
                }
            }
            if stored.head.owner() == Some(self.nonce) {
                // An earlier attempt of ours landed. Its epoch object stands: the start check saw to that.
                return self.own(stored.head, stored.version, true);
            }
            let write_id = WriteId::random(self.remote.randomness())?;
            let base = match self.remote.keys() {
                Some(keys) => stored.head.keyed(keys),
                None => stored.head.clone(),
            };
            let Some(next) = base.claimed(self.nonce, write_id, claimed_ms) else {
                return Err(Error::TooManyEpochs { epoch: stored.head.epoch() });
            };
            let mode = PutMode::Match(stored.version);
            match self.remote.put_head(&self.head_key, &next, mode).await? {
                Ok(version) => {
                    self.own(next, version, false)?;
                    return self.stand().await;
                }
                Err(error) => match error.class() {
                    ErrorClass::VersionMismatch | ErrorClass::NotFound => lost = None,
                    ErrorClass::TimeoutUnknown => lost = Some(error),
                    _ => return Err(Error::storage(Attempt::Claim, &self.head_key)(error)),
                },
            }
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::Claim, &self.head_key)(error),
            None => {
                let (key, attempts) = (self.head_key.clone(), Remote::ATTEMPTS);
                Error::Contended { attempt: Attempt::Claim, key, attempts }
            }
        })
    }

    /// Creates the head of a new database; `Some` when the answer was lost.
    async fn create(&self) -> Result<Option<graphstream_storage::Error>> {
        match self.remote.create_head(&self.identity).await {
            Ok(()) => Ok(None),
            Err(Error::Storage { source, .. }) if source.class().is_unknown() => Ok(Some(*source)),
            Err(error) => Err(error),
        }
    }

    fn own(&mut self, head: Head, version: Version, stands: bool) -> Result<()> {
        let row = *head.current_row().ok_or(Error::NotClaimed)?;
        let shared = Arc::new(Shared { epoch_stands: stands.into(), ..Shared::default() });
        tracing::info!(
            database = %self.remote.layout().database(),
            epoch = row.epoch,
            start_sequence = row.start_sequence,
            "claimed an epoch"
        );
        self.claim = Some(Claim { row, shared });
        self.stored = Some(StoredHead { head, version });
        Ok(())
    }

    /// Creates our epoch object. If the store fails now, the claim stands all the same, and uploads try again first.
    async fn stand(&self) -> Result<()> {
        match self.uploader()?.ensure_epoch_stands().await {
            Err(error @ Error::Storage { .. }) => {
                tracing::warn!(%error, "the epoch object could not be created yet");
                Ok(())
            }
            other => other,
        }
    }
}
