//! What is known about a store beforehand.

/// Options of [`ObjectStoreBackend`](crate::ObjectStoreBackend).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStoreOptions {
    /// The store lists in ascending order of keys, so a page is read only as far as it goes. A listing that is out of order then fails.
    /// Default false.
    pub listing_is_ordered: bool,
    /// The store's condition on a put is not the etag but a generation (GCS): it is looked up before a put with a version.
    /// Default false.
    pub match_takes_generation: bool,
    /// Etags come with quotes, as HTTP has them, but for listings that leave them out (Azure, WebDAV): they are added there, so that a
    /// version has one spelling. Default false.
    pub etags_are_quoted: bool,
    /// Puts and deletes are refused. Default false.
    pub read_only: bool,
    /// Files larger than this are put in parts of this size, four at a time. Bytes, default 8 MiB, at least 5 MiB.
    pub part_bytes: usize,
    /// The largest file that is put under a condition: it is in memory then. Bytes, default 256 MiB.
    pub conditional_file_bytes_max: u64,
}

/// What S3 and its like demand of all parts but the last.
const PART_BYTES_MIN: usize = 5 << 20;

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        Self {
            listing_is_ordered: false,
            match_takes_generation: false,
            etags_are_quoted: false,
            read_only: false,
            part_bytes: 8 << 20,
            conditional_file_bytes_max: 256 << 20,
        }
    }
}

impl ObjectStoreOptions {
    /// Sets [`listing_is_ordered`](Self::listing_is_ordered).
    #[must_use]
    pub fn with_listing_is_ordered(mut self, ordered: bool) -> Self {
        self.listing_is_ordered = ordered;
        self
    }

    /// Sets [`match_takes_generation`](Self::match_takes_generation).
    #[must_use]
    pub fn with_match_takes_generation(mut self, generation: bool) -> Self {
        self.match_takes_generation = generation;
        self
    }

    /// Sets [`etags_are_quoted`](Self::etags_are_quoted).
    #[must_use]
    pub fn with_etags_are_quoted(mut self, quoted: bool) -> Self {
        self.etags_are_quoted = quoted;
        self
    }

    /// Sets [`read_only`](Self::read_only).
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes.max(PART_BYTES_MIN);
        self
    }

    /// Sets [`conditional_file_bytes_max`](Self::conditional_file_bytes_max).
    #[must_use]
    pub fn with_conditional_file_bytes_max(mut self, bytes: u64) -> Self {
        self.conditional_file_bytes_max = bytes;
        self
    }
}
