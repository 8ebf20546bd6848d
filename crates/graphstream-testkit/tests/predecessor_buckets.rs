//! The predecessor's buckets with all that its defects leave in them, made by its own encoder: each is verified and imported, or refused
//! with what is wrong, at any cut into segments.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use graphstream_format::{ChainHash, Entry, ReadOptions, SegmentReader};
use graphstream_remote::{DatabaseName, HeadRead, Remote};
use graphstream_replication::Error;
use graphstream_replication::predecessor::{
    Import, ImportOptions, ImportReport, ObjectState, Predecessor, PredecessorError,
};
use graphstream_storage::{Key, MemoryBackend, PutMode, StorageBackend};
use hadb_changeset::journal::{self, JournalEntry};

#[path = "recorded/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod recorded;

/// The predecessor's 600 entries, as it chained them.
fn recorded_entries() -> Vec<JournalEntry> {
    let mut all = Vec::new();
    let mut before = journal::ZERO_HASH;
    for path in recorded::segments(recorded::SEALED.0) {
        let bytes = std::fs::read(path).unwrap();
        let reader =
            SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
        for entry in reader {
            let Entry { sequence, payload, .. } = entry.unwrap();
            let next = journal::compute_entry_hash(&before, &payload);
            all.push(JournalEntry { sequence, prev_hash: before, payload });
            before = next;
        }
    }
    all
}

fn chain(entries: &[JournalEntry]) -> ChainHash {
    let last = entries.last().unwrap();
    ChainHash::from_bytes(journal::compute_entry_hash(&last.prev_hash, &last.payload))
}

/// Sealed by the predecessor's own code.
fn sealed(entries: &[JournalEntry], compressed: bool) -> Vec<u8> {
    let segment = journal::seal(entries.to_vec(), journal::hash_to_u64(&entries[0].prev_hash));
    if compressed { journal::encode_compressed(&segment, 3) } else { journal::encode(&segment) }
}

struct Bucket {
    store: Arc<MemoryBackend>,
    runtime: tokio::runtime::Runtime,
}

impl Bucket {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { store: Arc::new(MemoryBackend::new()), runtime }
    }

    /// Puts an object where the predecessor would, under this number.
    fn put(&self, number: u64, bytes: Vec<u8>) {
        let key = Key::new(format!("old/people/0000/{number:016x}.hadbj")).unwrap();
        self.runtime.block_on(self.store.put(&key, bytes.into(), PutMode::Overwrite)).unwrap();
    }

    fn source(&self) -> Predecessor {
        let store: Arc<dyn StorageBackend> = Arc::<MemoryBackend>::clone(&self.store);
        Predecessor::new(store, "old/", "people")
    }

    fn remote(&self) -> Remote {
        let store: Arc<dyn StorageBackend> = Arc::<MemoryBackend>::clone(&self.store);
        Remote::new(store, "new", DatabaseName::new("people").unwrap()).unwrap()
    }

    fn import(&self) -> Result<ImportReport, Error> {
        self.runtime.block_on(async {
            let import = Import::prepare(self.source(), self.remote(), |_| ()).await?;
            import.run(ImportOptions::default().with_segment_bytes_max(3000), |_| ()).await
        })
    }

    /// What `verify` finds wrong, and duplicates.
    fn verify(&self) -> (Vec<String>, u64) {
        let mut wrong = Vec::new();
        let totals = self.runtime.block_on(async {
            let survey = self.source().survey().await.unwrap();
            self.source()
                .verify(survey, |object| {
                    if let ObjectState::Bad(error) = &object.state {
                        wrong.push(format!("{error:?}"));
                    }
                })
                .await
                .unwrap()
        });
        (wrong, totals.duplicates)
    }

    /// Expects both to refuse it, for the reason that `is` knows, and nothing to be written.
    #[track_caller]
    fn refused(&self, is: impl Fn(&PredecessorError) -> bool) {
        let (wrong, _) = self.verify();
        assert!(!wrong.is_empty());
        match self.import() {
            Err(Error::Predecessor(error)) if is(&error) => {}
            other => panic!("{other:?}, verified {wrong:?}"),
        }
        let head = self.runtime.block_on(self.remote().read_head(None)).unwrap();
        assert_eq!(head, HeadRead::Missing);
    }
}

/// Cuts entries at these places.
fn cuts<'a>(entries: &'a [JournalEntry], at: &[usize]) -> Vec<&'a [JournalEntry]> {
    let bounds: Vec<_> = [0].into_iter().chain(at.iter().copied()).chain([entries.len()]).collect();
    bounds.windows(2).map(|pair| &entries[pair[0]..pair[1]]).collect()
}

#[test]
fn any_cut_into_segments_is_the_same_history() {
    let entries = &recorded_entries()[..90];
    for (seed, at) in
        [&[][..], &[1], &[89], &[10, 11, 50], &[30, 60], &[1, 2, 3, 4, 5]].into_iter().enumerate()
    {
        let bucket = Bucket::new();
        for (number, part) in cuts(entries, at).into_iter().enumerate() {
            bucket.put(part[0].sequence, sealed(part, (seed + number) % 2 == 0));
        }
        assert_eq!(bucket.verify(), (Vec::new(), 0));
        let report = bucket.import().unwrap();
        assert_eq!((report.committed.sequence, report.committed.chain.hash()), (90, Some(chain(entries))));
        assert!(report.segments > 1);
        // Once more: nothing is left to do.
        assert_eq!(bucket.import().unwrap().segments, 0);
    }
}

