//! The exit codes. Scripts and service managers decide by them, so a number never changes its meaning.

use std::process::ExitCode;

/// Why the process ends. Where several apply, integrity comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// Done; also a daemon that drained after a signal.
    Ok = 0,
    /// Anything without a number of its own, such as a bad line of `--input`.
    Other = 1,
    /// The command line, an environment variable or a URL can't work.
    Usage = 2,
    /// The local journal: missing, unreadable, full, or in use by another process.
    Journal = 3,
    /// The object store: unreachable, unwritable, denied.
    Store = 4,
    /// Stored bytes are damaged, missing or of another history.
    Integrity = 5,
    /// The replay target or its child process; comparisons of `demo`.
    Target = 6,
    /// Another leader has taken over.
    Fenced = 7,
}

impl Code {
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// Of several databases that ended differently, the process ends like the one with the largest: first what needs somebody who
    /// looks at the data, then who leads, then what mends itself.
    pub(crate) const fn gravity(self) -> u8 {
        match self {
            Self::Integrity => 7,
            Self::Fenced => 6,
            Self::Usage => 5,
            Self::Journal => 4,
            Self::Store => 3,
            Self::Target => 2,
            Self::Other => 1,
            Self::Ok => 0,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}
