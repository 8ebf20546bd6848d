//! The archive: the files of a snapshot as a tar, compressed, cut into data objects; and back.
//!
//! ```text
//!   files ──► tar (GNU, modes and times left out) ──► zstd ──► part 0 │ part 1 │ part 2 ...
//!   parts ──► zstd ──► what the manifest says must come, byte for byte: a header is compared, never interpreted
//! ```
//! Any tar reads it (`cat part-* | zstd -d | tar x`). Reading it here takes no tar: the manifest lists paths and sizes, from which each
//! header follows; an archive with any other header is damaged. So links, devices, long names and sizes of a hostile archive mean nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use graphstream_remote::{SnapshotFile, SnapshotManifest, SnapshotPath};
use sha2::{Digest, Sha256};

use super::opening;
use super::source::{Item, place_of};
use crate::error::SnapshotDamage;
use crate::{Error, Result};

const BLOCK_BYTES: u64 = 512;
const END_BYTES: u64 = 2 * BLOCK_BYTES;
const BUFFER_BYTES: usize = 128 << 10;
/// The window of level 3 is 2 MiB; what asks for more than 16 MiB was not written here.
const WINDOW_LOG_MAX: u32 = 24;
const LEVEL: i32 = 3;

/// What an archive turned out to hold.
#[derive(Debug)]
pub(super) struct Archived {
    pub(super) directories: Vec<SnapshotPath>,
    pub(super) files: Vec<SnapshotFile>,
    pub(super) bytes: u64,
}

/// The header of a file or directory, with the blocks of a long name if it has one.
fn header(path: &SnapshotPath, size: Option<u64>) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    let (kind, mode) = match size {
        Some(_) => (tar::EntryType::Regular, 0o600),
        None => (tar::EntryType::Directory, 0o700),
    };
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size.unwrap_or(0));
    let mut blocks = tar::Builder::new(Vec::new());
    // The data come afterwards; of none, nothing is appended here.
    blocks.append_data(&mut header, path.as_str(), io::empty())?;
    Ok(blocks.get_ref().clone())
}

