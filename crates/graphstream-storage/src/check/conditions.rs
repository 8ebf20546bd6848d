//! Conditional puts, one at a time; then in a [race](super::race).

use crate::PutMode;
use crate::error::ErrorClass;

use super::race;
use super::report::{Outcome, Seen, Verdict};
use super::scope::Scope;

/// O4.
pub(super) async fn create(scope: &Scope<'_>) -> Outcome {
    let key = scope.key("create/once")?;
    match scope.put(&key, "first", PutMode::Create).await {
        Ok(_) => {}
        Err(error) if error.class() == ErrorClass::Exists => {
            return Err(match scope.read(&key).await {
                Ok(_) => stores_refused("the first create of a new key was refused, and the object is there"),
                Err(_) => Seen::new(
                    Verdict::Wrong,
                    "the first create of a new key was refused: the object exists, it said",
                ),
            });
        }
        Err(error) => return Err(error.into()),
    }
    match scope.put(&key, "second", PutMode::Create).await {
        Ok(_) => {
            let (_, body) = scope.read(&key).await?;
            let what = if body == "first" { "nothing changed" } else { "the first object is gone" };
            return Err(Seen::new(Verdict::Ignored, format!("a second create of one key succeeded: {what}")));
        }
        Err(error) if error.class() == ErrorClass::Exists => {}
        Err(error) => return Err(error.into()),
    }
    let (_, body) = scope.read(&key).await?;
    if body != "first" {
        return Err(stores_refused("a second create of one key was refused, and has replaced the object"));
    }
    race::creates(scope).await
}

/// O5.
pub(super) async fn swap(scope: &Scope<'_>) -> Outcome {
    let key = scope.key("match/once")?;
    let first = scope.put(&key, "first", PutMode::Overwrite).await?;
    scope.put(&key, "second", PutMode::Match(first.clone())).await?;
    match scope.put(&key, "third", PutMode::Match(first.clone())).await {
        Ok(_) => {
            return Err(Seen::new(
                Verdict::Ignored,
                "a put with an old version succeeded: a newer object is gone",
            ));
        }
        Err(error) if error.class() == ErrorClass::VersionMismatch => {}
        Err(error) => return Err(error.into()),
    }
    let (_, body) = scope.read(&key).await?;
    if body != "second" {
        return Err(stores_refused("a put with an old version was refused, and has replaced the object"));
    }
    let missing = scope.key("match/missing")?;
    match scope.put(&missing, "fourth", PutMode::Match(first)).await {
        Ok(_) => return Err(Seen::new(Verdict::Ignored, "a put with a version created a missing object")),
        Err(error) if matches!(error.class(), ErrorClass::VersionMismatch | ErrorClass::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    race::counters(scope).await
}

pub(super) fn stores_refused(detail: &str) -> Seen {
    Seen::new(Verdict::StoresRefused, detail)
}
