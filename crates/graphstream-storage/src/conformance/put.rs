//! Puts and their conditions, one caller at a time.

use std::path::PathBuf;

use bytes::Bytes;

use crate::conformance::scope::{Scope, expect_class};
use crate::conformance::{Outcome, ensure};
use crate::{Error, ErrorClass, ListRequest, Lister, PutBody, PutMode, StorageBackend};

/// O1: bodies of 0, 1 and 100,000 bytes come back as they were.
pub async fn put_round_trips(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_round_trips").await?;
    let long: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (name, body) in [("empty", vec![]), ("one", vec![0]), ("long", long)] {
        scope.put(name, body.clone()).await?;
        let (meta, read) = scope.object(name).await?;
        ensure!(read == body, "O1", "{name}: another body came back");
        ensure!(meta.size == body.len() as u64, "O1", "{name}: size {} for {} bytes", meta.size, body.len());
        ensure!(meta.key == scope.key(name)?, "O1", "{name}: metadata of another key came back");
    }
    scope.clean().await
}

/// O1, O3: an overwrite replaces the whole object, also by a shorter one.
pub async fn put_overwrites(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_overwrites").await?;
    for body in ["a longer first body", "short", "", "once more a longer body"] {
        scope.put("object", body).await?;
        scope.expect_body("object", body.as_bytes()).await?;
    }
    scope.clean().await
}

/// O6: put, get, head and list name the same version.
pub async fn put_agrees_on_versions(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_agrees_on_versions").await?;
    let key = scope.key("object")?;
    let mut version = scope.put_as("object", "one", PutMode::Create).await?;
    for mode in 0..3 {
        let head = backend.head(&key).await?;
        let (get, _) = scope.object("object").await?;
        let listed = Lister::new(backend, ListRequest::new(key.as_str())).objects().await?;
        let listed = listed.first().map(|object| &object.version);
        ensure!(head.version == version, "O6", "put said {version}, head {}", head.version);
        ensure!(get.version == version, "O6", "put said {version}, get {}", get.version);
        ensure!(listed == Some(&version), "O6", "put said {version}, list {listed:?}");
        let body = Bytes::from(format!("body {mode}"));
        let mode = if mode == 0 { PutMode::Overwrite } else { PutMode::Match(version) };
        version = scope.put_as("object", body, mode).await?;
    }
    scope.clean().await
}

/// O6: other bytes, another version; also for bodies of one length, written as fast as the store allows.
pub async fn put_changes_the_version(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_changes_the_version").await?;
    let mut seen = std::collections::HashSet::new();
    for n in 0..40 {
        let version = scope.put("object", format!("{n:04}").into_bytes()).await?;
        ensure!(
            seen.insert(version.clone()),
            "O6",
            "put {n} of other bytes has the earlier version {version}"
        );
    }
    scope.clean().await
}

/// O4, O9: a create on an existing object fails, with other bytes and with equal ones, and changes nothing.
pub async fn create_refuses_an_existing_object(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "create_refuses_an_existing_object").await?;
    let version = scope.put_as("object", "first", PutMode::Create).await?;
    for body in ["second", "first", ""] {
        let again = scope.put_as("object", body, PutMode::Create).await;
        expect_class(again, &[ErrorClass::Exists], "O4", "a second create")?;
        let (meta, body) = scope.object("object").await?;
        ensure!(body == b"first" && meta.version == version, "O9", "a refused create changed the object");
    }
    scope.clean().await
}

/// O4, O8: after a delete the key is free.
pub async fn create_works_again_after_delete(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "create_works_again_after_delete").await?;
    scope.put_as("object", "first", PutMode::Create).await?;
    backend.delete(&scope.key("object")?).await?;
    scope.put_as("object", "second", PutMode::Create).await?;
    scope.expect_body("object", b"second").await?;
    scope.clean().await
}

/// O5: a chain of swaps, each with the version of the one before, from create and from overwrite.
pub async fn match_replaces_the_version_it_saw(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "match_replaces_the_version_it_saw").await?;
    for (name, first) in [("created", PutMode::Create), ("overwritten", PutMode::Overwrite)] {
        let mut version = scope.put_as(name, "0", first).await?;
        for n in 1..=5 {
            version = scope.put_as(name, format!("{n}").into_bytes(), PutMode::Match(version)).await?;
        }
        scope.expect_body(name, b"5").await?;
    }
    scope.clean().await
}

/// O5, O9: a swap with an older version fails and changes nothing.
pub async fn match_refuses_an_older_version(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "match_refuses_an_older_version").await?;
    let first = scope.put("object", "first").await?;
    let second = scope.put("object", "other").await?;
    let stale = scope.put_as("object", "third", PutMode::Match(first)).await;
    expect_class(stale, &[ErrorClass::VersionMismatch], "O5", "a swap with an old version")?;
    let (meta, body) = scope.object("object").await?;
    ensure!(body == b"other" && meta.version == second, "O9", "a refused swap changed the object");
    scope.clean().await
}

