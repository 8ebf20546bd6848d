//! Steps one after another, and the table that says how each went.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How a step that did not fail went.
pub(crate) enum Outcome {
    /// It did all it should.
    Done,
    /// It, or a part of it, was skipped; the notice says why, in lines.
    Skipped(String),
}

/// One step.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce() -> Result<Outcome>>,
}

impl Step {
    pub(crate) fn new(name: impl Into<String>, run: impl FnOnce() -> Result<Outcome> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// A step that is never skipped.
    pub(crate) fn whole(name: impl Into<String>, run: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self::new(name, || run().map(|()| Outcome::Done))
    }
}

/// Runs the steps up to the first that fails, then prints the table and every notice again.
pub(crate) fn run_steps(steps: Vec<Step>) -> Result<()> {
    let mut rows = Vec::new();
    let mut notices = Vec::new();
    let mut failure = None;
    let start = Instant::now();
    for Step { name, run } in steps {
        if failure.is_some() {
            rows.push(Row { name, result: "not run", took: None });
            continue;
        }
        eprintln!("\n=== {name}");
        let start = Instant::now();
        let outcome = run();
        let took = Some(start.elapsed());
        let result = match outcome {
            Ok(Outcome::Done) => "ok",
            Ok(Outcome::Skipped(notice)) => {
                print_notice(&notice);
                notices.push(notice);
                "SKIPPED"
            }
            Err(error) => {
                failure = Some((name.clone(), error));
                "FAILED"
            }
        };
        rows.push(Row { name, result, took });
    }
    eprint!("\n{}", table(&rows, start.elapsed()));
    notices.iter().for_each(|notice| print_notice(notice));
    match failure {
        Some((name, error)) => bail!(error.context(format!("the step `{name}` failed"))),
        None => Ok(()),
    }
}

struct Row {
    name: String,
    result: &'static str,
    took: Option<Duration>,
}

fn table(rows: &[Row], total: Duration) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default().max("total".len());
    let mut table = format!("{:width$}  {:8}  {:>8}\n", "step", "result", "seconds");
    for Row { name, result, took } in rows {
        let took = took.map(|took| format!("{:.1}", took.as_secs_f64())).unwrap_or_default();
        table.push_str(&format!("{name:width$}  {result:8}  {took:>8}\n"));
    }
    table.push_str(&format!("{:width$}  {:8}  {:>8.1}\n", "total", "", total.as_secs_f64()));
    table
}

/// Prints what nobody should overlook.
pub(crate) fn print_notice(notice: &str) {
    let width = notice.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let border = "!".repeat(width + 6);
    eprintln!("\n{border}");
    for line in notice.lines() {
        eprintln!("!! {line:width$} !!");
    }
    eprintln!("{border}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn the_first_failure_stops_and_is_the_result() {
        let ran = Rc::new(Cell::new(0));
        let (first, last) = (Rc::clone(&ran), Rc::clone(&ran));
        let error = run_steps(vec![
            Step::whole("a", move || {
                first.set(first.get() + 1);
                Ok(())
            }),
            Step::new("b", || Ok(Outcome::Skipped("no b here".to_owned()))),
            Step::whole("c", || bail!("broken")),
            Step::whole("d", move || {
                last.set(last.get() + 10);
                Ok(())
            }),
        ])
        .unwrap_err();
        assert_eq!(ran.get(), 1);
        assert_eq!(format!("{error:#}"), "the step `c` failed: broken");
    }

    #[test]
    fn the_table_shows_every_step() {
        let row = |name: &str, result, took| Row { name: name.to_owned(), result, took };
        let rows = [
            row("fmt", "ok", Some(Duration::from_millis(1250))),
            row("clippy, all features", "FAILED", Some(Duration::from_secs(100))),
            row("doc", "not run", None),
        ];
        let expected = "step                  result     seconds\n\
                        fmt                   ok             1.2\n\
                        clippy, all features  FAILED       100.0\n\
                        doc                   not run           \n\
                        total                              101.2\n";
        assert_eq!(table(&rows, Duration::from_millis(101_250)), expected);
    }
}
