//! The determinism guard: which statements `append` lets into a journal.

use clap::ValueEnum;
use graphstream::journal::{Entropy, SystemEntropy};
use graphstream::proto::JournalEntry;
use graphstream::replay::guard::{AdmitError, Dialect, Guard, GuardOptions};

use crate::failure::{Failure, Kind};

/// Flags of the guard.
#[derive(Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// Whose Cypher the lines are, for the guard that refuses what a replay would do otherwise (docs/determinism.md)
    #[arg(long, value_name = "DIALECT", value_enum, default_value_t = GuardFor::Any, env = "GRAPHSTREAM_GUARD")]
    guard: GuardFor,
    /// A function or procedure that the guard doesn't know and that gives the same everywhere, such as a macro; may be repeated
    #[arg(long, value_name = "NAME")]
    guard_allow: Vec<String>,
}

/// Whom the guard has in mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GuardFor {
    /// It isn't known who replays
    Any,
    /// LadybugDB and Kuzu
    Ladybug,
    /// grafeo
    Grafeo,
    /// Every line is journaled as it is
    Off,
}

impl GuardArgs {
    /// The guard, unless it is off.
    pub(super) fn guard(&self) -> Option<Guard> {
        let dialect = match self.guard {
            GuardFor::Any => Dialect::Any,
            GuardFor::Ladybug => Dialect::Ladybug,
            GuardFor::Grafeo => Dialect::Grafeo,
            GuardFor::Off => return None,
        };
        let options = GuardOptions::default().with_dialect(dialect);
        Some(Guard::new(self.guard_allow.iter().fold(options, |options, name| options.with_function(name))))
    }
}

/// The entry of a line as it is to be journaled.
pub(super) fn admit(guard: Option<&Guard>, line: u64, entry: JournalEntry) -> Result<JournalEntry, Failure> {
    let Some(guard) = guard else { return Ok(entry) };
    let admitted = match guard.admit(&entry, || SystemEntropy.random()) {
        Ok(std::borrow::Cow::Borrowed(_)) => None,
        Ok(std::borrow::Cow::Owned(admitted)) => Some(admitted),
        Err(AdmitError::Refused(refusal)) => {
            return Err(Failure::of(Kind::Input, &refusal)
                .while_doing(format_args!("the statement of line {line} isn't safe to replay"))
                .place(|place| place.line = Some(line))
                .hint(format!(
                    "mend line {line} and append the rest from there: everything before it is acknowledged; docs/determinism.md says what \
                     is safe, and --guard and --guard-allow what is looked at"
                )));
        }
        Err(error) => return Err(Failure::of(Kind::Io, &error)),
    };
    Ok(admitted.unwrap_or(entry))
}
