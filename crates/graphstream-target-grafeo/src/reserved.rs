//! What the adapter keeps in the database: one node, in a named graph that no statement sees.
//!
//! ```text
//! graph "__graphstream"
//!   (:GraphstreamPosition {lineage: "<32 hex>", sequence: 7, chain_hash: "<64 hex>",
//!                          indexes: ["person_id", "CREATE INDEX person_id FOR ...", ...]})     name, statement, ...
//! ```
//!
//! It is written in the transaction of the batch. grafeo writes a transaction over several graphs as one group.

use grafeo::{GrafeoDB, NodeId, Session, Value};
use grafeo_core::graph::lpg::Node;
use graphstream_format::Position;

use crate::indexes::Indexes;
use crate::{Error, Result};

const GRAPH: &str = "__graphstream";
const LABEL: &str = "GraphstreamPosition";

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) position: Option<Position>,
    pub(crate) indexes: Indexes,
}

/// What was found is not what was written.
#[derive(Debug)]
pub(crate) struct NotAPosition(pub(crate) &'static str);

/// The node, once it is there.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    node: Option<NodeId>,
    /// The indexes the node has: written only when they change.
    written: Indexes,
}

impl Reserved {
    /// Finds the node and reads it. Makes the graph if it isn't there.
    pub(crate) fn load(db: &GrafeoDB) -> Result<(Self, Result<Kept, NotAPosition>)> {
        if !db.list_graphs().iter().any(|graph| graph == GRAPH) {
            db.create_graph(GRAPH)?;
            return Ok((Self::default(), Ok(Kept::default())));
        }
        let Some(graph) = db.store().graph(GRAPH) else {
            return Ok((Self::default(), Ok(Kept::default())));
        };
        let mut nodes = graph.nodes_by_label(LABEL).into_iter().filter_map(|id| graph.get_node(id));
        let Some(node) = nodes.next() else {
            return Ok((Self::default(), Ok(Kept::default())));
        };
        if nodes.next().is_some() {
            return Ok((Self::default(), Err(NotAPosition("one node, there are several"))));
        }
        let kept = read(&node);
        let written = kept.as_ref().map(|kept| kept.indexes.clone()).unwrap_or_default();
        Ok((Self { node: Some(node.id), written }, kept))
    }

    /// Writes the position, and the indexes if they changed, in the session's open transaction.
    pub(crate) fn write(&mut self, session: &Session, position: &Position, indexes: &Indexes) -> Result<()> {
        let sequence = i64::try_from(position.sequence).map_err(|_| Error::Value {
            kind: "position",
            why: "its integers have 63 bits for a sequence",
        })?;
        let mut properties: Vec<(&str, Value)> = vec![
            ("lineage", Value::from(position.lineage.to_string())),
            ("sequence", Value::from(sequence)),
            ("chain_hash", Value::from(position.chain_hash.to_string())),
        ];
        if self.node.is_none() || *indexes != self.written {
            let flat = indexes
                .iter()
                .flat_map(|(name, statement)| [Value::from(name.as_str()), Value::from(statement.as_str())]);
            properties.push(("indexes", Value::List(flat.collect::<Vec<_>>().into())));
        }
        session.use_graph(GRAPH);
        let written = self.write_properties(session, properties);
        session.reset_graph();
        written?;
        self.written.clone_from(indexes);
        Ok(())
    }

    fn write_properties(&mut self, session: &Session, properties: Vec<(&str, Value)>) -> Result<()> {
        match self.node {
            None => self.node = Some(session.create_node_with_props(&[LABEL], properties)?),
            Some(node) => {
                for (key, value) in properties {
                    session.set_node_property(node, key, value)?;
                }
            }
        }
        Ok(())
    }
}

fn read(node: &Node) -> Result<Kept, NotAPosition> {
    let text = |key, what| match node.get_property(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(NotAPosition(what)),
    };
    let lineage = text("lineage", "a lineage")?
        .parse()
        .map_err(|_| NotAPosition("a lineage of 32 hexadecimal digits"))?;
    let chain_hash = text("chain_hash", "a chain hash")?
        .parse()
        .map_err(|_| NotAPosition("a chain hash of 64 hexadecimal digits"))?;
    let sequence = match node.get_property("sequence") {
        Some(Value::Int64(sequence)) => {
            u64::try_from(*sequence).map_err(|_| NotAPosition("a sequence from 0"))?
        }
        _ => return Err(NotAPosition("a sequence")),
    };
    let indexes = match node.get_property("indexes") {
        Some(Value::List(flat)) => read_indexes(flat).ok_or(NotAPosition("index statements by name"))?,
        _ => return Err(NotAPosition("a list of index statements")),
    };
    Ok(Kept { position: Some(Position { lineage, sequence, chain_hash }), indexes })
}

fn read_indexes(flat: &[Value]) -> Option<Indexes> {
    flat.chunks(2)
        .map(|pair| match pair {
            [Value::String(name), Value::String(statement)] => {
                Some((name.to_string(), statement.to_string()))
            }
            _ => None,
        })
        .collect()
}
