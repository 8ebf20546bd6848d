//! A database in memory that outlives the processes that use it, and dies now and then in the middle of a batch.

use std::sync::{Arc, Mutex};

use graphstream_format::Position;
use graphstream_replay::{
    BatchStep, Error, Guarantee, Reason, ReplayEntry, ReplayTarget, Result, check_batch,
};

use super::store::Store;
use super::truth::number;

/// What survives: the position, in the same step as what was applied.
#[derive(Debug, Default)]
struct Durable {
    position: Option<Position>,
    numbers: Vec<u64>,
}

/// A replay target; clones share what is durable.
#[derive(Debug, Clone)]
pub struct Table {
    store: Arc<Store>,
    who: String,
    durable: Arc<Mutex<Durable>>,
}

impl Table {
    pub fn new(store: &Arc<Store>, who: &str) -> Self {
        Self { store: Arc::clone(store), who: who.to_owned(), durable: Arc::default() }
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.durable.lock().unwrap().numbers.clone()
    }

    fn died(&self) -> Error {
        Error::Gone {
            target: self.who.clone(),
            attempt: "applying",
            source: Box::new(Reason::new("it died")),
        }
    }
}

impl ReplayTarget for Table {
    fn name(&self) -> &str {
        &self.who
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> Result<Option<Position>> {
        Ok(self.durable.lock().unwrap().position)
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        let mut durable = self.durable.lock().unwrap();
        if check_batch(&self.who, durable.position.as_ref(), batch, &position)? == BatchStep::Nothing {
            return Ok(());
        }
        let dies = self.store.chance.per_mille(10);
        if dies && self.store.chance.per_mille(500) {
            return Err(self.died());
        }
        let numbers: Vec<u64> = batch.iter().map(|applied| number(&applied.entry)).collect();
        let from = durable.numbers.len() as u64;
        self.store.truth().applied(&self.who, from, &numbers, position.chain_hash);
        self.store.trace.note(format_args!("{} applied {} to {}", self.who, from + 1, position.sequence));
        durable.numbers.extend(numbers);
        durable.position = Some(position);
        if dies { Err(self.died()) } else { Ok(()) }
    }

    fn reopen(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
