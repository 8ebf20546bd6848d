//! `config`: whether a configuration can work, and what is in effect.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Global;
use crate::config::{CONFIG_VARIABLE, Overrides, Row, Settings};
use crate::failure::{Failure, Kind, warn};
use crate::out::Out;
use crate::terminal::counted;

/// What to do with a configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check a configuration without asking any store; exits with 2 and says where it is wrong
    Check(Check),
    /// Show what `replicate --config` would run with, and where each value comes from
    Show(Show),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream config check /etc/graphstream.toml

Journals that are not there yet are warned of, for they may come later. Stores are not asked: graphstream storage check URL does.")]
struct Check {
    /// The configuration
    #[arg(value_name = "FILE", env = CONFIG_VARIABLE)]
    file: PathBuf,
    /// Errors as JSON on stderr
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream config show --config /etc/graphstream.toml
  GRAPHSTREAM_UPLOAD_INTERVAL=1s graphstream config show --config graphstream.toml --http 9464 --json

Takes the environment and the flags of replicate, which come before the file.")]
struct Show {
    /// The configuration
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            Verb::Check(check) => check.json,
            Verb::Show(show) => show.json,
        }
    }
}

#[derive(Serialize)]
struct Shown {
    file: String,
    settings: Vec<Row>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    match &args.verb {
        Verb::Check(check) => self::check(check, global),
        Verb::Show(show) => self::show(show, global),
    }
}

fn check(args: &Check, global: &Global) -> Result<(), Failure> {
    let settings = Settings::of_file(&args.file, &Overrides::default(), global)?;
    for database in &settings.databases {
        let journal = &database.journal.value;
        if journal.is_file() {
            let message = format!("the journal of {} is a file: {}", database.name.value, journal.display());
            let line = database.journal.origin.line();
            return Err(Failure::new(Kind::Usage, message)
                .file(&args.file)
                .place(|place| place.line = line)
                .hint("journal = the directory of a journal"));
        }
        if !journal.exists() {
            warn(format_args!(
                "the journal of {} is not there (yet): {}",
                database.name.value,
                journal.display()
            ));
        }
    }
    let mut out = Out::new();
    if !args.json {
        let databases = counted(settings.databases.len() as u64, "database", "databases");
        out.line(format_args!("{}: nothing wrong, {databases}", args.file.display()))?;
    }
    out.flush()
}

fn show(args: &Show, global: &Global) -> Result<(), Failure> {
    let settings = Settings::of_file(&args.config, &args.overrides, global)?;
    let mut out = Out::new();
    let rows = settings.rows();
    if args.json {
        out.json(&Shown { file: args.config.display().to_string(), settings: rows })?;
        return out.flush();
    }
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
    for row in rows {
        let value = row.value.as_deref().unwrap_or("-");
        out.line(format_args!("{:width$}  {value}  ({})", row.key, row.origin))?;
    }
    out.flush()
}
