//! What this machine allows, found by trying it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};

use crate::disk::Disk;
use crate::ext4::{Ext4, Options};
use crate::fuse::Served;
use crate::lives::{DISK_BYTES, Rig};
use crate::shutdown::{Flush, Shutdown};
use crate::tools::{program, run};

/// Set in the process that has the namespace.
const INSIDE: &str = "GRAPHSTREAM_POWER_CUTS_INSIDE";

/// Where this process is.
pub(crate) enum Namespace {
    Inside,
    /// Another process was inside, and has ended.
    Left(ExitCode),
}

/// Starts this program again in a mount namespace of its own, unless it is there.
pub(crate) fn enter_namespace(arguments: &[String]) -> Result<Namespace> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Namespace::Inside);
    }
    ensure!(std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0), "this process is not root");
    let unshare = || {
        let mut command = program("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    run(unshare().arg("true")).context("a mount namespace can't be made")?;
    let status = unshare().arg(std::env::current_exe()?).args(arguments).env(INSIDE, "1").status()?;
    // A signal is a failure too.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(Namespace::Left(ExitCode::from(code)))
}

/// What can be used here. Says what can't, and why; fails if nothing can.
pub(crate) fn rig(binary: PathBuf) -> Result<Rig> {
    let dir = tempfile::Builder::new().prefix("graphstream-power-cuts-").tempdir()?;
    let shutdown = try_shutdown(dir.path())?;
    let served = try_disk(dir.path());
    let shutdown = said(shutdown, "no file system was shut down with EXT4_IOC_SHUTDOWN");
    let served = said(served, "no disk lost its write cache or failed a write, because FUSE can't be used");
    if shutdown.is_none() && served.is_none() {
        bail!("neither the ioctl nor FUSE can be used");
    }
    Ok(Rig { binary, shutdown, served, dir })
}

fn said<T>(tried: Result<T>, consequence: &str) -> Option<T> {
    tried.inspect_err(|error| eprintln!("SKIPPED: {consequence}: {error:#}")).ok()
}

/// Fails if there is no ext4 on a loop device; within, whether the ioctl works.
fn try_shutdown(dir: &Path) -> Result<Result<Shutdown>> {
    let (file, at) = (dir.join("tried"), dir.join("tried-mounted"));
    std::fs::File::create(&file)?.set_len(DISK_BYTES as u64)?;
    std::fs::create_dir(&at)?;
    Ext4::format(&file, Options::PLAIN)?;
    let ext4 = Ext4::mount(&file, &at, Options::PLAIN)?;
    let shutdown = Shutdown::start().and_then(|mut shutdown| {
        shutdown.cut(ext4.at(), Flush::Nothing)?;
        ensure!(std::fs::write(ext4.at().join("file"), "x").is_err(), "the file system still takes writes");
        Ok(shutdown)
    });
    ext4.unmount()?;
    Ok(shutdown)
}

/// The disk, which an ext4 could be put on.
fn try_disk(dir: &Path) -> Result<Served> {
    let (at, mounted) = (dir.join("disk"), dir.join("disk-mounted"));
    std::fs::create_dir(&at)?;
    std::fs::create_dir(&mounted)?;
    let served = Served::at(&at, Disk::new(DISK_BYTES)).context("mounting a FUSE file system")?;
    Ext4::format(served.file(), Options::PLAIN)?;
    Ext4::mount(served.file(), &mounted, Options::PLAIN)?.unmount()?;
    Ok(served)
}
