//! Appends that nobody waits for, by one producer: into one segment, and over many with sealing to version 1. The clock stops when
//! everything is synced, or sealed: the predecessor gives no other answer.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use graphstream_format::ChainHash;
use graphstream_journal::Journal;

use crate::peers::{SEGMENT, old, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, rate, take};

const BURST: usize = 100_000;
/// Holds a whole burst.
const ONE_SEGMENT: u64 = 64 << 20;
const SUSTAINED: usize = 300_000;

pub(crate) fn burst(setting: &Setting) -> Result<Vec<Row>> {
    let count = BURST;
    let synced = |journal: &Journal| Ok(journal.sync().map(drop)?);
    let ours = with_payloads(setting, count, ONE_SEGMENT, synced);
    let encoding = with_entries(setting, count, ONE_SEGMENT, synced);
    let old = predecessor(setting, count, ONE_SEGMENT, old::Writer::flush);
    let chain: Contestant<'_> = Box::new(|| {
        let started = Instant::now();
        black_box(setting.sample.cycle(count).fold(ChainHash::ZERO, |chain, payload| chain.after(payload)));
        Ok(rate(count as u64, started.elapsed()))
    });
    let [ours, encoding, old, chain] = take(setting, [ours, encoding, old, chain])?;
    Ok(vec![
        Row::new("append, unacked burst, 1 producer", "/s", &ours, ("predecessor", &old), Goal::AtLeast(8.0)),
        Row::new("the same, from query and parameters", "/s", &encoding, ("predecessor", &old), Goal::None),
        Row::new("append, unacked burst, 1 producer", "/s", &ours, ("SHA-256 chain alone", &chain), Goal::None),
    ])
}

pub(crate) fn sustained(setting: &Setting) -> Result<Vec<Row>> {
    let sealed = |journal: &Journal| Ok(journal.seal().map(drop)?);
    let ours = with_payloads(setting, SUSTAINED, SEGMENT, sealed);
    let encoding = with_entries(setting, SUSTAINED, SEGMENT, sealed);
    let old = predecessor(setting, SUSTAINED, SEGMENT, old::Writer::seal);
    let [ours, encoding, old] = take(setting, [ours, encoding, old])?;
    let name = "append, sustained, until all is sealed (version 1)";
    Ok(vec![
        Row::new(name, "/s", &ours, ("predecessor", &old), Goal::AtLeast(4.0)),
        Row::new("the same, from query and parameters", "/s", &encoding, ("predecessor", &old), Goal::None),
    ])
}

fn with_payloads<'a>(
    setting: &'a Setting,
    count: usize,
    segment: u64,
    end: fn(&Journal) -> Result<()>,
) -> Contestant<'a> {
    Box::new(move || {
        let dir = setting.scratch()?;
        let journal = ours::open(dir.path(), segment)?;
        let started = Instant::now();
        for payload in setting.sample.cycle(count) {
            let _ = journal.append(payload)?;
        }
        end(&journal)?;
        Ok(rate(count as u64, started.elapsed()))
    })
}

/// With the encoding of the payloads, which the predecessor's writer does itself.
fn with_entries<'a>(
    setting: &'a Setting,
    count: usize,
    segment: u64,
    end: fn(&Journal) -> Result<()>,
) -> Contestant<'a> {
    Box::new(move || {
        let dir = setting.scratch()?;
        let journal = ours::open(dir.path(), segment)?;
        let started = Instant::now();
        for entry in setting.sample.entries.iter().cycle().take(count) {
            let _ = journal.append(entry.encode()?)?;
        }
        end(&journal)?;
        Ok(rate(count as u64, started.elapsed()))
    })
}

fn predecessor<'a>(
    setting: &'a Setting,
    count: usize,
    segment: u64,
    end: fn(&old::Writer) -> Result<()>,
) -> Contestant<'a> {
    Box::new(move || {
        let dir = setting.scratch()?;
        let entries = setting.sample.pending(count)?;
        let writer = old::Writer::open(dir.path(), segment);
        let started = Instant::now();
        for entry in entries {
            writer.append(entry)?;
        }
        end(&writer)?;
        Ok(rate(count as u64, started.elapsed()))
    })
}
