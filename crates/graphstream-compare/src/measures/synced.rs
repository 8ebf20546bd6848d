//! Appends that wait for the disk, each for its own entry: by one producer beside bare loops of the same bytes, and by 64.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use graphstream_journal::Ack;

use crate::peers::bare::{Loop, Space, records};
use crate::peers::{SEGMENT, okay, old, ours};
use crate::report::{Goal, Row};
use crate::sample::pending;
use crate::turns::{Contestant, Setting, rate, rate_for, take};

const TURN: Duration = Duration::from_millis(400);
const PRODUCERS: usize = 64;

pub(crate) fn one_producer(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let journal = ours::open(&dir.path().join("ours"), SEGMENT)?;
    let wal = okay::Wal::open(&dir.path().join("okaywal"))?;
    let old = old::Writer::open(&dir.path().join("old"), SEGMENT);
    let sender = old.sender();
    let records = records(&setting.sample.payloads)?;
    let bare = |space| -> Result<Contestant<'_>> {
        let mut file = Loop::new(setting.scratch()?, space)?;
        let mut records = records.iter().cycle();
        Ok(Box::new(move || {
            rate_for(TURN, || records.next().map_or(Ok(0), |record| file.write_synced(record).map(|()| 1)))
        }))
    };
    let mut payloads = setting.sample.payloads.iter().cycle();
    let mut okay_payloads = payloads.clone();
    let mut entries = setting.sample.entries.iter().cycle();
    let contestants: [Contestant<'_>; 7] = [
        Box::new(|| {
            rate_for(TURN, || {
                let Some(payload) = payloads.next() else { return Ok(0) };
                journal.append(payload)?.wait(Ack::Synced)?;
                Ok(1)
            })
        }),
        Box::new(|| {
            rate_for(TURN, || {
                okay_payloads.next().map_or(Ok(0), |payload| wal.append_synced(payload).map(|()| 1))
            })
        }),
        Box::new(|| {
            rate_for(TURN, || {
                let Some(entry) = entries.next() else { return Ok(0) };
                sender.append_synced(pending(entry)?).map(|()| 1)
            })
        }),
        bare(Space::Growing)?,
        bare(Space::Reserved)?,
        bare(Space::ZerosAhead)?,
        bare(Space::Overwritten)?,
    ];
    let [ours, okay, old, growing, reserved, ahead, overwritten] = take(setting, contestants)?;
    let best = growing.better(&reserved).better(&ahead);
    let name = "append, synced each, 1 producer";
    Ok(vec![
        Row::new(name, "/s", &ours, ("the best bare loop of the next three", &best), Goal::AtLeast(0.95)),
        Row::new(name, "/s", &ours, ("bare loop, growing file", &growing), Goal::None),
        Row::new(name, "/s", &ours, ("bare loop, reserved file", &reserved), Goal::None),
        Row::new(name, "/s", &ours, ("bare loop, zeros ahead", &ahead), Goal::None),
        Row::new(name, "/s", &ours, ("bare loop, file overwritten", &overwritten), Goal::None),
        Row::new(name, "/s", &ours, ("okaywal", &okay), Goal::AtLeast(1.0)),
        Row::new(name, "/s", &ours, ("predecessor", &old), Goal::None),
    ])
}

pub(crate) fn many_producers(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let journal = ours::open(&dir.path().join("ours"), SEGMENT)?;
    let wal = okay::Wal::open(&dir.path().join("okaywal"))?;
    let old = old::Writer::open(&dir.path().join("old"), SEGMENT);
    let contestants: [Contestant<'_>; 3] = [
        Box::new(|| {
            produce(setting, || {
                |index: usize| {
                    journal.append(&setting.sample.payloads[index])?.wait(Ack::Synced)?;
                    Ok(())
                }
            })
        }),
        Box::new(|| produce(setting, || |index: usize| wal.append_synced(&setting.sample.payloads[index]))),
        Box::new(|| {
            produce(setting, || {
                let sender = old.sender();
                move |index: usize| sender.append_synced(pending(&setting.sample.entries[index])?)
            })
        }),
    ];
    let [ours, okay, old] = take(setting, contestants)?;
    let name = "append, synced, 64 producers";
    Ok(vec![
        Row::new(name, "/s", &ours, ("okaywal", &okay), Goal::AtLeast(2.0)),
        Row::new(name, "/s", &ours, ("predecessor", &old), Goal::None),
    ])
}

/// All producers together, for a turn: each gets the index of its next entry.
fn produce<P: FnMut(usize) -> Result<()> + Send>(
    setting: &Setting,
    mut producer: impl FnMut() -> P,
) -> Result<f64> {
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Barrier::new(PRODUCERS + 1);
    let entries = setting.sample.entries.len();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..PRODUCERS)
            .map(|number| {
                let mut append = producer();
                let (done, stop, start) = (&done, &stop, &start);
                scope.spawn(move || -> Result<()> {
                    start.wait();
                    let mut mine = 0;
                    while !stop.load(Ordering::Relaxed) {
                        append((number * 71 + mine) % entries)?;
                        mine += 1;
                    }
                    done.fetch_add(mine as u64, Ordering::Relaxed);
                    Ok(())
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        std::thread::sleep(TURN);
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a producer panicked"))??;
        }
        Ok(rate(done.load(Ordering::Relaxed), started.elapsed()))
    })
}
