//! How long *written* takes in the worst thousandth, with segments that are left and sealed meanwhile, and without.

use std::time::{Duration, Instant};

use anyhow::Result;
use graphstream_journal::Ack;

use crate::peers::{SEGMENT, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, take};

const ENTRIES: usize = 200_000;
const ONE_SEGMENT: u64 = 128 << 20;

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let contestant = |segment| -> Contestant<'_> {
        Box::new(move || {
            let dir = setting.scratch()?;
            let journal = ours::open(dir.path(), segment)?;
            let mut took = Vec::with_capacity(ENTRIES);
            for payload in setting.sample.cycle(ENTRIES) {
                let started = Instant::now();
                journal.append(payload)?.wait(Ack::Written)?;
                took.push(started.elapsed());
            }
            journal.seal()?;
            Ok(at(&mut took, 0.999).as_secs_f64() * 1e6)
        })
    };
    let [rotating, small, still] =
        take(setting, [contestant(SEGMENT), contestant(SEGMENT / 8), contestant(ONE_SEGMENT)])?;
    let against = ("without rotation", &still);
    Ok(vec![
        Row::new("p99.9 of written across rotations (4 MiB)", "us", &rotating, against, Goal::AtMost(2.0)),
        Row::new("the same, segments of 512 KiB", "us", &small, against, Goal::None),
    ])
}

fn at(took: &mut [Duration], quantile: f64) -> Duration {
    took.sort_unstable();
    took[((took.len() - 1) as f64 * quantile) as usize]
}
