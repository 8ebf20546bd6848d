//! Why a verb ended early: an exit code, a kind for programs, a message for people, and what to try next.
//!
//! ```text
//! errors of the crates ──▶ map/ ──▶ Failure { kind, message, causes, hint, place } ──▶ stderr, exit code
//! ```
//!
//! This module and [`map`] are the only places that know which error means which code.

mod map;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::exit::Code;
use crate::terminal::Palette;

/// What happened, in one word; the words of `--json` are part of the documented shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The reader of stdout has gone: no failure at all.
    BrokenPipe,
    /// A bad line of `--input`.
    Input,
    /// A file, stream or thread that is neither journal nor store.
    Io,
    /// Something that should not happen.
    Internal,
    /// The command line or a URL.
    Usage,
    /// `--ack stored` without a shipper.
    NoShipper,
    /// The local journal can't be read or written.
    Journal,
    /// Another process holds `LOCK` or `SHIP`.
    Locked,
    /// The disk is full.
    Full,
    /// Entries whose fate is unknown after a failed write or sync.
    Unresolved,
    /// The object store fails.
    Store,
    /// The object store refuses.
    Denied,
    /// The object store holds no such database.
    NoDatabase,
    /// Bytes contradict themselves.
    Corruption,
    /// Entries are missing.
    Gap,
    /// Two histories.
    Fork,
    /// An older state than one that was seen before.
    Rewind,
    /// Another database or lineage.
    Lineage,
    /// The replay target fails.
    Target,
    /// The replay target refuses one entry.
    Poison,
    /// Something stands where a restore is to put what it restores.
    Exists,
    /// Both sides of a comparison differ.
    #[cfg_attr(not(feature = "grafeo"), expect(dead_code, reason = "only the demo compares"))]
    Mismatch,
    /// Another leader has taken over.
    Fenced,
}

impl Kind {
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::BrokenPipe => Code::Ok,
            Self::Input | Self::Io | Self::Internal => Code::Other,
            Self::Usage | Self::NoShipper => Code::Usage,
            Self::Journal | Self::Locked | Self::Full | Self::Unresolved => Code::Journal,
            Self::Store | Self::Denied | Self::NoDatabase => Code::Store,
            Self::Corruption | Self::Gap | Self::Fork | Self::Rewind | Self::Lineage => Code::Integrity,
            Self::Target | Self::Poison | Self::Exists | Self::Mismatch => Code::Target,
            Self::Fenced => Code::Fenced,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::BrokenPipe => "broken_pipe",
            Self::Input => "input",
            Self::Io => "io",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NoShipper => "no_shipper",
            Self::Journal => "journal",
            Self::Locked => "locked",
            Self::Full => "full",
            Self::Unresolved => "unresolved",
            Self::Store => "store",
            Self::Denied => "denied",
            Self::NoDatabase => "no_database",
            Self::Corruption => "corruption",
            Self::Gap => "gap",
            Self::Fork => "fork",
            Self::Rewind => "rewind",
            Self::Lineage => "lineage",
            Self::Target => "target",
            Self::Poison => "poison",
            Self::Exists => "exists",
            Self::Mismatch => "mismatch",
            Self::Fenced => "fenced",
        }
    }
}

