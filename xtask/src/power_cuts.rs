//! `crash --kernel`: the real binary on a real ext4, whose power is cut and whose write-back fails (`graphstream-power-cuts`).
//!
//! It takes root and mounts, so CI does not run it. The package is built here, and by nobody else but `cargo clippy --workspace` and its
//! like.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, run, target_dir};

/// How the program says that this machine allows none of it.
const NOTHING_CAN_RUN: i32 = 3;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    For(Duration),
    /// One journal.
    Seed(u64),
}

/// Nothing was tested, and nothing is known.
#[derive(Debug)]
pub(crate) struct NothingCouldRun;

impl fmt::Display for NothingCouldRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing could be run on this machine")
    }
}

impl std::error::Error for NothingCouldRun {}

pub(crate) fn run_order(order: &Order) -> Result<()> {
    // As users have it: with its default features.
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "graphstream-cli"])?)?;
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "graphstream-power-cuts"])?)?;
    let binaries = target_dir()?.join("release");
    let mut command = std::process::Command::new(binaries.join("graphstream-power-cuts"));
    command.arg("--binary").arg(binaries.join("graphstream"));
    match order {
        Order::For(budget) => command.arg("--seconds").arg(budget.as_secs().to_string()),
        Order::Seed(seed) => command.arg("--seed").arg(seed.to_string()),
    };
    let status = command.status().context("starting graphstream-power-cuts")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(NOTHING_CAN_RUN) => Err(NothingCouldRun.into()),
        _ => bail!("graphstream-power-cuts: {status}"),
    }
}
