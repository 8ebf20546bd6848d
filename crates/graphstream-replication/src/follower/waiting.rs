//! Reading one's own writes: waiting until a follower has applied what a leader acknowledged.
//!
//! A position is lineage, sequence and chain hash. The sequence says when to stop waiting; the other two say whether what was applied is
//! what was acknowledged, and not what another leader wrote in its place.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{BufReader, Seek};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graphstream_format::{ChainHash, Entry, Lineage, Position, SegmentReader};
use graphstream_remote::{HeadReader, Remote, SegmentSink};
use tokio::sync::watch;

use super::path;
use super::status::FollowerStatus;
use crate::threads::blocking;
use crate::{Error, Result};

/// So many chain hashes are remembered; older ones are looked up in the store. Half a MiB.
const REMEMBERED: usize = 16_384;

/// The chain hashes that a follower has passed, as far as it remembers.
#[derive(Debug, Default)]
pub(super) struct Passed {
    lineage: Option<Lineage>,
    /// The last sequence of `hashes`.
    last: u64,
    /// Of consecutive entries.
    hashes: VecDeque<ChainHash>,
    /// The follower was told to stop, or has failed.
    ended: bool,
}

/// What is known of a position.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// Its entry is not applied yet.
    NotYet,
    /// The chain hash there.
    Hash(ChainHash),
    /// It was passed too long ago.
    Forgotten,
    /// Another history is followed.
    Lineage(Lineage),
}

impl Passed {
    /// The target stands here, however it got there.
    pub(super) fn stands_at(&mut self, position: Option<Position>) {
        let Some(position) = position else { return };
        let known = self.known(&position);
        self.lineage = Some(position.lineage);
        if known != Known::Hash(position.chain_hash) {
            self.hashes.clear();
            self.hashes.push_back(position.chain_hash);
            self.last = position.sequence;
        }
    }

    /// Consecutive entries were applied, the last of which has this sequence.
    pub(super) fn applied(&mut self, hashes: Vec<ChainHash>, last: Position) {
        self.lineage = Some(last.lineage);
        if self.last.checked_add(hashes.len() as u64) != Some(last.sequence) {
            self.hashes.clear();
        }
        self.last = last.sequence;
        self.hashes.extend(hashes);
        let more = self.hashes.len().saturating_sub(REMEMBERED);
        self.hashes.drain(..more);
    }

    pub(super) fn set_ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    fn known(&self, position: &Position) -> Known {
        match self.lineage {
            Some(lineage) if lineage != position.lineage => return Known::Lineage(lineage),
            _ => {}
        }
        let Some(back) = self.last.checked_sub(position.sequence) else { return Known::NotYet };
        let at = usize::try_from(back).ok().and_then(|back| self.hashes.len().checked_sub(back + 1));
        at.and_then(|at| self.hashes.get(at)).map_or(Known::Forgotten, |hash| Known::Hash(*hash))
    }
}

/// Waits for what one follower applies. Clones wait for the same; none holds it up.
#[derive(Debug, Clone)]
pub struct Waiter {
    passed: Arc<Mutex<Passed>>,
    status: watch::Receiver<FollowerStatus>,
    remote: Remote,
}

impl Waiter {
    pub(super) fn new(
        passed: Arc<Mutex<Passed>>,
        status: watch::Receiver<FollowerStatus>,
        remote: Remote,
    ) -> Self {
        Self { passed, status, remote }
    }

    /// Waits until the target has everything up to `position`, which a leader returned
    /// ([`Written::position`](crate::Written::position), [`Leader::token`](crate::Leader::token)). One that was reached long ago is compared with
    /// the history in the store.
    ///
    /// # Errors
    /// [`Error::ForeignPosition`] for a position of another lineage, [`Error::PositionForked`] if the history went on without that entry (its
    /// leader was fenced), as soon as that shows; [`Error::Ended`] when the follower ends before; [`Error::Remote`] when an old
    /// position can't be looked up.
    pub async fn wait(&self, position: Position) -> Result<()> {
        if position.sequence == 0 {
            return Ok(());
        }
        let mut status = self.status.clone();
        loop {
            status.mark_unchanged();
            let (known, ended) = {
                let passed = lock(&self.passed);
                (passed.known(&position), passed.ended)
            };
            match known {
                Known::Lineage(followed) => {
                    return Err(Error::ForeignPosition { waited: position.lineage, followed });
                }
                Known::Hash(found) => return compare(&position, found),
                Known::Forgotten => return compare(&position, self.look_up(position).await?),
                Known::NotYet if ended => return Err(Error::Ended("the follower")),
                Known::NotYet => {
                    if status.changed().await.is_err() {
                        return Err(Error::Ended("the follower"));
                    }
                }
            }
        }
    }

    /// As [`wait`](Self::wait), but not for longer than `at_most`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`Error::NotApplied`] when the time is over.
    pub async fn wait_at_most(&self, position: Position, at_most: Duration) -> Result<()> {
        match tokio::time::timeout(at_most, self.wait(position)).await {
            Ok(waited) => waited,
            Err(_) => Err(Error::NotApplied {
                sequence: position.sequence,
                applied: self.status.borrow().applied_sequence(),
                waited: at_most,
            }),
        }
    }

