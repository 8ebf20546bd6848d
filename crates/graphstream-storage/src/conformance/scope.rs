//! The prefix of one case, and the short forms of calls that cases are written in.

use crate::conformance::{Outcome, Violation, ensure};
use crate::{
    ErrorClass, GetOptions, Key, ListRequest, Lister, ObjectMeta, PutBody, PutMode, Result, StorageBackend,
    Version,
};

/// Bodies that cases read back in memory stay far below this.
const BODY_BYTES_MAX: u64 = 8 << 20;

pub(super) struct Scope<'a> {
    pub(super) backend: &'a dyn StorageBackend,
    root: Key,
}

impl<'a> Scope<'a> {
    /// An empty prefix for the case.
    pub(super) async fn new(backend: &'a dyn StorageBackend, case: &str) -> Result<Self, Violation> {
        let scope = Self { backend, root: Key::new("graphstream-conformance")?.join(case)? };
        scope.clean().await?;
        Ok(scope)
    }

    /// Removes every object of the case.
    pub(super) async fn clean(&self) -> Outcome {
        let objects = Lister::new(self.backend, ListRequest::new(self.root.as_prefix())).objects().await?;
        let keys: Vec<Key> = objects.into_iter().map(|object| object.key).collect();
        for chunk in keys.chunks(1000) {
            for (_, outcome) in self.backend.delete_many(chunk).await? {
                outcome?;
            }
        }
        Ok(())
    }

    pub(super) fn key(&self, name: &str) -> Result<Key> {
        self.root.join(name)
    }

    /// The text `name` under the case's prefix, which need not be a key.
    pub(super) fn text(&self, name: &str) -> String {
        format!("{}{name}", self.root.as_prefix())
    }

    pub(super) async fn put(&self, name: &str, body: impl Into<PutBody>) -> Result<Version> {
        self.backend.put(&self.key(name)?, body.into(), PutMode::Overwrite).await
    }

    pub(super) async fn put_as(
        &self,
        name: &str,
        body: impl Into<PutBody>,
        mode: PutMode,
    ) -> Result<Version> {
        self.backend.put(&self.key(name)?, body.into(), mode).await
    }

    pub(super) async fn put_all(&self, names: &[&str]) -> Outcome {
        for name in names {
            self.put(name, name.as_bytes().to_vec()).await?;
        }
        Ok(())
    }

    /// The body of an object, unconditionally.
    pub(super) async fn body(&self, name: &str) -> Result<Vec<u8>, Violation> {
        Ok(self.object(name).await?.1)
    }

    /// Metadata and body of an object, from one get.
    pub(super) async fn object(&self, name: &str) -> Result<(ObjectMeta, Vec<u8>), Violation> {
        let outcome = self.backend.get(&self.key(name)?, GetOptions::default()).await?;
        let object = outcome.found().ok_or_else(|| {
            Violation::new("O3", format!("get {name} without a condition answered \"not modified\""))
        })?;
        let meta = object.meta.clone();
        Ok((meta, object.bytes(BODY_BYTES_MAX).await?.to_vec()))
    }

    pub(super) async fn expect_body(&self, name: &str, expected: &[u8]) -> Outcome {
        let body = self.body(name).await?;
        ensure!(
            body == expected,
            "O1",
            "{name} should hold the {} bytes that were put, holds {} others",
            expected.len(),
            body.len()
        );
        Ok(())
    }

    pub(super) async fn expect_missing(&self, name: &str) -> Outcome {
        expect_class(self.backend.head(&self.key(name)?).await, &[ErrorClass::NotFound], "O3", "head")
    }

    /// Lists `request` to the end and compares keys, given without the case's prefix.
    pub(super) async fn expect_list(&self, request: ListRequest, expected: &[&str]) -> Outcome {
        let prefix = self.root.as_prefix();
        let described = format!("{request:?}");
        let objects = Lister::new(self.backend, request).objects().await?;
        let found: Vec<&str> = objects
            .iter()
            .map(|object| object.key.as_str().strip_prefix(&prefix).unwrap_or(object.key.as_str()))
            .collect();
        ensure!(found == expected, "O7", "{described}: expected {expected:?}, found {found:?}");
        Ok(())
    }
}

/// Expects an error of one of these classes.
pub(super) fn expect_class<T>(
    result: Result<T>,
    classes: &[ErrorClass],
    obligation: &'static str,
    call: &str,
) -> Outcome {
    match result {
        Ok(_) => {
            Err(Violation::new(obligation, format!("{call} succeeded, expected an error of {classes:?}")))
        }
        Err(error) if classes.contains(&error.class()) => Ok(()),
        Err(error) => Err(Violation {
            obligation,
            detail: format!("{call} failed with class {}, expected {classes:?}", error.class()),
            source: Some(error),
        }),
    }
}
