//! `file:` URLs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use graphstream_storage::{Access, ErrorClass, OpenError, OpenFuture, StorageBackend, StoreUrl};

use crate::error::Error;
use crate::{FsBackend, FsOptions};

const EXPECTED: &str = "an absolute path: file:///srv/store";

/// The opener of `file:///path` for a [`StoreRegistry`](graphstream_storage::StoreRegistry). To write, a missing directory is made;
/// to read, nothing is. There are no parameters. The future needs a tokio runtime.
///
/// # Errors
/// [`OpenError::Location`] unless the path is absolute and on this machine; then as [`FsBackend::open`].
pub fn open_url(url: &StoreUrl, access: Access) -> Result<OpenFuture, OpenError> {
    let path = PathBuf::from(OsStr::from_bytes(&url.path_bytes()));
    let here = url.authority().is_some_and(|host| host.is_empty() || host == "localhost");
    if !here || !path.is_absolute() || path.as_os_str().as_bytes().contains(&0) {
        return Err(url.location(EXPECTED));
    }
    url.parameters()?.end()?;
    let read_only = access == Access::Read;
    let options = FsOptions::default().with_read_only(read_only).with_create_root(!read_only);
    let store = url.to_string();
    Ok(Box::pin(async move {
        let failed = |class: ErrorClass, error: Error| OpenError::store(class, &store, error);
        let runtime =
            tokio::runtime::Handle::try_current().map_err(|_| failed(ErrorClass::Other, Error::NoRuntime))?;
        let opened = runtime.spawn_blocking(move || FsBackend::open(path, options)).await;
        let opened = opened.unwrap_or(Err(Error::Interrupted));
        opened
            .map(|backend| Arc::new(backend) as Arc<dyn StorageBackend>)
            .map_err(|error| failed(error.class(), error))
    }))
}
