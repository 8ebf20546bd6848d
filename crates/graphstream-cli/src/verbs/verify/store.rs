//! A database in a store: by names alone, or every byte of it.
//!
//! ```text
//!  inventory (head, one listing, epoch objects) ──▶ findings ──▶ rows
//!        └── depth chain ──▶ every segment of the history ──▶ rows
//! ```

use graphstream::format::ChainHash;
use graphstream::remote::{
    self, DatabaseName, Finding, Head, Inventory, ListedSegment, ObjectName, Remote, Severity,
};
use graphstream::replication::{Error as ReplicationError, Goal, find_point};

use super::walk::{Row, Sink, Walk};
use super::{Depth, Problem};
use crate::failure::{Failure, Kind};
use crate::keys::StoreKeyArgs;
use crate::segments::{History, Piece};
use crate::store::{self, Access, StoreUrl};

/// What is to be verified.
pub(super) struct Subject<'a> {
    pub(super) url: &'a StoreUrl,
    pub(super) database: &'a DatabaseName,
    pub(super) depth: Depth,
    /// A sequence that is known to have been committed.
    pub(super) floor: Option<u64>,
    pub(super) keys: &'a StoreKeyArgs,
}

impl Subject<'_> {
    pub(super) async fn open(&self) -> Result<Remote, Failure> {
        self.keys.give(store::open(self.url, self.database.clone(), Access::Read).await?).await
    }
}

pub(super) async fn verify(
    remote: &Remote,
    subject: &Subject<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let inventory = remote.inventory().await?.with_floor(subject.floor.unwrap_or(0));
    let findings = inventory.findings();
    let Some(head) = inventory.head() else { return Err(no_head(remote, &findings)?) };
    let (damage, leftovers): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.severity() == Severity::Damage);
    match subject.depth {
        Depth::List => {
            damage.into_iter().try_for_each(|finding| sink(row(finding)))?;
            let history = inventory.segments().iter().filter(|segment| segment.history);
            history
                .filter(|segment| !is_bad(segment, &findings))
                .try_for_each(|segment| sink(listed(segment)))?;
        }
        Depth::Chain | Depth::Replay => {
            let unseen = damage.into_iter().filter(|finding| !is_seen_by_reading(finding));
            unseen.into_iter().try_for_each(|finding| sink(row(finding)))?;
            chain(remote, &inventory, head, sink).await?;
            labels(remote, &inventory, sink).await?;
        }
    }
    leftovers.into_iter().try_for_each(|finding| sink(row(finding)))
}

/// Why there is nothing to verify.
fn no_head(remote: &Remote, findings: &[Finding]) -> Result<Failure, Failure> {
    let Some(Finding::HeadMissing { evidence }) = findings.first() else {
        let (database, store) = (remote.layout().database().to_string(), remote.backend().describe());
        return Ok(graphstream::replication::Error::NoDatabase { database, store }.into());
    };
    let evidence = ObjectName::parse(evidence).map(|name| remote.layout().key(&name)).transpose()?;
    Ok(remote::Error::HeadMissing { key: remote.head_key()?, evidence }.into())
}

/// Whether reading the history meets it, too.
fn is_seen_by_reading(finding: &Finding) -> bool {
    matches!(finding, Finding::Gap { .. } | Finding::SizeDiffers { .. })
}

/// Reads every segment of the history.
async fn chain(
    remote: &Remote,
    inventory: &Inventory,
    head: &Head,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let after = inventory.begins_after();
    let start =
        head.epochs().iter().find(|row| row.start_sequence == after).and_then(|row| row.start_chain.hash());
    let chain_before = if after == 0 { Some(ChainHash::ZERO) } else { start };
    let (mut history, stored) = History::open(remote.clone(), after).await?;
    let mut walk = Walk::of_store(stored.head.lineage(), after, chain_before);
    while let Some(piece) = history.next().await? {
        match piece {
            Piece::Segment(fetched) => walk.object(&fetched).into_iter().try_for_each(&mut *sink)?,
            Piece::Bad(bad) => sink(walk.bad(bad))?,
        }
    }
    walk.end_of_store(remote, &stored.head.committed())?.map_or(Ok(()), sink)
}

/// Every label must point to what it named.
async fn labels(remote: &Remote, inventory: &Inventory, sink: &mut Sink<'_>) -> Result<(), Failure> {
    for name in inventory.labels() {
        let bad = match find_point(remote, &Goal::Label(name.clone())).await {
            // It was deleted since it was listed.
            Ok(_) | Err(ReplicationError::NoLabel { .. }) => continue,
            Err(error @ ReplicationError::BeyondCommitted { .. }) => {
                let message = format!("the label {name} names an entry that is not in the history");
                Failure::new(Kind::Rewind, message).because(&error)
            }
            Err(error) => error.into(),
        };
        if !matches!(bad.kind(), Kind::Corruption | Kind::Gap | Kind::Fork | Kind::Rewind | Kind::Lineage) {
            return Err(bad);
        }
        let object = ObjectName::Label(name.clone()).to_string();
        sink(Row { is_segment: false, file: Some(object), ..Row::bad("damaged", bad) })?;
    }
    Ok(())
}

/// A segment of the history, of which nothing but its name was read.
fn listed(segment: &ListedSegment) -> Row {
    let (first, last) = (segment.name.first(), segment.name.last());
    Row {
        status: "ok",
        file: Some(segment.name.to_string()),
        kind: None,
        first_sequence: Some(first),
        last_sequence: Some(last),
        entries: last - first + 1,
        bytes: segment.size,
        chain_hash: None,
        problem: None,
        failure: None,
        is_segment: true,
    }
}

fn row(finding: &Finding) -> Row {
    let sequences = finding.sequences();
    let mut row = match finding.severity() {
        Severity::Damage => {
            Row::bad(if matches!(finding, Finding::Gap { .. }) { "gap" } else { "damaged" }, finding.into())
        }
        Severity::Leftover => Row { problem: Some(Problem::leftover(finding)), ..Row::leftover() },
    };
    row.is_segment = matches!(finding, Finding::SizeDiffers { .. } | Finding::Overlap { .. });
    row.file = finding.object();
    row.first_sequence = sequences.map(|(first, _)| first);
    row.last_sequence = sequences.map(|(_, last)| last);
    row
}

/// Whether a finding has a row for it already.
fn is_bad(segment: &ListedSegment, findings: &[Finding]) -> bool {
    findings.iter().any(|finding| match finding {
        Finding::SizeDiffers { name, .. } | Finding::Overlap { name, .. } => *name == segment.name,
        _ => false,
    })
}
