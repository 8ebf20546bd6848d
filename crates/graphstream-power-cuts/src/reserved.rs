//! What ext4 does with space that was reserved (`fallocate`) when the disk refuses a write, and with space that holds zeros.
//!
//! Without delayed allocation the first write into a small reserved extent fills the rest of it with zeros on the disk, so that all of it
//! counts as written. If that fails, ext4 (`ext4_ext_convert_to_initialized`, up to Linux 6.18 at least) splits the extent instead, but remembers the
//! rest as written all the same (`ext4_zeroout_es`). What is written there later and synced without an error reads as zeros after the next mount:
//!
//! ```text
//!  block            0         1         2         3
//!  on the disk      written   reserved  reserved  reserved      what a mount believes
//!  in memory        written   written   written   written       what the next fdatasync believes
//! ```
//!
//! So the journal reserves nothing; it writes zeros.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::disk::{Disk, Failing};
use crate::ext4::{Ext4, Options};
use crate::fuse::Served;
use crate::lives::DISK_BYTES;
use crate::tools::{program, run};

const BLOCK: usize = 1024;
const BLOCKS: usize = 4;

/// Fails if zeros don't help. Says what this kernel does with reserved space.
pub(crate) fn check(served: &Served, dir: &Path) -> Result<()> {
    let said = if keeps_what_was_synced(served, dir, Space::Reserved)? { "keeps" } else { "loses" };
    eprintln!("power cuts: after a failed write this kernel {said} what is synced into reserved space");
    ensure!(keeps_what_was_synced(served, dir, Space::Zeros)?, "what was synced over zeros was lost");
    Ok(())
}

/// How a file gets its space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// By `fallocate`.
    Reserved,
    /// By writing zeros.
    Zeros,
}

/// Whether what a file took and synced is there after another mount, when a write of the disk had failed before.
fn keeps_what_was_synced(served: &Served, dir: &Path, space: Space) -> Result<bool> {
    *served.disk() = Disk::new(DISK_BYTES);
    let at = dir.join("reserved-mounted");
    std::fs::create_dir_all(&at)?;
    Ext4::format(served.file(), Options::WITHOUT_DELAYED_ALLOCATION)?;
    let ext4 = Ext4::mount(served.file(), &at, Options::WITHOUT_DELAYED_ALLOCATION)?;
    let path = at.join("file");
    let file = File::create(&path)?;
    match space {
        Space::Reserved => {
            let bytes = (BLOCK * BLOCKS).to_string();
            run(program("fallocate").args(["--length", &bytes]).arg(&path))?;
        }
        Space::Zeros => file.write_all_at(&[0; BLOCK * BLOCKS], 0)?,
    }
    file.sync_all()?;

    served.disk().fail(Failing::Any, 1);
    file.write_all_at(&[1; BLOCK], 0).context("the first block")?;
    let failed = served.disk().heal();
    ensure!(space == Space::Zeros || failed == 1, "no write of the disk has failed");
    file.sync_data().context("the first block")?;
    let mut expected = vec![1; BLOCK];
    for block in 1..BLOCKS {
        let bytes = [u8::try_from(block + 1)?; BLOCK];
        file.write_all_at(&bytes, (block * BLOCK) as u64)?;
        file.sync_data()?;
        expected.extend(bytes);
    }
    drop(file);
    ext4.unmount()?;

    let ext4 = Ext4::mount(served.file(), &at, Options::WITHOUT_DELAYED_ALLOCATION)?;
    let mut found = Vec::new();
    File::open(&path)?.read_to_end(&mut found)?;
    ext4.unmount()?;
    Ok(found == expected)
}
