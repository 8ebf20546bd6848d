//! Which published segments may go. Pure.

use super::CacheOptions;

/// A published segment on the local disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its first sequence.
    pub(crate) first: u64,
    /// Its last sequence.
    pub(crate) last: u64,
    /// Bytes of its file.
    pub(crate) bytes: u64,
    /// What its age counts from, in ms since 1970.
    pub(crate) since_ms: i64,
}

/// Up to which sequence segments are too old, or too many; `None` when none is. They are `bytes` together, oldest first; those beyond
/// `needless` stay.
pub(crate) fn through(
    kept: impl Iterator<Item = Kept>,
    bytes: u64,
    options: &CacheOptions,
    needless: u64,
    now_ms: i64,
) -> Option<u64> {
    let age_max_ms = i64::try_from(options.age_max.as_millis()).unwrap_or(i64::MAX);
    let mut excess = bytes.saturating_sub(options.bytes_max);
    let mut through = None;
    for segment in kept.take_while(|segment| segment.last <= needless) {
        let is_old = now_ms.saturating_sub(segment.since_ms) >= age_max_ms;
        if excess == 0 && !is_old {
            break;
        }
        excess = excess.saturating_sub(segment.bytes);
        through = Some(segment.last);
    }
    through
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn segments() -> impl Strategy<Value = Vec<Kept>> {
        prop::collection::vec((1..9_u64, 0..50_u64, 0..100_i64), 0..12).prop_map(|parts| {
            let mut last = 0;
            let mut kept = Vec::new();
            for (entries, bytes, since_ms) in parts {
                let first = last + 1;
                last += entries;
                kept.push(Kept { first, last, bytes, since_ms });
            }
            kept
        })
    }

    proptest! {
        /// What goes is the smallest beginning that satisfies both bounds, as far as nobody needs it.
        #[test]
        fn what_goes_is_a_beginning_and_no_more_than_the_bounds_ask_for(
            kept in segments(), age_ms in 0..120_u64, bytes_max in 0..300_u64, now_ms in 0..200_i64, needless in 0..60_u64,
        ) {
            let options = CacheOptions::default().with_age_max(Duration::from_millis(age_ms)).with_bytes_max(bytes_max);
            let bytes = kept.iter().map(|segment| segment.bytes).sum();
            let through = through(kept.iter().copied(), bytes, &options, needless, now_ms);
            let gone = through.map_or(0, |through| kept.iter().filter(|segment| segment.last <= through).count());
            prop_assert!(through.is_none_or(|through| through <= needless && kept.iter().any(|one| one.last == through)));
            let old = |segment: &Kept| now_ms - segment.since_ms >= age_ms as i64;
            let rest: u64 = kept[gone..].iter().map(|segment| segment.bytes).sum();
            if gone < kept.len() && kept[gone].last <= needless {
                prop_assert!(rest <= bytes_max && !old(&kept[gone]), "more should have gone");
            }
            if let Some(last) = gone.checked_sub(1) {
                prop_assert!(rest + kept[last].bytes > bytes_max || old(&kept[last]), "less should have gone");
            }
        }
    }
}
