//! Which databases a store holds.

use graphstream_storage::{ListRequest, Lister, StorageBackend};

use crate::error::{Attempt, Error, Result};
use crate::{DatabaseName, Layout};

/// The names of what lies directly below a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Databases {
    /// Directories with names that a database may have, ascending. Whether there is a head in one, its inventory tells.
    pub names: Vec<DatabaseName>,
    /// Directories with other names, as the store lists them.
    pub others: Vec<String>,
}

impl Databases {
    /// Lists the directories below `root`; an empty root is the store's own. One listing, folded by the store.
    ///
    /// # Errors
    /// [`Error::InvalidRoot`], [`Error::Storage`].
    pub async fn list(backend: &dyn StorageBackend, root: &str) -> Result<Self> {
        // Any database's layout checks the root.
        Layout::new(root, DatabaseName::new("x")?)?;
        let prefix = if root.is_empty() { String::new() } else { format!("{root}/") };
        let mut request = ListRequest::new(prefix.as_str());
        request.delimiter = true;
        let mut lister = Lister::new(backend, request);
        let mut found = Self::default();
        while let Some(page) = lister.next_page().await.map_err(Error::storage(Attempt::List, &prefix))? {
            for directory in page.prefixes {
                let name = directory.strip_prefix(&prefix).unwrap_or(&directory).trim_end_matches('/');
                match DatabaseName::new(name) {
                    Ok(name) => found.names.push(name),
                    Err(_) => found.others.push(name.to_owned()),
                }
            }
        }
        Ok(found)
    }
}
