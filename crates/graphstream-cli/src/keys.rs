//! The keys of encrypted segments: named by file, on the command line or in the environment, never given themselves.

use std::path::PathBuf;
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::journal::{self, read_key_files};
use graphstream::remote::Remote;

use crate::failure::{Failure, Kind};

pub(crate) const VARIABLE: &str = "GRAPHSTREAM_ENCRYPTION_KEY_FILE";
pub(crate) const FLAG: &str = "--encryption-key-file";
pub(crate) const MASTER_VARIABLE: &str = "GRAPHSTREAM_ENCRYPTION_MASTER_KEY_FILE";
pub(crate) const MASTER_FLAG: &str = "--encryption-master-key-file";

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
        files(&self.encryption_key_files, VARIABLE)
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

/// The flags of verbs that open a database in a store.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct StoreKeyArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// A file with the master key of the keys in the store's keys.json (graphstream key wrap), which are taken then, too; several: one of them
    /// is it [env: GRAPHSTREAM_ENCRYPTION_MASTER_KEY_FILE=, several with : between them]
    #[arg(long = "encryption-master-key-file", value_name = "FILE")]
    encryption_master_key_files: Vec<PathBuf>,
}

impl StoreKeyArgs {
    /// The files that are named. The environment counts only without the flag.
    pub(crate) fn files(&self) -> KeyFiles {
        KeyFiles {
            data: self.keys.files(),
            masters: files(&self.encryption_master_key_files, MASTER_VARIABLE),
        }
    }

    /// The keys in files alone: for what is local.
    pub(crate) fn ring(&self) -> Result<Option<Arc<KeyRing>>, Failure> {
        self.keys.ring()
    }

    /// A database in a store, with the keys that it takes.
    pub(crate) async fn give(&self, remote: Remote) -> Result<Remote, Failure> {
        self.files().give(remote).await
    }
}

/// Where the keys of a database are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyFiles {
    /// Files with data keys, the current one first.
    pub(crate) data: Vec<PathBuf>,
    /// Files with the master key of `keys.json`, or with several of which one is it.
    pub(crate) masters: Vec<PathBuf>,
}

impl KeyFiles {
    /// A database in a store, with the keys that it takes: those of the files, and behind them those of `keys.json`.
    pub(crate) async fn give(&self, remote: Remote) -> Result<Remote, Failure> {
        let ring = read_key_files(&self.data).map_err(unreadable)?;
        let Some(masters) = read_key_files(&self.masters).map_err(unreadable)? else {
            return Ok(keyed(remote, ring.map(Arc::new)));
        };
        let Some(stored) = remote.read_keys(&masters).await? else {
            let database = remote.layout().database();
            return Err(Failure::new(Kind::Usage, format!("the store has no keys.json for {database}"))
                .hint("graphstream key wrap makes it; --encryption-key-file FILE takes a key without it"));
        };
        let ring = match ring {
            Some(ring) => ring.with_all_of(stored.ring),
            None => stored.ring,
        };
        Ok(keyed(remote, Some(Arc::new(ring))))
    }
}

fn files(flags: &[PathBuf], variable: &str) -> Vec<PathBuf> {
    if flags.is_empty()
        && let Some(named) = std::env::var_os(variable)
    {
        return std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    flags.to_vec()
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
