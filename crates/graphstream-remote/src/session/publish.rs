//! Publishing: moving `committed` forward over a contiguous run of uploaded segments; and what a lost or refused answer
//! means.

use graphstream_format::Position;
use graphstream_storage::{ErrorClass, PutMode};

use super::decide::{Standing, fenced_after, next_row, publishable, standing};
use super::{Fenced, LeaderSession, LocalChain, decide};
use crate::error::{Attempt, Error, Result};
use crate::{
    ChainValue, Committed, EpochObject, EpochRow, Floor, Head, HeadRead, ObjectName, Remote, StoredHead,
    UploadedSegment, WriteId,
};

/// What a publication reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// What is committed now; all of it is *stored*.
    pub committed: Committed,
    /// How many of the given segments are covered by it.
    pub segments: usize,
}

impl LeaderSession {
    /// Publishes the uploaded segments that continue right after what is committed, as far as they go without a hole; the
    /// others are left for a later call. With none that continues, nothing is written.
    ///
    /// After an error of kind `Storage` the outcome may be unknown; the next call (or [`check`](Self::check)) finds out.
    ///
    /// # Errors
    /// [`Error::Fenced`]: what it says decides on every waiter, those of this call included. [`Error::HeadMissing`]:
    /// nothing is published until somebody repairs the head. [`Error::Rewound`], [`Error::Fork`]; [`Error::Storage`],
    /// [`Error::Contended`]; [`Error::NotClaimed`], [`Error::OtherEpoch`].
    pub async fn publish(
        &mut self,
        uploaded: &[UploadedSegment],
        local: &dyn LocalChain,
    ) -> Result<Published> {
        self.refuse_fenced()?;
        let epoch = self.claimed()?.row.epoch;
        self.uploader()?.ensure_epoch_stands().await?;
        let mut lost = None;
        for _ in 0..Remote::ATTEMPTS {
            let stored = self.stored.as_ref().ok_or(Error::NotClaimed)?;
            let committed = stored.head.committed();
            let lineage = stored.head.lineage();
            let run = publishable(uploaded, &committed, epoch, lineage, self.remote.proofs())?;
            let Some(last) = run.last() else {
                let segments = uploaded.iter().filter(|one| one.name().last() <= committed.sequence).count();
                return Ok(Published { committed, segments });
            };
            let rows: Vec<_> = run.iter().map(UploadedSegment::row).collect();
            let write_id = WriteId::random(self.remote.randomness())?;
            let end = Position { lineage, sequence: last.name().last(), chain_hash: last.chain_after() };
            let chain = ChainValue::of(&end, self.remote.proofs().keys());
            let next = stored.head.published(&rows, chain, write_id).ok_or(Error::NotClaimed)?;
            let mode = PutMode::Match(stored.version.clone());
            match self.remote.put_head(&self.head_key, &next, mode).await? {
                Ok(version) => {
                    let committed = next.committed();
                    tracing::debug!(epoch, sequence = committed.sequence, "published");
                    self.stored = Some(StoredHead { head: next, version });
                    let segments =
                        uploaded.iter().filter(|one| one.name().last() <= committed.sequence).count();
                    return Ok(Published { committed, segments });
                }
                Err(error) => {
                    lost = match error.class() {
                        ErrorClass::VersionMismatch | ErrorClass::NotFound => None,
                        ErrorClass::TimeoutUnknown => Some(error),
                        _ => return Err(Error::storage(Attempt::Publish, &self.head_key)(error)),
                    };
                    let read = self.remote.read_head(None).await?;
                    self.settle(read, local).await?;
                }
            }
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::Publish, &self.head_key)(error),
            None => {
                let (key, attempts) = (self.head_key.clone(), Remote::ATTEMPTS);
                Error::Contended { attempt: Attempt::Publish, key, attempts }
            }
        })
    }

    /// Takes note of a head that is not the one we remember. `Ok` if it is ours: an attempt of ours landed.
    pub(super) async fn settle(&mut self, read: HeadRead, local: &dyn LocalChain) -> Result<()> {
        let row = self.claimed()?.row;
        let stored = match read {
            HeadRead::NotModified => return Ok(()),
            HeadRead::Missing => {
                return Err(Error::HeadMissing { key: self.head_key.clone(), evidence: None });
            }
            HeadRead::Found(stored) => *stored,
        };
        self.remote.check_identity(&stored.head, &self.identity)?;
        let confirmed = self.committed();
        match standing(&stored.head, row.epoch, self.nonce) {
            Standing::Own if decide::check_own(&stored.head, &confirmed, local, self.remote.proofs())? => {
                self.stored = Some(stored);
                Ok(())
            }
            Standing::Own | Standing::Below => {
                let floor = Floor::new(row.epoch, confirmed.sequence, confirmed.chain);
                let (epoch, committed) = (stored.head.epoch(), stored.head.committed());
                Err(Error::rewound(&self.head_key, floor, epoch, committed))
            }
            Standing::Fenced => {
                Err(Error::Fenced(Box::new(self.fence(&stored.head, &row, &confirmed, local).await?)))
            }
        }
    }

    /// Finds out what became of our entries under a rival's head, and only then calls us fenced.
    async fn fence(
        &self,
        head: &Head,
        ours: &EpochRow,
        confirmed: &Committed,
        local: &dyn LocalChain,
    ) -> Result<Fenced> {
        // The rival may have died between its claim and its epoch object. Without the object, a repair after the loss of
        // this head would not know of the rival and would take our uncommitted segments for history. All epochs below
        // the head's stand already: each claimer saw to that before its claim.
        if let Some(current) = head.current_row() {
            self.remote.ensure_epoch_object(head, current).await?;
        }
        let next = match next_row(head, ours.epoch, self.nonce) {
            Some(row) => *row,
            None => self.first_epoch_above(head, ours.epoch).await?,
        };
        // What was stored stays: an epoch that begins before what we know to be committed stands on another history.
        if next.start_sequence < confirmed.sequence {
            let floor = Floor::new(ours.epoch, confirmed.sequence, confirmed.chain);
            let found = Committed::new(next.start_sequence, next.start_chain, confirmed.commit_ms);
            return Err(Error::rewound(&self.head_key, floor, next.epoch, found));
        }
        let fenced = Fenced {
            epoch: ours.epoch,
            by_epoch: next.epoch,
            by_owner: next.owner,
            fenced_after: fenced_after(&next, confirmed, local, head.lineage(), self.remote.proofs())?,
            committed: head.committed(),
        };
        tracing::warn!(
            epoch = fenced.epoch,
            by_epoch = fenced.by_epoch,
            fenced_after = fenced.fenced_after,
            "fenced by another leader"
        );
        let _ = self.claimed()?.shared.fenced.set(fenced);
        Ok(fenced)
    }

    /// The row of the first epoch above `epoch`, from its object: the head lists it no longer.
    async fn first_epoch_above(&self, head: &Head, epoch: u32) -> Result<EpochRow> {
        let listed = self.remote.list_epochs(epoch, 1).await?.first().copied();
        let in_head = head.epochs().iter().find(|row| row.epoch > epoch);
        let above = match (listed, in_head) {
            (Some(listed), Some(row)) if row.epoch <= listed => return Ok(*row),
            (None, Some(row)) => return Ok(*row),
            (Some(listed), _) => listed,
            (None, None) => head.epoch(),
        };
        let key = self.remote.layout().key(&ObjectName::Epoch(above))?;
        let bytes = self.remote.read_epoch_object(&key).await?;
        let Some(bytes) = bytes else { return Err(Error::EpochObjectDiffers { key, epoch: above }) };
        let object = EpochObject::parse(&bytes, self.remote.proofs().keys())
            .map_err(|source| Error::HeadDamaged { key: key.clone(), source })?;
        let identity =
            (object.database_id, object.lineage) == (self.identity.database_id, self.identity.lineage);
        if identity && object.row.epoch == above {
            Ok(object.row)
        } else {
            Err(Error::EpochObjectDiffers { key, epoch: above })
        }
    }
}
