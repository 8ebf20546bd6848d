//! A store behind a proxy, for one cell at a time.

use std::sync::Arc;
use std::time::Duration;

use graphstream_storage::{
    Bytes, CircuitBreakerConfig, ErrorClass, GetOptions, Key, PutMode, RetryConfig, StackConfig,
    StorageBackend, TimeoutConfig, Version,
};
use graphstream_storage_s3::S3Backend;
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, Rule, S3Operation};
use graphstream_testkit::s3::S3Server;

use crate::calls::{Call, small};
use crate::faults::Row;
use crate::support::{config_at, key};

/// A backend that puts in parts what is larger than 1 MiB.
pub(crate) async fn backend_at(endpoint: &str) -> S3Backend {
    let config = config_at(endpoint).with_multipart_bytes_min(1 << 20).with_part_bytes(5 << 20);
    S3Backend::open(config).await.unwrap()
}

/// A proxy of its own before the server, and a prefix of its own in the bucket.
pub(crate) struct Lane {
    pub(crate) proxy: FaultProxy,
    /// Past it.
    truth: S3Backend,
    pub(crate) prefix: String,
    pub(crate) key: Key,
    pub(crate) other: Key,
}

impl Lane {
    pub(crate) async fn new(server: &S3Server, prefix: String) -> Self {
        let proxy = FaultProxy::start(server.address()).unwrap();
        let lane = Self {
            truth: backend_at(&server.endpoint()).await,
            proxy,
            key: key(&format!("{prefix}/k")),
            other: key(&format!("{prefix}/other")),
            prefix,
        };
        for name in lane.all_keys() {
            lane.put(&name, small().slice(1..)).await;
        }
        lane
    }

    /// Three, so that there are two pages.
    pub(crate) fn all_keys(&self) -> [Key; 3] {
        [self.key.clone(), self.other.clone(), key(&format!("{}/third", self.prefix))]
    }

    pub(crate) fn missing(&self) -> Key {
        key(&format!("{}/missing", self.prefix))
    }

    async fn put(&self, key: &Key, body: Bytes) {
        self.truth.put(key, body.into(), PutMode::Overwrite).await.unwrap();
    }

    /// Brings the store into the state before the call, and sets the fault. A backend of its own for each cell: none finds the
    /// connections, or the experience, of another.
    pub(crate) async fn prepare(
        &self,
        call: Call,
        row: &Row,
        request: S3Operation,
        always: bool,
    ) -> S3Backend {
        self.proxy.clear();
        let backend = backend_at(&self.proxy.url()).await;
        if call.is_read() {
            // What replays are made of.
            self.put(&self.key, "an old body".into()).await;
            for key in [&self.key, &self.other] {
                let seen = backend.get(key, GetOptions::default()).await.unwrap().found().unwrap();
                seen.bytes(10_000).await.unwrap();
            }
        }
        match call.before() {
            Some(body) => self.put(&self.key, body).await,
            None => self.truth.delete(&self.key).await.unwrap(),
        }
        if call == Call::Abort {
            let fault = Fault::Before(Failure::Answer(Answer::error(403, "AccessDenied")));
            self.proxy.inject(Rule::new(S3Operation::UploadPart, fault).always());
        }
        let rule = Rule::new(request, row.fault.clone());
        self.proxy.inject(if always { rule.always() } else { rule });
        backend
    }

    /// What is under the key, by the store's own word.
    pub(crate) async fn there(&self) -> Option<Bytes> {
        match self.truth.get(&self.key, GetOptions::default()).await {
            Ok(outcome) => Some(outcome.found().unwrap().bytes(10 << 20).await.unwrap()),
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::NotFound, "{error:?}");
                None
            }
        }
    }

    /// Its version.
    pub(crate) async fn version(&self) -> Version {
        self.truth.head(&self.key).await.unwrap().version
    }

    pub(crate) async fn other_version(&self) -> Version {
        self.truth.head(&self.other).await.unwrap().version
    }

    /// What was late arrives.
    pub(crate) async fn land_late(&self) {
        while let Some(status) = self.proxy.land_late().await {
            status.unwrap();
        }
    }
}

/// Under the default decorators, with short pauses.
pub(crate) fn stacked(backend: S3Backend, timeout: TimeoutConfig) -> Arc<dyn StorageBackend> {
    let pause = Duration::from_millis(2);
    let retry = RetryConfig::default().with_attempts_max(3).with_pause_first(pause).with_pause_max(pause);
    let breaker = CircuitBreakerConfig::default().with_open_interval(pause);
    let stack = StackConfig::default().with_retry(retry).with_circuit_breaker(breaker).with_timeout(timeout);
    stack.wrap(backend, &Default::default())
}

/// The same, with the default time-outs.
pub(crate) fn patient(backend: S3Backend) -> Arc<dyn StorageBackend> {
    stacked(backend, TimeoutConfig::default())
}

/// How long a call may be silent: short where the fault is silence, so that nobody waits; long where a busy machine must not be
/// taken for one.
pub(crate) fn patience(row: &Row) -> Duration {
    if row.silent { Duration::from_millis(250) } else { Duration::from_secs(30) }
}
