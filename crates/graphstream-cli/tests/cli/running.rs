//! A call that runs: its standard input, what it has printed so far, signals.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::{DEADLINE, Finished};

/// The signals that tests send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Kill,
    Term,
    Int,
    Stop,
    Cont,
}

/// What a thread has read from an output so far.
#[derive(Default)]
struct Collected {
    state: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Collected {
    /// Reads to the end, or closes the stream after `lines_max` lines.
    fn from(stream: impl Read + Send + 'static, lines_max: usize) -> Arc<Self> {
        let this = Arc::new(Self::default());
        let collected = Arc::clone(&this);
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut lines = 0;
            loop {
                let buffer = stream.fill_buf().unwrap_or_default();
                lines += buffer.iter().filter(|&&byte| byte == b'\n').count();
                let (taken, ended) = (buffer.len(), buffer.is_empty() || lines >= lines_max);
                let mut state = collected.state.lock().unwrap();
                state.0.extend_from_slice(buffer);
                state.1 = ended;
                drop(state);
                collected.changed.notify_all();
                if ended {
                    return;
                }
                stream.consume(taken);
            }
        });
        this
    }

    /// Waits until `look` finds something in what was read, of which the second argument says whether it is all.
    fn wait<T>(&self, mut look: impl FnMut(&[u8], bool) -> Option<T>) -> Option<T> {
        let end = Instant::now() + DEADLINE;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(found) = look(&state.0, state.1) {
                return Some(found);
            }
            if state.1 {
                return None;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn so_far(&self) -> Vec<u8> {
        self.state.lock().unwrap().0.clone()
    }
}

/// A call that runs. Dropped, it is killed.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Collected>,
    stderr: Arc<Collected>,
    args: String,
}

impl Running {
    pub(super) fn start(mut command: Command, stdout: Option<File>, lines_max: usize) -> Self {
        let args = command.get_args().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let stdout = stdout.map_or_else(Stdio::piped, Stdio::from);
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let stdout: Box<dyn Read + Send> = match child.stdout.take() {
            Some(stdout) => Box::new(stdout),
            None => Box::new(std::io::empty()),
        };
        let stdout = Collected::from(stdout, lines_max);
        let stderr = Collected::from(child.stderr.take().unwrap(), usize::MAX);
        Self { stdin: child.stdin.take(), child, stdout, stderr, args }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard input, for a thread of the test's own.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    /// Hands `text` to standard input.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until `look` finds something in the whole lines of stdout so far.
    #[track_caller]
    pub fn wait_for_stdout<T>(&self, what: &str, look: impl FnMut(&[&str]) -> Option<T>) -> T {
        self.wait_for(&self.stdout, what, look)
    }

    /// Waits until `look` finds something in the whole lines of stderr so far.
    #[track_caller]
    pub fn wait_for_stderr<T>(&self, what: &str, look: impl FnMut(&[&str]) -> Option<T>) -> T {
        self.wait_for(&self.stderr, what, look)
    }

    #[track_caller]
    fn wait_for<T>(&self, output: &Collected, what: &str, mut look: impl FnMut(&[&str]) -> Option<T>) -> T {
        let found = output.wait(|bytes, _| {
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let text = String::from_utf8_lossy(&bytes[..whole]);
            look(&text.lines().collect::<Vec<_>>())
        });
        found.unwrap_or_else(|| {
            panic!("graphstream {}: waited for {what}, and got\n{}", self.args, self.said())
        })
    }

    fn said(&self) -> String {
        let text = |output: &Collected| String::from_utf8_lossy(&output.so_far()).into_owned();
        format!("--- stdout\n{}\n--- stderr\n{}", text(&self.stdout), text(&self.stderr))
    }

    /// Sends the signal. What it does is for [`Self::wait`] to see.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        let name = match signal {
            Signal::Kill => return self.child.kill().unwrap(),
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        };
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Sends the signal and waits for the end.
    #[track_caller]
    pub fn kill(mut self, signal: Signal) -> Finished {
        self.signal(signal);
        self.wait()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, after both outputs have ended. Standard input, if it is still open, stays open.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        for output in [&self.stdout, &self.stderr] {
            let ended = output.wait(|_, ended| ended.then_some(()));
            assert!(ended.is_some(), "graphstream {} does not end; so far\n{}", self.args, self.said());
        }
        Finished {
            args: self.args.clone(),
            status: self.child.wait().unwrap(),
            stdout: self.stdout.so_far(),
            stderr: String::from_utf8_lossy(&self.stderr.so_far()).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in most tests; after a failed assertion nothing may stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
