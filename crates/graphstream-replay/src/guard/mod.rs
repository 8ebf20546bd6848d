//! The determinism guard: whether a statement does the same wherever and whenever it is replayed.
//!
//! ```text
//!            ┌─ as it is                      nothing in it depends on where and when it runs
//! statement ─┼─ rewritten                     CREATE (:N {at: current_timestamp(), id: gen_random_uuid()})
//!            │                                CREATE (:N {at: $graphstream_timestamp, id: $graphstream_uuid})
//!            └─ refused                       the construct, its line and column, and what to do instead
//! ```
//!
//! It reads [tokens](Tokens), never text: what stands in comments, strings, quoted names, labels, keys and parameters is no function.
//! What may be a function and isn't known is refused, and so is a statement whose first words aren't known: the lists of what is
//! accepted are finite. It takes one pass without recursion, in time and memory linear in the statement's length. `docs/determinism.md` says what is refused,
//! rewritten and accepted, why, and what no look at a text can find.

mod clock;
mod functions;
mod place;
mod plan;
mod refusal;
mod text_hash;
mod token;
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use graphstream_proto::JournalEntry;

pub use self::functions::{Clock, Function, is_keyword};
pub use self::place::Place;
use self::plan::Plan;
pub use self::refusal::{Reason, Refusal};
use self::text_hash::BuildTextHasher;
pub use self::token::{Token, TokenKind, Tokens, Unreadable, folded};

/// How deep brackets may be nested in a statement.
pub const DEPTH_MAX: usize = 256;

/// How many calls of a statement are replaced.
pub const EDITS_MAX: usize = 1024;

/// Whose Cypher a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// It isn't known who replays it: what is safe in one and unknown to the other is accepted, what differs in one is refused.
    #[default]
    Any,
    /// LadybugDB's and Kuzu's.
    Ladybug,
    /// grafeo's.
    Grafeo,
}

/// What a [`Guard`] goes by.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GuardOptions {
    /// Whose Cypher the statements are.
    pub dialect: Dialect,
    /// Functions and procedures that are accepted whatever the guard knows of them, in lower case: macros and extensions that give the same
    /// everywhere.
    pub functions: Vec<String>,
}

impl GuardOptions {
    /// Sets the dialect.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Accepts a function or procedure by its name, with its qualifiers (`my.procedure`).
    #[must_use]
    pub fn with_function(mut self, name: &str) -> Self {
        self.functions.push(folded(name));
        self
    }

    fn allows(&self, name: &str) -> bool {
        self.functions.iter().any(|allowed| allowed == name)
    }
}

/// What becomes of a statement that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is replayed as it is.
    AsItIs,
    /// Calls in it are replaced by parameters.
    Rewritten,
}

/// Why an entry was not admitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// Its statement isn't safe to replay.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The source of randomness for its UUID failed.
    #[error("no random number for the entry's UUID")]
    Random(#[source] std::io::Error),
}

/// How many verdicts are remembered, and how long a statement may be for that.
const KNOWN_MAX: usize = 256;
const KNOWN_BYTES_MAX: usize = 4096;

/// Looks at statements before they are journaled, and remembers what it saw: a journal has few texts and many parameters.
#[derive(Debug, Default)]
pub struct Guard {
    options: GuardOptions,
    known: Mutex<HashMap<Box<str>, Arc<Plan>, BuildTextHasher>>,
}

impl Guard {
    /// A guard that goes by `options`.
    #[must_use]
    pub fn new(options: GuardOptions) -> Self {
        Self { options, known: Mutex::default() }
    }

    /// What becomes of a statement.
    ///
    /// # Errors
    /// [`Refusal`] when it isn't safe to replay.
    pub fn check(&self, query: &str) -> Result<Verdict, Refusal> {
        let plan = self.plan(query)?;
        Ok(if plan.edits.is_empty() { Verdict::AsItIs } else { Verdict::Rewritten })
    }

    /// The entry as it is to be journaled, and executed: with the values of the clock and of one UUID bound to parameters. Without a
    /// [`uuid_override`](JournalEntry::uuid_override) of its own it gets one when it needs one, made of 16 bytes from `random`.
    ///
    /// ```
    /// use graphstream_proto::JournalEntry;
    /// use graphstream_replay::guard::Guard;
    ///
    /// let guard = Guard::default();
    /// let entry = JournalEntry::new("CREATE (:Person {born: date('1815-12-10'), added: current_date()})", 0);
    /// let admitted = guard.admit(&entry, || Ok([0; 16]))?;
    /// assert_eq!(admitted.query, "CREATE (:Person {born: date('1815-12-10'), added: $graphstream_date})");
    /// let entry = JournalEntry::new("CREATE (:Person {luck: rand()})", 0);
    /// let refused = guard.admit(&entry, || Ok([0; 16]));
    /// assert!(refused.unwrap_err().to_string().starts_with("rand at line 1, column 24 (byte 23): "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AdmitError::Refused`] when the statement isn't safe to replay; [`AdmitError::Random`] when `random` failed.
    pub fn admit<'e>(
        &self,
        entry: &'e JournalEntry,
        random: impl FnOnce() -> std::io::Result<[u8; 16]>,
    ) -> Result<Cow<'e, JournalEntry>, AdmitError> {
        let plan = self.plan(&entry.query)?;
        if plan.edits.is_empty() {
            return Ok(Cow::Borrowed(entry));
        }
        let uuid = match &entry.uuid_override {
            None if plan.takes_uuid() => Some(uuid_of(random().map_err(AdmitError::Random)?)),
            kept => kept.clone(),
        };
        Ok(Cow::Owned(plan.apply(entry, uuid)?))
    }

    fn plan(&self, query: &str) -> Result<Arc<Plan>, Refusal> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if query.len() > KNOWN_BYTES_MAX {
            return walk::walk(query, &self.options).map(Arc::new);
        }
        if let Some(plan) = known().get(query) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(walk::walk(query, &self.options)?);
        let mut known = known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(query.into(), Arc::clone(&plan));
        Ok(plan)
    }
}

/// A random UUID (version 4) of 16 random bytes.
fn uuid_of(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let number = number & !(0xf << 76) | 4 << 76;
    let number = number & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{number:032x}");
    let mut uuid = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}
