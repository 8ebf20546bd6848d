//! A decorator that keeps within so many requests and bytes per second.
//!
//! Each limit is a bucket that fills at its rate. Callers take from it in the order in which they came: the first waits, with
//! the bucket locked, until there is enough; the others wait for the lock. Without a caller that waits there is no timer.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::Result;
use crate::{
    ByteStream, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta, PutBody, PutMode,
    StorageBackend, Version,
};

/// What a store is asked for at most.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitConfig {
    /// Requests per second; `None` for no limit. Default `None`.
    pub requests_per_second_max: Option<NonZeroU32>,
    /// Bytes of bodies per second, both ways together; `None` for no limit. Default `None`.
    pub bytes_per_second_max: Option<NonZeroU64>,
    /// After a rest, as much may go at once as the limits allow in this time, and at least one request or byte. Default 1 s.
    pub burst_interval: Duration,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            requests_per_second_max: None,
            bytes_per_second_max: None,
            burst_interval: Duration::from_secs(1),
        }
    }
}

impl RateLimitConfig {
    /// Sets [`requests_per_second_max`](Self::requests_per_second_max).
    #[must_use]
    pub fn with_requests_per_second_max(mut self, requests: NonZeroU32) -> Self {
        self.requests_per_second_max = Some(requests);
        self
    }

    /// Sets [`bytes_per_second_max`](Self::bytes_per_second_max).
    #[must_use]
    pub fn with_bytes_per_second_max(mut self, bytes: NonZeroU64) -> Self {
        self.bytes_per_second_max = Some(bytes);
        self
    }

    /// Sets [`burst_interval`](Self::burst_interval).
    #[must_use]
    pub fn with_burst_interval(mut self, interval: Duration) -> Self {
        self.burst_interval = interval;
        self
    }

    /// Whether there is any limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.requests_per_second_max.is_some() || self.bytes_per_second_max.is_some()
    }
}

/// Keeps calls to a backend within a rate. Clones share it.
///
/// Every call is one request, a bulk delete and a page of a listing too. The bytes of a put count before it begins, those of
/// a get as they arrive, so that reading is slowed down rather than refused. More than the bucket holds goes through once
/// it is full, and is paid for by whoever comes next.
#[derive(Debug, Clone)]
pub struct RateLimitBackend<B> {
    inner: B,
    requests: Arc<Bucket>,
    bytes: Arc<Bucket>,
}

impl<B: StorageBackend> RateLimitBackend<B> {
    /// Wraps `inner`; the buckets are full.
    pub fn new(inner: B, config: &RateLimitConfig) -> Self {
        let requests = config.requests_per_second_max.map(|rate| f64::from(rate.get()));
        let bytes = config.bytes_per_second_max.map(|rate| rate.get() as f64);
        Self {
            inner,
            requests: Arc::new(Bucket::new(requests, config.burst_interval)),
            bytes: Arc::new(Bucket::new(bytes, config.burst_interval)),
        }
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }
}

#[derive(Debug)]
struct Bucket {
    /// Per second; `None` for no limit.
    rate: Option<f64>,
    holds: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Below zero after more was taken than the bucket holds.
    amount: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: Option<f64>, burst: Duration) -> Self {
        let holds = rate.map_or(0.0, |rate| (rate * burst.as_secs_f64()).max(1.0));
        Self { rate, holds, level: Mutex::new(Level { amount: holds, at: Instant::now() }) }
    }

    /// Waits until `amount` is there, and takes it. Dropped before, nothing is taken.
    async fn take(&self, amount: u64) {
        let Some(rate) = self.rate else { return };
        let amount = amount as f64;
        let mut level = self.level.lock().await;
        loop {
            let now = Instant::now();
            let gained = now.saturating_duration_since(level.at).as_secs_f64() * rate;
            level.amount = (level.amount + gained).min(self.holds);
            level.at = now;
            let missing = amount.min(self.holds) - level.amount;
            // Timers are no finer than this, and sums of fractions no more exact.
            if missing <= rate * 1e-6 {
                level.amount -= amount;
                return;
            }
            let wait = Duration::try_from_secs_f64(missing / rate).unwrap_or(Duration::MAX);
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl<B: StorageBackend> StorageBackend for RateLimitBackend<B> {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.requests.take(1).await;
        let outcome = self.inner.get(key, options).await?;
        let GetOutcome::Found(Object { meta, range, body }) = outcome else { return Ok(outcome) };
        if self.bytes.rate.is_none() {
            return Ok(GetOutcome::Found(Object::new(meta, range, body)));
        }
        let stream =
            futures_util::stream::unfold((body, Arc::clone(&self.bytes)), |(mut body, bytes)| async move {
                let chunk = body.next_chunk().await.transpose()?;
                if let Ok(chunk) = &chunk {
                    bytes.take(chunk.len() as u64).await;
                }
                Some((chunk, (body, bytes)))
            });
        Ok(GetOutcome::Found(Object::new(meta, range, ByteStream::new(stream))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.requests.take(1).await;
        self.bytes.take(body.bytes()).await;
        self.inner.put(key, body, mode).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.requests.take(1).await;
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.requests.take(1).await;
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.requests.take(1).await;
        self.inner.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.requests.take(1).await;
        self.inner.list(request).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
