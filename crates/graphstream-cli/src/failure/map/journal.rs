//! Errors of the local journal.

use std::io;

use graphstream::{format, journal};

use super::format::{format_kind, format_place};
use super::{FENCED, VERIFY};
use crate::failure::{Failure, Kind, Place};

impl From<journal::Error> for Failure {
    fn from(error: journal::Error) -> Self {
        let (kind, hint) = journal_kind(&error);
        let mut failure = Self::of(kind, &error).place(|place| journal_place(&error, place));
        if let Some(hint) = hint {
            failure = failure.hint(hint);
        }
        failure
    }
}

const FREE_SPACE: &str = "free disk space; the journal goes on from what is acknowledged";

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn journal_kind(error: &journal::Error) -> (Kind, Option<&'static str>) {
    use journal::Error as E;

    match error {
        E::Segment { source, .. } => {
            if let format::Error::Io { source, .. } = &**source
                && is_full(source)
            {
                return (Kind::Full, Some(FREE_SPACE));
            }
            let (kind, hint) = format_kind(source);
            (kind, if kind.code() == crate::exit::Code::Integrity { Some(VERIFY) } else { hint })
        }
        E::Shared(inner) => journal_kind(inner),
        E::Unresolved { source } => match journal_kind(source) {
            (Kind::Fenced, hint) => (Kind::Fenced, hint),
            _ => (
                Kind::Unresolved,
                Some(
                    "append the unacknowledged entries again after looking with graphstream status --journal DIR",
                ),
            ),
        },
        E::Poisoned { source } => match journal_kind(source) {
            (kind @ (Kind::Fenced | Kind::Full), hint) => (kind, hint),
            _ => (Kind::Journal, Some("open the journal again once the disk is well")),
        },
        E::SealBacklog { source, .. } => match journal_kind(source) {
            (Kind::Full, hint) => (Kind::Full, hint),
            (_, hint) => (Kind::Journal, hint),
        },
        E::Gap { .. } => (Kind::Gap, Some("fetch the missing segments again from the object store")),
        E::Fork { .. } => (Kind::Fork, Some("graphstream verify --journal DIR")),
        E::ForeignLineage { .. } => {
            (Kind::Lineage, Some("move the segment out of the directory if it doesn't belong there"))
        }
        E::Fenced { .. } => (Kind::Fenced, Some(FENCED)),
        E::Locked { kind, .. } => match kind {
            journal::LockKind::Shipper => (
                Kind::Locked,
                Some(
                    "end the other graphstream replicate first, or leave it to its work: one process ships a journal",
                ),
            ),
            _ => (
                Kind::Locked,
                Some(
                    "end the process that writes this journal first; cat, status and replicate work beside it",
                ),
            ),
        },
        E::EncryptionRequired { .. } => (
            Kind::Usage,
            Some("--encryption-key-file FILE, or GRAPHSTREAM_ENCRYPTION_KEY_FILE, with that key"),
        ),
        E::EncryptionKeyMissing { .. } => {
            (Kind::Usage, Some("--encryption-key-file FILE once more, with the file of that key"))
        }
        E::NotEncrypted { .. } => (
            Kind::Usage,
            Some(
                "no key, to use the journal as it is; append --encrypt-existing with the key encrypts it from here on",
            ),
        ),
        E::KeyFileExposed { .. } => {
            (Kind::Usage, Some("chmod 600 FILE, and a new key if others may have read it"))
        }
        E::KeyFileOwner { .. } => (Kind::Usage, Some("run as the user who owns the key file")),
        E::InvalidKeyFile { .. } => (
            Kind::Usage,
            Some("a copy of the key file; graphstream key generate --output FILE makes a new key"),
        ),
        E::NotAJournal { .. } => {
            (Kind::Journal, Some("check --journal; graphstream append --journal DIR starts a new one"))
        }
        E::Full { .. } => (Kind::Full, Some(FREE_SPACE)),
        E::BudgetFull { .. } => (
            Kind::Full,
            Some(
                "look after the object store, or whatever reads by that cursor; the journal goes on once it has moved",
            ),
        ),
        E::UnsupportedFormat { .. } => (Kind::Journal, Some("a newer graphstream")),
        E::InvalidOption { .. } | E::InvalidCursorName | E::BeyondEnd { .. } => (Kind::Usage, None),
        E::PayloadTooLarge { .. } | E::BatchTooLarge { .. } => (Kind::Input, None),
        E::Io { source, .. } => match source.kind() {
            _ if is_full(source) => (Kind::Full, Some(FREE_SPACE)),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (Kind::Journal, Some("check the permissions of the journal's directory"))
            }
            io::ErrorKind::NotFound => {
                (Kind::Journal, Some("check --journal: the directory above the journal must exist"))
            }
            _ => (Kind::Journal, None),
        },
        other => match other.kind() {
            journal::ErrorKind::Integrity => (Kind::Corruption, Some(VERIFY)),
            journal::ErrorKind::Fenced => (Kind::Fenced, None),
            journal::ErrorKind::Locked => (Kind::Locked, None),
            journal::ErrorKind::Invalid => (Kind::Internal, None),
            _ => (Kind::Journal, None),
        },
    }
}

fn journal_place(error: &journal::Error, place: &mut Place) {
    use journal::Error as E;

    let path = match error {
        E::Segment { path, source } => {
            format_place(source, place);
            path
        }
        E::DamagedBelowNext { path, offset, last_sequence, .. } => {
            place.offset = Some(*offset);
            place.sequence = last_sequence.checked_add(1);
            path
        }
        E::Gap { first, last, path } => {
            place.sequence = Some(*first);
            place.last_sequence = Some(*last);
            path
        }
        E::Overlap { path, found, .. } | E::Misnamed { path, found, .. } => {
            place.sequence = Some(*found);
            path
        }
        E::Fork { path, sequence, .. } | E::BeyondEnd { path, sequence, .. } => {
            place.sequence = Some(*sequence);
            path
        }
        E::Fenced { path, after } => {
            place.sequence = Some(*after);
            path
        }
        E::Io { path, .. }
        | E::NotAJournal { path }
        | E::NotAFile { path, .. }
        | E::Locked { path, .. }
        | E::InvalidJson { path, .. }
        | E::FileTooLarge { path, .. }
        | E::UnsupportedFormat { path, .. }
        | E::IdentityMissing { path }
        | E::EncryptionRequired { path, .. }
        | E::EncryptionKeyMissing { path, .. }
        | E::NotEncrypted { path }
        | E::KeyFileExposed { path, .. }
        | E::KeyFileOwner { path, .. }
        | E::InvalidKeyFile { path, .. }
        | E::ForeignLineage { path, .. }
        | E::Full { path, .. } => path,
        E::Shared(inner) => return journal_place(inner, place),
        E::Poisoned { source } | E::Unresolved { source } | E::SealBacklog { source, .. } => {
            return journal_place(source, place);
        }
        _ => return,
    };
    place.file = Some(path.display().to_string());
}
