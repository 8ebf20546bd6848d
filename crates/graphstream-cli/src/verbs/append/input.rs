//! The lines of `--input`, parsed and encoded on a thread of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use graphstream::proto::json::{LINE_BYTES_MAX, parse_line};
use graphstream::replay::guard::Guard;

use super::admission::admit;
use crate::failure::{Failure, Kind};
use crate::lines::{LineError, Lines};
use crate::times;

/// Entries that are read ahead. A line may be long, so there are few.
const AHEAD: usize = 256;

/// What the input gives.
pub(super) enum Item {
    /// An encoded entry.
    Entry { line: u64, payload: Vec<u8>, timestamp_ms: i64 },
    /// A line that is no entry, or a stream that fails: the last item.
    Bad(Failure),
    /// The end of the input.
    End,
}

/// The running input.
pub(super) struct Input {
    pub(super) items: Receiver<Item>,
    /// The length of the file, if it is one.
    pub(super) bytes_total: Option<u64>,
    bytes_read: Arc<AtomicU64>,
}

impl Input {
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

/// An input that was opened.
pub(super) struct Source {
    read: Box<dyn BufRead + Send>,
    bytes_total: Option<u64>,
}

/// Opens the file, or standard input for `-`.
pub(super) fn open(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            super::tell(
                "reading JSON lines from the terminal, such as {\"query\": \"CREATE (:Person {name: 'Ada'})\"}; ctrl-D ends the input",
            );
        }
        let read = BufReader::with_capacity(256 * 1024, std::io::stdin());
        return Ok(Source { read: Box::new(read), bytes_total: None });
    }
    let opening = |error: &std::io::Error| {
        Failure::opening(path, Kind::Input, error).while_doing("the input can't be read")
    };
    let file = File::open(path).map_err(|error| opening(&error))?;
    let meta = file.metadata().map_err(|error| opening(&error))?;
    if meta.is_dir() {
        return Err(
            Failure::new(Kind::Input, format!("the input {} is a directory", path.display())).file(path)
        );
    }
    let bytes_total = meta.is_file().then_some(meta.len());
    Ok(Source { read: Box::new(BufReader::with_capacity(256 * 1024, file)), bytes_total })
}

/// Starts reading; the guard looks at each entry.
pub(super) fn start(source: Source, guard: Option<Guard>) -> Result<Input, Failure> {
    let Source { read, bytes_total } = source;
    let (sender, items) = sync_channel(AHEAD);
    let bytes_read = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&bytes_read);
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            // A receiver that has gone wants nothing more.
            let _ = read_all(read, guard.as_ref(), &sender, &counter);
        })
        .map_err(|error| {
            Failure::new(Kind::Internal, "the input's thread can't be started").because(&error)
        })?;
    Ok(Input { items, bytes_total, bytes_read })
}

fn read_all(
    read: Box<dyn BufRead + Send>,
    guard: Option<&Guard>,
    items: &SyncSender<Item>,
    bytes_read: &AtomicU64,
) -> Result<(), std::sync::mpsc::SendError<Item>> {
    let mut lines = Lines::new(read, LINE_BYTES_MAX);
    let mut line = Vec::new();
    loop {
        match lines.next(&mut line) {
            Ok(true) => {}
            Ok(false) => return items.send(Item::End),
            Err(error) => return items.send(Item::Bad(unreadable(lines.number(), &error))),
        }
        bytes_read.store(lines.bytes_read(), Ordering::Relaxed);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match encode(guard, lines.number(), &line) {
            Ok(item) => items.send(item)?,
            Err(failure) => return items.send(Item::Bad(failure)),
        }
    }
}

fn unreadable(number: u64, error: &LineError) -> Failure {
    match error {
        LineError::TooLong => {
            let failure = Failure::new(Kind::Input, format!("it is longer than {LINE_BYTES_MAX} bytes"));
            bad_line(number, failure)
        }
        LineError::Io(error) => {
            Failure::new(Kind::Input, format!("the input can't be read at line {number}")).because(error)
        }
    }
}

fn encode(guard: Option<&Guard>, number: u64, line: &[u8]) -> Result<Item, Failure> {
    let text = std::str::from_utf8(line).map_err(|error| {
        bad_line(
            number,
            Failure::new(Kind::Input, format!("it is not UTF-8 from byte {}", error.valid_up_to())),
        )
    })?;
    let bad = |error| bad_line(number, Failure::of(Kind::Input, &error));
    let entry = admit(guard, number, parse_line(text, times::now_ms()).map_err(bad)?)?;
    let payload = entry.encode().map_err(bad)?;
    Ok(Item::Entry { line: number, payload, timestamp_ms: entry.timestamp_ms })
}

/// A failure that names the line.
pub(super) fn bad_line(number: u64, failure: Failure) -> Failure {
    failure
        .while_doing(format_args!("line {number} is no entry"))
        .place(|place| place.line = Some(number))
        .hint(format!(
            "mend line {number} and append the rest from there: everything before it is acknowledged"
        ))
}
