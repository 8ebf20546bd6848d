//! What `journal.json` says about keys, beside the keys that were given.
//!
//! ```text
//!                      no keys              keys, the one named among them         other keys
//! names no key         plain                NotEncrypted, or turned on             the same
//! names a key          EncryptionRequired   encrypted; plain up to `plain_up_to`   EncryptionKeyMissing
//! ```
//!
//! Everything is compared before anything is changed, and a key is noted, durably, before anything is sealed with it.

use std::path::Path;
use std::sync::Arc;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{Header, ReadOptions};

use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::names;
use crate::recovery::Opening;

impl Identity {
    /// Refuses keys that are not those of the journal in this directory: none where encryption is required, without the one it names,
    /// or any where nothing is encrypted.
    pub(crate) fn check_keys(&self, dir: &Path, keys: Option<&KeyRing>) -> Result<()> {
        let path = || dir.join(names::JOURNAL_JSON);
        match (self.encryption_key, keys) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Error::NotEncrypted { path: path() }),
            (Some(id), None) => Err(Error::EncryptionRequired { path: path(), id }),
            (Some(id), Some(keys)) if keys.key(id).is_some() => Ok(()),
            (Some(id), Some(keys)) => {
                Err(Error::EncryptionKeyMissing { path: path(), id, given: keys.ids().collect() })
            }
        }
    }

    /// How the segment with this header is read: without keys only where that was written before encryption was turned on.
    pub(crate) fn read_options(&self, keys: Option<&Arc<KeyRing>>, header: &Header) -> ReadOptions {
        let plain = !header.is_encrypted()
            && (self.encryption_key.is_none()
                || self.plain_up_to.is_some_and(|last| header.last_seq <= last));
        match keys {
            Some(keys) if !plain => ReadOptions::default().with_keys(Arc::clone(keys)),
            _ => ReadOptions::default(),
        }
    }
}

/// For an opening, before anything is read or changed. Whether there is anything plain is known later, but a predecessor's segments always
/// are.
pub(crate) fn check_opening(
    opening: &Opening<'_>,
    found: Option<&Identity>,
    sequences: &[u64],
) -> Result<()> {
    let dir = opening.dir;
    let turned_on = dir.keys.is_some() && found.is_none_or(|found| found.encryption_key.is_none());
    let legacy = found.map_or(!sequences.is_empty(), |found| found.adopting);
    match found {
        _ if turned_on && legacy && !opening.encrypt_existing => {
            Err(Error::NotEncrypted { path: dir.path.join(names::JOURNAL_JSON) })
        }
        Some(found) if !turned_on => found.check_keys(&dir.path, dir.keys.as_deref()),
        _ => Ok(()),
    }
}

/// Notes the current key in `journal.json`, before anything is sealed with it. `plain` is the last sequence that is sealed plain, if the
/// newest sealed segment is.
pub(crate) fn require(opening: &Opening<'_>, mut identity: Identity, plain: Option<u64>) -> Result<Identity> {
    let dir = opening.dir;
    let Some(keys) = &dir.keys else { return Ok(identity) };
    let current = keys.current().id();
    if identity.encryption_key == Some(current) {
        return Ok(identity);
    }
    if identity.encryption_key.is_none() && plain.is_some() {
        if !opening.encrypt_existing {
            return Err(Error::NotEncrypted { path: dir.path.join(names::JOURNAL_JSON) });
        }
        identity.plain_up_to = plain;
    }
    identity.encryption_key = Some(current);
    identity.write(&*dir.fs, &dir.path)?;
    tracing::info!(key = %current, plain_up_to = identity.plain_up_to, "segments are encrypted from here on");
    Ok(identity)
}
