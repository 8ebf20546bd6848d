//! Stores that don't keep conditions on puts: a leader notices before it claims anything, and goes on only if told to.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graphstream_proto::JournalEntry;
use graphstream_remote::{DatabaseName, HeadRead, Remote};
use graphstream_replication::{Error, ErrorKind, Leader, UploaderOptions};
use graphstream_storage::check::Verdict;
use graphstream_storage::{
    Error as StorageError, GetOptions, GetOutcome, Key, ListPage, ListRequest, Lister, MemoryBackend,
    ObjectMeta, Operation, PutBody, PutMode, Result, StorageBackend, Version,
};

/// Says yes to every put, or that conditions are unsupported.
#[derive(Debug, Clone)]
struct Careless {
    inner: MemoryBackend,
    refuses: bool,
}

#[async_trait]
impl StorageBackend for Careless {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.inner.get(key, options).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        if self.refuses && mode != PutMode::Overwrite {
            return Err(StorageError::Unsupported { backend: self.describe(), operation: Operation::Put });
        }
        self.inner.put(key, body, PutMode::Overwrite).await
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
        "careless".to_owned()
    }
}

struct Place {
    dir: tempfile::TempDir,
    store: Careless,
    remote: Remote,
}

impl Place {
    fn new(refuses: bool) -> Self {
        let store = Careless { inner: MemoryBackend::new(), refuses };
        let remote = Remote::new(Arc::new(store.clone()), "", DatabaseName::new("db").unwrap()).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), store, remote }
    }

    async fn start(&self, allow: bool) -> graphstream_replication::Result<Leader> {
        let options = UploaderOptions::default().with_allow_unconditional_store(allow);
        let builder =
            Leader::builder(self.dir.path().join("journal"), self.remote.clone()).uploader_options(options);
        builder.start().await.map(|(leader, _)| leader)
    }

    async fn refused(&self, allow: bool, verdict: Verdict) {
        let error = self.start(allow).await.unwrap_err();
        let Error::UnconditionalStore { conditions, .. } = &error else { panic!("{error:?}") };
        assert_eq!((conditions.create, conditions.swap), (verdict, verdict));
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Store, false));
    }
}

#[tokio::test]
async fn o5_a_leader_refuses_a_store_that_ignores_conditions_before_it_claims_anything() {
    let place = Place::new(false);
    place.refused(false, Verdict::Ignored).await;
    match place.remote.read_head(None).await.unwrap() {
        HeadRead::Missing => {}
        HeadRead::Found(stored) => assert_eq!(stored.head.epoch(), 0, "nothing was claimed"),
        HeadRead::NotModified => panic!(),
    }
    // Told to, it leads.
    let leader = place.start(true).await.unwrap();
    let _not_waited_for = leader.append(&JournalEntry::new("CREATE (:P)", 1)).unwrap();
    assert_eq!(leader.sync().await.unwrap().sequence, 1);
    leader.shutdown(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn o5_where_conditional_puts_fail_nothing_can_be_published_whatever_is_allowed() {
    let place = Place::new(true);
    place.refused(false, Verdict::Unsupported).await;
    place.refused(true, Verdict::Unsupported).await;
    let left = Lister::new(&place.store.inner, ListRequest::default()).objects().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
