//! An ext4 on a loop device on a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::numbers::Numbers;
use crate::tools::{program, run};

/// How the file system was made and is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    block_bytes: u32,
    mount: &'static str,
}

impl Options {
    pub(crate) const PLAIN: Self = Self { block_bytes: 4096, mount: "data=ordered" };

    /// Small blocks that get their place when they are written to the page cache.
    pub(crate) const WITHOUT_DELAYED_ALLOCATION: Self =
        Self { block_bytes: 1024, mount: "data=ordered,nodelalloc" };

    pub(crate) fn random(numbers: &mut Numbers) -> Self {
        let mount = numbers.of([
            "data=ordered",
            "data=ordered,commit=1",
            "data=ordered,nodelalloc",
            "data=writeback",
            "data=journal",
        ]);
        Self { block_bytes: numbers.of([1024, 4096]), mount }
    }

    /// Whether the entries go to the journal of the file system first.
    pub(crate) fn journals_data(self) -> bool {
        self.mount == "data=journal"
    }
}

/// A mounted file system; unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Ext4 {
    at: PathBuf,
    mounted: bool,
}

impl Ext4 {
    /// Makes one in a file.
    pub(crate) fn format(file: &Path, options: Options) -> Result<()> {
        let block = options.block_bytes.to_string();
        let extended = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        // 4 MiB of journal: it goes round often.
        let journal = "size=4";
        run(program("mkfs.ext4").args(["-q", "-F", "-b", &block, "-J", journal, "-E", extended]).arg(file))?;
        Ok(())
    }

    /// Mounts it, which repairs what a power cut has left.
    pub(crate) fn mount(file: &Path, at: &Path, options: Options) -> Result<Self> {
        // The loop device goes with the mount.
        let mount = format!("loop,{}", options.mount);
        run(program("mount").args(["-t", "ext4", "-o", &mount]).arg(file).arg(at))
            .context("mounting an ext4 on a loop device")?;
        Ok(Self { at: at.to_path_buf(), mounted: true })
    }

    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    pub(crate) fn unmount(mut self) -> Result<()> {
        self.mounted = false;
        run(program("umount").arg(&self.at))?;
        Ok(())
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        if self.mounted {
            let _ = run(program("umount").arg("-l").arg(&self.at));
        }
    }
}
