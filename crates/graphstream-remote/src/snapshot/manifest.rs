//! `manifest.json`: what a snapshot is of, which files it holds, and in which objects.

use std::collections::HashSet;

use graphstream_format::encryption::KeyRing;
use graphstream_format::{ChainHash, Lineage, Position};
use serde::{Deserialize, Serialize};

use super::SnapshotPath;
use super::sealed::{self, Sealed};
use crate::document::KEYED_FORMAT;
use crate::error::Result;
use crate::ids::hex_text;
use crate::plain_document::{check_document, is_plain_text};
use crate::{DatabaseId, DocumentProblem, SnapshotName};

/// The kind of database that a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotEngine {
    /// What can open it, such as `grafeo`: at most 64 bytes without control characters.
    pub name: String,
    /// The version that wrote it, as far as it is known.
    pub version: String,
}

/// A file of the copied database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotFile {
    /// Where it stands.
    pub path: SnapshotPath,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its content.
    #[serde(with = "hex_text")]
    pub sha256: [u8; 32],
}

/// A data object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotPart {
    /// Its bytes, at least 1.
    pub size: u64,
    /// SHA-256 of it.
    #[serde(with = "hex_text")]
    pub sha256: [u8; 32],
}

/// The content of a snapshot's `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SnapshotManifest {
    format: u32,
    /// The database.
    pub database_id: DatabaseId,
    /// The history that the copy is of.
    #[serde(with = "hex_text")]
    pub lineage: Lineage,
    /// The last entry that the copy holds.
    pub sequence: u64,
    /// The chain hash there, as the copy says it.
    #[serde(with = "hex_text")]
    pub chain_hash: ChainHash,
    /// The epoch of that entry.
    pub epoch: u32,
    /// Its commit time, in ms since 1970.
    pub commit_ms: i64,
    /// What can open it.
    pub engine: SnapshotEngine,
    /// When it was made, by the clock of who made it, in ms since 1970. For people.
    pub created_ms: i64,
    /// Names the attempt that made it: 16 hex digits.
    pub attempt: String,
    /// Bytes of the archive, before compression.
    pub archive_bytes: u64,
    /// Directories, each before what stands in it; those of files need not be named.
    pub directories: Vec<SnapshotPath>,
    /// The files, in the order of the archive.
    pub files: Vec<SnapshotFile>,
    /// The data objects, in order.
    pub parts: Vec<SnapshotPart>,
    /// What opens the data objects, if they are encrypted.
    #[serde(skip)]
    pub(super) sealed: Option<Sealed>,
}

impl SnapshotManifest {
    /// The version of the JSON shape that we write and read.
    pub const FORMAT: u32 = 1;
    /// The largest object that is read, in bytes.
    pub const BYTES_MAX: u64 = 64 << 20;
    const TEXT_BYTES_MAX: usize = 64;

    /// A manifest of no file in no object yet.
    #[must_use]
    pub fn new(
        name: &SnapshotName,
        database_id: DatabaseId,
        position: Position,
        engine: SnapshotEngine,
        attempt: u64,
    ) -> Self {
        Self {
            format: Self::FORMAT,
            database_id,
            lineage: position.lineage,
            sequence: name.sequence(),
            chain_hash: position.chain_hash,
            epoch: name.epoch(),
            commit_ms: name.commit_ms(),
            engine,
            created_ms: 0,
            attempt: format!("{attempt:016x}"),
            archive_bytes: 0,
            directories: Vec::new(),
            files: Vec::new(),
            parts: Vec::new(),
            sealed: None,
        }
    }

