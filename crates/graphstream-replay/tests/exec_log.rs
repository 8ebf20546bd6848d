//! What a child writes to its standard error is logged, and can't do harm there.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use graphstream_replay::{ExecOptions, ExecTarget, ReplayTarget};
use journal::{apply, journal};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the lines of children.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    child: String,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "child" => self.child = format!("{value:?}"),
            _ => {}
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "graphstream::exec"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn standard_error_is_logged_line_by_line_cut_and_without_control_characters() {
    let logged = Lines::default();
    tracing::subscriber::set_global_default(logged.clone()).unwrap();
    let script = r#"echo '{"position":null}'
        echo 'opening the database' >&2
        printf '\033[31mred\007\n\n\377\376 is no text\n' >&2
        head -c 100000 /dev/zero | tr '\0' 'y' >&2; echo >&2
        read e1; read e2; read commit; echo '{"applied":2}'
        cat >/dev/null
        printf 'no newline at the end' >&2"#;
    let mut target = ExecTarget::spawn(script, ExecOptions::default()).unwrap();
    apply(&mut target, &journal(2)).unwrap();
    target.close().unwrap();
    // The log may be a moment behind the child's end; its last line ends the wait.
    let expected = [
        "opening the database".to_owned(),
        "\u{fffd}[31mred\u{fffd}".to_owned(),
        "\u{fffd}\u{fffd} is no text".to_owned(),
        "y".repeat(4096),
        "no newline at the end".to_owned(),
    ];
    let complete = || logged.0.lock().unwrap().len() >= expected.len();
    let begin = std::time::Instant::now();
    while !complete() && begin.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let lines = std::mem::take(&mut *logged.0.lock().unwrap());
    let messages: Vec<_> = lines.iter().map(|line| line.message.clone()).collect();
    assert_eq!(messages, expected);
    assert!(lines.iter().all(|line| line.child == "\"exec:echo\""), "{lines:?}");
}
