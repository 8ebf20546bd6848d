//! The project's tasks: `cargo xtask TASK`.
//!
//! This program is built whenever anybody runs a task, so it depends on next to nothing; what needs more (the code generator) is a
//! package of its own that only its task builds.

mod checks;
mod crash;
mod fuzz;
mod layers;
mod power_cuts;
mod python;
mod run;
mod sabotage;
mod sim;
mod soak;
mod summary;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

/// A task: its name, its arguments, what it does, and the function that does it.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "ci",
        arguments: "",
        about: "everything CI checks, cheapest first, with a timed summary",
        run: checks::ci,
    },
    Task {
        name: "test",
        arguments: "[CARGO TEST ARGUMENTS]",
        about: "all tests, with the Python environment of the end-to-end tests",
        run: checks::test,
    },
    Task {
        name: "layers",
        arguments: "",
        about: "compare the crates' dependencies with the layer table",
        run: layers::run,
    },
    Task {
        name: "sabotage",
        arguments: "[BUG...]",
        about: "plant bugs, one after another, and see each caught by its test",
        run: sabotage::run,
    },
    Task {
        name: "crash",
        arguments: "[--kernel] [--budget TIME | --seed N]",
        about: "power cuts, faults and kills of journal and leader with random seeds, for 1m or as long as said; see crash --help",
        run: crash::run_task,
    },
    Task {
        name: "sim",
        arguments: "[--budget TIME | --seed N]",
        about: "simulate leaders, followers, a failing store and crashing disks, for 1m or as long as said; see sim --help",
        run: sim::run_task,
    },
    Task {
        name: "soak",
        arguments: "[--budget TIME]",
        about: "a leader at half of the machine's speed, and an outage: memory, lag, catching up; for 1m or as long as said",
        run: soak::run_task,
    },
    Task {
        name: "fuzz",
        arguments: "[--budget TIME] [TARGET...]",
        about: "fuzz what reads bytes from elsewhere, for 1m in all or as long as said",
        run: fuzz::run_task,
    },
    Task {
        name: "codegen",
        arguments: "[--check]",
        about: "generate the protobuf messages from proto/, or check that they are up to date",
        run: checks::codegen,
    },
    Task {
        name: "compare",
        arguments: "[FLAGS]",
        about: "measure the journal beside its predecessor, okaywal and bare loops (not part of ci)",
        run: checks::compare,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else { return usage() };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else { return usage() };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            if error.is::<power_cuts::NothingCouldRun>() { ExitCode::from(3) } else { ExitCode::FAILURE }
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo xtask TASK\n");
    for Task { name, arguments, about, .. } in TASKS {
        eprintln!("  {:<30} {about}", format!("{name} {arguments}"));
    }
    ExitCode::from(2)
}
