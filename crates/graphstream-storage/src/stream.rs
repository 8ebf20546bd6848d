//! The body of an object: a boxed stream of chunks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;

use crate::Key;
use crate::error::{Error, Result};

/// A stream of chunks. After an error it has ended; it may be polled after its end.
pub struct ByteStream(Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'static>>);

impl ByteStream {
    /// Boxes a stream.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(Box::pin(stream.fuse()))
    }

    /// One chunk.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self::new(futures_util::stream::iter((!bytes.is_empty()).then_some(Ok(bytes))))
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// What the store failed with; the stream has ended then.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.0.next().await.transpose()
    }

    /// All chunks, which must be exactly `expected` bytes; holds no more than that and one chunk.
    pub(crate) async fn collect_exact(mut self, key: &Key, expected: u64) -> Result<Bytes> {
        let length = |found: u64| Error::BodyLength { key: key.clone(), expected, found };
        let first = self.next_chunk().await?.unwrap_or_default();
        if first.len() as u64 == expected {
            // The usual case of small objects: one chunk, nothing copied.
            return match self.next_chunk().await? {
                None => Ok(first),
                Some(more) => Err(length(expected.saturating_add(more.len() as u64))),
            };
        }
        // Grows with what really arrives: an announced length is not trusted with an allocation.
        let mut all = BytesMut::from(first);
        while let Some(chunk) = self.next_chunk().await? {
            let found = (all.len() as u64).saturating_add(chunk.len() as u64);
            if found > expected {
                return Err(length(found));
            }
            all.extend_from_slice(&chunk);
        }
        if all.len() as u64 != expected {
            return Err(length(all.len() as u64));
        }
        Ok(all.freeze())
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}
