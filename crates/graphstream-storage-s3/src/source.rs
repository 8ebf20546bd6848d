//! What is put: bytes that are here, or a file of which parts are read when they are sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use graphstream_storage::{self as storage, Key, PutBody};

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Bytes(Bytes),
    File { path: PathBuf, file: Arc<File>, length: u64, buffers: Buffers },
}

/// Memory for parts, given back when the request that sends them is done. A part would else be freed by whichever thread is last, and
/// the allocator keeps some of that for each thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.buffer));
    }
}

impl Source {
    pub(crate) async fn open(key: &Key, body: PutBody) -> storage::Result<Self> {
        let path = match body {
            PutBody::Bytes(bytes) => return Ok(Self::Bytes(bytes)),
            PutBody::File(path) => path,
            _ => return Err(unreadable(key, PathBuf::new(), io::ErrorKind::Unsupported.into())),
        };
        let opened = {
            let path = path.clone();
            blocking(move || {
                // Opening a FIFO would wait for somebody to write to it.
                if !std::fs::metadata(&path)?.is_file() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
                }
                let file = File::open(path)?;
                Ok((file.metadata()?.len(), file))
            })
        };
        match opened.await {
            Ok((length, file)) => {
                Ok(Self::File { path, file: Arc::new(file), length, buffers: Buffers::default() })
            }
            Err(source) => Err(unreadable(key, path, source)),
        }
    }

    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// These bytes of it, in memory. The last of them also finds out whether the file has grown.
    pub(crate) async fn read(&self, key: &Key, range: Range<u64>) -> storage::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let bound = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(bound(range.start)..bound(range.end)))
            }
            Self::File { path, file, length, buffers } => {
                let (file, whole, home) = (Arc::clone(file), *length, buffers.clone());
                let last = range.end == whole;
                let read = blocking(move || {
                    let (buffer, found) = read_at(&file, range, home)?;
                    let found = if last && found == whole { file.metadata()?.len() } else { found };
                    Ok((buffer, found, last && found != whole))
                });
                let (buffer, found, resized) =
                    read.await.map_err(|source| unreadable(key, path.clone(), source))?;
                match buffer.filter(|_| !resized) {
                    Some(buffer) => Ok(buffer),
                    None => Err(storage::Error::SourceChanged { key: key.clone(), expected: whole, found }),
                }
            }
        }
    }
}

/// The bytes, and where reading stopped; `None` when the file ended before.
fn read_at(file: &File, range: Range<u64>, home: Buffers) -> io::Result<(Option<Bytes>, u64)> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut lent = Lent { buffer: home.take(), home };
    lent.buffer.resize(length, 0);
    let mut at = range.start;
    let mut rest = lent.buffer.as_mut_slice();
    while !rest.is_empty() {
        match file.read_at(rest, at) {
            Ok(0) => return Ok((None, at)),
            Ok(count) => {
                at = at.saturating_add(count as u64);
                rest = rest.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((Some(Bytes::from_owner(lent)), at))
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

fn unreadable(key: &Key, path: PathBuf, source: io::Error) -> storage::Error {
    storage::Error::Source { key: key.clone(), path, source }
}
