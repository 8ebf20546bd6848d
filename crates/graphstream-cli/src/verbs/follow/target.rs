//! `--target`: where entries are replayed.

use std::path::PathBuf;

use graphstream::replay::{ExecOptions, ExecTarget, JsonlTarget, ReplayTarget};

use crate::failure::Failure;
#[cfg(not(feature = "grafeo"))]
use crate::failure::Kind;

/// A parsed `--target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `jsonl:PATH`.
    Jsonl(PathBuf),
    /// `jsonl:-`.
    Stdout,
    /// `exec:COMMAND`.
    Exec(String),
    /// `grafeo:PATH`.
    Grafeo(PathBuf),
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected jsonl:PATH, jsonl:-, exec:COMMAND or grafeo:PATH".to_owned();
        let (kind, rest) = text.split_once(':').ok_or_else(expected)?;
        if rest.trim().is_empty() {
            return Err(expected());
        }
        match kind {
            "jsonl" if rest == "-" => Ok(Self::Stdout),
            "jsonl" => Ok(Self::Jsonl(rest.into())),
            "exec" => Ok(Self::Exec(rest.to_owned())),
            "grafeo" if cfg!(feature = "grafeo") => Ok(Self::Grafeo(rest.into())),
            "grafeo" => Err("this build has no grafeo targets (feature grafeo)".to_owned()),
            "ladybug" => {
                Err("this build has no ladybug targets; exec:COMMAND takes a child that has".to_owned())
            }
            _ => Err(expected()),
        }
    }

    /// Whether opening it would make a file that is not there yet.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Jsonl(path) | Self::Grafeo(path) => path.symlink_metadata().is_err(),
            Self::Stdout | Self::Exec(_) => false,
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn ReplayTarget>, Failure> {
        Ok(match self {
            Self::Jsonl(path) => Box::new(JsonlTarget::open(path)?),
            Self::Stdout => Box::new(JsonlTarget::stream("jsonl:-", Stdout)),
            Self::Exec(command) => Box::new(ExecTarget::spawn(command.as_str(), ExecOptions::default())?),
            #[cfg(feature = "grafeo")]
            Self::Grafeo(path) => Box::new(graphstream::target_grafeo::GrafeoTarget::open(path)?),
            #[cfg(not(feature = "grafeo"))]
            Self::Grafeo(_) => return Err(Failure::new(Kind::Usage, "this build has no grafeo targets")),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jsonl(path) => write!(f, "jsonl:{}", path.display()),
            Self::Stdout => f.write_str("jsonl:-"),
            // Its arguments may hold credentials.
            Self::Exec(command) => {
                write!(f, "exec:{}", command.split_whitespace().next().unwrap_or_default())
            }
            Self::Grafeo(path) => write!(f, "grafeo:{}", path.display()),
        }
    }
}

/// Standard output whose reader may leave: then there is nothing left to do, and no position to keep.
struct Stdout;

impl std::io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        quietly(std::io::stdout().lock().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        quietly(std::io::stdout().lock().flush())
    }
}

fn quietly<T>(written: std::io::Result<T>) -> std::io::Result<T> {
    if matches!(&written, Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_kind_and_the_rest() {
        assert_eq!(Target::parse("jsonl:-"), Ok(Target::Stdout));
        assert_eq!(Target::parse("jsonl:a:b"), Ok(Target::Jsonl("a:b".into())));
        assert_eq!(Target::parse("exec:cat -n | wc"), Ok(Target::Exec("cat -n | wc".into())));
        for bad in ["", "jsonl", "jsonl:", "exec:  ", "csv:x", "ladybug:x"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
