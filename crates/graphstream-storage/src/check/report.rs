//! What was found, for tables and decisions.

use std::fmt;

use crate::Key;
use crate::error::{Error, ErrorClass};

/// What a store may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Whole objects can be put.
    Put,
    /// And read back as they were.
    Get,
    /// Parts of objects can be read.
    Range,
    /// Metadata alone can be read.
    Head,
    /// An unchanged object is not sent again.
    ConditionalGet,
    /// A put that only creates, also in a race (O4).
    Create,
    /// A put that only replaces one version, also in a race (O5).
    Match,
    /// Listings are complete and in order (O7).
    List,
    /// They come in pages that fit together.
    ListPages,
    /// They start where they are told to.
    ListStartAfter,
    /// They fold keys at the delimiter.
    ListDelimiter,
    /// Objects can be deleted (O8).
    Delete,
    /// Many at once.
    DeleteMany,
}

impl Capability {
    /// Every capability, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Put,
        Self::Get,
        Self::Range,
        Self::Head,
        Self::ConditionalGet,
        Self::Create,
        Self::Match,
        Self::List,
        Self::ListPages,
        Self::ListStartAfter,
        Self::ListDelimiter,
        Self::Delete,
        Self::DeleteMany,
    ];

    /// In lower case words, as programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Range => "range",
            Self::Head => "head",
            Self::ConditionalGet => "conditional_get",
            Self::Create => "conditional_create",
            Self::Match => "conditional_match",
            Self::List => "list",
            Self::ListPages => "list_pages",
            Self::ListStartAfter => "list_start_after",
            Self::ListDelimiter => "list_delimiter",
            Self::Delete => "delete",
            Self::DeleteMany => "delete_many",
        }
    }

    /// Whether a leader can't do without it. Followers need it too, but for the conditional puts.
    #[must_use]
    pub fn is_needed_to_lead(self) -> bool {
        matches!(
            self,
            Self::Put
                | Self::Get
                | Self::Create
                | Self::Match
                | Self::List
                | Self::ListPages
                | Self::ListStartAfter
        )
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It does what it should.
    Works,
    /// The backend or the store refuses it, and says so.
    Unsupported,
    /// The condition is not looked at: the store says yes to what it should have refused.
    Ignored,
    /// The condition is checked first and the object written then: of several writers in a race more than one wins.
    Races,
    /// The store says no, and what it refused is there nevertheless.
    StoresRefused,
    /// Other bytes, other keys or another order than there should be.
    Wrong,
    /// These credentials may not.
    Denied,
    /// It fails.
    Fails,
}

impl Verdict {
    /// In lower case words, as programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Unsupported => "unsupported",
            Self::Ignored => "ignored",
            Self::Races => "races",
            Self::StoresRefused => "stores_refused",
            Self::Wrong => "wrong",
            Self::Denied => "denied",
            Self::Fails => "fails",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one test ended: `Err` is the verdict with what was seen.
pub(super) type Outcome = Result<(), Seen>;

/// Anything but [`Verdict::Works`], and why.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) verdict: Verdict,
    pub(super) detail: String,
}

impl Seen {
    pub(super) fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

impl From<Error> for Seen {
    fn from(error: Error) -> Self {
        let verdict = match (&error, error.class()) {
            (Error::Unsupported { .. }, _) => Verdict::Unsupported,
            (_, ErrorClass::Denied) => Verdict::Denied,
            (_, ErrorClass::Corrupt) => Verdict::Wrong,
            _ => Verdict::Fails,
        };
        let mut detail = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            detail = format!("{detail}: {next}");
            cause = next.source();
        }
        Self { verdict, detail }
    }
}

/// What was found about one capability.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Of what.
    pub capability: Capability,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, unless it works.
    pub detail: Option<String>,
}

impl Finding {
    pub(super) fn of(capability: Capability, outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self { capability, verdict: Verdict::Works, detail: None },
            Err(Seen { verdict, detail }) => Self { capability, verdict, detail: Some(detail) },
        }
    }
}

/// Everything that was found about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Below which the objects of the check were.
    pub prefix: Key,
    /// One per capability.
    pub findings: Vec<Finding>,
    /// Objects that could not be deleted afterwards, or of which that is not known.
    pub left: usize,
}

impl Report {
    /// The verdict on one capability.
    #[must_use]
    pub fn verdict(&self, capability: Capability) -> Option<Verdict> {
        self.findings.iter().find(|finding| finding.capability == capability).map(|finding| finding.verdict)
    }

    /// What a leader needs and does not get here. Empty: it can lead.
    pub fn lacking(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.capability.is_needed_to_lead() && finding.verdict != Verdict::Works)
    }
}
