//! What a leader asks a store before it trusts it: two puts that must be refused, and a small race.
//!
//! ```text
//!   create   the object exists: refused? and is it still what it was?      ─┐
//!   swap     from a version that it never had: refused? still what it was?  ├─► Conditions
//!   race     8 swaps at once from its version: at most one wins?           ─┘
//! ```

use futures_util::future::join_all;

use crate::error::{Error, ErrorClass, Result};
use crate::random::Random;
use crate::{GetOptions, GetOutcome, Key, PutMode, StorageBackend, Version};

use super::report::Verdict;

/// Writers in the race.
const RACERS: usize = 8;

/// Far above what a probe puts; whatever else is there is not ours.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// What a store makes of conditions on puts, as far as a few requests show it.
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

    /// Whether conditional puts succeed at all: then one writer alone gets by, whatever the conditions are worth.
    #[must_use]
    pub fn can_put(self) -> bool {
        [self.create, self.swap].iter().all(|verdict| {
            matches!(verdict, Verdict::Works | Verdict::Ignored | Verdict::Races | Verdict::StoresRefused)
        })
    }
}

/// Looks whether the store keeps conditions on puts, with some 12 requests on `key`. The object stays, so that the next probe has one to
/// begin with, and nothing needs to be deleted. `salt` is drawn at random: no two probes write the same bytes.
///
/// A store that passes may still race now and then, or when it creates: [`check`](super::check()) looks harder.
///
/// # Errors
/// What the store failed with where it should have said yes or no.
pub async fn probe(backend: &dyn StorageBackend, key: &Key, salt: u64) -> Result<Conditions> {
    let probe = Probe { backend, key, random: Random::new(salt) };
    Ok(Conditions { create: probe.create().await?, swap: probe.swap().await? })
}

struct Probe<'a> {
    backend: &'a dyn StorageBackend,
    key: &'a Key,
    random: Random,
}

impl Probe<'_> {
    /// The first finds no object in a new store. A put that was sent twice on its way is refused and stored too: only a second one that
    /// is makes a verdict.
    async fn create(&self) -> Result<Verdict> {
        let (mut created, mut stored) = (0, 0);
        while created < 2 && stored < 2 {
            let body = self.body();
            match self.put(&body, PutMode::Create).await {
                Ok(_) => created += 1,
                Err(error) if error.class() == ErrorClass::Exists => match self.read().await? {
                    Some((_, found)) if found == body => stored += 1,
                    _ => return Ok(Verdict::Works),
                },
                Err(Error::Unsupported { .. }) => return Ok(Verdict::Unsupported),
                Err(error) => return Err(error),
            }
        }
        Ok(if stored == 2 { Verdict::StoresRefused } else { Verdict::Ignored })
    }

    async fn swap(&self) -> Result<Verdict> {
        // No store gives such a version: the probe's own object never had it.
        let never = Version::new("\"00000000000000000000000000000000\"")?;
        let body = self.body();
        match self.put(&body, PutMode::Match(never)).await {
            Ok(_) => return Ok(Verdict::Ignored),
            Err(error) if is_refusal(&error) => {}
            Err(Error::Unsupported { .. }) => return Ok(Verdict::Unsupported),
            Err(error) => return Err(error),
        }
        match self.read().await? {
            Some((_, found)) if found == body => Ok(Verdict::StoresRefused),
            Some((version, _)) => self.race(&version).await,
            // Where creates are unsupported there is no object.
            None => Ok(Verdict::Works),
        }
    }

    /// At most one of several swaps from one version may win; a rival's probe beside this one can make it none.
    async fn race(&self, version: &Version) -> Result<Verdict> {
        let racers = (0..RACERS).map(|_| async {
            match self.put(&self.body(), PutMode::Match(version.clone())).await {
                Ok(_) => Ok(1),
                // Refused by the crowd, or not answered: no winner that was told so.
                Err(error) if is_refusal(&error) || is_crowded(&error) => Ok(0),
                Err(error) => Err(error),
            }
        });
        let won = join_all(racers).await.into_iter().sum::<Result<u32>>()?;
        Ok(if won > 1 { Verdict::Races } else { Verdict::Works })
    }

    async fn put(&self, body: &str, mode: PutMode) -> Result<Version> {
        self.backend.put(self.key, body.as_bytes().to_vec().into(), mode).await
    }

    async fn read(&self) -> Result<Option<(Version, String)>> {
        let object = match self.backend.get(self.key, GetOptions::default()).await {
            Ok(GetOutcome::Found(object)) => object,
            Ok(GetOutcome::NotModified) => return Ok(None),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let version = object.meta.version.clone();
        let bytes = object.bytes(BODY_BYTES_MAX).await?;
        Ok(Some((version, String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// Every one differs, and so has a version of its own (O6).
    fn body(&self) -> String {
        format!("graphstream probe {:016x}", self.random.next())
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::VersionMismatch | ErrorClass::NotFound)
}

fn is_crowded(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::TimeoutUnknown)
}
