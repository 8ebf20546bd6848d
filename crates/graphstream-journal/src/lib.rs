//! A journal: entries are appended, hash-chained, made durable by group commit, and kept in the `.hadbj` segments of one local
//! directory. Payloads are opaque bytes.
//!
//! ```text
//!            append                rotate              seal
//! producers --------> queue --+--> open segment --+--> sealed segments ----> readers, shipper
//!                             |    (version 3)    |    (version 2, compressed, encrypted with a key)
//!                       group commit          beside the writer
//! ```
//!
//! - [`Journal`] appends: [`Ticket`]s say when entries are *written* and *synced* ([`Ack`]), never earlier than it is true.
//! - [`JournalReader`] reads from any sequence and follows a live writer, also from another process.
//! - [`JournalDir`] shows what is in a directory: segments, cursors, locks, identity.
//! - [`JournalBuilder::keys`] encrypts what is sealed; [`generate_key`], [`create_key_file`] and [`read_key_files`] make and read key files.
//!
//! After a crash the journal is exactly a prefix of what was appended, with at least all that was acknowledged as synced. A
//! failed write or sync poisons the journal: it must be opened again, which recovers it and says what it found
//! ([`RecoveryReport`]).
//!
//! A journal without entries waiting has no thread and no timer: the waiting callers do the work, and a process-wide pool that
//! comes and goes does what nobody waits for. (With [`JournalOptions::segment_age_max`], a timer waits while a segment is open.) The pool
//! grows while all its threads are at work, up to a bound: eight journals on devices that hang hold up the timers of the
//! others, not fewer. The open segment and `LOCK` are the only files held open; the former is created by the first entry.
//!
//! A fork of the process that opened a journal is refused everything with [`Error::ForeignProcess`] and changes nothing. What no
//! check can mend: a fork made while another thread was inside the journal may inherit a locked mutex, and wait for ever.

mod budget;
mod builder;
mod clock;
mod committer;
mod core;
mod creation;
mod cursor;
mod directory;
mod drafting;
mod encryption;
mod error;
mod failure;
mod forked;
mod form;
mod fs;
mod identity;
mod journal;
mod keys;
mod legacy;
mod lock;
mod names;
mod notes;
mod open_segment;
mod options;
mod pen;
mod queue;
mod reader;
mod recovery;
mod release;
mod sabotage;
mod seal;
mod seal_queue;
mod sealer;
mod segment_file;
mod service;
mod small_file;
mod space;
mod starting_point;
mod sync;
mod ticket;

pub use budget::Held;
pub use builder::JournalBuilder;
pub use clock::{Clock, Entropy, SystemClock, SystemEntropy};
pub use cursor::{Cursor, FencedNote, OutageNote};
pub use directory::{JournalDir, SegmentBytes, SegmentInfo};
pub use error::{Error, ErrorKind, Result};
pub use forked::Forked;
pub use fs::{Access, DirEntry, FileKind, Fs, FsFile, LockMode, StdFs};
pub use graphstream_format::{ChainHash, Compression, Entry, Lineage, Position, SegmentVersion};
pub use identity::Identity;
pub use journal::{CloseReport, Journal, Positions, Reached};
pub use keys::{create_key_file, encrypt_with, generate_key, read_key_file, read_key_files};
pub use legacy::Adoption;
pub use lock::{LockKind, LockState, ShipLock, WriterLock};
pub use names::{parse_segment_name, segment_name};
pub use options::{JournalOptions, QueuePolicy, ReaderOptions, Service, SyncPolicy, WhenFull};
pub use reader::JournalReader;
pub use recovery::{RecoveryReport, TornTail};
pub use seal::SealedSegment;
pub use starting_point::StartingPoint;
pub use ticket::{Ack, Acked, Level, Ticket};
