//! Entries that were appended and are not acknowledged yet.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use graphstream::format::{ChainHash, Position};
use graphstream::journal::{Ack, Journal, JournalDir, Ticket};
use graphstream::replication::UPLOADER_CURSOR;
use serde::Serialize;

use super::AckLevel;
use crate::failure::{Failure, Kind, warn};
use crate::out::Out;

/// Entries and bytes in flight: one sync serves them all. For *stored* many more, as a whole segment is on its way.
const ENTRIES_MAX: usize = 4096;
const BYTES_MAX: usize = 4 << 20;
const STORED_ENTRIES_MAX: usize = 65_536;
const STORED_BYTES_MAX: usize = 32 << 20;

/// How often the shipper's cursor is looked at, and the shipper itself.
const CURSOR_INTERVAL: Duration = Duration::from_millis(20);
const SHIPPER_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of tickets.
pub(super) struct Pending {
    tickets: VecDeque<(Ticket, ChainHash)>,
    /// Where the journal will be after the last of them, if positions are printed.
    end: Option<Position>,
    bytes: usize,
    dir: JournalDir,
    ack: AckLevel,
    acks: bool,
    json: bool,
    out: Out,
    acknowledged: Option<(u64, u64)>,
    count: u64,
}

#[derive(Serialize)]
struct AckLine {
    sequence: u64,
    /// What a reader hands to a follower.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
}

impl Pending {
    pub(super) fn new(journal: &Journal, ack: AckLevel, acks: bool, json: bool, out: Out) -> Self {
        Self {
            tickets: VecDeque::new(),
            end: (acks && json).then(|| journal.positions().written),
            bytes: 0,
            dir: journal.dir().clone(),
            ack,
            acks,
            json,
            out,
            acknowledged: None,
            count: 0,
        }
    }

    pub(super) fn push(&mut self, ticket: Ticket, payload: &[u8]) {
        // Nobody else appends, and nothing is appended behind what failed.
        let chain_hash = self.end.as_mut().map(|end| {
            end.chain_hash = end.chain_hash.after(payload);
            end.chain_hash
        });
        self.tickets.push_back((ticket, chain_hash.unwrap_or_default()));
        self.bytes += payload.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let (entries, bytes) = match self.ack {
            AckLevel::Stored => (STORED_ENTRIES_MAX, STORED_BYTES_MAX),
            AckLevel::Written | AckLevel::Synced => (ENTRIES_MAX, BYTES_MAX),
        };
        self.tickets.len() >= entries || self.bytes >= bytes
    }

    /// The first and last sequence that was acknowledged.
    pub(super) fn acknowledged(&self) -> Option<(u64, u64)> {
        self.acknowledged
    }

    /// How many entries were acknowledged.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Waits for everything pending, and prints it if asked to. What was acknowledged before an error is printed.
    pub(super) fn acknowledge(&mut self, journal: &Journal) -> Result<(), Failure> {
        if self.tickets.is_empty() {
            return Ok(());
        }
        let done = match self.ack {
            AckLevel::Written => self.drain(Ack::Written),
            AckLevel::Synced => self.drain(Ack::Synced),
            AckLevel::Stored => self.store(journal).and_then(|()| self.drain(Ack::Synced)),
        };
        match self.out.flush() {
            Err(failure) => self.unread(failure).and(done),
            Ok(()) => done,
        }
    }

    /// Waits for each ticket in turn: the first wait writes and syncs for all that were queued with it.
    fn drain(&mut self, ack: Ack) -> Result<(), Failure> {
        while let Some((ticket, chain_hash)) = self.tickets.front() {
            let (sequence, chain_hash) = (*ticket.wait(ack)?.end(), *chain_hash);
            self.tickets.pop_front();
            self.count += 1;
            self.acknowledged = Some((self.acknowledged.map_or(sequence, |(first, _)| first), sequence));
            if self.acks {
                let position = self.end.map(|end| Position { sequence, chain_hash, ..end }.to_string());
                let printed = if self.json {
                    self.out.json(&AckLine { sequence, position })
                } else {
                    self.out.line(sequence)
                };
                printed.or_else(|failure| self.unread(failure))?;
            }
        }
        self.bytes = 0;
        Ok(())
    }

    /// Seals what is pending and waits until the shipper's cursor has passed it.
    fn store(&mut self, journal: &Journal) -> Result<(), Failure> {
        let Some((last, _)) = self.tickets.back() else { return Ok(()) };
        let last = *last.wait(Ack::Synced)?.end();
        journal.seal()?;
        let mut looked = Instant::now();
        loop {
            if self.dir.cursor(UPLOADER_CURSOR)?.is_some_and(|cursor| cursor.sequence >= last) {
                return Ok(());
            }
            if looked.elapsed() >= SHIPPER_INTERVAL {
                looked = Instant::now();
                if let Some(note) = self.dir.fenced()? {
                    return Err(Failure::new(
                        Kind::Fenced,
                        format!("fenced after sequence {}: another leader has taken over", note.after),
                    )
                    .place(|place| place.sequence = Some(note.after)));
                }
                if !self.dir.shipper()?.held {
                    return Err(no_shipper(self.dir.path()).while_doing(format_args!(
                        "entries up to {last} are synced, and not known to be stored"
                    )));
                }
            }
            std::thread::sleep(CURSOR_INTERVAL);
        }
    }

    /// The reader of the acknowledgements has gone. The entries are still wanted.
    fn unread(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.kind() != Kind::BrokenPipe {
            return Err(failure);
        }
        if self.acks {
            self.acks = false;
            warn("nobody reads the acknowledgements any more: appending goes on without them");
        }
        Ok(())
    }
}

/// `--ack stored` makes sense only beside a shipper.
pub(super) fn require_shipper(journal: &Path) -> Result<(), Failure> {
    // A directory that is no journal yet has no shipper either.
    match JournalDir::open(journal) {
        Ok(dir) if dir.shipper()?.held => Ok(()),
        Ok(_) | Err(graphstream::journal::Error::NotAJournal { .. }) => Err(no_shipper(journal)),
        Err(error) => Err(error.into()),
    }
}

fn no_shipper(journal: &Path) -> Failure {
    Failure::new(Kind::NoShipper, "--ack stored waits for a shipper, and none holds SHIP in this journal")
        .file(journal)
        .hint(format!(
            "graphstream replicate --journal {} --database NAME --to URL, beside this",
            journal.display()
        ))
}
