//! Puts of files: their conditions, and sources that are none.

use crate::conformance::put::{scratch_file, write};
use crate::conformance::scope::{Scope, expect_class};
use crate::conformance::{Outcome, Violation, ensure};
use crate::{ErrorClass, PutBody, PutMode, StorageBackend};

/// O4, O9: a create from a file is exclusive too.
pub async fn create_from_a_file_is_exclusive(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "create_from_a_file_is_exclusive").await?;
    let file = scratch_file("create_from_a_file_is_exclusive", &scope)?;
    write(&scope, &file, b"first")?;
    let first = scope.put_as("object", PutBody::File(file.clone()), PutMode::Create).await;
    let written = write(&scope, &file, b"second");
    let second = scope.put_as("object", PutBody::File(file.clone()), PutMode::Create).await;
    remove(&file)?;
    written?;
    let version = first?;
    expect_class(second, &[ErrorClass::Exists], "O4", "a second create from a file")?;
    let (meta, body) = scope.object("object").await?;
    ensure!(body == b"first" && meta.version == version, "O9", "a refused create changed the object");
    scope.clean().await
}

/// O5, O9: a swap from a file compares versions too.
pub async fn match_from_a_file_refuses_an_older_version(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "match_from_a_file_refuses_an_older_version").await?;
    let first = scope.put("object", "first").await?;
    let second = scope.put("object", "other").await?;
    let file = scratch_file("match_from_a_file_refuses_an_older_version", &scope)?;
    let written = write(&scope, &file, b"third");
    let stale = scope.put_as("object", PutBody::File(file.clone()), PutMode::Match(first)).await;
    remove(&file)?;
    written?;
    expect_class(stale, &[ErrorClass::VersionMismatch], "O5", "a swap from a file with an old version")?;
    let (meta, body) = scope.object("object").await?;
    ensure!(body == b"other" && meta.version == second, "O9", "a refused swap changed the object");
    scope.clean().await
}

/// O9: a directory is no body; nothing is stored.
pub async fn put_of_a_directory_stores_nothing(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_of_a_directory_stores_nothing").await?;
    scope.put("there", "old").await?;
    for name in ["there", "absent"] {
        let put = scope.put(name, PutBody::File(std::env::temp_dir())).await;
        expect_class(put, &[ErrorClass::Other], "O9", "a put of a directory")?;
    }
    scope.expect_body("there", b"old").await?;
    scope.expect_missing("absent").await?;
    scope.clean().await
}

fn remove(file: &std::path::Path) -> Outcome {
    std::fs::remove_file(file)
        .map_err(|error| Violation::new("-", format!("removing the source file: {error}")))
}
