//! The `graphstream` command line.
//!
//! ```text
//!  cli (flags) ──▶ verbs ──▶ the library (crate graphstream)
//!                   │
//!                   ├──▶ config     what a daemon runs with, and where each value comes from
//!                   ├──▶ daemon     several databases in one process; http beside it
//!                   ├──▶ out        results, on stdout
//!                   ├──▶ logs       diagnostics, on stderr
//!                   └──▶ failure    one error, what to try next, the exit code
//! ```

mod cli;
mod config;
mod daemon;
mod engines;
mod entries;
mod exit;
mod failure;
mod http;
mod keys;
mod lines;
mod logs;
mod out;
mod segments;
mod sizes;
mod source;
mod stop;
mod store;
mod terminal;
mod times;
mod usage;
mod verbs;

use std::process::ExitCode;

use tracing::Level;

use crate::cli::{Cli, Verb};
use crate::exit::Code;
use crate::failure::{Failure, Kind};

fn main() -> ExitCode {
    let Cli { global, verb } = match usage::parse() {
        Ok(cli) => cli,
        Err(code) => return code.into(),
    };
    let daemon = matches!(&verb, Verb::Follow(args) if !args.once);
    if !matches!(verb, Verb::Replicate(_)) {
        // That one's configuration says how to log.
        let level = if daemon { Level::INFO } else { Level::WARN };
        logs::start(global.log_level.clone(), level, global.log_format.unwrap_or_default());
    }
    let quiet = global.quiet;
    let (json, done) = match verb {
        Verb::Demo(args) => (args.json, verbs::demo::run(&args, quiet)),
        Verb::Append(args) => (args.json, verbs::append::run(args, quiet)),
        Verb::Replicate(args) => (args.json, verbs::replicate::run(args, &global)),
        Verb::Follow(args) => (args.json, verbs::follow::run(args, quiet)),
        Verb::Cat(args) => (args.json, verbs::cat::run(&args)),
        Verb::Tail(args) => (args.json, verbs::tail::run(&args)),
        Verb::Import(args) => (args.json, verbs::import::run(&args, quiet)),
        Verb::Inspect(args) => (args.json, verbs::inspect::run(&args)),
        Verb::Convert(args) => (args.json, verbs::convert::run(&args)),
        Verb::Verify(args) => (args.json, verbs::verify::run(&args, quiet)),
        Verb::Status(args) => (args.json, verbs::status::run(&args)),
        Verb::Repair(args) => (args.json, verbs::repair::run(&args)),
        Verb::Restore(args) => (args.json, verbs::restore::run(&args, quiet)),
        Verb::Snapshot(args) => (args.json(), verbs::snapshot::run(&args, quiet)),
        Verb::Label(args) => (args.json(), verbs::label::run(&args)),
        Verb::Config(args) => (args.json(), verbs::config::run(&args, &global)),
        Verb::Key(args) => (args.json(), verbs::key::run(&args)),
        Verb::Storage(args) => (args.json(), verbs::storage::run(&args)),
        Verb::Bench(args) => (args.json, verbs::bench::run(&args, quiet)),
    };
    ExitCode::from(end(json, done))
}

fn end(json: bool, done: Result<(), Failure>) -> Code {
    match done {
        Ok(()) => Code::Ok,
        Err(failure) => {
            if failure.kind() != Kind::BrokenPipe {
                failure.report(json);
            }
            failure.code()
        }
    }
}
