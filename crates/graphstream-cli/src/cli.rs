//! The command line: verbs, and what all of them take.

use clap::{Args, Parser, Subcommand};

use crate::logs::{Filter, Format};
use crate::verbs::{
    append, bench, cat, config, convert, demo, follow, import, inspect, key, label, repair, replicate,
    restore, snapshot, status, storage, tail, verify,
};

/// Journal replication for embedded graph databases.
///
/// A leader appends every mutation to a checksummed, hash-chained journal, ships sealed segments to an object store, and
/// followers fetch, verify and replay them.
#[derive(Debug, Parser)]
#[command(name = "graphstream", version, propagate_version = true, max_term_width = 110, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER: &str = "Start here:
  graphstream demo                                                     the whole path on sample data
  graphstream append --journal ./journal --input mutations.jsonl       write
  graphstream replicate --journal ./journal --database social --to file:///srv/store
  graphstream follow --from file:///srv/store --database social --target grafeo:./replica.grafeo

Exit codes:
  0  done (also: drained after a signal)     4  object store
  1  other, such as a bad input line         5  integrity: damage, gap, fork, rewind
  2  usage or configuration                  6  replay target or its child process
  3  local journal (also: in use)            7  fenced: another leader has taken over";

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// What is logged on stderr: error, warn, info, debug, trace or off, also per module (warn,graphstream_journal=debug)
    /// [default: warn; info for replicate and follow]
    #[arg(long, global = true, value_name = "LEVEL", env = "GRAPHSTREAM_LOG", hide_env_values = true, value_parser = crate::logs::parse)]
    pub(crate) log_level: Option<Filter>,
    /// How lines of the log look [default: text]
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "GRAPHSTREAM_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(crate) log_format: Option<Format>,
    /// No progress bars
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the whole path on sample data: leader, object store, a follower that is killed once, and a comparison
    Demo(demo::Args),
    /// Append JSON lines to a journal
    Append(append::Args),
    /// Ship the sealed segments of a journal, or of several, to an object store (the leader's daemon)
    Replicate(replicate::Args),
    /// Fetch, verify and replay a database from an object store into a target (the follower's daemon)
    Follow(follow::Args),
    /// Print entries as text or JSON lines
    Cat(cat::Args),
    /// Print the last entries, and with -f those that come
    Tail(tail::Args),
    /// Show one segment, field by field
    Inspect(inspect::Args),
    /// Bring a database of the predecessor into this layout, verified and under a lineage of its own
    Import(import::Args),
    /// Write one segment in another version or compression; its entries and chain hashes stay
    Convert(convert::Args),
    /// Verify checksums, chain and continuity of segments, a journal or an object store
    Verify(verify::Args),
    /// Show positions, lag, RPO, cursors and locks
    Status(status::Args),
    /// Put back the head of a database that was lost
    Repair(repair::Args),
    /// Bring a database, or a journal, back as it was at any point
    Restore(restore::Args),
    /// Copy a database into the object store, or show the copies that are there
    Snapshot(snapshot::Args),
    /// Name points of a history, to restore to
    Label(label::Args),
    /// Check a configuration file, or show what is in effect and where it comes from
    Config(config::Args),
    /// Find out what an object store really does
    Storage(storage::Args),
    /// Make the keys that segments are encrypted with
    Key(key::Args),
    /// Measure this machine: appending, reading and sealing against the raw cost of the same work
    Bench(bench::Args),
}
