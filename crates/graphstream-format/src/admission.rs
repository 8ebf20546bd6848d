//! What a writer of a sealed segment takes: the rules for the next entry, whatever the layout.

use crate::chain::ChainHash;
use crate::entry::SegmentStart;
use crate::error::{Error, Result, Unwritable};
use crate::limits;

/// The entries that a segment has so far.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) start: SegmentStart,
    /// The chain hash after the last entry.
    pub(crate) chain: ChainHash,
    /// The sequence of the next entry; `None` once `u64::MAX` was written.
    next_seq: Option<u64>,
    pub(crate) entries: u64,
    /// Bytes of the entries as the layout frames them, before compression.
    pub(crate) raw_bytes: u64,
    pub(crate) first_commit_ms: i64,
    pub(crate) last_commit_ms: i64,
}

/// An entry that may come next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) sequence: u64,
    commit_ms: i64,
    raw_bytes: u64,
}

impl Admission {
    /// None yet.
    pub(crate) fn new(start: SegmentStart) -> Self {
        Self {
            chain: start.chain_before,
            next_seq: Some(start.first_seq),
            start,
            entries: 0,
            raw_bytes: 0,
            first_commit_ms: 0,
            last_commit_ms: 0,
        }
    }

    /// Whether this entry may come next; framed it has `raw_len` bytes. Nothing changes before [`Admission::add`].
    pub(crate) fn check(&self, payload: &[u8], commit_ms: i64, raw_len: usize) -> Result<Admitted> {
        let sequence = self.next_seq.ok_or(Error::Unwritable(Unwritable::SequenceRange))?;
        if payload.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge {
                bytes: payload.len() as u64,
                max: limits::PAYLOAD_BYTES_MAX as u64,
            });
        }
        if self.entries > 0 && commit_ms < self.last_commit_ms {
            return Err(Error::CommitTimeDecreases {
                sequence,
                previous: self.last_commit_ms,
                found: commit_ms,
            });
        }
        let raw_bytes = self.raw_bytes + raw_len as u64;
        if raw_bytes > limits::BODY_BYTES_MAX {
            return Err(Error::BodyTooLarge { sequence, max: limits::BODY_BYTES_MAX });
        }
        Ok(Admitted { sequence, commit_ms, raw_bytes })
    }

    /// Counts an entry that was checked. Its chain hash is computed unless the caller knows it.
    pub(crate) fn add(&mut self, admitted: Admitted, payload: &[u8], chain: Option<ChainHash>) {
        self.chain = chain.unwrap_or_else(|| self.chain.after(payload));
        self.raw_bytes = admitted.raw_bytes;
        if self.entries == 0 {
            self.first_commit_ms = admitted.commit_ms;
        }
        self.last_commit_ms = admitted.commit_ms;
        self.entries += 1;
        self.next_seq = admitted.sequence.checked_add(1);
    }

    /// The sequence of the last entry.
    ///
    /// # Errors
    /// [`Unwritable::Empty`] without entries.
    pub(crate) fn last_seq(&self) -> Result<u64> {
        let behind = self.entries.checked_sub(1).ok_or(Error::Unwritable(Unwritable::Empty))?;
        Ok(self.start.first_seq + behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::Lineage;

    #[test]
    fn a_body_ends_at_its_limit() {
        let mut admission = Admission::new(SegmentStart {
            lineage: Lineage::from_bytes([7; 16]),
            first_seq: 1,
            chain_before: ChainHash::ZERO,
            created_ms: 0,
        });
        let most = usize::try_from(limits::BODY_BYTES_MAX).unwrap();
        let admitted = admission.check(b"payload", 0, most - 1).unwrap();
        admission.add(admitted, b"payload", None);
        assert!(admission.check(b"payload", 0, 1).is_ok());
        for beyond in [2, most] {
            let error = admission.check(b"payload", 0, beyond).unwrap_err();
            assert!(matches!(error, Error::BodyTooLarge { sequence: 2, .. }), "{error}");
        }
    }
}