    /// The chain hash of the published history at a position that was passed long ago.
    async fn look_up(&self, position: Position) -> Result<ChainHash> {
        let mut reader = HeadReader::new(self.remote.clone())?.with_lineage(position.lineage);
        let mut missing = Vec::new();
        let (planned, file, committed) = loop {
            let plan = reader.resolve(position.sequence.saturating_sub(1), &missing).await?;
            let (head, committed) = (&plan.head.head, plan.head.head.committed().sequence);
            let planned = *plan.segments.first().ok_or_else(|| self.gap(position.sequence, committed))?;
            let mut sink = Sink(tempfile::tempfile().map_err(look_up_failed)?);
            if self.remote.fetch_segment(head, &planned, &mut sink).await?.is_some() {
                break (planned, sink.0, committed);
            }
            // Compacted away, or gone.
            missing.push(planned.name);
        };
        let remote = self.remote.clone();
        let found = blocking("looking up a position", move || {
            chain_hash_at(&remote, file, position)
                .map_err(|source| Error::Segment { segment: planned.name, source: Box::new(source) })
        })
        .await?;
        found.ok_or_else(|| self.gap(position.sequence, committed))
    }

    fn gap(&self, sequence: u64, committed: u64) -> Error {
        let database = self.remote.layout().database().to_string();
        Error::Remote(graphstream_remote::Error::Gap { database, first: sequence, last: sequence, committed })
    }
}

fn look_up_failed(source: std::io::Error) -> Error {
    Error::Cache { attempted: "creating a temporary file in", path: std::env::temp_dir(), source }
}

fn chain_hash_at(
    remote: &Remote,
    mut file: std::fs::File,
    position: Position,
) -> graphstream_format::Result<Option<ChainHash>> {
    let read = |source| graphstream_format::Error::Io { operation: "reading", offset: 0, source };
    let bytes = file.stream_position().map_err(read)?;
    file.rewind().map_err(read)?;
    let options = path::options(remote, &mut file).map_err(read)?;
    let options = options.with_expected_lineage(position.lineage).with_legacy_refused();
    let mut reader = SegmentReader::new(BufReader::new(file), bytes, options)?;
    let (mut entry, mut found) = (Entry::default(), None);
    // To the end: only then the segment is known to be whole.
    while reader.read_next(&mut entry)? {
        if entry.sequence == position.sequence {
            found = Some(entry.chain_hash);
        }
    }
    Ok(found)
}

struct Sink(std::fs::File);

impl SegmentSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        std::io::Write::write_all(&mut self.0, chunk)
    }
}

fn compare(position: &Position, followed: ChainHash) -> Result<()> {
    if followed == position.chain_hash {
        return Ok(());
    }
    Err(Error::PositionForked { sequence: position.sequence, waited: position.chain_hash, followed })
}

pub(super) fn lock(passed: &Mutex<Passed>) -> MutexGuard<'_, Passed> {
    passed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl super::Follower {
    /// What others wait with while this runs.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        Waiter::new(Arc::clone(&self.passed), self.watch(), self.reader.remote().clone())
    }

    /// As [`Waiter::wait`]; the future does not hold on to the follower, which must run meanwhile.
    pub fn wait(&self, position: Position) -> impl Future<Output = Result<()>> + Send + use<> {
        let waiter = self.waiter();
        async move { waiter.wait(position).await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> ChainHash {
        ChainHash::ZERO.after(&number.to_be_bytes())
    }

    fn position(sequence: u64) -> Position {
        Position { lineage: Lineage::from_bytes([1; 16]), sequence, chain_hash: hash(sequence) }
    }

    fn batch(first: u64, last: u64) -> (Vec<ChainHash>, Position) {
        ((first..=last).map(hash).collect(), position(last))
    }

    #[test]
    fn the_newest_chain_hashes_are_remembered_and_no_more() {
        let mut passed = Passed::default();
        assert_eq!(passed.known(&position(1)), Known::NotYet);
        passed.stands_at(Some(position(10)));
        assert_eq!(passed.known(&position(9)), Known::Forgotten);
        assert_eq!(passed.known(&position(10)), Known::Hash(hash(10)));
        let mut next = 11;
        while next < 3 * REMEMBERED as u64 {
            let (hashes, last) = batch(next, next + 499);
            passed.applied(hashes, last);
            next += 500;
        }
        let (last, oldest) = (next - 1, next - REMEMBERED as u64);
        assert_eq!(passed.hashes.len(), REMEMBERED);
        for sequence in [last, oldest, last - 777] {
            assert_eq!(passed.known(&position(sequence)), Known::Hash(hash(sequence)), "{sequence}");
        }
        assert_eq!(passed.known(&position(oldest - 1)), Known::Forgotten);
        assert_eq!(passed.known(&position(last + 1)), Known::NotYet);
        let foreign = Position { lineage: Lineage::from_bytes([2; 16]), ..position(last) };
        assert_eq!(passed.known(&foreign), Known::Lineage(position(1).lineage));
    }

    #[test]
    fn a_target_that_was_reopened_stands_where_it_says() {
        let mut passed = Passed::default();
        let (hashes, last) = batch(1, 20);
        passed.applied(hashes, last);
        // Where it was: what is remembered stays.
        passed.stands_at(Some(position(20)));
        assert_eq!(passed.known(&position(3)), Known::Hash(hash(3)));
        // A batch further, whose answer was lost.
        passed.stands_at(Some(position(25)));
        assert_eq!(passed.known(&position(20)), Known::Forgotten);
        assert_eq!(passed.known(&position(25)), Known::Hash(hash(25)));
    }
}
