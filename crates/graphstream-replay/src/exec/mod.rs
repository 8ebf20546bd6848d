//! `exec:COMMAND`: a child process as a target, in any language.
//!
//! ```text
//! child ──▶ {"position": null}                      or {"position": {"lineage", "sequence", "chain_hash"}}
//!       ◀── {"sequence":1,"query":...}              entry lines, as `cat --json`
//!       ◀── {"sequence":2,"query":...}
//!       ◀── {"commit": {"lineage", "sequence":2, "chain_hash"}}
//! child ──▶ {"applied": 2}                          the committed sequence; or {"error": {"sequence", "message"}}
//!       ◀── ...                                     one batch is outstanding at a time
//!       ◀── end of input                            finish, exit 0
//! ```
//!
//! A commit line without entry lines before it moves the position alone. After `error` the child has applied nothing of the
//! batch and waits for the next. Anything else it prints is a protocol error, whoever it came from: the child is killed, and
//! only [`reopen`](ReplayTarget::reopen) helps, with a new child and a new handshake. What it writes to its standard error is
//! logged.
//!
//! Three threads see to it that nobody waits for anybody in a circle:
//!
//! ```text
//! caller ── waits for events, with deadlines ◀──┬── reader: stdout, whole lines, bounded      (lives with the child)
//!    └─ per batch: writer ──▶ stdin             └── stderr ──▶ tracing                         (lives with the child)
//! ```

mod child;
mod message;
#[cfg(test)]
mod tests;

use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use graphstream_format::Position;

use self::child::{Child, Event};
use self::message::{Answer, Handshake};
use crate::{
    BatchStep, Cause, Error, Guarantee, Reason, ReplayEntry, ReplayTarget, Result, Violation, check_batch,
};

pub(crate) use self::message::{
    parse_commit_line, write_answer, write_commit_line, write_error, write_handshake,
};

/// How an [`ExecTarget`] treats its child.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecOptions {
    /// How long the child may take to print its position. Five minutes: opening a database may mean recovering it, but a
    /// command that isn't a target at all should be found out.
    pub handshake_timeout: Option<Duration>,
    /// How long the child may take for a batch. None: a database may rightly take long for one statement, killing it would
    /// only make it start over, and a child that dies is noticed at once anyway.
    pub answer_timeout: Option<Duration>,
    /// How long the child may take to exit after its input ended, before it is killed. One minute: a database may
    /// write a checkpoint.
    pub exit_timeout: Duration,
    /// The most bytes a line of the child may have. 64 KiB.
    pub answer_bytes_max: usize,
    /// How many children in a row may be started by `reopen` without one batch being applied. Ten.
    pub restarts_max: u32,
    /// How long `reopen` waits before the second start in a row; doubled each time. 100 ms.
    pub backoff_initial: Duration,
    /// The longest such wait. Five seconds.
    pub backoff_max: Duration,
}

impl Default for ExecOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Some(Duration::from_secs(300)),
            answer_timeout: None,
            exit_timeout: Duration::from_secs(60),
            answer_bytes_max: 64 << 10,
            restarts_max: 10,
            backoff_initial: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

impl ExecOptions {
    /// Sets [`handshake_timeout`](Self::handshake_timeout).
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets [`answer_timeout`](Self::answer_timeout).
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Sets [`exit_timeout`](Self::exit_timeout).
    #[must_use]
    pub fn with_exit_timeout(mut self, timeout: Duration) -> Self {
        self.exit_timeout = timeout;
        self
    }

    /// Sets [`answer_bytes_max`](Self::answer_bytes_max).
    #[must_use]
    pub fn with_answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Sets [`restarts_max`](Self::restarts_max).
    #[must_use]
    pub fn with_restarts_max(mut self, restarts: u32) -> Self {
        self.restarts_max = restarts;
        self
    }

    /// Sets [`backoff_initial`](Self::backoff_initial) and [`backoff_max`](Self::backoff_max).
    #[must_use]
    pub fn with_backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.backoff_initial = initial;
        self.backoff_max = max;
        self
    }
}

/// Replays into a child process.
///
/// On Unix the command is run by `sh -c`, in a process group of its own: quoting, redirection and pipelines mean what they mean
/// in a shell, a ctrl-C in the terminal reaches the follower and not the child, and killing the child takes with it what it
/// started. (On other systems: `cmd /C`.) When the follower itself is killed, the child sees the end of its input.
#[derive(Debug)]
pub struct ExecTarget {
    name: String,
    command: String,
    options: ExecOptions,
    child: Option<Child>,
    position: Option<Position>,
    /// Starts in a row without a batch applied, the running one included.
    starts: u32,
}

