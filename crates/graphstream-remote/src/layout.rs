//! Where a database's objects are: `{root}/{database}/...`.

use graphstream_storage::Key;

use crate::error::{Error, Result};
use crate::{DatabaseName, ObjectName};

/// The longest key below a database that we write: a snapshot's data object.
const RELATIVE_BYTES_MAX: usize = 320;

/// Turns names into keys and keys into names, for one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    database: DatabaseName,
    directory: Key,
}

impl Layout {
    /// The layout of `database` under `root`; an empty root is the store's own root.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`] when the root breaks the grammar of keys or leaves no room for our names.
    pub fn new(root: &str, database: DatabaseName) -> Result<Self> {
        let text = if root.is_empty() { database.to_string() } else { format!("{root}/{database}") };
        let invalid = |source| Error::InvalidRoot { source };
        let directory = Key::new(text).map_err(invalid)?;
        // Segments of a key are capped too, so the probe is made of short ones.
        directory.join(&vec!["p"; RELATIVE_BYTES_MAX / 2].join("/")).map_err(invalid)?;
        Ok(Self { database, directory })
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &DatabaseName {
        &self.database
    }

    /// The key of an object.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`] for a snapshot object whose name breaks the grammar of keys.
    pub fn key(&self, name: &ObjectName) -> Result<Key> {
        self.directory.join(&name.to_string()).map_err(|source| Error::InvalidRoot { source })
    }

    /// The key of the object on which leaders try out conditional puts. It says nothing and is never read.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], which a constructed layout does not meet.
    pub fn probe_key(&self) -> Result<Key> {
        self.directory.join("probe").map_err(|source| Error::InvalidRoot { source })
    }

    /// The prefix of all keys that start with `relative`, for listings.
    #[must_use]
    pub fn prefix(&self, relative: &str) -> String {
        format!("{}{relative}", self.directory.as_prefix())
    }

    /// The part of a key below the database, unparsed; `None` for a key outside.
    #[must_use]
    pub fn relative<'k>(&self, key: &'k Key) -> Option<&'k str> {
        key.as_str().strip_prefix(self.directory.as_str())?.strip_prefix('/')
    }

    /// What a key names; `None` for a key outside or one that the layout does not know.
    #[must_use]
    pub fn parse(&self, key: &Key) -> Option<ObjectName> {
        ObjectName::parse(self.relative(key)?)
    }
}
