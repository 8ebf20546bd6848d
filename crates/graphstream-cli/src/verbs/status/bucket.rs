//! `status` of a whole store: every database by its inventory. What is wrong with one hides no other.

use std::sync::Arc;

use graphstream::remote::{self, DatabaseName, Databases, Head, Inventory, Remote, Severity};
use graphstream::storage::StorageBackend;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{JournalStatus, Rpo, rpo};
use crate::failure::{Failure, Kind, Place};
use crate::keys::KeyFiles;
use crate::out::Out;
use crate::store::{self, StoreUrl};
use crate::terminal::{Palette, count, counted};
use crate::times;

/// Databases that are looked at side by side.
const LOOKS_MAX: usize = 16;

/// One database of the store.
#[derive(Debug, Serialize)]
pub(super) struct DatabaseRow {
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_commit_ms: Option<i64>,
    /// How long ago that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<f64>,
    objects: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<Snapshot>,
    /// Whether names alone show a way to everything that is committed.
    restorable: bool,
    /// The sequence from which: 0 for the beginning, else a snapshot's.
    #[serde(skip_serializing_if = "Option::is_none")]
    restorable_from_sequence: Option<u64>,
    damaged: u64,
    leftovers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpo: Option<Rpo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    #[serde(skip)]
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Snapshot {
    sequence: u64,
    commit_ms: i64,
    age_seconds: f64,
}

/// The first thing that is wrong with it.
#[derive(Debug, Serialize)]
struct Problem {
    kind: &'static str,
    message: String,
    #[serde(flatten)]
    place: Place,
}

/// Everything in the store.
#[derive(Debug, Serialize)]
pub(super) struct Bucket {
    url: String,
    pub(super) databases: Vec<DatabaseRow>,
    /// Directories that are no databases.
    others: u64,
}

/// Looks at every database; the one that the journal belongs to also gets its RPO.
pub(super) fn read(
    url: &StoreUrl,
    journal: Option<&JournalStatus>,
    keys: &KeyFiles,
) -> Result<Bucket, Failure> {
    store::runtime()?.block_on(async {
        let backend = store::open_to_read(url).await?;
        let found = Databases::list(&*backend, "").await?;
        let mut looking = JoinSet::new();
        let slots = Arc::new(Semaphore::new(LOOKS_MAX));
        for name in found.names {
            let (backend, slots, keys) = (Arc::clone(&backend), Arc::clone(&slots), keys.clone());
            looking.spawn(async move {
                let _slot = slots.acquire().await;
                look(backend, name, keys).await
            });
        }
        let mut others = found.others.len() as u64;
        let mut databases: Vec<DatabaseRow> = Vec::new();
        while let Some(looked) = looking.join_next().await {
            match looked {
                Ok(Some(row)) => databases.push(row),
                // Without a head and without anything that takes one.
                Ok(None) => others += 1,
                Err(error) => {
                    let message = "looking at a database ended without an answer";
                    return Err(Failure::new(Kind::Internal, message).because(&error));
                }
            }
        }
        databases.sort_by(|a, b| a.database.cmp(&b.database));
        if let Some(journal) = journal {
            for row in databases.iter_mut().filter(|row| row.database_id == journal.database_id) {
                let committed = row.committed_sequence.zip(row.committed_commit_ms);
                row.rpo = committed.map(|(sequence, commit_ms)| {
                    rpo(journal, sequence, commit_ms, row.lineage.as_deref().unwrap_or_default())
                });
            }
        }
        Ok(Bucket { url: url.to_string(), databases, others })
    })
}

/// `None` if there is no database after all.
async fn look(backend: Arc<dyn StorageBackend>, name: DatabaseName, keys: KeyFiles) -> Option<DatabaseRow> {
    let text = name.to_string();
    match take(backend, name, keys).await {
        Ok(inventory) => row(text, &inventory),
        Err(failure) => Some(DatabaseRow {
            problem: Some(Problem::of(&failure)),
            failure: Some(failure),
            ..nothing(text)
        }),
    }
}

/// Some of the databases may be encrypted, and others not.
async fn take(
    backend: Arc<dyn StorageBackend>,
    name: DatabaseName,
    keys: KeyFiles,
) -> Result<Inventory, Failure> {
    let remote = Remote::new(backend, "", name)?;
    match remote.inventory().await {
        Err(error) if error.kind() == remote::ErrorKind::Key && keys != KeyFiles::default() => {
            Ok(keys.give(remote).await?.inventory().await?)
        }
        taken => Ok(taken?),
    }
}

fn row(database: String, inventory: &Inventory) -> Option<DatabaseRow> {
    let findings = inventory.findings();
    let head = inventory.head();
    if head.is_none() && findings.is_empty() {
        return None;
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity() == severity).count() as u64;
    let damage = findings.iter().find(|finding| finding.severity() == Severity::Damage).map(Failure::from);
    let restorable_from_sequence = inventory.restorable_from();
    let committed = head.map(Head::committed);
    Some(DatabaseRow {
        database_id: head.map(|head| head.database_id().to_string()),
        lineage: head.map(|head| head.lineage().to_string()),
        epoch: head.map(Head::epoch),
        committed_sequence: committed.map(|committed| committed.sequence),
        committed_commit_ms: committed.map(|committed| committed.commit_ms),
        age_seconds: committed
            .filter(|committed| committed.sequence > 0)
            .map(|committed| seconds_since(committed.commit_ms)),
        objects: inventory.objects(),
        bytes: inventory.bytes(),
        snapshot: inventory.newest_snapshot().map(|snapshot| Snapshot {
            sequence: snapshot.name.sequence(),
            commit_ms: snapshot.name.commit_ms(),
            age_seconds: seconds_since(snapshot.name.commit_ms()),
        }),
        restorable: restorable_from_sequence.is_some(),
        restorable_from_sequence,
        damaged: count(Severity::Damage),
        leftovers: count(Severity::Leftover),
        problem: damage.as_ref().map(Problem::of),
        failure: damage,
        ..nothing(database)
    })
}

fn nothing(database: String) -> DatabaseRow {
    DatabaseRow {
        database,
        database_id: None,
        lineage: None,
        epoch: None,
        committed_sequence: None,
        committed_commit_ms: None,
        age_seconds: None,
        objects: 0,
        bytes: 0,
        snapshot: None,
        restorable: false,
        restorable_from_sequence: None,
        damaged: 0,
        leftovers: 0,
        rpo: None,
        problem: None,
        failure: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds_since(ms: i64) -> f64 {
    times::now_ms().saturating_sub(ms).max(0) as f64 / 1000.0
}

impl Problem {
    fn of(failure: &Failure) -> Self {
        Self { kind: failure.kind().word(), message: failure.sentence(), place: failure.where_().clone() }
    }
}

impl Bucket {
    /// How the verb ends: like the database that needs somebody most.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.databases.is_empty() {
            // A mistyped path, mostly; and nothing is backed up there.
            let none = Failure::new(Kind::NoDatabase, format!("there is no database in {}", self.url));
            return Err(
                none.hint("check the URL; graphstream replicate creates a database with its first segment")
            );
        }
        let wrong: Vec<(&DatabaseRow, &Failure)> =
            self.databases.iter().filter_map(|row| Some((row, row.failure.as_ref()?))).collect();
        // Of several that are as grave, the first.
        let gravest = wrong.iter().copied().reduce(|gravest, next| {
            if next.1.code().gravity() > gravest.1.code().gravity() { next } else { gravest }
        });
        let Some((row, failure)) = gravest else { return Ok(()) };
        let hint = format!(
            "graphstream verify --from URL --database {} names everything that is wrong with it",
            row.database
        );
        Err(failure
            .clone()
            .while_doing(format_args!(
                "{} of {} not well; database {}",
                wrong.len(),
                counted(self.databases.len() as u64, "database is", "databases are"),
                row.database
            ))
            .hint(hint))
    }

    pub(super) fn print(&self, out: &mut Out) -> Result<(), Failure> {
        let palette = Palette::stdout();
        out.line(palette.head(format_args!("store {}", self.url)))?;
        if self.databases.is_empty() {
            return out.line("  no database");
        }
        let width = self.databases.iter().map(|row| row.database.len()).max().unwrap_or(0).max(8);
        let head = format!(
            "  {:<width$}  {:>14}  {:>12}  {:>14}  {:>14}  {:>10}  {}",
            "database", "committed", "age", "snapshot", "rpo", "size", "restorable"
        );
        out.line(palette.head(head))?;
        for row in &self.databases {
            let age = |seconds: f64| ago(seconds);
            let snapshot =
                row.snapshot.as_ref().map_or("none".to_owned(), |snapshot| age(snapshot.age_seconds));
            let rpo = row.rpo.as_ref().map_or("-".to_owned(), |rpo| {
                if rpo.same_history {
                    counted(rpo.entries, "entry", "entries").to_string()
                } else {
                    "other history".to_owned()
                }
            });
            let restorable = match (row.restorable, row.restorable_from_sequence) {
                (true, Some(0)) => palette.good("yes".to_owned()).to_string(),
                (true, Some(from)) => palette.good(format!("from snapshot {}", count(from))).to_string(),
                _ => palette.error("no".to_owned()).to_string(),
            };
            out.line(format_args!(
                "  {:<width$}  {:>14}  {:>12}  {:>14}  {:>14}  {:>10}  {restorable}",
                row.database,
                row.committed_sequence.map_or("?".to_owned(), |sequence| count(sequence).to_string()),
                row.age_seconds.map_or("-".to_owned(), age),
                snapshot,
                rpo,
                crate::terminal::bytes(row.bytes).to_string(),
            ))?;
            if let Some(problem) = &row.problem {
                out.line(format_args!("  {:<width$}  {}", "", palette.error(&problem.message)))?;
            }
        }
        Ok(())
    }
}

/// A span in its largest unit.
fn ago(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 120.0 => (s, "s"),
        s if s < 7200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "d"),
    };
    format!("{number:.0} {unit} ago")
}
