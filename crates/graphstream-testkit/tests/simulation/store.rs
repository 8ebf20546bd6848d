//! The object store: atomic and consistent, as its contract says; a version is the hash of the content. And what befalls it that is nobody's
//! request: late puts, a head that is deleted or put back, segments that are deleted for a while.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use graphstream_remote::{DatabaseName, Layout, ObjectName};
use graphstream_storage::{Bytes, Error, Key, ObjectMeta, Operation, PutMode, Result, Version};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::DATABASE;
use super::chance::Chance;
use super::counts::Tally;
use super::heads::Heads;
use super::holes::Holes;
use super::line::Crowd;
use super::trace::Trace;
use super::truth::Truth;

/// What all processes share.
#[derive(Debug)]
pub struct Store {
    pub chance: Arc<Chance>,
    pub trace: Arc<Trace>,
    pub tally: Tally,
    pub layout: Layout,
    truth: Mutex<Truth>,
    objects: Mutex<BTreeMap<Key, Bytes>>,
    travelling: Mutex<Vec<(Instant, Change)>>,
    weather: Mutex<Weather>,
    pub(super) crowd: Crowd,
    pub(super) heads: Mutex<Heads>,
    pub(super) holes: Mutex<Holes>,
    pub requests: AtomicU64,
    pub faults: AtomicU64,
}

/// How requests fare.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Of a thousand requests so many fail.
    faults_per_mille: u64,
    /// Nothing gets through.
    down: bool,
    /// Since when nothing has failed, and the head was as it should be.
    calm_since: Instant,
}

/// A put.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: Key,
    pub bytes: Bytes,
    pub mode: PutMode,
}

impl Store {
    pub fn new(chance: Arc<Chance>, trace: Arc<Trace>) -> Arc<Self> {
        let tally = Tally::default();
        let layout = Layout::new("", DatabaseName::new(DATABASE).unwrap()).unwrap();
        Arc::new(Self {
            truth: Mutex::new(Truth::new(Arc::clone(&trace), tally.clone(), layout.clone())),
            chance,
            trace,
            tally,
            objects: Mutex::default(),
            crowd: Crowd::default(),
            travelling: Mutex::default(),
            weather: Mutex::new(Weather { faults_per_mille: 0, down: false, calm_since: Instant::now() }),
            heads: Mutex::new(Heads::new(layout.key(&ObjectName::Head).unwrap())),
            holes: Mutex::new(Holes::new()),
            layout,
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        })
    }

    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// Of a thousand requests so many fail from now on, or all.
    pub fn weather(&self, faults_per_mille: u64, down: bool) {
        *self.weather.lock().unwrap() = Weather { faults_per_mille, down, calm_since: Instant::now() };
    }

    /// For how long nothing has failed, nobody has touched the head or deleted a segment, and no late put of the head has travelled.
    pub fn calm_for(&self) -> Duration {
        let weather = *self.weather.lock().unwrap();
        if weather.down || weather.faults_per_mille > 0 {
            return Duration::ZERO;
        }
        let heads = self.heads.lock().unwrap().calm_for();
        weather.calm_since.elapsed().min(heads).min(self.holes.lock().unwrap().calm_for())
    }

    pub fn version(bytes: &[u8]) -> Version {
        Version::new(hex::encode(Sha256::digest(bytes))).unwrap()
    }

    pub fn meta(key: &Key, bytes: &Bytes) -> ObjectMeta {
        ObjectMeta::new(key.clone(), bytes.len() as u64, Self::version(bytes), 0)
    }

    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Bytes>> {
        self.objects.lock().unwrap()
    }

    /// Acts, and checks the promises.
    pub fn put_now(&self, change: &Change) -> Result<Version> {
        let Change { key, bytes, mode } = change;
        let mut objects = self.objects();
        match (mode, objects.get(key)) {
            (PutMode::Create, Some(_)) => return Err(Error::Exists { key: key.clone() }),
            (PutMode::Match(_), None) => {
                return Err(Error::NotFound { operation: Operation::Put, key: key.clone() });
            }
            (PutMode::Match(expected), Some(found)) if *expected != Self::version(found) => {
                let (expected, found) = (expected.clone(), Some(Self::version(found)));
                return Err(Error::VersionMismatch { key: key.clone(), expected, found });
            }
            _ => {}
        }
        let before = objects.insert(key.clone(), bytes.clone());
        let mut heads = self.heads.lock().unwrap();
        if *key == heads.key && !heads.follow(bytes, self) {
            return Ok(Self::version(bytes));
        }
        drop(heads);
        let all = self.holes.lock().unwrap().filled(&objects);
        self.truth().changed(&all, key, before.as_ref());
        Ok(Self::version(bytes))
    }

    pub fn land(&self, change: &Change, how: &str) -> Result<Version> {
        let landed = self.put_now(change);
        let outcome = if landed.is_ok() { "landed" } else { "refused" };
        self.tally.hit(format!("put {}: {how} {outcome}", kind(&change.key)));
        self.trace.note(format_args!("{how} {} {outcome}", change.key));
        landed
    }

    /// Somebody gave up on it: it arrives within hours, or never.
    pub fn send_off(&self, change: Change) {
        if self.chance.per_mille(700) {
            let within = if self.chance.per_mille(700) { 60 } else { 3 * 3600 };
            let due = Instant::now() + self.chance.between(Duration::ZERO, Duration::from_secs(within));
            self.travelling.lock().unwrap().push((due, change));
        } else {
            self.tally.hit(format!("put {}: lost", kind(&change.key)));
        }
    }

    /// What travels to this key is lost.
    pub fn lose_travelling(&self, key: &Key) {
        self.travelling.lock().unwrap().retain(|(_, change)| change.key != *key);
    }

    /// Lets arrive what is due; at the end all that still travels arrives or is lost.
    pub fn deliver(&self, all: bool) {
        loop {
            let change = {
                let mut travelling = self.travelling.lock().unwrap();
                let now = Instant::now();
                let Some(at) = travelling.iter().position(|(due, _)| all || *due <= now) else { return };
                travelling.remove(at).1
            };
            if !all || self.chance.per_mille(500) {
                let _ = self.land(&change, "late");
            }
        }
    }

    /// Whether a request fails now. Heads and epochs are few beside segments, so theirs fail more often.
    pub fn fails(&self, kind: &str) -> bool {
        let Weather { faults_per_mille, down, .. } = *self.weather.lock().unwrap();
        let often = match kind {
            "head.json" => 10,
            "epoch" => 40,
            _ => 1,
        };
        let fails = down || self.chance.per_mille((faults_per_mille * often).min(500));
        self.faults.fetch_add(u64::from(fails), Ordering::Relaxed);
        fails
    }
}

/// What kind of object this is, to count by.
pub fn kind(key: &Key) -> &'static str {
    kind_of(key.as_str())
}

pub fn kind_of(key: &str) -> &'static str {
    ["/seg/", "/epoch/", "/snap/", "/head.json"]
        .into_iter()
        .find(|part| key.contains(part))
        .map_or("probe", |part| part.trim_matches('/'))
}

/// Whether a process lives; clones are the same.
pub type Alive = Arc<AtomicBool>;
