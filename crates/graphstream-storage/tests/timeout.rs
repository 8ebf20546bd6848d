//! Silence ends, slowness does not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use graphstream_storage::faults::{Fault, Rule};
use graphstream_storage::{
    ByteStream, Bytes, Error, ErrorClass, FaultBackend, GetOptions, GetOutcome, Key, ListPage, ListRequest,
    MemoryBackend, Object, ObjectMeta, Operation, PutBody, PutMode, Result, StorageBackend, TimeoutBackend,
    TimeoutConfig, Version, conformance,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn key() -> Key {
    Key::new("k").unwrap()
}

/// A store that sends bodies in parts with a pause before each; empty parts in between do not count.
#[derive(Debug)]
struct Drip {
    inner: MemoryBackend,
    part_bytes: usize,
    pause: Duration,
    empty_parts: usize,
}

#[async_trait]
impl StorageBackend for Drip {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        let object = self.inner.get(key, options).await?.found().unwrap();
        let (meta, range, pause) = (object.meta.clone(), object.range.clone(), self.pause);
        let whole = object.bytes(u64::MAX).await?;
        let mut parts: Vec<Bytes> = vec![Bytes::new(); self.empty_parts];
        parts.extend(whole.chunks(self.part_bytes).map(Bytes::copy_from_slice));
        let body = futures_util::stream::iter(parts).then(move |part| async move {
            tokio::time::sleep(pause).await;
            Ok(part)
        });
        Ok(GetOutcome::Found(Object::new(meta, range, ByteStream::new(body))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.inner.put(key, body, mode).await
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
        self.inner.describe()
    }
}

async fn dripping(bytes: usize, parts: usize, pause: Duration, empty_parts: usize) -> TimeoutBackend<Drip> {
    let inner = MemoryBackend::new();
    inner.put(&key(), vec![7; bytes].into(), PutMode::Create).await.unwrap();
    let drip = Drip { inner, part_bytes: bytes.div_ceil(parts), pause, empty_parts };
    TimeoutBackend::new(drip, TimeoutConfig::default())
}

#[tokio::test(start_paused = true)]
async fn the_suite_runs_through_it() {
    conformance::all(&TimeoutBackend::new(MemoryBackend::new(), TimeoutConfig::default())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s10_a_slow_body_that_moves_is_read_to_its_end() {
    let backend = dripping(200 << 20, 500, 29 * SECOND, 0).await;
    let start = Instant::now();
    let mut body = backend.get(&key(), GetOptions::default()).await.unwrap().found().unwrap().body;
    let mut bytes = 0;
    while let Some(chunk) = body.next_chunk().await.unwrap() {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 200 << 20);
    assert!(start.elapsed() >= 500 * 29 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s10_a_body_that_stands_still_ends_in_an_error_and_empty_chunks_are_no_progress() {
    for (pause, empty_parts) in [(31 * SECOND, 0), (16 * SECOND, 2)] {
        let backend = dripping(100, 1, pause, empty_parts).await;
        let start = Instant::now();
        let mut body = backend.get(&key(), GetOptions::default()).await.unwrap().found().unwrap().body;
        let error = body.next_chunk().await.unwrap_err();
        assert_eq!(start.elapsed(), 30 * SECOND);
        assert_eq!(error.class(), ErrorClass::Unavailable);
        assert_eq!(error.to_string(), "get k in memory:: silent for 30s");
        assert!(body.next_chunk().await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_not_the_stores_silence() {
    let backend = dripping(100, 2, SECOND, 0).await;
    let mut body = backend.get(&key(), GetOptions::default()).await.unwrap().found().unwrap().body;
    for _ in 0..2 {
        assert_eq!(body.next_chunk().await.unwrap().unwrap().len(), 50);
        tokio::time::sleep(100 * SECOND).await;
    }
    assert!(body.next_chunk().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn s02_silence_is_unknown_for_changes_and_unavailable_for_reads() {
    for hang in [Fault::Hang, Fault::HangAfter] {
        for operation in Operation::ALL {
            let faults = FaultBackend::new(MemoryBackend::new());
            let backend = TimeoutBackend::new(faults.clone(), TimeoutConfig::default());
            faults.inject(Rule::new(operation, hang.clone()));
            let start = Instant::now();
            let (change, error) = match operation {
                Operation::Get => (false, backend.get(&key(), GetOptions::default()).await.err()),
                Operation::Head => (false, backend.head(&key()).await.err()),
                Operation::List => (false, backend.list(ListRequest::default()).await.err()),
                Operation::Delete => (true, backend.delete(&key()).await.err()),
                Operation::DeleteMany => (true, backend.delete_many(&[key()]).await.err()),
                _ => (true, backend.put(&key(), "x".into(), PutMode::Create).await.err()),
            };
            let error = error.unwrap();
            assert!(
                matches!(&error, Error::Timeout { operation: asked, .. } if *asked == operation),
                "{error}"
            );
            let expected = if change { ErrorClass::TimeoutUnknown } else { ErrorClass::Unavailable };
            assert_eq!(error.class(), expected, "{operation}");
            assert!(start.elapsed() <= 31 * SECOND, "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_has_the_time_that_its_bytes_need_at_the_slowest_rate() {
    for (rate, delay, passes) in [(1000, 39, true), (1000, 42, false), (0, 1_000_000, true)] {
        let faults = FaultBackend::new(MemoryBackend::new());
        let config = TimeoutConfig::default().with_put_bytes_per_second_min(rate);
        let backend = TimeoutBackend::new(faults.clone(), config);
        faults.inject(Rule::new(Operation::Put, Fault::Delay(delay * SECOND)));
        let put = backend.put(&key(), vec![0; 10_000].into(), PutMode::Create).await;
        assert_eq!(put.is_ok(), passes, "{rate} {delay}: {put:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_bulk_delete_has_more_time() {
    let faults = FaultBackend::new(MemoryBackend::new());
    let backend = TimeoutBackend::new(faults.clone(), TimeoutConfig::default());
    let keys: Vec<Key> = (0..1000).map(|n| Key::new(n.to_string()).unwrap()).collect();
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Delay(300 * SECOND)));
    assert_eq!(backend.delete_many(&keys).await.unwrap().len(), 1000);
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Delay(300 * SECOND)));
    assert!(backend.delete_many(&keys[..99]).await.is_err());
}
