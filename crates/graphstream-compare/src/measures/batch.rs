//! Batches of 1,000 entries, each synced, beside a loop that encodes, chains, writes and syncs the same bytes.
//!
//! The goal stands against both loops. In reserved space a sync saves a write, but ext4 may lose what was synced there
//! (docs/decisions/0015), so no journal may do as that loop does.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use graphstream_format::ChainHash;
use graphstream_format::open::{Placement, RECORDS_START};
use graphstream_journal::Ack;

use crate::peers::bare::{Loop, Space, encoder};
use crate::peers::{SEGMENT, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, rate_for, take};

const TURN: Duration = Duration::from_millis(600);
const BATCH: usize = 1_000;
/// Not left during the measurement.
const ONE_SEGMENT: u64 = 1 << 30;

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let batch = &setting.sample.payloads[..BATCH];
    let rotating = ours::open(&dir.path().join("rotating"), SEGMENT)?;
    let one_segment = ours::open(&dir.path().join("one"), ONE_SEGMENT)?;
    let journal = |journal| -> Contestant<'_> {
        let journal: &graphstream_journal::Journal = journal;
        Box::new(move || {
            rate_for(TURN, || {
                journal.append_batch(batch)?.wait(Ack::Synced)?;
                Ok(BATCH as u64)
            })
        })
    };
    let reserved = bare(batch, Loop::new(setting.scratch()?, Space::Reserved)?);
    let growing = bare(batch, Loop::new(setting.scratch()?, Space::Growing)?);
    let contestants = [journal(&one_segment), journal(&rotating), reserved, growing];
    let [one_segment, rotating, reserved, growing] = take(setting, contestants)?;
    let against = "bare encode + chain + write + fdatasync";
    let against_reserved = "the same loop, reserved file";
    let sealing = "the same, sealing each 4 MiB beside it";
    Ok(vec![
        Row::new(
            "append_batch of 1,000, synced",
            "entries/s",
            &one_segment,
            (against, &growing),
            Goal::AtLeast(0.8),
        ),
        Row::new("the same", "entries/s", &one_segment, (against_reserved, &reserved), Goal::AtLeast(0.8)),
        Row::new(sealing, "entries/s", &rotating, (against, &growing), Goal::None),
        Row::new(sealing, "entries/s", &rotating, (against_reserved, &reserved), Goal::None),
    ])
}

/// Encodes, chains, writes and syncs the same batch again and again.
fn bare<'a>(batch: &'a [Vec<u8>], mut file: Loop) -> Contestant<'a> {
    let mut encoder = encoder();
    let mut chain = ChainHash::ZERO;
    Box::new(move || {
        rate_for(TURN, || {
            encoder.begin(1);
            for payload in batch {
                encoder.push(payload, 1_700_000_000_000)?;
                chain = chain.after(payload);
            }
            black_box(&chain);
            let place = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
            file.write_synced(encoder.finish(place)?)?;
            Ok(BATCH as u64)
        })
    })
}
