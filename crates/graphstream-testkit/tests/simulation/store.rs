//! The object store, and each process's way to it: slow, failing, cut off, held up for hours.
//!
//! ```text
//!  process ── request ──► held? ─► on the way ─► fails before │ acts │ acts, answer lost │ lost, or arrives hours later
//! ```
//! The store itself is atomic and consistent, as its contract says: a version is the hash of the content.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use graphstream_storage::{
    ByteStream, Bytes, Error, ErrorClass, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object,
    ObjectMeta, Operation, PutBody, PutMode, Result, StorageBackend, Token, Version,
};
use graphstream_testkit::CrashFs;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, sleep_until};

use super::chance::Chance;
use super::trace::Trace;
use super::truth::Truth;

/// What all processes share.
#[derive(Debug)]
pub struct Store {
    pub chance: Arc<Chance>,
    pub trace: Arc<Trace>,
    pub truth: Mutex<Truth>,
    objects: Mutex<BTreeMap<Key, Bytes>>,
    travelling: Mutex<Vec<(Instant, Change)>>,
    /// Of a thousand requests so many fail.
    pub faults_per_mille: AtomicU64,
    /// Nothing gets through.
    pub down: AtomicBool,
    pub requests: AtomicU64,
    pub faults: AtomicU64,
}

/// A put whose sender has given up on it.
#[derive(Debug, Clone)]
struct Change {
    key: Key,
    bytes: Bytes,
    mode: PutMode,
}

impl Store {
    pub fn new(chance: Arc<Chance>, trace: Arc<Trace>) -> Arc<Self> {
        Arc::new(Self {
            truth: Mutex::new(Truth::new(Arc::clone(&trace))),
            chance,
            trace,
            objects: Mutex::default(),
            travelling: Mutex::default(),
            faults_per_mille: AtomicU64::new(0),
            down: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        })
    }

    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    fn version(bytes: &[u8]) -> Version {
        Version::new(hex::encode(Sha256::digest(bytes))).unwrap()
    }

    fn meta(key: &Key, bytes: &Bytes) -> ObjectMeta {
        ObjectMeta::new(key.clone(), bytes.len() as u64, Self::version(bytes), 0)
    }

    /// Acts, and checks the promises.
    fn put_now(&self, change: &Change) -> Result<Version> {
        let Change { key, bytes, mode } = change;
        let mut objects = self.objects.lock().unwrap();
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
        self.truth().changed(&objects, key, before.as_ref());
        Ok(Self::version(bytes))
    }

    fn land(&self, change: &Change, how: &str) {
        let landed = self.put_now(change).is_ok();
        self.trace.note(format_args!("{how} {} {}", change.key, if landed { "landed" } else { "refused" }));
    }

    /// Somebody gave up on it: it arrives within hours, or never.
    fn send_off(&self, change: Change) {
        if self.chance.per_mille(700) {
            let within = if self.chance.per_mille(700) { 60 } else { 3 * 3600 };
            let due = Instant::now() + self.chance.between(Duration::ZERO, Duration::from_secs(within));
            self.travelling.lock().unwrap().push((due, change));
        }
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
                self.land(&change, "late");
            }
        }
    }

    fn fails(&self) -> bool {
        let fails = self.down.load(Ordering::Relaxed)
            || self.chance.per_mille(self.faults_per_mille.load(Ordering::Relaxed));
        self.faults.fetch_add(u64::from(fails), Ordering::Relaxed);
        fails
    }
}

/// What holds up a machine: until then none of its requests leaves, and no answer arrives.
pub type Hold = Arc<Mutex<Option<Instant>>>;

/// One process's way to the store; clones are the same.
#[derive(Debug, Clone)]
pub struct Line {
    store: Arc<Store>,
    who: Arc<str>,
    alive: Arc<AtomicBool>,
    hold: Hold,
    /// The process's disk, and how much had happened on it when the process was last heard of.
    disk: Arc<Mutex<Option<(CrashFs, usize)>>>,
}

impl Line {
    pub fn new(store: &Arc<Store>, who: &str, hold: &Hold) -> Self {
        Self {
            store: Arc::clone(store),
            who: who.into(),
            alive: Arc::new(AtomicBool::new(true)),
            hold: Arc::clone(hold),
            disk: Arc::default(),
        }
    }

    /// Before each request it is noted what had happened on this disk: a power cut can't be earlier.
    pub fn watch(&self, fs: &CrashFs) {
        *self.disk.lock().unwrap() = Some((fs.clone(), fs.effects()));
    }

    /// The process is heard of: somebody relies on what its disk has by now.
    pub fn heard(&self) {
        if let Some((fs, at)) = &mut *self.disk.lock().unwrap() {
            *at = fs.effects();
        }
    }

    /// What had happened on the disk when the process was last heard of.
    pub fn last_heard(&self) -> usize {
        self.disk.lock().unwrap().as_ref().map_or(0, |(_, at)| *at)
    }

