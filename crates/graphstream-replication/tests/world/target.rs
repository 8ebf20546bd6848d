//! A database in memory that outlives its followers: clones share what is durable.

use std::sync::{Arc, Mutex, MutexGuard};

use graphstream_format::{Lineage, Position};
use graphstream_proto::JournalEntry;
use graphstream_replay::{
    BatchStep, Error, Guarantee, Reason, ReplayEntry, ReplayTarget, Result, TransactionalTarget, check_batch,
};

/// What a target does to the next batches or commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It dies before anything of the batch is there.
    DiesBefore,
    /// It dies after the batch is there, before it says so.
    DiesAfter,
}

/// What survives.
#[derive(Debug, Default)]
pub struct Durable {
    pub position: Option<Position>,
    pub rows: Vec<JournalEntry>,
    /// The sizes of the batches, in order.
    pub batches: Vec<usize>,
    /// Times it was reopened.
    pub reopened: u32,
    pub closed: bool,
    /// What happens next, first come first served; `None` is an undisturbed batch.
    pub mishaps: Vec<Option<Mishap>>,
    /// An entry with this number can't be applied or executed.
    pub poison: Option<u64>,
    /// It can't be reopened.
    pub lost: bool,
}

/// A target that records.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    durable: Arc<Mutex<Durable>>,
    open: Arc<Mutex<Option<Vec<JournalEntry>>>>,
}

impl Recorder {
    pub fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap()
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.durable().rows.iter().map(number).collect()
    }

    /// That it holds exactly the entries `1..=last`, in order, and says so.
    #[track_caller]
    pub fn assert_holds(&self, last: u64) {
        assert_eq!(self.numbers(), (1..=last).collect::<Vec<_>>());
        assert_eq!(self.durable().position.map_or(0, |position| position.sequence), last);
    }

    /// One that claims a position without having anything.
    pub fn at(position: Position) -> Self {
        let target = Self::default();
        target.durable().position = Some(position);
        target
    }

    pub fn of_lineage(lineage: Lineage) -> Self {
        Self::at(Position { sequence: 1, ..Position::start(lineage) })
    }

    fn died<T>(attempt: &'static str) -> Result<T> {
        Err(Error::Gone { target: "recorder".to_owned(), attempt, source: Box::new(Reason::new("it died")) })
    }
}

fn number(entry: &JournalEntry) -> u64 {
    match entry.params.first() {
        Some((_, graphstream_proto::ParamValue::Int64(number))) => u64::try_from(*number).unwrap(),
        other => panic!("not an entry of these tests: {other:?}"),
    }
}

impl ReplayTarget for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> Result<Option<Position>> {
        Ok(self.durable().position)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        let mut durable = self.durable();
        if check_batch("recorder", durable.position.as_ref(), batch, &position)? == BatchStep::Nothing {
            return Ok(());
        }
        let mishap = if durable.mishaps.is_empty() { None } else { durable.mishaps.remove(0) };
        if mishap == Some(Mishap::DiesBefore) {
            return Self::died("applying");
        }
        if let Some(poison) =
            batch.iter().find(|applied| Some(number(&applied.entry)) == durable.poison).map(|p| p.sequence)
        {
            let source = Box::new(Reason::new("no such table"));
            return Err(Error::Poison { target: "recorder".to_owned(), sequence: poison, source });
        }
        durable.rows.extend(batch.iter().map(|applied| applied.entry.clone()));
        durable.batches.push(batch.len());
        durable.position = Some(position);
        if mishap == Some(Mishap::DiesAfter) {
            return Self::died("applying");
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        *self.open.lock().unwrap() = None;
        self.durable().reopened += 1;
        if self.durable().lost { Self::died("reopening") } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        self.durable().closed = true;
        Ok(())
    }
}

impl TransactionalTarget for Recorder {
    fn begin(&mut self) -> Result<()> {
        let mut open = self.open.lock().unwrap();
        assert!(open.is_none(), "a transaction inside a transaction");
        *open = Some(Vec::new());
        Ok(())
    }

    fn execute(&mut self, entry: &JournalEntry) -> Result<()> {
        if self.durable().poison == Some(number(entry)) {
            let source = Box::new(Reason::new("no such table"));
            return Err(Error::Statement { target: "recorder".to_owned(), source });
        }
        self.open.lock().unwrap().as_mut().expect("a transaction").push(entry.clone());
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        *self.open.lock().unwrap() = None;
        Ok(())
    }

    fn commit(&mut self, position: Position) -> Result<()> {
        let executed = self.open.lock().unwrap().take().expect("a transaction");
        let mut durable = self.durable();
        let mishap = if durable.mishaps.is_empty() { None } else { durable.mishaps.remove(0) };
        if mishap == Some(Mishap::DiesBefore) {
            return Self::died("committing");
        }
        durable.rows.extend(executed);
        durable.position = Some(position);
        if mishap == Some(Mishap::DiesAfter) {
            return Self::died("committing");
        }
        Ok(())
    }
}
