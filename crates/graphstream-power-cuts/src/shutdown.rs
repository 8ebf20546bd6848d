//! The ioctl EXT4_IOC_SHUTDOWN: from then on the file system writes nothing and fails every call, as after a power cut.
//!
//! Rust offers no ioctl without `unsafe`, so a Python process that waits for orders calls it. It refuses anything but a file system
//! on a loop device: elsewhere the call would end the machine's own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::tools::program;

const SCRIPT: &str = r#"
import fcntl, os, struct, sys
EXT4_IOC_SHUTDOWN = 0x8004587D
LOOP = 7
for line in sys.stdin:
    flag, path = line.rstrip("\n").split(" ", 1)
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            if os.major(os.fstat(fd).st_dev) != LOOP:
                raise OSError("not on a loop device: " + path)
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", int(flag)))
        finally:
            os.close(fd)
        print("done", flush=True)
    except OSError as error:
        print(error, flush=True)
"#;

/// What still reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Everything that was written.
    All = 0,
    /// The journal of the file system.
    Log = 1,
    /// Nothing.
    Nothing = 2,
}

/// The process that calls the ioctl.
#[derive(Debug)]
pub(crate) struct Shutdown {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Shutdown {
    pub(crate) fn start() -> Result<Self> {
        let mut child = program("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3 can't be started")?;
        let orders = child.stdin.take().context("it has a standard input")?;
        let answers = BufReader::new(child.stdout.take().context("it has a standard output")?);
        Ok(Self { child, orders, answers })
    }

    /// Cuts the power of the file system that is mounted there.
    pub(crate) fn cut(&mut self, mounted: &Path, flush: Flush) -> Result<()> {
        writeln!(self.orders, "{} {}", flush as u32, mounted.display())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim() {
            "done" => Ok(()),
            other => bail!("EXT4_IOC_SHUTDOWN: {other}"),
        }
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
