//! The digest of what is in the database: [`GraphDigester`] says how it is computed.

use std::borrow::Cow;
use std::collections::HashMap;

use grafeo::{GraphStore, NodeId};
use graphstream_replay::digest::{DigestValue, GraphDigest, GraphDigester, NodeHash};

use crate::{Result, from_grafeo};

/// Walks over the whole graph.
pub(crate) fn of_store(store: &dyn GraphStore) -> Result<GraphDigest> {
    let mut digester = GraphDigester::new();
    let mut hash_of: HashMap<NodeId, NodeHash> = HashMap::new();
    let ids = store.node_ids();
    for &id in &ids {
        let Some(node) = store.get_node(id) else { continue };
        let labels = node.labels.iter().map(|label| label.as_str()).collect();
        let properties = properties(node.properties.iter().map(|(key, value)| (key.as_str(), value)))?;
        hash_of.insert(id, digester.node(labels, properties));
    }
    for &id in &ids {
        for (_, edge) in store.edges_from(id, grafeo_core::graph::Direction::Outgoing) {
            let Some(edge) = store.get_edge(edge) else { continue };
            let (Some(start), Some(end)) = (hash_of.get(&edge.src), hash_of.get(&edge.dst)) else { continue };
            let properties = properties(edge.properties.iter().map(|(key, value)| (key.as_str(), value)))?;
            digester.relationship(&edge.edge_type, start, end, properties);
        }
    }
    Ok(digester.finish())
}

fn properties<'a>(
    properties: impl Iterator<Item = (&'a str, &'a grafeo::Value)>,
) -> Result<Vec<(&'a str, DigestValue<'a>)>> {
    properties
        .map(|(key, value)| {
            Ok((
                key,
                match value {
                    // No parameter can be one, but the function vector() makes them.
                    grafeo::Value::Vector(values) => DigestValue::Vector(values),
                    value => DigestValue::Param(Cow::Owned(from_grafeo(value)?)),
                },
            ))
        })
        .collect()
}
