//! Objects that should not be in memory as a whole.

use std::io::Write;

use crate::conformance::put::scratch_file;
use crate::conformance::scope::{Scope, expect_class};
use crate::conformance::{Outcome, Violation, ensure};
use crate::{ErrorClass, GetOptions, PutBody, PutMode, StorageBackend};

/// Above the usual threshold of multipart uploads.
const LARGE_BYTES: u64 = 20 << 20;
const BLOCK_BYTES: u64 = 64 << 10;

/// A block that tells its place.
fn block(number: u64) -> Vec<u8> {
    (number + 1).to_le_bytes().repeat(8192)
}

/// O1, O10: 20 MiB from a file and back, streamed, and a range out of its middle.
pub async fn large_object_from_a_file(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "large_object_from_a_file").await?;
    let path = scratch_file("large_object_from_a_file", &scope)?;
    let written = (|| {
        let mut file = std::fs::File::create(&path)?;
        (0..LARGE_BYTES / BLOCK_BYTES).try_for_each(|number| file.write_all(&block(number)))
    })();
    written.map_err(|error| Violation::new("-", format!("writing the source file: {error}")))?;
    let put = scope.put("object", PutBody::File(path.clone())).await;
    let removed = std::fs::remove_file(&path);
    put?;
    removed.map_err(|error| Violation::new("-", format!("removing the source file: {error}")))?;

    let key = scope.key("object")?;
    for range in [0..LARGE_BYTES, 5 * BLOCK_BYTES - 3..LARGE_BYTES - BLOCK_BYTES - 5] {
        let object = backend.get(&key, GetOptions::default().with_range(range.clone())).await?.found();
        let mut object =
            object.ok_or_else(|| Violation::new("O3", "get without a condition: not modified"))?;
        ensure!(object.meta.size == LARGE_BYTES, "O1", "stored {} of {LARGE_BYTES} bytes", object.meta.size);
        let mut at = range.start;
        let mut current = (u64::MAX, Vec::new());
        while let Some(chunk) = object.body.next_chunk().await? {
            let mut chunk = &chunk[..];
            while !chunk.is_empty() {
                if current.0 != at / BLOCK_BYTES {
                    current = (at / BLOCK_BYTES, block(at / BLOCK_BYTES));
                }
                let expected = usize::try_from(at % BLOCK_BYTES).ok().and_then(|from| current.1.get(from..));
                let expected = expected.unwrap_or_default();
                let length = expected.len().min(chunk.len());
                ensure!(chunk.get(..length) == expected.get(..length), "O1", "wrong bytes near offset {at}");
                chunk = chunk.get(length..).unwrap_or_default();
                at += length as u64;
            }
        }
        ensure!(at == range.end, "O10", "the body of {range:?} ended at {at} without an error");
    }
    scope.clean().await
}

/// O4: 20 MiB from a file, which a store may take in parts, are created once only.
pub async fn large_object_is_created_once(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "large_object_is_created_once").await?;
    let path = scratch_file("large_object_is_created_once", &scope)?;
    // Sparse: what it holds is not the point.
    let made = std::fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(LARGE_BYTES));
    let create = || scope.put_as("object", PutBody::File(path.clone()), PutMode::Create);
    let (first, second) = (create().await, create().await);
    let removed = std::fs::remove_file(&path);
    made.and(removed).map_err(|error| Violation::new("-", format!("the source file: {error}")))?;
    let version = first?;
    expect_class(second, &[ErrorClass::Exists], "O4", "a second create of a large object")?;
    let head = backend.head(&scope.key("object")?).await?;
    ensure!((head.size, head.version) == (LARGE_BYTES, version), "O9", "a refused create changed the object");
    scope.clean().await
}
