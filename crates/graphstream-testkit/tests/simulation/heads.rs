//! What somebody does to the head: it is deleted, an older one is put back, or an older one is served, until the newest stands again.
//!
//! Nothing may come of it but errors: while the head is not the newest one, nobody may move it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use graphstream_remote::{Head, ObjectName};
use graphstream_storage::{Bytes, Key, PutMode};
use tokio::time::{Instant, sleep};

use super::keys::keys;
use super::store::{Alive, Change, Store};

/// What is wrong with the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is gone.
    Deleted,
    /// One of an older epoch stands in its place.
    Older,
    /// Half of the reads give an older one.
    Stale,
}

/// Every head there was, and what is wrong now.
#[derive(Debug)]
pub struct Heads {
    pub key: Key,
    /// And when it was replaced by the next.
    all: Vec<(Bytes, Instant)>,
    wrong: Option<Wrong>,
    /// How often something went wrong, or was put right.
    pub times: u64,
    changed: Instant,
    /// Who writes, and since when.
    writers: Vec<(Instant, Alive)>,
}

impl Heads {
    pub fn new(key: Key) -> Self {
        let changed = Instant::now();
        Self { key, all: Vec::new(), wrong: None, times: 0, changed, writers: Vec::new() }
    }

    pub fn calm_for(&self) -> Duration {
        if self.wrong.is_some() { Duration::ZERO } else { self.changed.elapsed() }
    }

    /// From now on this process may write.
    pub fn writes(&mut self, alive: &Alive) {
        self.writers.push((Instant::now(), Arc::clone(alive)));
    }

    /// Whether something is wrong, or was since it had been so often.
    pub fn wrong_since(&self, times: u64) -> bool {
        self.wrong.is_some() || self.times > times
    }

    /// Somebody has written the head. `false`: it is not the newest one's successor, and nothing may come of it.
    pub fn follow(&mut self, bytes: &Bytes, store: &Store) -> bool {
        if matches!(self.wrong, Some(Wrong::Deleted | Wrong::Older)) {
            if Head::parse(bytes, keys().as_deref()).unwrap().epoch() > 0 {
                store.trace.broken(format_args!("I1: the head was written while it was {:?}", self.wrong));
            }
            return false;
        }
        let now = Instant::now();
        if let Some(last) = self.all.last_mut() {
            last.1 = now;
        }
        self.all.push((bytes.clone(), now));
        true
    }

    /// Somebody decided on a put: nobody makes a new head for one that is gone.
    pub fn leaves(&self, key: &Key, mode: &PutMode, store: &Store) {
        if *key == self.key && *mode == PutMode::Create && self.wrong == Some(Wrong::Deleted) {
            store.trace.broken(format_args!("I1: a missing head is created anew"));
        }
    }

    /// What a read of the head gives instead of what stands there.
    pub fn stale(&self, store: &Store) -> Option<Bytes> {
        if self.wrong != Some(Wrong::Stale) || store.chance.per_mille(500) {
            return None;
        }
        let back = 1 + store.chance.below(self.all.len().min(10) as u64);
        let at = self.all.len() - usize::try_from(back).unwrap();
        store.tally.hit("head: an older one served");
        Some(self.all[at].0.clone())
    }

    /// A head of an older epoch that nobody who lives has known as the newest, and that an epoch object gives away: all else is a store that
    /// forgets what it acknowledged, which nobody can tell from one where nothing was written.
    fn older(&mut self, store: &Store) -> Option<Bytes> {
        self.writers.retain(|(_, alive)| alive.load(Ordering::Relaxed));
        let oldest = self.writers.iter().map(|(since, _)| *since).min().unwrap_or_else(Instant::now);
        let objects = store.objects();
        let newest = Head::parse(&self.all.last()?.0, keys().as_deref()).unwrap();
        let stands = |epoch| objects.contains_key(&store.layout.key(&ObjectName::Epoch(epoch)).unwrap());
        let known: Vec<&Bytes> = self
            .all
            .iter()
            .filter(|(bytes, replaced)| {
                let epoch = Head::parse(bytes, keys().as_deref()).unwrap().epoch();
                *replaced < oldest && epoch < newest.epoch() && (epoch + 1..=newest.epoch()).any(stands)
            })
            .map(|(bytes, _)| bytes)
            .collect();
        let count = known.len() as u64;
        (count > 0).then(|| known[usize::try_from(store.chance.below(count)).unwrap()].clone())
    }
}

impl Store {
    fn begin(&self, wrong: Wrong) {
        let mut heads = self.heads.lock().unwrap();
        let Some(first) = heads.all.first().map(|(bytes, _)| bytes.clone()) else { return };
        let older = heads.older(self);
        let wrong = if wrong == Wrong::Older && older.is_none() { Wrong::Deleted } else { wrong };
        heads.wrong = Some(wrong);
        heads.times += 1;
        let key = heads.key.clone();
        drop(heads);
        self.tally.hit(format!("head: {wrong:?}"));
        self.trace.note(format_args!("the head is {wrong:?}"));
        match (wrong, older) {
            (Wrong::Deleted, _) => {
                self.objects().remove(&key);
                // A put with which the database once began, sent twice by somebody's network.
                if self.chance.per_mille(600) {
                    let _ = self.land(&Change { key, bytes: first, mode: PutMode::Create }, "first");
                }
            }
            (Wrong::Older, Some(older)) => {
                self.lose_travelling(&key);
                self.objects().insert(key, older);
            }
            _ => {}
        }
    }

    /// The newest head stands again.
    pub fn put_head_back(&self) {
        let mut heads = self.heads.lock().unwrap();
        let Some(wrong) = heads.wrong.take() else { return };
        heads.changed = Instant::now();
        heads.times += 1;
        let (key, newest) = (heads.key.clone(), heads.all.last().map(|(bytes, _)| bytes.clone()));
        drop(heads);
        if wrong != Wrong::Stale {
            // What was sent to another head than this one finds it, and is refused.
            self.objects().insert(key, newest.unwrap());
        }
        self.trace.note(format_args!("the head is put back"));
    }
}

/// Now and then something is wrong with the head.
pub async fn meddle(store: Arc<Store>) {
    loop {
        sleep(store.chance.between(Duration::from_secs(1800), Duration::from_secs(6 * 3600))).await;
        let wrong = [Wrong::Deleted, Wrong::Older, Wrong::Stale];
        store.begin(wrong[usize::try_from(store.chance.below(3)).unwrap()]);
        sleep(store.chance.between(Duration::from_secs(60), Duration::from_secs(3600))).await;
        store.put_head_back();
    }
}
