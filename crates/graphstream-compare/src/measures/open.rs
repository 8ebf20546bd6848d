//! Opening a journal of 10,000 sealed segments and one of 4 MiB that was left open, beside the same in a journal without a history; with segments of one entry, and of 20.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use graphstream_journal::{Ack, Journal, JournalOptions, SyncPolicy};

use crate::peers::{SEGMENT, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, take};

const SEGMENTS: usize = 10_000;
const MANY: usize = 20;
/// Larger than what is appended: it is left because it is asked for.
const ROOM: u64 = 2 * SEGMENT;

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let (one, many) = (dir.path().join("one"), dir.path().join("many"));
    history(setting, &one, 1)?;
    history(setting, &many, MANY)?;
    let opening = |path: &'_ Path| -> Contestant<'_> {
        let path = path.to_path_buf();
        Box::new(move || reopen(setting, &path))
    };
    let scanning: Contestant<'_> = Box::new(|| reopen(setting, setting.scratch()?.path()));
    let [one, many, scanning] = take(setting, [opening(&one), opening(&many), scanning])?;
    Ok(vec![
        Row::new(
            "open: 10,000 sealed segments and 4 MiB open",
            "ms",
            &one,
            ("scan and seal 4 MiB, no history", &scanning),
            Goal::AtMost(3.0),
        ),
        Row::new(
            "open: segments of 20 entries",
            "ms",
            &many,
            ("segments of 1 entry", &one),
            Goal::AtMost(1.25),
        ),
    ])
}

/// Milliseconds to open a journal that 4 MiB were just appended to.
fn reopen(setting: &Setting, path: &Path) -> Result<f64> {
    let journal = ours::open(path, ROOM)?;
    fill(setting, &journal)?;
    drop(journal);
    let started = Instant::now();
    let journal = ours::open(path, ROOM)?;
    let took = started.elapsed();
    drop(journal);
    Ok(took.as_secs_f64() * 1e3)
}

fn history(setting: &Setting, dir: &Path, entries: usize) -> Result<()> {
    let options =
        JournalOptions::default().with_segment_bytes_max(64 << 10).with_sync_policy(SyncPolicy::Never);
    let (journal, _) = Journal::builder(dir).options(options).open()?;
    for _ in 0..SEGMENTS {
        let _ = journal.append_batch(&setting.sample.payloads[..entries])?;
        journal.seal()?;
    }
    journal.close()?;
    Ok(())
}

/// 4 MiB in records of 100 entries, synced.
fn fill(setting: &Setting, journal: &Journal) -> Result<()> {
    let mut bytes = 0;
    for batch in setting.sample.payloads.chunks(100).cycle() {
        bytes += batch.iter().map(|payload| payload.len() as u64 + 3).sum::<u64>();
        if bytes > SEGMENT {
            break;
        }
        journal.append_batch(batch)?.wait(Ack::Written)?;
    }
    journal.sync()?;
    Ok(())
}
