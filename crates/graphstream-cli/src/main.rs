//! The `graphstream` command line.
//!
//! ```text
//!  cli (flags) ──▶ verbs ──▶ the library (crate graphstream)
//!                   │
//!                   ├──▶ out        results, on stdout
//!                   ├──▶ logs       diagnostics, on stderr
//!                   └──▶ failure    one error, what to try next, the exit code
//! ```

mod cli;
mod exit;
mod failure;
mod keys;
mod lines;
mod logs;
mod out;
mod scrape;
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
    let daemon = match &verb {
        Verb::Replicate(args) => !args.once,
        Verb::Follow(args) => !args.once,
        _ => false,
    };
    logs::start(global.log_level, if daemon { Level::INFO } else { Level::WARN });
    let quiet = global.quiet;
    let (json, done) = match verb {
        Verb::Demo(args) => (args.json, verbs::demo::run(&args, quiet)),
        Verb::Append(args) => (args.json, verbs::append::run(args, quiet)),
        Verb::Replicate(args) => (args.json, verbs::replicate::run(args)),
        Verb::Follow(args) => (args.json, verbs::follow::run(args, quiet)),
        Verb::Cat(args) => (args.json, verbs::cat::run(&args)),
        Verb::Inspect(args) => (args.json, verbs::inspect::run(&args)),
        Verb::Convert(args) => (args.json, verbs::convert::run(&args)),
        Verb::Verify(args) => (args.json, verbs::verify::run(&args, quiet)),
        Verb::Status(args) => (args.json, verbs::status::run(&args)),
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
