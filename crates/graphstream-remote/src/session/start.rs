//! Before a claim: is the head the newest one that ever stood here?
//!
//! Epoch objects are never deleted, so they remember what a lost, replaced or late head has forgotten.

use graphstream_storage::Version;

use super::LeaderSession;
use crate::error::{Error, Result};
use crate::{Head, HeadRead, ObjectName, Remote, StoredHead, sabotage};

impl LeaderSession {
    /// Reads the head and makes sure that it can be trusted; `None` when the database is new. `last` is a head that the
    /// session has seen before: then it can't be new.
    pub(super) async fn read_checked(&self, last: Option<&StoredHead>) -> Result<Option<StoredHead>> {
        for _ in 0..Remote::ATTEMPTS {
            let stored = match self.read_head(None).await? {
                HeadRead::Found(stored) => *stored,
                HeadRead::NotModified | HeadRead::Missing => {
                    let key = self.head_key.clone();
                    if sabotage::is("missing_head_is_created_anew") {
                        return Ok(None);
                    }
                    if last.is_some() {
                        return Err(Error::HeadMissing { key, evidence: None });
                    }
                    match self.remote.evidence().await? {
                        // Somebody may have created and used it between our two looks.
                        Some(evidence) if self.is_still(None).await? => {
                            return Err(Error::HeadMissing { key, evidence: Some(evidence) });
                        }
                        Some(_) => continue,
                        None if self.options.create && self.options.floor.is_none() => return Ok(None),
                        None => return Err(Error::HeadMissing { key, evidence: None }),
                    }
                }
            };
            self.remote.check_identity(&stored.head, &self.identity)?;
            if let Some(floor) = &self.options.floor {
                floor.check(&stored.head, self.remote.proofs())?;
            }
            if sabotage::is("older_head_is_trusted") {
                return Ok(Some(stored));
            }
            match self.check_epochs(&stored.head).await {
                Ok(()) => return Ok(Some(stored)),
                Err(damage @ (Error::EpochAboveHead { .. } | Error::EpochObjectDiffers { .. })) => {
                    // The head may just have been claimed anew: damage only if it stands still.
                    if self.is_still(Some(&stored.version)).await? {
                        return Err(damage);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let attempt = crate::error::Attempt::ReadHead;
        Err(Error::Contended { attempt, key: self.head_key.clone(), attempts: Remote::ATTEMPTS })
    }

    /// Compares `epoch/` with the head: nothing above its epoch, and each of its rows as it says. Missing objects of its rows
    /// are created.
    async fn check_epochs(&self, head: &Head) -> Result<()> {
        self.remote.check_no_epoch_above(head).await?;
        for row in head.epochs() {
            let epoch = row.epoch;
            let key = self.remote.layout().key(&ObjectName::Epoch(epoch))?;
            match self.remote.read_epoch_object(&key).await? {
                None => self.remote.ensure_epoch_object(head, row).await?,
                Some(found) => {
                    let expected = head
                        .epoch_object(row)
                        .render(self.remote.proofs().keys())
                        .map_err(|source| Error::HeadDamaged { key: key.clone(), source })?;
                    if found != expected {
                        return Err(Error::EpochObjectDiffers { key, epoch });
                    }
                }
            }
        }
        Ok(())
    }

    /// Before the claim: a plain head may be one that is to be encrypted from here on.
    async fn read_head(&self, unless: Option<&Version>) -> Result<HeadRead> {
        self.remote.read_head_as(unless, Some(self.options.plain_up_to)).await
    }

    async fn is_still(&self, version: Option<&Version>) -> Result<bool> {
        Ok(match self.read_head(version).await? {
            HeadRead::NotModified => true,
            HeadRead::Missing => version.is_none(),
            HeadRead::Found(_) => false,
        })
    }
}
