//! What the predecessor has put under a name: one listing, and the header of each object.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use graphstream_format::Header;
use graphstream_format::header::HEADER_LEN;
use graphstream_remote::{Attempt, Error as RemoteError};
use graphstream_storage::{
    ErrorClass, GetOptions, GetOutcome, Key, ListRequest, Lister, ObjectMeta, StorageBackend,
};

use super::PredecessorError;
use crate::{Error, Result};

/// Headers that are read side by side.
const READS_MAX: usize = 16;

/// A database of the predecessor in a store.
#[derive(Debug, Clone)]
pub struct Predecessor {
    backend: Arc<dyn StorageBackend>,
    prefix: String,
}

/// One object, as its name and its header say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PredecessorObject {
    /// Its key.
    pub key: Key,
    /// Bytes of the object.
    pub size: u64,
    /// What stands in its key for the first sequence; a time, if it was compacted.
    pub named: u64,
    /// Its header.
    pub header: Header,
}

/// Everything under a name, by first sequence.
#[derive(Debug)]
#[non_exhaustive]
pub struct PredecessorSurvey {
    /// Segments, in the order in which they are read.
    pub objects: Vec<PredecessorObject>,
    /// Objects that are no segments, or whose header is damaged.
    pub damaged: Vec<PredecessorError>,
    /// Keys of another kind, the predecessor's other files included.
    pub others: Vec<Key>,
}

impl Predecessor {
    /// The database `name` below `prefix`. The predecessor put the two together as they are: a prefix that doesn't end with a slash is the
    /// beginning of the directory's name.
    #[must_use]
    pub fn new(backend: Arc<dyn StorageBackend>, prefix: &str, name: &str) -> Self {
        Self { backend, prefix: format!("{prefix}{name}/0000/") }
    }

    /// Where its segments are.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn backend(&self) -> &Arc<dyn StorageBackend> {
        &self.backend
    }

    /// Lists the objects and reads the header of each.
    ///
    /// # Errors
    /// [`PredecessorError::None`] when there is none; [`RemoteError::Storage`].
    pub async fn survey(&self) -> Result<PredecessorSurvey> {
        let failed = |source| RemoteError::Storage {
            attempt: Attempt::List,
            subject: self.prefix.clone(),
            source: Box::new(source),
        };
        let lister = Lister::new(&*self.backend, ListRequest::new(self.prefix.as_str()));
        let mut named = Vec::new();
        let mut others = Vec::new();
        for object in lister.objects().await.map_err(failed)? {
            match self.number(&object.key) {
                Some(number) => named.push((object, number)),
                None => others.push(object.key),
            }
        }
        if named.is_empty() {
            let (prefix, store) = (self.prefix.clone(), self.backend.describe());
            return Err(PredecessorError::None { prefix, store }.into());
        }
        let reads = named.into_iter().map(|(object, number)| self.header(object, number));
        let read: Vec<_> = stream::iter(reads).buffered(READS_MAX).try_collect().await?;
        let (mut objects, mut damaged) = (Vec::new(), Vec::new());
        for one in read {
            match one {
                Ok(object) => objects.push(object),
                Err(error) => damaged.push(error),
            }
        }
        // Of those that begin together the longest first: what it holds, the others need not.
        objects.sort_by_key(|object: &PredecessorObject| {
            (object.header.first_seq, std::cmp::Reverse(object.header.last_seq), object.named)
        });
        Ok(PredecessorSurvey { objects, damaged, others })
    }

    /// The number in a segment's name.
    fn number(&self, key: &Key) -> Option<u64> {
        let hex = key.as_str().strip_prefix(&self.prefix)?.strip_suffix(".hadbj")?;
        let digits =
            hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        digits.then(|| u64::from_str_radix(hex, 16).ok()).flatten()
    }

    async fn header(
        &self,
        object: ObjectMeta,
        named: u64,
    ) -> Result<Result<PredecessorObject, PredecessorError>> {
        let ObjectMeta { key, size, .. } = object;
        let damaged = |source| PredecessorError::Object { key: key.clone(), source: Box::new(source) };
        let wanted = HEADER_LEN as u64;
        let short = graphstream_format::Error::NotASegment { found: [0; 5] };
        if size < wanted {
            return Ok(Err(damaged(short)));
        }
        let bytes = match self.backend.get(&key, GetOptions::default().with_range(0..wanted)).await {
            Ok(GetOutcome::Found(object)) => object.bytes(wanted).await.map_err(reading(&key))?,
            Ok(GetOutcome::NotModified) => return Ok(Err(PredecessorError::Changed { key })),
            Err(error) if error.class() == ErrorClass::NotFound => {
                return Ok(Err(PredecessorError::Changed { key }));
            }
            Err(error) => return Err(reading(&key)(error)),
        };
        let Ok(bytes) = <&[u8; HEADER_LEN]>::try_from(&bytes[..]) else { return Ok(Err(damaged(short))) };
        Ok(match Header::decode(bytes) {
            Ok(header) if !header.is_legacy() => Err(PredecessorError::NotLegacy { key }),
            Ok(header) => Ok(PredecessorObject { key, size, named, header }),
            Err(source) => Err(damaged(source)),
        })
    }
}

/// A failure of the store while an object was read.
pub(super) fn reading(key: &Key) -> impl FnOnce(graphstream_storage::Error) -> Error {
    let subject = key.to_string();
    move |source| {
        RemoteError::Storage { attempt: Attempt::ReadSegment, subject, source: Box::new(source) }.into()
    }
}
