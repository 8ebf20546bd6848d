//! The keys at hand.

use std::fmt;

use super::extension::Extension;
use super::key::{DataKey, KeyId};
use crate::error::{Error, Result};

/// One current data key, which new segments are encrypted with, and any number of older ones to read with.
pub struct KeyRing {
    current: DataKey,
    older: Vec<DataKey>,
}

impl KeyRing {
    /// A ring of one key.
    #[must_use]
    pub const fn new(current: DataKey) -> Self {
        Self { current, older: Vec::new() }
    }

    /// Adds a key to read with. One that the ring has already is dropped: keys of one id are the same key.
    #[must_use]
    pub fn with_older(mut self, key: DataKey) -> Self {
        if self.key(key.id()).is_none() {
            self.older.push(key);
        }
        self
    }

    /// Adds all keys of another ring to read with.
    #[must_use]
    pub fn with_all_of(self, other: Self) -> Self {
        let Self { current, older } = other;
        older.into_iter().fold(self.with_older(current), Self::with_older)
    }

    /// The key that new segments are encrypted with.
    #[must_use]
    pub const fn current(&self) -> &DataKey {
        &self.current
    }

    /// The key of this id, if the ring has it.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&DataKey> {
        self.keys().find(|key| key.id() == id)
    }

    /// All keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &DataKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The ids of all keys, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(DataKey::id)
    }

    /// The key of this id.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] if the ring does not have it.
    pub fn require(&self, id: KeyId) -> Result<&DataKey> {
        self.key(id).ok_or(Error::UnknownKey { id })
    }

    /// The key to read a segment with, of which `extension` is what stands behind its header (`None`: it is not encrypted).
    /// Whoever has a ring reads nothing unencrypted; `None` comes back without a ring alone.
    ///
    /// # Errors
    /// [`Error::KeyRequired`] for an encrypted segment without a ring; [`Error::UnknownKey`] when the ring lacks its key;
    /// [`Error::PlaintextRefused`] for a segment that is not encrypted.
    pub fn for_reading<'k>(
        ring: Option<&'k Self>,
        extension: Option<&Extension>,
    ) -> Result<Option<&'k DataKey>> {
        match (ring, extension) {
            (None, None) => Ok(None),
            (None, Some(extension)) => Err(Error::KeyRequired { id: extension.key_id }),
            (Some(_), None) => Err(Error::PlaintextRefused),
            (Some(ring), Some(extension)) => ring.require(extension.key_id).map(Some),
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.ids()).finish()
    }
}
