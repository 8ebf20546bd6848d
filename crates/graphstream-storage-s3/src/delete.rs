//! Deletes, one and many.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::StreamExt;
use graphstream_storage::{self as storage, ErrorClass, Key, Operation, StorageBackend};

use crate::S3Backend;
use crate::error::{Error, Failure};
use crate::verdict::{Effect, Verdict, verdict};

const DELETE: &str = "DeleteObject";
const DELETE_MANY: &str = "DeleteObjects";

/// What S3 takes in one request.
const KEYS_MAX: usize = 1000;
/// Deletes at once where they go one by one.
const PARALLEL: usize = 16;

type Outcomes = Vec<(Key, storage::Result<()>)>;

impl S3Backend {
    pub(crate) async fn delete_object(&self, key: &Key, operation: Operation) -> storage::Result<()> {
        let request = self.client().delete_object().bucket(&self.config().bucket).key(key.as_str());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(DELETE, Effect::Seen, error);
                match failure.verdict {
                    Verdict::NoSuchKey => Ok(()),
                    _ => Err(self.failed(failure, operation, key.as_str())),
                }
            }
        }
    }

    pub(crate) async fn delete_objects(&self, keys: &[Key]) -> storage::Result<Outcomes> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for batch in keys.chunks(KEYS_MAX) {
            match self.delete_batch(batch).await {
                Ok(batch) => outcomes.extend(batch),
                Err(error) if outcomes.is_empty() => return Err(error),
                Err(error) => outcomes.extend(self.spread(error, batch)),
            }
        }
        Ok(outcomes)
    }

    async fn delete_batch(&self, keys: &[Key]) -> storage::Result<Outcomes> {
        if self.no_bulk_delete().load(Ordering::Relaxed) {
            return Ok(self.delete_singly(keys).await);
        }
        let objects =
            keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key.as_str()).build().ok());
        let request = Delete::builder().set_objects(Some(objects.collect())).quiet(false).build();
        let subject = keys.first().map_or("", Key::as_str);
        let request = request.map_err(|error| {
            let error = Error::Request { call: DELETE_MANY, source: error.into() };
            self.failed(Failure::new(error, ErrorClass::Other), Operation::DeleteMany, subject)
        })?;
        let request = self.client().delete_objects().bucket(&self.config().bucket).delete(request);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = Failure::of(DELETE_MANY, Effect::Seen, error);
                return match failure.verdict {
                    // There are stores without this call, and some that want a checksum which the SDK does not send any more.
                    Verdict::NotImplemented | Verdict::Class(ErrorClass::Other) => {
                        tracing::debug!(store = %self.describe(), error = %failure.error, "deleting one by one");
                        let lacking = failure.verdict == Verdict::NotImplemented;
                        self.no_bulk_delete().fetch_or(lacking, Ordering::Relaxed);
                        Ok(self.delete_singly(keys).await)
                    }
                    _ => Err(self.failed(failure, Operation::DeleteMany, subject)),
                };
            }
        };
        let mut said: HashMap<&str, Option<&str>> = HashMap::with_capacity(keys.len());
        said.extend(answer.deleted().iter().filter_map(|deleted| Some((deleted.key()?, None))));
        let errors = answer.errors().iter();
        said.extend(errors.filter_map(|error| Some((error.key()?, Some(error.code().unwrap_or_default())))));
        let outcomes = keys.iter().map(|key| {
            let outcome = match said.get(key.as_str()) {
                Some(None | Some("NoSuchKey")) => Ok(()),
                Some(Some(code)) => Err(self.refused(key, code)),
                None => {
                    let problem = "the answer does not say what became of the key";
                    let failure = Failure::protocol(DELETE_MANY, Effect::Seen, problem);
                    Err(self.failed(failure, Operation::DeleteMany, key.as_str()))
                }
            };
            (key.clone(), outcome)
        });
        Ok(outcomes.collect())
    }

    async fn delete_singly(&self, keys: &[Key]) -> Outcomes {
        let deletes = keys.iter().cloned().map(|key| async move {
            let outcome = self.delete_object(&key, Operation::DeleteMany).await;
            (key, outcome)
        });
        futures_util::stream::iter(deletes).buffered(PARALLEL).collect().await
    }

    /// One key's error in an answer that is a success as a whole.
    fn refused(&self, key: &Key, code: &str) -> storage::Error {
        let class = match verdict(Effect::Seen, 200, Some(code)) {
            Verdict::Class(class) => class,
            _ => ErrorClass::Other,
        };
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let error = Error::Answer { call: DELETE_MANY, status: 200, code: Some(code), request_id: None };
        self.failed(Failure::new(error, class), Operation::DeleteMany, key.as_str())
    }

    /// The outcome of each key of a request that failed as a whole, after others did not.
    fn spread(&self, error: storage::Error, keys: &[Key]) -> Outcomes {
        let class = error.class();
        let with = keys.first().map_or("", Key::as_str).to_owned();
        let mut first = Some(error);
        let outcome = |key: &Key| match first.take() {
            Some(error) => Err(error),
            None => {
                let error = Error::Together { call: DELETE_MANY, with: with.clone() };
                Err(self.failed(Failure::new(error, class), Operation::DeleteMany, key.as_str()))
            }
        };
        keys.iter().cloned().zip(keys.iter().map(outcome)).collect()
    }
}
