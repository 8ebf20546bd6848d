//! The keys of encrypted segments: named by file, on the command line or in the environment, never given themselves.

use std::path::PathBuf;
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::journal::{self, read_key_files};

use crate::failure::{Failure, Kind};

const VARIABLE: &str = "GRAPHSTREAM_ENCRYPTION_KEY_FILE";

/// The flag that every verb takes that reads or writes segments.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// A file with a key of encrypted segments (graphstream key generate); several times: the first key is the current one, which new
    /// segments are encrypted with [env: GRAPHSTREAM_ENCRYPTION_KEY_FILE=, several with : between them]
    #[arg(long = "encryption-key-file", value_name = "FILE")]
    encryption_key_files: Vec<PathBuf>,
}

impl KeyArgs {
    /// The keys, if any file is named. The environment counts only without the flag.
    pub(crate) fn ring(&self) -> Result<Option<Arc<KeyRing>>, Failure> {
        let mut files = self.encryption_key_files.clone();
        if files.is_empty()
            && let Some(named) = std::env::var_os(VARIABLE)
        {
            files = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
        }
        Ok(read_key_files(&files).map_err(unreadable)?.map(Arc::new))
    }

    /// The keys of a verb that has nothing to do without.
    pub(crate) fn required(&self, wanted_by: &str) -> Result<Arc<KeyRing>, Failure> {
        self.ring()?.ok_or_else(|| {
            Failure::new(Kind::Usage, format!("{wanted_by} takes a key, and none was given"))
                .hint("--encryption-key-file FILE; graphstream key generate --output FILE makes a new key")
        })
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
