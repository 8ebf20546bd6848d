//! Conditional puts, one at a time; then in a [race](super::race).

use crate::error::{Error, ErrorClass, Result};
use crate::random::Random;
use crate::{Key, PutMode, StorageBackend, Version};

use super::race;
use super::report::{Outcome, Seen, Verdict};
use super::scope::Scope;

/// What a store makes of conditions on puts, one caller at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// Of [`PutMode::Create`].
    pub create: Verdict,
    /// Of [`PutMode::Match`].
    pub swap: Verdict,
}

impl Conditions {
    /// Whether both hold.
    #[must_use]
    pub fn hold(self) -> bool {
        self.create == Verdict::Works && self.swap == Verdict::Works
    }
}

/// Looks whether the store takes conditions seriously at all, by two puts on `key` that it must refuse. The object stays, so that the
/// next probe needs no more than these two. Races are not seen: [`check`](super::check()) does that.
///
/// # Errors
/// What the store failed with where it should have said yes or no.
pub async fn probe(backend: &dyn StorageBackend, key: &Key) -> Result<Conditions> {
    let body = || format!("graphstream probe {:016x}", Random::unseeded().next()).into_bytes();
    let mut create = Verdict::Ignored;
    // The first finds no object in a new store.
    for _ in 0..2 {
        match backend.put(key, body().into(), PutMode::Create).await {
            Ok(_) => {}
            Err(error) if error.class() == ErrorClass::Exists => {
                create = Verdict::Works;
                break;
            }
            Err(Error::Unsupported { .. }) => {
                create = Verdict::Unsupported;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    // No store gives such a version: the probe's own object never had it.
    let never = Version::new("\"00000000000000000000000000000000\"")?;
    let swap = match backend.put(key, body().into(), PutMode::Match(never)).await {
        Ok(_) => Verdict::Ignored,
        Err(Error::Unsupported { .. }) => Verdict::Unsupported,
        // Where creates are unsupported there is no object.
        Err(error) if matches!(error.class(), ErrorClass::VersionMismatch | ErrorClass::NotFound) => {
            Verdict::Works
        }
        Err(error) => return Err(error),
    };
    Ok(Conditions { create, swap })
}

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
