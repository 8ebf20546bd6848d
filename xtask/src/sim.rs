//! The task `sim`: the simulation of leaders, followers, a failing store and crashing disks, with new seeds, for as long as asked for.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::run::{budget, cargo, run};

const HELP: &str = "\
usage: cargo xtask sim [--budget TIME | --seed N [--trace]] [--hours N]

The deterministic simulation (crates/graphstream-testkit/tests/simulation.rs) in a release build, with new seeds, for TIME (90, 90s, 10m, 2h;
1m without). It prints what was simulated, and how fast; a failure prints the command that repeats it.

  --seed N    one world; the same seed takes the same steps
  --trace     every step, on stderr
  --hours N   simulated hours of a world (20)";

const USAGE: &str =
    "expected --budget TIME (90, 90s, 10m, 2h) or --seed NUMBER, --hours NUMBER, --trace; see --help";
const TEST: &str = "r03_r04_200_hours_of_leaders_zombies_and_crashes";
const VARIABLES: [&str; 4] = [
    "GRAPHSTREAM_SIMULATION_SEED",
    "GRAPHSTREAM_SIMULATION_SECONDS",
    "GRAPHSTREAM_SIMULATION_HOURS",
    "GRAPHSTREAM_SIMULATION_TRACE",
];

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    budget: Duration,
    seed: Option<u64>,
    hours: Option<u64>,
    trace: bool,
}

/// The task itself.
pub(crate) fn run_task(arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str())) {
        eprintln!("{HELP}");
        return Ok(());
    }
    let order = parse(arguments)?;
    let fixed = ["test", "--quiet", "--release", "--package", "graphstream-testkit", "--test", "simulation"];
    // Building is not what the time is for.
    run(cargo(&fixed)?.arg("--no-run"))?;
    let mut command = cargo(&fixed)?;
    command.args(["--", "--exact", TEST, "--nocapture"]);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let [seed, seconds, hours, trace] = VARIABLES;
    match order.seed {
        Some(number) => command.env(seed, number.to_string()),
        None => command.env(seconds, order.budget.as_secs().to_string()),
    };
    if let Some(number) = order.hours {
        command.env(hours, number.to_string());
    }
    if order.trace {
        command.env(trace, "1");
    }
    run(&mut command)
}

fn parse(arguments: &[String]) -> Result<Order> {
    let mut order = Order { budget: Duration::from_secs(60), seed: None, hours: None, trace: false };
    let mut budgeted = false;
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        if flag == "--trace" {
            order.trace = true;
            continue;
        }
        let value = arguments.next().context(USAGE)?;
        match flag.as_str() {
            "--budget" => (order.budget, budgeted) = (budget(value).context(USAGE)?, true),
            "--seed" => order.seed = Some(value.parse().context(USAGE)?),
            "--hours" => order.hours = Some(value.parse().context(USAGE)?),
            _ => bail!(USAGE),
        }
    }
    if budgeted && order.seed.is_some() || order.hours == Some(0) {
        bail!(USAGE);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Option<Order> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn budgets_seeds_and_hours_are_read() {
        let minute = Order { budget: Duration::from_secs(60), seed: None, hours: None, trace: false };
        assert_eq!(order(""), Some(minute));
        let ten = Order { budget: Duration::from_secs(600), seed: None, hours: Some(5), trace: false };
        assert_eq!(order("--budget 10m --hours 5"), Some(ten));
        let one = Order { budget: Duration::from_secs(60), seed: Some(17), hours: None, trace: true };
        assert_eq!(order("--seed 17 --trace"), Some(one));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["--budget", "--budget 1d", "--seed x", "--seed 1 --budget 1m", "--hours 0", "fast", "--fast 1"]
        {
            assert_eq!(order(text), None, "{text}");
        }
    }
}
