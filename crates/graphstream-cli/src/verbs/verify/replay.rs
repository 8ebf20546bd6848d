//! Everything that is committed, replayed into a scratch database: what a restore would give, and how long it would take.

use graphstream::remote::Remote;
use graphstream::replication::{Drill, FollowerOptions, Stop, drill};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::verbs::follow::Target;

/// What was replayed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replayed {
    target: String,
    sequence: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relationships: Option<u64>,
}

/// Replays into `target`, or into a database that goes again.
pub(crate) async fn replay(
    remote: Remote,
    target: Option<&Target>,
    stop: &Stop,
) -> Result<Replayed, Failure> {
    let scratch = tempfile::Builder::new()
        .prefix("graphstream-verify-")
        .tempdir()
        .map_err(|error| Failure::new(Kind::Io, "a temporary directory can't be made").because(&error))?;
    let made;
    let target = match target {
        Some(target) => target,
        None if cfg!(feature = "grafeo") => {
            made = Target::Grafeo(scratch.path().join("scratch.grafeo"));
            &made
        }
        None => {
            let none = Failure::new(Kind::Usage, "this build has no database of its own to replay into");
            return Err(none.hint("--target TARGET, of one that does not exist yet"));
        }
    };
    let options = FollowerOptions::default().with_cache_dir(scratch.path());
    let Drill { applied, entries, bytes, time, digest, .. } =
        drill(remote, target.open()?, options, stop).await?;
    Ok(Replayed {
        target: target.to_string(),
        sequence: applied.sequence,
        entries,
        bytes,
        seconds: time.as_secs_f64(),
        nodes: digest.as_ref().map(|digest| digest.node_count),
        relationships: digest.as_ref().map(|digest| digest.relationship_count),
        digest: digest.map(|digest| digest.sha256),
    })
}

impl std::fmt::Display for Replayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::terminal::{bytes, counted};

        let (entries, fetched) = (counted(self.entries, "entry", "entries"), bytes(self.bytes));
        write!(f, "replayed {entries} ({fetched}) into {} in {:.2} s", self.target, self.seconds)?;
        if let (Some(digest), Some(nodes), Some(relationships)) =
            (&self.digest, self.nodes, self.relationships)
        {
            let nodes = counted(nodes, "node", "nodes");
            let relationships = counted(relationships, "relationship", "relationships");
            write!(f, ": {nodes}, {relationships}, digest {digest}")?;
        }
        Ok(())
    }
}
