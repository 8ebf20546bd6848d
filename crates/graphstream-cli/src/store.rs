//! The object store that a URL on the command line names.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::{DatabaseName, Remote};
pub(crate) use graphstream::storage::{Access, StoreUrl};
use graphstream::storage::{OpenError, RetryConfig, StackConfig, StorageBackend, StoreRegistry};

use tokio::sync::OnceCell;

use crate::failure::{Failure, Kind};

/// The stores of this build.
static STORES: LazyLock<StoreRegistry> = LazyLock::new(graphstream::store_registry);

/// Parses `--to` and `--from`.
pub(crate) fn parse_url(text: &str) -> Result<StoreUrl, String> {
    let checked = StoreUrl::new(text).and_then(|url| STORES.check(&url).map(|()| url));
    checked.map_err(|error| match error {
        OpenError::NotAUrl => format!("{error}; expected {}", STORES.forms()),
        error => error.to_string(),
    })
}

/// Parses `--database`.
pub(crate) fn parse_database(text: &str) -> Result<DatabaseName, String> {
    DatabaseName::new(text).map_err(|error| {
        let problem = error.to_string();
        format!("{problem} (1 to 63 characters of a-z, 0-9, '.', '_', '-', first a letter or digit)")
    })
}

/// How long a verb asks a failing store again before it says so. Daemons go on by themselves then; a signal waits no longer.
const RETRY_ELAPSED_MAX: Duration = Duration::from_secs(15);

/// Opens a store that is there, to write, as it is. Nothing is made in passing: the name may be mistyped.
pub(crate) async fn open_bare(url: &StoreUrl) -> Result<Arc<dyn StorageBackend>, Failure> {
    STORES.open(url, Access::Read).await?;
    Ok(STORES.open(url, Access::Write).await?)
}

/// Opens a whole store, to read.
pub(crate) async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn StorageBackend>, Failure> {
    Ok(decorated(STORES.open(url, Access::Read).await?, &GraphstreamMetrics::shared()))
}

/// Opens the database's part of a store.
pub(crate) async fn open(url: &StoreUrl, database: DatabaseName, access: Access) -> Result<Remote, Failure> {
    open_counted(url, database, access, &GraphstreamMetrics::shared()).await
}

/// As [`open`], with its requests counted.
pub(crate) async fn open_counted(
    url: &StoreUrl,
    database: DatabaseName,
    access: Access,
    metrics: &Arc<GraphstreamMetrics>,
) -> Result<Remote, Failure> {
    let store = STORES.open(url, access).await?;
    Ok(Remote::new(decorated(store, metrics), "", database)?)
}

/// A store that was opened, or will be by the first who asks.
type OpenedStore = OnceCell<Arc<dyn StorageBackend>>;

/// The stores of a process with several databases: each is opened once, so that databases share its connections, its circuit
/// breaker and its bounds.
#[derive(Debug)]
pub(crate) struct Stores {
    opened: std::sync::Mutex<HashMap<String, Arc<OpenedStore>>>,
    metrics: Arc<GraphstreamMetrics>,
}

impl Stores {
    /// None yet; requests to all of them are counted in `metrics`.
    pub(crate) fn new(metrics: Arc<GraphstreamMetrics>) -> Self {
        Self { opened: std::sync::Mutex::default(), metrics }
    }

    /// Opens the database's part of a store to write there.
    pub(crate) async fn open(&self, url: &StoreUrl, database: DatabaseName) -> Result<Remote, Failure> {
        let cell = {
            let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(opened.entry(url.as_str().to_owned()).or_default())
        };
        // What fails is tried again by whoever asks next.
        let store = cell
            .get_or_try_init(|| async {
                Ok::<_, Failure>(decorated(STORES.open(url, Access::Write).await?, &self.metrics))
            })
            .await?;
        Ok(Remote::new(Arc::clone(store), "", database)?)
    }
}

fn decorated(store: Arc<dyn StorageBackend>, metrics: &Arc<GraphstreamMetrics>) -> Arc<dyn StorageBackend> {
    let retry = RetryConfig::default().with_elapsed_max(RETRY_ELAPSED_MAX);
    StackConfig::default().with_retry(retry).wrap(store, metrics)
}

/// A runtime for a verb that talks to a store: one thread, and others for what blocks.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    runtime_with(512)
}

/// As [`runtime`], with a bound on the other threads.
pub(crate) fn runtime_with(blocking_threads_max: usize) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(blocking_threads_max)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Internal, "the async runtime can't be started").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_stores() {
        for good in ["file:///srv/a b", "memory:"] {
            assert_eq!(parse_url(good).map(|url| url.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "/srv/store", "file:", "file://srv/store", "s3:bucket", "ftp://host/"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
        assert!(parse_url("/srv/store").unwrap_err().contains("file:///path"));
        for (url, built, feature) in [
            ("gs://bucket/prefix", cfg!(feature = "gcp"), "`gcp`"),
            ("abfss://container/prefix", cfg!(feature = "azure"), "`azure`"),
            ("https://host/path", cfg!(feature = "http"), "`http`"),
        ] {
            assert_eq!(
                parse_url(url).err().map(|error| error.contains(feature)),
                (!built).then_some(true),
                "{url}"
            );
        }
    }

    #[test]
    fn database_names_follow_the_grammar() {
        assert!(parse_database("social-2.eu").is_ok());
        for bad in ["", "Social", "-a", "a/b", "..", "a\n"] {
            assert!(parse_database(bad).is_err(), "{bad:?}");
        }
    }
}
