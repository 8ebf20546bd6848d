//! Which error of which crate means which kind, and so which exit code, and what to try next.

use std::io;
use std::path::Path;

use graphstream::{format, journal, proto, remote, replay, replication, storage};

use super::{Failure, Kind};

const FENCED: &str = "decide which machine leads; for this one, remove its FENCED by hand: the next start sets aside what lies beyond the fence";
const VERIFY: &str = "graphstream verify --journal DIR names every damaged segment; fetch damaged ones again from the object store";

const FORK: &str = "two histories have one name: keep both, and find out which leader was started where, or whether this is the right store";

const KEY: &str = "--encryption-key-file FILE with that key; the id stands in its file";

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

fn format_kind(error: &format::Error) -> (Kind, Option<&'static str>) {
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
        format::Error::InvalidHex { .. } | format::Error::InvalidKeyLine { .. } => (Kind::Usage, None),
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

fn format_place(error: &format::Error, place: &mut super::Place) {
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

fn journal_place(error: &journal::Error, place: &mut super::Place) {
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

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        let (kind, hint) = storage_kind(error.class());
        Self::of(kind, &error).hint_or(advice(&error), hint)
    }
}

/// What the backend itself would try next.
#[cfg(feature = "s3")]
fn advice(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<graphstream::storage_s3::Error>()?.hint())
}

