//! Contestants take turns, so that what else the machine does meets all of them; a ratio is the median of the ratios of each turn.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use crate::sample::Sample;

/// What all measures get.
pub(crate) struct Setting {
    pub(crate) dir: PathBuf,
    pub(crate) turns: usize,
    pub(crate) sample: Sample,
}

impl Setting {
    /// A directory on the disk that is measured, gone when dropped.
    pub(crate) fn scratch(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix("compare-").tempdir_in(&self.dir)?)
    }
}

/// Something that is measured once a turn: a rate, a time, whatever is compared.
pub(crate) type Contestant<'a> = Box<dyn FnMut() -> Result<f64> + 'a>;

/// What a contestant has shown, turn by turn.
#[derive(Debug, Clone)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// This by the other.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, other)| this / other).collect())
    }

    /// Turn by turn the larger of two.
    pub(crate) fn better(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(this, other)| this.max(*other)).collect())
    }
}

/// Every contestant runs once a turn, each turn in another order, after a turn that does not count.
pub(crate) fn take<const N: usize>(
    setting: &Setting,
    mut contestants: [Contestant<'_>; N],
) -> Result<[Series; N]> {
    let mut series = std::array::from_fn(|_| Series(Vec::new()));
    for turn in 0..=setting.turns {
        for place in 0..N {
            let which = (place + turn) % N;
            let value = contestants[which]()?;
            if turn > 0 {
                series[which].0.push(value);
            }
        }
    }
    Ok(series)
}

/// How often something is done per second, for about this time.
pub(crate) fn rate_for(time: Duration, mut once: impl FnMut() -> Result<u64>) -> Result<f64> {
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < time {
        done += once()?;
    }
    Ok(rate(done, started.elapsed()))
}

pub(crate) fn rate(done: u64, took: Duration) -> f64 {
    done as f64 / took.as_secs_f64().max(1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_turns_not_of_the_contestants() {
        let (slow, fast) = (Series(vec![1.0, 10.0, 100.0]), Series(vec![2.0, 20.0, 1.0]));
        assert_eq!(fast.ratio(&slow), 2.0);
        assert_eq!(slow.median(), 10.0);
        assert_eq!(slow.better(&fast).0, [2.0, 20.0, 100.0]);
    }
}
