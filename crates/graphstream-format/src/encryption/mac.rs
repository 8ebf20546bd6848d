//! Proofs for what stands outside of segments: that whoever wrote a chain value or a document had the key, and meant exactly this.
//!
//! ```text
//! chain value  HMAC-SHA256(key for chain values, lineage (16) | sequence u64 | chain hash (32))
//! document     HMAC-SHA256(key for documents, name of its kind | zero | content)
//! ```
//!
//! Without the key, nobody can test a guess about an entry against a chain value, and nobody can make a document that readers take. A
//! genuine older one proves itself too: readers keep a floor.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::derive::{Purpose, derive};
use super::key::{DataKey, KeyId};
use super::key_ring::KeyRing;
use crate::entry::Position;
use crate::error::{Error, Result};

/// Length of a MAC in bytes.
pub const MAC_LEN: usize = 32;

/// A MAC and the key that gave it. Neither is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyedMac {
    /// The data key that it was made with.
    pub key_id: KeyId,
    /// The MAC.
    pub mac: [u8; MAC_LEN],
}

/// Which kind of document a MAC is for: a document of one kind never passes for one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentKind {
    /// The published head.
    Head,
    /// An epoch object.
    Epoch,
    /// The manifest of a snapshot.
    SnapshotManifest,
    /// Data keys wrapped by a master key.
    Keys,
}

impl DocumentKind {
    /// Its name, as it goes into the MAC.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Epoch => "epoch",
            Self::SnapshotManifest => "snapshot manifest",
            Self::Keys => "keys",
        }
    }
}

impl DataKey {
    /// The MAC of a chain value, which stands in its stead outside of segments.
    #[must_use]
    pub fn chain_mac(&self, position: &Position) -> KeyedMac {
        KeyedMac { key_id: self.id(), mac: chain(self, position).finalize().into_bytes().into() }
    }

    /// The MAC of a whole document.
    #[must_use]
    pub fn document_mac(&self, kind: DocumentKind, content: &[u8]) -> KeyedMac {
        KeyedMac { key_id: self.id(), mac: document(self, kind, content).finalize().into_bytes().into() }
    }
}

impl KeyRing {
    /// Checks, in constant time, that this is the MAC of a chain value.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when the ring lacks its key; [`Error::MacMismatch`].
    pub fn verify_chain(&self, mac: &KeyedMac, position: &Position) -> Result<()> {
        check(chain(self.require(mac.key_id)?, position), mac, "chain value")
    }

    /// Checks, in constant time, that this is the MAC of a document.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when the ring lacks its key; [`Error::MacMismatch`].
    pub fn verify_document(&self, mac: &KeyedMac, kind: DocumentKind, content: &[u8]) -> Result<()> {
        check(document(self.require(mac.key_id)?, kind, content), mac, kind.name())
    }
}

fn chain(key: &DataKey, position: &Position) -> Hmac<Sha256> {
    keyed(key, Purpose::Chain)
        .chain_update(position.lineage.as_bytes())
        .chain_update(position.sequence.to_be_bytes())
        .chain_update(position.chain_hash.as_bytes())
}

fn document(key: &DataKey, kind: DocumentKind, content: &[u8]) -> Hmac<Sha256> {
    keyed(key, Purpose::Document).chain_update(kind.name()).chain_update([0]).chain_update(content)
}

/// The key fills a block of SHA-256.
fn keyed(key: &DataKey, purpose: Purpose) -> Hmac<Sha256> {
    let key = derive::<64>(key.secret(), &[], purpose);
    Hmac::new((&*key).into())
}

fn check(computed: Hmac<Sha256>, mac: &KeyedMac, what: &'static str) -> Result<()> {
    computed.verify_slice(&mac.mac).map_err(|_| Error::MacMismatch { what, id: mac.key_id })
}
