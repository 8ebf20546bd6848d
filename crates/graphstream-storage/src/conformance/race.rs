//! Many callers at once. On stores that check first and write then, these lose.

use futures_util::future::{join_all, try_join, try_join_all};

use crate::conformance::scope::Scope;
use crate::conformance::{Outcome, Violation, ensure};
use crate::turn::yield_now;
use crate::{Error, ErrorClass, PutMode, Result, StorageBackend, Version};

/// Callers in a race for one key.
const RACERS: usize = 16;

/// What a race of conditional puts ended with.
struct Podium {
    winners: Vec<(usize, Version)>,
}

impl Podium {
    /// Exactly one winner; every loser has the one class, and nothing else happened.
    fn of(
        results: Vec<Result<Version>>,
        class: ErrorClass,
        obligation: &'static str,
    ) -> Result<Self, Violation> {
        let mut winners = Vec::new();
        for (racer, result) in results.into_iter().enumerate() {
            match result {
                Ok(version) => winners.push((racer, version)),
                Err(error) if error.class() == class => {}
                Err(source) => {
                    let detail = format!("a loser failed with class {}, expected {class}", source.class());
                    return Err(Violation { obligation, detail, source: Some(source) });
                }
            }
        }
        Ok(Self { winners })
    }
}

/// O4: of 16 concurrent creates, on each of 8 keys, exactly one wins, and the object is its body and version.
pub async fn race_create_has_one_winner(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_create_has_one_winner").await?;
    let races = (0..8).map(|race| {
        let scope = &scope;
        async move {
            let name = format!("deep/{race}/object");
            let create = |racer| scope.put_as(&name, body(race, racer), PutMode::Create);
            let podium = Podium::of(join_all((0..RACERS).map(create)).await, ErrorClass::Exists, "O4")?;
            expect_winner(scope, &name, race, &podium, "O4").await
        }
    });
    try_join_all(races).await?;
    scope.clean().await
}

/// O5: of 16 concurrent swaps with one version, on each of 8 keys, exactly one wins.
pub async fn race_match_has_one_winner(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_match_has_one_winner").await?;
    let races = (0..8).map(|race| {
        let scope = &scope;
        async move {
            let name = format!("{race}");
            let seen = scope.put(&name, "start").await?;
            let swap = |racer| scope.put_as(&name, body(race, racer), PutMode::Match(seen.clone()));
            let podium =
                Podium::of(join_all((0..RACERS).map(swap)).await, ErrorClass::VersionMismatch, "O5")?;
            expect_winner(scope, &name, race, &podium, "O5").await
        }
    });
    try_join_all(races).await?;
    scope.clean().await
}

fn body(race: usize, racer: usize) -> Vec<u8> {
    // Of equal length for all, and long enough that a write is not one system call everywhere.
    format!("race {race} racer {racer:04} ").repeat(2000).into_bytes()
}

async fn expect_winner(
    scope: &Scope<'_>,
    name: &str,
    race: usize,
    podium: &Podium,
    obligation: &'static str,
) -> Outcome {
    let [(winner, version)] = podium.winners.as_slice() else {
        let winners: Vec<usize> = podium.winners.iter().map(|(racer, _)| *racer).collect();
        return Err(Violation::new(obligation, format!("{name}: {} winners: {winners:?}", winners.len())));
    };
    let (meta, stored) = scope.object(name).await?;
    ensure!(
        stored == body(race, *winner),
        "O1",
        "{name}: the stored body is not that of the winner {winner}"
    );
    ensure!(meta.version == *version, "O6", "{name}: stored as {}, the winner got {version}", meta.version);
    Ok(())
}

/// O5: counters incremented by 8 callers, 10 times each, by read and swap: no increment is lost.
pub async fn race_counters_lose_no_increment(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_counters_lose_no_increment").await?;
    scope.put("counter", "0 start").await?;
    let callers = (0..8_u64).map(|caller| {
        let scope = &scope;
        async move {
            for round in 0..10_u64 {
                increment(scope, caller * 1000 + round).await?;
            }
            Ok::<(), Violation>(())
        }
    });
    try_join_all(callers).await?;
    let count = count(&scope.body("counter").await?)?;
    ensure!(count == 80, "O5", "80 successful increments left the counter at {count}");
    scope.clean().await
}

async fn increment(scope: &Scope<'_>, write_id: u64) -> Outcome {
    loop {
        let (meta, body) = scope.object("counter").await?;
        yield_now().await;
        // With the write's own id, since stores may derive versions from bytes (O6).
        let next = format!("{} {write_id}", count(&body)?.saturating_add(1));
        match scope.put_as("counter", next.into_bytes(), PutMode::Match(meta.version)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.class() == ErrorClass::VersionMismatch => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn count(body: &[u8]) -> Result<u64, Violation> {
    let number = body.split(|byte| *byte == b' ').next().and_then(|text| std::str::from_utf8(text).ok());
    number
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Violation::new("O1", "the counter holds something that nobody put"))
}

/// O1: readers beside writers of one key always find it, whole, with the size and version that belong to the body.
pub async fn race_readers_see_whole_objects(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_readers_see_whole_objects").await?;
    // Each body is one byte repeated, in a length that only this byte has.
    let body = |n: u8| vec![n; 50_000 + usize::from(n) * 1000];
    scope.put("object", body(0)).await?;
    let writer = async {
        for n in 1..=60 {
            scope.put("object", body(n)).await?;
            yield_now().await;
        }
        Ok::<(), Violation>(())
    };
    let reader = async {
        let mut versions = std::collections::HashMap::new();
        for _ in 0..120 {
            let (meta, read) = scope.object("object").await?;
            let n = read.first().copied().unwrap_or(u8::MAX);
            ensure!(read == body(n), "O1", "a reader saw {} bytes that no put wrote together", read.len());
            yield_now().await;
            let before = versions.insert(meta.version.clone(), n);
            ensure!(
                before.is_none_or(|before| before == n),
                "O6",
                "version {} names two bodies",
                meta.version
            );
        }
        Ok(())
    };
    try_join(writer, try_join(reader, async { Ok(()) })).await?;
    scope.clean().await
}

/// O4, O8: creates and deletes of one key in a race: every create that succeeded was on an empty key, so their number and
/// that of what is left are consistent; directories that come and go with their last object do no harm.
pub async fn race_deletes_and_creates(backend: &dyn StorageBackend) -> Outcome {
    let scope = Scope::new(backend, "race_deletes_and_creates").await?;
    let key = scope.key("deep/below/object")?;
    let callers = (0..6).map(|caller| {
        let (scope, key) = (&scope, &key);
        async move {
            for round in 0..15 {
                let body = format!("{caller}/{round}").into_bytes();
                match scope.put_as("deep/below/object", body, PutMode::Create).await {
                    Ok(_) => {}
                    Err(Error::Exists { .. }) => {}
                    Err(error) => return Err(Violation::from(error)),
                }
                yield_now().await;
                scope.put(&format!("deep/below/{caller}"), "neighbour").await?;
                scope.backend.delete(key).await?;
                scope.backend.delete(&scope.key(&format!("deep/below/{caller}"))?).await?;
            }
            Ok(())
        }
    });
    try_join_all(callers).await?;
    scope.expect_missing("deep/below/object").await?;
    scope.expect_list(crate::ListRequest::new(scope.text("")), &[]).await
}
