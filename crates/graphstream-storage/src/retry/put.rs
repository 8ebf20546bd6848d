//! Conditional puts: what a lost answer meant is found out by reading back.

use std::fs::File;
use std::io::{self, Read};

use super::{RetryBackend, kept, may_pass};
use crate::error::{Error, ErrorClass, Result};
use crate::{GetOptions, GetOutcome, Key, Operation, PutBody, PutMode, StorageBackend, Version};

/// What is under the key after an answer was lost.
enum Found {
    /// What was to be written.
    Ours(Version),
    /// Something else.
    Other(Version),
    /// No object.
    Nothing,
}

impl<B: StorageBackend> RetryBackend<B> {
    pub(super) async fn conditional_put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let mut attempts = self.policy.attempts();
        // The error that stands for an attempt which may have landed, or may still land.
        let mut lost: Option<Error> = None;
        loop {
            let error = match self.inner.put(key, body.clone(), mode.clone()).await {
                Ok(version) => return Ok(version),
                Err(error) => error,
            };
            let refused = matches!(
                error.class(),
                ErrorClass::Exists | ErrorClass::VersionMismatch | ErrorClass::NotFound
            );
            // Refused by an earlier attempt of this very call, perhaps. Without a lost one it is the plain answer.
            let settle = error.class().is_unknown() || (refused && lost.is_some());
            let passes = may_pass(&error);
            let after = error.retry_after();
            let failed = kept(lost, error);
            if settle {
                // Reading back is part of the same budget.
                let found = loop {
                    match self.read_back(key, &body).await {
                        Ok(found) => break found,
                        Err(unread) if may_pass(&unread) => {
                            if !self.pause(Operation::Put, &mut attempts, unread.retry_after()).await {
                                return Err(failed);
                            }
                        }
                        Err(_) => return Err(failed),
                    }
                };
                let found = match (found, &mode) {
                    (Found::Ours(version), _) => {
                        self.metrics.storage.resolved_puts.inc();
                        return Ok(version);
                    }
                    // Not there (yet): a repeat is refused if it lands before it.
                    (Found::Nothing, PutMode::Create) => None,
                    (Found::Other(found), PutMode::Match(expected)) if found == *expected => None,
                    (Found::Other(found), _) => Some(Some(found)),
                    (Found::Nothing, _) => Some(None),
                };
                if let Some(found) = found {
                    return Err(Error::Unresolved { key: key.clone(), found, source: Box::new(failed) });
                }
            } else if !passes {
                return Err(failed);
            }
            if !self.pause(Operation::Put, &mut attempts, after).await {
                return Err(failed);
            }
            lost = failed.class().is_unknown().then_some(failed);
        }
    }

    /// Compares the object with what was to be written, a chunk at a time.
    async fn read_back(&self, key: &Key, body: &PutBody) -> Result<Found> {
        let object = match self.inner.get(key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object,
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(Found::Nothing),
            // Nobody asked for a condition: not an answer.
            Ok(GetOutcome::NotModified) => {
                return Err(Error::NotFound { operation: Operation::Get, key: key.clone() });
            }
            Err(error) => return Err(error),
        };
        let mut wanted = Wanted::open(key, body)?;
        let version = object.meta.version;
        if object.range != (0..wanted.left) || object.meta.size != wanted.left {
            return Ok(Found::Other(version));
        }
        let mut stream = object.body;
        while let Some(chunk) = stream.next_chunk().await? {
            if !wanted.starts_with(&chunk).map_err(|source| source_error(key, body, source))? {
                return Ok(Found::Other(version));
            }
        }
        match wanted.left {
            0 => Ok(Found::Ours(version)),
            missing => {
                let expected = object.meta.size;
                Err(Error::BodyLength { key: key.clone(), expected, found: expected.saturating_sub(missing) })
            }
        }
    }
}

/// The bytes that should be there and have not been compared.
struct Wanted<'a> {
    source: Source<'a>,
    left: u64,
}

enum Source<'a> {
    Bytes(&'a [u8]),
    /// Blocks the task while it reads; an answer is not lost often enough for a thread of its own.
    File(File),
}

impl<'a> Wanted<'a> {
    fn open(key: &Key, body: &'a PutBody) -> Result<Self> {
        match body {
            PutBody::Bytes(bytes) => Ok(Self { left: bytes.len() as u64, source: Source::Bytes(bytes) }),
            PutBody::File(path) => {
                let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (left, file) = opened.map_err(|source| source_error(key, body, source))?;
                Ok(Self { left, source: Source::File(file) })
            }
        }
    }

    /// Takes as many bytes as `chunk` has and compares.
    fn starts_with(&mut self, chunk: &[u8]) -> io::Result<bool> {
        let length = chunk.len() as u64;
        if length > self.left {
            return Ok(false);
        }
        self.left -= length;
        match &mut self.source {
            Source::Bytes(bytes) => {
                let (taken, rest) = bytes.split_at_checked(chunk.len()).unwrap_or((bytes, &[]));
                *bytes = rest;
                Ok(taken == chunk)
            }
            Source::File(file) => {
                let mut buffer = [0; 8 << 10];
                for part in chunk.chunks(buffer.len()) {
                    let (taken, _) = buffer.split_at_mut(part.len());
                    file.read_exact(taken)?;
                    if taken != part {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

fn source_error(key: &Key, body: &PutBody, source: io::Error) -> Error {
    let path = match body {
        PutBody::File(path) => path.clone(),
        PutBody::Bytes(_) => std::path::PathBuf::new(),
    };
    Error::Source { key: key.clone(), path, source }
}
