//! The async face: every call runs on a blocking thread.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use graphstream_storage::{
    self as storage, ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta,
    Operation, PutBody, PutMode, StorageBackend, Version,
};
use tokio::runtime::Handle;

use crate::delete::pair;
use crate::error::{Error, Failure, Result};
use crate::options::FsOptions;
use crate::read::Opened;
use crate::store::Store;

/// An object store in a directory. Clones share it.
#[derive(Clone)]
pub struct FsBackend {
    pub(crate) store: Arc<Store>,
}

impl FsBackend {
    /// Opens the store at `root`. Blocks for a few file calls.
    ///
    /// # Errors
    /// [`Error::MissingRoot`] when there is no such directory and it was not to be made; class `Denied` when it can't be
    /// written to and was not opened to read only.
    pub fn open(root: impl AsRef<Path>, options: FsOptions) -> Result<Self> {
        Ok(Self { store: Arc::new(Store::open(root.as_ref(), options)?) })
    }

    /// Runs `work` on a blocking thread. Dropping the future does not stop it.
    async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        subject: &str,
        work: impl FnOnce(&Store) -> Result<T, Failure> + Send + 'static,
    ) -> storage::Result<T> {
        run(&self.store, work).await.map_err(|failure| failure.fold(operation, subject, &self.describe()))
    }
}

async fn run<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    let store = Arc::clone(store);
    runtime.spawn_blocking(move || work(&store)).await.map_err(|_| Error::Interrupted)?
}

impl Store {
    pub(crate) fn describe(&self) -> String {
        format!("file://{}", self.root_path().display())
    }
}

/// Reading an object, chunk by chunk.
struct Reading {
    store: Arc<Store>,
    key: Key,
    file: Arc<std::fs::File>,
    range: std::ops::Range<u64>,
    failed: bool,
}

impl Reading {
    async fn next(mut self) -> Option<(storage::Result<Bytes>, Self)> {
        if self.failed || self.range.is_empty() {
            return None;
        }
        let (file, key, range) = (Arc::clone(&self.file), self.key.clone(), self.range.clone());
        let chunk = run(&self.store, move |store| store.read(&file, &key, &range)).await;
        let chunk =
            chunk.map_err(|failure| failure.fold(Operation::Get, self.key.as_str(), &self.store.describe()));
        match &chunk {
            Ok(chunk) => self.range.start = self.range.start.saturating_add(chunk.len() as u64),
            Err(_) => self.failed = true,
        }
        Some((chunk, self))
    }
}

#[async_trait]
impl StorageBackend for FsBackend {
    async fn get(&self, key: &Key, options: GetOptions) -> storage::Result<GetOutcome> {
        let owned = key.clone();
        let opened = self.run(Operation::Get, key.as_str(), move |store| store.get(&owned, &options)).await?;
        let Some(Opened { meta, range, file, first }) = opened else { return Ok(GetOutcome::NotModified) };
        let read = first.len() as u64;
        let body = if range.end.saturating_sub(range.start) == read {
            ByteStream::from_bytes(first)
        } else {
            let rest = range.start.saturating_add(read)..range.end;
            let (store, file) = (Arc::clone(&self.store), Arc::new(file));
            let reading = Reading { store, key: key.clone(), file, range: rest, failed: false };
            let rest = futures_util::stream::unfold(reading, Reading::next);
            let first = futures_util::stream::iter([Ok(first)]);
            ByteStream::new(futures_util::StreamExt::chain(first, rest))
        };
        Ok(GetOutcome::Found(Object::new(meta, range, body)))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> storage::Result<Version> {
        let owned = key.clone();
        self.run(Operation::Put, key.as_str(), move |store| store.put(&owned, body, &mode)).await
    }

    async fn head(&self, key: &Key) -> storage::Result<ObjectMeta> {
        let owned = key.clone();
        self.run(Operation::Head, key.as_str(), move |store| store.head(&owned)).await
    }

    async fn delete(&self, key: &Key) -> storage::Result<()> {
        let owned = key.clone();
        self.run(Operation::Delete, key.as_str(), move |store| store.delete(&owned)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> storage::Result<Vec<(Key, storage::Result<()>)>> {
        let owned = keys.to_vec();
        let backend = self.describe();
        let subject = format!("{} keys", keys.len());
        self.run(Operation::DeleteMany, &subject, move |store| {
            let outcomes = store.delete_many(&owned);
            Ok(pair(owned, outcomes, |failure, key| {
                failure.fold(Operation::DeleteMany, key.as_str(), &backend)
            }))
        })
        .await
    }

    async fn list(&self, request: ListRequest) -> storage::Result<ListPage> {
        let subject = request.prefix.clone();
        self.run(Operation::List, &subject, move |store| store.list(&request)).await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

impl fmt::Debug for FsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsBackend")
            .field("root", &self.store.root_path())
            .field("options", &self.store.options)
            .finish_non_exhaustive()
    }
}