/// No other backend has any.
#[cfg(not(feature = "s3"))]
fn advice(_: &(dyn std::error::Error + 'static)) -> Option<String> {
    None
}

fn storage_kind(class: storage::ErrorClass) -> (Kind, Option<&'static str>) {
    match class {
        storage::ErrorClass::Denied => {
            (Kind::Denied, Some("check the credentials and permissions for this store"))
        }
        storage::ErrorClass::Corrupt => {
            (Kind::Corruption, Some("graphstream verify --from URL --database NAME"))
        }
        storage::ErrorClass::Throttled
        | storage::ErrorClass::Unavailable
        | storage::ErrorClass::TimeoutUnknown => {
            (Kind::Store, Some("the same command again once the store answers"))
        }
        _ => (Kind::Store, Some("check the URL of the store")),
    }
}

impl From<storage::OpenError> for Failure {
    fn from(error: storage::OpenError) -> Self {
        // Without a class the URL itself is at fault.
        let (kind, hint) = error.class().map_or((Kind::Usage, None), storage_kind);
        Self::of(kind, &error).hint_or(advice(&error), hint)
    }
}

impl From<remote::Error> for Failure {
    fn from(error: remote::Error) -> Self {
        use remote::Error as E;

        const VERIFY: &str =
            "graphstream verify --from URL --database NAME names every damaged or missing segment";
        let (kind, hint) = match &error {
            E::InvalidDatabaseName { .. } => (
                Kind::Usage,
                Some(
                    "a name of 1 to 63 characters of a-z, 0-9, '.', '_', '-' that starts with a letter or digit",
                ),
            ),
            E::Storage { source, .. } => storage_kind(source.class()),
            E::Behind { .. } => (
                Kind::Journal,
                Some(
                    "this journal was restored from an older copy: it lacks entries that are published; a leader needs all of them",
                ),
            ),
            E::HeadMissing { .. } => (
                Kind::Corruption,
                Some(
                    "another --database, if the name is wrong; otherwise the head was lost and must be restored",
                ),
            ),
            other => match other.kind() {
                remote::ErrorKind::Fenced => (
                    Kind::Fenced,
                    Some("the leader that took over; starting this one again would fence that one"),
                ),
                remote::ErrorKind::Gap => (Kind::Gap, Some(VERIFY)),
                remote::ErrorKind::Fork => (Kind::Fork, Some(FORK)),
                remote::ErrorKind::Rewind => (
                    Kind::Rewind,
                    Some("find out whether the store was restored from an older copy; nothing was applied"),
                ),
                remote::ErrorKind::Damage => (Kind::Corruption, Some(VERIFY)),
                remote::ErrorKind::Lineage => {
                    (Kind::Lineage, Some("another --database: this one holds the history of another journal"))
                }
                remote::ErrorKind::Storage => (Kind::Store, Some("the same command again")),
                remote::ErrorKind::Local => (Kind::Journal, None),
                _ => (Kind::Internal, None),
            },
        };
        Self::of(kind, &error).place(|place| remote_place(&error, place)).hint_or(advice(&error), hint)
    }
}

fn remote_place(error: &remote::Error, place: &mut super::Place) {
    use remote::Error as E;

    match error {
        E::Gap { first, last, .. } => {
            place.sequence = Some(*first);
            place.last_sequence = Some(*last);
        }
        E::Fork { sequence, .. } | E::Local { sequence, .. } | E::LocalChainMissing { sequence } => {
            place.sequence = Some(*sequence);
        }
        E::HeadDamaged { key, .. }
        | E::HeadMissing { key, .. }
        | E::OtherDatabase { key, .. }
        | E::OtherLineage { key, .. }
        | E::EpochAboveHead { key, .. }
        | E::EpochObjectDiffers { key, .. }
        | E::SegmentDiffers { key, .. }
        | E::SegmentTooLarge { key, .. }
        | E::Sink { key, .. } => place.file = Some(key.to_string()),
        E::SegmentDamaged { key, source } => {
            match &**source {
                remote::SegmentDamage::Header(source) | remote::SegmentDamage::Contents(source) => {
                    format_place(source, place);
                }
                _ => {}
            }
            let key = key.to_string();
            // Without a place, these entries are not to be had; which of them are damaged, nobody can tell.
            let name = key.split_once('/').and_then(|(_, relative)| remote::SegmentName::parse(relative));
            if let (Some(name), None) = (name, place.sequence) {
                place.sequence = Some(name.first());
                place.last_sequence = Some(name.last());
            }
            place.file = Some(key);
        }
        E::Storage { subject, .. } => place.file = Some(subject.clone()),
        _ => {}
    }
}

impl From<replication::Error> for Failure {
    fn from(error: replication::Error) -> Self {
        use replication::Error as E;

        match error {
            // Encryption was turned on while the journal was shipped: no key helps here yet.
            E::Journal(journal::Error::EncryptionRequired { path, id }) => {
                E::EncryptedJournal { path: path.parent().unwrap_or(&path).to_path_buf(), id }.into()
            }
            E::Journal(error) => error.into(),
            E::Remote(error) => error.into(),
            E::Target(error) => error.into(),
            E::Segment { segment, ref source } => {
                let failure = Self::in_segment(Path::new(&segment.to_string()), source);
                failure
                    .hint("graphstream verify --from URL --database NAME; nothing of the segment was applied")
            }
            E::Local { ref path, ref source } => Self::in_segment(path, source).hint(VERIFY),
            other => {
                let kind = match &other {
                    E::LocalGap { .. } => Kind::Gap,
                    E::FencedBefore { .. } => Kind::Fenced,
                    E::NotAdopted { .. } => Kind::Journal,
                    E::EncryptedJournal { .. } | E::EncryptedSegment { .. } => Kind::Usage,
                    E::Statement { .. } => Kind::Poison,
                    E::Misnamed { .. } | E::HeadChain { .. } | E::Payload { .. } => Kind::Corruption,
                    E::Forked { .. } | E::DatabaseAhead { .. } | E::DatabaseForked { .. } => Kind::Fork,
                    E::TargetLineage { .. } => Kind::Lineage,
                    E::NoDatabase { .. } => Kind::NoDatabase,
                    E::UnconditionalStore { .. } => Kind::Store,
                    E::Encode { .. } => Kind::Input,
                    _ => match other.kind() {
                        replication::ErrorKind::Journal => Kind::Journal,
                        replication::ErrorKind::Store => Kind::Store,
                        replication::ErrorKind::Integrity => Kind::Corruption,
                        replication::ErrorKind::Target => Kind::Target,
                        replication::ErrorKind::Fenced => Kind::Fenced,
                        _ => Kind::Internal,
                    },
                };
                let hint = match &other {
                    E::NoDatabase { .. } => Some(
                        "check --database and the URL; graphstream replicate creates a database with its first segment",
                    ),
                    E::UnconditionalStore { .. } => Some(
                        "graphstream storage check URL says more; another store, or --allow-unconditional-store if there is never a second leader",
                    ),
                    E::FencedBefore { .. } => Some(FENCED),
                    E::NotAdopted { .. } => Some(
                        "graphstream append --journal DIR < /dev/null takes over a journal of the predecessor",
                    ),
                    E::EncryptedJournal { .. } => Some(
                        "a copy of its segments, which are encrypted, and of its key file elsewhere; shipping them comes with a later version",
                    ),
                    E::EncryptedSegment { .. } => {
                        Some("graphstream cat --from URL --database NAME --encryption-key-file FILE reads it")
                    }
                    E::LocalGap { .. } => Some(VERIFY),
                    E::TargetLineage { .. } => {
                        Some("an empty target, or the database that this target followed before")
                    }
                    E::Forked { .. } | E::DatabaseAhead { .. } => {
                        Some("an empty target: this one holds entries that are not in the history")
                    }
                    E::Misnamed { .. } | E::HeadChain { .. } => {
                        Some("graphstream verify --from URL --database NAME; nothing was applied")
                    }
                    E::Deadline { .. } | E::NotStored { .. } | E::Moved { .. } => {
                        Some("the same command again")
                    }
                    E::Cache { .. } => Some("check --cache: its disk may be full"),
                    _ => None,
                };
                let failure = Self::of(kind, &other).place(|place| match &other {
                    E::LocalGap { first, last } => {
                        place.sequence = Some(*first);
                        place.last_sequence = Some(*last);
                    }
                    E::FencedBefore { after } => place.sequence = Some(*after),
                    E::Forked { sequence, .. }
                    | E::HeadChain { sequence, .. }
                    | E::Payload { sequence, .. } => {
                        place.sequence = Some(*sequence);
                    }
                    E::Misnamed { segment, .. } => place.file = Some(segment.to_string()),
                    _ => {}
                });
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<replay::Error> for Failure {
    fn from(error: replay::Error) -> Self {
        let kind = match &error {
            replay::Error::Poison { .. } | replay::Error::Statement { .. } => Kind::Poison,
            replay::Error::WrongLineage { .. } => Kind::Lineage,
            replay::Error::Forked { .. } => Kind::Fork,
            replay::Error::Damaged { .. } | replay::Error::DamagedPosition { .. } => Kind::Corruption,
            _ => Kind::Target,
        };
        let hint = match &error {
            replay::Error::Poison { .. } => {
                "look at the entry with graphstream cat --from-sequence; nothing is skipped on its own"
            }
            replay::Error::Gone { .. } => "start the same command again: it goes on where the target is",
            replay::Error::Protocol { .. } => "run the child by hand: its first line must be its position",
            replay::Error::WrongLineage { .. } => {
                "an empty target, or the database that this target followed before"
            }
            replay::Error::Forked { .. } => {
                "an empty target: this one applied entries that are not in the history"
            }
            replay::Error::Gap { .. } | replay::Error::Backwards { .. } => "an empty target",
            replay::Error::Damaged { .. } | replay::Error::DamagedPosition { .. } => {
                "an empty target: the follower fills it again"
            }
            _ => "check --target",
        };
        let sequence = error.sequence();
        Self::of(kind, &error).hint(hint).place(|place| place.sequence = sequence)
    }
}

impl From<proto::Error> for Failure {
    fn from(error: proto::Error) -> Self {
        Self::of(Kind::Corruption, &error)
    }
}
