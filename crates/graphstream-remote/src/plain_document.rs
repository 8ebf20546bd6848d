//! Small JSON objects beside the head: labels and the manifests of snapshots. What is wrong with one.

use graphstream_format::encryption::KeyId;

use crate::document::format_of;
use crate::head::HeadProblem;

/// Why bytes are not a label or a snapshot's manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentProblem {
    /// Not JSON, or not exactly the documented fields.
    #[error("it is not JSON of the documented shape")]
    Json(#[from] serde_json::Error),
    /// Written by a newer graphstream, or not by graphstream.
    #[error("its format is {found}, this version reads {supported}")]
    Format {
        /// The format that it claims.
        found: u64,
        /// The format that we read.
        supported: u32,
    },
    /// Of an encrypted history, and there is no key at all.
    #[error("it is encrypted (key {id}), and no key was given")]
    KeyRequired {
        /// The key it takes.
        id: KeyId,
    },
    /// Of an encrypted history, and its key is not among those given.
    #[error("it takes key {id}, which is not among the keys given")]
    UnknownKey {
        /// The key it takes.
        id: KeyId,
    },
    /// Whoever wrote it did not have the key that it names, or meant another document by it.
    #[error("it was not written by who has key {id}")]
    Forged {
        /// The key it names.
        id: KeyId,
    },
    /// What is encrypted in it does not open.
    #[error("what is encrypted in it does not open")]
    Sealed(#[source] Box<graphstream_format::Error>),
    /// It is plain, where everything must be encrypted.
    #[error("it is plain, and keys were given: nothing unencrypted is accepted")]
    Plaintext,
    /// A field that is out of range, or that contradicts the object's name or other fields.
    #[error("{0}")]
    Field(&'static str),
}

impl DocumentProblem {
    /// Whether only a key is missing: nothing is known to be wrong.
    #[must_use]
    pub const fn is_missing_key(&self) -> bool {
        matches!(self, Self::KeyRequired { .. } | Self::UnknownKey { .. })
    }
}

impl From<HeadProblem> for DocumentProblem {
    /// What is wrong with a keyed document.
    fn from(problem: HeadProblem) -> Self {
        match problem {
            HeadProblem::KeyRequired { id } => Self::KeyRequired { id },
            HeadProblem::UnknownKey { id } => Self::UnknownKey { id },
            HeadProblem::Forged { id } => Self::Forged { id },
            HeadProblem::Plaintext => Self::Plaintext,
            HeadProblem::Json(source) => Self::Json(source),
            HeadProblem::Format { found, supported } => Self::Format { found, supported },
            _ => Self::Field("it is not a keyed document"),
        }
    }
}

/// Reads the version before the shape, so that a newer shape is named as such.
pub(crate) fn check_document(bytes: &[u8], supported: u32) -> Result<(), DocumentProblem> {
    match format_of(bytes) {
        Ok(found) if found == u64::from(supported) => Ok(()),
        Ok(found) => Err(DocumentProblem::Format { found, supported }),
        Err(HeadProblem::Json(source)) => Err(DocumentProblem::Json(source)),
        Err(_) => Err(DocumentProblem::Field("its format can't be told")),
    }
}

/// Text that people gave and that is shown again: short, and nothing that moves a terminal's cursor.
pub(crate) fn is_plain_text(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(char::is_control)
}
