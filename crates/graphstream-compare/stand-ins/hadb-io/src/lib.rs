//! Stands in for the crate hadb-io: the names that the predecessor's uploader and downloader need to compile. Nothing that is measured
//! calls them, and nothing here uploads: every call says so.

use std::sync::Arc;

use anyhow::{Result, bail};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the predecessor and its decoder call of a store.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Writes an object.
    async fn upload_bytes(&self, key: &str, data: Vec<u8>) -> Result<()>;
    /// Writes an object from a file.
    async fn upload_file(&self, key: &str, path: &std::path::Path) -> Result<()>;
    /// Reads an object.
    async fn download_bytes(&self, key: &str) -> Result<Vec<u8>>;
    /// Lists keys with a prefix.
    async fn list_objects(&self, prefix: &str) -> Result<Vec<String>>;
    /// Lists keys with a prefix that sort after a key.
    async fn list_objects_after(&self, prefix: &str, start_after: &str) -> Result<Vec<String>>;
}

/// How one item is uploaded.
#[async_trait]
pub trait UploadHandler: Send + Sync + 'static {
    /// What names an item.
    type Id: Clone + Send + std::fmt::Debug + 'static;
    /// Uploads an item.
    async fn upload(&self, id: Self::Id) -> Result<u64>;
    /// What is still to be uploaded.
    fn pending_items(&self) -> Vec<Self::Id>;
    /// A name for messages.
    fn name(&self) -> &str;
}

/// What an uploader is told.
#[derive(Debug)]
pub enum UploadMessage<Id> {
    /// To upload.
    Upload(Id),
    /// To upload and tell.
    UploadWithAck(Id, oneshot::Sender<Result<()>>),
    /// To end.
    Shutdown,
}

/// What an uploader has done.
#[derive(Debug, Clone, Default)]
pub struct UploaderStats {
    /// Begun.
    pub uploads_attempted: u64,
    /// Ended well.
    pub uploads_succeeded: u64,
    /// Ended badly.
    pub uploads_failed: u64,
    /// Sum of bytes.
    pub bytes_uploaded: u64,
}

/// Uploads nothing.
#[derive(Debug)]
pub struct ConcurrentUploader<H>(#[allow(dead_code, reason = "only held")] Arc<H>);

impl<H: UploadHandler> ConcurrentUploader<H> {
    /// Takes what the real one takes.
    pub fn new(handler: Arc<H>, _max_concurrent: usize) -> Self {
        Self(handler)
    }

    /// Fails.
    pub async fn run(&self, _messages: mpsc::Receiver<UploadMessage<H::Id>>) -> Result<UploaderStats> {
        bail!("this stand-in uploads nothing")
    }
}

/// Starts nothing: the channel is closed.
pub fn spawn_uploader<H: UploadHandler>(
    _uploader: Arc<ConcurrentUploader<H>>,
) -> (mpsc::Sender<UploadMessage<H::Id>>, JoinHandle<()>) {
    (mpsc::channel(1).0, tokio::spawn(async {}))
}

/// How often something is tried.
#[derive(Debug, Clone, Default)]
pub struct RetryConfig {
    /// The most retries.
    pub max_retries: u32,
}

/// Tries once.
#[derive(Debug, Default)]
pub struct RetryPolicy(RetryConfig);

impl RetryPolicy {
    /// With a configuration.
    #[must_use]
    pub fn new(config: RetryConfig) -> Self {
        Self(config)
    }

    /// Without one.
    #[must_use]
    pub fn default_policy() -> Self {
        Self::default()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &RetryConfig {
        &self.0
    }

    /// None.
    #[must_use]
    pub fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        None
    }

    /// Tries once.
    pub async fn execute<T, F: Future<Output = Result<T>>>(&self, operation: impl Fn() -> F) -> Result<T> {
        operation().await
    }
}

/// Never opens.
#[derive(Debug)]
pub struct CircuitBreaker(());

impl CircuitBreaker {
    /// Always.
    #[must_use]
    pub fn should_allow(&self) -> bool {
        true
    }

    /// None.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        0
    }
}

/// Where notices would go.
#[derive(Debug, Clone)]
pub struct WebhookConfig(());

/// What a notice would be about.
#[derive(Debug)]
pub enum WebhookEvent {
    /// An upload failed.
    UploadFailed,
    /// Uploads are paused.
    CircuitBreakerOpen,
}

/// A notice.
#[derive(Debug)]
pub struct WebhookPayload(());

impl WebhookPayload {
    /// Takes what the real one takes.
    #[must_use]
    pub fn new(_event: WebhookEvent, _prefix: &str, _message: &str, _attempts: u32) -> Self {
        Self(())
    }
}

/// Sends nothing.
#[derive(Debug)]
pub struct WebhookSender(());

impl WebhookSender {
    /// Takes what the real one takes.
    #[must_use]
    pub fn new(_configs: Vec<WebhookConfig>) -> Self {
        Self(())
    }

    /// Sends nothing.
    pub async fn send(&self, _payload: WebhookPayload) {}
}