fn padding(size: u64) -> u64 {
    (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES
}

/// Writes the archive of `items` into `out`, compressed, and gives `out` back. `read` hears of bytes that were read. Blocks.
pub(super) fn write<W: Write>(items: &[Item], out: W, mut read: impl FnMut(u64)) -> Result<(Archived, W)> {
    let unwritable =
        |source| Error::SnapshotFile { attempted: "archiving into", path: "the store".into(), source };
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(unwritable)?;
    encoder.include_checksum(true).map_err(unwritable)?;
    let mut archived = Archived { directories: Vec::new(), files: Vec::new(), bytes: END_BYTES };
    let mut buffer = vec![0; BUFFER_BYTES];
    for item in items {
        let head = header(&item.path, item.size).map_err(unwritable)?;
        encoder.write_all(&head).map_err(unwritable)?;
        archived.bytes = archived.bytes.saturating_add(head.len() as u64);
        let Some(size) = item.size else {
            archived.directories.push(item.path.clone());
            continue;
        };
        let unreadable =
            |source| Error::SnapshotFile { attempted: "reading", path: item.file.clone(), source };
        let mut file = File::open(&item.file).map_err(unreadable)?;
        let (mut sha256, mut found) = (Sha256::new(), 0_u64);
        loop {
            let count = file.read(&mut buffer).map_err(unreadable)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            found = found.saturating_add(count as u64);
            if found > size {
                break;
            }
            sha256.update(bytes);
            encoder.write_all(bytes).map_err(unwritable)?;
            read(count as u64);
        }
        if found != size {
            return Err(Error::SnapshotSource {
                path: item.file.clone(),
                found: "a file that changes while it is read: its writers were not paused",
            });
        }
        let pad = padding(size);
        zeros(&mut encoder, pad).map_err(unwritable)?;
        archived.bytes = archived.bytes.saturating_add(size).saturating_add(pad);
        let sha256 = sha256.finalize().into();
        archived.files.push(SnapshotFile { path: item.path.clone(), size, sha256 });
    }
    zeros(&mut encoder, END_BYTES).map_err(unwritable)?;
    let mut out = encoder.finish().map_err(unwritable)?;
    out.flush().map_err(unwritable)?;
    Ok((archived, out))
}

fn zeros(out: &mut impl Write, mut count: u64) -> io::Result<()> {
    const ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
    while count > 0 {
        let step = usize::try_from(count).unwrap_or(usize::MAX).min(ZEROS.len());
        out.write_all(ZEROS.get(..step).unwrap_or(&ZEROS))?;
        count -= step as u64;
    }
    Ok(())
}

/// Reads an archive that must be exactly what the manifest says. With `database`, its files are made there: nothing of them may
/// exist yet. `read` hears of bytes that were unpacked. What was made is worthless after an error. Blocks.
pub(crate) fn read(
    compressed: impl Read,
    manifest: &SnapshotManifest,
    database: Option<&Path>,
    mut read: impl FnMut(u64),
) -> Result<()> {
    let name = manifest.name()?;
    let damaged = |source| Error::SnapshotDamaged { snapshot: name, source };
    let undecodable = |source: io::Error| opening::damage(name, source);
    let mut decoder = zstd::Decoder::new(compressed).map_err(undecodable)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(undecodable)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let directories = manifest.directories.iter().map(|path| (path, None));
    let files = manifest.files.iter().map(|file| (&file.path, Some(file)));
    for (path, file) in in_order(directories, files) {
        let expected = header(path, file.map(|file| file.size)).map_err(undecodable)?;
        let mut found = vec![0; expected.len()];
        decoder.read_exact(&mut found).map_err(undecodable)?;
        if found != expected {
            return Err(damaged(SnapshotDamage::Header { path: path.to_string() }));
        }
        let place = database.map(|database| place_of(path, database));
        let unwritable = |source| Error::SnapshotFile {
            attempted: "writing",
            path: place.clone().unwrap_or_default(),
            source,
        };
        let Some(file) = file else {
            if let Some(place) = &place {
                std::fs::create_dir(place).map_err(unwritable)?;
            }
            continue;
        };
        let mut out = match &place {
            Some(place) => {
                if let Some(parent) = place.parent() {
                    std::fs::create_dir_all(parent).map_err(unwritable)?;
                }
                Some(File::create_new(place).map_err(unwritable)?)
            }
            None => None,
        };
        let (mut sha256, mut left) = (Sha256::new(), file.size);
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let Some(part) = buffer.get_mut(..step) else { break };
            decoder.read_exact(part).map_err(undecodable)?;
            sha256.update(&*part);
            if let Some(out) = &mut out {
                out.write_all(part).map_err(unwritable)?;
            }
            left -= step as u64;
            read(step as u64);
        }
        let found: [u8; 32] = sha256.finalize().into();
        if found != file.sha256 {
            return Err(damaged(SnapshotDamage::File {
                path: path.to_string(),
                expected: hex::encode(file.sha256),
                found: hex::encode(found),
            }));
        }
        if let Some(out) = out {
            out.sync_all().map_err(unwritable)?;
        }
        zeros_follow(&mut decoder, padding(file.size)).map_err(undecodable)?;
    }
    zeros_follow(&mut decoder, END_BYTES).map_err(undecodable)?;
    let mut more = [0];
    if decoder.read(&mut more).map_err(undecodable)? > 0 {
        return Err(damaged(SnapshotDamage::Trailing));
    }
    Ok(())
}

/// Directories and files in the order in which the archive was written: that of the walk, directories before what stands in them.
fn in_order<'m>(
    directories: impl Iterator<Item = (&'m SnapshotPath, Option<&'m SnapshotFile>)>,
    files: impl Iterator<Item = (&'m SnapshotPath, Option<&'m SnapshotFile>)>,
) -> Vec<(&'m SnapshotPath, Option<&'m SnapshotFile>)> {
    let mut all: Vec<_> = directories.chain(files).collect();
    // A walk in order of names is the order of the paths, name by name.
    all.sort_by(|(a, _), (b, _)| a.as_str().split('/').cmp(b.as_str().split('/')));
    all
}

fn zeros_follow(decoder: &mut impl Read, count: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
    decoder.read_exact(&mut bytes)?;
    if bytes.iter().any(|byte| *byte != 0) {
        return Err(io::Error::other("padding that is not zero"));
    }
    Ok(())
}
