//! The names in a journal's directory. Everything is derived from parsed numbers; a name that does not parse is not ours.

use std::ffi::OsStr;

/// The writer's lock.
pub(crate) const LOCK: &str = "LOCK";
/// The shipper's lock.
pub(crate) const SHIP: &str = "SHIP";
/// The shipper's note that the journal was fenced.
pub(crate) const FENCED: &str = "FENCED";
/// The shipper's note that what is journaled does not get away.
pub(crate) const OUTAGE: &str = "OUTAGE";
/// The identity of the journal.
pub(crate) const JOURNAL_JSON: &str = "journal.json";
/// A starting point without segments.
pub(crate) const RECOVERY_JSON: &str = "recovery.json";
/// What the shipper keeps about the store.
pub(crate) const UPLOAD_MANIFEST: &str = "upload_manifest.json";
/// Where named cursors stand.
pub(crate) const CURSORS: &str = "cursors";
/// Where a predecessor's segments are kept after they were sealed again.
pub(crate) const LEGACY: &str = "legacy";

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".hadbj";
const TEMP: &str = ".tmp";
const DIGITS: usize = 16;

/// The file name of the segment that starts at this sequence.
///
/// ```
/// # use graphstream_journal::segment_name;
/// assert_eq!(segment_name(296), "journal-0000000000000296.hadbj");
/// ```
#[must_use]
pub fn segment_name(first_sequence: u64) -> String {
    format!("{PREFIX}{first_sequence:0DIGITS$}{SUFFIX}")
}

/// The first sequence in a segment's file name; `None` for any other name.
///
/// ```
/// # use graphstream_journal::parse_segment_name;
/// assert_eq!(parse_segment_name("journal-0000000000000296.hadbj".as_ref()), Some(296));
/// assert_eq!(parse_segment_name("journal-296.hadbj".as_ref()), None);
/// ```
#[must_use]
pub fn parse_segment_name(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    if digits.len() < DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let sequence: u64 = digits.parse().ok()?;
    // One spelling per number: more digits only where sixteen do not suffice. Sequences start at 1.
    (sequence > 0 && segment_name(sequence) == name.to_str()?).then_some(sequence)
}

/// The name something is written under before it is renamed into place.
pub(crate) fn temp_name(name: &str) -> String {
    format!("{name}{TEMP}")
}

/// Whether a name is a temporary one of ours, left behind by a crash.
pub(crate) fn is_temp_name(name: &OsStr) -> bool {
    let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(TEMP)) else { return false };
    parse_segment_name(stem.as_ref()).is_some() || [JOURNAL_JSON, RECOVERY_JSON, FENCED].contains(&stem)
}

/// Whether this names a cursor: `[a-z0-9][a-z0-9._-]{0,62}`.
pub(crate) fn is_cursor_name(name: &str) -> bool {
    let head = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().next().is_some_and(head)
        && name.bytes().all(|byte| head(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for sequence in [1, 296, 9_999_999_999_999_999, 10_000_000_000_000_000, u64::MAX] {
            assert_eq!(parse_segment_name(segment_name(sequence).as_ref()), Some(sequence));
        }
        for name in [
            "journal-0000000000000000.hadbj",
            "journal-00000000000000001.hadbj",
            "journal-+000000000000001.hadbj",
            "journal-0000000000000001.hadbj.tmp",
            "journal-99999999999999999999999.hadbj",
            "Journal-0000000000000001.hadbj",
            "journal-0000000000000001",
        ] {
            assert_eq!(parse_segment_name(name.as_ref()), None, "{name}");
        }
    }

    #[test]
    fn temp_names_are_only_ours() {
        assert!(is_temp_name("journal-0000000000000001.hadbj.tmp".as_ref()));
        assert!(is_temp_name("journal.json.tmp".as_ref()));
        assert!(!is_temp_name("upload_manifest.json.tmp".as_ref()));
        assert!(!is_temp_name("notes.tmp".as_ref()));
    }

    #[test]
    fn cursor_names_are_plain() {
        for name in ["a", "uploader", "history.v2", "0_-"] {
            assert!(is_cursor_name(name), "{name}");
        }
        for name in ["", ".a", "../a", "A", "a/b", "ä", &"x".repeat(64)] {
            assert!(!is_cursor_name(name), "{name}");
        }
    }
}
