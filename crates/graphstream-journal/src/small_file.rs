//! Small files that are read and replaced as a whole.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::fs::{Access, Fs, FsFile};
use crate::names;

/// Larger than any of these files gets; a hostile one is not read.
const BYTES_MAX: u64 = 64 << 10;

/// Reads a JSON file; `None` when it does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(fs: &dyn Fs, path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read(fs, path)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes)
        .map_err(|source| Error::InvalidJson { path: path.to_path_buf(), source })?;
    Ok(Some(value))
}

/// Reads a whole file of at most [`BYTES_MAX`]; `None` when it does not exist.
pub(crate) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match fs.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("opening", path)(error)),
    };
    let bytes = file.size().map_err(Error::io("reading the length of", path))?;
    if bytes > BYTES_MAX {
        return Err(Error::FileTooLarge { path: path.to_path_buf(), bytes, max: BYTES_MAX });
    }
    let mut content = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let read = read_full(&*file, &mut content, 0).map_err(Error::io("reading", path))?;
    content.truncate(read);
    Ok(Some(content))
}

/// Replaces a file: temporary name, sync, rename, sync of the directory. After a crash the old or the new one is there.
pub(crate) fn replace_json<T: Serialize>(fs: &dyn Fs, dir: &Path, name: &str, value: &T) -> Result<()> {
    let path = dir.join(name);
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::InvalidJson { path: path.clone(), source })?;
    bytes.push(b'\n');
    let temp = dir.join(names::temp_name(name));
    let written = write_temp(fs, &temp, &bytes);
    if let Err(error) = written {
        // Best effort: a stray temporary file is swept at the next open.
        let _ = fs.remove_file(&temp);
        return Err(error);
    }
    fs.rename(&temp, &path).map_err(Error::io("renaming into", &path))?;
    fs.sync_dir(dir).map_err(Error::io("syncing", dir))
}

fn write_temp(fs: &dyn Fs, temp: &Path, bytes: &[u8]) -> Result<()> {
    let file = create_over(fs, temp)?;
    write_full(&*file, bytes, 0).map_err(Error::io("writing", temp))?;
    file.sync_all().map_err(Error::io("syncing", temp))
}

/// Creates a temporary file, in place of one that a crash has left.
pub(crate) fn create_over(fs: &dyn Fs, temp: &Path) -> Result<std::sync::Arc<dyn FsFile>> {
    match fs.open(temp, Access::CreateNew) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove_file(temp).map_err(Error::io("removing", temp))?;
            fs.open(temp, Access::CreateNew).map_err(Error::io("creating", temp))
        }
        Err(error) => Err(Error::io("creating", temp)(error)),
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_full(file: &dyn FsFile, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(read) => {
                total += read;
                offset += read as u64;
                buffer = buffer.get_mut(read..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// Writes everything.
pub(crate) fn write_full(file: &dyn FsFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                bytes = bytes.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
