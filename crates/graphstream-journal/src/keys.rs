//! Key files: data keys as people and service managers keep them, one line in a file that nobody else can read.
//!
//! A file whose group or others have any right to it is refused, and so is one of another user: whoever can write it decides what
//! the journal is encrypted with. Links are followed, as secrets are often mounted through them; what counts is the file behind.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use graphstream_format::encryption::{DATA_KEY_LEN, DataKey, EncryptWith, KeyRing};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::error::{Error, Result};

/// The rights that a key file may give: reading and writing, to its owner.
const MODE: u32 = 0o600;
/// The rights that are refused.
const MODE_REFUSED: u32 = 0o077;
/// A key's line takes 95 bytes; a longer file is none.
const BYTES_MAX: u64 = 256;

/// A fresh data key.
///
/// # Errors
/// [`Error::Entropy`] when the source fails.
pub fn generate_key(entropy: &dyn Entropy) -> Result<DataKey> {
    Ok(DataKey::taking(&mut *draw::<DATA_KEY_LEN>(entropy)?))
}

/// What one new segment is encrypted with: this key, and random bytes that serve no other segment.
///
/// # Errors
/// [`Error::Entropy`] when the source fails.
pub fn encrypt_with<'k>(key: &'k DataKey, entropy: &dyn Entropy) -> Result<EncryptWith<'k>> {
    Ok(EncryptWith::new(key, *draw(entropy)?))
}

/// So many random bytes, for a key or for what is mixed into one.
fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    for part in bytes.chunks_mut(16) {
        let drawn = Zeroizing::new(entropy.random().map_err(|source| Error::Entropy { source })?);
        part.iter_mut().zip(drawn.iter()).for_each(|(byte, drawn)| *byte = *drawn);
    }
    Ok(bytes)
}

/// Reads one key file.
///
/// # Errors
/// [`Error::KeyFileExposed`] if others than its owner have rights to it; [`Error::KeyFileOwner`] if it is another user's;
/// [`Error::InvalidKeyFile`] if it does not hold a key; [`Error::Io`]. No message contains any of its content but the key's id.
pub fn read_key_file(path: &Path) -> Result<DataKey> {
    // NONBLOCK: opening a pipe must not wait for its other end.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(Error::io("opening the key file", path))?;
    let meta = file.metadata().map_err(Error::io("reading the rights of", path))?;
    if !meta.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(Error::io("reading the key file", path)(source));
    }
    let mode = meta.mode() & 0o7777;
    if mode & MODE_REFUSED != 0 {
        return Err(Error::KeyFileExposed { path: path.to_path_buf(), mode });
    }
    let current = rustix::process::geteuid().as_raw();
    if meta.uid() != current {
        return Err(Error::KeyFileOwner { path: path.to_path_buf(), owner: meta.uid(), current });
    }
    if meta.len() > BYTES_MAX {
        return Err(Error::FileTooLarge { path: path.to_path_buf(), bytes: meta.len(), max: BYTES_MAX });
    }
    // All of the buffer at once: one that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(BYTES_MAX as usize + 1));
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(Error::io("reading the key file", path))?;
    DataKey::from_line(&text)
        .map_err(|source| Error::InvalidKeyFile { path: path.to_path_buf(), source: Box::new(source) })
}

/// Reads key files into a ring: the first holds the current key, the others older ones. `None` without files.
///
/// # Errors
/// As [`read_key_file`].
pub fn read_key_files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Option<KeyRing>> {
    let mut ring: Option<KeyRing> = None;
    for path in paths {
        let key = read_key_file(path.as_ref())?;
        ring = Some(match ring {
            None => KeyRing::new(key),
            Some(ring) => ring.with_older(key),
        });
    }
    Ok(ring)
}

/// Writes a key into a new file, for its owner alone, and syncs file and directory. Nothing that exists is replaced.
///
/// # Errors
/// [`Error::Io`], also when something stands there already.
pub fn create_key_file(path: &Path, key: &DataKey) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)
        .map_err(Error::io("creating the key file", path))?;
    let written = file.write_all(key.to_line().as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key helps nobody, and would stand in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        return Err(Error::io("writing the key file", path)(error));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::io("syncing", parent))
}
