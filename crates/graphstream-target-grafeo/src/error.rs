//! Why grafeo, or this adapter around it, refused something. Reported as the source of a
//! [`graphstream_replay::Error`], which adds the target and the sequence.

use std::path::PathBuf;

use grafeo_common::utils::error::QueryErrorKind;

/// A `Result` of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that grafeo has no type for. It is never replaced by null or by text.
    #[error("grafeo {} can't hold a value of kind {kind}: {why}", crate::GRAFEO_VERSION)]
    Value {
        /// The kind of the value.
        kind: &'static str,
        /// What is in the way.
        why: &'static str,
    },
    /// The same, for a parameter of a statement.
    #[error("parameter ${name}: grafeo {} can't hold a value of kind {kind}: {why}", crate::GRAFEO_VERSION)]
    Parameter {
        /// The parameter.
        name: String,
        /// The kind of the value, or of the one in it that is in the way.
        kind: &'static str,
        /// What is in the way.
        why: &'static str,
    },
    /// A statement that changes the schema and can't run in a transaction.
    #[error(
        "grafeo runs {statement} outside of transactions: only CREATE INDEX and DROP INDEX can be replayed"
    )]
    Schema {
        /// The statement's first words.
        statement: &'static str,
    },
    /// A text that grafeo has no tokens for.
    #[error("at byte {offset} of the statement")]
    Unreadable {
        /// Where it begins.
        offset: usize,
        /// What it is.
        source: graphstream_replay::guard::Unreadable,
    },
    /// A function whose result differs from one run to the next, or from one database to the next.
    #[error("{function}() gives another result at every replay: compute it first and pass it as a parameter")]
    NotDeterministic {
        /// The function.
        function: String,
    },
    /// A function that grafeo doesn't know. It would evaluate to null.
    #[error(
        "grafeo {} doesn't know the function {function}() and would use null for it",
        crate::GRAFEO_VERSION
    )]
    UnknownFunction {
        /// The function.
        function: String,
    },
    /// A statement sets or removes labels in a transaction that made nodes. grafeo would ignore labels of those.
    #[error(
        "grafeo {} ignores labels that are set on a node in the transaction that made it, or removed from it: name \
         them where the node is made, or change them in a transaction of its own",
        crate::GRAFEO_VERSION
    )]
    Labels,
    /// A statement copies a property in a transaction that made nodes or relationships. grafeo would read null from those.
    #[error(
        "grafeo {} copies null from the properties of a node or relationship in the transaction that made it: copy them \
         in a transaction of its own",
        crate::GRAFEO_VERSION
    )]
    Copies,
    /// A statement follows relationships over several steps in a transaction that made some. grafeo would not find those.
    #[error(
        "grafeo {} doesn't find the relationships of a transaction in paths of several steps (-[*1..3]-) in it: match \
         them in a transaction of its own",
        crate::GRAFEO_VERSION
    )]
    Paths,
    /// `LOAD CSV`: its file isn't in the journal.
    #[error("LOAD CSV reads a file that isn't in the journal: pass its rows as a parameter")]
    LoadCsv,
    /// A value in the database that has no [`ParamValue`](graphstream_proto::ParamValue).
    #[error("a stored value of grafeo type {kind} has no kind of its own in a journal")]
    Unportable {
        /// The grafeo type.
        kind: &'static str,
    },
    /// grafeo panicked.
    #[error("grafeo panicked while it ran the statement")]
    Panicked,
    /// grafeo reported a commit that isn't in its file.
    #[error("grafeo reported a commit, but {} doesn't end with it", path.display())]
    CommitNotWritten {
        /// The file that should end with it.
        path: PathBuf,
    },
    /// The file system failed under the database.
    #[error("{attempt} {} failed", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// grafeo's own error.
    #[error(transparent)]
    Grafeo(#[from] grafeo::Error),
}

impl Error {
    /// Whether the same statement might succeed on other data.
    pub(crate) fn depends_on_data(&self) -> bool {
        match self {
            Self::Grafeo(grafeo::Error::Query(error)) => !matches!(
                error.kind,
                QueryErrorKind::Lexer | QueryErrorKind::Syntax | QueryErrorKind::Semantic
            ),
            Self::Grafeo(_) | Self::Labels => true,
            _ => false,
        }
    }
}
