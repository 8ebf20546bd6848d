//! `status` of a follower's own database.

use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::out::Out;
use crate::terminal::{Palette, count, counted};
use crate::verbs::follow::Target;

/// Where a database is, and what is in it.
#[derive(Debug, Serialize)]
pub(super) struct TargetStatus {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    applied_sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relationships: Option<u64>,
}

pub(super) fn read(target: &Target, digest: bool) -> Result<TargetStatus, Failure> {
    if target.is_new() || *target == Target::Stdout {
        return Err(Failure::new(Kind::Target, format!("there is no {target}")).hint("check --target"));
    }
    let mut opened = target.open()?;
    let position = opened.position()?;
    let graph = if digest { opened.state_digest()? } else { None };
    opened.close()?;
    if digest && graph.is_none() {
        let none = Failure::new(Kind::Usage, format!("{target} has no digest"));
        return Err(none.hint("--target grafeo:PATH, or without --digest"));
    }
    Ok(TargetStatus {
        name: target.to_string(),
        lineage: position.map(|position| position.lineage.to_string()),
        applied_sequence: position.map_or(0, |position| position.sequence),
        chain_hash: position.map(|position| position.chain_hash.to_string()),
        nodes: graph.as_ref().map(|graph| graph.node_count),
        relationships: graph.as_ref().map(|graph| graph.relationship_count),
        digest: graph.map(|graph| graph.sha256),
    })
}

impl TargetStatus {
    pub(super) fn print(&self, out: &mut Out) -> Result<(), Failure> {
        out.line(Palette::stdout().head(format_args!("target {}", self.name)))?;
        if let Some(lineage) = &self.lineage {
            out.line(format_args!("  lineage      {lineage}"))?;
        }
        out.line(format_args!("  applied      {}", count(self.applied_sequence)))?;
        if let Some(chain_hash) = &self.chain_hash {
            out.line(format_args!("  chain hash   {chain_hash}"))?;
        }
        if let (Some(digest), Some(nodes), Some(relationships)) =
            (&self.digest, self.nodes, self.relationships)
        {
            out.line(format_args!(
                "  holds        {}, {}",
                counted(nodes, "node", "nodes"),
                counted(relationships, "relationship", "relationships")
            ))?;
            out.line(format_args!("  digest       {digest}"))?;
        }
        Ok(())
    }
}
