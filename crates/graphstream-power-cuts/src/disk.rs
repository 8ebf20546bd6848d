//! A disk with a write cache: what was written since the last flush may be lost at a power cut, in any order and in parts; and writes
//! fail on demand.
//!
//! ```text
//!  write ──▶ cache (pending writes) ──flush──▶ platter       read: platter and cache
//!               └── power cut: each sector of each write is kept or lost
//! ```

use std::io;

use crate::numbers::Numbers;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Which writes fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Those whose bytes contain this.
    With(&'static [u8]),
    /// Whichever come next.
    Any,
}

#[derive(Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    platter: Vec<u8>,
    /// The platter with everything in the cache.
    seen: Vec<u8>,
    cache: Vec<Write>,
    failing: Option<(Failing, u64)>,
    /// How many writes have failed on demand.
    failed: u64,
    without_power: bool,
    cut_at: Option<CutAt>,
    cached_at_cut: usize,
}

/// A power cut during a write to come.
#[derive(Debug)]
struct CutAt {
    writes_left: u64,
    loss: Loss,
    numbers: Numbers,
}

/// How a power cut treats the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of it is lost.
    All,
    /// The writes up to some point are kept.
    Later,
    /// Each write is kept or lost.
    Some,
    /// Each sector is kept or lost.
    Sectors,
}

impl Disk {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            platter: vec![0; bytes],
            seen: vec![0; bytes],
            cache: Vec::new(),
            failing: None,
            failed: 0,
            without_power: false,
            cut_at: None,
            cached_at_cut: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn read(&self, offset: usize, bytes: usize) -> io::Result<&[u8]> {
        self.powered()?;
        let from = offset.min(self.seen.len());
        let to = offset.saturating_add(bytes).min(self.seen.len());
        self.seen.get(from..to).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.powered()?;
        if self.fails(bytes) {
            return Err(io::Error::other("this write was to fail"));
        }
        put(&mut self.seen, offset, bytes)?;
        self.cache.push(Write { offset, bytes: bytes.to_vec() });
        if let Some(cut) = &mut self.cut_at {
            cut.writes_left = cut.writes_left.saturating_sub(1);
            if cut.writes_left == 0 {
                self.cut_now()?;
                return self.powered();
            }
        }
        Ok(())
    }

    fn fails(&mut self, bytes: &[u8]) -> bool {
        let Some((failing, left)) = &mut self.failing else { return false };
        let hit = match failing {
            Failing::Any => true,
            Failing::With(part) => bytes.windows(part.len()).any(|window| window == *part),
        };
        if hit {
            self.failed += 1;
            *left -= 1;
            if *left == 0 {
                self.failing = None;
            }
        }
        hit
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.powered()?;
        for Write { offset, bytes } in self.cache.drain(..) {
            put(&mut self.platter, offset, &bytes)?;
        }
        Ok(())
    }

    /// The next `count` such writes (1 at least) fail, and what they would write is lost.
    pub(crate) fn fail(&mut self, failing: Failing, count: u64) {
        self.failing = Some((failing, count.max(1)));
    }

    /// No write fails any more. Returns how many have since the last time this was asked.
    pub(crate) fn heal(&mut self) -> u64 {
        self.failing = None;
        std::mem::take(&mut self.failed)
    }

    /// During one of the next writes, the `writes`th, everything begins to fail, until there is power again.
    pub(crate) fn cut_at(&mut self, writes: u64, loss: Loss, numbers: Numbers) {
        self.cut_at = Some(CutAt { writes_left: writes, loss, numbers });
    }

    /// Everything fails from now on, if it doesn't yet. Returns how many writes were in the cache when that began.
    pub(crate) fn cut(&mut self, loss: Loss, numbers: Numbers) -> io::Result<usize> {
        if !self.without_power {
            self.cut_at(0, loss, numbers);
            self.cut_now()?;
        }
        Ok(self.cached_at_cut)
    }

