//! Everything that can be wrong with what a store holds of a database, in one table: whoever reads a published history (followers,
//! restores, `verify`) is shown the same damage, and must call it by the same name.
//!
//! ```text
//! objects of a published history, and an older head ──▶ Damage::done_to, for each of Damage::ALL ──▶ read ──▶ Damage::kind
//! ```

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "it serves tests, which end there")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use graphstream_format::{
    Entry, Lineage, ReadOptions, SegmentReader, SegmentStart, SegmentWriter, WriteOptions,
};

/// The objects of a store, by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects(pub BTreeMap<String, Vec<u8>>);

impl Objects {
    /// What a `file://` store holds.
    ///
    /// # Errors
    /// Reading files and directories.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut objects = Self::default();
        for (key, path) in files(root)? {
            objects.0.insert(key, fs::read(path)?);
        }
        Ok(objects)
    }

    /// Makes a `file://` store hold these and no others. What is as it should be is not touched.
    ///
    /// # Errors
    /// Reading, writing and removing files.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        for (key, path) in files(root)? {
            if !self.0.contains_key(&key) {
                fs::remove_file(path)?;
            }
        }
        for (key, bytes) in &self.0 {
            let path = root.join(key);
            if fs::read(&path).is_ok_and(|found| found == *bytes) {
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// The key of the head.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn head(&self) -> &str {
        let head = self.0.keys().find(|key| key.ends_with("/head.json"));
        head.expect("a published database has a head")
    }

    /// The keys of the segments of level 0, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.0.keys().filter(|key| key.contains("/seg/0/")).map(String::as_str).collect()
    }

    fn bytes(&mut self, key: &str) -> &mut Vec<u8> {
        self.0.get_mut(key).expect("a key of this store")
    }

    /// Has the head name what stands under a key now, as somebody who can write to the store would. Beside `old`, the object's
    /// bytes before, which the head names.
    fn rename_in_head(&mut self, old: &[u8], key: &str) {
        use sha2::{Digest as _, Sha256};

        let row = |bytes: &[u8]| (hex::encode(Sha256::digest(bytes)), bytes.len());
        let ((old_sha256, old_size), (sha256, size)) = (row(old), row(self.bytes(key)));
        let head_key = self.head().to_owned();
        let head = self.bytes(&head_key);
        let mut json: serde_json::Value = serde_json::from_slice(head).expect("a head is JSON");
        let rows = json.get_mut("segments").and_then(|rows| rows.as_array_mut()).expect("its window");
        let named = rows.iter_mut().find(|row| row["sha256"] == old_sha256.as_str());
        let row = named.expect("the head names the object");
        assert_eq!(row["size"], old_size);
        row["sha256"] = sha256.into();
        row["size"] = size.into();
        *head = json.to_string().into_bytes();
    }
}

fn files(root: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(dir) = left.pop() {
        for file in fs::read_dir(dir)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with('.') {
                // The store's own: locks, clock, temporary files.
                continue;
            }
            let path = file.path();
            if file.file_type()?.is_dir() {
                left.push(path);
            } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                found.push((key.replace('\\', "/"), path));
            }
        }
    }
    Ok(found)
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The oldest segment is gone.
    MissingFirst,
    /// One between others is gone.
    MissingMiddle,
    /// The newest one is gone.
    MissingLast,
    /// One bit of a segment's body is another.
    FlippedByte,
    /// A segment ends early.
    Truncated,
    /// Two segments stand under each other's keys.
    Swapped,
    /// Under a segment's key stands one of another history, with the same sequences and payloads.
    ForeignLineage,
    /// Under a segment's key stands another whole segment of this history: same sequences, other entries. The head names what was there.
    Replaced,
    /// The same, and the head was made to name it: only the chain tells.
    ReplacedAndNamed,
    /// The head is gone.
    MissingHead,
    /// The head is cut in the middle.
    DamagedHead,
    /// The head is one that was published earlier. Only who has seen a newer one can tell.
    OlderHead,
}

impl Damage {
    /// All of it.
    pub const ALL: [Self; 12] = [
        Self::MissingFirst,
        Self::MissingMiddle,
        Self::MissingLast,
        Self::FlippedByte,
        Self::Truncated,
        Self::Swapped,
        Self::ForeignLineage,
        Self::Replaced,
        Self::ReplacedAndNamed,
        Self::MissingHead,
        Self::DamagedHead,
        Self::OlderHead,
    ];

