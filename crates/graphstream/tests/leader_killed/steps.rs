//! A process that kills itself with SIGKILL at its Nth step: before or after anything that a file, a store or a database keeps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use graphstream::JournalEntry;
use graphstream::format::Position;
use graphstream::journal::{Access, DirEntry, Fs, FsFile, LockMode, StdFs};
use graphstream::replay::{self, Guarantee, ReplayEntry, ReplayTarget, TransactionalTarget};
use graphstream::storage::{
    ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, PutBody, PutMode,
    Result, StorageBackend, Version,
};

/// Counts steps, and ends the process at one of them.
#[derive(Debug, Clone)]
pub struct Steps {
    taken: Arc<AtomicU64>,
    last: u64,
}

impl Steps {
    /// The process does not live beyond step `last`, from 1.
    pub fn until(last: u64) -> Self {
        Self { taken: Arc::default(), last }
    }

    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn step(&self) {
        if self.taken.fetch_add(1, Ordering::Relaxed) + 1 == self.last {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
            // The signal is under way to every thread; this one does nothing more.
            loop {
                std::thread::park();
            }
        }
    }

    /// A step before, and one after.
    fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        self.step();
        let done = work();
        self.step();
        done
    }
}

/// Steps around whatever changes a file.
#[derive(Debug)]
pub struct SteppedFs(pub Steps);

impl Fs for SteppedFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.around(|| StdFs.create_dir_all(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        StdFs.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        let open = || StdFs.open(path, access);
        let file = if access == Access::Read { open() } else { self.0.around(open) };
        Ok(Arc::new(SteppedFile { inner: file?, steps: self.0.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.around(|| StdFs.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.around(|| StdFs.remove_file(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.around(|| StdFs.sync_dir(dir))
    }

    fn os_path(&self, path: &Path) -> Option<PathBuf> {
        StdFs.os_path(path)
    }
}

#[derive(Debug)]
struct SteppedFile {
    inner: Arc<dyn FsFile>,
    steps: Steps,
}

impl FsFile for SteppedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        // Half of it is on the disk at the first of these steps.
        let half = bytes.len() / 2;
        let written = self.inner.write_at(&bytes[..half], offset)?;
        self.steps.step();
        if written < half {
            return Ok(written);
        }
        let written = half + self.inner.write_at(&bytes[half..], offset + half as u64)?;
        self.steps.step();
        Ok(written)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.steps.around(|| self.inner.set_len(bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.steps.around(|| self.inner.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.steps.around(|| self.inner.sync_all())
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.inner.try_lock(mode)
    }
}

/// Steps around whatever changes the store.
#[derive(Debug)]
pub struct SteppedStore<B>(pub B, pub Steps);

#[async_trait]
impl<B: StorageBackend> StorageBackend for SteppedStore<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.0.get(key, options).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.1.step();
        let version = self.0.put(key, body, mode).await;
        self.1.step();
        version
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.0.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.1.step();
        self.0.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.1.step();
        self.0.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.0.list(request).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Steps around whatever changes the database.
#[derive(Debug)]
pub struct SteppedDatabase<T>(pub T, pub Steps);

impl<T: TransactionalTarget> ReplayTarget for SteppedDatabase<T> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn guarantee(&self) -> Guarantee {
        self.0.guarantee()
    }

    fn position(&mut self) -> replay::Result<Option<Position>> {
        self.0.position()
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> replay::Result<()> {
        self.1.around(|| self.0.apply(batch, position))
    }

    fn reopen(&mut self) -> replay::Result<()> {
        self.1.around(|| self.0.reopen())
    }

    fn close(&mut self) -> replay::Result<()> {
        self.1.around(|| self.0.close())
    }
}

impl<T: TransactionalTarget> TransactionalTarget for SteppedDatabase<T> {
    fn begin(&mut self) -> replay::Result<()> {
        self.1.around(|| self.0.begin())
    }

    fn execute(&mut self, entry: &JournalEntry) -> replay::Result<()> {
        self.1.around(|| self.0.execute(entry))
    }

    fn rollback(&mut self) -> replay::Result<()> {
        self.1.around(|| self.0.rollback())
    }

    fn commit(&mut self, position: Position) -> replay::Result<()> {
        self.1.around(|| self.0.commit(position))
    }
}

/// Steps around whatever is read from the store, and in the middle of each body.
#[derive(Debug)]
pub struct SteppedReads<B>(pub B, pub Steps);

#[async_trait]
impl<B: StorageBackend> StorageBackend for SteppedReads<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.1.step();
        let found = self.0.get(key, options).await?;
        self.1.step();
        let GetOutcome::Found(object) = found else { return Ok(found) };
        let Object { meta, range, body, .. } = object;
        let halves = futures_util::stream::unfold((body, self.1.clone()), |(mut body, steps)| async move {
            let chunk = body.next_chunk().await.transpose()?;
            let halves = match chunk {
                Ok(chunk) => {
                    let (first, second) = (chunk.slice(..chunk.len() / 2), chunk.slice(chunk.len() / 2..));
                    vec![(Ok(first), steps.clone()), (Ok(second), steps.clone())]
                }
                failed => vec![(failed, steps.clone())],
            };
            Some((futures_util::stream::iter(halves), (body, steps)))
        });
        let body = halves.flatten().map(|(half, steps)| {
            steps.step();
            half
        });
        Ok(GetOutcome::Found(Object::new(meta, range, ByteStream::new(body))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.0.put(key, body, mode).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.0.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.0.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.0.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.1.step();
        self.0.list(request).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}