/// PEERS 20, 21: compacted segments under a time, originals never deleted; 0.4 overwrites the first original instead.
#[test]
fn u6_compacted_segments_beside_their_originals_are_told_to_be_the_same() {
    let entries = &recorded_entries()[..90];
    for compacted_number in [1_777_900_000_000, 1] {
        let bucket = Bucket::new();
        for part in cuts(entries, &[30, 60]) {
            bucket.put(part[0].sequence, sealed(part, true));
        }
        bucket.put(compacted_number, sealed(&entries[..60], true));
        let duplicates = if compacted_number == 1 { 1 } else { 2 };
        assert_eq!(bucket.verify(), (Vec::new(), duplicates));
        let report = bucket.import().unwrap();
        assert_eq!(report.committed.chain.hash(), Some(chain(entries)));
    }
}

/// PEERS 18, 23: two writers under one name. Where both left something, it shows; that it is not taken for a duplicate takes the chain.
#[test]
fn u7_two_histories_under_one_name_are_a_fork() {
    let entries = &recorded_entries()[..90];
    let mut theirs = entries.to_vec();
    // The rival's own entry 45, and everything chained anew behind it.
    theirs[44].payload = theirs[43].payload.clone();
    theirs[44].payload[1] = 45;
    for at in 45..90 {
        theirs[at].prev_hash =
            journal::compute_entry_hash(&theirs[at - 1].prev_hash, &theirs[at - 1].payload);
    }
    let is_fork = |error: &PredecessorError| matches!(error, PredecessorError::Fork { .. });
    // Overwritten in the middle: the next of ours does not join.
    let bucket = Bucket::new();
    for (part, other) in cuts(entries, &[30, 60]).into_iter().zip(cuts(&theirs, &[30, 60])) {
        bucket.put(part[0].sequence, sealed(if part[0].sequence == 31 { other } else { part }, true));
    }
    bucket.refused(is_fork);
    // Under a number of its own, with the same sequences.
    let bucket = Bucket::new();
    for part in cuts(entries, &[30, 60]) {
        bucket.put(part[0].sequence, sealed(part, true));
    }
    bucket.put(1_777_900_000_000, sealed(&theirs[30..60], true));
    bucket.refused(is_fork);
}

/// PEERS 9, 16: holes, at every place but the end, where nothing shows.
#[test]
fn u3_every_hole_is_a_gap_with_its_sequences() {
    let entries = &recorded_entries()[..90];
    let parts = cuts(entries, &[10, 20, 30, 40]);
    for missing in 0..parts.len() - 1 {
        let bucket = Bucket::new();
        for (_, part) in parts.iter().enumerate().filter(|(number, _)| *number != missing) {
            bucket.put(part[0].sequence, sealed(part, true));
        }
        let (first, last) = (parts[missing][0].sequence, parts[missing][parts[missing].len() - 1].sequence);
        bucket.refused(|error| {
            matches!(error, PredecessorError::Gap { first: from, last: to } if (*from, *to) == (first, last))
        });
    }
}

/// PEERS 40: the predecessor's chain does not cover the sequence, and its decoder takes any.
#[test]
fn r9_sequences_that_do_not_follow_and_payloads_of_others_are_refused() {
    let entries = &recorded_entries()[..30];
    // Renumbered: the chain is whole, the payloads say otherwise.
    let mut renumbered = entries.to_vec();
    for entry in &mut renumbered[10..] {
        entry.sequence += 1;
    }
    let bucket = Bucket::new();
    bucket.put(1, sealed(&renumbered, true));
    bucket.refused(|error| matches!(error, PredecessorError::Object { .. }));
    let shifted: Vec<_> =
        entries.iter().cloned().map(|entry| JournalEntry { sequence: entry.sequence + 1, ..entry }).collect();
    let bucket = Bucket::new();
    bucket.put(1, sealed(&entries[..1], true));
    bucket.put(2, sealed(&shifted[1..], true));
    bucket.refused(|error| matches!(error, PredecessorError::Gap { first: 2, last: 2 }));
    let bucket = Bucket::new();
    bucket.put(1, sealed(&shifted[1..], true));
    bucket.refused(|error| matches!(error, PredecessorError::Gap { first: 1, last: 2 }));
    // A payload that says another sequence, in a chain of its own.
    let mut wrong = entries.to_vec();
    wrong[9].payload = wrong[8].payload.clone();
    for at in 10..30 {
        wrong[at].prev_hash = journal::compute_entry_hash(&wrong[at - 1].prev_hash, &wrong[at - 1].payload);
    }
    let bucket = Bucket::new();
    bucket.put(1, sealed(&wrong, true));
    bucket.refused(|error| matches!(error, PredecessorError::Payload { sequence: 10, .. }));
}

/// PEERS 39: no byte of the predecessor's header is covered by a checksum.
#[test]
fn r6_every_flipped_byte_is_refused_or_changes_nothing() {
    let entries = &recorded_entries()[..20];
    let whole = sealed(entries, true);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        let bucket = Bucket::new();
        bucket.put(1, flipped);
        match bucket.import() {
            // Its creation time, which nothing covers: only commit times come from it.
            Ok(report) => {
                assert_eq!((at, report.committed.chain.hash()), (at.clamp(84, 91), Some(chain(entries))))
            }
            Err(Error::Predecessor(_)) => {}
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    for cut in (0..whole.len()).step_by(7) {
        let bucket = Bucket::new();
        bucket.put(1, whole[..cut].to_vec());
        bucket.refused(|error| matches!(error, PredecessorError::Object { .. }));
    }
}
