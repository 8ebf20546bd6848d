//! Errors about the bytes of a segment, and about a file that the operator named.

use std::io;
use std::path::Path;

use graphstream::format;

use crate::failure::{Failure, Kind, Place};

pub(super) const KEY: &str = "--encryption-key-file FILE with that key; the id stands in its file";

impl Failure {
    /// An error about the bytes of the segment at `path`.
    pub(crate) fn in_segment(path: &Path, error: &format::Error) -> Self {
        let (kind, hint) = format_kind(error);
        let mut failure = Self::of(kind, error)
            .while_doing(path.display())
            .file(path)
            .place(|place| format_place(error, place));
        if let Some(hint) = hint {
            failure = failure.hint(hint);
        }
        failure
    }

    /// A failed operation on a file that the operator named.
    pub(crate) fn opening(path: &Path, kind: Kind, error: &io::Error) -> Self {
        let failure =
            Self::new(kind, format!("{} can't be opened", path.display())).because(error).file(path);
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint("check the path"),
            io::ErrorKind::PermissionDenied => {
                failure.hint("check the permissions of the file and its directories")
            }
            _ => failure,
        }
    }
}

pub(super) fn format_kind(error: &format::Error) -> (Kind, Option<&'static str>) {
    match error {
        format::Error::Io { .. } => (Kind::Journal, None),
        format::Error::NotASegment { .. } => {
            (Kind::Corruption, Some("name a .hadbj file; cat --journal DIR reads a whole journal"))
        }
        format::Error::UnsupportedVersion { .. } => {
            (Kind::Corruption, Some("a newer graphstream, if the file is not damaged"))
        }
        format::Error::LegacyRefused | format::Error::LineageMismatch { .. } => (Kind::Lineage, None),
        format::Error::ChainMismatch { .. } => (Kind::Fork, None),
        format::Error::PayloadTooLarge { .. } | format::Error::BatchTooLarge { .. } => (Kind::Input, None),
        format::Error::CommitTimeDecreases { .. } | format::Error::Unwritable(_) => (Kind::Internal, None),
        format::Error::InvalidHex { .. }
        | format::Error::InvalidPosition
        | format::Error::InvalidKeyLine { .. } => (Kind::Usage, None),
        format::Error::KeyRequired { .. }
        | format::Error::UnknownKey { .. }
        | format::Error::WrongKey { .. } => (Kind::Usage, Some(KEY)),
        format::Error::PlaintextRefused => (
            Kind::Corruption,
            Some("find out who put a plain segment there; if it is meant to be plain, read it without a key"),
        ),
        _ => (Kind::Corruption, Some("restore the file from the object store, or from another copy")),
    }
}

pub(super) fn format_place(error: &format::Error, place: &mut Place) {
    match error {
        format::Error::Damaged { offset, sequence, .. } => {
            match offset {
                format::Offset::File(offset) => place.offset = Some(*offset),
                format::Offset::Body(offset) => place.body_offset = Some(*offset),
                _ => {}
            }
            place.sequence = *sequence;
        }
        format::Error::NotASegment { .. } => place.offset = Some(format::header::field::MAGIC as u64),
        format::Error::UnsupportedVersion { .. } => {
            place.offset = Some(format::header::field::VERSION as u64);
        }
        format::Error::ChainMismatch { sequence, .. } | format::Error::BodyTooLarge { sequence, .. } => {
            place.sequence = Some(*sequence);
        }
        format::Error::Io { offset, .. } => place.offset = Some(*offset),
        _ => {}
    }
}
