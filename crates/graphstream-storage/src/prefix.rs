//! A decorator that makes what lies under one key a store of its own.

use async_trait::async_trait;

use crate::error::{Error, ListingProblem, Result};
use crate::{
    GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, PutBody, PutMode, StorageBackend,
    Version,
};

/// The part of a backend below `prefix/`. Nothing outside of it can be named: keys hold no step back, and a listing that names
/// anything else is broken.
///
/// Keys are shorter by the prefix: one that would be longer than 1024 bytes with it is refused ([`Error::InvalidKey`]). Errors of
/// the store name the whole key.
#[derive(Debug, Clone)]
pub struct PrefixBackend<B> {
    inner: B,
    prefix: Key,
}

impl<B: StorageBackend> PrefixBackend<B> {
    /// What `inner` has below `prefix`.
    pub fn new(inner: B, prefix: Key) -> Self {
        Self { inner, prefix }
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// The key that all keys lie below.
    pub fn prefix(&self) -> &Key {
        &self.prefix
    }

    fn whole(&self, key: &Key) -> Result<Key> {
        self.prefix.join(key.as_str())
    }

    /// What follows the prefix and its slash.
    fn rest<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix(self.prefix.as_str())?.strip_prefix('/')
    }
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for PrefixBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        Ok(match self.inner.get(&self.whole(key)?, options).await? {
            GetOutcome::Found(Object { meta, range, body }) => {
                let meta = ObjectMeta { key: key.clone(), ..meta };
                GetOutcome::Found(Object::new(meta, range, body))
            }
            unchanged @ GetOutcome::NotModified => unchanged,
        })
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.inner.put(&self.whole(key)?, body, mode).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        let meta = self.inner.head(&self.whole(key)?).await?;
        Ok(ObjectMeta { key: key.clone(), ..meta })
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(&self.whole(key)?).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        let whole = keys.iter().map(|key| self.whole(key)).collect::<Result<Vec<_>>>()?;
        let outcomes = self.inner.delete_many(&whole).await?;
        // In the order given.
        Ok(keys.iter().cloned().zip(outcomes).map(|(key, (_, outcome))| (key, outcome)).collect())
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        let below = self.prefix.as_prefix();
        let asked = request.prefix.clone();
        let mut inner = request;
        inner.prefix = format!("{below}{asked}");
        inner.start_after = inner.start_after.map(|text| format!("{below}{text}"));
        let mut page = self.inner.list(inner).await?;
        let outside =
            || Error::BrokenListing { prefix: asked.clone(), page: 1, problem: ListingProblem::Outside };
        for object in &mut page.objects {
            let rest = self.rest(object.key.as_str()).ok_or_else(outside)?;
            object.key = Key::new(rest)?;
        }
        for prefix in &mut page.prefixes {
            *prefix = self.rest(prefix).ok_or_else(outside)?.to_owned();
        }
        Ok(page)
    }

    fn describe(&self) -> String {
        format!("{} below {}", self.inner.describe(), self.prefix)
    }
}
