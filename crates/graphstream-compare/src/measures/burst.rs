//! Appends that nobody waits for, by one producer: 100,000 until everything is written, and 300,000 until everything is sealed.
//! Segments are of 4 MiB, so both journals seal meanwhile; the rows within one segment say what that costs.
//!
//! The predecessor syncs when nothing has come for 100 ms; a timer of 100 ms is what the journal has of that kind. Its default promises
//! more, and has a row of its own.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use graphstream_format::{ChainHash, SegmentVersion};
use graphstream_journal::{Ack, Journal, JournalOptions, SyncPolicy, Ticket};

use crate::peers::{SEGMENT, old, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, rate, take};

const BURST: usize = 100_000;
/// Holds a whole burst.
const ONE_SEGMENT: u64 = 64 << 20;
const SUSTAINED: usize = 300_000;

pub(crate) fn burst(setting: &Setting) -> Result<Vec<Row>> {
    let count = BURST;
    let work = Work {
        count,
        segment: SEGMENT,
        policy: SyncPolicy::INTERVAL,
        version: SegmentVersion::V2,
        end: written,
    };
    let still = Work { segment: ONE_SEGMENT, ..work };
    let ours = with_payloads(setting, work);
    let always = with_payloads(setting, Work { policy: SyncPolicy::Always, ..work });
    let encoding = with_entries(setting, work);
    let old = predecessor(setting, count, SEGMENT, |writer| writer.wait_written(BURST as u64));
    let ours_still = with_payloads(setting, still);
    let old_still = predecessor(setting, count, ONE_SEGMENT, |writer| writer.wait_written(BURST as u64));
    let chain: Contestant<'_> = Box::new(|| {
        let started = Instant::now();
        black_box(setting.sample.cycle(count).fold(ChainHash::ZERO, |chain, payload| chain.after(payload)));
        Ok(rate(count as u64, started.elapsed()))
    });
    let [ours, always, encoding, old, ours_still, old_still, chain] =
        take(setting, [ours, always, encoding, old, ours_still, old_still, chain])?;
    let (name, predecessor) = ("append, unacked burst, 1 producer", ("predecessor", &old));
    let (in_one, chain) = ("the same, within one segment", ("SHA-256 chain alone", &chain));
    Ok(vec![
        Row::new(name, "/s", &ours, predecessor, Goal::AtLeast(8.0)),
        Row::new("the same, syncing without a pause (the default)", "/s", &always, predecessor, Goal::None),
        Row::new("the same, from query and parameters", "/s", &encoding, predecessor, Goal::None),
        Row::new(in_one, "/s", &ours_still, ("predecessor", &old_still), Goal::None),
        Row::new(in_one, "/s", &ours_still, chain, Goal::None),
    ])
}

pub(crate) fn sustained(setting: &Setting) -> Result<Vec<Row>> {
    let work = |version| Work {
        count: SUSTAINED,
        segment: SEGMENT,
        policy: SyncPolicy::INTERVAL,
        version,
        end: sealed,
    };
    let ours = with_payloads(setting, work(SegmentVersion::V2));
    let encoding = with_entries(setting, work(SegmentVersion::V2));
    let version_1 = with_payloads(setting, work(SegmentVersion::V1));
    let old = predecessor(setting, SUSTAINED, SEGMENT, old::Writer::seal);
    let [ours, encoding, version_1, old] = take(setting, [ours, encoding, version_1, old])?;
    let name = "append, sustained, until all is sealed";
    Ok(vec![
        Row::new(name, "/s", &ours, ("predecessor", &old), Goal::AtLeast(5.0)),
        Row::new("the same, from query and parameters", "/s", &encoding, ("predecessor", &old), Goal::None),
        Row::new("the same, sealing version 1", "/s", &version_1, ("predecessor", &old), Goal::AtLeast(4.0)),
    ])
}

/// What the journal is to do.
#[derive(Clone, Copy)]
struct Work {
    count: usize,
    segment: u64,
    policy: SyncPolicy,
    version: SegmentVersion,
    /// What stops the clock, given the last ticket.
    end: fn(&Journal, &Ticket) -> Result<()>,
}

fn written(_: &Journal, last: &Ticket) -> Result<()> {
    last.wait(Ack::Written)?;
    Ok(())
}

fn sealed(journal: &Journal, _: &Ticket) -> Result<()> {
    Ok(journal.seal().map(drop)?)
}

fn with_payloads(setting: &Setting, work: Work) -> Contestant<'_> {
    Box::new(move || append(setting, work, setting.sample.cycle(work.count).map(Ok)))
}

/// With the encoding of the payloads, which the predecessor's writer does itself.
fn with_entries(setting: &Setting, work: Work) -> Contestant<'_> {
    let entries = setting.sample.entries.iter();
    Box::new(move || {
        append(setting, work, entries.clone().cycle().take(work.count).map(|entry| Ok(entry.encode()?)))
    })
}

fn append(
    setting: &Setting,
    work: Work,
    payloads: impl Iterator<Item = Result<impl AsRef<[u8]>>>,
) -> Result<f64> {
    let dir = setting.scratch()?;
    let options =
        JournalOptions::default().with_segment_bytes_max(work.segment).with_sync_policy(work.policy);
    let journal = ours::open_with(dir.path(), ours::sealing(options, work.version))?;
    let started = Instant::now();
    let mut last = None;
    for payload in payloads {
        last = Some(journal.append(payload?)?);
    }
    last.map_or(Ok(()), |last| (work.end)(&journal, &last))?;
    Ok(rate(work.count as u64, started.elapsed()))
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
