//! From an inventory to its findings. Pure.

use super::finding::HeadShows;
use super::{Finding, Inventory, ListedSegment};
use crate::{Head, HistoryRule, ObjectName, SegmentName};

/// Sequences without a hole: `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
}

impl Inventory {
    /// Puts everything in order and applies the history rule, once.
    pub(super) fn sort(&mut self) {
        self.segments.sort_by_key(|segment| {
            (segment.name.first(), segment.name.last(), segment.name.level(), segment.name.epoch())
        });
        self.snapshots.sort_by_key(|snapshot| snapshot.name.sequence());
        let Some(head) = &self.head else { return };
        let rule = HistoryRule::of(head);
        for segment in &mut self.segments {
            segment.history = rule.admits(&segment.name);
        }
        for snapshot in &mut self.snapshots {
            snapshot.history = rule.admits_snapshot(&snapshot.name);
        }
    }

    fn history(&self) -> impl DoubleEndedIterator<Item = &ListedSegment> {
        self.segments.iter().filter(|segment| segment.history)
    }

    /// The runs of history, ascending.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for name in self.history().map(|segment| &segment.name) {
            match runs.last_mut() {
                Some(run) if name.first() <= run.last.saturating_add(1) => {
                    run.last = run.last.max(name.last())
                }
                _ => runs.push(Run { first: name.first(), last: name.last() }),
            }
        }
        runs
    }

    /// The sequence that the oldest restorable history begins after: 0, or what was removed because a snapshot holds it.
    #[must_use]
    pub fn begins_after(&self) -> u64 {
        let before = self.history().next().map_or(0, |segment| segment.name.first() - 1);
        let dispensable = self.newest_snapshot().is_some_and(|snapshot| snapshot.name.sequence() >= before);
        if dispensable { before } else { 0 }
    }

    /// The sequence from which everything committed can be restored: 0 for the beginning, else that of the newest snapshot that will do.
    /// `None` when nothing leads to the committed position, as far as names tell.
    #[must_use]
    pub fn restorable_from(&self) -> Option<u64> {
        let committed = self.head.as_ref()?.committed().sequence;
        let goal = committed.min(self.settled);
        let reaching = self.runs().into_iter().find(|run| run.first <= goal && run.last >= goal);
        // Nothing is needed behind a snapshot of the end.
        let first = reaching.map_or(goal.saturating_add(1), |run| run.first);
        if first == 1 {
            return Some(0);
        }
        let snapshots = self.snapshots.iter().filter(|snapshot| snapshot.is_usable());
        snapshots.map(|snapshot| snapshot.name.sequence()).filter(|&sequence| sequence >= first - 1).max()
    }

    /// Everything that names alone show: damage first, each in order of sequences or names.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let Some(head) = &self.head else {
            return self.evidence().map(|evidence| Finding::HeadMissing { evidence }).into_iter().collect();
        };
        let mut findings = Vec::new();
        let committed = head.committed().sequence;
        if committed < self.floor {
            findings.push(Finding::HeadBelowFloor { floor: self.floor, committed });
        }
        self.judge_epochs(head, &mut findings);
        self.judge_window(head, &mut findings);
        self.judge_gaps(head, &mut findings);
        self.judge_overlaps(&mut findings);
        self.judge_segments(head, &mut findings);
        self.judge_snapshots(head, &mut findings);
        let unknown = self.unknown.iter().map(|unknown| unknown.relative.clone());
        findings.extend(unknown.map(|relative| Finding::UnknownName { relative }));
        findings.sort_by_key(|finding| finding.kind().is_none());
        findings
    }

    /// An object that only a head can have led to.
    fn evidence(&self) -> Option<String> {
        let segment = self.segments.first().map(|segment| segment.name.to_string());
        let snapshot = || self.snapshots.first().map(|snapshot| snapshot.name.to_string());
        let epoch = || self.epochs.first().map(|&epoch| ObjectName::Epoch(epoch).to_string());
        let unparsed = || {
            let below = |text: &str| ["seg/", "snap/", "epoch/"].iter().any(|start| text.starts_with(start));
            self.unknown.iter().map(|unknown| &unknown.relative).find(|text| below(text)).cloned()
        };
        segment.or_else(snapshot).or_else(epoch).or_else(unparsed)
    }

    fn judge_epochs(&self, head: &Head, findings: &mut Vec<Finding>) {
        let (committed, shown) = (head.committed().sequence, HeadShows::Epoch(head.epoch()));
        let above = self.epochs.iter().filter(|&&epoch| epoch > head.epoch());
        findings.extend(
            above.map(|&epoch| Finding::HeadOlder { object: ObjectName::Epoch(epoch).to_string(), shown }),
        );
        for row in head.epochs() {
            let (epoch, start) = (row.epoch, row.start_sequence);
            match self.epoch_objects.get(&epoch) {
                Some(true) => {}
                Some(false) => findings.push(Finding::EpochObjectDiffers { epoch }),
                // Its owner may have died between claiming it and putting the object; nothing is put under it before that.
                None if epoch == head.epoch() && start == committed => {}
                None => findings.push(Finding::EpochObjectMissing { epoch, start }),
            }
        }
    }

    /// Sizes of what the head names. What is not there at all may have been merged: that is for the gaps.
    fn judge_window(&self, head: &Head, findings: &mut Vec<Finding>) {
        for row in head.segments() {
            let listed = self.segments.iter().find(|segment| segment.name == row.name);
            if let Some(listed) = listed.filter(|listed| listed.size != row.size) {
                let (name, expected, found) = (row.name, row.size, listed.size);
                findings.push(Finding::SizeDiffers { name, expected, found });
            }
        }
    }

    fn judge_gaps(&self, head: &Head, findings: &mut Vec<Finding>) {
        let goal = head.committed().sequence.min(self.settled);
        let mut reached = self.begins_after();
        // With a snapshot of everything that is committed, nothing else need be there.
        if self.history().next().is_none()
            && let Some(snapshot) = self.newest_snapshot()
        {
            reached = snapshot.name.sequence();
        }
        let mut gap = |first: u64, last: u64| {
            let mut rows = head.segments().iter().map(|row| row.name);
            let named = rows.find(|name| name.first() <= last && name.last() >= first);
            findings.push(Finding::Gap { first, last, named });
        };
        // What was committed while the listing ran may be in it in parts.
        for run in self.runs().into_iter().take_while(|run| run.first <= goal) {
            if run.first > reached.saturating_add(1) {
                gap(reached + 1, run.first - 1);
            }
            reached = reached.max(run.last);
        }
        if reached < goal {
            gap(reached + 1, goal);
        }
    }

    fn judge_overlaps(&self, findings: &mut Vec<Finding>) {
        let mut before: Option<SegmentName> = None;
        for name in self.history().map(|segment| segment.name).filter(|name| name.level() == 0) {
            if let Some(other) = before.filter(|other| name.first() <= other.last()) {
                findings.push(Finding::Overlap { name, other });
            }
            before = Some(before.filter(|other| other.last() > name.last()).unwrap_or(name));
        }
    }

    /// Segments that are not history: older than the head's, not yet its own, or signs of a newer head.
    fn judge_segments(&self, head: &Head, findings: &mut Vec<Finding>) {
        let committed = head.committed().sequence;
        let current_start = head.current_row().map_or(0, |row| row.start_sequence);
        for name in self.segments.iter().filter(|segment| !segment.history).map(|segment| segment.name) {
            let older = |shown| Finding::HeadOlder { object: name.to_string(), shown };
            findings.push(if name.epoch() > head.epoch() {
                older(HeadShows::Epoch(head.epoch()))
            } else if name.level() > 0 {
                // It held history when it was merged.
                older(HeadShows::Committed(committed))
            } else if name.epoch() == head.epoch() && name.first() > current_start {
                Finding::Unpublished { name, committed }
            } else {
                let fenced_by = head.epochs().iter().map(|row| row.epoch).find(|&epoch| epoch > name.epoch());
                Finding::Orphan { name, fenced_by }
            });
        }
    }

    fn judge_snapshots(&self, head: &Head, findings: &mut Vec<Finding>) {
        if let Some(name) = head.snapshot()
            && !self.snapshots.iter().any(|snapshot| snapshot.name == name && snapshot.complete)
        {
            findings.push(Finding::SnapshotMissing { name });
        }
        for snapshot in &self.snapshots {
            let (name, objects) = (snapshot.name, snapshot.objects);
            if !snapshot.complete {
                findings.push(Finding::SnapshotUnfinished { name, objects });
            } else if !snapshot.history {
                findings.push(Finding::SnapshotOrphan { name });
            }
        }
    }
}
