//! Reads: missing objects, conditions, ranges, replacement under the reader.

use std::ops::Range;

use crate::conformance::scope::{Scope, expect_class};
use crate::conformance::{Outcome, Violation, ensure};
use crate::{Error, ErrorClass, GetOptions, GetOutcome, PutMode, StorageBackend, Version};

/// Class `NotFound` from get, get with options, and head.
pub async fn get_and_head_of_a_missing_object(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_and_head_of_a_missing_object").await?;
    scope.put("near", "x").await?;
    let version = scope.put("gone", "x").await?;
    backend.delete(&scope.key("gone")?).await?;
    for name in ["gone", "nea", "nearer", "deep/below/nothing"] {
        let key = scope.key(name)?;
        let not_found = [ErrorClass::NotFound];
        expect_class(backend.head(&key).await, &not_found, "O3", "head of nothing")?;
        for options in [
            GetOptions::default(),
            GetOptions::default().with_range(0..1),
            GetOptions::default().with_if_changed_from(version.clone()),
        ] {
            expect_class(backend.get(&key, options).await, &not_found, "O3", "get of nothing")?;
        }
    }
    scope.clean().await
}

/// A get with the current version is answered without a body; with an older one, with the object.
pub async fn get_if_changed(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_if_changed").await?;
    let key = scope.key("object")?;
    let conditional = |version: &Version| GetOptions::default().with_if_changed_from(version.clone());
    let first = scope.put("object", "first").await?;
    let unchanged = backend.get(&key, conditional(&first)).await?;
    ensure!(
        matches!(unchanged, GetOutcome::NotModified),
        "O6",
        "an unchanged object came back with its body"
    );
    // The condition is evaluated before the range: even one beyond the end.
    let ranged = backend.get(&key, conditional(&first).with_range(100..200)).await?;
    ensure!(matches!(ranged, GetOutcome::NotModified), "O6", "an unchanged object was ranged");

    let second = scope.put_as("object", "other", PutMode::Match(first.clone())).await?;
    let changed = backend.get(&key, conditional(&first)).await?.found();
    let changed =
        changed.ok_or_else(|| Violation::new("O3", "a changed object was reported as unchanged"))?;
    ensure!(
        changed.meta.version == second,
        "O6",
        "the changed object has another version than its put returned"
    );
    let body = changed.bytes(100).await?;
    ensure!(body == "other", "O3", "the changed object came with its old body");
    scope.clean().await
}

/// Ranges inside, at the ends, clamped, and those that hold nothing.
pub async fn get_ranges(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_ranges").await?;
    let body: Vec<u8> = (0..1000_u16).map(|n| (n % 256) as u8).collect();
    let version = scope.put("object", body.clone()).await?;
    let key = scope.key("object")?;
    for asked in [0..1, 0..1000, 1..2, 17..600, 999..1000, 500..5000, 0..u64::MAX, 999..u64::MAX] {
        let options = GetOptions::default().with_range(asked.clone());
        let object = backend.get(&key, options).await?.found();
        let object = object.ok_or_else(|| Violation::new("O3", "a range was answered \"not modified\""))?;
        let end = asked.end.min(1000);
        ensure!(object.range == (asked.start..end), "O10", "{asked:?} was answered as {:?}", object.range);
        ensure!(
            object.meta.size == 1000,
            "O10",
            "{asked:?}: the size of the whole object is 1000, not {}",
            object.meta.size
        );
        ensure!(object.meta.version == version, "O6", "{asked:?}: a range of another version");
        let read = object.bytes(1000).await?;
        let expected = usize::try_from(asked.start).ok().zip(usize::try_from(end).ok());
        let expected = expected.and_then(|(start, end)| body.get(start..end));
        ensure!(Some(&read[..]) == expected, "O10", "{asked:?}: other bytes came back");
    }
    for asked in [1000..1001, 5000..6000, u64::MAX - 1..u64::MAX] {
        expect_invalid(backend.get(&key, GetOptions::default().with_range(asked.clone())).await, &asked)?;
    }
    // Bounds through variables: clippy rightly dislikes reversed literals.
    for (start, end) in [(0, 0), (5, 5), (7, 3)] {
        let asked = Range { start, end };
        expect_invalid(backend.get(&key, GetOptions::default().with_range(asked.clone())).await, &asked)?;
    }
    scope.clean().await
}

