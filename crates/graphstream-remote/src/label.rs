//! Labels: names for positions, `label/{name}.json`. A label is created once; replacing it must be said.
//!
//! ```text
//!   label/before-migration.json ──► lineage, sequence, chain hash, commit time, who set it and when
//! ```
//! A label holds nothing back from retention and changes no head: it says where to restore to, and by its chain hash that
//! what is restored there is what was meant.

use graphstream_format::Lineage;
use graphstream_storage::{ErrorClass, GetOptions, GetOutcome, Key, ListRequest, Lister, PutMode};
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error, Result};
use crate::ids::hex_text;
use crate::names::COMMIT_MS_MAX;
use crate::plain_document::{check_document, is_plain_text};
use crate::{ChainValue, DatabaseId, DocumentProblem, LabelName, ObjectName, Remote};

/// The content of `label/{name}.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Label {
    format: u32,
    /// The database.
    pub database_id: DatabaseId,
    /// The history that the position is in.
    #[serde(with = "hex_text")]
    pub lineage: Lineage,
    /// The last entry that belongs to what is named, from 1.
    pub sequence: u64,
    /// The chain value there: of an encrypted history a MAC, so that no guess of an entry can be tested against it.
    #[serde(rename = "chain_hash")]
    pub chain: ChainValue,
    /// That entry's commit time, in ms since 1970.
    pub commit_ms: i64,
    /// When the label was set, by the clock of who set it, in ms since 1970. For people.
    pub set_ms: i64,
    /// Who set it, at most 256 bytes without control characters. For people.
    pub set_by: String,
}

/// What became of setting a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelSet {
    /// It is set as it was given.
    Set,
    /// It named the same position before, and stays as it was.
    Unchanged(Label),
}

impl Label {
    /// The version of the JSON shape that we write and read.
    pub const FORMAT: u32 = 1;
    /// The largest object that is read, in bytes.
    pub const BYTES_MAX: u64 = 4096;
    const SET_BY_BYTES_MAX: usize = 256;

    /// A label for the entry `sequence` with its chain value and commit time, without a word of who set it when.
    #[must_use]
    pub fn new(
        database_id: DatabaseId,
        lineage: Lineage,
        sequence: u64,
        chain: ChainValue,
        commit_ms: i64,
    ) -> Self {
        let (set_ms, set_by) = (0, String::new());
        Self { format: Self::FORMAT, database_id, lineage, sequence, chain, commit_ms, set_ms, set_by }
    }

    /// Says who set it, and when. Control characters and what is beyond 256 bytes are left out.
    #[must_use]
    pub fn with_setter(mut self, set_by: &str, set_ms: i64) -> Self {
        self.set_by.clear();
        for character in set_by.chars().filter(|character| !character.is_control()) {
            if self.set_by.len() + character.len_utf8() > Self::SET_BY_BYTES_MAX {
                break;
            }
            self.set_by.push(character);
        }
        self.set_ms = set_ms;
        self
    }

    /// Whether both name the same position of the same history.
    #[must_use]
    pub fn is_same_position(&self, other: &Self) -> bool {
        let of = |label: &Self| (label.database_id, label.lineage, label.sequence, label.chain);
        of(self) == of(other)
    }

    /// The object's bytes; equal labels have equal bytes.
    ///
    /// # Errors
    /// [`DocumentProblem::Json`], which does not happen for these types.
    pub fn render(&self) -> Result<Vec<u8>, DocumentProblem> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses an object's bytes and checks every field.
    ///
    /// # Errors
    /// [`DocumentProblem`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentProblem> {
        check_document(bytes, Self::FORMAT)?;
        let label: Self = serde_json::from_slice(bytes)?;
        if label.sequence == 0 {
            return Err(DocumentProblem::Field("its sequence is 0"));
        }
        if !(0..=COMMIT_MS_MAX).contains(&label.commit_ms) {
            return Err(DocumentProblem::Field("its commit time is out of range"));
        }
        if !is_plain_text(&label.set_by, Self::SET_BY_BYTES_MAX) {
            return Err(DocumentProblem::Field("`set_by` is too long, or has control characters"));
        }
        Ok(label)
    }
}

