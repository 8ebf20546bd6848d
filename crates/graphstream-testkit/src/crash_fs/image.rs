//! What a power cut may leave.
//!
//! At a boundary between two effects, every earlier change is *durable* (a later successful sync covers it), or
//! *pending*. An image applies the durable ones and a choice of the pending ones, in order.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::disk::{Disk, Effect, Inode};
use super::{CrashFs, Inner};

/// Which pending changes had reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisted {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// The first so many.
    Prefix(usize),
    /// All but this one.
    Without(usize),
    /// This one alone.
    Only(usize),
    /// All, but of this write only so many bytes from its start.
    Head(usize, usize),
    /// Those before this write, and so many bytes from its start.
    Torn(usize, usize),
    /// All, but of this write only what stands behind so many bytes (the file is as long as it should be).
    Tail(usize, usize),
    /// All, but of this write only the length of the file.
    Length(usize),
    /// All, but of this rename only the new name: both stand.
    BothNames(usize),
    /// All, but of this rename only the removal of the old name, where nothing was replaced: neither stands.
    NeitherName(usize),
    /// A choice by the bits of a number.
    Bits(u64),
}

/// A disk after a power cut.
#[derive(Clone, Debug)]
pub struct Image {
    /// After how many effects the power was cut.
    pub at: usize,
    /// What had reached the disk of what was pending.
    pub persisted: Persisted,
    disk: Disk,
    next_inode: Inode,
}

impl Image {
    /// A file system that starts with it.
    #[must_use]
    pub fn boot(&self) -> CrashFs {
        CrashFs::from_disk(self.disk.clone(), self.next_inode)
    }
}

/// Builds the images of one run, each different state once.
#[derive(Debug)]
pub struct Crashes {
    /// What was there before the first effect.
    base: Disk,
    /// The same with so many effects, all of them durable at the boundary that was asked for last.
    durable: (usize, Disk),
    effects: Vec<Effect>,
    next_inode: Inode,
    seen: HashSet<u64>,
}

impl Crashes {
    /// All crashes of what was done on a file system so far.
    #[must_use]
    pub fn of(fs: &CrashFs) -> Self {
        let inner = fs.lock();
        let Inner { base, effects, .. } = &*inner;
        Self {
            base: base.clone(),
            durable: (0, base.clone()),
            effects: effects.clone(),
            next_inode: inner.next_inode(),
            seen: HashSet::new(),
        }
    }

    /// How many boundaries there are: before the first effect, and after each.
    #[must_use]
    pub fn boundaries(&self) -> usize {
        self.effects.len() + 1
    }

    /// The images at one boundary that were not seen before, with everything [`Persisted`] lists and so many random
    /// choices.
    pub fn at(&mut self, at: usize, random: u32, seed: u64) -> Vec<Image> {
        let pending = self.pending(at);
        let mut choices = vec![Persisted::Nothing, Persisted::Everything];
        choices.extend((1..pending.len()).map(Persisted::Prefix));
        for (place, &index) in pending.iter().enumerate() {
            choices.push(Persisted::Without(place));
            choices.push(Persisted::Only(place));
            match self.effects.get(index) {
                Some(Effect::Write { bytes, .. }) => {
                    let len = bytes.len();
                    let cuts = [1, 8, len / 2, len.saturating_sub(1), 512, 4096];
                    for cut in cuts.into_iter().filter(|cut| (1..len).contains(cut)) {
                        choices.push(Persisted::Head(place, cut));
                    }
                    for cut in [1, 512, 4096].into_iter().filter(|cut| (1..len).contains(cut)) {
                        choices.push(Persisted::Torn(place, cut));
                    }
                    for cut in [8, len / 2, 512, 4096].into_iter().filter(|cut| (1..len).contains(cut)) {
                        choices.push(Persisted::Tail(place, cut));
                    }
                    choices.push(Persisted::Length(place));
                }
                Some(Effect::Rename { .. }) => {
                    choices.push(Persisted::BothNames(place));
                    choices.push(Persisted::NeitherName(place));
                }
                _ => {}
            }
        }
        let mut bits = seed | 1;
        for _ in 0..random {
            // xorshift: any mixing will do.
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            choices.push(Persisted::Bits(bits));
        }
        self.apply_durable(pending.first().copied().unwrap_or(at));
        choices.into_iter().filter_map(|persisted| self.image(at, &pending, persisted)).collect()
    }

    /// The disk after one power cut at one boundary.
    #[must_use]
    pub fn boot(&mut self, at: usize, persisted: Persisted) -> CrashFs {
        let pending = self.pending(at);
        self.apply_durable(pending.first().copied().unwrap_or(at));
        let disk = self.disk(at, &pending, persisted);
        CrashFs::from_disk(disk, self.next_inode)
    }

    /// Applies the first so many effects, once for all images of a boundary (and of the next ones).
    fn apply_durable(&mut self, first_pending: usize) {
        if self.durable.0 > first_pending {
            self.durable = (0, self.base.clone());
        }
        let (applied, disk) = &mut self.durable;
        for effect in self.effects.get(*applied..first_pending).unwrap_or_default() {
            disk.apply(effect);
        }
        *applied = first_pending;
    }

    /// One image; `None` if this state was seen before.
    fn image(&mut self, at: usize, pending: &[usize], persisted: Persisted) -> Option<Image> {
        let disk = self.disk(at, pending, persisted);
        let mut hasher = DefaultHasher::new();
        disk.hash(&mut hasher);
        let new = self.seen.insert(hasher.finish());
        new.then_some(Image { at, persisted, disk, next_inode: self.next_inode })
    }

