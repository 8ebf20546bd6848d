//! Writing through in separate calls, for applications that execute themselves: each call gives the only value that has the next one.
//!
//! ```text
//!  write_through(position) ─► write() ─► append(entries) ─► synced() ─► committed()
//!        │ behind: replay       │ dropped     │ dropped        │ dropped     the database has the entries,
//!        ▼ and call again       ▼             ▼                ▼             the next writer may begin
//!                            nothing       the journal has, or may have, what the database lacks: nothing more is
//!                            happened      written until `write_through` is told of a database that was healed
//! ```
//!
//! One value of [`Writing`], [`Appended`] and [`Synced`] exists at a time in a leader: it is the right to write.
//!
//! Out of order it does not compile. Nothing is committed that is not *synced*:
//!
//! ```compile_fail,E0599
//! # use graphstream_replication::Appended;
//! fn too_early(appended: Appended) {
//!     appended.committed();
//! }
//! ```
//! nor without a position:
//! ```compile_fail,E0599
//! # use graphstream_replication::Appended;
//! fn too_early(appended: Appended) {
//!     appended.position();
//! }
//! ```
//! A right to write is used once:
//! ```compile_fail,E0382
//! # use graphstream_replication::{Result, Writing};
//! fn twice(writing: Writing) -> Result<()> {
//!     let _first = writing.append(&[])?;
//!     let _second = writing.append(&[])?;
//!     Ok(())
//! }
//! ```
//! and ends with the commit:
//! ```compile_fail,E0382
//! # use graphstream_replication::Synced;
//! fn twice(synced: Synced) {
//!     synced.committed();
//!     synced.committed();
//! }
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use graphstream_format::Position;
use graphstream_journal::{Ack, ErrorKind, Journal, ReaderOptions, Ticket};
use graphstream_proto::JournalEntry;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::admission::Admission;
use super::room::Room;
use super::{Leader, Written, encode, position_of};
use crate::threads::blocking;
use crate::{Error, Result};

/// What the application's database holds, as far as it has said; `None` before it has.
#[derive(Debug, Default)]
pub(super) struct Told {
    database: Option<Database>,
}

#[derive(Debug, Clone, Copy)]
struct Database {
    position: Position,
    /// Whether the journal may hold entries that it lacks.
    lacks: bool,
}

/// Shared between a leader and whoever writes through it.
pub(super) type Shared = Arc<Mutex<Told>>;

/// The application's database agrees with the journal: it may be written through. From [`Leader::write_through`].
#[derive(Debug, Clone)]
pub struct WriteThrough {
    room: Arc<Room>,
    admission: Arc<Admission>,
    told: Shared,
}

/// The right to write: nobody else has it. Dropped, nothing has happened.
#[derive(Debug)]
#[must_use = "nothing is journaled yet"]
pub struct Writing {
    journal: Journal,
    admission: Arc<Admission>,
    told: OwnedMutexGuard<Told>,
}

/// Entries that were appended. Dropped, the database lacks them: nothing more is written until it was healed.
#[derive(Debug)]
#[must_use = "the database lacks what was appended"]
pub struct Appended {
    journal: Journal,
    told: OwnedMutexGuard<Told>,
    ticket: Ticket,
}

/// Entries that are *synced*: history. Dropped, the database lacks them: nothing more is written until it was healed.
#[derive(Debug)]
#[must_use = "the database lacks what was appended"]
pub struct Synced {
    told: OwnedMutexGuard<Told>,
    written: Written,
}

impl Leader {
    /// Begins to write through a database that the application executes in itself and that stands at `position`
    /// ([`Position::start`] without entries), or goes on after it was healed. From then on [`append`](Leader::append) is refused. A
    /// [`Writing`] that is under way is waited for.
    ///
    /// To heal a database, replay what the journal has beyond its position, from
    /// [`JournalDir::reader`](graphstream_journal::JournalDir::reader) of [`journal`](Leader::journal), and call this again.
    ///
    /// # Errors
    /// [`Error::DatabaseLacks`] when the journal has more: heal it; [`Error::TargetLineage`], [`Error::DatabaseAhead`],
    /// [`Error::DatabaseForked`] for a database that does not fit the journal; [`Error::WriteThrough`] beside a
    /// [`database`](super::LeaderBuilder::database) of the leader's own; [`Error::Journal`].
    pub async fn write_through(&self, position: Position) -> Result<WriteThrough> {
        if self.database.is_some() {
            return Err(Error::WriteThrough);
        }
        let mut told = Arc::clone(&self.told).lock_owned().await;
        // First, so that what was appended otherwise is compared, too.
        self.written_through.store(true, Ordering::Release);
        let journal = self.journal.clone();
        blocking("comparing the database with the journal", move || compare(&journal, position)).await?;
        told.database = Some(Database { position, lacks: false });
        Ok(WriteThrough {
            room: Arc::clone(&self.room),
            admission: Arc::clone(&self.admission),
            told: Arc::clone(&self.told),
        })
    }
}

