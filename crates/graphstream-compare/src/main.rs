//! The journal beside its predecessor (the published crate graphstream 0.3.0), okaywal 0.3.1 and bare loops: each goal as a ratio of two
//! rates that were measured in turns, in this process, on this disk.
//!
//! ```text
//! cargo xtask compare [--dir DIR] [--turns N] [--only WORD] [--json]
//! ```
//!
//! Payloads are those of the bundled sample. Both journals get the same statements; each has its own schema of them.
//!
//! - [`measures`]: one file per row of the table.
//! - [`peers`]: what stands beside the journal, each with the few calls that the measures need.
//! - [`turns`]: how contestants alternate, and what a ratio is.

mod measures;
mod peers;
mod report;
mod sample;
mod turns;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::measures::{MEASURES, memory};
use crate::sample::Sample;
use crate::turns::Setting;

const USAGE: &str = "usage: graphstream-compare [--dir DIR] [--turns N] [--only WORD] [--json]

  --dir DIR     where to write, on the disk that matters [default: target, or the current directory]
  --turns N     how often each contestant runs [default: 7]
  --only WORD   only the measures whose names contain this word
  --json        one JSON array of rows";

struct Arguments {
    dir: PathBuf,
    turns: usize,
    only: String,
    json: bool,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments> {
    let build = PathBuf::from("target");
    let dir = if build.is_dir() { build } else { PathBuf::from(".") };
    let mut arguments = Arguments { dir, turns: 7, only: String::new(), json: false };
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value\n\n{USAGE}"));
        match argument.as_str() {
            "--dir" => arguments.dir = value()?.into(),
            "--turns" => arguments.turns = value()?.parse().context("--turns: expected a number")?,
            "--only" => arguments.only = value()?,
            "--json" => arguments.json = true,
            _ => bail!("{argument} is unknown\n\n{USAGE}"),
        }
    }
    if arguments.turns == 0 {
        bail!("--turns: expected at least 1");
    }
    Ok(arguments)
}

fn main() -> Result<()> {
    let mut given = std::env::args().skip(1).peekable();
    if given.peek().map(String::as_str) == Some(memory::CHILD) {
        return memory::child(given.skip(1));
    }
    let Arguments { dir, turns, only, json } = arguments(given)?;
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: it measures itself");
    }
    let setting = Setting { dir, turns, sample: Sample::load()? };
    let mut rows = Vec::new();
    for (name, measure) in MEASURES.iter().filter(|(name, _)| name.contains(&only)) {
        eprintln!("{name} ...");
        rows.extend(measure(&setting).with_context(|| format!("measuring {name}"))?);
    }
    if rows.is_empty() {
        bail!("no measure has a name with {only:?}");
    }
    report::print(&rows, json)
}
