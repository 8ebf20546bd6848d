//! What a leader decides from a head, without asking anyone: whose it is, whether the journal agrees with it, what a
//! fenced leader's entries became, what can be published. Pure; the driver beside this file asks the store.

use graphstream_format::{ChainHash, Lineage, Position};

use crate::chain_value::Proofs;
use crate::error::{Error, Result};
use crate::{ChainValue, Committed, EpochRow, Head, LocalChain, OwnerNonce, UploadedSegment, sabotage};

/// Whose a head is, seen from the owner of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ours still.
    Own,
    /// A higher epoch, or ours with another nonce.
    Fenced,
    /// An epoch below ours: the head went back.
    Below,
}

pub(super) fn standing(head: &Head, epoch: u32, nonce: OwnerNonce) -> Standing {
    match head.epoch().cmp(&epoch) {
        std::cmp::Ordering::Less => Standing::Below,
        std::cmp::Ordering::Greater => Standing::Fenced,
        std::cmp::Ordering::Equal if head.owner() == Some(nonce) => Standing::Own,
        std::cmp::Ordering::Equal => Standing::Fenced,
    }
}

/// Whether the journal agrees with what is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// The journal holds the committed position with an equal chain hash; it may go beyond it.
    Agrees,
    /// The journal ends before the committed position. Nothing contradicts, but nothing is proven either, unless
    /// `proven`: then its end is known to be part of the published history.
    Behind {
        /// The journal's last sequence.
        local: u64,
        /// Whether the chain hash at its end was compared with the published one.
        proven: bool,
    },
}

/// Compares at min(local, committed). `known` is a chain hash read from the published segments, if the caller has one.
pub(super) fn compare(
    head: &Head,
    local: &dyn LocalChain,
    known: Option<(u64, ChainHash)>,
    proofs: &Proofs,
) -> Result<Comparison> {
    let committed = head.committed();
    let (last, last_chain) = local.last();
    let lineage = head.lineage();
    let position = |sequence, chain_hash| Position { lineage, sequence, chain_hash };
    if last >= committed.sequence {
        let ours = if last == committed.sequence { last_chain } else { required(local, committed.sequence)? };
        let ours = position(committed.sequence, ours);
        if proofs.is(&committed.chain, &ours)? {
            return Ok(Comparison::Agrees);
        }
        return fork(head, local, &ours, &committed.chain, proofs);
    }
    // Behind: the head itself knows chain hashes at epoch starts and at 0; for others the caller reads a segment.
    let at_start = head.epochs().iter().find(|row| row.start_sequence == last).map(|row| row.start_chain);
    let from_caller = known.filter(|(sequence, _)| *sequence == last).map(|(_, chain)| chain.into());
    let published = at_start.or(from_caller).or((last == 0).then_some(ChainHash::ZERO.into()));
    let ours = position(last, last_chain);
    match published {
        Some(published) if !proofs.is(&published, &ours)? => fork(head, local, &ours, &published, proofs),
        proof => Ok(Comparison::Behind { local: last, proven: proof.is_some() }),
    }
}

fn fork<T>(
    head: &Head,
    local: &dyn LocalChain,
    ours: &Position,
    published: &ChainValue,
    proofs: &Proofs,
) -> Result<T> {
    let sequence = ours.sequence;
    let common_through = common_through(head, local, sequence, proofs)?;
    let local = Box::new(proofs.shown_like(published, ours));
    Err(Error::Fork { sequence, local, published: Box::new(*published), common_through })
}

/// The last epoch start below `sequence` at which the journal agrees with the head: a rival's history can have begun to
/// differ only behind an epoch's start.
fn common_through(head: &Head, local: &dyn LocalChain, sequence: u64, proofs: &Proofs) -> Result<u64> {
    for row in head.epochs().iter().rev().filter(|row| row.start_sequence < sequence) {
        let (lineage, sequence) = (head.lineage(), row.start_sequence);
        let Some(chain_hash) = chain_at(local, sequence)? else { continue };
        if proofs.is(&row.start_chain, &Position { lineage, sequence, chain_hash })? {
            return Ok(sequence);
        }
    }
    Ok(0)
}

