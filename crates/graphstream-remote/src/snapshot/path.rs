//! Where a file stands in a snapshot: a path that can't leave the directory it is restored into.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest path in a snapshot, in bytes.
pub const SNAPSHOT_PATH_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 255;

/// A relative path of plain names with `/` between them: no `.`, no `..`, no root, no control character, no backslash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotPath(String);

impl SnapshotPath {
    /// Checks the grammar; `None` for anything else.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let plain = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name.len() <= NAME_BYTES_MAX
                && !name.chars().any(|character| character.is_control() || character == '\\')
        };
        (text.len() <= SNAPSHOT_PATH_BYTES_MAX && text.split('/').all(plain)).then_some(Self(text))
    }

    /// The path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it stands below a directory.
    #[must_use]
    pub fn below(&self, directory: &Path) -> PathBuf {
        self.0.split('/').fold(directory.to_path_buf(), |path, name| path.join(name))
    }

    /// The directories that it stands in, from the outermost; without the one that everything is restored into.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(end, _)| self.0.get(..end))
    }
}

impl fmt::Display for SnapshotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SnapshotPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SnapshotPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || serde::de::Error::custom("expected a relative path of plain names");
        Self::new(String::deserialize(deserializer)?).ok_or_else(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h03_paths_that_would_leave_the_directory_name_nothing() {
        for good in ["database", "database/a b.kz", "database.wal/0", "a/b/c/d", "…"] {
            assert_eq!(SnapshotPath::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        let deep = vec!["x"; 600].join("/");
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/..",
            "../a",
            "a/../../b",
            "a//b",
            "a/",
            "./a",
            "a/.",
            "a\0b",
            "a\nb",
            "a\\..\\b",
            &long,
            &deep,
        ] {
            assert!(SnapshotPath::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_below_its_directory() {
        let path = SnapshotPath::new("a/b/c").unwrap();
        assert_eq!(path.below(Path::new("/tmp/x")), Path::new("/tmp/x/a/b/c"));
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