    /// The position that the copy holds.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { lineage: self.lineage, sequence: self.sequence, chain_hash: self.chain_hash }
    }

    /// The name of the snapshot that it is of.
    ///
    /// # Errors
    /// [`Error::InvalidSnapshotName`](crate::Error::InvalidSnapshotName).
    pub fn name(&self) -> Result<SnapshotName> {
        SnapshotName::new(self.sequence, self.epoch, self.commit_ms)
    }

    /// The name of a data object in the snapshot, by its place from 0.
    #[must_use]
    pub fn part_name(&self, index: usize) -> String {
        part_name(&self.attempt, index)
    }

    /// Bytes of all data objects.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size))
    }

    /// The object's bytes; equal manifests have equal bytes. With keys only what is encrypted is written.
    ///
    /// # Errors
    /// [`DocumentProblem::Field`] when [`parse`](Self::parse) would refuse it: nothing is written that can't be read;
    /// [`DocumentProblem::Plaintext`]; [`DocumentProblem::KeyRequired`], [`DocumentProblem::UnknownKey`].
    pub fn render(&self, keys: Option<&KeyRing>) -> Result<Vec<u8>, DocumentProblem> {
        self.check()?;
        let bytes = match &self.sealed {
            Some(sealed) => sealed.render(self, keys)?,
            None if keys.is_some() => return Err(DocumentProblem::Plaintext),
            None => {
                let mut bytes = serde_json::to_vec(self)?;
                bytes.push(b'\n');
                bytes
            }
        };
        if bytes.len() as u64 > Self::BYTES_MAX {
            return Err(DocumentProblem::Field("it names too many files and objects"));
        }
        Ok(bytes)
    }

    /// Parses an object's bytes and checks every field against the others. Who has keys takes no plain one.
    ///
    /// # Errors
    /// [`DocumentProblem`].
    pub fn parse(bytes: &[u8], keys: Option<&KeyRing>) -> Result<Self, DocumentProblem> {
        let manifest = match check_document(bytes, Self::FORMAT) {
            Ok(()) if keys.is_some() => return Err(DocumentProblem::Plaintext),
            Ok(()) => serde_json::from_slice(bytes)?,
            Err(DocumentProblem::Format { found, .. }) if found == u64::from(KEYED_FORMAT) => {
                sealed::parse(bytes, keys)?
            }
            Err(problem) => return Err(problem),
        };
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), DocumentProblem> {
        let problem = |what| Err(DocumentProblem::Field(what));
        if self.sequence == 0 || self.name().is_err() {
            return problem("its sequence, epoch or commit time is out of range");
        }
        let SnapshotEngine { name, version } = &self.engine;
        let texts = is_plain_text(name, Self::TEXT_BYTES_MAX) && is_plain_text(version, Self::TEXT_BYTES_MAX);
        if name.is_empty() || !texts {
            return problem("its engine has no name, or a text is too long or has control characters");
        }
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.attempt.len() != 16 || !self.attempt.bytes().all(hex) {
            return problem("`attempt` is not 16 lower-case hex digits");
        }
        let files = self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size));
        let parts = self.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
        let (Some(files), Some(_)) = (files, parts) else {
            return problem("its sizes add up to more than there can be");
        };
        if files > self.archive_bytes {
            return problem("its files are larger than its archive");
        }
        if self.files.is_empty() || self.parts.is_empty() || self.parts.iter().any(|part| part.size == 0) {
            return problem("it has no files, no data objects, or an empty one");
        }
        self.check_paths()
    }

    /// No name twice, and nothing inside a file.
    fn check_paths(&self) -> Result<(), DocumentProblem> {
        let mut names = HashSet::new();
        let files = self.files.iter().map(|file| file.path.as_str());
        let directories = self.directories.iter().map(SnapshotPath::as_str);
        if !files.clone().chain(directories).all(|path| names.insert(path)) {
            return Err(DocumentProblem::Field("it names a path twice"));
        }
        let files: HashSet<&str> = files.collect();
        let paths = self.files.iter().map(|file| &file.path).chain(&self.directories);
        if paths.flat_map(SnapshotPath::ancestors).any(|above| files.contains(above)) {
            return Err(DocumentProblem::Field("it has a path inside a file"));
        }
        Ok(())
    }
}

/// The name of a data object in its snapshot.
pub(super) fn part_name(attempt: &str, index: usize) -> String {
    format!("part-{attempt}-{index:06}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::snapshot) fn manifest() -> SnapshotManifest {
        let name = SnapshotName::new(7, 2, 1_700_000_000_000).unwrap();
        let position = Position {
            lineage: Lineage::from_bytes([2; 16]),
            sequence: 7,
            chain_hash: ChainHash::from_bytes([3; 32]),
        };
        let engine = SnapshotEngine { name: "grafeo".to_owned(), version: "0.5.44".to_owned() };
        let mut manifest =
            SnapshotManifest::new(&name, DatabaseId::from_bytes([1; 16]), position, engine, 0xabc);
        let path = |text: &str| SnapshotPath::new(text).unwrap();
        manifest.archive_bytes = 10_240;
        manifest.directories = vec![path("database"), path("database/empty")];
        manifest.files = vec![
            SnapshotFile { path: path("database/a"), size: 5, sha256: [4; 32] },
            SnapshotFile { path: path("database.wal"), size: 0, sha256: [5; 32] },
        ];
        manifest.parts = vec![SnapshotPart { size: 100, sha256: [6; 32] }];
        manifest
    }

    #[test]
    fn manifests_round_trip() {
        let rendered = manifest().render(None).unwrap();
        assert_eq!(SnapshotManifest::parse(&rendered, None).unwrap(), manifest());
        assert_eq!(manifest().part_name(3), "part-0000000000000abc-000003");
        assert_eq!(manifest().name().unwrap(), SnapshotName::new(7, 2, 1_700_000_000_000).unwrap());
    }

    #[test]
    fn h03_hostile_manifests_are_refused() {
        let text = String::from_utf8(manifest().render(None).unwrap()).unwrap();
        for (from, to) in [
            ("\"format\":1", "\"format\":2"),
            ("\"sequence\":7", "\"sequence\":0"),
            ("\"epoch\":2", "\"epoch\":0"),
            ("\"commit_ms\":1700000000000", "\"commit_ms\":-1"),
            ("grafeo", ""),
            ("grafeo", "\\u0007"),
            ("0000000000000abc", "../../../../../x"),
            ("0000000000000abc", "abc"),
            ("database/a", "../a"),
            ("database/a", "/etc/passwd"),
            ("database/a", "database/empty"),
            ("database/a", "database.wal/a"),
            ("\"size\":5", "\"size\":18446744073709551615"),
            ("\"size\":5", "\"size\":10241"),
            ("\"size\":5", "\"size\":1e30"),
            ("\"size\":100", "\"size\":0"),
            ("\"parts\":[", "\"more\":1,\"parts\":["),
            ("[{\"size\":100", "[{\"size\":18446744073709551615,\"sha256\":\"00\"},{\"size\":100"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(SnapshotManifest::parse(changed.as_bytes(), None).is_err(), "{to}");
        }
        let mut empty = manifest();
        empty.files.clear();
        assert!(empty.render(None).is_err());
        let mut empty = manifest();
        empty.parts.clear();
        assert!(empty.render(None).is_err());
    }
}