    /// The kind of the error that it must end in, a word of `docs/cli-json.md` with exit code 5.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::MissingFirst | Self::MissingMiddle | Self::MissingLast => "gap",
            Self::ForeignLineage => "lineage",
            Self::OlderHead => "rewind",
            Self::ReplacedAndNamed => "fork",
            Self::FlippedByte
            | Self::Truncated
            | Self::Swapped
            | Self::Replaced
            | Self::MissingHead
            | Self::DamagedHead => "corruption",
        }
    }

    /// The index of the segment that is not what it should be, of a history of so many; `None`: it is the head. Of two the first.
    #[must_use]
    pub const fn segment(self, count: usize) -> Option<usize> {
        match self {
            Self::MissingFirst => Some(0),
            Self::MissingMiddle
            | Self::FlippedByte
            | Self::Truncated
            | Self::Swapped
            | Self::ForeignLineage
            | Self::Replaced
            | Self::ReplacedAndNamed => Some(count / 2),
            Self::MissingLast => Some(count - 1),
            Self::MissingHead | Self::DamagedHead | Self::OlderHead => None,
        }
    }

    /// The same store with this damage. It needs four segments at least; `older_head` is the head as it was before the last publication.
    ///
    /// # Panics
    /// When the objects are no published history.
    #[must_use]
    pub fn done_to(self, objects: &Objects, older_head: &[u8]) -> Objects {
        let mut damaged = objects.clone();
        let head = objects.head().to_owned();
        let segments: Vec<String> = objects.segments().into_iter().map(str::to_owned).collect();
        assert!(segments.len() >= 4, "{segments:?}");
        let Some(key) = self.segment(segments.len()).map(|index| segments[index].clone()) else {
            match self {
                Self::MissingHead => drop(damaged.0.remove(&head)),
                Self::DamagedHead => {
                    let half = damaged.bytes(&head).len() / 2;
                    damaged.bytes(&head).truncate(half);
                }
                _ => *damaged.bytes(&head) = older_head.to_vec(),
            }
            return damaged;
        };
        let whole = damaged.bytes(&key).clone();
        match self {
            Self::FlippedByte => {
                // Behind header and frame header: in what was compressed.
                let at = 128 + (whole.len() - 128) / 3;
                damaged.bytes(&key)[at] ^= 0x10;
            }
            Self::Truncated => damaged.bytes(&key).truncate(whole.len() - 7),
            Self::Swapped => {
                let next = &segments[segments.len() / 2 + 1];
                let other = std::mem::replace(damaged.bytes(next), whole);
                *damaged.bytes(&key) = other;
            }
            Self::ForeignLineage => {
                *damaged.bytes(&key) = rewritten(&whole, Lineage::from_bytes([0xf0; 16]), |_| ());
            }
            Self::Replaced | Self::ReplacedAndNamed => {
                *damaged.bytes(&key) = with_another_last_entry(&whole);
                if self == Self::ReplacedAndNamed {
                    damaged.rename_in_head(&whole, &key);
                }
            }
            _ => drop(damaged.0.remove(&key)),
        }
        damaged
    }
}

/// A whole segment in which the last entry is another one.
fn with_another_last_entry(segment: &[u8]) -> Vec<u8> {
    let reader = SegmentReader::new(segment, segment.len() as u64, ReadOptions::default());
    let header = reader.expect("a segment").header().clone();
    rewritten(segment, header.lineage, |entry| {
        if entry.sequence == header.last_seq {
            // Another digit at its end: it stays an entry.
            let digit = entry.payload.iter_mut().rev().find(|byte| byte.is_ascii_digit());
            let digit = digit.expect("a digit in the payload");
            *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
        }
    })
}

/// The segment's entries, changed, in a segment of a lineage; its chain continues what it continued.
fn rewritten(segment: &[u8], lineage: Lineage, change: impl Fn(&mut Entry)) -> Vec<u8> {
    let mut reader =
        SegmentReader::new(segment, segment.len() as u64, ReadOptions::default()).expect("a segment");
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).expect("a whole segment") {
        entries.push(entry.clone());
    }
    let header = reader.header();
    let start = SegmentStart {
        lineage,
        first_seq: header.first_seq,
        chain_before: reader.chain_before().expect("it has entries"),
        created_ms: header.created_ms,
    };
    let mut writer =
        SegmentWriter::new(Cursor::new(Vec::new()), start, &WriteOptions::default()).expect("a writer");
    for mut entry in entries {
        change(&mut entry);
        writer.push(&entry.payload, entry.commit_ms).expect("an entry");
    }
    writer.finish().expect("a segment").inner.into_inner()
}
