//! Stores that fail or lie below the adapter: which class comes out, and that no wrong byte does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use graphstream_storage::{
    Bytes, Error, ErrorClass, GetOptions, Key, ListRequest, Lister, ListingProblem, PutBody, PutMode,
    StorageBackend, Version,
};
use graphstream_storage_object_store::object_store::{
    self, CopyOptions, Error as Foreign, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    memory::InMemory, path::Path,
};
use graphstream_storage_object_store::{ObjectStoreBackend, ObjectStoreOptions};

type Result<T> = object_store::Result<T>;
type Alter = fn(&mut GetResult);
type Listed = fn(Vec<ObjectMeta>) -> Vec<ObjectMeta>;
type Failed = fn() -> Foreign;
type Put = dyn Fn(&PutOptions) -> Option<Foreign> + Send;

/// A memory store with something wrong.
#[derive(Default)]
struct Wrong {
    inner: InMemory,
    put: Mutex<Option<Box<Put>>>,
    get: Mutex<Option<Foreign>>,
    alter: Mutex<Option<Alter>>,
    listed: Mutex<Option<Listed>>,
    generations: bool,
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrong")
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Wrong {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let failure = self.put.lock().unwrap().take().and_then(|put| put(&options));
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let (true, object_store::PutMode::Update(update)) = (self.generations, &mut options.mode) {
            // As GCS: the etag is not looked at.
            update.e_tag = update.version.take().map(|generation| generation.replace("generation ", ""));
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: object_store::GetOptions) -> Result<GetResult> {
        if let Some(failure) = self.get.lock().unwrap().take() {
            return Err(failure);
        }
        let mut result = self.inner.get_opts(path, options).await?;
        if self.generations {
            result.meta.version = result.meta.e_tag.as_ref().map(|etag| format!("generation {etag}"));
        }
        if let Some(alter) = *self.alter.lock().unwrap() {
            alter(&mut result);
        }
        Ok(result)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let Some(listed) = *self.listed.lock().unwrap() else { return self.inner.list(prefix) };
        let all = self.inner.list(prefix);
        let altered =
            async move { stream::iter(listed(all.map(Result::unwrap).collect().await).into_iter().map(Ok)) };
        stream::once(altered).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn backend(store: &Arc<Wrong>) -> ObjectStoreBackend {
    ObjectStoreBackend::new(Arc::clone(store) as Arc<dyn ObjectStore>)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn generic(text: &'static str) -> Foreign {
    Foreign::Generic { store: "wrong", source: text.into() }
}

fn not_found(text: &'static str) -> Foreign {
    Foreign::NotFound { path: "k".into(), source: text.into() }
}

fn exists() -> Foreign {
    Foreign::AlreadyExists { path: "k".into(), source: "409".into() }
}

fn precondition() -> Foreign {
    Foreign::Precondition { path: "k".into(), source: "412".into() }
}

fn unauthenticated() -> Foreign {
    Foreign::Unauthenticated { path: "k".into(), source: "401".into() }
}

fn full() -> Foreign {
    Foreign::Generic {
        store: "wrong",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
    }
}

fn not_implemented() -> Foreign {
    Foreign::NotImplemented { operation: "put".into(), implementer: "wrong".into() }
}

#[tokio::test]
async fn s02_s04_what_a_failed_put_means() {
    let store = Arc::new(Wrong::default());
    let there = backend(&store).put(&key("there"), "x".into(), PutMode::Create).await.unwrap();
    let matching = || PutMode::Match(there.clone());
    let cases: [(&str, PutMode, Failed, ErrorClass); 14] = [
        ("k", PutMode::Overwrite, || generic("reset"), ErrorClass::TimeoutUnknown),
        ("k", PutMode::Create, || generic("reset"), ErrorClass::TimeoutUnknown),
        ("there", matching(), || generic("reset"), ErrorClass::TimeoutUnknown),
        ("there", PutMode::Create, exists, ErrorClass::Exists),
        // 409 for a create that met another one, which then failed: nothing is there, so it must not count as one.
        ("k", PutMode::Create, exists, ErrorClass::Unavailable),
        ("there", matching(), exists, ErrorClass::Unavailable),
        ("there", matching(), precondition, ErrorClass::VersionMismatch),
        ("there", PutMode::Create, precondition, ErrorClass::Exists),
        ("there", matching(), || not_found("NoSuchKey"), ErrorClass::NotFound),
        ("there", matching(), || not_found("<Code>NoSuchBucket</Code>"), ErrorClass::Other),
        ("k", PutMode::Overwrite, || not_found("404"), ErrorClass::Other),
        ("k", PutMode::Overwrite, unauthenticated, ErrorClass::Denied),
        ("k", PutMode::Overwrite, full, ErrorClass::Unavailable),
        ("there", matching(), not_implemented, ErrorClass::Other),
    ];
    for (number, (name, mode, failure, class)) in cases.into_iter().enumerate() {
        *store.put.lock().unwrap() = Some(Box::new(move |_| Some(failure())));
        let error = backend(&store).put(&key(name), "y".into(), mode).await.unwrap_err();
        assert_eq!(error.class(), class, "case {number}: {error:?}");
    }
    *store.put.lock().unwrap() = Some(Box::new(|_| Some(not_implemented())));
    let unsupported = backend(&store).put(&key("there"), "y".into(), matching()).await.unwrap_err();
    assert!(matches!(unsupported, Error::Unsupported { .. }), "{unsupported:?}");
}

#[tokio::test]
async fn s08_a_missing_bucket_is_not_a_missing_object() {
    let store = Arc::new(Wrong::default());
    for (failure, class) in [
        (not_found("404"), ErrorClass::NotFound),
        (not_found("<Code>NoSuchBucket</Code>"), ErrorClass::Other),
        (not_found("<Code>ContainerNotFound</Code>"), ErrorClass::Other),
        (generic("502"), ErrorClass::Unavailable),
    ] {
        *store.get.lock().unwrap() = Some(failure);
        let error = backend(&store).get(&key("k"), GetOptions::default()).await.unwrap_err();
        assert_eq!(error.class(), class, "{error:?}");
    }
}

#[tokio::test]
async fn s07_bodies_of_the_wrong_length_and_ranges_that_nobody_asked_for_are_errors() {
    let store = Arc::new(Wrong::default());
    let backend = backend(&store);
    backend.put(&key("k"), "0123456789".into(), PutMode::Create).await.unwrap();
    let alters: [(Alter, u64); 2] = [(|r| r.payload = cut(), 4), (|r| r.payload = long(), 11)];
    fn cut() -> GetResultPayload {
        GetResultPayload::Stream(stream::iter([Ok(Bytes::from_static(b"0123"))]).boxed())
    }
    fn long() -> GetResultPayload {
        GetResultPayload::Stream(stream::iter([Ok(Bytes::from_static(b"0123456789a"))]).boxed())
    }
    for (alter, length) in alters {
        *store.alter.lock().unwrap() = Some(alter);
        let object = backend.get(&key("k"), GetOptions::default()).await.unwrap().found().unwrap();
        let mut body = object.body;
        let error = loop {
            match body.next_chunk().await {
                Ok(chunk) => assert!(chunk.is_some(), "ended without an error"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, Error::BodyLength { expected: 10, found, .. } if found == length),
            "{error:?}"
        );
        assert_eq!(body.next_chunk().await.unwrap(), None);
    }
    *store.alter.lock().unwrap() = Some(|result| result.range = 0..3);
    let options = GetOptions::default().with_range(2..5);
    let error = backend.get(&key("k"), options).await.unwrap_err();
    assert!(matches!(error, Error::WrongRange { .. }), "{error:?}");
    *store.alter.lock().unwrap() = Some(|result| result.meta.e_tag = None);
    let error = backend.get(&key("k"), GetOptions::default()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Other, "no etag, no version: {error:?}");
}

#[tokio::test]
async fn s09_a_listing_out_of_order_is_sorted_or_refused_and_odd_names_are_left_out() {
    let store = Arc::new(Wrong::default());
    for name in ["a/1", "a/2", "a/3", "a/4", "b"] {
        store.inner.put(&Path::from(name), "x".into()).await.unwrap();
    }
    store.inner.put(&Path::parse("a/back\\slash").unwrap(), "x".into()).await.unwrap();
    *store.listed.lock().unwrap() = Some(|mut all| {
        all.reverse();
        all
    });
    for limit in 1..5 {
        let request = ListRequest::new("a/").with_limit(limit);
        let objects = Lister::new(&backend(&store), request).objects().await.unwrap();
        let names: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(names, ["a/1", "a/2", "a/3", "a/4"], "pages of {limit}");
    }
    let ordered = ObjectStoreOptions::default().with_listing_is_ordered(true);
    let trusting = ObjectStoreBackend::with_options(Arc::clone(&store) as _, ordered);
    let error = trusting.list(ListRequest::new("a/")).await.unwrap_err();
    assert!(matches!(error, Error::BrokenListing { problem: ListingProblem::Order, .. }), "{error:?}");
}

#[tokio::test]
async fn where_the_condition_is_a_generation_it_is_that_of_the_version() {
    let store = Arc::new(Wrong { generations: true, ..Wrong::default() });
    let options = ObjectStoreOptions::default().with_match_takes_generation(true);
    let backend = ObjectStoreBackend::with_options(Arc::clone(&store) as _, options);
    let first = backend.put(&key("k"), "1".into(), PutMode::Create).await.unwrap();
    let second = backend.put(&key("k"), "2".into(), PutMode::Match(first.clone())).await.unwrap();
    let stale = backend.put(&key("k"), "3".into(), PutMode::Match(first)).await.unwrap_err();
    assert!(
        matches!(&stale, Error::VersionMismatch { found: Some(found), .. } if *found == second),
        "{stale:?}"
    );
    let never = Version::new("\"9\"").unwrap();
    let missing = backend.put(&key("gone"), "3".into(), PutMode::Match(never)).await.unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn large_files_go_in_parts_or_are_refused_before_anything_is_read() {
    let options = ObjectStoreOptions::default().with_part_bytes(0).with_conditional_file_bytes_max(6 << 20);
    assert_eq!(options.part_bytes, 5 << 20, "no store takes smaller parts");
    let backend = ObjectStoreBackend::with_options(Arc::new(InMemory::new()), options);
    let file = tempfile::NamedTempFile::new().unwrap();
    let body: Vec<u8> = (0..11_u32 << 20).map(|n| (n >> 12) as u8).collect();
    std::fs::write(file.path(), &body).unwrap();
    let source = || PutBody::File(file.path().to_owned());
    let version = backend.put(&key("k"), source(), PutMode::Overwrite).await.unwrap();
    let object = backend.get(&key("k"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.meta.version, version);
    assert!(object.bytes(12 << 20).await.unwrap() == body);
    for mode in [PutMode::Create, PutMode::Match(version)] {
        let error = backend.put(&key("k"), source(), mode).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Other);
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.contains("a file of 11534336 bytes can't be put under a condition"), "{said}");
    }
}
