//! Puts: bodies in one request or in parts, conditions, and what a failure says about the outcome.

use std::fs::File;
use std::io::Read;
use std::path::{Path as FilePath, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use graphstream_storage::{
    Error as StorageError, ErrorClass, Key, Operation, PutBody, PutMode, Result, Version,
};
use object_store::path::Path;
use object_store::{
    Error as Foreign, MultipartUpload, ObjectStoreExt, PutOptions, PutPayload, PutResult, UpdateVersion,
};

use crate::backend::ObjectStoreBackend;
use crate::error::{Error, Failing, is_key_conflict, is_local, says_exists};

/// Parts of one object under way at once.
const PARTS_MAX: usize = 4;

impl ObjectStoreBackend {
    pub(crate) async fn put_body(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        self.check_writable(Operation::Put)?;
        let path = self.path(Operation::Put, key)?;
        let failing = self.failing(Operation::Put, key.as_str());
        let put = match body {
            PutBody::Bytes(bytes) => self.put_whole(key, &path, bytes, mode).await?,
            PutBody::File(file) => {
                let mut source = Source::open(key, file).await?;
                if source.bytes <= self.options.part_bytes as u64 || mode != PutMode::Overwrite {
                    let bytes_max =
                        self.options.conditional_file_bytes_max.max(self.options.part_bytes as u64);
                    if source.bytes > bytes_max {
                        let error = Error::FileTooLarge { bytes: source.bytes, bytes_max };
                        return Err(failing.with(ErrorClass::Other, error));
                    }
                    let bytes = source.read(usize::try_from(source.bytes).unwrap_or(usize::MAX)).await?;
                    source.end().await?;
                    self.put_whole(key, &path, bytes, mode).await?
                } else {
                    self.put_in_parts(key, &path, source).await?
                }
            }
            _ => {
                return Err(StorageError::Unsupported {
                    backend: self.name.to_string(),
                    operation: Operation::Put,
                });
            }
        };
        self.version(failing, put.e_tag)
    }

    async fn put_whole(&self, key: &Key, path: &Path, bytes: Bytes, mode: PutMode) -> Result<PutResult> {
        let condition = match &mode {
            PutMode::Overwrite => object_store::PutMode::Overwrite,
            PutMode::Create => object_store::PutMode::Create,
            PutMode::Match(version) => {
                object_store::PutMode::Update(self.condition(key, path, version).await?)
            }
            _ => {
                return Err(StorageError::Unsupported {
                    backend: self.name.to_string(),
                    operation: Operation::Put,
                });
            }
        };
        let options = PutOptions { mode: condition, ..PutOptions::default() };
        match self.store.put_opts(path, PutPayload::from(bytes), options).await {
            Ok(put) => Ok(put),
            Err(error) => Err(self.put_error(key, path, mode, error).await),
        }
    }

    /// What the store compares. A generation is looked up: it is put only over the very object that had the etag.
    async fn condition(&self, key: &Key, path: &Path, version: &Version) -> Result<UpdateVersion> {
        let e_tag = Some(version.as_str().to_owned());
        if !self.options.match_takes_generation {
            return Ok(UpdateVersion { e_tag, version: None });
        }
        let failing = self.failing(Operation::Put, key.as_str());
        // Nothing has been sent that could change anything: a failure to look is not an unknown outcome.
        let meta = self.store.head(path).await.map_err(|error| match failing.fold_object(key, error) {
            StorageError::Backend { class: ErrorClass::TimeoutUnknown, source, .. } => {
                StorageError::backend(ErrorClass::Unavailable, Operation::Put, key, &self.name, source)
            }
            error => error,
        })?;
        let found = self.version(failing, meta.e_tag)?;
        if found != *version {
            return Err(mismatch(key, version, Some(found)));
        }
        Ok(UpdateVersion { e_tag, version: meta.version })
    }

    /// What a put that failed has done.
    async fn put_error(&self, key: &Key, path: &Path, mode: PutMode, error: Foreign) -> StorageError {
        let failing = self.failing(Operation::Put, key.as_str());
        match (error, mode) {
            (error @ Foreign::AlreadyExists { .. }, PutMode::Create) if is_local(&error) => {
                // An object, or a directory with objects.
                match self.store.list(Some(path)).next().await {
                    Some(Ok(_)) => StorageError::KeyConflict { key: key.clone() },
                    _ => StorageError::Exists { key: key.clone() },
                }
            }
            (error @ Foreign::AlreadyExists { .. }, PutMode::Create) if says_exists(&error) => {
                StorageError::Exists { key: key.clone() }
            }
            (source @ Foreign::AlreadyExists { .. }, PutMode::Create) => match self.store.head(path).await {
                // S3 answers a create that meets another one under way with 409: no object need be there.
                Err(Foreign::NotFound { .. }) => {
                    failing.with(ErrorClass::Unavailable, Error::Conflict { source })
                }
                _ => StorageError::Exists { key: key.clone() },
            },
            (Foreign::Precondition { .. }, PutMode::Create) => StorageError::Exists { key: key.clone() },
            (Foreign::Precondition { .. }, PutMode::Match(version)) => mismatch(key, &version, None),
            (error @ Foreign::NotFound { .. }, PutMode::Match(_)) => failing.fold_object(key, error),
            (source @ (Foreign::AlreadyExists { .. } | Foreign::Precondition { .. }), _) => {
                failing.with(ErrorClass::Unavailable, Error::Conflict { source })
            }
            (error, _) if is_key_conflict(&error) => StorageError::KeyConflict { key: key.clone() },
            (error, _) => failing.fold(error),
        }
    }

    async fn put_in_parts(&self, key: &Key, path: &Path, mut source: Source) -> Result<PutResult> {
        let failing = self.failing(Operation::Put, key.as_str());
        let started = self.store.put_multipart(path).await;
        // Before its end nothing of an upload in parts can be seen.
        let mut upload = started.map_err(|error| definite(failing, key, error))?;
        if let Err(error) = self.send_parts(key, upload.as_mut(), &mut source).await {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%key, store = %self.name, %error, "the parts of a failed upload may be left in the store");
            }
            return Err(error);
        }
        match upload.complete().await {
            Ok(put) => Ok(put),
            Err(error) => Err(self.put_error(key, path, PutMode::Overwrite, error).await),
        }
    }

    async fn send_parts(
        &self,
        key: &Key,
        upload: &mut dyn MultipartUpload,
        source: &mut Source,
    ) -> Result<()> {
        let failing = self.failing(Operation::Put, key.as_str());
        let mut sending = FuturesUnordered::new();
        loop {
            let part = source.read(self.options.part_bytes).await?;
            if part.is_empty() {
                break;
            }
            if sending.len() >= PARTS_MAX {
                sending.next().await.unwrap_or(Ok(())).map_err(|error| definite(failing, key, error))?;
            }
            sending.push(upload.put_part(PutPayload::from(part)));
        }
        source.end().await?;
        while let Some(sent) = sending.next().await {
            sent.map_err(|error| definite(failing, key, error))?;
        }
        Ok(())
    }
}

