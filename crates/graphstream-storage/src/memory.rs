//! A store in memory, for tests and `memory:` URLs. It keeps every obligation except surviving its process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::{
    Access, ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, OpenError,
    OpenFuture, Operation, PutBody, PutMode, StorageBackend, StoreUrl, Token, Version,
};

/// An object store in memory. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    /// Counts puts; each version is the number of its put, so none ever comes back.
    puts: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    body: Bytes,
    meta: ObjectMeta,
}

impl MemoryBackend {
    const PAGE_DEFAULT: usize = 1000;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The opener of `memory:` for a [`StoreRegistry`](crate::StoreRegistry): each time an empty store, gone with its last user.
    ///
    /// # Errors
    /// [`OpenError::Location`], [`OpenError::UnknownParameter`]: the URL is `memory:` and nothing else.
    pub fn open_url(url: &StoreUrl, _access: Access) -> Result<OpenFuture, OpenError> {
        if url.authority().is_some() || !url.path_bytes().is_empty() {
            return Err(url.location("no name: memory:"));
        }
        url.parameters()?.end()?;
        Ok(Box::pin(async { Ok(Arc::new(Self::new()) as Arc<dyn StorageBackend>) }))
    }

    /// Places an object with metadata from elsewhere.
    #[cfg(feature = "faults")]
    pub(crate) fn insert(&self, meta: ObjectMeta, body: Bytes) {
        self.state().objects.insert(meta.key.clone(), Stored { body, meta });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and every change under it is a single insert or remove.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok())
        .unwrap_or(0)
}

fn read_source(key: &Key, path: &Path) -> Result<Bytes> {
    // Blocks the task; an in-memory store has no better place to go and is not meant for large objects.
    std::fs::read(path).map(Bytes::from).map_err(|source| Error::Source {
        key: key.clone(),
        path: path.to_owned(),
        source,
    })
}

/// The part of an object of `size` bytes that a get asks for.
pub(crate) fn clamp_range(
    key: &Key,
    size: u64,
    range: Option<std::ops::Range<u64>>,
) -> Result<std::ops::Range<u64>> {
    match range {
        None => Ok(0..size),
        Some(range) if range.start < range.end && range.start < size => Ok(range.start..range.end.min(size)),
        Some(range) => Err(Error::InvalidRange {
            key: key.clone(),
            start: range.start,
            end: range.end,
            size: Some(size),
        }),
    }
}

#[async_trait]
impl StorageBackend for MemoryBackend {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let stored = self.state().objects.get(key).cloned();
        let stored = stored.ok_or_else(|| Error::NotFound { operation: Operation::Get, key: key.clone() })?;
        if options.if_changed_from.as_ref() == Some(&stored.meta.version) {
            return Ok(GetOutcome::NotModified);
        }
        let range = clamp_range(key, stored.meta.size, options.range)?;
        let in_memory = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(stored.body.len());
        let body = stored.body.slice(in_memory(range.start)..in_memory(range.end));
        Ok(GetOutcome::Found(Object::new(stored.meta, range, ByteStream::from_bytes(body))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let body = match body {
            PutBody::Bytes(bytes) => bytes,
            PutBody::File(path) => read_source(key, &path)?,
        };
        let mut state = self.state();
        match (mode, state.objects.get(key)) {
            (PutMode::Overwrite, _) | (PutMode::Create, None) => {}
            (PutMode::Create, Some(_)) => return Err(Error::Exists { key: key.clone() }),
            (PutMode::Match(_), None) => {
                return Err(Error::NotFound { operation: Operation::Put, key: key.clone() });
            }
            (PutMode::Match(expected), Some(stored)) => {
                if stored.meta.version != expected {
                    let found = Some(stored.meta.version.clone());
                    return Err(Error::VersionMismatch { key: key.clone(), expected, found });
                }
            }
        }
        let number = state.puts.saturating_add(1);
        let version = Version::new(format!("m{number}"))?;
        let meta = ObjectMeta::new(key.clone(), body.len() as u64, version.clone(), now_ms());
        state.puts = number;
        state.objects.insert(key.clone(), Stored { body, meta });
        Ok(version)
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        let meta = self.state().objects.get(key).map(|stored| stored.meta.clone());
        meta.ok_or_else(|| Error::NotFound { operation: Operation::Head, key: key.clone() })
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.state().objects.remove(key);
        Ok(())
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let mut state = self.state();
        Ok(keys
            .iter()
            .map(|key| {
                state.objects.remove(key);
                (key.clone(), Ok(()))
            })
            .collect())
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        let state = self.state();
        let metas = state.objects.values().map(|stored| &stored.meta);
        Ok(page(metas, &request, Self::PAGE_DEFAULT))
    }

    fn describe(&self) -> String {
        "memory:".to_owned()
    }
}

/// Cuts the page that `request` asks for out of all objects in order of their keys. A token is the last key or prefix of
/// the page before.
pub(crate) fn page<'a>(
    metas: impl Iterator<Item = &'a ObjectMeta>,
    request: &ListRequest,
    limit_default: usize,
) -> ListPage {
    let limit = request.limit.unwrap_or(limit_default).clamp(1, limit_default);
    let after = |bound: Option<&str>| bound.map_or(Bound::Unbounded, |text| Bound::Excluded(text.to_owned()));
    let bounds =
        [after(request.start_after.as_deref()), after(request.continuation.as_ref().map(Token::as_str))];
    let beyond = |text: &str| {
        bounds.iter().all(|bound| match bound {
            Bound::Excluded(bound) => text > bound.as_str(),
            _ => true,
        })
    };
    let done = request.continuation.as_ref().map(Token::as_str).filter(|text| text.ends_with('/'));
    let mut page = ListPage::default();
    let mut last = String::new();
    for meta in metas {
        let key = meta.key.as_str();
        let Some(rest) = key.strip_prefix(request.prefix.as_str()) else { continue };
        // A token that ends with a slash is a folded prefix: all below it was answered with it.
        if !beyond(key) || done.is_some_and(|folded| key.starts_with(folded)) {
            continue;
        }
        let folded = rest.find('/').filter(|_| request.delimiter);
        let folded = folded.and_then(|at| key.get(..request.prefix.len() + at + 1));
        if folded.is_some() && page.prefixes.last().map(String::as_str) == folded {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == limit {
            page.next = Some(Token::new(last));
            break;
        }
        last = folded.unwrap_or(key).to_owned();
        match folded {
            Some(prefix) => page.prefixes.push(prefix.to_owned()),
            None => page.objects.push(meta.clone()),
        }
    }
    page
}