impl ExecTarget {
    /// Starts the child and waits for its position.
    ///
    /// # Errors
    /// [`Error::Open`] if it can't be started, [`Error::Gone`] if it ends or is silent too long, [`Error::Protocol`] if its first
    /// line isn't a position.
    pub fn spawn(command: impl Into<String>, options: ExecOptions) -> Result<Self> {
        let command = command.into();
        let mut target =
            Self { name: name_of(&command), command, options, child: None, position: None, starts: 0 };
        target.start()?;
        Ok(target)
    }

    /// The child's process id, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn start(&mut self) -> Result<()> {
        self.starts = self.starts.saturating_add(1);
        let mut child = Child::spawn(&self.command, &self.name, self.options.answer_bytes_max)
            .map_err(|source| Error::Open { target: self.name.clone(), source: Box::new(source) })?;
        let deadline = deadline(self.options.handshake_timeout);
        let event = next_event(&child, deadline);
        let line = match event {
            Some(Event::Line(line)) => line,
            Some(Event::TooLong) => {
                let limit = self.options.answer_bytes_max;
                return Err(self.violated(child, Violation::TooLong { limit }));
            }
            Some(Event::End) => return Err(self.ended(child, "waiting for its position")),
            None => return Err(self.silent(child, "waiting for its position")),
        };
        let Ok(handshake) = serde_json::from_slice::<Handshake>(&line) else {
            return Err(self.violated(child, Violation::Handshake));
        };
        let Ok(position) = handshake.position() else {
            return Err(self.violated(child, Violation::Handshake));
        };
        child.answered();
        self.position = position;
        self.child = Some(child);
        Ok(())
    }

    /// Writes the batch and waits for the answer.
    fn exchange(&mut self, batch: &[ReplayEntry], position: &Position) -> Result<Answer> {
        const ATTEMPT: &str = "waiting for an answer";
        let Some(mut child) = self.child.take() else {
            return Err(self.not_running("applying a batch"));
        };
        // Nothing may have come since the last answer.
        match child.try_event() {
            Some(Event::End) => return Err(self.ended(child, "applying a batch")),
            Some(_) => return Err(self.violated(child, Violation::Unasked)),
            None => {}
        }
        let Some(stdin) = child.take_stdin() else {
            return Err(self.not_running("applying a batch"));
        };
        let asked = AtomicBool::new(false);
        let deadline = deadline(self.options.answer_timeout);
        // The writer gets a thread of its own: a child that prints before it has read everything would otherwise wait for us
        // while we wait for it. When the child dies or is killed, the writer gets an error and ends.
        let (event, stdin) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut stdin = stdin;
                let written = write_batch(&mut stdin, batch, position, &asked);
                (stdin, written)
            });
            let event = next_event(&child, deadline);
            let early = !asked.load(Ordering::Acquire);
            match event {
                Some(Event::Line(_)) if !early => {}
                Some(Event::End) => child.settle(),
                _ => child.kill(),
            }
            let stdin = match writer.join() {
                Ok((stdin, Ok(()))) => Some(stdin),
                Ok((_, Err(_))) | Err(_) => None,
            };
            (event.map(|event| (event, early)), stdin)
        });
        let line = match event {
            Some((Event::End, _)) => return Err(self.ended(child, ATTEMPT)),
            Some((_, true)) => return Err(self.violated(child, Violation::Unasked)),
            Some((Event::TooLong, _)) => {
                let limit = self.options.answer_bytes_max;
                return Err(self.violated(child, Violation::TooLong { limit }));
            }
            Some((Event::Line(line), _)) => line,
            None => return Err(self.silent(child, ATTEMPT)),
        };
        let Ok(answer) = serde_json::from_slice::<Answer>(&line) else {
            return Err(self.violated(child, Violation::Answer));
        };
        if let Some(stdin) = stdin {
            child.return_stdin(stdin);
            child.answered();
            self.child = Some(child);
            Ok(answer)
        } else {
            // It answered and then closed its input: the answer may be right, but it is not usable any more.
            Err(self.ended(child, "writing a batch"))
        }
    }

    /// Kills a child that broke the protocol.
    fn violated(&self, mut child: Child, violation: Violation) -> Error {
        child.kill();
        Error::Protocol { target: self.name.clone(), violation }
    }

    /// Says how a child ended that should not have.
    fn ended(&self, mut child: Child, attempt: &'static str) -> Error {
        Error::Gone { target: self.name.clone(), attempt, source: Box::new(child.last_words()) }
    }

    /// Kills a child that took too long.
    fn silent(&self, mut child: Child, attempt: &'static str) -> Error {
        child.kill();
        let source: Cause = Box::new(Reason::new("it took longer than it may, and was killed"));
        Error::Gone { target: self.name.clone(), attempt, source }
    }

    fn not_running(&self, attempt: &'static str) -> Error {
        let source: Cause = Box::new(Reason::new("it isn't running: reopen it"));
        Error::Gone { target: self.name.clone(), attempt, source }
    }
}