/// A failure before the object could be there.
fn definite(failing: Failing<'_>, key: &Key, error: Foreign) -> StorageError {
    if is_key_conflict(&error) {
        return StorageError::KeyConflict { key: key.clone() };
    }
    match failing.fold(error) {
        StorageError::Backend { class: ErrorClass::TimeoutUnknown, source, .. } => {
            StorageError::backend(ErrorClass::Unavailable, Operation::Put, key, failing.store, source)
        }
        error => error,
    }
}

fn mismatch(key: &Key, expected: &Version, found: Option<Version>) -> StorageError {
    StorageError::VersionMismatch { key: key.clone(), expected: expected.clone(), found }
}

/// The file of a put, read on blocking threads.
struct Source {
    key: Key,
    path: PathBuf,
    file: Option<File>,
    /// Its length when the put began.
    bytes: u64,
    read: u64,
}

impl Source {
    async fn open(key: &Key, path: PathBuf) -> Result<Self> {
        let opened = path.clone();
        let (file, bytes) = blocking(key, &path, move || {
            let file = File::open(opened)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        })
        .await?;
        Ok(Self { key: key.clone(), path, file: Some(file), bytes, read: 0 })
    }

    /// The next `bytes_max` bytes; fewer only at the end.
    async fn read(&mut self, bytes_max: usize) -> Result<Bytes> {
        let Some(mut file) = self.file.take() else { return Ok(Bytes::new()) };
        let (file, bytes) = blocking(&self.key, &self.path, move || {
            let mut bytes = Vec::new();
            Read::by_ref(&mut file).take(bytes_max as u64).read_to_end(&mut bytes)?;
            Ok((file, bytes))
        })
        .await?;
        self.file = Some(file);
        self.read = self.read.saturating_add(bytes.len() as u64);
        if self.read > self.bytes { Err(self.changed()) } else { Ok(bytes.into()) }
    }

    /// The file has given exactly what it had at first.
    async fn end(&mut self) -> Result<()> {
        self.read(1).await?;
        if self.read == self.bytes { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> StorageError {
        StorageError::SourceChanged { key: self.key.clone(), expected: self.bytes, found: self.read }
    }
}

async fn blocking<T: Send + 'static>(
    key: &Key,
    path: &FilePath,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| {
        StorageError::backend(
            ErrorClass::Unavailable,
            Operation::Put,
            key,
            path.display(),
            Error::Interrupted,
        )
    })?;
    done.map_err(|source| StorageError::Source { key: key.clone(), path: path.to_owned(), source })
}
