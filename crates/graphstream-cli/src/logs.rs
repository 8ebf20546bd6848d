//! Diagnostics on stderr. Results go to stdout and are not logs.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::terminal::Palette;

/// Parses `--log-level`: a level, or levels per module (`warn,graphstream_journal=debug`).
pub(crate) fn parse(text: &str) -> Result<Targets, String> {
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
    text.parse().map_err(|_| hint.to_owned())
}

/// Starts logging; `level` if nothing was said, and of other people's crates (an SDK that looks for credentials where there are none) only
/// errors.
pub(crate) fn start(chosen: Option<Targets>, level: Level) {
    let filter =
        chosen.unwrap_or_else(|| Targets::new().with_default(Level::ERROR).with_target("graphstream", level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && Palette::stderr().is_on())
        .with_target(false);
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