    /// What is on the disk: the durable effects, and a choice of the pending ones.
    fn disk(&self, at: usize, pending: &[usize], persisted: Persisted) -> Disk {
        let (applied, durable) = &self.durable;
        let mut disk = durable.clone();
        let mut lost_dirs = Vec::new();
        for (index, effect) in self.effects.iter().enumerate().take(at).skip(*applied) {
            match (pending.binary_search(&index), effect) {
                (Err(_), _) => disk.apply(effect),
                (Ok(place), Effect::MakeDir { dir }) => {
                    disk.apply(effect);
                    if !persisted.whole(place) {
                        lost_dirs.push(dir);
                    }
                }
                (Ok(place), _) => {
                    apply_pending(&mut disk, effect, place, persisted);
                    self.keep_synced_link(&mut disk, effect, index, at);
                }
            }
        }
        // What lies in a directory goes with its name.
        disk.dirs.retain(|dir, _| !lost_dirs.iter().any(|lost| dir.starts_with(lost)));
        disk.collect();
        disk
    }

    /// A move between directories is pending until both are synced; the new name stands once its own directory is.
    fn keep_synced_link(&self, disk: &mut Disk, effect: &Effect, index: usize, at: usize) {
        let Effect::Rename { to_dir, to_name, inode, .. } = effect else { return };
        let after = self.effects.get(index + 1..at).unwrap_or_default();
        if after.iter().any(|later| matches!(later, Effect::SyncDir { dir, ok: true } if dir == to_dir)) {
            disk.link(to_dir, to_name, *inode);
        }
    }

    /// The indices of the changes before `at` that no sync covers.
    fn pending(&self, at: usize) -> Vec<usize> {
        let before = self.effects.get(..at).unwrap_or_default();
        let pending = |index: usize, effect: &Effect| {
            let after = before.get(index + 1..).unwrap_or_default();
            let covered = |inode: Inode| {
                // After a failed sync the kernel has forgotten what it should still write: only the next sync counts.
                after.iter().find_map(|later| match later {
                    Effect::Sync { inode: synced, ok } if *synced == inode => Some(*ok),
                    _ => None,
                }) == Some(true)
            };
            let covered_dir = |dir: &std::path::Path| {
                after
                    .iter()
                    .any(|later| matches!(later, Effect::SyncDir { dir: synced, ok: true } if synced == dir))
            };
            match effect {
                Effect::Write { inode, .. } | Effect::SetLen { inode, .. } => !covered(*inode),
                Effect::MakeDir { dir } => !dir.parent().is_some_and(covered_dir),
                Effect::Create { dir, .. } | Effect::Remove { dir, .. } => !covered_dir(dir),
                Effect::Rename { from_dir, to_dir, .. } => !(covered_dir(from_dir) && covered_dir(to_dir)),
                Effect::Sync { .. } | Effect::SyncDir { .. } => false,
            }
        };
        before
            .iter()
            .enumerate()
            .filter(|(index, effect)| effect.changes() && pending(*index, effect))
            .map(|(index, _)| index)
            .collect()
    }
}

impl Persisted {
    /// Whether the change at this place had reached the disk as a whole.
    fn whole(self, place: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Prefix(count) | Self::Torn(count, _) => place < count,
            Self::Only(other) => place == other,
            Self::Bits(bits) => bits >> (place % 64) & 1 == 1,
            Self::Without(other)
            | Self::Head(other, _)
            | Self::Tail(other, _)
            | Self::Length(other)
            | Self::BothNames(other)
            | Self::NeitherName(other) => place != other,
        }
    }

    /// Which change had reached it in part.
    fn partly(self) -> Option<usize> {
        match self {
            Self::Head(place, _)
            | Self::Torn(place, _)
            | Self::Tail(place, _)
            | Self::Length(place)
            | Self::BothNames(place)
            | Self::NeitherName(place) => Some(place),
            _ => None,
        }
    }
}

fn apply_pending(disk: &mut Disk, effect: &Effect, place: usize, persisted: Persisted) {
    if persisted.whole(place) {
        disk.apply(effect);
    } else if persisted.partly() == Some(place) {
        apply_partly(disk, effect, persisted);
    } else if let Effect::Create { inode, .. } = effect {
        // The name is lost, not the file: a later rename may give it another one.
        disk.files.entry(*inode).or_default();
    }
}

fn apply_partly(disk: &mut Disk, effect: &Effect, persisted: Persisted) {
    match (effect, persisted) {
        (Effect::Write { inode, offset, bytes }, Persisted::Head(_, cut) | Persisted::Torn(_, cut)) => {
            let (head, _) = bytes.split_at(cut.min(bytes.len()));
            disk.write(*inode, *offset, head);
        }
        (Effect::Write { inode, offset, bytes }, Persisted::Tail(_, cut)) => {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            disk.write(*inode, *offset + head.len() as u64, tail);
        }
        (Effect::Write { inode, offset, bytes }, Persisted::Length(_)) => {
            let end = usize::try_from(*offset).unwrap_or(0) + bytes.len();
            let current = disk.files.get(inode).map_or(0, |content| content.len());
            if end > current {
                disk.apply(&Effect::SetLen { inode: *inode, bytes: end as u64 });
            }
        }
        (Effect::Rename { to_dir, to_name, inode, .. }, Persisted::BothNames(_)) => {
            disk.link(to_dir, to_name, *inode);
        }
        (Effect::Rename { from_dir, from_name, to_dir, to_name, inode }, Persisted::NeitherName(_)) => {
            // Within one directory, and where nothing stood under the new name: anything else would lose what was durable.
            if from_dir == to_dir && disk.lookup(to_dir, to_name).is_none() {
                if disk.lookup(from_dir, from_name) == Some(*inode) {
                    disk.unlink(from_dir, from_name);
                }
            } else {
                disk.apply(effect);
            }
        }
        _ => disk.apply(effect),
    }
}
