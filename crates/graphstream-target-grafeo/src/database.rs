//! The open database: statements in a transaction, and the commit that takes the position along.

use std::collections::HashMap;
use std::path::Path;

use grafeo::{Config, DurabilityMode, GrafeoDB, Role, Session, Value};
use graphstream_format::Position;
use graphstream_proto::JournalEntry;

use crate::durable::{Durable, sync_directory};
use crate::guard::{Guard, Statement};
use crate::indexes::{self, Indexes};
use crate::reserved::{NotAPosition, Reserved};
use crate::target::GrafeoOptions;
use crate::{Error, Precision, Result, to_grafeo};

pub(crate) struct Database {
    // Before the database: a session that is dropped rolls back.
    session: Session,
    pub(crate) db: GrafeoDB,
    precision: Precision,
    durable: Durable,
    guard: Guard,
    reserved: Reserved,
    /// The node as it was when the transaction began; a rollback may have taken it away again.
    pub(crate) position: Option<Position>,
    indexes: Indexes,
    pub(crate) transaction: Option<Transaction>,
}

/// The open transaction.
pub(crate) struct Transaction {
    /// To go back to.
    indexes: Indexes,
    /// An index statement was tried in it: a rollback has to undo what grafeo doesn't.
    changed_indexes: bool,
    /// A statement failed in it: it can only be rolled back.
    pub(crate) failed: bool,
    /// The number the next new node had when it began.
    next_node: u64,
    /// The same for relationships.
    next_edge: u64,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn open(path: &Path, options: &GrafeoOptions) -> Result<(Self, Result<(), NotAPosition>)> {
        // The syncs are ours: see `durable`.
        let mut config =
            Config::persistent(path).with_wal_durability(DurabilityMode::NoSync).without_query_timeout();
        if let Some(bytes) = options.memory_bytes_max {
            config = config.with_memory_limit(bytes);
        }
        let db = GrafeoDB::with_config(config)?;
        let precision =
            if db.file_manager().is_some() { Precision::Milliseconds } else { Precision::Microseconds };
        let (reserved, kept) = Reserved::load(&db)?;
        let (kept, damage) = match kept {
            Ok(kept) => (kept, Ok(())),
            Err(damage) => (crate::reserved::Kept::default(), Err(damage)),
        };
        let mut open = Self {
            session: db.session(),
            db,
            precision,
            durable: Durable::default(),
            guard: Guard::default(),
            reserved,
            position: kept.position,
            indexes: kept.indexes,
            transaction: None,
        };
        // grafeo forgets them when it recovers, and keeps those of a transaction that was never committed.
        indexes::rebuild(&open.db, &open.session, &open.indexes)?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
        // What a crashed process wrote may still be in memory only; a position that is reported must hold.
        open.durable.sync(&open.db, false)?;
        Ok((open, damage))
    }

    fn execute(&self, query: &str, params: HashMap<String, Value>) -> Result<()> {
        self.session.execute_language(query, "cypher", Some(params))?;
        Ok(())
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        self.session.begin_transaction()?;
        self.transaction = Some(Transaction {
            indexes: self.indexes.clone(),
            changed_indexes: false,
            failed: false,
            next_node: self.db.store().next_node_id(),
            next_edge: self.db.store().next_edge_id(),
        });
        Ok(())
    }

    pub(crate) fn run(&mut self, entry: &JournalEntry) -> Result<()> {
        let mut params = HashMap::with_capacity(entry.params.len());
        for (key, value) in &entry.params {
            let value = to_grafeo(value, self.precision).map_err(|error| match error {
                Error::Value { kind, why } => Error::Parameter { name: key.clone(), kind, why },
                other => other,
            })?;
            params.insert(key.clone(), value);
        }
        match self.guard.inspect(&entry.query)? {
            Statement::Data { labels, .. } => {
                let next_node = self.db.store().next_node_id();
                self.execute(&entry.query, params)?;
                if labels && self.db.store().next_node_id() != next_node {
                    return Err(Error::Labels);
                }
            }
            Statement::CreateIndex { name } => {
                self.changes_indexes();
                indexes::create(&self.db, &self.session, &name, &entry.query)?;
                self.indexes.insert(name, entry.query.clone());
            }
            Statement::DropIndex { name } => {
                self.changes_indexes();
                indexes::drop(&self.db, &self.session, &name, &entry.query)?;
                self.indexes.remove(&name);
            }
        }
        Ok(())
    }

    /// Why an entry has to wait for the commit of what is before it, if it has to.
    pub(crate) fn needs_commit_before(&mut self, entry: &JournalEntry) -> Option<Error> {
        let transaction = self.transaction.as_ref()?;
        let store = self.db.store();
        let new_nodes = transaction.next_node != store.next_node_id();
        let new_edges = transaction.next_edge != store.next_edge_id();
        if !new_nodes && !new_edges {
            return None;
        }
        match self.guard.inspect(&entry.query) {
            Ok(Statement::Data { labels: true, .. }) if new_nodes => Some(Error::Labels),
            Ok(Statement::Data { copies: true, .. }) => Some(Error::Copies),
            Ok(Statement::Data { paths: true, .. }) if new_edges => Some(Error::Paths),
            _ => None,
        }
    }

    fn changes_indexes(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.changed_indexes = true;
        }
    }

    pub(crate) fn rollback(&mut self) -> Result<()> {
        let Some(transaction) = self.transaction.take() else { return Ok(()) };
        self.session.rollback()?;
        // A node that was made in the transaction is gone, and so is what it said about indexes.
        let (reserved, _) = Reserved::load(&self.db)?;
        self.reserved = reserved;
        if transaction.changed_indexes {
            self.indexes = transaction.indexes;
            indexes::rebuild(&self.db, &self.session, &self.indexes)?;
        }
        Ok(())
    }

    /// Writes the position into the open transaction, commits, and makes sure of it.
    pub(crate) fn commit(&mut self, position: Position) -> Result<()> {
        self.reserved.write(&self.session, &position, &self.indexes)?;
        self.session.commit()?;
        self.transaction = None;
        self.durable.sync(&self.db, true)?;
        self.position = Some(position);
        Ok(())
    }

    pub(crate) fn close(mut self) -> Result<()> {
        self.rollback()?;
        drop(self.session);
        Ok(self.db.close()?)
    }

    /// A session that can't write.
    pub(crate) fn read_session(&self) -> Session {
        self.db.session_with_role(Role::ReadOnly)
    }
}
