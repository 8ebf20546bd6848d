//! The predecessor's databases in a store: found, verified, and written again as databases of ours.
//!
//! ```text
//!  {prefix}{name}/0000/{first:016x}.hadbj                               {root}/{database}/
//!        │ survey: names, headers                                               ▲
//!        ▼                                                                      │ epoch, segments (version 2), head
//!   in the order of their headers ──▶ walk: every entry, one chain ──▶ import ──┘
//! ```
//! Nothing there can be trusted to be what it is called: keys have no last sequence and no epoch, one generation holds whatever was ever
//! uploaded under a name, and compacted segments bear a time for a number, beside the segments that they were made of. So headers
//! are read for the order, every entry is verified, and what several objects hold must be the same in all of them.

mod error;
mod import;
mod sealing;
mod survey;
mod walk;

pub use error::PredecessorError;
pub use import::{Import, ImportOptions, ImportReport, ImportTimes};
pub use survey::{Predecessor, PredecessorObject, PredecessorSurvey};
pub use walk::{CheckedObject, ObjectState, PredecessorTotals};
