//! What can be done with a journal.

/// One thing that is done with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A small entry, until it is written.
    Append,
    /// A small entry, until it is synced.
    AppendSynced,
    /// Three entries in one.
    Batch,
    /// Larger than a segment: rotates before and after itself.
    Large,
    Sync,
    Seal,
    /// Close and open again.
    Reopen,
    /// The process is killed and started again.
    Kill,
}

/// What short lives are made of; [`Step::AppendSynced`] is two of them.
pub const ALPHABET: [Step; 7] =
    [Step::Append, Step::Batch, Step::Large, Step::Sync, Step::Seal, Step::Reopen, Step::Kill];

/// All lives of so many steps.
pub fn sequences(length: usize) -> Vec<Vec<Step>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = sequences(length - 1);
    shorter
        .iter()
        .flat_map(|steps| ALPHABET.iter().map(|step| [steps.as_slice(), &[*step]].concat()))
        .collect()
}

/// Numbers that every run repeats.
pub struct Numbers(u64);

impl Numbers {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The lowest bits are the weakest.
        self.0 >> 3
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn step(&mut self) -> Step {
        match self.below(16) {
            0..=3 => Step::Append,
            4..=5 => Step::AppendSynced,
            6..=8 => Step::Batch,
            9..=10 => Step::Sync,
            11 => Step::Seal,
            12 => Step::Reopen,
            13 => Step::Large,
            _ => Step::Kill,
        }
    }
}
