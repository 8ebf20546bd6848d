//! A process's way to the store: slow, failing, cut off, held up for hours.
//!
//! ```text
//!  process ── request ──► held? ─► on the way ─► fails before │ acts │ acts, answer lost │ acts twice │ lost, or arrives hours later
//! ```

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use graphstream_storage::faults::InjectedFault;
use graphstream_storage::{
    ByteStream, Bytes, Error, ErrorClass, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object,
    ObjectMeta, Operation, PutBody, PutMode, Result, StorageBackend, Token, Version,
};
use graphstream_testkit::CrashFs;
use tokio::time::{Instant, sleep, sleep_until};

use super::store::{Alive, Change, Store, kind, kind_of};

/// What holds up a machine: until then none of its requests leaves, and no answer arrives.
pub type Hold = Arc<Mutex<Option<Instant>>>;

/// How many puts are on their way, by key; clones are the same.
pub type Crowd = Arc<Mutex<BTreeMap<Key, u32>>>;

/// One process's way to the store; clones are the same.
#[derive(Debug, Clone)]
pub struct Line {
    store: Arc<Store>,
    who: Arc<str>,
    pub alive: Alive,
    hold: Hold,
    crowd: Crowd,
    /// The process's disk, and how much had happened on it when the process was last heard of.
    disk: Arc<Mutex<Option<(CrashFs, usize)>>>,
}

impl Line {
    pub fn new(store: &Arc<Store>, who: &str, hold: &Hold) -> Self {
        Self {
            store: Arc::clone(store),
            who: who.into(),
            alive: Arc::new(true.into()),
            hold: Arc::clone(hold),
            crowd: Arc::clone(&store.crowd),
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
        Error::backend(class, operation, key, "line", InjectedFault)
    }

    async fn read(&self, operation: Operation, key: &str) -> Result<()> {
        self.request();
        self.travel().await;
        if self.store.fails("read") {
            self.store.tally.hit(format!("{} {}: failed", operation.as_str(), kind_of(key)));
            self.note("read", key, "failed");
            return Err(self.error(ErrorClass::Unavailable, operation, key));
        }
        Ok(())
    }

    /// What a put comes to that does not simply succeed or fail by its condition.
    fn fail(&self, change: Change) -> Result<Version> {
        let (key, of) = (change.key.clone(), kind(&change.key));
        let answer = |class| Err(self.error(class, Operation::Put, key.as_str()));
        let count = |how: &str| self.store.tally.hit(format!("put {of}: {how}"));
        match self.store.chance.below(6) {
            0 => {
                count("failed");
                answer(ErrorClass::Unavailable)
            }
            1 => self.conflict(&change),
            2 => {
                let _ = self.store.land(&change, "unanswered");
                answer(ErrorClass::TimeoutUnknown)
            }
            // Sent again on its way: the answer is the second one's, which finds the first.
            3 => match self.store.land(&change, "repeated") {
                Ok(_) => self.store.put_now(&change),
                refused => refused,
            },
            4 => {
                self.store.send_off(change);
                answer(ErrorClass::TimeoutUnknown)
            }
            _ => {
                count("lost");
                answer(ErrorClass::TimeoutUnknown)
            }
        }
    }

    /// S3's answer 409: two put at once, and this one has not written.
    fn conflict(&self, change: &Change) -> Result<Version> {
        self.store.tally.hit(format!("put {}: conflict", kind(&change.key)));
        Err(self.error(ErrorClass::Unavailable, Operation::Put, change.key.as_str()))
    }
}

/// A put that has left and not arrived: when its process dies meanwhile, it may still arrive.
struct OnTheWay<'a> {
    line: &'a Line,
    change: Option<Change>,
}

impl<'a> OnTheWay<'a> {
    fn new(line: &'a Line, change: Change) -> Self {
        *line.crowd.lock().unwrap().entry(change.key.clone()).or_default() += 1;
        Self { line, change: Some(change) }
    }

    /// It arrives; whether others are on their way to the same key.
    fn arrive(&mut self) -> (Change, bool) {
        let change = self.change.take().unwrap();
        (change.clone(), self.leave(&change.key) > 0)
    }

    fn leave(&self, key: &Key) -> u32 {
        let mut crowd = self.line.crowd.lock().unwrap();
        let count = crowd.get_mut(key).unwrap();
        *count -= 1;
        *count
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if let Some(change) = self.change.take() {
            self.leave(&change.key);
            self.line.store.send_off(change);
        }
    }
}

#[async_trait]
impl StorageBackend for Line {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.read(Operation::Get, key.as_str()).await?;
        let stale = {
            let heads = self.store.heads.lock().unwrap();
            if heads.key == *key { heads.stale(&self.store) } else { None }
        };
        let found = stale.or_else(|| self.store.objects().get(key).cloned());
        self.travel().await;
        let Some(bytes) = found else {
            self.note("get", key.as_str(), "missing");
            return Err(Error::NotFound { operation: Operation::Get, key: key.clone() });
        };
        let meta = Store::meta(key, &bytes);
        if options.if_changed_from.as_ref() == Some(&meta.version) {
            return Ok(GetOutcome::NotModified);
        }
        let range = options.range.map_or(0..meta.size, |range| range.start..range.end.min(meta.size));
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        // The connection breaks in the middle of the body.
        let body = if self.store.fails("body") {
            self.store.tally.hit(format!("get {}: cut", kind(key)));
            self.note("get", key.as_str(), "cut");
            let half = bytes.slice(..bytes.len() / 2);
            let broken = self.error(ErrorClass::Unavailable, Operation::Get, key.as_str());
            ByteStream::new(futures_util::stream::iter([Ok(half), Err(broken)]))
        } else {
            self.note("get", key.as_str(), meta.version.as_str());
            ByteStream::from_bytes(bytes)
        };
        Ok(GetOutcome::Found(Object::new(meta, range, body)))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.request();
        let bytes: Bytes = match body {
            PutBody::Bytes(bytes) => bytes,
            PutBody::File(path) => std::fs::read(path).unwrap().into(),
            _ => unreachable!("two kinds of bodies"),
        };
        self.store.heads.lock().unwrap().leaves(key, &mode, &self.store);
        let mut on_the_way = OnTheWay::new(self, Change { key: key.clone(), bytes, mode });
        self.travel().await;
        let (change, crowded) = on_the_way.arrive();
        let answer = if self.store.fails(kind(key)) {
            self.fail(change)
        } else if crowded && self.store.chance.per_mille(200) {
            self.conflict(&change)
        } else {
            let answer = self.store.put_now(&change);
            self.travel().await;
            answer
        };
        match &answer {
            Ok(version) => self.note("put", key.as_str(), version.as_str()),
            Err(error) => self.note("put", key.as_str(), error.class().as_str()),
        }
        answer
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.read(Operation::Head, key.as_str()).await?;
        let missing = || Error::NotFound { operation: Operation::Head, key: key.clone() };
        let objects = self.store.objects();
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
            let objects = self.store.objects();
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