impl Kind {
    /// What to try next where nothing more exact is known.
    const fn hint(self) -> &'static str {
        match self {
            Self::Usage => "the same command with --help",
            Self::Input | Self::Io => "check the path, its permissions and the free space of its disk",
            Self::BrokenPipe | Self::Internal => {
                "the same command again with --log-level debug, and report it"
            }
            Self::NoShipper => "graphstream replicate --journal DIR --database NAME --to URL, beside this",
            Self::Journal | Self::Locked | Self::Full | Self::Unresolved => {
                "graphstream status --journal DIR shows who works on the journal and how far it is"
            }
            Self::Store | Self::Denied | Self::NoDatabase => {
                "check the URL of the store and its permissions, then the same command again"
            }
            Self::Corruption | Self::Gap | Self::Fork | Self::Rewind => {
                "graphstream verify names everything that is wrong; keep all copies until it is understood"
            }
            Self::Lineage => "graphstream inspect FILE and graphstream status show which lineage is whose",
            Self::Target | Self::Poison | Self::Exists | Self::Mismatch => {
                "check the target; the same command goes on where it is"
            }
            Self::Fenced => "decide which leader leads; graphstream status shows where this one was fenced",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// Where it happened, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_sequence: Option<u64>,
    /// From the start of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    /// From the start of the decompressed body, where that is all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_offset: Option<u64>,
}

/// Why a verb ended early.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hint: Option<Cow<'static, str>>,
    place: Place,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            place: Place::default(),
        }))
    }

    /// A failure that says what `error` and its sources say.
    pub(crate) fn of(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut this = Self::new(kind, error.to_string());
        if let Some(source) = error.source() {
            this = this.because(source);
        }
        this
    }

    /// Adds a cause with its own causes.
    pub(crate) fn because(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Errors shared between waiters, and some of foreign crates, repeat the one inside.
            if !self.0.causes.last().unwrap_or(&self.0.message).ends_with(&text) {
                self.0.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// What to do next; without a full stop, beginning with a verb or a command.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The first that there is.
    pub(crate) fn hint_or(self, exact: Option<String>, otherwise: Option<&'static str>) -> Self {
        match (exact, otherwise) {
            (Some(exact), _) => self.hint(exact),
            (None, Some(otherwise)) => self.hint(otherwise),
            (None, None) => self,
        }
    }

    pub(crate) fn file(mut self, path: &Path) -> Self {
        self.0.place.file = Some(path.display().to_string());
        self
    }

    pub(crate) fn place(mut self, set: impl FnOnce(&mut Place)) -> Self {
        set(&mut self.0.place);
        self
    }

    /// Puts what was attempted in front.
    pub(crate) fn while_doing(mut self, attempt: impl fmt::Display) -> Self {
        let cause = std::mem::replace(&mut self.0.message, attempt.to_string());
        self.0.causes.insert(0, cause);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn code(&self) -> Code {
        self.0.kind.code()
    }

    pub(crate) fn where_(&self) -> &Place {
        &self.0.place
    }

    /// The message and its causes in one line.
    pub(crate) fn sentence(&self) -> String {
        let mut text = self.0.message.clone();
        for cause in &self.0.causes {
            text.push_str(": ");
            text.push_str(cause);
        }
        text
    }

    /// `error: ...` and `Try: ...`, or one line of JSON, on stderr.
    pub(crate) fn report(&self, json: bool) {
        use std::io::Write;

        let mut stderr = std::io::stderr().lock();
        // Nobody can be told of a stderr that is closed.
        if json {
            let object = ErrorLine {
                error: ErrorObject {
                    code: self.code().number(),
                    kind: self.kind(),
                    message: &self.0.message,
                    causes: &self.0.causes,
                    hint: self.next_step(),
                    place: &self.0.place,
                },
            };
            if let Ok(line) = serde_json::to_string(&object) {
                let _ = writeln!(stderr, "{line}");
            }
            return;
        }
        let palette = Palette::stderr();
        let _ = writeln!(stderr, "{} {}", palette.error("error:"), self.sentence());
        let _ = writeln!(stderr, "{} {}", palette.head("Try:"), self.next_step());
    }

    /// What to try next: no error leaves the operator without it.
    fn next_step(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.kind().hint())
    }
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: u8,
    kind: Kind,
    message: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    causes: &'a [String],
    hint: &'a str,
    #[serde(flatten)]
    place: &'a Place,
}

/// A warning on stderr, for what the operator should know although the verb succeeds.
pub(crate) fn warn(text: impl fmt::Display) {
    use std::io::Write;

    let _ = writeln!(std::io::stderr().lock(), "{} {text}", Palette::stderr().warning("warning:"));
}
