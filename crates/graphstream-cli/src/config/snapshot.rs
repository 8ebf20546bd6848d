//! `[database.snapshot]`: when a database is copied into its store, from where, and how its writers stand still meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use graphstream::replication::SnapshotSchedule;
use serde::Deserialize;
use toml::Spanned;

use super::file::{Located, Text, Wrong};
use super::{Row, Setting, row, shown};
use crate::engines::{self, ExecArgs, Placed};
use crate::failure::Failure;
use crate::times;
use crate::verbs::follow::Target;
use crate::verbs::snapshot::Commands;

/// How a database is copied on a schedule.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotSettings {
    /// What is copied.
    source: Setting<Target>,
    exec: Option<(Setting<PathBuf>, Setting<String>)>,
    interval: Option<Setting<Duration>>,
    entries: Option<Setting<u64>>,
    /// What makes the writers stand still, and what lets them go on.
    commands: Option<(Setting<String>, Setting<String>)>,
    staging: Option<Setting<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSnapshot {
    source: Spanned<String>,
    path: Text,
    engine: Text,
    interval: Text,
    entries: Option<Spanned<u64>>,
    quiesce: Text,
    resume: Text,
    staging: Text,
}

impl RawSnapshot {
    /// Checks it; paths are relative to `base`.
    pub(super) fn check(self, located: &Located<'_>, base: &Path) -> Result<SnapshotSettings, Wrong> {
        let at = self.source.span().start;
        let wrong = |offset, message: &str| Wrong { offset, message: message.to_owned(), hint: None };
        let source = located.one(self.source, |text| {
            Ok(match Target::parse(text)? {
                Target::Stdout => return Err("standard output is no database".to_owned()),
                Target::Jsonl(path) => Target::Jsonl(base.join(path)),
                Target::Grafeo(path) => Target::Grafeo(base.join(path)),
                exec @ Target::Exec(_) => exec,
            })
        })?;
        let full = |what: &'static str| {
            move |text: &str| {
                if text.is_empty() { Err(format!("expected {what}")) } else { Ok(text.to_owned()) }
            }
        };
        let path = located
            .text(self.path, |text| full("the database of the command")(text).map(|it| base.join(it)))?;
        let engine = located.text(self.engine, full("what kind of database it is"))?;
        let exec = match (&source.value, path, engine) {
            (Target::Exec(_), Some(path), Some(engine)) => Some((path, engine)),
            (Target::Exec(_), ..) => {
                return Err(wrong(
                    at,
                    "an exec source takes `path`, where its database is, and `engine`, what kind that is",
                ));
            }
            (_, None, None) => None,
            _ => {
                return Err(wrong(
                    at,
                    "`path` and `engine` are for exec sources: the others name their path",
                ));
            }
        };
        let interval = located.text(self.interval, |text| match times::parse_duration(text)? {
            Duration::ZERO => Err("expected a time above 0".to_owned()),
            interval => Ok(interval),
        })?;
        if let Some(entries) = self.entries.as_ref().filter(|entries| *entries.get_ref() == 0) {
            return Err(wrong(entries.span().start, "expected a number of entries, at least 1"));
        }
        let entries = located.plain(self.entries);
        if interval.is_none() && entries.is_none() {
            return Err(wrong(at, "a schedule takes `interval`, `entries`, or both"));
        }
        let commands = match (
            located.text(self.quiesce, full("a command"))?,
            located.text(self.resume, full("a command"))?,
        ) {
            (Some(quiesce), Some(resume)) => Some((quiesce, resume)),
            (None, None) => None,
            _ => return Err(wrong(at, "`quiesce` and `resume` belong together: one of them is missing")),
        };
        let staging = located.text(self.staging, |text| full("a directory")(text).map(|it| base.join(it)))?;
        Ok(SnapshotSettings { source, exec, interval, entries, commands, staging })
    }
}

impl SnapshotSettings {
    pub(crate) fn schedule(&self) -> SnapshotSchedule {
        let mut schedule = SnapshotSchedule::default();
        schedule.interval = self.interval.as_ref().map(|interval| interval.value);
        schedule.entries = self.entries.as_ref().map(|entries| entries.value);
        schedule
    }

    /// Where the database is, and what opens it.
    pub(crate) fn placed(&self) -> Result<Option<Placed>, Failure> {
        let exec = match &self.exec {
            Some((path, engine)) => ExecArgs { path: Some(path.value.clone()), engine: engine.value.clone() },
            None => ExecArgs { path: None, engine: String::new() },
        };
        engines::of(&self.source.value, &exec)
    }

    pub(crate) fn commands(&self) -> Option<Commands> {
        let (quiesce, resume) = self.commands.as_ref()?;
        Some(Commands { quiesce: quiesce.value.clone(), resume: resume.value.clone() })
    }

    pub(crate) fn staging(&self) -> Option<&Path> {
        self.staging.as_ref().map(|staging| staging.value.as_path())
    }

    /// What is set, in the order of the file.
    pub(super) fn rows(&self, key: impl Fn(&str) -> String) -> Vec<Row> {
        // Arguments may hold credentials.
        let command =
            |text: &String| Some(format!("{} ...", text.split_whitespace().next().unwrap_or_default()));
        let path = |path: &PathBuf| Some(path.display().to_string());
        let mut rows = vec![row(key("snapshot.source"), &self.source, |source| Some(source.to_string()))];
        if let Some((at, engine)) = &self.exec {
            rows.push(row(key("snapshot.path"), at, path));
            rows.push(row(key("snapshot.engine"), engine, |engine| Some(engine.clone())));
        }
        rows.extend(self.interval.as_ref().map(|interval| row(key("snapshot.interval"), interval, shown)));
        let entries = |entries: &u64| Some(entries.to_string());
        rows.extend(self.entries.as_ref().map(|it| row(key("snapshot.entries"), it, entries)));
        if let Some((quiesce, resume)) = &self.commands {
            rows.push(row(key("snapshot.quiesce"), quiesce, command));
            rows.push(row(key("snapshot.resume"), resume, command));
        }
        rows.extend(self.staging.as_ref().map(|staging| row(key("snapshot.staging"), staging, path)));
        rows
    }
}
