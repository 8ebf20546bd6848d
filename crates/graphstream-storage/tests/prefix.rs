//! A part of a store is a store, and nothing outside of it can be reached or seen.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use graphstream_storage::{
    Error, ErrorClass, GetOptions, Key, ListRequest, Lister, ListingProblem, MemoryBackend, PrefixBackend,
    PutMode, StorageBackend, conformance,
};
use proptest::prelude::*;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn fill(backend: &dyn StorageBackend, names: &[&str]) {
    for name in names {
        backend.put(&key(name), name.as_bytes().to_vec().into(), PutMode::Create).await.unwrap();
    }
}

async fn names(backend: &dyn StorageBackend, request: ListRequest) -> Vec<String> {
    let objects = Lister::new(backend, request).objects().await.unwrap();
    objects.iter().map(|object| object.key.to_string()).collect()
}

const NEIGHBOURS: [&str; 6] = ["a", "p-", "p.x", "p0", "pp/x", "z/p/x"];

/// All cases but the one with keys of 1024 bytes, which are too long below a prefix.
async fn suite(part: &dyn StorageBackend) {
    let failures = conformance::all(part).await.unwrap_err();
    let [("keys_may_be_long", violation)] = failures.0.as_slice() else { panic!("{failures}") };
    assert!(matches!(violation.source, Some(Error::InvalidKey { .. })), "{violation}");
}

#[tokio::test]
async fn the_suite_runs_through_it_and_neighbours_stay() {
    let memory = MemoryBackend::new();
    fill(&memory, &NEIGHBOURS).await;
    suite(&PrefixBackend::new(memory.clone(), key("p"))).await;
    let nested = PrefixBackend::new(PrefixBackend::new(memory.clone(), key("p/q")), key("r"));
    suite(&nested).await;
    assert_eq!(nested.describe(), "memory: below p/q below r");
    assert_eq!(names(&memory, ListRequest::default()).await, NEIGHBOURS);
}

#[tokio::test]
async fn keys_are_mapped_and_listings_stripped() {
    let memory = MemoryBackend::new();
    fill(&memory, &NEIGHBOURS).await;
    let part = PrefixBackend::new(memory.clone(), key("p"));
    fill(&part, &["b", "c/d", "c/e", "p/x"]).await;
    assert!(memory.head(&key("p/c/d")).await.is_ok());
    assert_eq!(part.head(&key("c/d")).await.unwrap().key, key("c/d"));
    let object = part.get(&key("b"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.meta.key, key("b"));
    assert_eq!(names(&part, ListRequest::default()).await, ["b", "c/d", "c/e", "p/x"]);
    assert_eq!(
        names(&part, ListRequest::default().with_limit(1).with_start_after("c")).await,
        ["c/d", "c/e", "p/x"]
    );
    assert_eq!(names(&part, ListRequest::new("c/").with_start_after("c/d")).await, ["c/e"]);
    let page = part.list(ListRequest::default().with_delimiter().with_start_after("b")).await.unwrap();
    assert_eq!((page.objects.len(), page.prefixes), (0, vec!["c/".to_owned(), "p/".to_owned()]));
    let outcomes = part.delete_many(&[key("b"), key("none")]).await.unwrap();
    assert_eq!(outcomes.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "none"]);
}

#[tokio::test]
async fn h03_odd_prefixes_list_nothing_of_the_neighbours() {
    let memory = MemoryBackend::new();
    fill(&memory, &NEIGHBOURS).await;
    let part = PrefixBackend::new(memory, key("p"));
    for odd in ["../", "/", "..", ".", "../pp/", "//", "x/../../a"] {
        assert_eq!(names(&part, ListRequest::new(odd)).await, [""; 0], "{odd}");
        assert_eq!(names(&part, ListRequest::default().with_start_after(odd)).await, [""; 0], "{odd}");
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_with_the_prefix_is_refused() {
    let part = PrefixBackend::new(MemoryBackend::new(), key(&"p/".repeat(499)[..997]));
    let long = |length: usize| key(&"x".repeat(length));
    part.put(&long(26), "x".into(), PutMode::Create).await.unwrap();
    let error = part.put(&long(27), "x".into(), PutMode::Create).await.unwrap_err();
    assert!(matches!(error, Error::InvalidKey { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Other);
}

/// A store whose listings name objects that nobody asked for.
#[derive(Debug)]
struct Everything(MemoryBackend);

#[async_trait::async_trait]
impl StorageBackend for Everything {
    async fn get(
        &self,
        key: &Key,
        options: GetOptions,
    ) -> graphstream_storage::Result<graphstream_storage::GetOutcome> {
        self.0.get(key, options).await
    }

    async fn put(
        &self,
        key: &Key,
        body: graphstream_storage::PutBody,
        mode: PutMode,
    ) -> graphstream_storage::Result<graphstream_storage::Version> {
        self.0.put(key, body, mode).await
    }

    async fn head(&self, key: &Key) -> graphstream_storage::Result<graphstream_storage::ObjectMeta> {
        self.0.head(key).await
    }

    async fn delete(&self, key: &Key) -> graphstream_storage::Result<()> {
        self.0.delete(key).await
    }

    async fn delete_many(
        &self,
        keys: &[Key],
    ) -> graphstream_storage::Result<Vec<(Key, graphstream_storage::Result<()>)>> {
        self.0.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> graphstream_storage::Result<graphstream_storage::ListPage> {
        let mut all = ListRequest::default();
        all.delimiter = request.delimiter;
        self.0.list(all).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[tokio::test]
async fn s09_a_listing_that_names_neighbours_is_broken() {
    for delimiter in [false, true] {
        for neighbour in ["pp/x", "p", "p-", "p.x/y"] {
            let store = Everything(MemoryBackend::new());
            fill(&store, &[neighbour]).await;
            let mut request = ListRequest::default();
            request.delimiter = delimiter;
            let error = PrefixBackend::new(store, key("p")).list(request).await.unwrap_err();
            assert!(
                matches!(error, Error::BrokenListing { problem: ListingProblem::Outside, .. }),
                "{neighbour}: {error}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_part_of_a_store_lists_what_a_store_of_its_own_would(
        keys in proptest::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,2}", 0..12),
        prefix in "[ab/]{0,3}",
        start_after in proptest::option::of("[ab/.]{0,4}"),
        delimiter: bool,
        limit in proptest::option::of(1..4usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (memory, alone) = (MemoryBackend::new(), MemoryBackend::new());
            fill(&memory, &NEIGHBOURS).await;
            let part = PrefixBackend::new(memory, key("p"));
            for name in &keys {
                fill(&part, &[name.as_str()]).await;
                fill(&alone, &[name.as_str()]).await;
            }
            let mut request = ListRequest::new(prefix);
            request.start_after = start_after;
            request.delimiter = delimiter;
            request.limit = limit;
            let mut expected = Lister::new(&alone, request.clone());
            let mut found = Lister::new(&part, request);
            loop {
                let (expected, found) = (expected.next_page().await.unwrap(), found.next_page().await.unwrap());
                let keys = |page: &Option<graphstream_storage::ListPage>| page.as_ref().map(|page| {
                    let keys: Vec<_> = page.objects.iter().map(|object| object.key.to_string()).collect();
                    (keys, page.prefixes.clone(), page.next.is_some())
                });
                assert_eq!(keys(&found), keys(&expected));
                if expected.is_none() {
                    break;
                }
            }
        });
    }
}
