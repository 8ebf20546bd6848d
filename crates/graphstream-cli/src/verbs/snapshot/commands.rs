//! The commands that make a database's writers stand still, and let them go on.

use std::process::{Command, Stdio};

use graphstream::replication::{Quiesce, QuiesceError};

/// The two commands.
pub(crate) struct Commands {
    pub(crate) quiesce: String,
    pub(crate) resume: String,
}

impl Quiesce for Commands {
    fn quiesce(&mut self) -> Result<(), QuiesceError> {
        call(&self.quiesce)
    }

    fn resume(&mut self) -> Result<(), QuiesceError> {
        call(&self.resume)
    }
}

/// Runs a command of the shell. What it prints goes nowhere; its errors are for whoever reads ours.
fn call(command: &str) -> Result<(), QuiesceError> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null());
    let status = shell.status()?;
    // The command itself may hold credentials.
    if status.success() { Ok(()) } else { Err(format!("the command ended with {status}").into()) }
}
