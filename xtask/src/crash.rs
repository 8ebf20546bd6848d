//! The task `crash`: the crash tests of journal, leader and follower in release builds, with new random seeds, for as long as asked for.
//!
//! ```text
//!  --budget ──▶ 3/4: power cuts on a disk in memory (tests/crash_random.rs)
//!               1/4: real processes, killed at random moments and system calls (leader_killed, follower_killed, killed, crash_syscalls), in rounds
//! ```
//!
//! With `--kernel` it is another program altogether, see [`crate::power_cuts`].

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::power_cuts;
use crate::run::{budget, cargo, run};

const HELP: &str = "\
usage: cargo xtask crash [--budget TIME | --seed N | --kill-seed N]
       cargo xtask crash --kernel [--budget TIME | --seed N]

The crash tests of journal, leader and follower in release builds, with new random seeds, for TIME (90, 90s, 10m, 2h; 1m without), but not
before a leader was killed 500 times and a follower 1,000 times.

  --seed N        one random life of the journal on a disk in memory
  --kill-seed N   one round of killed processes
  --kernel        graphstream append on a real ext4 on a loop device: the file system is shut down (EXT4_IOC_SHUTDOWN), a disk with a
                  write cache loses power, write-back fails (both through FUSE); after each the journal must hold what was
                  acknowledged. With --seed N: what happens to one journal
                  It takes Linux, root with CAP_SYS_ADMIN, loop devices, mkfs.ext4, mount and unshare; python3 for the ioctl;
                  /dev/fuse for the disk. Without python3 or FUSE it says what it skips

Exit codes: 0 nothing was lost, 1 something was or a test has failed, 3 (--kernel) this machine allows none of it";

const SEED: &str = "GRAPHSTREAM_CRASH_SEED";
const SECONDS: &str = "GRAPHSTREAM_CRASH_SECONDS";
const ROUNDS: &str = "GRAPHSTREAM_KILL_ROUNDS";
/// Rounds of the first two tests at least.
const ROUNDS_MIN: u32 = 5;

/// A test in a release build.
struct CrashTest {
    package: &'static str,
    /// Beyond the package's default ones.
    features: &'static str,
    binary: &'static str,
    name: &'static str,
    /// Kills between two looks at the clock: some seconds.
    kills: &'static str,
}

const POWER_CUTS: CrashTest = CrashTest {
    package: "graphstream-journal",
    features: "",
    binary: "crash_random",
    name: "random_lives_survive_power_cuts_and_faults",
    kills: "",
};

const KILLED: [CrashTest; 4] = [
    CrashTest {
        package: "graphstream",
        features: "grafeo",
        binary: "leader_killed",
        name: "r05_l11_a_leader_killed_at_random_steps_goes_on_from_what_it_has_left",
        kills: "100",
    },
    CrashTest {
        package: "graphstream",
        features: "grafeo",
        binary: "follower_killed",
        name: "r05_restarts_at_random_apply_points_end_in_equal_graphs",
        kills: "200",
    },
    CrashTest {
        package: "graphstream-journal",
        features: "",
        binary: "killed",
        name: "r01_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged",
        kills: "100",
    },
    CrashTest {
        package: "graphstream-cli",
        features: "",
        binary: "crash_syscalls",
        name: "r01_a_writer_killed_at_random_system_calls_loses_nothing_it_acknowledged",
        kills: "100",
    },
];

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    For(Duration),
    /// One life of the random ones.
    Seed(u64),
    /// One round of kills.
    KillSeed(u64),
    Kernel(power_cuts::Order),
    Help,
}