impl ReplayTarget for ExecTarget {
    fn name(&self) -> &str {
        &self.name
    }

    /// What a child that keeps the obligations gives.
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn position(&mut self) -> Result<Option<Position>> {
        if self.child.is_some() {
            Ok(self.position)
        } else {
            Err(self.not_running("asking for its position"))
        }
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        if self.child.is_none() {
            return Err(self.not_running("applying a batch"));
        }
        if check_batch(&self.name, self.position.as_ref(), batch, &position)? == BatchStep::Nothing {
            return Ok(());
        }
        let broken = |target: &mut Self, violation| {
            target.child = None;
            Err(Error::Protocol { target: target.name.clone(), violation })
        };
        match self.exchange(batch, &position)? {
            Answer::Applied(found) if found == position.sequence => {
                self.position = Some(position);
                self.starts = 1;
                Ok(())
            }
            Answer::Applied(found) => {
                broken(self, Violation::WrongSequence { expected: position.sequence, found })
            }
            Answer::Error(refusal) => {
                let last = position.sequence;
                let first = batch.first().map_or(last, |entry| entry.sequence);
                if (first..=last).contains(&refusal.sequence) {
                    Err(Error::Poison {
                        target: self.name.clone(),
                        sequence: refusal.sequence,
                        source: Box::new(Reason::new(printable(&refusal.message))),
                    })
                } else {
                    broken(self, Violation::ErrorOutside { first, last, found: refusal.sequence })
                }
            }
        }
    }

    fn reopen(&mut self) -> Result<()> {
        self.child = None;
        if self.starts > self.options.restarts_max {
            let source: Cause = Box::new(Reason::new(format!(
                "{} starts in a row without a batch applied are enough",
                self.starts
            )));
            return Err(Error::Gone { target: self.name.clone(), attempt: "starting it again", source });
        }
        if let Some(doublings) = self.starts.checked_sub(2) {
            let wait = self.options.backoff_initial.saturating_mul(1 << doublings.min(20));
            std::thread::sleep(wait.min(self.options.backoff_max));
        }
        self.start()
    }

    fn close(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        drop(child.take_stdin());
        let deadline = Instant::now().checked_add(self.options.exit_timeout);
        match next_event(&child, deadline) {
            Some(Event::End) => {}
            Some(_) => return Err(self.violated(child, Violation::AfterEnd)),
            None => return Err(self.silent(child, "waiting for its end")),
        }
        match child.wait(deadline) {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.ended(child, "finishing")),
            None => Err(self.silent(child, "waiting for its end")),
        }
    }
}

fn write_batch(
    stdin: &mut std::process::ChildStdin,
    batch: &[ReplayEntry],
    position: &Position,
    asked: &AtomicBool,
) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, stdin);
    let mut line = String::new();
    for entry in batch {
        line.clear();
        message::write_entry_line(entry, &mut line);
        out.write_all(line.as_bytes())?;
    }
    // Everything before the commit line is on its way before an answer counts as one.
    out.flush()?;
    asked.store(true, Ordering::Release);
    line.clear();
    write_commit_line(position, &mut line);
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// The next event; `None` when the deadline passes first.
fn next_event(child: &Child, deadline: Option<Instant>) -> Option<Event> {
    let events = child.events();
    match deadline {
        // A reader that is gone has said everything.
        None => Some(events.recv().unwrap_or(Event::End)),
        Some(deadline) => match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => Some(Event::End),
            Err(RecvTimeoutError::Timeout) => None,
        },
    }
}

/// The command's first word that isn't an assignment. Never more: arguments and variables may hold credentials.
fn name_of(command: &str) -> String {
    for word in words(command) {
        if !word.contains('=') && word != "exec" {
            return format!("exec:{word}");
        }
        if word.contains("$(") || word.contains('`') {
            // Where this assignment ends only a shell can tell.
            break;
        }
    }
    "exec:sh".to_owned()
}

/// The words of a command, as far as quotes and backslashes tell.
fn words(command: &str) -> impl Iterator<Item = &str> {
    let (mut quote, mut escaped) = (None, false);
    let between = move |c: char| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None | Some('"') if c == '\\' => escaped = true,
            _ => {}
        }
        quote.is_none() && c.is_whitespace() && !escaped
    };
    command.split(between).filter(|word| !word.is_empty())
}

/// Without control characters: a child's words end up on a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
