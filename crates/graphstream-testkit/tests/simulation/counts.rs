//! What was exercised, by name: a simulation in which nothing happens must not pass.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How often each event happened.
#[derive(Debug, Default, Clone)]
pub struct Counts(BTreeMap<Cow<'static, str>, u64>);

impl Counts {
    pub fn of(&self, event: &str) -> u64 {
        self.0.get(event).copied().unwrap_or(0)
    }

    pub fn add(&mut self, other: &Self) {
        for (event, count) in &other.0 {
            *self.0.entry(event.clone()).or_default() += count;
        }
    }

    /// The events that 200 hours must hold, and don't, or not often enough.
    pub fn rare(&self) -> Vec<String> {
        let rare = LEAST.iter().filter(|(event, least)| self.of(event) < *least);
        rare.map(|(event, least)| format!("{event}: {} of {least}", self.of(event))).collect()
    }
}

/// Counts for everybody in a world; clones are the same.
#[derive(Debug, Default, Clone)]
pub struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    pub fn hit(&self, event: impl Into<Cow<'static, str>>) {
        self.more(event, 1);
    }

    pub fn more(&self, event: impl Into<Cow<'static, str>>, by: u64) {
        *self.0.lock().unwrap().0.entry(event.into()).or_default() += by;
    }

    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap().clone()
    }
}

/// What 200 hours must hold at least, so that no fault falls out unnoticed; they hold two or three times as much.
const LEAST: &[(&str, u64)] = &[
    ("entry: offered", 5000),
    ("entry: committed", 3000),
    ("entry: applied", 3000),
    ("entry: written", 1000),
    ("entry: synced", 2000),
    ("entry: told stored", 50_000),
    ("entry: told fenced", 200),
    ("entry: refused", 300),
    ("machine: starts", 1000),
    ("machine: claims", 100),
    ("machine: quiet lives", 25),
    ("machine: fenced", 25),
    ("machine: forks", 1),
    ("machine: behind", 40),
    ("machine: unfit disks", 40),
    ("machine: new journals", 40),
    ("machine: goes on from the head", 25),
    ("machine: kills", 300),
    ("machine: power cuts", 300),
    ("machine: lost what was not acknowledged", 1),
    ("machine: lost disks", 4),
    ("machine: old disks", 1),
    ("machine: disk faults", 100),
    ("machine: full disks", 10),
    ("machine: held up", 25),
    ("machine: syncs", 40),
    ("machine: stopped", 2),
    ("budget: refuses", 30),
    ("budget: waits", 1),
    ("outage: degraded", 15),
    ("outage: full", 1),
    ("store: outages", 15),
    ("head: Deleted", 4),
    ("head: Older", 4),
    ("head: Stale", 4),
    ("head: an older one refused", 50),
    ("head: an older one served", 100),
    ("follower: restarts", 200),
    ("follower: refuses a head", 50),
    ("follower: meets a hole", 10),
    ("segment: deleted", 40),
    ("machine: meets a hole", 1),
    ("get head.json: failed", 1000),
    ("get head.json: cut", 50),
    ("get epoch: failed", 50),
    ("get epoch: cut", 50),
    ("get seg: failed", 200),
    ("get seg: cut", 20),
    ("get probe: failed", 5),
    ("list epoch: failed", 50),
    ("list seg: failed", 20),
    ("list snap: failed", 20),
    ("put head.json: failed", 2),
    ("put head.json: conflict", 4),
    ("put head.json: lost", 5),
    ("put head.json: unanswered landed", 4),
    ("put head.json: repeated landed", 4),
    ("put head.json: late refused", 3),
    ("put head.json: first landed", 1),
    ("put epoch: failed", 2),
    ("put epoch: conflict", 3),
    ("put epoch: lost", 3),
    ("put epoch: unanswered landed", 1),
    ("put epoch: repeated landed", 1),
    ("put epoch: late refused", 1),
    ("put seg: failed", 50),
    ("put seg: conflict", 50),
    ("put seg: lost", 50),
    ("put seg: unanswered landed", 5),
    ("put seg: repeated landed", 5),
    ("put seg: late landed", 5),
    ("put seg: a zombie's, late", 50),
    ("put probe: failed", 3),
    ("put probe: conflict", 100),
    ("put probe: lost", 3),
];