    /// The process is gone: nothing of it leaves any more.
    pub fn cut(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    /// On the way, in either direction.
    async fn travel(&self) {
        let chance = &self.store.chance;
        let most = if chance.per_mille(10) { 15_000 } else { 60 };
        sleep(chance.between(Duration::from_millis(2), Duration::from_millis(most))).await;
        loop {
            let until = *self.hold.lock().unwrap();
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => break,
            }
        }
        if !self.alive.load(Ordering::Relaxed) {
            pending().await
        }
    }

    fn request(&self) {
        self.store.requests.fetch_add(1, Ordering::Relaxed);
        self.heard();
    }

    fn note(&self, operation: &str, key: &str, outcome: &str) {
        self.store.trace.note(format_args!("{} {operation} {key}: {outcome}", self.who));
    }

    fn error(&self, class: ErrorClass, operation: Operation, key: &str) -> Error {
        Error::backend(class, operation, key, "line", graphstream_storage::faults::InjectedFault)
    }

    async fn read(&self, operation: Operation, key: &str) -> Result<()> {
        self.request();
        self.travel().await;
        if self.store.fails() {
            self.note("read", key, "failed");
            return Err(self.error(ErrorClass::Unavailable, operation, key));
        }
        Ok(())
    }
}

/// A put that has left and not arrived: when its process dies meanwhile, it may still arrive.
struct OnTheWay<'a> {
    store: &'a Store,
    change: Option<Change>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if let Some(change) = self.change.take() {
            self.store.send_off(change);
        }
    }
}

#[async_trait]
impl StorageBackend for Line {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.read(Operation::Get, key.as_str()).await?;
        let found = self.store.objects.lock().unwrap().get(key).cloned();
        self.travel().await;
        let Some(bytes) = found else {
            self.note("get", key.as_str(), "missing");
            return Err(Error::NotFound { operation: Operation::Get, key: key.clone() });
        };
        let meta = Store::meta(key, &bytes);
        if options.if_changed_from.as_ref() == Some(&meta.version) {
            return Ok(GetOutcome::NotModified);
        }
        self.note("get", key.as_str(), meta.version.as_str());
        let range = 0..meta.size;
        Ok(GetOutcome::Found(Object::new(meta, range, ByteStream::from_bytes(bytes))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.request();
        let bytes = match body {
            PutBody::Bytes(bytes) => bytes,
            PutBody::File(path) => std::fs::read(path).unwrap().into(),
            _ => unreachable!("two kinds of bodies"),
        };
        let change = Change { key: key.clone(), bytes, mode };
        let mut on_the_way = OnTheWay { store: &self.store, change: Some(change) };
        self.travel().await;
        let change = on_the_way.change.take().unwrap();
        if self.store.fails() {
            let unknown = self.error(ErrorClass::TimeoutUnknown, Operation::Put, key.as_str());
            match self.store.chance.below(4) {
                // Out of reach, or S3's answer 409: two writers at once, neither has written.
                0 => {
                    self.note("put", key.as_str(), "failed");
                    return Err(self.error(ErrorClass::Unavailable, Operation::Put, key.as_str()));
                }
                1 => self.store.land(&change, "unanswered"),
                2 => self.store.send_off(change),
                _ => {}
            }
            self.note("put", key.as_str(), "unknown");
            return Err(unknown);
        }
        let answer = self.store.put_now(&change);
        self.travel().await;
        match &answer {
            Ok(version) => self.note("put", key.as_str(), version.as_str()),
            Err(error) => self.note("put", key.as_str(), error.class().as_str()),
        }
        answer
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.read(Operation::Head, key.as_str()).await?;
        let missing = || Error::NotFound { operation: Operation::Head, key: key.clone() };
        let objects = self.store.objects.lock().unwrap();
        objects.get(key).map(|bytes| Store::meta(key, bytes)).ok_or_else(missing)
    }

    async fn delete(&self, _: &Key) -> Result<()> {
        unreachable!("nobody deletes here")
    }

    async fn delete_many(&self, _: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        unreachable!("nobody deletes here")
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.read(Operation::List, &request.prefix).await?;
        let page = {
            let token = request.continuation.as_ref().map(Token::as_str);
            let after = [request.start_after.as_deref(), token].into_iter().flatten().max();
            let objects = self.store.objects.lock().unwrap();
            let from = Key::new(after.unwrap_or(&request.prefix).trim_end_matches('/')).unwrap();
            let mut matching = objects.range(from..).filter(|(key, _)| {
                key.as_str().starts_with(&request.prefix) && after.is_none_or(|after| key.as_str() > after)
            });
            // Small pages: the pages of one listing are not one moment.
            let limit = request.limit.unwrap_or(1000).min(50);
            let page: Vec<_> =
                matching.by_ref().take(limit).map(|(key, bytes)| Store::meta(key, bytes)).collect();
            let next = matching.next().and(page.last()).map(|last| Token::new(last.key.as_str()));
            ListPage::new(page, Vec::new(), next)
        };
        self.travel().await;
        self.note("list", &request.prefix, &page.objects.len().to_string());
        Ok(page)
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}
