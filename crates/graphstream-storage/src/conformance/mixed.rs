//! Conditional puts against everything else that may happen to a key at the same time. Whatever comes first, the end is the same: that
//! is what lets these be asked of any store.

use futures_util::future::{join, join_all};

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, Violation, ensure};
use crate::{ErrorClass, PutMode, Result, StorageBackend, Version};

const ROUNDS: usize = 8;

/// The loser of a race with a put or delete that nobody can refuse. Also "busy": a store may not want to decide.
fn expect_won_or_lost(outcome: Result<Version>, lost: &[ErrorClass], obligation: &'static str) -> Outcome {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if lost.contains(&error.class()) || error.class() == ErrorClass::Unavailable => Ok(()),
        Err(error) => Err(Violation {
            obligation,
            detail: format!("a conditional put lost a race with class {}", error.class()),
            source: Some(error),
        }),
    }
}

/// O4: a create beside an overwrite comes first and is replaced, or comes second and is refused.
pub async fn race_create_against_overwrite(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_create_against_overwrite").await?;
    for round in 0..ROUNDS {
        let name = format!("object {round}");
        let create = scope.put_as(&name, "created", PutMode::Create);
        let (created, put) = join(create, scope.put(&name, "overwritten")).await;
        put?;
        expect_won_or_lost(created, &[ErrorClass::Exists], "O4")?;
        scope.expect_body(&name, b"overwritten").await?;
    }
    scope.clean().await
}

/// O5: a swap beside an overwrite comes first and is replaced, or comes second and is refused.
pub async fn race_match_against_overwrite(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_match_against_overwrite").await?;
    for round in 0..ROUNDS {
        let name = format!("object {round}");
        let seen = scope.put(&name, "seen").await?;
        let swap = scope.put_as(&name, "swapped", PutMode::Match(seen));
        let (swapped, put) = join(swap, scope.put(&name, "overwritten")).await;
        put?;
        expect_won_or_lost(swapped, &[ErrorClass::VersionMismatch], "O5")?;
        scope.expect_body(&name, b"overwritten").await?;
    }
    scope.clean().await
}

/// O5: a swap beside a delete comes first and is deleted, or comes second and is refused: it never brings an object back.
pub async fn race_match_against_delete(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_match_against_delete").await?;
    for round in 0..ROUNDS {
        let name = format!("object {round}");
        let seen = scope.put(&name, "seen").await?;
        let key = scope.key(&name)?;
        let swap = scope.put_as(&name, "swapped", PutMode::Match(seen));
        let (swapped, deleted) = join(swap, backend.delete(&key)).await;
        deleted?;
        expect_won_or_lost(swapped, &[ErrorClass::VersionMismatch, ErrorClass::NotFound], "O5")?;
        scope.expect_missing(&name).await?;
    }
    scope.clean().await
}

/// O1, O6: of 16 overwrites at once the object is one, whole, and has the version that this one was told.
pub async fn race_overwrites_end_as_one(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_overwrites_end_as_one").await?;
    let body = |writer: usize| format!("writer {writer:04} ").repeat(3000 + writer).into_bytes();
    let put = |writer| scope.put("object", body(writer));
    let versions = join_all((0..16).map(put)).await.into_iter().collect::<Result<Vec<_>>>()?;
    let (meta, stored) = scope.object("object").await?;
    let winner = (0..16).find(|writer| stored == body(*writer));
    let winner = winner.ok_or_else(|| Violation::new("O1", "the object is of no single put"))?;
    ensure!(
        versions.get(winner) == Some(&meta.version),
        "O6",
        "the object is of writer {winner}, its version {} is not",
        meta.version
    );
    scope.clean().await
}

/// O1, O3: 64 callers put and read keys of their own at once, and meet nobody else's bytes.
pub async fn race_of_strangers(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_of_strangers").await?;
    let callers = (0..64_u32).map(|caller| {
        let scope = &scope;
        async move {
            let (name, body) = (format!("{}/{caller}", caller % 5), format!("caller {caller} ").repeat(100));
            scope.put_as(&name, body.clone().into_bytes(), PutMode::Create).await?;
            scope.expect_body(&name, body.as_bytes()).await
        }
    });
    join_all(callers).await.into_iter().collect::<Outcome>()?;
    scope.clean().await
}
