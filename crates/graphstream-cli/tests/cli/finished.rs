//! What a call left: its outputs and its exit code.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::Value;

/// A call that has ended.
#[derive(Debug)]
pub struct Finished {
    pub args: String,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    /// The exit code; none after a signal that ended the process.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended the process.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "graphstream {}\n--- stdout\n{}\n--- stderr\n{}",
            self.args,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// Expects every text in stderr.
    #[track_caller]
    pub fn expect_stderr<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "graphstream {}: no {text:?} in\n{}", self.args, self.stderr);
        }
        self
    }

    /// Expects that nothing was printed as a result.
    #[track_caller]
    pub fn expect_no_stdout(self) -> Self {
        assert!(
            self.stdout.is_empty(),
            "graphstream {} printed\n{}",
            self.args,
            String::from_utf8_lossy(&self.stdout)
        );
        self
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// Stdout as one JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("graphstream {}: {error} in {line}", self.args),
        };
        self.text().lines().map(parse).collect()
    }

    /// Stdout as the one JSON value that it is.
    #[track_caller]
    pub fn json(&self) -> Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1, "graphstream {} printed {lines:?}", self.args);
        lines.remove(0)
    }

    /// The object under `error` in the last line of stderr.
    #[track_caller]
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        match serde_json::from_str::<Value>(line) {
            Ok(mut value) if value["error"].is_object() => value["error"].take(),
            other => panic!("graphstream {}: {other:?} from {:?}", self.args, self.stderr),
        }
    }
}
