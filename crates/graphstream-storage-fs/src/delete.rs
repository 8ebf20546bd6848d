//! Deletes.

use std::io;

use graphstream_storage::{self as storage, Key};

use crate::directory::Directory;
use crate::error::{Error, Failure, FileKind, Result, Step};
use crate::store::{Store, split};

impl Store {
    pub(crate) fn delete(&self, key: &Key) -> Result<(), Failure> {
        if let Some(parent) = self.unlink(key)? {
            self.sync_unlinked(&parent)?;
            self.prune(key);
        }
        Ok(())
    }

    /// Deletes many objects; each directory is synced once, after the last of them.
    pub(crate) fn delete_many(&self, keys: &[Key]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        let mut parents: Vec<((u64, u64), Directory, Vec<usize>)> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let unlinked = self.unlink(key);
            outcomes.push(match unlinked {
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
                Ok(Some(parent)) => match parent.id() {
                    Ok(id) => {
                        match parents.iter_mut().find(|(known, ..)| *known == id) {
                            Some((_, _, indexes)) => indexes.push(index),
                            None => parents.push((id, parent, vec![index])),
                        }
                        Ok(())
                    }
                    Err(error) => Err(Error::io(Step::SyncUnlinked, parent.path())(error).into()),
                },
            });
        }
        for (_, parent, indexes) in parents {
            for index in indexes {
                // An error has to be told for every key, and errors are not cloned: sync again, it is the rare case.
                let synced = self.sync_unlinked(&parent);
                let failed = synced.is_err();
                if let (Err(error), Some(outcome)) = (synced, outcomes.get_mut(index)) {
                    *outcome = Err(error.into());
                }
                if !failed {
                    break;
                }
            }
        }
        for key in keys {
            self.prune(key);
        }
        outcomes
    }

    fn sync_unlinked(&self, parent: &Directory) -> Result<()> {
        self.at(Step::SyncUnlinked, parent.path())?;
        parent.sync().map_err(Error::io(Step::SyncUnlinked, parent.path()))
    }

    /// Removes the file; returns the directory that has to be synced, `None` if there was no object.
    fn unlink(&self, key: &Key) -> Result<Option<Directory>, Failure> {
        self.check_writable()?;
        let (parents, name) = split(key)?;
        // Opened before anything else: a store that is gone is not one without this object.
        let control = self.control()?;
        let Some(parent) = self.root()?.descend(parents)? else { return Ok(None) };
        let path = parent.path_of(&name);
        // Against a compare-and-swap between its comparison and its rename.
        let held = self.lock(&control)?;
        match parent.entry(&name)? {
            None => return Ok(None),
            Some(entry) if entry.kind == FileKind::Directory => return Ok(None),
            Some(entry) if entry.kind == FileKind::File => {}
            Some(entry) => return Err(Error::NotAnObject { path, kind: entry.kind }.into()),
        }
        self.at(Step::Unlink, &path)?;
        let removed = parent.remove_file(&name);
        drop(held);
        match removed {
            Ok(()) => Ok(Some(parent)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(Step::Unlink, path)(error).into()),
        }
    }
}

/// Pairs the keys with their outcomes, in the trait's terms.
pub(crate) fn pair(
    keys: Vec<Key>,
    outcomes: Vec<Result<(), Failure>>,
    fold: impl Fn(Failure, &Key) -> storage::Error,
) -> Vec<(Key, storage::Result<()>)> {
    let paired = keys.into_iter().zip(outcomes);
    paired
        .map(|(key, outcome)| {
            let outcome = outcome.map_err(|failure| fold(failure, &key));
            (key, outcome)
        })
        .collect()
}
