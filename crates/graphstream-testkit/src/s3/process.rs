//! A server in a process of its own: for what measures the client's memory, and for clients in other processes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{BUCKET, Conduct, S3Server, url};

/// Tells a test process that it is to be a server.
const ENVIRONMENT: &str = "GRAPHSTREAM_TEST_S3_SERVER";
/// What comes before the address.
const READY: &str = "s3 server at ";

/// Starts a server, prints `s3 server at http://127.0.0.1:port`, and runs it until stdin ends.
///
/// # Errors
/// As [`S3Server::start`], and what printing fails with.
pub fn serve(conduct: Conduct) -> io::Result<()> {
    let server = S3Server::start(conduct)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{READY}{}", server.endpoint())?;
    stdout.flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// What the test that [`S3Process::start`] names calls, or a program's `main`: runs the server in the process that was started for it,
/// and is nothing otherwise. Whether it ran.
///
/// # Errors
/// As [`serve`].
pub fn serve_if_asked() -> io::Result<bool> {
    let Ok(name) = std::env::var(ENVIRONMENT) else { return Ok(false) };
    match Conduct::ALL.into_iter().find(|conduct| conduct.name() == name) {
        Some(conduct) => serve(conduct).map(|()| true),
        None => Ok(false),
    }
}

/// A server in a process of its own, which ends when this is dropped, or with this process.
#[derive(Debug)]
pub struct S3Process {
    child: Child,
    _stdin: Option<ChildStdin>,
    endpoint: String,
}

impl S3Process {
    /// Starts this test binary again, with the one test `test`, which calls [`serve_if_asked`].
    ///
    /// # Errors
    /// The process can't be started or says no address.
    pub fn start(test: &str, conduct: Conduct) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", test, "--nocapture"])
            .env(ENVIRONMENT, conduct.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let lines = child.stdout.take().map(BufReader::new);
        for line in lines.into_iter().flat_map(BufRead::lines) {
            // The test harness may have begun a line.
            if let Some((_, endpoint)) = line?.split_once(READY) {
                return Ok(Self { child, _stdin: stdin, endpoint: endpoint.to_owned() });
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(io::Error::other("the process ended without an address: does the test call serve_if_asked?"))
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The URL of a store in its bucket, as [`S3Server::url`].
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        url(&self.endpoint, BUCKET, prefix)
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for S3Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
