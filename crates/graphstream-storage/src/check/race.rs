//! 16 writers on each of 8 keys, all at once. A store that checks first and writes then has several winners, or loses increments.

use futures_util::future::join_all;

use crate::error::{Error, ErrorClass};
use crate::turn::yield_now;
use crate::{Key, PutMode};

use super::conditions::stores_refused;
use super::report::{Outcome, Seen, Verdict};
use super::scope::Scope;

const KEYS: usize = 8;
const WRITERS: usize = 16;
/// Far above what 16 writers take if each round has a winner.
const ATTEMPTS_MAX: usize = 100;

/// What a writer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    No,
    /// The store was too busy, or did not answer: the object may be this writer's.
    Nothing,
}

/// Sorts an error out: refused by the condition, or by the crowd. Others end the check.
fn told(error: Error, refused: ErrorClass) -> Result<Told, Seen> {
    match error.class() {
        class if class == refused => Ok(Told::No),
        ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::TimeoutUnknown => Ok(Told::Nothing),
        _ => Err(seen(error)),
    }
}

/// What is damaged after writes at once, and was not after single ones, is mixed of several.
fn seen(error: Error) -> Seen {
    let mixed = error.class() == ErrorClass::Corrupt;
    let Seen { verdict, detail } = error.into();
    if mixed {
        return Seen::new(Verdict::Races, format!("several writes at once left a mixture: {detail}"));
    }
    Seen::new(verdict, detail)
}

pub(super) async fn creates(scope: &Scope<'_>) -> Outcome {
    let races = (0..KEYS).map(|race| async move {
        let key = scope.key(&format!("create/race/{race}"))?;
        let writers = (0..WRITERS).map(|writer| {
            let key = &key;
            async move {
                match scope.put(key, &format!("writer {writer}"), PutMode::Create).await {
                    Ok(_) => Ok(Told::Yes),
                    Err(error) => told(error, ErrorClass::Exists),
                }
            }
        });
        let told = join_all(writers).await.into_iter().collect::<Result<Vec<_>, Seen>>()?;
        judge(scope, &key, &told).await
    });
    let winners = join_all(races).await.into_iter().collect::<Result<Vec<_>, Seen>>()?;
    let many = winners.iter().filter(|winners| **winners > 1).count();
    match winners.iter().max() {
        Some(most) if *most > 1 => Err(Seen::new(
            Verdict::Races,
            format!("{many} of {KEYS} keys were created more than once, one by {most} of {WRITERS} writers"),
        )),
        _ => Ok(()),
    }
}

/// The number of winners; with one at most, the object must be of somebody who was not refused.
async fn judge(scope: &Scope<'_>, key: &Key, told: &[Told]) -> Result<usize, Seen> {
    let winners = told.iter().filter(|told| **told == Told::Yes).count();
    if winners > 1 {
        return Ok(winners);
    }
    let body = match scope.read(key).await {
        Ok((_, body)) => Some(body),
        Err(error) if error.class() == ErrorClass::NotFound => None,
        Err(error) => return Err(seen(error)),
    };
    let Some(body) = body else {
        return if winners == 1 {
            Err(Seen::new(Verdict::Wrong, "a create that succeeded left no object"))
        } else if told.contains(&Told::Nothing) {
            Ok(0)
        } else {
            Err(Seen::new(Verdict::Wrong, "every create of a new key was refused"))
        };
    };
    let writer = body.strip_prefix("writer ").and_then(|writer| writer.parse::<usize>().ok());
    match writer.and_then(|writer| told.get(writer)) {
        Some(Told::Yes | Told::Nothing) => Ok(winners),
        Some(Told::No) => {
            Err(stores_refused("of several creates at once the object is that of one that was refused"))
        }
        None => Err(Seen::new(Verdict::Wrong, "after several creates at once the object is of none of them")),
    }
}

pub(super) async fn counters(scope: &Scope<'_>) -> Outcome {
    let races = (0..KEYS).map(|race| async move {
        let key = scope.key(&format!("match/race/{race}"))?;
        scope.put(&key, "0 start", PutMode::Overwrite).await?;
        let told = join_all((0..WRITERS).map(|writer| increment(scope, &key, writer))).await;
        let (mut yes, mut nothing) = (0, 0);
        for (increments, unanswered) in told.into_iter().collect::<Result<Vec<_>, Seen>>()? {
            yes += increments;
            nothing += unanswered;
        }
        let (_, body) = scope.read(&key).await.map_err(seen)?;
        Ok((yes, nothing, count(&body)?))
    });
    let counted = join_all(races).await.into_iter().collect::<Result<Vec<(usize, usize, usize)>, Seen>>()?;
    let acknowledged: usize = counted.iter().map(|(yes, ..)| yes).sum();
    let found: usize = counted.iter().map(|(.., found)| found).sum();
    if counted.iter().any(|(yes, _, found)| found < yes) {
        return Err(Seen::new(
            Verdict::Races,
            format!("{acknowledged} increments of {KEYS} counters succeeded, the counters say {found}"),
        ));
    }
    if counted.iter().any(|(yes, nothing, found)| *found > yes + nothing) {
        return Err(stores_refused("counters went up by puts that were refused"));
    }
    if acknowledged == 0 {
        return Err(Seen::new(Verdict::Fails, "no put with a version succeeded while others tried too"));
    }
    Ok(())
}

/// Increments once, by reading and swapping until it is told yes: how often it was, and how often it was told nothing.
async fn increment(scope: &Scope<'_>, key: &Key, writer: usize) -> Result<(usize, usize), Seen> {
    let mut unanswered = 0;
    for attempt in 0..ATTEMPTS_MAX {
        let (version, body) = match scope.read(key).await {
            Ok(read) => read,
            Err(error) => {
                told(error, ErrorClass::VersionMismatch)?;
                continue;
            }
        };
        yield_now().await;
        // With the write's own name: stores may derive versions from bytes (O6).
        let next = format!("{} {writer}.{attempt}", count(&body)?.saturating_add(1));
        match scope.put(key, &next, PutMode::Match(version)).await {
            Ok(_) => return Ok((1, unanswered)),
            Err(error) => {
                if told(error, ErrorClass::VersionMismatch)? == Told::Nothing {
                    unanswered += 1;
                }
            }
        }
    }
    Ok((0, unanswered))
}

fn count(body: &str) -> Result<usize, Seen> {
    let number = body.split(' ').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| Seen::new(Verdict::Wrong, "a counter holds what nobody put there"))
}
