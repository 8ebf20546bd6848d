//! Whether a backend keeps the obligations of [`StorageBackend`]: plain async functions, each callable alone.
//!
//! ```no_run
//! # async fn check(backend: graphstream_storage::MemoryBackend) {
//! graphstream_storage::conformance::all(&backend).await.unwrap();
//! # }
//! ```
//!
//! Every case works under a prefix of its own, `graphstream-conformance/{case}/`, which it empties before and, when it
//! passes, after; [`Suite`] runs some of them, elsewhere, or leaves nothing behind when they fail. A case fails with a [`Violation`] that names the obligation; it never panics, so that a tool can print a
//! table of them for a store. [`CASES`] lists them for that.

mod delete;
mod get;
mod keys;
mod large;
mod list;
mod mixed;
mod paging;
mod put;
mod put_file;
mod race;
mod scope;
mod suite;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub use delete::*;
pub use get::*;
pub use keys::*;
pub use large::*;
pub use list::*;
pub use mixed::*;
pub use paging::*;
pub use put::*;
pub use put_file::*;
pub use race::*;
pub use suite::Suite;

use crate::{Error, StorageBackend};

/// How a case ends.
pub type Outcome = Result<(), Violation>;

/// What a backend did against its obligations.
#[derive(Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The obligation, `O1` to `O10`; `-` when a call failed that had no reason to.
    pub obligation: &'static str,
    /// What was expected and what happened.
    pub detail: String,
    /// The error of the call that should not have failed, or not so.
    pub source: Option<Error>,
}

impl Violation {
    fn new(obligation: &'static str, detail: impl Into<String>) -> Self {
        Self { obligation, detail: detail.into(), source: None }
    }
}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self {
            obligation: "-",
            detail: "a call failed that should have succeeded".into(),
            source: Some(error),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.obligation, self.detail)
    }
}

impl std::error::Error for Violation {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $obligation:literal, $($detail:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::new($obligation, format!($($detail)+)));
        }
    };
}
use ensure;

/// The future of a case.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One case by name.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// The name of its function.
    pub name: &'static str,
    /// Runs it.
    pub run: for<'a> fn(&'a dyn StorageBackend) -> CaseFuture<'a>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// Every case, in the order in which [`all`] runs them.
        pub const CASES: &[Case] = &[$(Case { name: stringify!($name), run: |backend| Box::pin($name(backend)) }),+];
    };
}

cases![
    put_round_trips,
    put_overwrites,
    put_agrees_on_versions,
    put_changes_the_version,
    create_refuses_an_existing_object,
    create_works_again_after_delete,
    match_replaces_the_version_it_saw,
    match_refuses_an_older_version,
    match_refuses_a_missing_object,
    match_refuses_a_recreated_object,
    put_streams_a_file,
    put_of_a_missing_file_stores_nothing,
    put_of_equal_bytes,
    put_of_a_directory_stores_nothing,
    create_from_a_file_is_exclusive,
    match_from_a_file_refuses_an_older_version,
    describe_is_one_line,
    get_and_head_of_a_missing_object,
    get_if_changed,
    get_ranges,
    get_range_of_an_empty_object,
    get_survives_replacement,
    get_in_pieces,
    get_if_changed_from_a_foreign_version,
    get_may_be_dropped,
    delete_is_idempotent,
    delete_leaves_neighbours,
    delete_many_reports_each_key,
    delete_many_takes_more_than_a_thousand,
    list_of_nothing_is_empty,
    list_is_in_byte_order,
    list_prefix_is_bytes,
    list_of_odd_prefixes_is_empty,
    list_starts_after,
    list_agrees_with_head,
    list_folds_at_the_delimiter,
    list_folds_what_lies_beyond_start_after,
    list_of_a_whole_key,
    list_sees_changes_at_once,
    paging_respects_limits,
    paging_with_delimiter,
    paging_tokens_may_be_used_again,
    paging_over_a_thousand_keys,
    paging_while_keys_come_and_go,
    keys_may_be_odd,
    keys_may_be_long,
    keys_may_nest_or_be_refused,
    race_create_has_one_winner,
    race_match_has_one_winner,
    race_counters_lose_no_increment,
    race_readers_see_whole_objects,
    race_deletes_and_creates,
    race_create_against_overwrite,
    race_match_against_overwrite,
    race_match_against_delete,
    race_overwrites_end_as_one,
    race_of_strangers,
    large_object_from_a_file,
    large_object_is_created_once,
];

/// Runs every case, one after the other.
///
/// # Errors
/// All cases that failed, with their names.
pub async fn all(backend: &dyn StorageBackend) -> Result<(), Failures> {
    let mut failures = Vec::new();
    for case in CASES {
        if let Err(violation) = (case.run)(backend).await {
            failures.push((case.name, violation));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
}

/// The cases that failed.
#[derive(Debug)]
pub struct Failures(pub Vec<(&'static str, Violation)>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cases failed", self.0.len(), CASES.len())?;
        self.0.iter().try_for_each(|(name, violation)| write!(f, "; {name}: {violation}"))
    }
}

impl std::error::Error for Failures {}
