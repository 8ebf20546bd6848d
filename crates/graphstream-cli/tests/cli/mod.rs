//! The real binary as tests run it: arguments, standard input, exit code, both outputs; and as a daemon that is killed.
//!
//! ```text
//!  Graphstream ──run──▶ Finished   (all output, the exit code)
//!      └──spawn──▶ Running ──kill, wait──▶ Finished
//!  Place   a temporary directory with the names that every test uses
//! ```
//!
//! Nothing here waits for longer than [`DEADLINE`]: a hang is a failure that says what was waited for.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test environment ends the test"
)]

mod finished;
mod http;
mod keys;
mod place;
mod running;

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use self::finished::Finished;
pub use self::http::{get, http_address, json};
pub use self::keys::key;
pub use self::place::{Place, copy_dir, entries, entry};
pub use self::running::{Running, Signal};

/// How long anything may take before the test fails. Generous: machines that build at the same time are slow.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A call of the binary.
pub struct Graphstream {
    command: Command,
    stdin: Option<Vec<u8>>,
    stdout_lines_max: usize,
    stdout: Option<std::fs::File>,
}

impl Graphstream {
    /// `graphstream VERB`, without the environment variables that this process happens to have.
    pub fn new(verb: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphstream"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GRAPHSTREAM_") {
                command.env_remove(name);
            }
        }
        // An absent verb: usage errors and --help of the whole.
        if !verb.is_empty() {
            command.arg(verb);
        }
        Self { command, stdin: None, stdout_lines_max: usize::MAX, stdout: None }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What standard input gives, and then ends. Without it, standard input is empty; see also [`Self::spawn_with_stdin`].
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Whoever reads standard output goes away after that many lines (or some more), as `head` does.
    pub fn stdout_read_for(mut self, lines: usize) -> Self {
        self.stdout_lines_max = lines;
        self
    }

    /// Standard output goes to the file, and not to the test.
    pub fn stdout_to(mut self, file: std::fs::File) -> Self {
        self.stdout = Some(file);
        self
    }

    /// Runs it as a user who may not write what the test's user may not write: root may write everything, so it becomes
    /// nobody.
    pub fn without_privileges(mut self) -> Self {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;

        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            self.command.uid(65534).gid(65534);
        }
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Runs it to its end and expects code 0.
    pub fn ok(self) -> Finished {
        self.run().expect_code(0)
    }

    /// Starts it, to be killed or waited for.
    pub fn spawn(mut self) -> Running {
        let Some(bytes) = self.stdin.take() else {
            self.command.stdin(Stdio::null());
            return Running::start(self.command, self.stdout, self.stdout_lines_max);
        };
        let mut running = self.spawn_with_stdin();
        let mut stdin = running.take_stdin();
        std::thread::spawn(move || {
            // A process that has ended, at a bad line say, takes no more.
            let _ = stdin.write_all(&bytes);
        });
        running
    }

    /// Starts it with a standard input that stays open until [`Running::close_stdin`].
    pub fn spawn_with_stdin(mut self) -> Running {
        self.command.stdin(Stdio::piped());
        Running::start(self.command, self.stdout, self.stdout_lines_max)
    }
}

/// Waits until `look` finds something. For states of files, of which no event tells.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Seeded times to wait before a kill: where in its work a kill hits a process is what such tests vary.
pub fn moments(seed: u64, count: usize, max: Duration) -> impl Iterator<Item = Duration> {
    let max_nanos = u64::try_from(max.as_nanos()).unwrap();
    let mut state = seed;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_nanos(state % max_nanos)
    };
    std::iter::repeat_with(next).take(count)
}
