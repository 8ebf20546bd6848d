//! A running child: its pipes, the threads that read them, and its end.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Reason;

/// The most bytes of a line of standard error that are logged; the rest of the line is dropped.
const STDERR_LINE_BYTES_MAX: usize = 4096;

/// How long the end of a child's output and its death may lie apart until we stop waiting for either.
const GRACE: Duration = Duration::from_secs(2);

/// What the child did on its standard output.
#[derive(Debug)]
pub(super) enum Event {
    /// It printed a line, without its newline.
    Line(Vec<u8>),
    /// It printed more than a line may have.
    TooLong,
    /// It closed its output, as it does when it dies.
    End,
}

#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    /// The last line of standard error, and whether that has ended.
    last_line: Arc<Mutex<LastLine>>,
    reaped: bool,
    /// How it ended, once that has been found out.
    end: Option<End>,
}

/// What became of a child whose output ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Exited(ExitStatus),
    /// It closed its output and lived on.
    ClosedOutput,
}

#[derive(Debug, Default)]
struct LastLine {
    text: String,
    ended: bool,
}

impl Child {
    /// Starts the command with three pipes.
    pub(super) fn spawn(command: &str, target: &str, line_bytes_max: usize) -> io::Result<Self> {
        let mut process =
            shell(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdin = process.stdin.take();
        // One line may wait and one may be being handed over; beyond that the child waits.
        let (sender, events) = sync_channel(1);
        let last_line = Arc::new(Mutex::new(LastLine::default()));
        if let Some(stdout) = process.stdout.take() {
            spawn_thread("graphstream-exec-out", move || read_lines(stdout, &sender, line_bytes_max))?;
        }
        if let Some(stderr) = process.stderr.take() {
            let target = target.to_owned();
            let last_line = Arc::clone(&last_line);
            spawn_thread("graphstream-exec-err", move || log_lines(stderr, &target, &last_line))?;
        }
        Ok(Self { process, stdin, events, last_line, reaped: false, end: None })
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// What came without being waited for.
    pub(super) fn try_event(&self) -> Option<Event> {
        match self.events.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Event::End),
        }
    }

    pub(super) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    pub(super) fn return_stdin(&mut self, stdin: ChildStdin) {
        self.stdin = Some(stdin);
    }

    /// Forgets what standard error said before: it belongs to work that went well.
    pub(super) fn answered(&mut self) {
        self.last_line.lock().unwrap_or_else(PoisonError::into_inner).text.clear();
    }

    /// Waits for the child's end; `None` when the deadline passes first.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Option<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                self.reaped = true;
                return Some(status);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Finds out how a child ended whose output did, and kills what is left of it. It gets a moment to exit by itself: its
    /// status says more than our signal.
    pub(super) fn settle(&mut self) {
        if self.end.is_none() {
            let status = self.wait(Instant::now().checked_add(GRACE));
            self.end = Some(status.map_or(End::ClosedOutput, End::Exited));
        }
        self.kill();
    }

    /// How it ended, and what it said last, after its output has ended.
    pub(super) fn last_words(&mut self) -> Reason {
        self.settle();
        let end = match self.end {
            Some(End::Exited(status)) => format!("the child ended ({status})"),
            Some(End::ClosedOutput) | None => "the child closed its output".to_owned(),
        };
        let deadline = Instant::now() + GRACE;
        // Standard error may still be on its way through the pipe.
        loop {
            let last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
            if last.ended || Instant::now() >= deadline {
                let said = if last.text.is_empty() { String::new() } else { format!(": {}", last.text) };
                return Reason::new(format!("{end}{said}"));
            }
            drop(last);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills the child and everything in its process group, and reaps it.
    pub(super) fn kill(&mut self) {
        self.stdin = None;
        #[cfg(unix)]
        {
            // What the shell started may outlive the shell, so this comes even when the child itself has been reaped. An id
            // is not given out again while a process of its group lives; when none lives, the call finds nobody.
            if let Some(group) =
                i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
        if !self.reaped {
            let _ = self.process.kill();
            self.reaped = self.process.wait().is_ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn shell(command: &str) -> Command {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).process_group(0);
        shell
    }
    #[cfg(not(unix))]
    {
        let mut shell = Command::new("cmd");
        shell.arg("/C").arg(command);
        shell
    }
}

fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Never joined: it ends with the pipe, which something the child left behind might hold open.
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Hands over lines until the pipe or the receiver is gone. Never holds more than `line_bytes_max`.
fn read_lines(stdout: impl Read, events: &SyncSender<Event>, line_bytes_max: usize) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let limit = line_bytes_max as u64 + 1;
        let read = (&mut stdout).take(limit).read_until(b'\n', &mut line);
        let event = match read {
            // A line without its newline was cut short by the child's death.
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                Event::Line(line)
            }
            Ok(_) if line.len() as u64 >= limit => Event::TooLong,
            Ok(_) | Err(_) => Event::End,
        };
        let last = !matches!(event, Event::Line(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// Logs lines of standard error, long ones cut, and keeps the last for the message about the child's end.
fn log_lines(stderr: impl Read, target: &str, last_line: &Mutex<LastLine>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut stderr).take(STDERR_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            break;
        }
        let whole = line.last() == Some(&b'\n');
        let text = super::printable(String::from_utf8_lossy(&line).trim_end());
        if !text.is_empty() {
            tracing::info!(target: "graphstream::exec", child = target, "{text}");
            last_line.lock().unwrap_or_else(PoisonError::into_inner).text = text;
        }
        if !whole && skip_line(&mut stderr).is_err() {
            break;
        }
    }
    last_line.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
}

/// Drops bytes up to and including the next newline.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(());
        }
        if let Some(at) = available.iter().position(|&byte| byte == b'\n') {
            input.consume(at + 1);
            return Ok(());
        }
        let all = available.len();
        input.consume(all);
    }
}
