//! What happened, line by line: two runs of one seed must write the same.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::Mutex;

use super::chance::VirtualClock;

/// The last lines are shown when a promise is broken.
const SHOWN: usize = 60;

#[derive(Debug)]
pub struct Trace {
    clock: VirtualClock,
    /// Every line goes to stderr at once.
    dump: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lines: u64,
    all: Option<String>,
    last: VecDeque<String>,
    broken: Option<String>,
}

impl Trace {
    /// `keep`: the whole text.
    pub fn new(keep: bool) -> Self {
        let inner = Inner { lines: 0, all: keep.then(String::new), last: VecDeque::new(), broken: None };
        let dump = std::env::var_os("GRAPHSTREAM_SIMULATION_TRACE").is_some();
        Self { clock: VirtualClock::new(0), dump, inner: Mutex::new(inner) }
    }

    pub fn note(&self, line: fmt::Arguments<'_>) {
        let mut inner = self.inner.lock().unwrap();
        let elapsed = self.clock.elapsed();
        let mut text = String::new();
        let _ = writeln!(text, "{:>9}.{:03} {line}", elapsed.as_secs(), elapsed.subsec_millis());
        inner.lines += 1;
        if self.dump {
            eprint!("{text}");
        }
        if let Some(all) = &mut inner.all {
            all.push_str(&text);
        }
        if inner.last.len() == SHOWN {
            inner.last.pop_front();
        }
        inner.last.push_back(text);
    }

    /// A promise is broken. The first one counts; the run ends at its next look.
    pub fn broken(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("BROKEN {what}"));
        self.inner.lock().unwrap().broken.get_or_insert(what.to_string());
    }

    /// What was broken, behind what led to it.
    pub fn verdict(&self) -> Result<(), String> {
        let inner = self.inner.lock().unwrap();
        match &inner.broken {
            None => Ok(()),
            Some(what) => Err(format!("{}{what}", inner.last.iter().map(String::as_str).collect::<String>())),
        }
    }

    pub fn lines(&self) -> u64 {
        self.inner.lock().unwrap().lines
    }

    pub fn text(&self) -> String {
        self.inner.lock().unwrap().all.clone().unwrap_or_default()
    }
}
