//! Why a statement is not safe to replay.

use super::{Place, Unreadable};

/// A construct that would give another result when the statement is replayed, or none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words} at {place}: {reason}")]
pub struct Refusal {
    /// Where it begins.
    pub place: Place,
    /// Its keywords or its function's name: never values.
    pub words: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a construct, and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Databases don't agree about this text, or have none for it.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// Nothing but space and comments.
    #[error("there is no statement")]
    Empty,
    /// A closing bracket without its opening one, or the other way round.
    #[error("a bracket without its other half")]
    Unbalanced,
    /// Brackets in brackets in brackets.
    #[error("more than {} brackets deep", super::DEPTH_MAX)]
    TooDeep,
    /// More clocks than are replaced.
    #[error("more than {} calls that would be replaced: use a parameter", super::EDITS_MAX)]
    TooManyCalls,
    /// A second statement behind a semicolon.
    #[error("one entry holds one statement: append them one by one")]
    SeveralStatements,
    /// Not the beginning of any statement that the guard knows.
    #[error("no statement begins like this in the databases that the guard knows")]
    UnknownStatement,
    /// `EXPLAIN`, `PROFILE`.
    #[error("it asks for a plan, and some databases run the statement for that: append the statement alone")]
    Plan,
    /// `BEGIN`, `COMMIT`, `CHECKPOINT`...
    #[error("it controls the transaction, and an entry is replayed inside one together with its position")]
    Transaction,
    /// Schema statements that a database runs outside of transactions.
    #[error("it can't run in a transaction, so no follower could replay it exactly once")]
    OutsideTransaction,
    /// Settings, `USE`, and what else only the session remembers.
    #[error("it changes the session and not the graph: a follower that was started again wouldn't have it")]
    Session,
    /// Files, other databases, extensions.
    #[error("what it reads or loads from outside isn't in the journal: pass the rows as a parameter")]
    Outside,
    /// A random number.
    #[error("it gives another result at every replay: compute it first and pass it as a parameter")]
    Random,
    /// The clock where the entry's timestamp can't be put in its place.
    #[error("it gives another time at every replay: pass the time as a parameter")]
    Clock,
    /// A new UUID for every row.
    #[error(
        "it may be called for many rows or elements, and an entry keeps one UUID: pass UUIDs as parameters"
    )]
    UuidPerRow,
    /// A second UUID.
    #[error("an entry keeps one UUID, and this is the second: pass them as parameters")]
    SecondUuid,
    /// A default that is computed for every row.
    #[error(
        "a DEFAULT is computed for every new row, at every replay anew: give the value in each CREATE instead"
    )]
    Default,
    /// A macro that gives another result every time.
    #[error(
        "a macro is computed wherever it is used, at every replay anew: make it a parameter of the macro"
    )]
    Macro,
    /// A sequence's number for each of rows that come in any order.
    #[error(
        "which row gets which number depends on the order in which the database reads: pass the numbers as a parameter"
    )]
    SequencePerRow,
    /// A number that the database gives to what it stores.
    #[error("databases with equal content number it differently: use a property of your own")]
    InternalId,
    /// Something about the process, the session or the files.
    #[error("it depends on the process and its files, and not on the graph")]
    Surroundings,
    /// Some of many rows, whichever come first, are written.
    #[error(
        "which rows are written depends on the order in which the database reads: ORDER BY a unique key before it"
    )]
    UnorderedLimit,
    /// A limit behind a write, which may end it early.
    #[error(
        "LadybugDB ends the writing before it when it has enough rows: drop it, or ORDER BY a unique key before it"
    )]
    LimitBehindWrite,
    /// A list in the order in which rows come.
    #[error(
        "the order of what it collects depends on the database's threads: sort it (list_sort), or pass the list as a parameter"
    )]
    UnorderedCollect,
    /// A procedure that isn't known to write the same everywhere.
    #[error(
        "the guard doesn't know what this procedure does: allow it by its name if it does the same everywhere"
    )]
    Procedure,
    /// A function that isn't known to give the same everywhere.
    #[error("the guard doesn't know this function: allow it by its name if it gives the same everywhere")]
    UnknownFunction,
    /// The entry's timestamp is beyond the calendar.
    #[error(
        "the entry's timestamp is outside of the years 1 to 9999, so it can't take the place of the clock"
    )]
    Timestamp,
}
