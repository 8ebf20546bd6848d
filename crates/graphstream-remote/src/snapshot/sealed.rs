//! Snapshots of encrypted histories: what of a manifest is readable without a key, and what is not.
//!
//! ```text
//!   data key ──HKDF, salt──► object key ──► part 0, part 1, ... part n-1        each a data object: ciphertext, tag
//!                                      └──► listing: chunk n, the last          in the manifest: position, files, sizes, hashes
//!   {"format":2,"key_id":...,"mac":...,"content":{ names, times, engine, salt, nonce_prefix, listing, parts }}      MAC over all of it
//! ```
//! In the open stands what names and sizes of objects say anyway. The hash of a database's file would let a guess of its content be
//! tested, its path may name what is in it, and the chain hash is a commitment to every entry: those are in the listing. The associated data of
//! parts and listing says what they are of, so that they open for no other snapshot.

use graphstream_format::encryption::{DocumentKind, Extension, KeyId, KeyRing, ObjectOpener, ObjectSealer};
use graphstream_format::{ChainHash, Lineage, Position};
use serde::{Deserialize, Serialize};

use super::SnapshotPath;
use super::manifest::{SnapshotEngine, SnapshotFile, SnapshotManifest, SnapshotPart};
use crate::document::{open_document, seal_document};
use crate::ids::hex_text;
use crate::{DatabaseId, DocumentProblem, SnapshotName};

/// The largest data object of an encrypted snapshot, in bytes: it is opened in memory.
pub const SEALED_PART_BYTES_MAX: u64 = (64 << 20) + TAG_BYTES;
const TAG_BYTES: u64 = 16;

/// What opens a snapshot's objects, and its listing as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    extension: Extension,
    listing: Vec<u8>,
}

/// The readable part.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    database_id: DatabaseId,
    #[serde(with = "hex_text")]
    lineage: Lineage,
    sequence: u64,
    epoch: u32,
    commit_ms: i64,
    engine: SnapshotEngine,
    created_ms: i64,
    attempt: String,
    #[serde(with = "hex_text")]
    salt: [u8; 32],
    #[serde(with = "hex_text")]
    nonce_prefix: [u8; 7],
    listing: String,
    parts: Vec<SnapshotPart>,
}

/// The encrypted one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(with = "hex_text")]
    chain_hash: ChainHash,
    archive_bytes: u64,
    directories: Vec<SnapshotPath>,
    files: Vec<SnapshotFile>,
}

/// What the objects of a snapshot are bound to, 60 bytes: database id | lineage | sequence u64 | epoch u32 | commit time u64 | attempt u64.
fn associated(database_id: DatabaseId, lineage: Lineage, name: &SnapshotName, attempt: u64) -> Vec<u8> {
    let mut bytes = database_id.as_bytes().to_vec();
    bytes.extend_from_slice(lineage.as_bytes());
    bytes.extend_from_slice(&name.sequence().to_be_bytes());
    bytes.extend_from_slice(&name.epoch().to_be_bytes());
    bytes.extend_from_slice(&name.commit_ms().to_be_bytes());
    bytes.extend_from_slice(&attempt.to_be_bytes());
    bytes
}

impl SnapshotManifest {
    /// Encrypts the objects of a new snapshot under the current key. `random` must come from a source of cryptographic quality and
    /// serve nothing else.
    #[must_use]
    pub fn sealer(
        name: &SnapshotName,
        database_id: DatabaseId,
        position: Position,
        attempt: u64,
        (keys, random): (&KeyRing, &[u8; 39]),
    ) -> ObjectSealer {
        let associated = associated(database_id, position.lineage, name, attempt);
        ObjectSealer::new(keys.current(), random, &associated)
    }

