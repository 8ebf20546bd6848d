//! Where the verbs that read entries find them: files, a journal's directory, or a database in an object store.

use std::path::{Path, PathBuf};

use graphstream::remote::DatabaseName;

use crate::store::{self, StoreUrl};

/// The flags that name one source.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).multiple(false).args(["files", "journal", "from"])))]
pub(crate) struct SourceArgs {
    /// Segments, such as journal/*.hadbj
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A journal's directory; also while it is written to
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// An object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", requires = "database", value_parser = store::parse_url)]
    from: Option<StoreUrl>,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: Option<DatabaseName>,
}

/// What the flags name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Files(&'a [PathBuf]),
    Journal(&'a Path),
    Store(&'a StoreUrl, &'a DatabaseName),
}

impl SourceArgs {
    pub(crate) fn source(&self) -> Source<'_> {
        match (&self.journal, &self.from, &self.database) {
            (Some(dir), ..) => Source::Journal(dir),
            (None, Some(url), Some(database)) => Source::Store(url, database),
            _ => Source::Files(&self.files),
        }
    }
}
