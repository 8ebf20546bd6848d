//! What somebody deletes: segments of the history, which come back later. While one is gone, whoever needs it is told so, and nobody goes on
//! without it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graphstream_remote::ObjectName;
use graphstream_storage::{Bytes, Key};
use tokio::time::{Instant, sleep};

use super::store::Store;

/// The segments that are gone.
#[derive(Debug)]
pub struct Holes {
    gone: BTreeMap<Key, Bytes>,
    /// How often one was deleted.
    pub times: u64,
    changed: Instant,
}

impl Holes {
    pub fn new() -> Self {
        Self { gone: BTreeMap::new(), times: 0, changed: Instant::now() }
    }

    pub fn calm_for(&self) -> Duration {
        if self.gone.is_empty() { self.changed.elapsed() } else { Duration::ZERO }
    }

    /// Whether something is gone, or was since it had been so often.
    pub fn since(&self, times: u64) -> bool {
        !self.gone.is_empty() || self.times > times
    }

    /// All that was ever written.
    pub fn filled<'a>(&self, objects: &'a BTreeMap<Key, Bytes>) -> Cow<'a, BTreeMap<Key, Bytes>> {
        if self.gone.is_empty() {
            return Cow::Borrowed(objects);
        }
        let mut all = self.gone.clone();
        all.extend(objects.iter().map(|(key, bytes)| (key.clone(), bytes.clone())));
        Cow::Owned(all)
    }
}

impl Store {
    /// One of the newest segments of the history is gone: those that followers still need.
    fn delete_a_segment(&self) {
        let truth = self.truth();
        let Some(rule) = truth.rule() else { return };
        let admits = |key: &Key| match self.layout.parse(key) {
            Some(ObjectName::Segment(name)) => rule.admits(&name),
            _ => false,
        };
        let mut objects = self.objects();
        let newest: Vec<Key> = objects.keys().rev().filter(|key| admits(key)).take(3).cloned().collect();
        if newest.is_empty() {
            return;
        }
        let key = &newest[usize::try_from(self.chance.below(newest.len() as u64)).unwrap()];
        let bytes = objects.remove(key).unwrap();
        drop(objects);
        let mut holes = self.holes.lock().unwrap();
        holes.gone.insert(key.clone(), bytes);
        holes.times += 1;
        self.tally.hit("segment: deleted");
        self.trace.note(format_args!("{key} is deleted"));
    }

    /// What was deleted stands again, unless somebody has uploaded it anew.
    pub fn fill_holes(&self) {
        let mut objects = self.objects();
        let mut holes = self.holes.lock().unwrap();
        holes.changed = Instant::now();
        for (key, bytes) in std::mem::take(&mut holes.gone) {
            self.trace.note(format_args!("{key} is put back"));
            objects.entry(key).or_insert(bytes);
        }
    }
}

/// Now and then segments are deleted.
pub async fn delete(store: Arc<Store>) {
    loop {
        sleep(store.chance.between(Duration::from_secs(1800), Duration::from_secs(4 * 3600))).await;
        // Mostly just after something was committed, before followers have it.
        let (applied, waited) = (store.truth().end(), Instant::now());
        while store.truth().end() == applied && waited.elapsed() < Duration::from_secs(1800) {
            sleep(Duration::from_secs(1)).await;
        }
        for _ in 0..=store.chance.below(2) {
            store.delete_a_segment();
        }
        sleep(store.chance.between(Duration::from_secs(60), Duration::from_secs(1800))).await;
        store.fill_holes();
    }
}
