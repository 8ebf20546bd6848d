//! Uploaders that share a budget: no more uploads at once than it allows, and nobody waits for another's backlog.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use graphstream_journal::Journal;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_remote::{DatabaseName, Remote};
use graphstream_replication::{UploadBudget, Uploader, UploaderOptions};
use graphstream_storage::{
    GetOptions, GetOutcome, Key, ListPage, ListRequest, MemoryBackend, ObjectMeta, PutBody, PutMode, Result,
    StorageBackend, Version,
};
use tokio::sync::watch;
use world::{append_to, small_segments};

/// A store that notes which segments arrive in which order, and how many at the same time. The first segment of `big` waits
/// until `small` has claimed its epoch.
#[derive(Debug)]
struct Store {
    inner: MemoryBackend,
    seen: Mutex<Puts>,
    small_claims: watch::Sender<bool>,
    /// Whether `at_once` segments, or all there are, were under way together.
    enough: watch::Sender<bool>,
    at_once: usize,
    segments: usize,
}

#[derive(Debug, Default)]
struct Puts {
    order: Vec<String>,
    now: usize,
    most: usize,
}

#[async_trait]
impl StorageBackend for Store {
    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let text = key.to_string();
        if text.starts_with("small/epoch/") {
            self.small_claims.send_replace(true);
        }
        if !text.contains("/seg/") {
            return self.inner.put(key, body, mode).await;
        }
        {
            let mut seen = self.seen.lock().unwrap();
            seen.order.push(text);
            seen.now += 1;
            seen.most = seen.most.max(seen.now);
            let enough = seen.now >= self.at_once || seen.order.len() == self.segments;
            self.enough.send_if_modified(|was| enough && !std::mem::replace(was, true));
        }
        self.small_claims.subscribe().wait_for(|claims| *claims).await.unwrap();
        // As many begin as may, however long their files take to read.
        self.enough.subscribe().wait_for(|enough| *enough).await.unwrap();
        for _ in 0..20 {
            // Others could begin meanwhile.
            tokio::task::yield_now().await;
        }
        let put = self.inner.put(key, body, mode).await;
        self.seen.lock().unwrap().now -= 1;
        put
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.inner.get(key, options).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.inner.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.inner.list(request).await
    }

    fn describe(&self) -> String {
        "noting".to_owned()
    }
}

/// Ships a backlog of `big` segments beside one segment, both within `budget`.
async fn ship(budget: &UploadBudget, big: u64) -> Puts {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store {
        inner: MemoryBackend::new(),
        seen: Mutex::default(),
        small_claims: watch::Sender::new(false),
        enough: watch::Sender::new(false),
        at_once: budget.uploads_max(),
        segments: usize::try_from(big).unwrap() + 1,
    });
    let uploader = async |name: &str, segments: u64| {
        let path = dir.path().join(name);
        let (journal, _) = Journal::builder(&path).options(small_segments()).open().unwrap();
        for number in 1..=segments {
            append_to(&journal, number, number);
            journal.seal().unwrap();
        }
        journal.close().unwrap();
        let remote = Remote::new(Arc::clone(&store) as _, "", DatabaseName::new(name).unwrap()).unwrap();
        let options = UploaderOptions::default().with_uploads_max(8);
        let uploader = Uploader::open(path, remote, options, GraphstreamMetrics::shared()).await.unwrap();
        uploader.with_upload_budget(budget.clone())
    };
    let (mut backlog, mut small) = (uploader("big", big).await, uploader("small", 1).await);
    let (all, one) = tokio::join!(backlog.ship(), small.ship());
    assert_eq!((all.unwrap().committed.sequence, one.unwrap().committed.sequence), (big, 1));
    std::mem::take(&mut *store.seen.lock().unwrap())
}

#[tokio::test]
async fn a_shared_budget_bounds_the_uploads_of_all() {
    for uploads_max in [1, 2, 3] {
        let puts = ship(&UploadBudget::new(uploads_max), 12).await;
        assert_eq!(puts.most, uploads_max);
        assert_eq!(puts.order.len(), 13);
    }
}

#[tokio::test]
async fn a_backlog_starves_nobody() {
    let puts = ship(&UploadBudget::new(1), 48).await;
    let small = puts.order.iter().position(|key| key.starts_with("small/")).unwrap();
    assert!(small < 24, "{small} segments of the backlog came first: {:?}", puts.order);
}

#[test]
fn a_budget_is_never_nothing() {
    assert_eq!(UploadBudget::new(0).uploads_max(), 1);
    assert_eq!(UploadBudget::new(usize::MAX).uploads_max(), 1024);
}