    fn cut_now(&mut self) -> io::Result<()> {
        let Some(CutAt { loss, mut numbers, .. }) = self.cut_at.take() else { return Ok(()) };
        self.failing = None;
        self.without_power = true;
        let cache = std::mem::take(&mut self.cache);
        self.cached_at_cut = cache.len();
        let kept = numbers.below(cache.len() as u64 + 1);
        for (Write { offset, bytes }, place) in cache.into_iter().zip(0..) {
            let whole = match loss {
                Loss::All => false,
                Loss::Later => place < kept,
                Loss::Some => numbers.one_in(2),
                Loss::Sectors => {
                    for (sector, at) in bytes.chunks(SECTOR).zip((offset..).step_by(SECTOR)) {
                        if numbers.one_in(2) {
                            put(&mut self.platter, at, sector)?;
                        }
                    }
                    false
                }
            };
            if whole {
                put(&mut self.platter, offset, &bytes)?;
            }
        }
        Ok(())
    }

    /// There is power again, and the cache is empty.
    pub(crate) fn power_on(&mut self) {
        self.seen.clone_from(&self.platter);
        self.without_power = false;
    }

    fn powered(&self) -> io::Result<()> {
        if self.without_power { Err(io::Error::other("there is no power")) } else { Ok(()) }
    }
}

fn put(into: &mut [u8], offset: usize, bytes: &[u8]) -> io::Result<()> {
    let end = offset.checked_add(bytes.len());
    let place = end.and_then(|end| into.get_mut(offset..end)).ok_or(io::ErrorKind::StorageFull)?;
    place.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Disk, Failing, Loss, Numbers, SECTOR};

    const BYTES: usize = 64 * SECTOR;

    /// The first byte of each sector after a cut, where 1 was flushed and 2 and 3 were written after that.
    fn after(loss: Loss, seed: u64) -> Vec<u8> {
        let mut disk = Disk::new(BYTES);
        disk.write(0, &[1; BYTES]).unwrap();
        disk.flush().unwrap();
        disk.write(0, &[2; BYTES]).unwrap();
        disk.write(0, &[3; BYTES]).unwrap();
        assert_eq!(disk.read(0, 1).unwrap(), [3]);
        assert_eq!(disk.cut(loss, Numbers::seeded(seed)).unwrap(), 2);
        assert!(disk.read(0, 1).is_err() && disk.write(0, &[4]).is_err() && disk.flush().is_err());
        disk.power_on();
        let seen = disk.read(0, BYTES).unwrap();
        assert!(
            seen.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])),
            "half a sector"
        );
        seen.iter().step_by(SECTOR).copied().collect()
    }

    #[test]
    fn a_power_cut_takes_what_was_not_flushed() {
        assert_eq!(after(Loss::All, 1), [1; 64]);
        for (loss, outcomes) in [(Loss::Later, &[1, 2, 3][..]), (Loss::Some, &[1, 2, 3])] {
            for outcome in outcomes {
                assert!((0..100).any(|seed| after(loss, seed) == [*outcome; 64]), "{loss:?} {outcome}");
            }
        }
        let torn = after(Loss::Sectors, 1);
        assert!([1, 2, 3].iter().all(|byte| torn.contains(byte)), "{torn:?}");
    }

    #[test]
    fn power_is_cut_during_a_write() {
        let mut disk = Disk::new(BYTES);
        disk.cut_at(2, Loss::All, Numbers::seeded(1));
        disk.write(0, b"1").unwrap();
        disk.flush().unwrap();
        assert!(disk.write(0, b"2").is_err());
        assert!(disk.flush().is_err());
        assert_eq!(disk.cut(Loss::Some, Numbers::seeded(2)).unwrap(), 1, "that has happened already");
        disk.power_on();
        assert_eq!(disk.read(0, 1).unwrap(), b"1");
        disk.write(0, b"3").unwrap();
        disk.write(0, b"4").unwrap();
    }

    #[test]
    fn a_failed_write_is_lost_and_the_next_one_succeeds() {
        let mut disk = Disk::new(BYTES);
        disk.fail(Failing::With(b"now"), 2);
        disk.write(0, b"then").unwrap();
        assert!(disk.write(0, b"right now").is_err());
        assert_eq!(disk.read(0, 4).unwrap(), b"then");
        assert!(disk.write(0, b"now").is_err());
        disk.write(0, b"now").unwrap();
        assert_eq!((disk.heal(), disk.heal()), (2, 0));
        disk.fail(Failing::Any, 1);
        assert!(disk.write(0, b"x").is_err());
        assert!(disk.write(BYTES, b"x").is_err(), "behind the end");
    }
}
