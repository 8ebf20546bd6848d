//! Skipping entries that a target refuses, when an operator has named them.
//!
//! ```text
//!   apply 5..=9 ─► refused at 7, which is named ─► apply 5..=6 ─► record ─► position 7, without it ─► apply 8..=9
//!                └► refused at 8, which isn't    ─► the follower stops, as ever
//! ```
//! An entry that is named and not refused is applied like any other. What is skipped is on disk, with the target's reason and the whole
//! entry, before the target's position passes it: whoever asks later why this database differs finds it, and can still apply it by hand.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::{Lineage, Position};
use graphstream_metrics::GraphstreamMetrics;
use graphstream_proto::json::{EntryLine, write_line};
use graphstream_replay::{Error, Guarantee, LineBatch, ReplayEntry, ReplayTarget, Result};

/// A target that passes over entries which an operator has named and the target inside refuses.
#[derive(Debug)]
pub struct SkippingTarget<T> {
    target: T,
    sequences: BTreeSet<u64>,
    record: PathBuf,
    metrics: Arc<GraphstreamMetrics>,
}

impl<T: ReplayTarget> SkippingTarget<T> {
    /// Skips the entries with these sequences, if `target` refuses them, and appends a line for each to the file `record`:
    /// `{"skipped_ms", "target", "reason", "entry"}`, the entry as `cat --json` prints it, with its lineage.
    pub fn new(
        target: T,
        sequences: impl IntoIterator<Item = u64>,
        record: impl Into<PathBuf>,
        metrics: Arc<GraphstreamMetrics>,
    ) -> Self {
        Self { target, sequences: sequences.into_iter().collect(), record: record.into(), metrics }
    }

    /// Applies what can be, up to the position: each turn passes one entry that is named.
    fn apply_around(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        let mut rest = batch;
        loop {
            let refusal = match self.target.apply(rest, position) {
                Err(error @ Error::Poison { .. }) => error,
                other => return other,
            };
            let Some(sequence) = refusal.sequence().filter(|sequence| self.sequences.contains(sequence))
            else {
                return Err(refusal);
            };
            let Some(index) = rest.iter().position(|entry| entry.sequence == sequence) else {
                return Err(refusal);
            };
            let (before, from) = rest.split_at(index);
            let Some((entry, behind)) = from.split_first() else { return Err(refusal) };
            // A target may have committed a part of them with its position.
            let at = self.target.position()?.map_or(0, |at| at.sequence);
            let begins = before.iter().position(|entry| entry.sequence > at).unwrap_or(before.len());
            let lacking = before.get(begins..).unwrap_or_default();
            if let Some(last) = lacking.last() {
                self.target.apply(lacking, last.position(position.lineage))?;
            }
            self.skip(entry, position.lineage, &refusal)?;
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
        }
    }

    fn skip(&mut self, entry: &ReplayEntry, lineage: Lineage, refusal: &Error) -> Result<()> {
        let reason = refusal.reason().unwrap_or_default();
        self.note(entry, lineage, &reason).map_err(|source| Error::Open {
            target: format!("{}, the record of skipped entries,", self.record.display()),
            source: source.into(),
        })?;
        self.target.apply(&[], entry.position(lineage))?;
        self.metrics.follower.entries_skipped.inc();
        tracing::warn!(
            sequence = entry.sequence,
            target = self.target.name(),
            record = %self.record.display(),
            "skipped an entry that the target refuses, as it was told to"
        );
        Ok(())
    }

    /// Appends the line, and makes sure of it.
    fn note(&self, entry: &ReplayEntry, lineage: Lineage, reason: &str) -> std::io::Result<()> {
        let line = EntryLine {
            sequence: entry.sequence,
            commit_ms: entry.commit_ms,
            chain_hash: entry.chain_hash.to_string().into(),
            lineage: Some(lineage.to_string().into()),
            entry: Cow::Borrowed(&entry.entry),
        };
        let mut written = String::new();
        write_line(&line, &mut written);
        let now_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let (target, reason) = (serde_json::to_string(self.target.name())?, serde_json::to_string(reason)?);
        let text = format!(
            "{{\"skipped_ms\":{now_ms},\"target\":{target},\"reason\":{reason},\"entry\":{}}}\n",
            written.trim_end()
        );
        let is_new = !self.record.try_exists()?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.record)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if is_new {
            let parent = self.record.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

impl<T: ReplayTarget> ReplayTarget for SkippingTarget<T> {
    fn name(&self) -> &str {
        self.target.name()
    }

    fn guarantee(&self) -> Guarantee {
        self.target.guarantee()
    }

    fn position(&mut self) -> Result<Option<Position>> {
        self.target.position()
    }

    fn apply(&mut self, batch: &[ReplayEntry], position: Position) -> Result<()> {
        self.apply_around(batch, position)
    }

    fn takes_lines(&self) -> bool {
        // Who is to be skipped must be seen.
        self.sequences.is_empty() && self.target.takes_lines()
    }

    fn apply_lines(&mut self, lines: &LineBatch) -> Result<bool> {
        self.target.apply_lines(lines)
    }

    fn reopen(&mut self) -> Result<()> {
        self.target.reopen()
    }

    fn close(&mut self) -> Result<()> {
        self.target.close()
    }
}
