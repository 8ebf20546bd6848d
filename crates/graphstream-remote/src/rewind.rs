//! Whether a history went back since it was last looked at, by what is never collected: its epoch objects.

use crate::error::Result;
use crate::{Committed, EpochObject, Error, Floor, Head, ObjectName, Remote};

impl Remote {
    /// Checks that no epoch is above the head's: claiming swaps the head first, so that whoever finds an object above it holds an older head. It may
    /// be older only because it was read before a claim: read it again. One list.
    ///
    /// # Errors
    /// [`Error::EpochAboveHead`]; [`Error::Storage`].
    pub async fn check_no_epoch_above(&self, head: &Head) -> Result<()> {
        let head_epoch = head.epoch();
        match self.list_epochs(head_epoch, 1).await?.first() {
            Some(&above) => {
                let key = self.layout().key(&ObjectName::Epoch(above))?;
                Err(Error::EpochAboveHead { key, head_epoch })
            }
            None => Ok(()),
        }
    }

    /// Checks that the first epoch after the floor's began at or above it. A head says so only of the history that is retained; the objects
    /// of epochs stay. One list and one small read. An object that can't be read says nothing here: verifying finds it.
    ///
    /// # Errors
    /// [`Error::Rewound`] where an epoch began below what had been seen before it; [`Error::Storage`].
    pub async fn check_floor_in_epochs(&self, head: &Head, floor: &Floor) -> Result<()> {
        if floor.epoch == 0 {
            return Ok(());
        }
        let next = self.list_epochs(floor.epoch, 1).await?;
        let Some(epoch) = next.first().copied().filter(|epoch| *epoch <= head.epoch()) else { return Ok(()) };
        let key = self.layout().key(&ObjectName::Epoch(epoch))?;
        let Some(bytes) = self.read_epoch_object(&key).await? else { return Ok(()) };
        let keys = self.keys().map(|keys| &**keys);
        let Ok(EpochObject { lineage, row, .. }) = EpochObject::parse(&bytes, keys) else { return Ok(()) };
        if lineage != head.lineage() || row.start_sequence >= floor.sequence {
            return Ok(());
        }
        let began = Committed::new(row.start_sequence, row.start_chain, row.claimed_ms);
        Err(Error::rewound(&self.head_key()?, *floor, epoch, began))
    }
}
