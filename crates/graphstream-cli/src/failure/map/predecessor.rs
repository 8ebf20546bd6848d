//! Errors about databases of the predecessor.

use std::path::Path;

use graphstream::replication::predecessor::PredecessorError;

use crate::failure::{Failure, Kind};

const KEEP: &str = "another copy of the predecessor's bucket, or the journal that it came from; nothing was written, and nothing was changed";

impl From<&PredecessorError> for Failure {
    fn from(error: &PredecessorError) -> Self {
        use PredecessorError as E;

        let (kind, hint) = match error {
            E::Object { key, source } => {
                let kind = Self::in_segment(Path::new(key.as_str()), source).kind();
                (if kind.code() == crate::exit::Code::Integrity { kind } else { Kind::Corruption }, KEEP)
            }
            E::Payload { .. } | E::TornWithin { .. } => (Kind::Corruption, KEEP),
            E::Gap { .. } => (Kind::Gap, KEEP),
            E::Fork { .. } => (
                Kind::Fork,
                "two writers have used one name: find out which objects are whose, and import each history from a copy of its own",
            ),
            E::NotLegacy { .. } => (Kind::Lineage, "verify --from URL --database NAME, without --legacy"),
            E::None { .. } => (
                Kind::NoDatabase,
                "check the URL and --legacy: the predecessor's segments are in DIRECTORY/0000/ below the URL",
            ),
            E::Exists { .. } => (Kind::Usage, "another --database: nothing is imported over a database"),
            E::Changed { .. } => (Kind::Store, "end the predecessor, then the same command again"),
            _ => (Kind::Internal, "the same command again with --log-level debug, and report it"),
        };
        let mut failure = Self::of(kind, error).hint(hint);
        if let E::Object { key, source } = error {
            let placed = Self::in_segment(Path::new(key.as_str()), source);
            failure = failure.place(|place| *place = placed.where_().clone());
        }
        failure.place(|place| {
            if let Some(key) = error.key() {
                place.file = Some(key.to_string());
            }
            if let Some((first, last)) = error.sequences() {
                place.sequence = Some(first);
                place.last_sequence = (last > first || matches!(error, E::Gap { .. })).then_some(last);
            }
        })
    }
}