    /// Ends the encryption: every part was sealed, in order, and nothing of the manifest changes any more.
    ///
    /// # Errors
    /// [`DocumentProblem::Sealed`] for a listing that is too large.
    pub fn seal(&mut self, sealer: ObjectSealer) -> Result<(), DocumentProblem> {
        let listing = Listing {
            chain_hash: self.chain_hash,
            archive_bytes: self.archive_bytes,
            directories: self.directories.clone(),
            files: self.files.clone(),
        };
        let (extension, mut listing) = (*sealer.extension(), serde_json::to_vec(&listing)?);
        sealer.seal_last(&mut listing).map_err(unopened)?;
        self.sealed = Some(Sealed { extension, listing });
        Ok(())
    }

    /// The key that it is encrypted with; `None` if it is plain.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        self.sealed.as_ref().map(|sealed| sealed.extension.key_id)
    }

    /// What opens its data objects, each by its place from 0; `None` if they are plain.
    ///
    /// # Errors
    /// [`DocumentProblem::KeyRequired`], [`DocumentProblem::UnknownKey`].
    pub fn opener(&self, keys: Option<&KeyRing>) -> Result<Option<ObjectOpener>, DocumentProblem> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let name = self.name().map_err(|_| DocumentProblem::Field("it has no name"))?;
        let attempt = attempt(&self.attempt)?;
        let associated = associated(self.database_id, self.lineage, &name, attempt);
        opener(&sealed.extension, keys, &associated).map(Some)
    }
}

fn unopened(source: graphstream_format::Error) -> DocumentProblem {
    DocumentProblem::Sealed(Box::new(source))
}

fn attempt(text: &str) -> Result<u64, DocumentProblem> {
    u64::from_str_radix(text, 16).map_err(|_| DocumentProblem::Field("`attempt` is not 16 hex digits"))
}

fn opener(
    extension: &Extension,
    keys: Option<&KeyRing>,
    associated: &[u8],
) -> Result<ObjectOpener, DocumentProblem> {
    let id = extension.key_id;
    let keys = keys.ok_or(DocumentProblem::KeyRequired { id })?;
    let key = keys.key(id).ok_or(DocumentProblem::UnknownKey { id })?;
    ObjectOpener::new(key, extension, associated).map_err(unopened)
}

impl Sealed {
    pub(super) fn render(
        &self,
        of: &SnapshotManifest,
        keys: Option<&KeyRing>,
    ) -> Result<Vec<u8>, DocumentProblem> {
        let id = self.extension.key_id;
        let key = keys.ok_or(DocumentProblem::KeyRequired { id })?.key(id);
        let content = Content {
            database_id: of.database_id,
            lineage: of.lineage,
            sequence: of.sequence,
            epoch: of.epoch,
            commit_ms: of.commit_ms,
            engine: of.engine.clone(),
            created_ms: of.created_ms,
            attempt: of.attempt.clone(),
            salt: self.extension.salt,
            nonce_prefix: self.extension.nonce_prefix,
            listing: hex::encode(&self.listing),
            parts: of.parts.clone(),
        };
        let key = key.ok_or(DocumentProblem::UnknownKey { id })?;
        Ok(seal_document(DocumentKind::SnapshotManifest, &content, key)?)
    }
}

