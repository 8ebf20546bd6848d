//! Both graphs, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use graphstream::replay::ReplayTarget;
use graphstream::target_grafeo::{GrafeoTarget, GraphDigest};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::out::Out;
use crate::terminal::{Palette, count};

/// One graph, as the JSON summary shows it.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) sequence: u64,
    pub(super) chain_hash: String,
    pub(super) nodes: BTreeMap<String, u64>,
    pub(super) relationships: BTreeMap<String, u64>,
    pub(super) node_count: u64,
    pub(super) relationship_count: u64,
    pub(super) digest: String,
}

/// Leader and follower.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) leader: Graph,
    pub(super) follower: Graph,
    pub(super) equal: bool,
}

/// Opens a database that nobody has open, and counts.
fn graph(path: &Path) -> Result<Graph, Failure> {
    let mut target = GrafeoTarget::open(path)?;
    let position = target.position()?;
    let digest = target.digest()?;
    target.close()?;
    let GraphDigest { nodes, relationships, node_count, relationship_count, sha256, .. } = digest;
    Ok(Graph {
        sequence: position.map_or(0, |position| position.sequence),
        chain_hash: position.map_or(String::new(), |position| position.chain_hash.to_string()),
        nodes,
        relationships,
        node_count,
        relationship_count,
        digest: sha256,
    })
}

impl Comparison {
    pub(super) fn of(leader: &Path, follower: &Path) -> Result<Self, Failure> {
        let (leader, follower) = (graph(leader)?, graph(follower)?);
        let equal = leader == follower;
        Ok(Self { leader, follower, equal })
    }

    /// Why the demo fails, if it does.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let (leader, follower) = (&self.leader, &self.follower);
        if leader.sequence == follower.sequence && leader.chain_hash != follower.chain_hash {
            return Err(Failure::new(
                Kind::Fork,
                format!(
                    "leader and follower are at sequence {} with different chain hashes",
                    leader.sequence
                ),
            ));
        }
        if !self.equal {
            return Err(Failure::new(Kind::Mismatch, "the leader's and the follower's graph differ")
                .hint("the same with --dir DIR, to look at both databases"));
        }
        Ok(())
    }

    pub(super) fn print(&self, out: &mut Out) -> Result<(), Failure> {
        let palette = Palette::stdout();
        let (leader, follower) = (&self.leader, &self.follower);
        out.line(palette.head(format_args!("{:<28}{:>14}{:>14}", "", "leader", "follower")))?;
        row(out, "nodes", leader.node_count, follower.node_count)?;
        counts(out, &leader.nodes, &follower.nodes)?;
        row(out, "relationships", leader.relationship_count, follower.relationship_count)?;
        counts(out, &leader.relationships, &follower.relationships)?;
        row(out, "position (sequence)", leader.sequence, follower.sequence)?;
        let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
        out.line(format_args!(
            "{:<28}{:>14}{:>14}  {}",
            "digest over all rows",
            short(&leader.digest),
            short(&follower.digest),
            verdict(leader.digest == follower.digest)
        ))
    }
}

fn counts(
    out: &mut Out,
    leader: &BTreeMap<String, u64>,
    follower: &BTreeMap<String, u64>,
) -> Result<(), Failure> {
    let names: BTreeSet<&String> = leader.keys().chain(follower.keys()).collect();
    for name in names {
        let of = |counts: &BTreeMap<String, u64>| counts.get(name).copied().unwrap_or(0);
        row(
            out,
            &format!("  {}", if name.is_empty() { "(no label)" } else { name }),
            of(leader),
            of(follower),
        )?;
    }
    Ok(())
}

fn row(out: &mut Out, name: &str, leader: u64, follower: u64) -> Result<(), Failure> {
    let (left, right) = (count(leader).to_string(), count(follower).to_string());
    out.line(format_args!("{name:<28}{left:>14}{right:>14}  {}", verdict(leader == follower)))
}

fn verdict(equal: bool) -> String {
    let palette = Palette::stdout();
    if equal { palette.good("equal").to_string() } else { palette.error("DIFFERENT").to_string() }
}