impl Remote {
    /// Sets a label. One that names another position is kept unless `replace`. The caller has made sure that the position is
    /// committed. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::LabelExists`]; [`Error::DocumentDamaged`] for a damaged label that is not to be replaced; [`Error::Storage`].
    pub async fn set_label(&self, name: &LabelName, label: &Label, replace: bool) -> Result<LabelSet> {
        let key = self.layout().key(&ObjectName::Label(name.clone()))?;
        let damaged = |source| Error::DocumentDamaged { key: key.clone(), source };
        let bytes = label.render().map_err(damaged)?;
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let mut lost = None;
        for _ in 0..Self::ATTEMPTS {
            match self.backend().put(&key, bytes.clone().into(), mode.clone()).await {
                Ok(_) => return Ok(LabelSet::Set),
                Err(error) if error.class() == ErrorClass::Exists || error.class().is_unknown() => {
                    // Ours with a lost answer, or another one, or none (yet): then once more.
                    match self.read_label_at(&key).await? {
                        Some(found) if found == *label => return Ok(LabelSet::Set),
                        Some(found) if !replace && found.is_same_position(label) => {
                            return Ok(LabelSet::Unchanged(found));
                        }
                        Some(found) if !replace => {
                            return Err(Error::LabelExists { name: name.clone(), sequence: found.sequence });
                        }
                        _ => lost = Some(error),
                    }
                }
                Err(error) => return Err(Error::storage(Attempt::WriteLabel, key)(error)),
            }
        }
        Err(match lost {
            Some(error) => Error::storage(Attempt::WriteLabel, key)(error),
            None => Error::Contended { attempt: Attempt::WriteLabel, key, attempts: Self::ATTEMPTS },
        })
    }

    /// Reads a label; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Error::DocumentDamaged`]; [`Error::Storage`].
    pub async fn read_label(&self, name: &LabelName) -> Result<Option<Label>> {
        self.read_label_at(&self.layout().key(&ObjectName::Label(name.clone()))?).await
    }

    async fn read_label_at(&self, key: &Key) -> Result<Option<Label>> {
        let Some(bytes) = self.read_small(key, Label::BYTES_MAX, Attempt::ReadLabel).await? else {
            return Ok(None);
        };
        let damaged = |source| Error::DocumentDamaged { key: key.clone(), source };
        Label::parse(&bytes).map(Some).map_err(damaged)
    }

    /// The names of all labels, ascending. Keys that are not labels are skipped.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_labels(&self) -> Result<Vec<LabelName>> {
        let prefix = self.layout().prefix("label/");
        let mut lister = Lister::new(&**self.backend(), ListRequest::new(prefix.as_str()));
        let mut names = Vec::new();
        while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
            for object in page.objects {
                match self.layout().parse(&object.key) {
                    Some(ObjectName::Label(name)) => names.push(name),
                    _ => tracing::warn!(key = %object.key, "a key under label/ that is not a label"),
                }
            }
        }
        Ok(names)
    }

    /// The bytes of a small object; `None` when there is none.
    pub(crate) async fn read_small(
        &self,
        key: &Key,
        bytes_max: u64,
        attempt: Attempt,
    ) -> Result<Option<Vec<u8>>> {
        let failed = |source| Error::storage(attempt, key)(source);
        match self.backend().get(key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => {
                Ok(Some(object.bytes(bytes_max).await.map_err(failed)?.to_vec()))
            }
            Ok(GetOutcome::NotModified) => Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use graphstream_format::ChainHash;

    use super::*;

    fn label() -> Label {
        let (id, lineage) = (DatabaseId::from_bytes([1; 16]), Lineage::from_bytes([2; 16]));
        Label::new(id, lineage, 7, ChainHash::from_bytes([3; 32]).into(), 1_700_000_000_000)
            .with_setter("ada@host", 1_700_000_000_001)
    }

    #[test]
    fn labels_round_trip_and_anything_else_is_refused() {
        let rendered = label().render().unwrap();
        assert_eq!(Label::parse(&rendered).unwrap(), label());
        let text = String::from_utf8(rendered).unwrap();
        for (from, to) in [
            ("\"format\":1", "\"format\":2"),
            ("\"sequence\":7", "\"sequence\":0"),
            ("\"sequence\":7", "\"sequence\":-7"),
            ("\"commit_ms\":1700000000000", "\"commit_ms\":-1"),
            ("\"commit_ms\":1700000000000", "\"commit_ms\":281474976710656"),
            ("ada@host", "ada\\u001b[2J"),
            ("\"set_by\"", "\"extra\":1,\"set_by\""),
            ("0303", "03"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert!(Label::parse(changed.as_bytes()).is_err(), "{changed}");
        }
        assert!(Label::parse(b"").is_err());
    }

    #[test]
    fn h03_who_set_it_is_cut_and_cleaned() {
        let hostile = format!("\u{1b}[2J\n{}", "ä".repeat(200));
        let label = label().with_setter(&hostile, 0);
        assert!(label.set_by.starts_with("[2Jä") && label.set_by.len() <= 256);
        assert!(Label::parse(&label.render().unwrap()).is_ok());
    }
}
