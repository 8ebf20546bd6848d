//! What can go wrong while replaying, sorted by what the caller can do about it.

use std::path::PathBuf;

use graphstream_format::{ChainHash, Lineage};

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a target failed, in its own words or as its own error type.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The words of a target that has no error type of its own, such as a child process.
///
/// The text is the target's; it may quote the statement it refused. Whoever must not show that prints the outer
/// [`Error`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes over what a target said.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the target said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

/// How a child broke the protocol of [`ExecTarget`](crate::ExecTarget). What it printed is never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Its first line isn't its position.
    #[error(
        "its first line must be {{\"position\": null}} or {{\"position\": {{lineage, sequence, chain_hash}}}}"
    )]
    Handshake,
    /// A line is no answer.
    #[error("the answer to a batch must be {{\"applied\": n}} or {{\"error\": {{sequence, message}}}}")]
    Answer,
    /// A line is longer than an answer may be.
    #[error("an answer line is longer than {limit} bytes")]
    TooLong {
        /// The most bytes a line may have.
        limit: usize,
    },
    /// `applied` isn't the sequence that was to be committed.
    #[error("it answered applied {found}, the batch ends at {expected}")]
    WrongSequence {
        /// The last sequence of the batch.
        expected: u64,
        /// What it answered.
        found: u64,
    },
    /// `error` names an entry that isn't in the batch.
    #[error("it reported an error at sequence {found}, the batch is {first} to {last}")]
    ErrorOutside {
        /// The first sequence of the batch.
        first: u64,
        /// The last sequence of the batch.
        last: u64,
        /// What it answered.
        found: u64,
    },
    /// A line came while no answer was due.
    #[error("it printed a line before the batch was committed")]
    Unasked,
    /// A line came after the end of its input.
    #[error("it printed a line after its input had ended")]
    AfterEnd,
}

/// What the caller can do about an [`Error`]. All of them are exit code 6 on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// One entry can't be applied: trying again gives the same answer. Stop and report; only an operator may skip it.
    Poison,
    /// The target is gone (its process ended, its file can't be written): reopen it, ask for its position, go on.
    Gone,
    /// The target said something that the protocol doesn't allow: a defect of the target.
    Protocol,
    /// The target's position and the batch don't fit: another lineage, a fork, a hole, or going backwards.
    Position,
    /// What the target keeps is damaged; nothing was changed.
    Damaged,
    /// The call itself is wrong: a path that is no file, an unusable command, a transaction inside a transaction.
    Invalid,
}

