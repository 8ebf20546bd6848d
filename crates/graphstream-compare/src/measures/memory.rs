//! The most memory that reading one large segment takes above what a process has at its start, as the kernel counts it (`VmHWM`): each
//! reader in a process of its own.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use graphstream_format::Entry;
use graphstream_journal::{JournalReader, ReaderOptions};

use crate::peers::{old, ours};
use crate::report::{Goal, Row};
use crate::turns::Setting;

/// The first argument of the child.
pub(crate) const CHILD: &str = "--read-and-print-memory";
const MIB: f64 = 1024.0;
const LARGE: u64 = 1 << 30;
/// Enough for the predecessor to show what it does.
const SMALL: u64 = 128 << 20;

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let mut rows = Vec::new();
    let (limit, goal) = (("the limit above start", 32.0), Goal::AtMost(1.0));

    let path = dir.path().join("ours");
    let journal = ours::open(&path, LARGE)?;
    let mut bytes = 0;
    for payload in setting.sample.payloads.iter().cycle() {
        // A little less than what fits with its framing.
        bytes += payload.len() as u64 + 4;
        if bytes > LARGE - LARGE / 100 {
            break;
        }
        let _ = journal.append(payload)?;
    }
    journal.sync()?;
    let opened = read("ours", &path)?;
    rows.push(Row::limited("memory to read a 1 GiB segment, open", "MiB", opened, limit, goal));
    journal.seal()?;
    ensure!(journal.dir().segments()?.len() == 1, "expected one segment in {}", path.display());
    rows.push(Row::limited(
        "memory to read a 1 GiB segment, sealed",
        "MiB",
        read("ours", &path)?,
        limit,
        goal,
    ));
    journal.close()?;

    let path = dir.path().join("old");
    let writer = old::Writer::open(&path, SMALL);
    let mean = setting.sample.payloads.iter().map(Vec::len).sum::<usize>() / setting.sample.payloads.len();
    let count = SMALL as usize / (mean + 64);
    for entry in setting.sample.pending(count)? {
        writer.append(entry)?;
    }
    writer.seal()?;
    let old = read("old", &path)?;
    rows.push(Row::limited("the predecessor, a version 1 segment of 128 MiB", "MiB", old, limit, Goal::None));
    Ok(rows)
}

fn read(who: &str, dir: &Path) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?).args([CHILD, who]).arg(dir).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kib: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(kib / MIB)
}

/// Reads a journal and prints by how many KiB the process has grown at most.
pub(crate) fn child(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let (who, dir) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let before = peak()?;
    match who.as_str() {
        "ours" => {
            let mut reader = JournalReader::open(&dir, ReaderOptions::default())?;
            let mut entry = Entry::default();
            while reader.read_next(&mut entry)? {
                black_box(&entry);
            }
        }
        "old" => {
            let entries = predecessor::JournalReader::from_sequence(Path::new(&dir), 1, [0; 32]);
            for entry in entries.map_err(anyhow::Error::msg)? {
                black_box(entry.map_err(anyhow::Error::msg)?);
            }
        }
        _ => bail!("{who} is unknown"),
    }
    println!("{}", peak()? - before);
    Ok(())
}

fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
