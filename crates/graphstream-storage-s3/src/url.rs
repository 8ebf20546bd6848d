//! `s3:` URLs.

use std::sync::Arc;

use graphstream_storage::{
    Access, ErrorClass, Key, OpenError, OpenFuture, PrefixBackend, StorageBackend, StoreUrl,
};

use crate::config::{Credentials, Encryption, S3Config};
use crate::{Error, S3Backend};

const EXPECTED: &str = "a bucket and perhaps a prefix: s3://bucket/prefix";
const TRUE_OR_FALSE: &str = "true or false";

impl S3Config {
    /// What `s3://bucket/prefix?region=..&endpoint=..&ca_file=..&path_style=..&profile=..&anonymous=..&sse=..&kms_key_id=..&storage_class=..
    /// &checksums=..&conditional_puts=..` says, and the prefix. `sse` is `s3` or `kms`; keys and secrets are never in URLs.
    ///
    /// # Errors
    /// Any but [`OpenError::Store`].
    pub fn from_url(url: &StoreUrl) -> Result<(Self, Option<Key>), OpenError> {
        let bucket =
            url.authority().filter(|bucket| !bucket.is_empty()).ok_or_else(|| url.location(EXPECTED))?;
        let path = url.path()?;
        let prefix = match path.trim_start_matches('/').trim_end_matches('/') {
            "" => None,
            prefix => Some(Key::new(prefix).map_err(|_| url.location(EXPECTED))?),
        };
        let invalid =
            |name, expected| OpenError::InvalidParameter { scheme: url.scheme().to_owned(), name, expected };
        let mut config = Self::new(bucket);
        let mut parameters = url.parameters()?;
        config.region = parameters.take("region");
        config.endpoint = parameters.take("endpoint");
        config.ca_file = parameters.take("ca_file").map(Into::into);
        config.path_style = parameters.take_parsed("path_style", TRUE_OR_FALSE)?;
        let profile = parameters.take("profile");
        let anonymous = parameters.take_parsed("anonymous", TRUE_OR_FALSE)?.unwrap_or(false);
        config.credentials = match (profile, anonymous) {
            (None, false) => Credentials::Ambient,
            (Some(profile), false) => Credentials::Profile(profile),
            (None, true) => Credentials::Anonymous,
            (Some(_), true) => return Err(invalid("anonymous", "false beside a profile")),
        };
        let kms_key_id = parameters.take("kms_key_id");
        config.encryption = match (parameters.take("sse").as_deref(), kms_key_id) {
            (None, None) => Encryption::Bucket,
            (Some("s3"), None) => Encryption::Store,
            (Some("kms"), key_id) => Encryption::Kms(key_id),
            (None | Some("s3"), Some(_)) => return Err(invalid("kms_key_id", "a key with sse=kms only")),
            (Some(_), _) => return Err(invalid("sse", "s3 or kms")),
        };
        config.storage_class = parameters.take("storage_class");
        if let Some(checksums) = parameters.take_parsed("checksums", TRUE_OR_FALSE)? {
            config.checksums = checksums;
        }
        if let Some(conditional) = parameters.take_parsed("conditional_puts", TRUE_OR_FALSE)? {
            config.conditional_puts = conditional;
        }
        parameters.end()?;
        Ok((config, prefix))
    }
}

/// The opener of `s3://bucket/prefix` for a [`StoreRegistry`](graphstream_storage::StoreRegistry); parameters as in
/// [`S3Config::from_url`]. The store is not asked: a bucket that is not there shows at the first call. The future needs a tokio runtime.
///
/// # Errors
/// As [`S3Config::from_url`]; the future as [`S3Backend::open`].
pub fn open_url(url: &StoreUrl, _access: Access) -> Result<OpenFuture, OpenError> {
    let (config, prefix) = S3Config::from_url(url)?;
    let store = url.to_string();
    Ok(Box::pin(async move {
        let failed = |error: Error| OpenError::store(ErrorClass::Other, &store, error);
        let backend = S3Backend::open(config).await.map_err(failed)?;
        Ok(match prefix {
            Some(prefix) => Arc::new(PrefixBackend::new(backend, prefix)) as Arc<dyn StorageBackend>,
            None => Arc::new(backend),
        })
    }))
}
