//! A body that is read on from where it broke off.

use std::ops::Range;

use bytes::Bytes;

use super::{Attempts, RetryBackend, may_pass};
use crate::error::{Error, Result};
use crate::{ByteStream, GetOptions, GetOutcome, Object, ObjectMeta, Operation, StorageBackend};

/// Bytes that must arrive between two breaks for the budget to start anew: a store that sends one byte per request is not
/// followed for ever, and a large object may break off as often as it takes long.
const PROGRESS_BYTES: u64 = 64 << 10;

impl<B: StorageBackend> RetryBackend<B> {
    /// The object with a body that resumes; `attempts` is what the call has left.
    pub(super) fn resumed(&self, object: Object, attempts: Attempts) -> Object {
        let Object { meta, range, body } = object;
        let resumed = Resumed {
            backend: self.clone(),
            meta: meta.clone(),
            range: range.clone(),
            position: range.start,
            resumed_at: range.start,
            body,
            attempts,
        };
        let stream = futures_util::stream::unfold(Some(resumed), |state| async move {
            let mut resumed = state?;
            match resumed.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(resumed))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Object::new(meta, range, ByteStream::new(stream))
    }
}

struct Resumed<B> {
    backend: RetryBackend<B>,
    meta: ObjectMeta,
    range: Range<u64>,
    /// The next byte, as an offset in the whole object.
    position: u64,
    /// Where the present body began.
    resumed_at: u64,
    body: ByteStream,
    attempts: Attempts,
}

impl<B: StorageBackend> Resumed<B> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let error = match self.body.next_chunk().await {
                Ok(Some(chunk)) => {
                    let end = self.position.saturating_add(chunk.len() as u64);
                    if end > self.range.end {
                        return Err(self.length(end));
                    }
                    self.position = end;
                    return Ok(Some(chunk));
                }
                Ok(None) if self.position == self.range.end => return Ok(None),
                // Short without an error: a broken connection that nobody noticed.
                Ok(None) => self.length(self.position),
                // Nothing is missing.
                Err(error) if may_pass(&error) && self.position == self.range.end => return Ok(None),
                Err(error) if may_pass(&error) => error,
                Err(error) => return Err(error),
            };
            self.resume(error).await?;
        }
    }

    /// Asks for the rest until there is one.
    async fn resume(&mut self, mut error: Error) -> Result<()> {
        if self.position.saturating_sub(self.resumed_at) >= PROGRESS_BYTES {
            self.attempts.renew();
        }
        loop {
            if !self.backend.pause(Operation::Get, &mut self.attempts, error.retry_after()).await {
                return Err(error);
            }
            let rest = self.position..self.range.end;
            let asked = GetOptions::default().with_range(rest.clone());
            match self.backend.inner.get(&self.meta.key, asked).await {
                Ok(GetOutcome::Found(object)) => {
                    self.check(&object, rest)?;
                    self.body = object.body;
                    self.resumed_at = self.position;
                    return Ok(());
                }
                // Nobody asked for a condition.
                Ok(GetOutcome::NotModified) => {}
                Err(next) if may_pass(&next) => error = next,
                Err(next) => return Err(next),
            }
        }
    }

    /// The rest must be of the version whose beginning has been read, and exactly the rest.
    fn check(&self, object: &Object, rest: Range<u64>) -> Result<()> {
        let key = self.meta.key.clone();
        if object.meta.version != self.meta.version {
            let (expected, found) = (self.meta.version.clone(), object.meta.version.clone());
            return Err(Error::Changed { key, expected, found });
        }
        if object.range != rest {
            return Err(Error::WrongRange { key, expected: rest, found: object.range.clone() });
        }
        Ok(())
    }

    fn length(&self, end: u64) -> Error {
        let count = |end: u64| end.saturating_sub(self.range.start);
        Error::BodyLength { key: self.meta.key.clone(), expected: count(self.range.end), found: count(end) }
    }
}
