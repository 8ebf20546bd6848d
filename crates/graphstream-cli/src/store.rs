//! The object store that a URL on the command line names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use graphstream::metrics::GraphstreamMetrics;
use graphstream::remote::{DatabaseName, Remote};
use graphstream::storage::{MemoryBackend, RetryConfig, StackConfig, StorageBackend};
use graphstream::storage_fs::{FsBackend, FsOptions};

use crate::failure::{Failure, Kind};

/// A parsed store URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// `file:///path`: a directory.
    File(PathBuf),
    /// `memory:`: gone with the process.
    Memory,
}

impl StoreUrl {
    /// Parses `--to` and `--from`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err("a file store takes an absolute path: file:///srv/store".to_owned());
            }
            return Ok(Self::File(PathBuf::from(path)));
        }
        Err(match text.split_once(':') {
            Some((scheme @ ("s3" | "gs" | "az"), _)) => {
                format!("this build has no {scheme} stores; expected file:///path or memory:")
            }
            _ => "expected a store's URL: file:///path or memory:".to_owned(),
        })
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// What the verb does with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing is made or changed.
    Read,
    /// A missing store is made.
    Write,
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

/// Opens the database's part of a store.
pub(crate) fn open(url: &StoreUrl, database: DatabaseName, access: Access) -> Result<Remote, Failure> {
    open_counted(url, database, access, &GraphstreamMetrics::shared())
}

/// As [`open`], with its requests counted.
pub(crate) fn open_counted(
    url: &StoreUrl,
    database: DatabaseName,
    access: Access,
    metrics: &Arc<GraphstreamMetrics>,
) -> Result<Remote, Failure> {
    let retry = RetryConfig::default().with_elapsed_max(RETRY_ELAPSED_MAX);
    let decorated = StackConfig::default().with_retry(retry).wrap(backend(url, access)?, metrics);
    Ok(Remote::new(decorated, "", database)?)
}

fn backend(url: &StoreUrl, access: Access) -> Result<Arc<dyn StorageBackend>, Failure> {
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryBackend::default()),
        StoreUrl::File(path) => {
            let read_only = access == Access::Read;
            let options = FsOptions::default().with_read_only(read_only).with_create_root(!read_only);
            let opened = FsBackend::open(path, options);
            Arc::new(
                opened.map_err(|error| {
                    Failure::from(error).while_doing(format_args!("{url} can't be opened"))
                })?,
            )
        }
    })
}

/// A runtime for a verb that talks to a store: one thread, and others for what blocks.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Failure::new(Kind::Internal, "the async runtime can't be started").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_stores() {
        assert_eq!(StoreUrl::parse("file:///srv/a b"), Ok(StoreUrl::File(PathBuf::from("/srv/a b"))));
        assert_eq!(StoreUrl::parse("memory:"), Ok(StoreUrl::Memory));
        for bad in ["", "/srv/store", "file:", "file://srv/store", "s3://bucket/prefix", "http://host/"] {
            assert!(StoreUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(StoreUrl::parse("s3://bucket").unwrap_err().contains("no s3 stores"));
    }

    #[test]
    fn database_names_follow_the_grammar() {
        assert!(parse_database("social-2.eu").is_ok());
        for bad in ["", "Social", "-a", "a/b", "..", "a\n"] {
            assert!(parse_database(bad).is_err(), "{bad:?}");
        }
    }
}
