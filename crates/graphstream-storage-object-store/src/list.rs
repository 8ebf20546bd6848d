//! Pages cut out of streams.
//!
//! `object_store` lists what lies below a directory; a prefix here is any text. So the directory in front of the prefix is listed,
//! and what does not start with the prefix, or is not a key, is left out. A token is the last key or prefix of its page.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use graphstream_storage::{
    Error as StorageError, Key, ListPage, ListRequest, ListingProblem, ObjectMeta, Operation, Result, Token,
};
use object_store::path::Path;

use crate::backend::ObjectStoreBackend;

/// Objects and prefixes in a page when the caller names no limit, and at most.
const PAGE_MAX: usize = 1000;

/// A row of a page.
enum Row {
    Object(ObjectMeta),
    Prefix,
}

impl ObjectStoreBackend {
    pub(crate) async fn list_page(&self, request: &ListRequest) -> Result<ListPage> {
        let Some(directory) = Directory::of(&request.prefix) else { return Ok(ListPage::default()) };
        let limit = request.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let mut rows = if request.delimiter {
            self.folded(request, &directory).await?
        } else {
            self.plain(request, &directory, limit).await?
        };
        // One more than asked for was looked for: it tells whether there is a next page.
        let more = rows.len() > limit;
        let mut page = ListPage::default();
        for _ in 0..limit {
            let Some((name, row)) = rows.pop_first() else { break };
            page.next = more.then(|| Token::new(name.as_str()));
            match row {
                Row::Object(meta) => page.objects.push(meta),
                Row::Prefix => page.prefixes.push(name),
            }
        }
        Ok(page)
    }

    /// The first `limit` objects and one more.
    async fn plain(
        &self,
        request: &ListRequest,
        directory: &Directory,
        limit: usize,
    ) -> Result<BTreeMap<String, Row>> {
        let failing = self.failing(Operation::List, &request.prefix);
        let after = request.start_after.as_deref().max(request.continuation.as_ref().map(Token::as_str));
        let mut listing = match after.and_then(offset) {
            Some(offset) => self.store.list_with_offset(directory.path(), &offset),
            None => self.store.list(directory.path()),
        };
        let ordered = self.options.listing_is_ordered;
        let mut rows = BTreeMap::new();
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|error| failing.fold(error))?;
            let Some(key) = asked_for(&meta.location, request, after) else { continue };
            let name = key.as_str().to_owned();
            if ordered && rows.last_key_value().is_some_and(|(last, _)| *last >= name) {
                let problem = ListingProblem::Order;
                return Err(StorageError::BrokenListing { prefix: request.prefix.clone(), page: 1, problem });
            }
            rows.insert(name, Row::Object(self.meta(failing, key, meta)?));
            if rows.len() > limit {
                if ordered {
                    break;
                }
                if rows.len() > limit + 1 {
                    rows.pop_last();
                }
            }
        }
        Ok(rows)
    }

    /// All that is left of the listing with prefixes folded: the store gives it whole.
    async fn folded(&self, request: &ListRequest, directory: &Directory) -> Result<BTreeMap<String, Row>> {
        let failing = self.failing(Operation::List, &request.prefix);
        let start_after = request.start_after.as_deref();
        let token = request.continuation.as_ref().map(Token::as_str);
        let listed = self.store.list_with_delimiter(directory.path()).await;
        let listed = listed.map_err(|error| failing.fold(error))?;
        let mut rows = BTreeMap::new();
        for meta in listed.objects {
            if let Some(key) = asked_for(&meta.location, request, start_after.max(token)) {
                rows.insert(key.as_str().to_owned(), Row::Object(self.meta(failing, key, meta)?));
            }
        }
        for prefix in listed.common_prefixes {
            let Ok(key) = Key::new(prefix.as_ref()) else { continue };
            let name = key.as_prefix();
            if !name.starts_with(&request.prefix) || token.is_some_and(|token| name.as_str() <= token) {
                continue;
            }
            let covers = match start_after {
                Some(start) if start.starts_with(&name) => self.has_more(request, &prefix, start).await?,
                Some(start) => name.as_str() > start,
                None => true,
            };
            if covers {
                rows.insert(name, Row::Prefix);
            }
        }
        Ok(rows)
    }

    /// Whether there is a key below `directory` that is beyond `start`.
    async fn has_more(&self, request: &ListRequest, directory: &Path, start: &str) -> Result<bool> {
        let mut listing = match offset(start) {
            Some(offset) => self.store.list_with_offset(Some(directory), &offset),
            None => self.store.list(Some(directory)),
        };
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|error| self.failing(Operation::List, &request.prefix).fold(error))?;
            if asked_for(&meta.location, request, Some(start)).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The key of a listed object, if it is one that was asked for.
fn asked_for(location: &Path, request: &ListRequest, after: Option<&str>) -> Option<Key> {
    let name = location.as_ref();
    let asked = name.starts_with(&request.prefix) && after.is_none_or(|after| name > after);
    asked.then(|| Key::new(name).ok()).flatten()
}

/// The directory in front of a prefix.
struct Directory(Option<Path>);

impl Directory {
    /// `None` if no key can start with `prefix`.
    fn of(prefix: &str) -> Option<Self> {
        let Some((directory, _)) = prefix.rsplit_once('/') else { return Some(Self(None)) };
        Key::new(directory).ok()?;
        Path::parse(directory).ok().map(|path| Self(Some(path)))
    }

    fn path(&self) -> Option<&Path> {
        self.0.as_ref()
    }
}

/// The longest beginning of `text` that is a path: not beyond `text`, so what is listed from there holds all that is beyond it.
fn offset(text: &str) -> Option<Path> {
    if text.starts_with('/') {
        return None;
    }
    let mut text = text;
    loop {
        match Path::parse(text) {
            Ok(path) => return (!path.is_root()).then_some(path),
            Err(_) => text = text.rsplit_once('/')?.0,
        }
    }
}
