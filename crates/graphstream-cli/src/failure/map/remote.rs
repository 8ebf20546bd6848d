//! Errors of a published history.

use graphstream::remote;

use super::format::{KEY, format_place};
use super::storage::{advice, storage_kind};
use crate::failure::{Failure, Kind, Place};

const FORK: &str = "two histories have one name: keep both, and find out which leader was started where, or whether this is the right store";

impl From<remote::Error> for Failure {
    fn from(error: remote::Error) -> Self {
        use remote::Error as E;

        const VERIFY: &str =
            "graphstream verify --from URL --database NAME names every damaged or missing segment";
        const REPAIR: &str = "find out who put an older head there; graphstream repair proposes the one that it must be, once no leader runs";
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
            E::LabelExists { .. } => (
                Kind::Usage,
                Some(
                    "another name, or --replace to move the label; graphstream label list shows what it names",
                ),
            ),
            E::DocumentDamaged { source, .. } if source.is_missing_key() => (Kind::Usage, Some(KEY)),
            E::DocumentDamaged { source: remote::DocumentProblem::Forged { .. }, .. } => (
                Kind::Corruption,
                Some("find out who can write to the store: whoever wrote this did not have the key"),
            ),
            E::DocumentDamaged { source: remote::DocumentProblem::Plaintext, .. } => (
                Kind::Corruption,
                Some(
                    "graphstream snapshot create makes an encrypted one; what was copied before encryption was turned on is of no use to who has keys",
                ),
            ),
            E::DocumentDamaged { .. } => (
                Kind::Corruption,
                Some("remove the object, or put it back from a copy: nothing else depends on it"),
            ),
            E::HeadMissing { .. } => (
                Kind::Corruption,
                Some(
                    "another --database, if the name is wrong; otherwise the head was lost: stop the leader and run graphstream repair",
                ),
            ),
            E::EpochAboveHead { .. } => (Kind::Rewind, Some(REPAIR)),
            E::EpochObjectDiffers { .. } => (Kind::Corruption, Some(REPAIR)),
            E::Contended { .. } => {
                (Kind::Store, Some("the same command again: something else changes the database"))
            }
            E::HeadDamaged { source: remote::HeadProblem::Plaintext, .. } => (
                Kind::Corruption,
                Some(
                    "without a key, if the database is meant to be plain; a leader encrypts it from here on, once its journal is (append --encrypt-existing); otherwise find out who replaced it",
                ),
            ),
            E::HeadDamaged { source: remote::HeadProblem::Forged { .. }, .. } => (
                Kind::Corruption,
                Some("find out who can write to the store: whoever wrote this did not have the key"),
            ),
            other => match other.kind() {
                remote::ErrorKind::Key => (Kind::Usage, Some(KEY)),
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

impl From<&remote::Finding> for Failure {
    /// What a listing shows to be damaged.
    fn from(finding: &remote::Finding) -> Self {
        let kind = match finding.kind() {
            Some(remote::ErrorKind::Gap) => Kind::Gap,
            Some(remote::ErrorKind::Fork) => Kind::Fork,
            Some(remote::ErrorKind::Rewind) => Kind::Rewind,
            _ => Kind::Corruption,
        };
        let failure = Self::of(kind, finding).place(|place| {
            place.file = finding.object();
            if let Some((first, last)) = finding.sequences() {
                place.sequence = Some(first);
                place.last_sequence = Some(last);
            }
        });
        match kind {
            Kind::Rewind => failure.hint(
                "find out whether the store was restored from an older copy; start no leader there before that is known",
            ),
            _ => failure,
        }
    }
}

fn remote_place(error: &remote::Error, place: &mut Place) {
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
        | E::DocumentDamaged { key, .. }
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
