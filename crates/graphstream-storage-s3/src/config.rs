//! Where the objects are and how they are to be written: plain data.

use std::path::PathBuf;

use crate::{CustomerKey, StaticCredentials};

/// Where the credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Where AWS's tools find them: environment, profile, web identity, container, instance metadata; temporary ones are renewed.
    /// Without the feature `ambient-credentials` the environment only.
    #[default]
    Ambient,
    /// This profile of AWS's configuration files. Needs the feature `ambient-credentials`.
    Profile(String),
    /// These.
    Static(StaticCredentials),
    /// None: requests are not signed.
    Anonymous,
}

/// How the store is to encrypt what is put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// SSE-S3: with keys of the store.
    Store,
    /// SSE-KMS: with a key of the key service; `None` for the account's default.
    Kms(Option<String>),
    /// SSE-C: with this key, which every read needs too. Only over `https:` endpoints, except on this machine.
    Customer(CustomerKey),
}

/// A bucket and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// Its region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's; with an endpoint of its own at last `us-east-1`.
    pub region: Option<String>,
    /// `https://host[:port]` of a store that is not AWS's. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, that of the region.
    pub endpoint: Option<String>,
    /// Certificates in PEM: the authorities, or the store's own, that an `https:` endpoint may show; nobody else is trusted then. Needs the
    /// feature `tls`. Default: `AWS_CA_BUNDLE`, the system's.
    pub ca_file: Option<PathBuf>,
    /// The bucket in the path instead of the host name. Default: with an endpoint of its own.
    pub path_style: Option<bool>,
    /// Where the credentials come from. Default: ambient.
    pub credentials: Credentials,
    /// How the store is to encrypt. Default: as the bucket says.
    pub encryption: Encryption,
    /// `STANDARD_IA`, `GLACIER_IR`, ...: the class of what is put, in S3's words. Default: the store's.
    pub storage_class: Option<String>,
    /// Whether the store is told to keep and check a CRC32C of what is put. Default yes; not all stores know it.
    pub checksums: bool,
    /// Whether the store keeps `If-Match` and `If-None-Match` of puts, atomically. If not, such puts fail with
    /// [`Unsupported`](graphstream_storage::Error::Unsupported). Default yes; `graphstream storage check` finds out.
    pub conditional_puts: bool,
    /// Bodies above so many bytes are put in parts. Default 16 MiB.
    pub multipart_bytes_min: u64,
    /// Bytes of a part, at least 5 MiB; more where 10,000 parts would not do. Default 8 MiB.
    pub part_bytes: u64,
    /// So many parts of one body are sent at once, and are in memory. Default 4.
    pub parallel_parts: usize,
}

impl S3Config {
    /// The defaults for a bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint: None,
            ca_file: None,
            path_style: None,
            credentials: Credentials::default(),
            encryption: Encryption::default(),
            storage_class: None,
            checksums: true,
            conditional_puts: true,
            multipart_bytes_min: 16 << 20,
            part_bytes: 8 << 20,
            parallel_parts: 4,
        }
    }

    /// Sets [`region`](Self::region).
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets [`ca_file`](Self::ca_file).
    #[must_use]
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets [`path_style`](Self::path_style).
    #[must_use]
    pub fn with_path_style(mut self, path_style: bool) -> Self {
        self.path_style = Some(path_style);
        self
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets [`encryption`](Self::encryption).
    #[must_use]
    pub fn with_encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Sets [`storage_class`](Self::storage_class).
    #[must_use]
    pub fn with_storage_class(mut self, class: impl Into<String>) -> Self {
        self.storage_class = Some(class.into());
        self
    }

    /// Sets [`checksums`](Self::checksums).
    #[must_use]
    pub fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets [`conditional_puts`](Self::conditional_puts).
    #[must_use]
    pub fn with_conditional_puts(mut self, conditional_puts: bool) -> Self {
        self.conditional_puts = conditional_puts;
        self
    }

    /// Sets [`multipart_bytes_min`](Self::multipart_bytes_min).
    #[must_use]
    pub fn with_multipart_bytes_min(mut self, bytes: u64) -> Self {
        self.multipart_bytes_min = bytes;
        self
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: u64) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets [`parallel_parts`](Self::parallel_parts).
    #[must_use]
    pub fn with_parallel_parts(mut self, parts: usize) -> Self {
        self.parallel_parts = parts;
        self
    }
}
