//! Point-in-time restore of the bundled sample into grafeo: a restored graph equals the one that the first entries make, wherever they
//! are cut, by sequence and by time, from the first entry and from snapshots whose segments below are gone.
//!
//! ```text
//!  sample ──▶ journal ──▶ store ──▶ restore at a random point ──▶ digest ─┐
//!     └──────▶ one graph, entry by entry: a digest at each of the points ─┴─▶ equal
//! ```
//! 16 points in CI; `GRAPHSTREAM_PITR_POINTS=200` takes so many, from `GRAPHSTREAM_PITR_SEED`.
#![cfg(all(feature = "fs", feature = "grafeo"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use graphstream::format::ChainHash;
use graphstream::proto::JournalEntry;
use graphstream::proto::json::parse_line;
use graphstream::remote::{DatabaseName, Remote, SegmentName};
use graphstream::replay::{ReplayEntry, ReplayTarget};
use graphstream::replication::{Engine, OpenedBy, RestoreReport, UploaderOptions};
use graphstream::storage::StorageBackend;
use graphstream::storage_fs::{FsBackend, FsOptions};
use graphstream::target_grafeo::{GRAFEO_VERSION, GrafeoTarget, GraphDigest};
use graphstream::{Ack, Goal, Journal, JournalOptions, Restore, Snapshot, Uploader};

const SAMPLE: &[u8] = include_bytes!("../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");
const SCHEMA: &[u8] = include_bytes!("../../graphstream-cli/sample/schema-grafeo.jsonl");
/// Where it lies if it is there: the whole data set that the sample is of.
const WHOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ldbc-snb-sf01-sample.jsonl");

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// The indexes, then the mutations.
fn entries() -> Vec<JournalEntry> {
    let whole = std::env::var_os("GRAPHSTREAM_PITR_WHOLE").map(|_| std::fs::read(WHOLE).unwrap());
    let sample: Box<dyn BufRead> = match whole {
        Some(bytes) => Box::new(std::io::Cursor::new(bytes)),
        None => Box::new(BufReader::new(zstd::Decoder::new(SAMPLE).unwrap())),
    };
    let lines = SCHEMA.lines().chain(sample.lines()).map(Result::unwrap).filter(|line| !line.is_empty());
    lines.map(|line| parse_line(&line, 1_700_000_000_000).unwrap()).collect()
}

/// Three entries share a commit time.
fn commit_ms(sequence: u64) -> i64 {
    1_700_000_000_000 + i64::try_from(sequence / 3).unwrap()
}

fn engine() -> Arc<dyn Engine> {
    let open = |path: &Path| Ok(Box::new(GrafeoTarget::open(path)?) as Box<dyn ReplayTarget>);
    Arc::new(OpenedBy::new("grafeo", GRAFEO_VERSION, open))
}

struct Archive {
    dir: tempfile::TempDir,
    last: u64,
}

impl Archive {
    fn remote(&self) -> Remote {
        let store = FsBackend::open(self.dir.path().join("store"), FsOptions::default()).unwrap();
        Remote::new(Arc::new(store) as Arc<dyn StorageBackend>, "", DatabaseName::new("social").unwrap())
            .unwrap()
    }

    async fn of(entries: &[JournalEntry]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions::default().with_segment_bytes_max(96 << 10);
        let (journal, _) = Journal::builder(dir.path().join("journal")).options(options).open().unwrap();
        let mut last = 0;
        for entry in entries {
            last += 1;
            let ticket = journal.append_at(entry.encode().unwrap(), commit_ms(last)).unwrap();
            if last == entries.len() as u64 {
                let _ = ticket.wait(Ack::Synced).unwrap();
            }
        }
        journal.seal().unwrap();
        journal.close().unwrap();
        let this = Self { dir, last };
        let options = UploaderOptions::default();
        let uploader =
            Uploader::open(this.dir.path().join("journal"), this.remote(), options, Arc::default());
        uploader.await.unwrap().ship().await.unwrap();
        this
    }

    /// Restores a graph, and gives it and the report to whoever looks at it; then it is removed.
    async fn restored<T>(&self, goal: Goal, look: impl FnOnce(RestoreReport, &Path) -> T) -> T {
        let place = tempfile::tempdir_in(self.dir.path()).unwrap();
        let path = place.path().join("graph.grafeo");
        let report = Restore::into_database(self.remote(), &path, engine()).goal(goal).run().await.unwrap();
        look(report, &path)
    }

