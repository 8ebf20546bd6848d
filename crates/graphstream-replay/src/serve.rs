//! The child's side of the [`exec`](crate::ExecTarget) protocol, around any target.

use std::io::{BufRead, Read, Write};

use graphstream_format::{ChainHash, Position};
use graphstream_proto::json::{LINE_BYTES_MAX, parse_entry_line};

use crate::exec::{parse_commit_line, write_answer, write_error, write_handshake};
use crate::{Error, ErrorClass, Reason, ReplayEntry, ReplayTarget, Result};

/// Makes a target the child of an [`ExecTarget`](crate::ExecTarget): prints its position, applies batches from `input`, answers on
/// `output`, until the input ends. Then the target is closed.
///
/// Entries that the target refuses are answered; whatever else goes wrong ends the loop, and with it the child. A batch is held in
/// memory until its commit line: its size is the follower's choice.
///
/// # Errors
/// [`Error::Gone`] when the input or the output breaks or isn't the protocol, and what the target reports as such.
pub fn serve(target: &mut dyn ReplayTarget, mut input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut answer = String::new();
    write_handshake(target.position()?.as_ref(), &mut answer);
    let mut batch = Vec::new();
    let mut line = String::new();
    loop {
        send(target.name(), &mut output, &answer)?;
        answer.clear();
        let position = loop {
            line.clear();
            let broken = |source: crate::Cause| Error::Gone {
                target: target.name().to_owned(),
                attempt: "reading a batch",
                source,
            };
            let limit = LINE_BYTES_MAX as u64 + 1;
            let read = (&mut input).take(limit).read_line(&mut line).map_err(|error| broken(error.into()))?;
            if !line.ends_with('\n') {
                if read as u64 == limit {
                    let words = format!("a line is longer than {LINE_BYTES_MAX} bytes");
                    return Err(broken(Reason::new(words).into()));
                }
                // The end between two batches is the end; within one, or within a line, the follower died: nothing of it is applied.
                return target.close();
            }
            if let Some(position) = parse_commit_line(&line) {
                break position;
            }
            batch.push(entry_of(target.name(), &line)?);
        };
        match target.apply(&batch, position) {
            Ok(()) => write_answer(position.sequence, &mut answer),
            Err(error) => match refusal(&error, &batch, &position) {
                Some((sequence, message)) => write_error(sequence, &message, &mut answer),
                None => return Err(error),
            },
        }
        batch.clear();
    }
}

/// The sequence and the words of an error that can be answered.
fn refusal(error: &Error, batch: &[ReplayEntry], position: &Position) -> Option<(u64, String)> {
    match error.class() {
        ErrorClass::Poison => Some((error.sequence()?, error.reason().unwrap_or_else(|| error.to_string()))),
        ErrorClass::Position => {
            let first = batch.first().map_or(position.sequence, |entry| entry.sequence);
            Some((first, error.to_string()))
        }
        _ => None,
    }
}

fn entry_of(target: &str, line: &str) -> Result<ReplayEntry> {
    let unusable = |source: crate::Cause| Error::Gone {
        target: target.to_owned(),
        attempt: "reading an entry line",
        source,
    };
    let line = parse_entry_line(line.trim_end_matches('\n')).map_err(|error| unusable(error.into()))?;
    let chain_hash: ChainHash = line
        .chain_hash
        .parse()
        .map_err(|_| unusable(Reason::new("a chain hash has 64 hexadecimal digits").into()))?;
    let entry = line.entry.into_owned();
    Ok(ReplayEntry { sequence: line.sequence, commit_ms: line.commit_ms, chain_hash, entry })
}

fn send(target: &str, output: &mut impl Write, text: &str) -> Result<()> {
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|source| Error::Gone {
        target: target.to_owned(),
        attempt: "answering",
        source: source.into(),
    })
}
