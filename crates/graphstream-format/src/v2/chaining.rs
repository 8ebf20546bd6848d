//! The chain over the entries of frames: of two frames at once, since each begins with a chain hash of its own.
//!
//! ```text
//! one frame    block ── block ── block ── ...      each waits for the one before it, which leaves the processor half idle
//! another         block ── block ── block ── ...   of two frames there is always a block that needs not wait
//! ```

use crate::chain::{ChainHash, Stepwise};

/// One entry of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Where its payload lies in the frame's bytes.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) commit_ms: i64,
    /// Known once the chain was continued over it.
    pub(super) chain_hash: ChainHash,
}

impl Span {
    pub(super) fn payload<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.start as usize..self.end as usize)
    }
}

/// The entries of one frame, and how far the chain was continued over them.
pub(super) struct Chaining<'f> {
    bytes: &'f [u8],
    /// Those behind the present one.
    rest: std::slice::IterMut<'f, Span>,
    present: Option<(&'f mut Span, &'f [u8])>,
    /// Of the present one.
    hash: Stepwise,
    /// The chain hash after those before the present one.
    chain: ChainHash,
}

impl<'f> Chaining<'f> {
    /// `before` is the chain hash before the first entry.
    pub(super) fn new(bytes: &'f [u8], entries: &'f mut [Span], before: ChainHash) -> Self {
        let mut chaining =
            Self { bytes, rest: entries.iter_mut(), present: None, hash: Stepwise::new(), chain: before };
        chaining.next();
        chaining
    }

    /// Begins the next entry.
    #[inline]
    fn next(&mut self) {
        self.present = self.rest.next().map(|entry| {
            let payload = entry.payload(self.bytes).unwrap_or_default();
            self.hash.begin(&self.chain, payload);
            (entry, payload)
        });
    }

    /// The last block of the present entry was hashed, or is.
    #[inline]
    fn end(&mut self) -> bool {
        let Some((entry, payload)) = &mut self.present else { return false };
        self.chain = self.hash.finish(payload);
        entry.chain_hash = self.chain;
        self.next();
        true
    }

    /// One more block; false if none is left.
    #[inline]
    fn step(&mut self) -> bool {
        loop {
            let Some((_, payload)) = &self.present else { return false };
            if self.hash.step(payload) {
                return true;
            }
            self.end();
        }
    }

    /// Continues the chain over all that is left, and returns its end.
    pub(super) fn finish(mut self) -> ChainHash {
        while self.end() {}
        self.chain
    }

    /// The same for two frames.
    pub(super) fn finish_two(mut self, mut other: Self) -> [ChainHash; 2] {
        while self.step() && other.step() {}
        [self.finish(), other.finish()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(lengths: &[u8]) -> Vec<Span> {
        let mut end = 0;
        let spans = lengths.iter().map(|len| {
            let start = end;
            end += u32::from(*len);
            Span { start, end, commit_ms: 0, chain_hash: ChainHash::ZERO }
        });
        spans.collect()
    }

    proptest! {
        #[test]
        fn the_chains_of_two_frames_are_those_of_each(
            bytes in prop::collection::vec(any::<u8>(), 20 * 255),
            lengths in prop::collection::vec(any::<u8>(), 0..20),
            other_lengths in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let (before, other_before) = (ChainHash::from_bytes([1; 32]), ChainHash::from_bytes([2; 32]));
            let (mut one, mut other) = (spans(&lengths), spans(&other_lengths));
            let ends = Chaining::new(&bytes, &mut one, before)
                .finish_two(Chaining::new(&bytes, &mut other, other_before));
            for (spans, before, end) in [(&one, before, ends[0]), (&other, other_before, ends[1])] {
                let mut chain = before;
                for span in spans {
                    chain = chain.after(span.payload(&bytes).unwrap());
                    prop_assert_eq!(span.chain_hash, chain);
                }
                prop_assert_eq!(end, chain);
            }
        }
    }
}
