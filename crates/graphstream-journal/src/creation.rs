//! How a segment comes into being: under a temporary name, synced, renamed, its name synced. Whoever sees it sees all of its header.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream_format::open::{Nonce, OpenHeader, RECORDS_START};
use graphstream_format::{ChainHash, Lineage, SegmentStart};

use crate::clock::{Clock, Entropy};
use crate::committer::Tail;
use crate::core::Shared;
use crate::directory::{JournalDir, remove_if_exists};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::fs::FsFile;
use crate::open_segment::OpenSegment;
use crate::seal::SealOrder;
use crate::space::Space;
use crate::{names, sabotage, small_file};

/// Creates a journal's segments, and leaves them.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) dir: JournalDir,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) lineage: Lineage,
    pub(crate) segment_bytes_max: u64,
}

/// A segment that is not there yet, as far as its records have to know it.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) path: PathBuf,
    pub(crate) nonce: Nonce,
    first_sequence: u64,
    chain_before: ChainHash,
    /// Where it will be full.
    pub(crate) limit: u64,
}

impl Segments {
    /// What comes behind this end, with room for a record of so many bytes.
    pub(crate) fn plan(&self, tail: Tail, record_bytes: u64) -> Result<Planned, Failure> {
        let Some(first_sequence) = tail.sequence.checked_add(1) else {
            return Err(Failure::Exhausted { last: tail.sequence });
        };
        let path = self.dir.path.join(names::segment_name(first_sequence));
        let nonce = self
            .entropy
            .random()
            .map_err(|source| not_created(Error::io("drawing random numbers for", &path)(source)))?;
        Ok(Planned {
            path,
            nonce: Nonce::from_bytes(nonce),
            first_sequence,
            chain_before: tail.chain_hash,
            limit: self.segment_bytes_max.max(RECORDS_START + record_bytes),
        })
    }

    /// Creates a segment behind one that was left.
    pub(crate) fn create(&self, planned: &Planned) -> Result<OpenSegment, Failure> {
        let Planned { path, nonce, first_sequence, limit, .. } = planned;
        let temp = self.dir.path.join(names::temp_name(&names::segment_name(*first_sequence)));
        let full = || Failure::Full { path: path.clone(), bytes: Space::created_bytes(*limit) };
        // Up to here a failure (too many open files, say) changes nothing.
        let file = small_file::create_over(&*self.dir.fs, &temp)
            .map_err(|error| if error.is_no_space() { full() } else { not_created(error) })?;
        let visible = self
            .prepare(&*file, &temp, planned)
            .and_then(|()| self.dir.fs.rename(&temp, path).map_err(Error::io("renaming into", path)));
        if let Err(error) = visible {
            let _ = remove_if_exists(&*self.dir.fs, &temp);
            // Nothing stood in the temporary file yet, so a full device has done no harm.
            return Err(if error.is_no_space() { full() } else { Failure::poison(error) });
        }
        if !sabotage::is("ack_before_the_renames_sync") {
            self.sync_dir()?;
        }
        tracing::debug!(first_sequence, "segment created");
        Ok(OpenSegment::new(file, path.clone(), *nonce, *first_sequence, *limit))
    }

    fn prepare(&self, file: &dyn FsFile, temp: &Path, planned: &Planned) -> Result<()> {
        let start = SegmentStart {
            lineage: self.lineage,
            first_seq: planned.first_sequence,
            chain_before: planned.chain_before,
            created_ms: self.clock.now_ms(),
        };
        let header = OpenHeader { start, nonce: planned.nonce }.encode().map_err(Error::segment(temp))?;
        let mut block = header.to_vec();
        block.resize(usize::try_from(Space::created_bytes(planned.limit)).unwrap_or(0).max(header.len()), 0);
        small_file::write_full(file, &block, 0).map_err(Error::io("writing", temp))?;
        file.sync_all().map_err(Error::io("syncing", temp))
    }

    /// A shipper that was fenced leaves a note; the writer looks whenever it starts a segment, and notes for the next start
    /// what is to be set aside then.
    pub(crate) fn check_fenced(&self) -> Result<(), Failure> {
        let Some(note) = self.dir.fenced().map_err(not_created)? else { return Ok(()) };
        self.dir.note_fenced_after(Some(note.after)).map_err(not_created)?;
        Err(Failure::Fenced { after: note.after, path: self.dir.path.join(names::FENCED) })
    }

    /// Syncs the open segment, which ends at `tail`, and hands it to sealing: none is open then.
    pub(crate) fn leave(
        &self,
        open: &mut Option<OpenSegment>,
        tail: Tail,
        host: &Shared,
    ) -> Result<(), Failure> {
        publish(open.as_ref(), tail, host);
        let Some(segment) = open else { return Ok(()) };
        if !sabotage::is("n_plus_1_before_n") {
            host.sync_for_rotation()?;
        }
        if sabotage::is("ack_before_the_renames_sync") {
            let _ = self.dir.fs.sync_dir(&self.dir.path);
        }
        if segment.is_empty() {
            let path = segment.open.path.clone();
            *open = None;
            publish(None, tail, host);
            remove_if_exists(&*self.dir.fs, &path).map_err(Failure::poison)?;
            return self.sync_dir();
        }
        let order = SealOrder {
            first_sequence: segment.first_sequence,
            last_sequence: tail.sequence,
            chain_hash: tail.chain_hash,
            // The segment keeps its own: it goes on if it can't be handed over now.
            chain: Arc::clone(&segment.chain),
        };
        host.hand_over(order, segment.offset)?;
        *open = None;
        publish(None, tail, host);
        if let Err(error) = host.look_at_cursors() {
            tracing::warn!(%error, "what cursors hold back is counted as it was");
        }
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), Failure> {
        let synced = self.dir.fs.sync_dir(&self.dir.path);
        synced.map_err(|source| Failure::poison(Error::io("syncing", &self.dir.path)(source)))
    }
}

fn not_created(error: Error) -> Failure {
    Failure::NotCreated(Arc::new(error))
}

/// Tells how far was written, and into which file.
pub(crate) fn publish(open: Option<&OpenSegment>, tail: Tail, host: &Shared) {
    host.publish_written(tail, open.map(|segment| (Arc::clone(&segment.open), segment.offset)));
}
