//! Walks the pages of a listing and believes none of them unchecked.

use crate::error::{Error, ListingProblem, Result};
use crate::{ListPage, ListRequest, ObjectMeta, StorageBackend};

/// All pages of one listing, checked: ascending keys without duplicates, nothing that was not asked for, tokens that
/// advance. A store with broken paging ends in [`Error::BrokenListing`], never in a loop or a silent hole in the order.
#[derive(Debug)]
pub struct Lister<'a> {
    backend: &'a dyn StorageBackend,
    request: ListRequest,
    pages: u64,
    last_key: Option<String>,
    last_prefix: Option<String>,
    ended: bool,
}

impl<'a> Lister<'a> {
    /// A listing from the request's continuation, or from its start.
    #[must_use]
    pub fn new(backend: &'a dyn StorageBackend, request: ListRequest) -> Self {
        Self { backend, request, pages: 0, last_key: None, last_prefix: None, ended: false }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// What the backend failed with (the call may be repeated), or [`Error::BrokenListing`] (the listing has ended).
    pub async fn next_page(&mut self) -> Result<Option<ListPage>> {
        if self.ended {
            return Ok(None);
        }
        let page = self.backend.list(self.request.clone()).await?;
        self.pages = self.pages.saturating_add(1);
        if let Err(problem) = self.check(&page) {
            self.ended = true;
            return Err(Error::BrokenListing {
                prefix: self.request.prefix.clone(),
                page: self.pages,
                problem,
            });
        }
        if let Some(object) = page.objects.last() {
            self.last_key = Some(object.key.as_str().to_owned());
        }
        if let Some(prefix) = page.prefixes.last() {
            self.last_prefix = Some(prefix.clone());
        }
        self.ended = page.next.is_none();
        self.request.continuation.clone_from(&page.next);
        Ok(Some(page))
    }

    /// All remaining objects; prefixes are dropped.
    ///
    /// # Errors
    /// As [`next_page`](Self::next_page).
    pub async fn objects(mut self) -> Result<Vec<ObjectMeta>> {
        let mut objects = Vec::new();
        while let Some(page) = self.next_page().await? {
            objects.extend(page.objects);
        }
        Ok(objects)
    }

    fn check(&self, page: &ListPage) -> Result<(), ListingProblem> {
        let prefix = self.request.prefix.as_str();
        let start_after = self.request.start_after.as_deref();
        let mut last = self.last_key.as_deref();
        for object in &page.objects {
            let key = object.key.as_str();
            if !key.starts_with(prefix) || start_after.is_some_and(|start| key <= start) {
                return Err(ListingProblem::Outside);
            }
            if last.is_some_and(|last| key <= last) {
                return Err(ListingProblem::Order);
            }
            last = Some(key);
        }
        let mut last = self.last_prefix.as_deref();
        for folded in &page.prefixes {
            if !folded.starts_with(prefix) || !folded.ends_with('/') || !self.request.delimiter {
                return Err(ListingProblem::Outside);
            }
            if last.is_some_and(|last| folded.as_str() <= last) {
                return Err(ListingProblem::Order);
            }
            last = Some(folded);
        }
        if page.next.is_some() && page.next == self.request.continuation {
            return Err(ListingProblem::Token);
        }
        Ok(())
    }
}
