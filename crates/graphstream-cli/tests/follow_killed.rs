//! `follow` killed with SIGKILL, again and again, until everything is applied: nothing twice, nothing missing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::{Place, Signal, entries, moments};
use serde_json::Value;

const SEGMENTS: u64 = 4;
const ENTRIES_PER_SEGMENT: u64 = 250;
const ENTRIES: u64 = SEGMENTS * ENTRIES_PER_SEGMENT;

fn published() -> Place {
    let place = Place::new();
    place.fill(SEGMENTS, ENTRIES_PER_SEGMENT);
    place.ship();
    place
}

/// How many kills must hit a follower at work.
const KILLS_MIN: usize = 6;

/// Starts followers into a file of this name and kills them after seeded moments, then lets one reach the end. Where they are
/// too fast for that, it starts over with another file and shorter moments. Returns the file.
fn followed_with_kills(place: &Place, kind: &str, seed: u64) -> PathBuf {
    let mut max = Duration::from_millis(100);
    for attempt in 1.. {
        let path = place.path(&format!("{kind}-{seed:x}-{attempt}"));
        let target = format!("{kind}:{}", path.display());
        let mut killed = 0;
        for moment in moments(seed, 25, max) {
            let run = place.follow(&target).args(["--batch", "7", "--until-sequence", &ENTRIES.to_string()]);
            let follower = run.spawn();
            std::thread::sleep(moment);
            let ended = follower.kill(Signal::Kill);
            if ended.code() == Some(0) {
                break;
            }
            assert_eq!(ended.signal(), Some(9), "{}", ended.stderr);
            killed += 1;
        }
        place.follow(&target).args(["--once", "--batch", "7"]).ok();
        if killed >= KILLS_MIN {
            return path;
        }
        max = max * 2 / 3;
    }
    unreachable!("the loop has no end of its own")
}

#[test]
fn r05_a_file_has_every_entry_once_and_in_order() {
    let place = published();
    let expected = place.cat();
    for seed in [0x5eed_0001, 0x5eed_0002, 0x5eed_0003] {
        let path = followed_with_kills(&place, "jsonl", seed);
        assert_eq!(lines(&path), expected, "seed {seed:#x}");
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let without_lineage = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("lineage").unwrap();
        line
    };
    text.lines().map(without_lineage).collect()
}

#[test]
fn r05_a_file_torn_at_any_byte_of_its_last_line_is_mended() {
    let place = Place::new();
    place.append(entries(1, 6));
    place.ship();
    let path = place.path("copy.jsonl");
    let target = format!("jsonl:{}", path.display());
    place.follow(&target).arg("--once").ok();
    let whole = fs::read(&path).unwrap();
    let last_line = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in (last_line..whole.len()).step_by(17).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..cut]).unwrap();
        place.follow(&target).arg("--once").ok();
        assert!(fs::read(&path).unwrap() == whole, "cut at byte {cut}");
    }
}

#[cfg(feature = "grafeo")]
#[test]
fn r05_a_graph_has_every_node_once() {
    use graphstream::replay::ReplayTarget;
    use graphstream::target_grafeo::{GrafeoTarget, GraphDigest};

    fn digest(path: &Path) -> (GraphDigest, u64) {
        let mut graph = GrafeoTarget::open(path).unwrap();
        let sequence = graph.position().unwrap().unwrap().sequence;
        let digest = graph.digest().unwrap();
        graph.close().unwrap();
        (digest, sequence)
    }

    let place = published();
    let undisturbed = place.path("undisturbed.grafeo");
    place.follow(format!("grafeo:{}", undisturbed.display())).arg("--once").ok();
    let (expected, sequence) = digest(&undisturbed);
    assert_eq!((expected.node_count, sequence), (ENTRIES, ENTRIES));
    for seed in [0x5eed_0001, 0x5eed_0002] {
        let path = followed_with_kills(&place, "grafeo", seed);
        assert_eq!(digest(&path), (expected.clone(), ENTRIES), "seed {seed:#x}");
    }
}

#[test]
fn r05_a_follower_killed_while_the_leader_goes_on_catches_up() {
    let place = Place::new();
    place.append(entries(1, 1));
    place.ship();
    let path = place.path("copy.jsonl");
    let target = format!("jsonl:{}", path.display());
    let daemon = place.replicate().args(["--upload-interval", "5ms"]).spawn();
    let mut next = 2;
    for moment in moments(0x5eed_0004, 12, Duration::from_millis(40)) {
        let follower = place.follow(&target).args(["--batch", "3", "--poll-interval", "1ms"]).spawn();
        place.append(entries(next, 40));
        next += 40;
        std::thread::sleep(moment);
        follower.kill(Signal::Kill);
    }
    daemon.kill(Signal::Term).expect_code(0);
    place.follow(&target).arg("--once").ok();
    assert_eq!(lines(&path), place.cat());
}

#[test]
fn r05_what_killed_followers_fetched_is_removed_by_the_next() {
    let place = published();
    let target = format!("jsonl:{}", place.path("copy").display());
    let cache = place.path("cache");
    // Beside the target, and in a given directory.
    for (dir, flags) in
        [(place.path("copy.follow"), vec![]), (cache.clone(), vec!["--cache".as_ref(), cache.as_os_str()])]
    {
        let follow = || place.follow(&target).args(&flags);
        let left = || {
            let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().starts_with("graphstream-follow-")).count()
        };
        for _ in 0..3 {
            let follower = follow().spawn();
            follower.wait_for_stderr("its start", |lines| {
                lines.iter().any(|line| line.contains("following")).then_some(())
            });
            follower.kill(Signal::Kill);
        }
        assert_eq!(left(), 1, "the last one's in {}", dir.display());
        follow().arg("--once").ok();
        assert_eq!(left(), 0, "{}", dir.display());
    }
}
