//! The vector: what was appended, and how much of it must be there.

use std::collections::{BTreeMap, BTreeSet};

use graphstream_journal::{ChainHash, Entry};

/// An entry that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) payload: Vec<u8>,
    pub(crate) chain_hash: ChainHash,
    /// What the appender asked for.
    pub(crate) asked_ms: Option<i64>,
    /// Its commit time, once that is known.
    pub(crate) commit_ms: Option<i64>,
    /// Whether the journal may end here: it is no batch's beginning.
    pub(crate) ends_unit: bool,
}

/// What the journal must hold. Sequences are places in `entries`, from 1.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) entries: Vec<Accepted>,
    /// Acknowledged as written, or seen in a position: it survives a kill.
    pub(crate) written: usize,
    /// The same for synced and power cuts.
    pub(crate) synced: usize,
    /// The first sequence that was not released, less one.
    pub(crate) released: usize,
    pub(crate) cursors: BTreeMap<&'static str, usize>,
    /// Cursors whose removal a power cut may undo.
    pub(crate) removed_cursors: BTreeSet<&'static str>,
    pub(crate) floor_ms: Option<i64>,
}

impl Expected {
    pub(crate) fn accept(&mut self, payloads: &[Vec<u8>], asked_ms: Option<i64>) {
        for payload in payloads {
            self.entries.push(Accepted {
                payload: payload.clone(),
                chain_hash: self.chain_at(self.entries.len()).after(payload),
                asked_ms,
                commit_ms: None,
                ends_unit: false,
            });
        }
        self.entries.last_mut().unwrap().ends_unit = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn chain_at(&self, sequence: usize) -> ChainHash {
        sequence.checked_sub(1).map_or(ChainHash::ZERO, |place| self.entries[place].chain_hash)
    }

    /// The entries up to `written` were written by now. Where nobody else writes, that was with the clock as it stands.
    pub(crate) fn saw_written(&mut self, written: usize, now_ms: Option<i64>) {
        assert!(written >= self.written, "{written} written, {} before", self.written);
        assert!(written <= self.len(), "phantoms: {written} written, {} appended", self.len());
        for place in self.written..written {
            let before = place.checked_sub(1).and_then(|place| self.entries[place].commit_ms);
            if let Some(now_ms) = now_ms {
                let entry = &mut self.entries[place];
                let least = before.max(self.floor_ms).unwrap_or(i64::MIN);
                entry.commit_ms = Some(entry.asked_ms.unwrap_or(now_ms).max(least));
            }
        }
        self.written = written;
    }

    /// A restart has found so many entries, and made them durable.
    pub(crate) fn restarted(&mut self, found: usize, least: usize) {
        assert!(found >= least, "{found} entries left, {least} were acknowledged");
        assert!(found <= self.len(), "phantoms: {found} entries found, {} appended", self.len());
        assert!(found == 0 || self.entries[found - 1].ends_unit, "a batch in parts, up to {found}");
        self.entries.truncate(found);
        self.written = found;
        self.synced = found;
        self.floor_ms = None;
    }

    /// A reader's entry is this one.
    pub(crate) fn check(&mut self, sequence: usize, entry: &Entry) {
        assert_eq!(entry.sequence, sequence as u64);
        let own = &mut self.entries[sequence - 1];
        assert_eq!(entry.payload, own.payload, "payload of {sequence}");
        assert_eq!(entry.chain_hash, own.chain_hash, "chain after {sequence}");
        if entry.commit_exact {
            let expected = *own.commit_ms.get_or_insert(entry.commit_ms);
            assert_eq!(entry.commit_ms, expected, "commit time of {sequence}");
            assert!(
                own.asked_ms.is_none_or(|asked| entry.commit_ms >= asked),
                "{sequence} before what was asked"
            );
        } else if let Some(commit_ms) = own.commit_ms {
            // The last commit time of its segment.
            assert!(entry.commit_ms >= commit_ms, "the bound of {sequence} is none");
        }
    }

    /// Every cursor has passed it; `None` without cursors.
    pub(crate) fn passed(&self) -> Option<usize> {
        self.cursors.values().copied().min()
    }
}
