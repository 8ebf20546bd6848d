//! The writing half: keeps one open segment and writes records behind each other.
//!
//! ```text
//!           create (temp, header, sync, rename, sync dir)
//!   no segment ------------------------------------------------> open --record, record, ...--> full
//!        ^                                                                                       |
//!        +----------- hand over to sealing <----- sync (N is on disk before N+1 exists) <--------+
//! ```
//!
//! One thread at a time runs this (see `core`); only it knows where the file ends. A large group is written by a second thread while
//! the first goes on drafting, also while a rotation waits for the disk:
//!
//! ```text
//!   draft record, record, record of N, record of N+1, ...  --a few drafts-->  write, write, sync N, create N+1, write, ...
//! ```
//!
//! All that a record has to know of its segment is known before: only its place and what is synced by then is filled in when it is
//! written. Nothing counts before: after a failure all that was drafted is forgotten, and its sequences are given out again.

use std::panic::resume_unwind;
use std::sync::Arc;

use graphstream_format::{ChainHash, Lineage};

use crate::clock::{Clock, Entropy};
use crate::core::Shared;
use crate::creation::{Planned, Segments};
use crate::directory::JournalDir;
use crate::drafting::{Draft, Drafting, Next};
use crate::failure::Failure;
use crate::pen::{Pen, Writing};
use crate::queue::{Outcome, Queue};
use crate::sabotage;
use crate::sync::{mpsc, spawn_scoped, thread};

/// A group with so much payload is worth a second thread; who waits for each append has less. Where schedules are tried, two small
/// entries have it.
const LARGE_GROUP_BYTES: usize = if cfg!(shuttle) { 32 } else { 512 << 10 };
/// So many drafts wait to be written: what is drafted while a rotation takes its time, some 4 MiB.
const DRAFTS_MAX: usize = 16;

/// Where the journal ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) sequence: u64,
    pub(crate) chain_hash: ChainHash,
    /// Commit times never go below this.
    pub(crate) commit_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Committer {
    segments: Segments,
    pen: Pen,
    draft: Draft,
}

/// What the thread that drafts tells the one that writes.
enum Step {
    Rotate(Planned),
    Write(Draft),
}

impl Committer {
    pub(crate) fn new(
        dir: JournalDir,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        lineage: Lineage,
        segment_bytes_max: u64,
        tail: Tail,
    ) -> Self {
        Self {
            segments: Segments { dir, clock, entropy, lineage, segment_bytes_max },
            pen: Pen::new(tail, segment_bytes_max),
            draft: Draft::new(tail),
        }
    }

    pub(crate) fn tail(&self) -> Tail {
        self.pen.tail
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.segments.entropy)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.segments.clock)
    }

    pub(crate) fn raise_commit_floor(&mut self, commit_ms: i64) {
        let tail = &mut self.pen.tail;
        tail.commit_ms = tail.commit_ms.max(commit_ms);
    }

    /// Writes a group. Entries written before a failure stay written.
    pub(crate) fn commit(&mut self, queue: &Queue, host: &Shared) -> Outcome {
        let first_sequence = self.pen.tail.sequence.saturating_add(1);
        let mut outcome = Outcome { first_sequence, written: 0, attempted: 0, failure: None };
        let now_ms = self.segments.clock.now_ms();
        let open = self.pen.open.as_ref();
        let aged = open.is_some_and(|segment| host.is_aged_by_clock(&segment.open, now_ms));
        if aged && let Err(failure) = self.leave_segment(host) {
            outcome.failure = Some(failure);
            return outcome;
        }
        let Self { segments, pen, draft } = self;
        let mut drafting = Drafting::new(segments, queue, now_ms, pen.tail, pen.open.as_ref());
        let mut writing = Writing { pen, segments, outcome: &mut outcome, now_ms, host };
        let large = host.pooled() && queue.payloads.len() >= LARGE_GROUP_BYTES;
        let beside = if large { write_beside(&mut drafting, &mut writing) } else { None };
        let result = beside.unwrap_or_else(|| write_each(&mut drafting, &mut writing, draft));
        if result.is_err() && sabotage::is("drafts_keep_sequences") {
            writing.pen.tail = drafting.tail();
        }
        outcome.failure = result.err();
        self.pen.publish(host);
        outcome
    }

    /// Says so if a shipper has noted that another leader took over.
    pub(crate) fn check_fenced(&self) -> Result<(), Failure> {
        self.segments.check_fenced()
    }

    /// Syncs the open segment and hands it to sealing. What follows goes into a new one.
    pub(crate) fn leave_segment(&mut self, host: &Shared) -> Result<(), Failure> {
        self.segments.leave(&mut self.pen.open, self.pen.tail, host)
    }
}

/// Drafts and writes record after record.
fn write_each(
    drafting: &mut Drafting<'_>,
    writing: &mut Writing<'_>,
    draft: &mut Draft,
) -> Result<(), Failure> {
    loop {
        match drafting.next(draft)? {
            Next::Rotate(next) => writing.rotate(&next)?,
            Next::Record => writing.write(draft)?,
            Next::Nothing => return Ok(()),
        }
    }
}

/// Drafts on this thread and writes on another. `None` when there is no other: nothing was done then.
fn write_beside(drafting: &mut Drafting<'_>, writing: &mut Writing<'_>) -> Option<Result<(), Failure>> {
    thread::scope(|scope| {
        let (send, steps) = mpsc::sync_channel(DRAFTS_MAX);
        let (give_back, spare) = mpsc::channel();
        let writer = spawn_scoped(scope, "graphstream-journal-write", move || {
            for step in steps {
                match step {
                    Step::Rotate(next) => writing.rotate(&next)?,
                    Step::Write(mut draft) => {
                        writing.write(&mut draft)?;
                        // Nobody takes it any more at the end.
                        let _ = give_back.send(draft);
                    }
                }
            }
            Ok(())
        });
        let writer = writer.inspect_err(|error| tracing::warn!(%error, "no thread to write beside")).ok()?;
        let drafted = loop {
            let mut draft = spare.try_recv().unwrap_or_else(|_| Draft::new(drafting.tail()));
            let step = match drafting.next(&mut draft) {
                Ok(Next::Rotate(next)) => Step::Rotate(next),
                Ok(Next::Record) => Step::Write(draft),
                Ok(Next::Nothing) => break Ok(()),
                Err(failure) => break Err(failure),
            };
            if send.send(step).is_err() {
                // It has failed, and says why.
                break Ok(());
            }
        };
        drop(send);
        Some(writer.join().unwrap_or_else(|panic| resume_unwind(panic)).and(drafted))
    })
}
