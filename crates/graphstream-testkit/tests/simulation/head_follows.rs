//! What must hold of a head, beside the one before it and the objects that it speaks of.

use std::collections::BTreeMap;

use graphstream_remote::{Head, Layout, ObjectName};
use graphstream_storage::{Bytes, Key};
use sha2::{Digest, Sha256};

use super::keys::{keys, publishes};
use super::truth::Truth;

/// Why it does not follow.
pub fn head_follows(
    before: Option<&Head>,
    head: &Head,
    truth: &Truth,
    layout: &Layout,
    objects: &BTreeMap<Key, Bytes>,
) -> Result<(), &'static str> {
    let holds = |fact: bool, otherwise| if fact { Ok(()) } else { Err(otherwise) };
    let Some(before) = before else {
        return holds(head.epoch() == 0 && head.committed().sequence == 0, "the first one, has a history");
    };
    holds(head.revision() == before.revision() + 1, "its revision is not the next")?;
    holds(head.write_id() != before.write_id(), "its write id is not new")?;
    if head.epoch() == before.epoch() {
        // One leader publishes, and nothing else.
        holds(head.owner() == before.owner(), "its epoch has another owner")?;
        holds(head.current_row() == before.current_row(), "its epoch begins elsewhere")?;
    } else {
        holds(head.epoch() == before.epoch() + 1, "its epoch is not the next")?;
        holds(head.committed() == before.committed(), "a claim commits")?;
        let start = head.current_row().map(|row| (row.start_sequence, row.start_chain));
        let committed = before.committed();
        holds(start == Some((committed.sequence, committed.chain)), "its epoch begins elsewhere")?;
    }
    let mut last = (0, 0);
    for row in head.epochs() {
        holds(row.epoch > last.0 && row.start_sequence >= last.1, "its epochs do not ascend")?;
        last = (row.epoch, row.start_sequence);
        holds(
            publishes(&row.start_chain, row.start_sequence, truth.chain_at(row.start_sequence)),
            "an epoch begins with another chain",
        )?;
        // Whoever claimed saw to those below, and the object says the same for ever.
        let object = objects.get(&layout.key(&ObjectName::Epoch(row.epoch)).unwrap());
        holds(object.is_some() || row.epoch == head.epoch(), "an older epoch has no object")?;
        let rendered = head.epoch_object(row).render(keys().as_deref()).unwrap();
        holds(object.is_none_or(|found| **found == *rendered), "an epoch's object is not what it says")?;
    }
    for segment in head.segments() {
        let found = objects.get(&layout.key(&ObjectName::Segment(segment.name)).unwrap());
        let same = found.is_some_and(|bytes| {
            bytes.len() as u64 == segment.size && Sha256::digest(bytes)[..] == segment.sha256
        });
        holds(same, "it names a segment that is not there")?;
    }
    Ok(())
}