/// The task `crash`.
pub(crate) fn run_task(arguments: &[String]) -> Result<()> {
    match parse(arguments)? {
        Order::Seed(seed) => run(POWER_CUTS.command()?.env(SEED, seed.to_string())),
        Order::KillSeed(seed) => kills(&KILLED, seed),
        Order::Kernel(order) => power_cuts::run_order(&order),
        Order::Help => {
            eprintln!("{HELP}");
            Ok(())
        }
        Order::For(budget) => {
            // Building is not what the time is for.
            for test in KILLED.iter().chain([&POWER_CUTS]) {
                run(test.build()?.arg("--no-run"))?;
            }
            let started = Instant::now();
            let simulated = budget.mul_f64(0.75).as_secs().max(1);
            run(POWER_CUTS.command()?.env(SECONDS, simulated.to_string()))?;
            for round in 1.. {
                // When the time is over, only what is said to happen so often at least.
                let tests = if started.elapsed() < budget { &KILLED[..] } else { &KILLED[..2] };
                let seed = RandomState::new().hash_one(round) >> 32;
                kills(tests, seed)
                    .with_context(|| format!("to repeat it: cargo xtask crash --kill-seed {seed}"))?;
                let seconds = started.elapsed().as_secs();
                eprintln!("crash: {seconds} of {} s, {round} rounds of kills", budget.as_secs());
                if started.elapsed() >= budget && round >= ROUNDS_MIN {
                    break;
                }
            }
            eprintln!("crash: nothing that was acknowledged was lost");
            Ok(())
        }
    }
}

fn parse(arguments: &[String]) -> Result<Order> {
    const USAGE: &str = "expected [--kernel] --budget TIME (90, 90s, 10m, 2h), --seed NUMBER or --kill-seed NUMBER; see --help";
    let order = match arguments {
        [] => Order::For(Duration::from_secs(60)),
        [flag, value] if flag == "--budget" => Order::For(budget(value).context(USAGE)?),
        [flag, value] if flag == "--seed" => Order::Seed(value.parse().context(USAGE)?),
        [flag] if ["--help", "-h"].contains(&flag.as_str()) => Order::Help,
        [kernel, rest @ ..] if kernel == "--kernel" => match parse(rest)? {
            Order::For(budget) => Order::Kernel(power_cuts::Order::For(budget)),
            Order::Seed(seed) => Order::Kernel(power_cuts::Order::Seed(seed)),
            _ => bail!(USAGE),
        },
        [flag, value] if flag == "--kill-seed" => Order::KillSeed(value.parse().context(USAGE)?),
        _ => bail!(USAGE),
    };
    Ok(order)
}

fn kills(tests: &[CrashTest], seed: u64) -> Result<()> {
    for test in tests {
        run(test.command()?.env(SEED, seed.to_string()).env(ROUNDS, test.kills))?;
    }
    Ok(())
}

impl CrashTest {
    fn build(&self) -> Result<Command> {
        let arguments =
            ["test", "--quiet", "--release", "--package", self.package, "--features", self.features];
        let mut command = cargo(&arguments)?;
        command.args(["--test", self.binary]);
        Ok(command)
    }

    /// Runs it and nothing else.
    fn command(&self) -> Result<Command> {
        let mut command = self.build()?;
        command.args(["--", "--exact", self.name, "--nocapture"]);
        for variable in [SEED, SECONDS, ROUNDS] {
            command.env_remove(variable);
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Order, parse, power_cuts};

    fn order(text: &str) -> Option<Order> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn budgets_and_seeds_are_read() {
        assert_eq!(order("--budget 90s"), Some(Order::For(Duration::from_secs(90))));
        assert_eq!(order("--budget 90"), Some(Order::For(Duration::from_secs(90))));
        assert_eq!(order("--budget 10m"), Some(Order::For(Duration::from_secs(600))));
        assert_eq!(order("--budget 2h"), Some(Order::For(Duration::from_secs(7200))));
        assert_eq!(order("--seed 17"), Some(Order::Seed(17)));
        assert_eq!(order("--kill-seed 17"), Some(Order::KillSeed(17)));
        let minute = power_cuts::Order::For(Duration::from_secs(60));
        assert_eq!(order("--kernel"), Some(Order::Kernel(minute)));
        assert_eq!(order("--kernel --seed 17"), Some(Order::Kernel(power_cuts::Order::Seed(17))));
        assert_eq!(order("--help"), Some(Order::Help));
        assert_eq!(order(""), Some(Order::For(Duration::from_secs(60))));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "--budget",
            "--budget m",
            "--budget 1d",
            "--budget -1s",
            "--seed x",
            "fast",
            "--kernel --kernel",
            "--kernel --kill-seed 1",
            "--kernel --help",
            "--seed 1 --kernel",
        ] {
            assert_eq!(order(text), None, "{text}");
        }
    }
}
