//! Replaying a journal into a graph database: the [`ReplayTarget`] contract, its conformance suite, and two targets
//! that need no database of ours.
//!
//! ```text
//!            batch of entries + position
//! follower ─────────────────────────────▶ ReplayTarget ──▶ JsonlTarget   jsonl:PATH | jsonl:-
//!    ▲      position() after every start      │        ├──▶ ExecTarget    exec:COMMAND (a child process)
//!    └────────────────────────────────────────┘        └──▶ graphstream-target-* (embedded databases)
//! ```
//!
//! Everything here is synchronous: a target blocks, and whoever drives it gives it a thread of its own.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod digest;
mod entry;
mod error;
mod exec;
pub mod filter;
pub mod guard;
mod jsonl;
mod lines;
mod serve;
mod target;

pub use entry::ReplayEntry;
pub use error::{Cause, Error, ErrorClass, Reason, Result, Violation};
pub use exec::{ExecOptions, ExecTarget};
pub use jsonl::JsonlTarget;
pub use lines::LineBatch;
pub use serve::serve;
pub use target::{BatchStep, Guarantee, ReplayTarget, TransactionalTarget, check_batch};
