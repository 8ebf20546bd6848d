//! Power cuts and failed write-back, with the real binary on a real file system: `cargo xtask crash --kernel`.
//!
//! ```text
//!  graphstream append ──▶ ext4 ──▶ loop device ──▶ a file                         EXT4_IOC_SHUTDOWN stops the file system
//!                                             └──▶ a disk of ours, through FUSE   loses its write cache, fails writes
//! ```
//!
//! All mounts are made in a mount namespace of this process: they end with it, however it ends.
//!
//! Exit codes: 0 nothing was lost, 1 something was (or the rig itself has failed), 2 usage, 3 nothing can be run on this machine.

mod able;
mod disk;
mod entry;
mod ext4;
mod fuse;
mod lives;
mod numbers;
mod reserved;
mod shutdown;
mod tally;
mod tools;
mod writer;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::lives::Rig;
use crate::tally::Tally;

const USAGE: &str = "usage: graphstream-power-cuts --binary PATH (--seconds N | --seed N)";
const NOTHING_CAN_RUN: u8 = 3;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    For(Duration),
    Seed(u64),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Ok((binary, order)) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match able::enter_namespace(&arguments) {
        Ok(able::Namespace::Inside) => {}
        Ok(able::Namespace::Left(code)) => return code,
        Err(error) => return nothing_can_run(&error),
    }
    let rig = match able::rig(binary) {
        Ok(rig) => rig,
        Err(error) => return nothing_can_run(&error),
    };
    match run(rig, &order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn nothing_can_run(error: &anyhow::Error) -> ExitCode {
    eprintln!(
        "NOTHING WAS RUN: {error:#}\nWhat it takes: Linux, root with CAP_SYS_ADMIN, /dev/loop-control and free loop devices, ext4 in the \
         kernel, mkfs.ext4, mount and unshare; and python3 or /dev/fuse."
    );
    ExitCode::from(NOTHING_CAN_RUN)
}

fn parse(arguments: &[String]) -> Result<(PathBuf, Order)> {
    let [binary_flag, binary, flag, value] = arguments else { bail!(USAGE) };
    ensure!(binary_flag == "--binary", USAGE);
    let number: u64 = value.parse()?;
    let order = match flag.as_str() {
        "--seconds" => Order::For(Duration::from_secs(number)),
        "--seed" => Order::Seed(number),
        _ => bail!(USAGE),
    };
    Ok((PathBuf::from(binary), order))
}

fn run(mut rig: Rig, order: &Order) -> Result<()> {
    let started = Instant::now();
    let mut tally = Tally::default();
    if let Some(served) = &rig.served {
        reserved::check(served, rig.dir.path()).context("space that was reserved, and space of zeros")?;
    }
    match order {
        Order::Seed(seed) => rig.run(*seed, &mut tally)?,
        Order::For(budget) => {
            let mut said = started;
            for journal in 0.. {
                let seed = RandomState::new().hash_one(journal) >> 32;
                rig.run(seed, &mut tally)
                    .with_context(|| format!("to repeat it: cargo xtask crash --kernel --seed {seed}"))?;
                if started.elapsed() >= *budget {
                    break;
                }
                if said.elapsed() > Duration::from_secs(30) {
                    eprintln!(
                        "power cuts: {} of {} s: {tally}",
                        started.elapsed().as_secs(),
                        budget.as_secs()
                    );
                    said = Instant::now();
                }
            }
        }
    }
    eprintln!("power cuts: {tally}");
    ensure!(tally.acks > 0 && tally.shutdowns + tally.power_cuts > 0, "nothing was tried");
    eprintln!("power cuts: nothing that was acknowledged was lost");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Duration, Order, parse};

    #[test]
    fn arguments_are_read() {
        let order = |text: &str| {
            parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .ok()
                .map(|(_, order)| order)
        };
        assert_eq!(order("--binary b --seconds 9"), Some(Order::For(Duration::from_secs(9))));
        assert_eq!(order("--binary b --seed 9"), Some(Order::Seed(9)));
        for text in ["", "--binary b", "--binary b --seed x", "--seed 9 --binary b", "--binary b --days 9"] {
            assert_eq!(order(text), None, "{text}");
        }
    }
}
