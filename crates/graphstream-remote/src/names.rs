//! The names of objects. A name from the store is parsed strictly, into numbers, before anything is done with it; text
//! that is not exactly what we would write names nothing.
//!
//! ```text
//! head.json   keys.json
//! epoch/{epoch:08x}.json
//! seg/{level}/{last:016x}-{first:016x}-{epoch:08x}-{commit_ms:012x}.hadbj
//! snap/{sequence:016x}-{epoch:08x}-{commit_ms:012x}/{data object | manifest.json}
//! label/{name}.json
//! ```

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, NameProblem, Result};

/// The highest compaction level. Level 0 is what leaders upload.
pub const LEVEL_MAX: u8 = 3;
/// Commit times in names have 12 hex digits.
pub const COMMIT_MS_MAX: i64 = (1 << 48) - 1;
const NAME_BYTES_MAX: usize = 63;

/// `[a-z0-9][a-z0-9._-]{0,62}`: what databases and labels may be called.
fn check_short_name(text: &str) -> Result<(), NameProblem> {
    let first = text.bytes().next().ok_or(NameProblem::Empty)?;
    if text.len() > NAME_BYTES_MAX {
        return Err(NameProblem::TooLong);
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Err(NameProblem::FirstCharacter);
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if text.bytes().all(allowed) { Ok(()) } else { Err(NameProblem::Character) }
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $variant:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the grammar `[a-z0-9][a-z0-9._-]{0,62}`.
            ///
            /// # Errors
            #[doc = concat!("[`Error::", stringify!($variant), "`] with the broken rule.")]
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                check_short_name(&text).map_err(|problem| Error::$variant { problem })?;
                Ok(Self(text))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }
    };
}

short_name!(
    /// The name of a database in a store: one directory below the root.
    DatabaseName,
    InvalidDatabaseName
);
short_name!(
    /// The name of a label.
    LabelName,
    InvalidLabelName
);

/// Exactly `digits` lower-case hex digits.
fn hex_number(text: &str, digits: usize) -> Option<u64> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(lower_hex))
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

fn hex_epoch(text: &str) -> Option<u32> {
    hex_number(text, 8).and_then(|number| u32::try_from(number).ok())
}

fn hex_commit_ms(text: &str) -> Option<i64> {
    hex_number(text, 12).and_then(|number| i64::try_from(number).ok())
}

/// What a segment's key says: level, sequences, the epoch of its last entry, that entry's commit time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentName {
    level: u8,
    first: u64,
    last: u64,
    epoch: u32,
    commit_ms: i64,
}

impl SegmentName {
    /// The name of a segment with entries `first..=last`. `epoch` counts from 1, `commit_ms` is in ms since 1970.
    ///
    /// # Errors
    /// [`Error::InvalidSegmentName`] with the broken rule.
    pub fn new(level: u8, first: u64, last: u64, epoch: u32, commit_ms: i64) -> Result<Self> {
        let problem = if level > LEVEL_MAX {
            NameProblem::Level
        } else if first == 0 || last < first {
            NameProblem::Sequences
        } else if epoch == 0 {
            NameProblem::Epoch
        } else if !(0..=COMMIT_MS_MAX).contains(&commit_ms) {
            NameProblem::CommitTime
        } else {
            return Ok(Self { level, first, last, epoch, commit_ms });
        };
        Err(Error::InvalidSegmentName { problem })
    }

    /// Parses `seg/...hadbj`, the key below the database; `None` unless it is exactly what [`Display`](fmt::Display)
    /// prints for some name.
    #[must_use]
    pub fn parse(relative: &str) -> Option<Self> {
        let (level, file) = relative.strip_prefix("seg/")?.split_once('/')?;
        let [digit @ b'0'..=b'9'] = level.as_bytes() else { return None };
        let mut parts = file.strip_suffix(".hadbj")?.split('-');
        let last = hex_number(parts.next()?, 16)?;
        let first = hex_number(parts.next()?, 16)?;
        let epoch = hex_epoch(parts.next()?)?;
        let commit_ms = hex_commit_ms(parts.next()?)?;
        if parts.next().is_some() {
            return None;
        }
        Self::new(digit - b'0', first, last, epoch, commit_ms).ok()
    }

    /// Compaction level, 0 for what leaders upload.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Sequence of the first entry, at least 1.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Sequence of the last entry.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Level 0: the epoch it was uploaded under. Above: the epoch of its last entry.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Commit time of the last entry, in ms since 1970.
    #[must_use]
    pub fn commit_ms(&self) -> i64 {
        self.commit_ms
    }

