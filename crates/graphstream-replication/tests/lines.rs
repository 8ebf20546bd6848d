//! A follower of a target that takes lines, and makes them durable when it is asked where it stands: what was not durable when it died comes
//! again, and nothing else does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::sync::{Arc, Mutex};

use graphstream_format::Position;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_proto::json::parse_entry_line;
use graphstream_replay::{
    Error, Guarantee, JsonlTarget, LineBatch, Reason, ReplayEntry, ReplayTarget, Result,
};
use graphstream_replication::{Follower, Stop};
use world::{World, eager_follower};

#[derive(Debug, Default)]
struct Held {
    durable: Vec<u64>,
    position: Option<Position>,
    taken: Vec<u64>,
    taken_to: Option<Position>,
    calls: u32,
    /// The call that finds it dead, of those that take lines and ask where it stands.
    dies_at: u32,
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Held>>);

impl Lines {
    fn call(&self) -> Result<std::sync::MutexGuard<'_, Held>> {
        let mut held = self.0.lock().unwrap();
        held.calls += 1;
        if held.calls == held.dies_at {
            let source = Box::new(Reason::new("it died"));
            return Err(Error::Gone { target: "lines".to_owned(), attempt: "being there", source });
        }
        Ok(held)
    }
}

impl ReplayTarget for Lines {
    fn name(&self) -> &str {
        "lines"
    }
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }
    fn position(&mut self) -> Result<Option<Position>> {
        let mut held = self.call()?;
        let taken = std::mem::take(&mut held.taken);
        held.durable.extend(taken);
        held.position = held.taken_to.take().or(held.position);
        Ok(held.position)
    }
    fn apply(&mut self, _: &[ReplayEntry], _: Position) -> Result<()> {
        panic!("it takes lines")
    }
    fn takes_lines(&self) -> bool {
        true
    }
    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        let mut held = self.call()?;
        let sequences = lines.text().lines().map(|line| parse_entry_line(line).unwrap().sequence);
        held.taken.extend(sequences);
        held.taken_to = Some(lines.last());
        Ok(false)
    }
    fn reopen(&mut self) -> Result<()> {
        let mut held = self.0.lock().unwrap();
        held.taken.clear();
        held.taken_to = None;
        Ok(())
    }
    fn close(&mut self) -> Result<()> {
        self.position().map(drop)
    }
}

#[tokio::test]
async fn r05_dead_at_any_call_what_was_not_durable_comes_again_once() {
    let world = World::new();
    world.published(40).await;
    let mut deaths = 0;
    // The first call, which asks where it stands, is that of opening.
    for dies_at in 2.. {
        let target = Lines::default();
        target.0.lock().unwrap().dies_at = dies_at;
        let metrics = Arc::<GraphstreamMetrics>::default();
        let options = eager_follower().with_batch_entries_max(3);
        let to = Box::new(target.clone());
        let mut follower = Follower::open(world.remote(), to, options, Arc::clone(&metrics)).await.unwrap();
        let status = follower.catch_up(None, &Stop::new()).await;
        let held = target.0.lock().unwrap();
        let died = held.calls >= dies_at;
        match status {
            Ok(status) => {
                assert_eq!(status.applied_sequence(), 40);
                assert_eq!(held.durable, Vec::from_iter(1..=40), "dies at {dies_at}");
                assert_eq!(metrics.snapshot().follower.entries_applied, 40);
                assert_eq!((status.lag_entries(), status.lag_bytes), (0, 0));
            }
            // Nobody opens it again when the follower only wants to know where it has ended.
            Err(error) => assert!(died && held.durable.len() == 40, "{error}, dies at {dies_at}"),
        }
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 14, "{deaths}");
}

#[tokio::test]
async fn a_file_of_lines_is_the_same_however_it_was_followed() {
    let world = World::new();
    world.published(40).await;
    let dir = tempfile::tempdir().unwrap();
    let mut texts = Vec::new();
    for stops in [vec![40], (1..=40).collect::<Vec<_>>(), vec![7, 8, 23, 40]] {
        let path = dir.path().join(format!("{}.jsonl", stops.len()));
        for until in stops {
            let target = Box::new(JsonlTarget::open(&path).unwrap());
            let options = eager_follower();
            let mut follower = Follower::open(world.remote(), target, options, Arc::default()).await.unwrap();
            let status = follower.catch_up(Some(until), &Stop::new()).await.unwrap();
            assert_eq!(status.applied_sequence(), until);
        }
        texts.push(std::fs::read_to_string(&path).unwrap());
    }
    assert_eq!(texts[0].lines().count(), 40);
    assert!(texts.iter().all(|text| *text == texts[0]));
}