/// The database holds exactly what the journal does. Blocks.
fn compare(journal: &Journal, position: Position) -> Result<()> {
    // What was appended without anybody waiting for it counts, too.
    let end = journal.sync()?;
    if position.lineage != end.lineage {
        return Err(Error::TargetLineage { target: position.lineage, published: end.lineage });
    }
    if position.sequence > end.sequence {
        return Err(Error::DatabaseAhead { database: position.sequence, journal: end.sequence });
    }
    let chain_hash = match position.sequence {
        sequence if sequence == end.sequence => end.chain_hash,
        0 => graphstream_format::ChainHash::ZERO,
        sequence => {
            let options = ReaderOptions::default().with_from_sequence(sequence);
            match journal.dir().reader(options)?.next().transpose()? {
                Some(entry) => entry.chain_hash,
                None => return Err(Error::LocalGap { first: sequence, last: sequence }),
            }
        }
    };
    if chain_hash != position.chain_hash {
        return Err(Error::DatabaseForked {
            sequence: position.sequence,
            database: position.chain_hash,
            journal: chain_hash,
        });
    }
    if position.sequence < end.sequence {
        return Err(Error::DatabaseLacks { first: position.sequence.saturating_add(1), last: end.sequence });
    }
    Ok(())
}

impl WriteThrough {
    /// Waits for the right to write, and for the journal's disk budget. Then the application begins a transaction of its database and
    /// executes in it, with everything forced that could still fail at the commit.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the journal has what the database lacks; as [`Leader::room`].
    pub async fn write(&self) -> Result<Writing> {
        let told = Arc::clone(&self.told).lock_owned().await;
        let journal = self.room.journal();
        let last = journal.positions().written.sequence;
        // Somebody may also have appended to the journal itself.
        if let Some(Database { position, lacks }) = told.database
            && (lacks || last > position.sequence)
        {
            return Err(Error::Diverged { first: position.sequence.saturating_add(1), last });
        }
        self.room.wait().await?;
        Ok(Writing { journal, admission: Arc::clone(&self.admission), told })
    }
}

impl Writing {
    /// Appends what was executed, as one record: all or nothing.
    ///
    /// # Errors
    /// [`Error::NotAdmitted`] for an entry that was not passed through [`Leader::admit`] before it was executed, and needed that;
    /// [`Error::Refused`], [`Error::Encode`], [`Error::Journal`]. Nothing was journaled, so the application rolls back.
    pub fn append(self, entries: &[JournalEntry]) -> Result<Appended> {
        let Self { journal, admission, mut told } = self;
        admission.check(entries)?;
        let ticket = journal.append_batch(&encode(entries)?)?;
        told.lacks(true);
        Ok(Appended { journal, told, ticket })
    }
}

impl Appended {
    /// Waits until the entries are *synced*. A dropped future counts as a dropped [`Appended`].
    ///
    /// # Errors
    /// [`Error::Journal`]. With a full disk, nothing was journaled: the application rolls back and may go on. With anything that
    /// ends the journal, it isn't known whether the entries will be there after a restart.
    pub async fn synced(self) -> Result<Synced> {
        let Self { journal, mut told, ticket } = self;
        let sequences = match ticket.acked(Ack::Synced).await {
            Ok(sequences) => sequences,
            Err(error) => {
                // Only these say that nothing was written and that the journal goes on.
                told.lacks(error.kind() != ErrorKind::Unavailable);
                return Err(error.into());
            }
        };
        let (first, last) = sequences.into_inner();
        let position = blocking("reading the position", move || position_of(&journal, last)).await?;
        Ok(Synced { told, written: Written { first, position } })
    }
}

impl Synced {
    /// The position after the entries: the application writes it in the same transaction, and commits.
    #[must_use]
    pub fn position(&self) -> Position {
        self.written.position
    }

    /// The application has committed. The next writer may begin.
    pub fn committed(mut self) -> Written {
        self.told.database = Some(Database { position: self.written.position, lacks: false });
        self.written
    }
}

impl Told {
    fn lacks(&mut self, lacks: bool) {
        if let Some(database) = &mut self.database {
            database.lacks = lacks;
        }
    }
}
