//! Keys of encrypted databases, and calls that take them.

use std::path::{Path, PathBuf};

use super::{Graphstream, Place};

/// A new key: its file and its id.
pub fn key(place: &Place, name: &str) -> (PathBuf, String) {
    let path = place.path(name);
    let made = Graphstream::new("key").args(["generate", "--json", "--output"]).arg(&path).ok().json();
    (path, made["id"].as_str().unwrap().to_owned())
}

impl Graphstream {
    /// With these key files, the current one first.
    pub fn keys(self, files: &[&Path]) -> Self {
        files.iter().fold(self, |call, file| call.arg("--encryption-key-file").arg(file))
    }
}
