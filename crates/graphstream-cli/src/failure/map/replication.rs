//! Errors of leaders and followers.

use std::path::Path;

use graphstream::replication;

use super::format::KEY;
use super::{FENCED, VERIFY};
use crate::failure::{Failure, Kind};

impl From<replication::Error> for Failure {
    fn from(error: replication::Error) -> Self {
        use replication::Error as E;

        match error {
            E::Journal(error) => error.into(),
            E::Remote(error) => error.into(),
            E::Target(error) => error.into(),
            E::Predecessor(error) => Self::from(&error),
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
                    E::EncryptedLocal { .. } | E::EncryptedSegment { .. } => Kind::Usage,
                    E::Statement { .. } => Kind::Poison,
                    E::Misnamed { .. } | E::HeadChain { .. } | E::Payload { .. } => Kind::Corruption,
                    E::Forked { .. }
                    | E::PositionForked { .. }
                    | E::LabelForked { .. }
                    | E::SnapshotForked { .. }
                    | E::DatabaseAhead { .. }
                    | E::DatabaseForked { .. } => Kind::Fork,
                    E::TargetLineage { .. } | E::LabelLineage { .. } | E::ForeignPosition { .. } => {
                        Kind::Lineage
                    }
                    E::RestoreHole(_) => Kind::Gap,
                    E::RestoreExists { .. } | E::RestoreNotEmpty { .. } => Kind::Exists,
                    E::RestoreEncrypted { .. } | E::RestorePlain { .. } => Kind::Usage,
                    E::BeyondCommitted { .. }
                    | E::NothingCommitted { .. }
                    | E::BeforeHistory { .. }
                    | E::NoLabel { .. } => Kind::Usage,
                    E::NoDatabase { .. } => Kind::NoDatabase,
                    E::UnconditionalStore { .. } => Kind::Store,
                    E::ScratchNotEmpty { .. } => Kind::Usage,
                    E::Encode { .. } | E::Refused { .. } | E::NotAdmitted { .. } => Kind::Input,
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
                    E::EncryptedLocal { .. } | E::EncryptedSegment { .. } => Some(KEY),
                    E::LocalGap { .. } => Some(VERIFY),
                    E::ScratchNotEmpty { .. } => {
                        Some("a --target that does not exist yet; without --target a temporary one is made")
                    }
                    E::Quiesce { .. } => Some(
                        "run the commands by hand: whether the database's writers go on must be looked at",
                    ),
                    E::SnapshotSource { .. } | E::SnapshotFile { .. } | E::NoPosition { .. } => Some(
                        "check --target, and that its writers stand still (--quiesce, --resume); nothing was uploaded",
                    ),
                    E::SnapshotAhead { .. } => Some(
                        "the same command when the leader has shipped these entries; if it is fenced, they never will be",
                    ),
                    E::SnapshotForked { .. } => Some(
                        "restore this database: it holds entries that are not in the history, as after a fence",
                    ),
                    E::SnapshotDamaged { .. } => Some(
                        "graphstream snapshot list shows the others; another snapshot create makes a new one",
                    ),
                    E::RestoreExists { .. } => Some(
                        "another path, --replace to move it aside, or --if-not-exists to be content with it",
                    ),
                    E::RestoreNotEmpty { .. } => Some("an empty database for the target"),
                    E::RestoreRunning { .. } => Some("wait for it, or another --work DIR"),
                    E::RestoreFile { .. } => Some(
                        "check the free space and the permissions there; the same command goes on with what it has",
                    ),
                    E::RestoreEncrypted { .. } => {
                        Some("--keep-lineage, and a --sequence that ends a segment")
                    }
                    E::RestorePlain { .. } => Some(
                        "--target restores a database; a leader without its journal goes on with replicate --continue-from-head",
                    ),
                    E::RestoreHole(_) => Some(
                        "--sequence with one of these points; graphstream verify --from URL --database NAME shows all that is missing",
                    ),
                    E::BeyondCommitted { .. } | E::NothingCommitted { .. } | E::BeforeHistory { .. } => {
                        Some("graphstream status --from URL --database NAME shows what is committed")
                    }
                    E::NoLabel { .. } => Some("graphstream label list --from URL --database NAME shows all"),
                    E::LabelLineage { .. } | E::LabelForked { .. } => Some(
                        "find out which history the label was set in: this one does not have what it named",
                    ),
                    E::TargetLineage { .. } => {
                        Some("an empty target, or the database that this target followed before")
                    }
                    E::PositionForked { .. } => Some(
                        "write it again: the leader that acknowledged it was fenced, and nobody will ever see it",
                    ),
                    E::ForeignPosition { .. } => {
                        Some("the follower of the database that acknowledged the position")
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
                    E::RestoreHole(hole) => {
                        place.sequence = Some(hole.first);
                        place.last_sequence = Some(hole.last);
                    }
                    E::SnapshotDamaged { snapshot, .. } => place.file = Some(snapshot.to_string()),
                    E::RestoreExists { path } => place.file = Some(path.display().to_string()),
                    E::Forked { sequence, .. }
                    | E::PositionForked { sequence, .. }
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
