//! A value and where it comes from.

use serde::Serialize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Nothing was said.
    Default,
    /// The file, from line 1.
    File { line: u64 },
    /// The environment.
    Environment { variable: &'static str },
    /// The command line.
    Flag { flag: &'static str },
}

impl Origin {
    pub(crate) const fn line(&self) -> Option<u64> {
        match self {
            Self::File { line } => Some(*line),
            _ => None,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "line {line}"),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    pub(crate) const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(crate) const fn default_value(value: T) -> Self {
        Self::new(value, Origin::Default)
    }

    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: map(self.value), origin: self.origin }
    }
}

/// The value that wins: what was said by flag or variable, else the first of the file that there is, else the default.
pub(super) fn layer<T>(
    said: Option<(T, (&'static str, &'static str))>,
    file: impl IntoIterator<Item = Option<Setting<T>>>,
    default: Setting<T>,
) -> Setting<T> {
    if let Some((value, (flag, variable))) = said {
        return Setting::new(value, of_call(flag, variable));
    }
    file.into_iter().flatten().next().unwrap_or(default)
}

/// clap takes a flag before its variable, and so does this.
pub(super) fn of_call(flag: &'static str, variable: &'static str) -> Origin {
    let is_flag = |arg: &std::ffi::OsStr| {
        let arg = arg.to_string_lossy();
        arg.split('=').next() == Some(flag)
    };
    let given = std::env::args_os().any(|arg| is_flag(&arg));
    if !given && std::env::var_os(variable).is_some() {
        Origin::Environment { variable }
    } else {
        Origin::Flag { flag }
    }
}
