//! Diagnostics on stderr. Results go to stdout and are not logs.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::terminal::Palette;

/// What is logged: levels, and how they were written.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    text: String,
    targets: Targets,
}

impl Filter {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Format {
    /// Parses what a configuration says.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".to_owned()),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Parses `--log-level`: a level, or levels per module (`warn,graphstream_journal=debug`).
pub(crate) fn parse(text: &str) -> Result<Filter, String> {
    let hint = "expected error, warn, info, debug, trace or off, or levels per module as in warn,graphstream_journal=debug";
    // `Targets` takes any word for a module whose every level is wanted: a mistyped level would log everything.
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !matches!(
            level.to_ascii_lowercase().as_str(),
            "error" | "warn" | "info" | "debug" | "trace" | "off"
        ) {
            return Err(hint.to_owned());
        }
    }
    let targets = text.parse().map_err(|_| hint.to_owned())?;
    Ok(Filter { text: text.to_owned(), targets })
}

/// Starts logging; `level` if nothing was said, and of other people's crates (an SDK that looks for credentials where there are none) only
/// errors.
pub(crate) fn start(chosen: Option<Filter>, level: Level, format: Format) {
    let filter = chosen.map_or_else(
        || Targets::new().with_default(Level::ERROR).with_target("graphstream", level),
        |chosen| chosen.targets,
    );
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && Palette::stderr().is_on())
        .with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_target(true).boxed(),
    };
    // An error would mean that logging had been started before: then it runs.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn levels_are_words_and_mistyped_ones_are_refused() {
        for good in ["warn", "INFO", "off", "warn,graphstream_journal=debug"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "warn,graphstream_journal", "graphstream_journal=loud"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