    async fn digest(&self, goal: Goal) -> (RestoreReport, GraphDigest) {
        self.restored(goal, |report, path| (report, GrafeoTarget::open(path).unwrap().digest().unwrap()))
            .await
    }

    async fn snapshot(&self, sequence: u64) {
        let place = tempfile::tempdir_in(self.dir.path()).unwrap();
        let path = place.path().join("source.grafeo");
        let goal = Goal::Sequence(sequence);
        Restore::into_database(self.remote(), &path, engine()).goal(goal).run().await.unwrap();
        let report = Snapshot::of_path(self.remote(), &path, engine()).create().await.unwrap();
        assert_eq!(report.name.sequence(), sequence);
    }

    /// Removes the segments that hold nothing beyond `sequence`.
    fn collect(&self, sequence: u64) {
        let seg = self.dir.path().join("store/social/seg/0");
        for file in std::fs::read_dir(seg).unwrap() {
            let path = file.unwrap().path();
            let name = format!("seg/0/{}", path.file_name().unwrap().to_str().unwrap());
            if SegmentName::parse(&name).unwrap().last() <= sequence {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

/// The digests of the graphs that the first entries make, for each of these numbers of them.
fn expected(entries: &[JournalEntry], points: &[u64]) -> BTreeMap<u64, GraphDigest> {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("direct.grafeo")).unwrap();
    let lineage = graphstream::format::Lineage::from_bytes([7; 16]);
    let (mut digests, mut applied, mut chain) = (BTreeMap::new(), 0, ChainHash::ZERO);
    for &point in points {
        while applied < point {
            let upto = point.min(applied + 250);
            let mut batch = Vec::new();
            for sequence in applied + 1..=upto {
                let entry = entries[usize::try_from(sequence).unwrap() - 1].clone();
                chain = chain.after(&entry.encode().unwrap());
                batch.push(ReplayEntry { sequence, commit_ms: 0, chain_hash: chain, entry });
            }
            let position = batch.last().unwrap().position(lineage);
            target.apply(&batch, position).unwrap();
            applied = upto;
        }
        digests.insert(point, target.digest().unwrap());
    }
    digests
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test]
async fn a_restored_graph_is_the_one_that_the_first_entries_make() {
    let entries = entries();
    let count = from_environment("GRAPHSTREAM_PITR_POINTS", 16);
    let mut state = from_environment("GRAPHSTREAM_PITR_SEED", 20_261_129).max(1);
    let archive = Archive::of(&entries).await;
    let last = archive.last;
    let lowest = last / 3;
    // A quarter by sequence and a quarter by time from the first entry, and the same of those that snapshots lead to.
    let mut points = Vec::new();
    for n in 0..count {
        let from = if n % 2 == 0 { 1 } else { lowest };
        let sequence = from + random(&mut state) % (last - from + 1);
        let by_time = n % 4 >= 2;
        let upto = if by_time { (sequence / 3 * 3 + 2).min(last) } else { sequence };
        let goal = if by_time { Goal::Time(commit_ms(sequence)) } else { Goal::Sequence(sequence) };
        points.push((n % 2 == 1, goal, upto));
    }
    let mut wanted: Vec<u64> = points.iter().map(|(_, _, upto)| *upto).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let expected = expected(&entries, &wanted);
    for (_, goal, upto) in points.iter().filter(|(from_snapshot, ..)| !from_snapshot) {
        let (report, digest) = archive.digest(goal.clone()).await;
        assert_eq!((report.position.sequence, report.plan.after), (*upto, 0), "{goal:?}");
        assert_eq!(digest, expected[upto], "{goal:?}");
    }
    for part in 0..3 {
        archive.snapshot(lowest + (last - lowest) * part / 3).await;
    }
    archive.collect(lowest);
    for (_, goal, upto) in points.iter().filter(|(from_snapshot, ..)| *from_snapshot) {
        let (report, digest) = archive.digest(goal.clone()).await;
        assert_eq!(report.position.sequence, *upto, "{goal:?}");
        assert!(report.plan.snapshot.is_some() && report.plan.after >= lowest, "{goal:?}");
        assert_eq!(digest, expected[upto], "{goal:?}");
    }
    let below = Restore::into_database(archive.remote(), archive.dir.path().join("below"), engine());
    below.goal(Goal::Sequence(lowest - 1)).run().await.unwrap_err();
}
