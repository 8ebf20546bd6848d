//! The keys of encrypted segments: named by file, on the command line or in the environment, never given themselves.

use std::path::PathBuf;
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::journal::{self, read_key_files};
use graphstream::remote::Remote;

use crate::failure::{Failure, Kind};

pub(crate) const VARIABLE: &str = "GRAPHSTREAM_ENCRYPTION_KEY_FILE";
pub(crate) const FLAG: &str = "--encryption-key-file";

/// The flag that every verb takes that reads or writes segments.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct KeyArgs {
    /// A file with a key of encrypted segments (graphstream key generate); several times: the first key is the current one, which new
    /// segments are encrypted with [env: GRAPHSTREAM_ENCRYPTION_KEY_FILE=, several with : between them]
    #[arg(long = "encryption-key-file", value_name = "FILE")]
    encryption_key_files: Vec<PathBuf>,
}

impl KeyArgs {
    /// The files that are named. The environment counts only without the flag.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if self.encryption_key_files.is_empty()
            && let Some(named) = std::env::var_os(VARIABLE)
        {
            return std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
        }
        self.encryption_key_files.clone()
    }

    /// The keys, if any file is named.
    pub(crate) fn ring(&self) -> Result<Option<Arc<KeyRing>>, Failure> {
        ring(&self.files())
    }

    /// The keys of a verb that has nothing to do without.
    pub(crate) fn required(&self, wanted_by: &str) -> Result<Arc<KeyRing>, Failure> {
        self.ring()?.ok_or_else(|| {
            Failure::new(Kind::Usage, format!("{wanted_by} takes a key, and none was given"))
                .hint("--encryption-key-file FILE; graphstream key generate --output FILE makes a new key")
        })
    }
}

/// The keys in these files, the current one first; `None` without files.
pub(crate) fn ring(files: &[PathBuf]) -> Result<Option<Arc<KeyRing>>, Failure> {
    Ok(read_key_files(files).map_err(unreadable)?.map(Arc::new))
}

/// A database in a store, with these keys.
pub(crate) fn keyed(remote: Remote, keys: Option<Arc<KeyRing>>) -> Remote {
    match keys {
        Some(keys) => remote.with_keys(keys),
        None => remote,
    }
}

/// What a journal would be blamed for is the key file's here.
fn unreadable(error: journal::Error) -> Failure {
    match &error {
        journal::Error::Io { path, .. } => Failure::of(Kind::Usage, &error)
            .file(path)
            .hint("check --encryption-key-file and its permissions"),
        journal::Error::FileTooLarge { path, .. } => Failure::of(Kind::Usage, &error)
            .file(path)
            .hint("check --encryption-key-file: graphstream key generate writes one line of 95 bytes"),
        _ => error.into(),
    }
}
