//! The task `soak`: a leader at half of the machine's speed, shipping to an S3 server on the loopback, and an outage.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::run::{budget, cargo, run};

const HELP: &str = "\
usage: cargo xtask soak [--budget TIME]

A leader's process appends at half of what this machine can sync and ships to an S3 server on the loopback for TIME (90, 90s, 10m, 2h; 1m
without); then the server is away for half as long. It prints rates, lag, memory, and how fast the leader catches up.";

/// The task itself.
pub(crate) fn run_task(arguments: &[String]) -> Result<()> {
    const USAGE: &str = "expected --budget TIME (90, 90s, 10m, 2h); see --help";
    let time = match arguments {
        [] => Duration::from_secs(60),
        [flag] if ["--help", "-h"].contains(&flag.as_str()) => {
            eprintln!("{HELP}");
            return Ok(());
        }
        [flag, value] if flag == "--budget" => budget(value).context(USAGE)?,
        _ => anyhow::bail!(USAGE),
    };
    let fixed = [
        "test",
        "--quiet",
        "--release",
        "--package",
        "graphstream-cli",
        "--features",
        "s3",
        "--test",
        "soak",
    ];
    // Building is not what the time is for.
    run(cargo(&fixed)?.arg("--no-run"))?;
    let mut command = cargo(&fixed)?;
    let name = "s01_a_leader_at_half_speed_ships_lives_through_an_outage_and_catches_up";
    command.args(["--", "--exact", name, "--nocapture"]);
    run(command.env("GRAPHSTREAM_SOAK_SECONDS", time.as_secs().to_string()))
}
