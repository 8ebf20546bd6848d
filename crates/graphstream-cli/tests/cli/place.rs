//! A temporary directory with a journal, a store and a database's name, and entries to fill them with.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Finished, Graphstream, Signal};

/// Where a test works; gone with it.
pub struct Place {
    root: TempDir,
}

impl Place {
    pub const DATABASE: &'static str = "people";

    pub fn new() -> Self {
        Self { root: tempfile::Builder::new().prefix("graphstream-cli-").tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The journal's directory. It does not exist before the first append.
    pub fn journal(&self) -> PathBuf {
        self.path("journal")
    }

    /// The object store's directory. It does not exist before the first `replicate`.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The URL of [`Self::store`].
    pub fn url(&self) -> String {
        format!("file://{}", self.store().display())
    }

    /// `graphstream VERB --journal JOURNAL`.
    pub fn on_journal(&self, verb: &str) -> Graphstream {
        Graphstream::new(verb).arg("--journal").arg(self.journal())
    }

    /// `graphstream VERB --from STORE --database people`.
    pub fn on_store(&self, verb: &str) -> Graphstream {
        Graphstream::new(verb).args(["--from", &self.url(), "--database", Self::DATABASE])
    }

    /// Appends lines and closes the journal.
    #[track_caller]
    pub fn append(&self, lines: impl Into<Vec<u8>>) -> Finished {
        self.on_journal("append").stdin(lines).ok()
    }

    /// An `append` whose entries stay in the open segment, however slow the test is.
    pub fn append_left_open(&self) -> Graphstream {
        self.on_journal("append").args(["--acks", "--segment-age-max", "1h"])
    }

    /// The open segment of a killed writer, with entries 1 to 3 in a record each.
    pub fn open_segment(&self) -> PathBuf {
        let mut writer = self.append_left_open().args(["--segment-bytes-max", "4KiB"]).spawn_with_stdin();
        for n in 1..=3 {
            writer.write(&entries(n, 1));
            writer.wait_for_stdout("an acknowledgement", |lines| (lines.len() as u64 == n).then_some(()));
        }
        writer.kill(Signal::Kill);
        self.segments().remove(0)
    }

    /// Appends each of `parts` with a call of its own, which makes a sealed segment of each.
    #[track_caller]
    pub fn append_segments<'a>(&self, parts: impl IntoIterator<Item = &'a str>) {
        for part in parts {
            self.append(part);
        }
    }

    /// A store with 12 entries, and a database at this target (a kind and a name) that follows it.
    #[track_caller]
    pub fn followed(target: &str) -> Self {
        let place = Self::new();
        place.fill(3, 4);
        place.ship();
        place.follow(place.target(target)).arg("--once").ok();
        place
    }

    /// A target of this kind and name, here.
    pub fn target(&self, target: &str) -> String {
        let (kind, name) = target.split_once(':').unwrap();
        format!("{kind}:{}", self.path(name).display())
    }

    /// A journal of `segments` sealed segments with `each` entries.
    #[track_caller]
    pub fn fill(&self, segments: u64, each: u64) {
        for number in 0..segments {
            self.append(entries(number * each + 1, each));
        }
    }

    /// Ships what the journal holds to the store, and ends.
    #[track_caller]
    pub fn ship(&self) -> Finished {
        self.replicate().arg("--once").ok()
    }

    /// `graphstream replicate` from the journal to the store.
    pub fn replicate(&self) -> Graphstream {
        self.on_journal("replicate").args(["--database", Self::DATABASE, "--to", &self.url()])
    }

    /// `graphstream follow` from the store into `target`. What a killed one leaves goes with the place.
    pub fn follow(&self, target: impl AsRef<str>) -> Graphstream {
        self.on_store("follow").env("TMPDIR", self.root.path()).args(["--target", target.as_ref()])
    }

    /// The last sequence that the store's head publishes; 0 without a head.
    pub fn committed(&self) -> u64 {
        let Ok(head) = fs::read(self.store().join(Self::DATABASE).join("head.json")) else { return 0 };
        serde_json::from_slice::<Value>(&head).unwrap()["committed"]["sequence"].as_u64().unwrap()
    }

    /// Waits until the store's head publishes `sequence`.
    #[track_caller]
    pub fn wait_committed(&self, sequence: u64) {
        super::until(&format!("entry {sequence} to be committed"), || {
            (self.committed() >= sequence).then_some(())
        });
    }

    /// All entries of the journal, as `cat --json` prints them.
    #[track_caller]
    pub fn cat(&self) -> Vec<Value> {
        self.on_journal("cat").arg("--json").ok().json_lines()
    }

    /// The journal's segments in order.
    pub fn segments(&self) -> Vec<PathBuf> {
        hadbj(&self.journal())
    }

    /// The database's level-0 objects in order.
    pub fn objects(&self) -> Vec<PathBuf> {
        hadbj(&self.store().join(Self::DATABASE).join("seg/0"))
    }
}

fn hadbj(dir: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hadbj"));
    files.sort();
    files
}

/// The `n`th entry: every one differs.
pub fn entry(n: u64) -> Value {
    json!({
        "query": "CREATE (:Person {id: $id, name: $name})",
        "params": {"id": n, "name": format!("person {n}")},
        "timestamp_ms": 1_700_000_000_000_u64 + n,
    })
}

/// `count` entries from the `first` on, as lines.
pub fn entries(first: u64, count: u64) -> String {
    (first..first + count).map(|n| format!("{}\n", entry(n))).collect()
}

/// Copies a directory as a backup of the machine has it, while others may work in it.
#[track_caller]
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_dir(&file.path(), &to);
        } else if let Err(error) = fs::copy(file.path(), to) {
            // What is written beside its name and then renamed may be gone by now.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", file.path().display());
        }
    }
}
