//! Readers, compared with the vector.

use std::sync::Arc;

use graphstream_journal::{Entry, Error, JournalDir, JournalReader, ReaderOptions, Service};
use graphstream_testkit::CrashFs;

use super::expected::Expected;
use super::system::DIR;

fn open(fs: &CrashFs, from: usize, follow: bool) -> JournalReader {
    let options = ReaderOptions::default().with_from_sequence(from as u64).with_follow(follow);
    JournalReader::open_on(DIR, options, Arc::new(fs.clone())).unwrap()
}

/// Reads from a sequence (0: the first there is) to the end. `still`: nobody writes meanwhile.
pub(crate) fn read_from(fs: &CrashFs, from: usize, still: bool, expected: &mut Expected) {
    let first = if from == 0 { expected.released + 1 } else { from };
    let mut next = first;
    let mut commit_ms = i64::MIN;
    let mut reader = open(fs, from, false);
    let end = loop {
        match reader.next() {
            Some(Ok(entry)) => {
                assert!(next <= expected.len(), "phantom entry {}", entry.sequence);
                expected.check(next, &entry);
                assert!(entry.commit_ms >= commit_ms, "the commit time of {next} goes back");
                commit_ms = entry.commit_ms;
                next += 1;
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(reader.next().is_none() && reader.torn_tail().is_none());
    match end {
        _ if first <= expected.released => assert!(matches!(end, Some(Error::Gap { .. })), "{end:?}"),
        Some(Error::BeyondEnd { .. }) => {
            assert!(next == first && first > expected.written + 1, "{first} isn't beyond the end");
        }
        Some(error) => panic!("{error:?}"),
        None if still => {
            assert_eq!(next, expected.written + 1, "not all was read");
            assert_eq!(reader.position().map_or(0, |position| position.sequence), expected.written as u64);
        }
        None => assert!(next > expected.written, "read up to {next}, {} are written", expected.written),
    }
}

/// The chain hash after a sequence, as the directory finds it.
pub(crate) fn chain_at(dir: &JournalDir, sequence: usize, still: bool, expected: &Expected) {
    match dir.chain_at(sequence as u64) {
        Ok(found) => assert_eq!(found, expected.chain_at(sequence)),
        Err(Error::Gap { .. }) => assert!((1..expected.released).contains(&sequence)),
        Err(Error::BeyondEnd { .. }) => assert!(sequence > expected.written),
        Err(error) => panic!("{error:?}"),
    }
    if still && sequence > expected.written {
        assert!(dir.chain_at(sequence as u64).is_err());
    }
}

/// A reader that follows for as long as its file system exists.
#[derive(Default)]
pub(crate) struct Follower {
    reader: Option<JournalReader>,
    read: usize,
}

impl Follower {
    /// Reads everything that is written by now.
    pub(crate) fn catch_up(&mut self, fs: &CrashFs, service: Service, expected: &mut Expected) {
        let reader = self.reader.get_or_insert_with(|| open(fs, 0, true));
        if JournalReader::position(reader).is_none() {
            // It begins where the journal does when it first finds something.
            self.read = expected.released;
        }
        let mut entry = Entry::default();
        loop {
            match reader.read_next(&mut entry) {
                Ok(true) => {
                    self.read += 1;
                    assert!(self.read <= expected.len(), "phantom entry {}", entry.sequence);
                    expected.check(self.read, &entry);
                }
                Ok(false) => break,
                // It was left behind by cleaning up.
                Err(Error::Gap { .. }) if self.read < expected.released => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        if self.read < expected.released {
            self.reader = None;
        } else if service == Service::Inline {
            assert_eq!(self.read, expected.written, "the follower has not read all");
        } else {
            assert!(self.read >= expected.written, "the follower has not read all");
        }
    }
}
