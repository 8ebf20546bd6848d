//! Finding a key that is given twice.

use std::collections::HashSet;

/// Up to this many keys are compared with each other; beyond it, a set is cheaper.
const COMPARED_MAX: usize = 16;

/// The index of the first key that an earlier one equals.
pub(crate) fn first_duplicate<T>(pairs: &[(String, T)]) -> Option<usize> {
    if pairs.len() <= COMPARED_MAX {
        let mut seen = pairs;
        while let [rest @ .., (key, _)] = seen {
            if rest.iter().any(|(earlier, _)| earlier == key) {
                // Go on: an earlier pair may be a duplicate too.
                return first_duplicate(rest).or(Some(rest.len()));
            }
            seen = rest;
        }
        None
    } else {
        let mut seen = HashSet::with_capacity(pairs.len());
        pairs.iter().position(|(key, _)| !seen.insert(key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::first_duplicate;

    fn pairs(keys: impl IntoIterator<Item = usize>) -> Vec<(String, ())> {
        keys.into_iter().map(|key| (key.to_string(), ())).collect()
    }

    #[test]
    fn the_first_duplicate_is_found_in_short_and_long_lists() {
        assert_eq!(first_duplicate(&pairs([])), None);
        assert_eq!(first_duplicate(&pairs([1, 2, 3])), None);
        assert_eq!(first_duplicate(&pairs([1, 2, 1, 2, 2])), Some(2));
        assert_eq!(first_duplicate(&pairs(0..1000)), None);
        assert_eq!(first_duplicate(&pairs((0..1000).chain([7]).chain([7]))), Some(1000));
    }
}
