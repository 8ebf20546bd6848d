//! What a person at a terminal gets and a program doesn't: colours and progress.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether this stream is for eyes: a terminal that takes escape sequences, and nobody objected.
fn colours(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The colours of one stream; all plain where it is no terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    on: bool,
}

impl Palette {
    pub(crate) fn stderr() -> Self {
        Self { on: colours(std::io::stderr().is_terminal()) }
    }

    pub(crate) fn stdout() -> Self {
        Self { on: colours(std::io::stdout().is_terminal()) }
    }

    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn error<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(text, AnsiColor::Red.on_default().bold())
    }

    pub(crate) fn warning<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(text, AnsiColor::Yellow.on_default().bold())
    }

    pub(crate) fn good<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(text, AnsiColor::Green.on_default().bold())
    }

    pub(crate) fn head<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(text, Style::new().bold())
    }

    pub(crate) fn quiet<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(text, Style::new().dimmed())
    }

    fn paint<T>(self, text: T, style: Style) -> Painted<T> {
        Painted { text, style: if self.on { style } else { Style::new() } }
    }
}

/// A text in its colour.
pub(crate) struct Painted<T> {
    text: T,
    style: Style,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.text.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

/// A line on stderr that says how far things are; nothing at all where stderr is no terminal.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For work whose end is known. `unit` is "bytes" or a plural noun.
    pub(crate) fn new(total: u64, unit: &'static str, quiet: bool) -> Self {
        let template = if unit == "bytes" {
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}".to_owned()
        } else {
            format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{per_sec}} {{eta}}")
        };
        Self::with(ProgressBar::with_draw_target(Some(total), Self::draw_target(quiet)), &template)
    }

    /// For work without a known end.
    pub(crate) fn endless(quiet: bool) -> Self {
        let this = Self::with(
            ProgressBar::with_draw_target(None, Self::draw_target(quiet)),
            "{spinner} {msg} {human_pos} ({per_sec})",
        );
        if !this.bar.is_hidden() {
            this.bar.enable_steady_tick(Duration::from_millis(120));
        }
        this
    }

    fn draw_target(quiet: bool) -> ProgressDrawTarget {
        // indicatif draws nothing where stderr is no terminal; TERM=dumb it doesn't know.
        if quiet || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        }
    }

    fn with(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(crate) fn say(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    pub(crate) fn add(&self, done: u64) {
        self.bar.inc(done);
    }

    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> impl fmt::Display {
    indicatif::HumanCount(number)
}

/// `1 entry`, `2 entries`.
pub(crate) fn counted(number: u64, one: &'static str, many: &'static str) -> impl fmt::Display {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Bytes with a binary unit.
pub(crate) fn bytes(number: u64) -> impl fmt::Display {
    indicatif::BinaryBytes(number)
}