/// Everything that can go wrong in a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target refused one entry. Nothing of its batch was applied.
    #[error("{target} can't apply entry {sequence}; nothing of its batch was applied")]
    Poison {
        /// The target's name.
        target: String,
        /// The entry's sequence.
        sequence: u64,
        /// Why, as the target puts it.
        source: Cause,
    },
    /// The database refused a statement of a [`TransactionalTarget`](crate::TransactionalTarget); it has no sequence
    /// yet and was never journaled.
    #[error("{target} refused the statement")]
    Statement {
        /// The target's name.
        target: String,
        /// Why, as the target puts it.
        source: Cause,
    },
    /// The target can't be used any more until it is reopened.
    #[error("{target} is gone: {attempt} failed")]
    Gone {
        /// The target's name.
        target: String,
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        source: Cause,
    },
    /// The target said something the protocol doesn't allow.
    #[error("{target} broke the protocol: {violation}")]
    Protocol {
        /// The target's name.
        target: String,
        /// What it did.
        violation: Violation,
    },
    /// The target belongs to another history.
    #[error(
        "{target} holds lineage {recorded}, the batch is of lineage {offered}: a target follows one lineage only"
    )]
    WrongLineage {
        /// The target's name.
        target: String,
        /// The lineage in the target's position.
        recorded: Lineage,
        /// The lineage of the batch.
        offered: Lineage,
    },
    /// Same sequence, different chain hash.
    #[error("{target} forked from the journal at sequence {sequence}: their entries up to there differ")]
    Forked {
        /// The target's name.
        target: String,
        /// Where both should agree.
        sequence: u64,
        /// The target's chain hash there.
        recorded: ChainHash,
        /// The batch's chain hash there.
        offered: ChainHash,
    },
    /// The batch, or its position, lies before what the target has.
    #[error("{target} is at sequence {recorded} and can't go back to {offered}")]
    Backwards {
        /// The target's name.
        target: String,
        /// The sequence the target is at.
        recorded: u64,
        /// The lower or equal sequence that was offered.
        offered: u64,
    },
    /// Entries between the target's position and the batch are missing.
    #[error(
        "{target} is at sequence {recorded}, but the batch starts at {first}: the entries between are missing"
    )]
    Gap {
        /// The target's name.
        target: String,
        /// The sequence the target is at.
        recorded: u64,
        /// The first sequence of the batch.
        first: u64,
    },
    /// The entries of the batch don't follow each other, or its position isn't that of its last entry.
    #[error("a batch for {target} is malformed at sequence {sequence}: expected {expected}")]
    MalformedBatch {
        /// The target's name.
        target: String,
        /// Where.
        sequence: u64,
        /// What a good batch has there.
        expected: &'static str,
    },
    /// The target can't record a position without entries.
    #[error("{target} can't move from sequence {recorded} to {offered} without entries")]
    CannotSkip {
        /// The target's name.
        target: String,
        /// The sequence the target is at.
        recorded: u64,
        /// The sequence that was offered.
        offered: u64,
    },
    /// What the target keeps is damaged.
    #[error("{} is damaged at byte {offset}: expected {expected}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What should be there.
        expected: &'static str,
        /// The underlying error, if there is one.
        source: Option<Cause>,
    },
    /// The position the target keeps can't be read.
    #[error("the position kept in {target} is damaged: expected {expected}")]
    DamagedPosition {
        /// The target's name.
        target: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The path names something that isn't a regular file.
    #[error("{} is {found}: a target needs a regular file, or a path that doesn't exist yet", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// The target can't be opened.
    #[error("{target} can't be opened")]
    Open {
        /// The target's name.
        target: String,
        /// Why.
        source: Cause,
    },
    /// The call doesn't fit the target's state.
    #[error("{target} can't {attempt}: {state}")]
    State {
        /// The target's name.
        target: String,
        /// What was attempted.
        attempt: &'static str,
        /// What stands in the way.
        state: &'static str,
    },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Poison { .. } | Self::Statement { .. } => ErrorClass::Poison,
            Self::Gone { .. } => ErrorClass::Gone,
            Self::Protocol { .. } => ErrorClass::Protocol,
            Self::WrongLineage { .. }
            | Self::Forked { .. }
            | Self::Backwards { .. }
            | Self::Gap { .. }
            | Self::MalformedBatch { .. }
            | Self::CannotSkip { .. } => ErrorClass::Position,
            Self::Damaged { .. } | Self::DamagedPosition { .. } => ErrorClass::Damaged,
            Self::NotAFile { .. } | Self::Open { .. } | Self::State { .. } => ErrorClass::Invalid,
        }
    }

    /// The entry that failed, when one is known.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Self::Poison { sequence, .. }
            | Self::Forked { sequence, .. }
            | Self::MalformedBatch { sequence, .. } => Some(*sequence),
            Self::Gap { recorded, .. } => recorded.checked_add(1),
            _ => None,
        }
    }

    /// What the target itself said, when it said anything: the innermost source, as text.
    ///
    /// It may quote the statement, so it belongs in front of an operator and not in shared telemetry.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let mut cause = std::error::Error::source(self)?;
        let mut text = cause.to_string();
        while let Some(next) = cause.source() {
            text = next.to_string();
            cause = next;
        }
        Some(text)
    }
}
