//! Small JSON objects beside the head: labels and the manifests of snapshots. What is wrong with one.

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
    /// A field that is out of range, or that contradicts the object's name or other fields.
    #[error("{0}")]
    Field(&'static str),
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
