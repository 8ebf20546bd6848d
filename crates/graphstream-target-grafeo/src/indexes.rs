//! Keeping grafeo's indexes what the journal says, inside of transactions and after them.
//!
//! ```text
//! catalog        name, label, property          CREATE INDEX adds, DROP INDEX removes, SHOW INDEXES lists
//! lookup table   property -> value -> nodes     one per property, whatever number of indexes it has
//! ```
//!
//! grafeo 0.5.44 changes both at once and knows nothing of transactions there:
//! - A table that is made in a transaction lacks the nodes the transaction has made itself, for good. A later `MATCH` by that
//!   property finds nothing and reports success.
//! - Dropping one index drops the table of all that share its property. They stay in the catalog, without effect.
//! - A rollback takes back neither.
//!
//! The rows a statement finds may depend on an index (a table doesn't match `1` with `1.0`), so at every entry there must be exactly the
//! indexes of the entries before it, however these are cut into batches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use grafeo::{GrafeoDB, Session, Value};

use crate::Result;

/// The statements of the indexes, by name.
pub(crate) type Indexes = BTreeMap<String, String>;

/// An index in the catalog. One with several properties is there once for each.
struct Listed {
    name: String,
    property: String,
}

fn listed(session: &Session) -> Result<Vec<Listed>> {
    let found = session.execute_language("SHOW INDEXES", "cypher", Some(HashMap::new()))?;
    let listed = found.rows().iter().filter_map(|row| match row.as_slice() {
        [Value::String(name), _, _, Value::String(property), ..] => {
            Some(Listed { name: name.to_string(), property: property.to_string() })
        }
        _ => None,
    });
    Ok(listed.collect())
}

fn execute(session: &Session, statement: &str) -> Result<()> {
    session.execute_language(statement, "cypher", Some(HashMap::new()))?;
    Ok(())
}

/// Runs `CREATE INDEX`. An index of that name is replaced.
pub(crate) fn create(db: &GrafeoDB, session: &Session, name: &str, statement: &str) -> Result<()> {
    change(db, session, name, || {
        drop_all_named(session, name)?;
        execute(session, statement)
    })
}

/// Runs `DROP INDEX`, which fails if there is none of that name and the statement doesn't allow for it.
pub(crate) fn drop(db: &GrafeoDB, session: &Session, name: &str, statement: &str) -> Result<()> {
    change(db, session, name, || {
        execute(session, statement)?;
        drop_all_named(session, name)
    })
}

/// Makes the database's indexes those that are `wanted`, whatever it has.
pub(crate) fn rebuild(db: &GrafeoDB, session: &Session, wanted: &Indexes) -> Result<()> {
    let names: BTreeSet<String> = listed(session)?.into_iter().map(|index| index.name).collect();
    for name in names {
        drop_all_named(session, &name)?;
    }
    for property in db.store().property_index_keys() {
        db.store().drop_property_index(&property);
    }
    for statement in wanted.values() {
        execute(session, statement)?;
    }
    Ok(())
}

/// Changes the index `name`, and makes the tables again that this touched.
fn change(db: &GrafeoDB, session: &Session, name: &str, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = listed(session)?;
    change()?;
    let after = listed(session)?;
    let of_this = |index: &&Listed| index.name == name;
    let touched: BTreeSet<&String> = before
        .iter()
        .filter(of_this)
        .chain(after.iter().filter(of_this))
        .map(|index| &index.property)
        .collect();
    for property in touched {
        db.store().drop_property_index(property);
        if after.iter().any(|index| index.property == *property) {
            fill(db, session, property)?;
        }
    }
    Ok(())
}

/// Makes a table with the nodes the open transaction has made, too.
fn fill(db: &GrafeoDB, session: &Session, property: &str) -> Result<()> {
    let store = db.store();
    store.create_property_index(property);
    let committed: BTreeSet<_> = store.node_ids().into_iter().collect();
    for node in store.all_node_ids() {
        if !committed.contains(&node)
            && let Some(value) = session.get_node_property(node, property)
        {
            session.set_node_property(node, property, value)?;
        }
    }
    Ok(())
}

fn drop_all_named(session: &Session, name: &str) -> Result<()> {
    while listed(session)?.iter().any(|index| index.name == name) {
        execute(session, &format!("DROP INDEX `{name}`"))?;
    }
    Ok(())
}