/// Parses a keyed manifest: its MAC first, then what is readable, then the listing.
pub(super) fn parse(bytes: &[u8], keys: Option<&KeyRing>) -> Result<SnapshotManifest, DocumentProblem> {
    let (content, key_id) = open_document(DocumentKind::SnapshotManifest, bytes, keys)?;
    let content: Content = serde_json::from_str(content)?;
    let Content { database_id, lineage, sequence, epoch, commit_ms, salt, nonce_prefix, .. } = content;
    if content.parts.iter().any(|part| part.size > SEALED_PART_BYTES_MAX) {
        return Err(DocumentProblem::Field("it has a data object that is too large to be opened"));
    }
    let name = SnapshotName::new(sequence, epoch, commit_ms)
        .map_err(|_| DocumentProblem::Field("its sequence, epoch or commit time is out of range"))?;
    let number = u32::try_from(content.parts.len())
        .map_err(|_| DocumentProblem::Field("it names too many data objects"))?;
    let listing =
        hex::decode(&content.listing).map_err(|_| DocumentProblem::Field("its listing is not hex digits"))?;
    let extension = Extension { key_id, salt, nonce_prefix };
    let attempt = attempt(&content.attempt)?;
    let associated = associated(database_id, lineage, &name, attempt);
    let mut opened = listing.clone();
    opener(&extension, keys, &associated)?.open(number, true, &mut opened).map_err(unopened)?;
    let Listing { chain_hash, archive_bytes, directories, files } = serde_json::from_slice(&opened)?;
    let position = Position { lineage, sequence, chain_hash };
    let mut manifest = SnapshotManifest::new(&name, database_id, position, content.engine, attempt);
    manifest.created_ms = content.created_ms;
    manifest.archive_bytes = archive_bytes;
    manifest.directories = directories;
    manifest.files = files;
    manifest.parts = content.parts;
    manifest.sealed = Some(Sealed { extension, listing });
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use graphstream_format::encryption::DataKey;

    use super::super::manifest::tests::manifest;
    use super::*;

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(DataKey::taking(&mut [byte; 32]))
    }

    fn sealed(keys: &KeyRing) -> (SnapshotManifest, Vec<u8>) {
        let mut manifest = manifest();
        let (name, position) = (manifest.name().unwrap(), manifest.position());
        let mut sealer =
            SnapshotManifest::sealer(&name, manifest.database_id, position, 0xabc, (keys, &[7; 39]));
        let mut part = b"the archive".to_vec();
        sealer.seal_next(&mut part).unwrap();
        manifest.seal(sealer).unwrap();
        (manifest, part)
    }

    #[test]
    fn k02_a_sealed_manifest_shows_neither_files_nor_hashes_and_opens_with_its_key_alone() {
        let keys = ring(1);
        let (manifest, mut part) = sealed(&keys);
        let bytes = manifest.render(Some(&keys)).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        for secret in ["database/a", "database.wal", &"03".repeat(32), &"04".repeat(32), "archive_bytes"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let parsed = SnapshotManifest::parse(&bytes, Some(&keys)).unwrap();
        assert_eq!((parsed.key_id(), &parsed), (Some(keys.current().id()), &manifest));
        assert_eq!(parsed.render(Some(&keys)).unwrap(), bytes);
        parsed.opener(Some(&keys)).unwrap().unwrap().open(0, false, &mut part).unwrap();
        assert_eq!(part, b"the archive");
        // Under an older key of the ring, too.
        let rotated = ring(2).with_all_of(ring(1));
        assert_eq!(SnapshotManifest::parse(&bytes, Some(&rotated)).unwrap(), manifest);

        let id = keys.current().id();
        let problem = |keys: Option<&KeyRing>| SnapshotManifest::parse(&bytes, keys).unwrap_err();
        assert!(matches!(problem(None), DocumentProblem::KeyRequired { id: found } if found == id));
        assert!(matches!(problem(Some(&ring(2))), DocumentProblem::UnknownKey { id: found } if found == id));
        let plain = super::super::manifest::tests::manifest();
        assert!(matches!(plain.render(Some(&keys)), Err(DocumentProblem::Plaintext)));
        let plain = plain.render(None).unwrap();
        let plain = SnapshotManifest::parse(&plain, Some(&keys)).unwrap_err();
        assert!(matches!(plain, DocumentProblem::Plaintext));
    }

    #[test]
    fn h06_every_changed_byte_of_a_sealed_manifest_is_found() {
        let keys = ring(1);
        let bytes = sealed(&keys).0.render(Some(&keys)).unwrap();
        for at in 0..bytes.len() - 1 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(SnapshotManifest::parse(&changed, Some(&keys)).is_err(), "byte {at}");
        }
    }
}
