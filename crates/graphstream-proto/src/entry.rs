//! A journal entry's content.

use crate::value::ParamValue;
use crate::{Result, decode, encode};

/// What one entry of a journal says: a query and what is bound to its parameters.
///
/// ```
/// use graphstream_proto::JournalEntry;
///
/// let entry = JournalEntry::new("CREATE (:Person {id: $id, name: $name})", 1_700_000_000_000)
///     .with_param("id", 1_i64)
///     .with_param("name", "Alice");
/// let payload = entry.encode()?;
/// assert_eq!(JournalEntry::decode(&payload, 1)?, entry);
/// # Ok::<(), graphstream_proto::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalEntry {
    /// The statement. [`encode`](Self::encode) refuses an empty one.
    pub query: String,
    /// The parameters in the order they were given. A key occurs once.
    pub params: Vec<(String, ParamValue)>,
    /// When the user says it happened, in ms since 1970-01-01 UTC. Restore and retention go by the commit time, which is the
    /// leader's and not in the payload.
    pub timestamp_ms: i64,
    /// What `uuid()` and `gen_random_uuid()` must return when the entry is replayed: 8-4-4-4-12 hexadecimal digits.
    pub uuid_override: Option<String>,
}

impl JournalEntry {
    /// An entry without parameters.
    pub fn new(query: impl Into<String>, timestamp_ms: i64) -> Self {
        Self { query: query.into(), params: Vec::new(), timestamp_ms, uuid_override: None }
    }

    /// Adds a parameter after the ones there are.
    #[must_use]
    pub fn with_param(mut self, key: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.params.push((key.into(), value.into()));
        self
    }

    /// Sets [`uuid_override`](Self::uuid_override).
    #[must_use]
    pub fn with_uuid_override(mut self, uuid: impl Into<String>) -> Self {
        self.uuid_override = Some(uuid.into());
        self
    }

    /// The entry as a payload of schema `graphstream.v1`.
    ///
    /// # Errors
    /// When the query is empty, a key is given twice, a text is not what its kind requires, or a limit of
    /// [`limits`](crate::limits) is passed: whatever could not be read or replayed later.
    pub fn encode(&self) -> Result<Vec<u8>> {
        encode::entry(self)
    }

    /// Reads a payload of either schema, ours or the predecessor's. `frame_sequence` is the entry's sequence in the segment: the
    /// predecessor repeats it in the payload, and the two must be equal.
    ///
    /// An entry of the predecessor may have an empty query, a parameter without value (read as null) or a key given twice,
    /// because its writer refused none of them.
    ///
    /// # Errors
    /// On anything but a whole, known and bounded entry. Memory stays within a constant times
    /// [`limits`](crate::limits), whatever the bytes are.
    pub fn decode(payload: &[u8], frame_sequence: u64) -> Result<Self> {
        let mut entry = Self::default();
        entry.decode_from(payload, frame_sequence)?;
        Ok(entry)
    }

    /// As [`decode`](Self::decode), in place of what this entry held: its query and its parameters' keys and texts are written into
    /// the buffers that are there. Decoding entry after entry that way hardly allocates, because the entries of a journal are alike.
    ///
    /// Buffers larger than 64 KiB (the query) or 256 bytes (keys and texts) are not kept. After an error the entry holds
    /// nothing of use.
    ///
    /// ```
    /// use graphstream_proto::JournalEntry;
    ///
    /// let payloads = [JournalEntry::new("CREATE (:Person)", 1).encode()?, JournalEntry::new("CREATE (:City)", 2).encode()?];
    /// let mut entry = JournalEntry::default();
    /// for (payload, sequence) in payloads.iter().zip(1..) {
    ///     entry.decode_from(payload, sequence)?;
    ///     println!("{}", entry.query);
    /// }
    /// # assert_eq!(entry, JournalEntry::new("CREATE (:City)", 2));
    /// # Ok::<(), graphstream_proto::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_from(&mut self, payload: &[u8], frame_sequence: u64) -> Result<()> {
        decode::entry(payload, frame_sequence, self, || false)
    }

    /// As [`decode_from`](Self::decode_from), and calls `beside` at first and after the query, each parameter, key of a map and value of a list, until
    /// it returns false: a place for small pieces of other work that waits for itself, as the next entry's chain hash does
    /// (`JournalReader::hash_ahead` of graphstream-journal). A processor that meets both in turns works on both at once.
    ///
    /// ```
    /// use graphstream_proto::JournalEntry;
    ///
    /// let payload = JournalEntry::new("CREATE (:Person {id: $id})", 1).with_param("id", 1_i64).encode()?;
    /// let (mut entry, mut pieces) = (JournalEntry::default(), 0);
    /// entry.decode_beside(&payload, 1, || {
    ///     pieces += 1;
    ///     true
    /// })?;
    /// assert_eq!((entry.params.len(), pieces), (1, 3));
    /// # Ok::<(), graphstream_proto::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_beside(
        &mut self,
        payload: &[u8],
        frame_sequence: u64,
        mut beside: impl FnMut() -> bool,
    ) -> Result<()> {
        if !beside() {
            return self.decode_from(payload, frame_sequence);
        }
        decode::entry(payload, frame_sequence, self, &mut beside as &mut dyn FnMut() -> bool)
    }
}