    /// The prefix of all segments of a level.
    #[must_use]
    pub fn level_prefix(level: u8) -> String {
        format!("seg/{level}/")
    }

    /// A text behind all segments of the level that end at or before `sequence` and before all others: where a listing
    /// starts that looks for `sequence + 1`.
    #[must_use]
    pub fn start_after(level: u8, sequence: u64) -> String {
        format!("seg/{level}/{sequence:016x}-{:016x}-{:08x}-{COMMIT_MS_MAX:012x}.hadbj", u64::MAX, u32::MAX)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, first, last, epoch, commit_ms } = self;
        write!(f, "seg/{level}/{last:016x}-{first:016x}-{epoch:08x}-{commit_ms:012x}.hadbj")
    }
}

/// What a snapshot's directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SnapshotName {
    sequence: u64,
    epoch: u32,
    commit_ms: i64,
}

impl SnapshotName {
    /// The object in a snapshot's directory that is written last.
    pub const MANIFEST: &str = "manifest.json";

    /// The name of a snapshot that holds all entries up to `sequence`, the last of them of `epoch` and `commit_ms`.
    ///
    /// # Errors
    /// [`Error::InvalidSnapshotName`] with the broken rule.
    pub fn new(sequence: u64, epoch: u32, commit_ms: i64) -> Result<Self> {
        let problem = if epoch == 0 {
            NameProblem::Epoch
        } else if !(0..=COMMIT_MS_MAX).contains(&commit_ms) {
            NameProblem::CommitTime
        } else {
            return Ok(Self { sequence, epoch, commit_ms });
        };
        Err(Error::InvalidSnapshotName { problem })
    }

    /// Parses `snap/...`, the directory below the database, without a trailing slash.
    #[must_use]
    pub fn parse(relative: &str) -> Option<Self> {
        let mut parts = relative.strip_prefix("snap/")?.split('-');
        let sequence = hex_number(parts.next()?, 16)?;
        let epoch = hex_epoch(parts.next()?)?;
        let commit_ms = hex_commit_ms(parts.next()?)?;
        if parts.next().is_some() {
            return None;
        }
        Self::new(sequence, epoch, commit_ms).ok()
    }

    /// The last sequence in the snapshot.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The epoch of that entry.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The commit time of that entry, in ms since 1970.
    #[must_use]
    pub fn commit_ms(&self) -> i64 {
        self.commit_ms
    }

    /// The key of the manifest below the database.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("{self}/{}", Self::MANIFEST)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, epoch, commit_ms } = self;
        write!(f, "snap/{sequence:016x}-{epoch:08x}-{commit_ms:012x}")
    }
}

/// Any key below a database that the layout knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectName {
    /// `head.json`.
    Head,
    /// `keys.json`.
    Keys,
    /// `epoch/{epoch:08x}.json`.
    Epoch(u32),
    /// A segment.
    Segment(SegmentName),
    /// An object of a snapshot; the text is the object's name inside the snapshot and comes from the store: for
    /// comparing and showing only.
    Snapshot(SnapshotName, String),
    /// `label/{name}.json`.
    Label(LabelName),
}

impl ObjectName {
    /// Parses a key below the database; `None` for anything that the layout does not know.
    #[must_use]
    pub fn parse(relative: &str) -> Option<Self> {
        match relative {
            "head.json" => return Some(Self::Head),
            "keys.json" => return Some(Self::Keys),
            _ => {}
        }
        let (directory, rest) = relative.split_once('/')?;
        match directory {
            "epoch" => {
                let epoch = hex_epoch(rest.strip_suffix(".json")?)?;
                (epoch > 0).then_some(Self::Epoch(epoch))
            }
            "seg" => SegmentName::parse(relative).map(Self::Segment),
            "snap" => {
                let (_, object) = rest.split_once('/')?;
                let directory = relative.strip_suffix(object)?.strip_suffix('/')?;
                let name = SnapshotName::parse(directory)?;
                (!object.is_empty()).then(|| Self::Snapshot(name, object.to_owned()))
            }
            "label" => LabelName::new(rest.strip_suffix(".json")?).ok().map(Self::Label),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head.json"),
            Self::Keys => f.write_str("keys.json"),
            Self::Epoch(epoch) => write!(f, "epoch/{epoch:08x}.json"),
            Self::Segment(name) => write!(f, "{name}"),
            Self::Snapshot(name, object) => write!(f, "{name}/{object}"),
            Self::Label(name) => write!(f, "label/{name}.json"),
        }
    }
}