fn chain_at(local: &dyn LocalChain, sequence: u64) -> Result<Option<ChainHash>> {
    if sequence == 0 {
        return Ok(Some(ChainHash::ZERO));
    }
    local.chain_at(sequence).map_err(|source| Error::Local { sequence, source })
}

fn required(local: &dyn LocalChain, sequence: u64) -> Result<ChainHash> {
    chain_at(local, sequence)?.ok_or(Error::LocalChainMissing { sequence })
}

/// A head that still is ours but is not the one we remember: one of our own attempts landed. Its committed position must
/// be one of ours.
pub(super) fn check_own(
    head: &Head,
    confirmed: &Committed,
    local: &dyn LocalChain,
    proofs: &Proofs,
) -> Result<bool> {
    let Committed { sequence, chain, .. } = head.committed();
    if sequence < confirmed.sequence {
        return Ok(false);
    }
    // The same value as before: nothing was published, and nothing has to be known of our chain there.
    if (sequence, chain) == (confirmed.sequence, confirmed.chain) {
        return Ok(true);
    }
    let ours = Position { lineage: head.lineage(), sequence, chain_hash: required(local, sequence)? };
    if proofs.is(&chain, &ours)? {
        return Ok(true);
    }
    let local = Box::new(proofs.shown_like(&chain, &ours));
    Err(Error::Fork { sequence, local, published: Box::new(chain), common_through: confirmed.sequence })
}

/// The head's row of the first epoch that is not ours, if the head tells for certain which one that is. Rows of epochs
/// that committed nothing, or whose segments were compacted, leave the head; only the very next one cannot hide any.
pub(super) fn next_row(head: &Head, epoch: u32, nonce: OwnerNonce) -> Option<&EpochRow> {
    let next = epoch.checked_add(1);
    head.epochs().iter().find(|row| (row.epoch == epoch && row.owner != nonce) || Some(row.epoch) == next)
}

/// The sequence a leader was fenced after: what is part of history for good. `confirmed` is what it knows to be
/// committed, `next` the row of the first epoch above its own. Equal sequences prove nothing, only equal chain hashes do.
pub(super) fn fenced_after(
    next: &EpochRow,
    confirmed: &Committed,
    local: &dyn LocalChain,
    lineage: Lineage,
    proofs: &Proofs,
) -> Result<u64> {
    let start = next.start_sequence;
    if start <= confirmed.sequence {
        return Ok(start);
    }
    let ours = match chain_at(local, start)? {
        Some(chain_hash) => {
            proofs.is(&next.start_chain, &Position { lineage, sequence: start, chain_hash })?
        }
        None => false,
    };
    Ok(if ours { start } else { confirmed.sequence })
}

/// The uploaded segments that continue right after `committed`, without a hole, and their chain proves it.
pub(super) fn publishable(
    uploaded: &[UploadedSegment],
    committed: &Committed,
    epoch: u32,
    lineage: Lineage,
    proofs: &Proofs,
) -> Result<Vec<UploadedSegment>> {
    let mut beyond: Vec<_> =
        uploaded.iter().copied().filter(|segment| segment.name().last() > committed.sequence).collect();
    beyond.sort_by_key(|segment| segment.name().first());
    let mut run: Vec<UploadedSegment> = Vec::new();
    let (mut last, mut chain) = (committed.sequence, committed.chain);
    for segment in beyond {
        let name = *segment.name();
        if name.epoch() != epoch {
            return Err(Error::OtherEpoch { name, epoch });
        }
        if last.checked_add(1) != Some(name.first()) && !sabotage::is("publish_out_of_order") {
            break;
        }
        let before = Position { lineage, sequence: last, chain_hash: segment.chain_before() };
        if !proofs.is(&chain, &before)? && !sabotage::is("publish_out_of_order") {
            let common_through = committed.sequence.min(last.saturating_sub(1));
            let local = proofs.shown_like(&chain, &before);
            let published = match chain.hash() {
                Some(chain_hash) => proofs.shown_like(&chain, &Position { chain_hash, ..before }),
                None => chain,
            };
            let (local, published) = (Box::new(local), Box::new(published));
            return Err(Error::Fork { sequence: last, local, published, common_through });
        }
        (last, chain) = (name.last(), segment.chain_after().into());
        run.push(segment);
    }
    Ok(run)
}