/// O5: a swap on a missing object fails and creates nothing.
pub async fn match_refuses_a_missing_object(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "match_refuses_a_missing_object").await?;
    let version = scope.put("object", "first").await?;
    backend.delete(&scope.key("object")?).await?;
    for name in ["object", "never/there"] {
        let swap = scope.put_as(name, "second", PutMode::Match(version.clone())).await;
        expect_class(swap, &[ErrorClass::NotFound, ErrorClass::VersionMismatch], "O5", "a swap on nothing")?;
        scope.expect_missing(name).await?;
    }
    scope.clean().await
}

/// O5, O6: an object that was deleted and created anew with other bytes is not the one that was seen.
pub async fn match_refuses_a_recreated_object(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "match_refuses_a_recreated_object").await?;
    for round in 0..10 {
        let version = scope.put("object", format!("a{round}").into_bytes()).await?;
        backend.delete(&scope.key("object")?).await?;
        scope.put_as("object", format!("b{round}").into_bytes(), PutMode::Create).await?;
        let swap = scope.put_as("object", "late", PutMode::Match(version)).await;
        expect_class(
            swap,
            &[ErrorClass::VersionMismatch],
            "O5",
            "a swap with the version of a deleted object",
        )?;
    }
    scope.clean().await
}

/// O1: a file is put by path in every mode, empty files too, and stays where it is.
pub async fn put_streams_a_file(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_streams_a_file").await?;
    let file = scratch_file("put_streams_a_file", &scope)?;
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    write(&scope, &file, &body)?;
    let version = scope.put_as("object", PutBody::File(file.clone()), PutMode::Create).await?;
    scope.expect_body("object", &body).await?;
    write(&scope, &file, b"")?;
    scope.put_as("object", PutBody::File(file.clone()), PutMode::Match(version)).await?;
    scope.expect_body("object", b"").await?;
    write(&scope, &file, b"third")?;
    scope.put("object", PutBody::File(file.clone())).await?;
    scope.expect_body("object", b"third").await?;
    ensure!(file.is_file(), "O1", "the source file has gone");
    std::fs::remove_file(&file).map_err(|source| source_error(&scope, &file, source))?;
    scope.clean().await
}

/// O9: when the source can't be read, nothing is stored and what was there stays.
pub async fn put_of_a_missing_file_stores_nothing(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_of_a_missing_file_stores_nothing").await?;
    let missing = std::env::temp_dir().join("graphstream-conformance-no-such-file");
    scope.put("there", "old").await?;
    for name in ["there", "absent"] {
        let put = scope.put(name, PutBody::File(missing.clone())).await;
        expect_class(put, &[ErrorClass::Other], "O9", "a put of a missing file")?;
    }
    scope.expect_body("there", b"old").await?;
    scope.expect_missing("absent").await?;
    scope.clean().await
}

/// A file name in the system's directory for temporary files; unique per process and case.
pub(super) fn scratch_file(case: &str, scope: &Scope<'_>) -> Result<PathBuf, Error> {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = std::env::temp_dir();
    let file = directory.join(format!("graphstream-conformance-{}-{count}-{case}", std::process::id()));
    // Never follow or overwrite what somebody else may have placed under this name.
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(&file);
    created.map(drop).map_err(|source| source_error(scope, &file, source))?;
    Ok(file)
}

pub(super) fn write(scope: &Scope<'_>, file: &std::path::Path, body: &[u8]) -> Result<(), Error> {
    std::fs::write(file, body).map_err(|source| source_error(scope, file, source))
}

fn source_error(scope: &Scope<'_>, file: &std::path::Path, source: std::io::Error) -> Error {
    match scope.key("scratch") {
        Ok(key) => Error::Source { key, path: file.to_owned(), source },
        Err(error) => error,
    }
}

/// S05: the same bytes again are a put like any other, also under a condition.
pub async fn put_of_equal_bytes(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "put_of_equal_bytes").await?;
    for _ in 0..3 {
        scope.put("object", "always the same").await?;
    }
    let version = scope.put("object", "always the same").await?;
    scope.put_as("object", "always the same", PutMode::Match(version)).await?;
    scope.expect_body("object", b"always the same").await?;
    scope.clean().await
}

/// The store names itself in one line, since messages do.
pub async fn describe_is_one_line(backend: &dyn StorageBackend) -> Outcome {
    let described = backend.describe();
    let fits = !described.is_empty() && described.len() <= 1000 && !described.chars().any(char::is_control);
    ensure!(fits, "-", "the store describes itself in {} bytes or several lines", described.len());
    Ok(())
}