/// No range holds a byte of an empty object.
pub async fn get_range_of_an_empty_object(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_range_of_an_empty_object").await?;
    scope.put("empty", "").await?;
    let asked = 0..10;
    let options = GetOptions::default().with_range(asked.clone());
    expect_invalid(backend.get(&scope.key("empty")?, options).await, &asked)?;
    scope.expect_body("empty", b"").await?;
    scope.clean().await
}

fn expect_invalid(result: Result<GetOutcome, Error>, asked: &Range<u64>) -> Outcome {
    match result {
        Err(Error::InvalidRange { .. }) => Ok(()),
        Err(source) => Err(Violation {
            obligation: "O10",
            detail: format!("range {asked:?} of an object without such bytes: expected InvalidRange"),
            source: Some(source),
        }),
        Ok(_) => Err(Violation::new(
            "O10",
            format!("range {asked:?} of an object without such bytes was answered"),
        )),
    }
}

/// O1: a body that is being read while its object is replaced or deleted is the old one to its end, or fails.
pub async fn get_survives_replacement(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_survives_replacement").await?;
    let old = vec![b'o'; 3 << 20];
    for replace in [true, false] {
        scope.put("object", old.clone()).await?;
        let object = backend.get(&scope.key("object")?, GetOptions::default()).await?.found();
        let mut object =
            object.ok_or_else(|| Violation::new("O3", "get without a condition: not modified"))?;
        let first = object.body.next_chunk().await?.unwrap_or_default();
        if replace {
            scope.put("object", vec![b'n'; 3 << 20]).await?;
        } else {
            backend.delete(&scope.key("object")?).await?;
        }
        let mut length = first.len();
        let mut whole = first.iter().all(|byte| *byte == b'o');
        let ended = loop {
            match object.body.next_chunk().await {
                Ok(Some(chunk)) => {
                    length += chunk.len();
                    whole &= chunk.iter().all(|byte| *byte == b'o');
                }
                Ok(None) => break length == old.len(),
                Err(_) => break true,
            }
        };
        ensure!(whole, "O1", "a body mixes two puts");
        ensure!(ended, "O10", "a body ended at byte {length} of {} without an error", old.len());
    }
    scope.clean().await
}

/// O10: an object read in pieces of 7 bytes, several at once, is the object.
pub async fn get_in_pieces(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_in_pieces").await?;
    let body: Vec<u8> = (0..200_u8).collect();
    scope.put("object", body.clone()).await?;
    let key = scope.key("object")?;
    let pieces = (0..200_u64).step_by(7).map(|start| {
        let options = GetOptions::default().with_range(start..start + 7);
        let key = &key;
        async move {
            let piece = backend.get(key, options).await?.found();
            let piece = piece.ok_or_else(|| Violation::new("O3", "a range was answered \"not modified\""))?;
            Ok::<_, Violation>(piece.bytes(7).await?)
        }
    });
    let pieces = futures_util::future::try_join_all(pieces).await?;
    ensure!(pieces.concat() == body, "O10", "the pieces together are not the object");
    scope.clean().await
}

/// O6: the version of another object, or one that never was, is no reason to say "not modified".
pub async fn get_if_changed_from_a_foreign_version(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_if_changed_from_a_foreign_version").await?;
    scope.put("object", "this one").await?;
    let other = scope.put("other", "another body").await?;
    for foreign in [other, Version::new("\"00000000000000000000000000000000\"")?] {
        let options = GetOptions::default().with_if_changed_from(foreign);
        let found = backend.get(&scope.key("object")?, options).await?.found();
        let found =
            found.ok_or_else(|| Violation::new("O6", "unchanged since a version that it never had"))?;
        ensure!(found.bytes(100).await? == "this one", "O3", "another body came back");
    }
    scope.clean().await
}

/// A body that nobody reads to its end disturbs nothing after it.
pub async fn get_may_be_dropped(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "get_may_be_dropped").await?;
    let body = vec![b'x'; 2 << 20];
    scope.put("object", body.clone()).await?;
    for chunks in [0, 1, 1, 0] {
        let object = backend.get(&scope.key("object")?, GetOptions::default()).await?.found();
        let mut object =
            object.ok_or_else(|| Violation::new("O3", "get without a condition: not modified"))?;
        for _ in 0..chunks {
            object.body.next_chunk().await?;
        }
    }
    scope.put("object", "small").await?;
    scope.expect_body("object", b"small").await?;
    scope.clean().await
}
