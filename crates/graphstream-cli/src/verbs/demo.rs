//! `demo`: the whole path on real data, in one command.
//!
//! ```text
//!  this process                                             a child process, killed once in the middle and restarted
//!  leader: graph A ──▶ journal ──▶ segments ──▶ file:// store ──▶ follow ──▶ graph B
//!             └──────────────── counts per label and type, digest over all rows: equal? ──────┘
//! ```

#[cfg(feature = "grafeo")]
mod compare;
#[cfg(feature = "grafeo")]
mod data;
#[cfg(feature = "grafeo")]
mod follower;
#[cfg(feature = "grafeo")]
mod play;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::failure::Failure;

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream demo
  graphstream demo --input ldbc-snb-sf01-sample.jsonl --dir ./demo --json

A leader writes the data set through its own graph database (grafeo), each transaction acknowledged when it is synced; a
follower process tails the object store into a second one. The follower is killed (SIGKILL) once in the middle and started
again. At the end both graphs are compared: 0 equal, 6 different, 5 when the histories differ.

With --dir, look around afterwards: graphstream status --journal DIR/leader/journal --from file://DIR/store --database demo")]
pub(crate) struct Args {
    /// JSON lines to write [default: the bundled sample of the LDBC social network data set, about 5,000 entries]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// JSON lines to write first, such as indexes [default: the indexes of the bundled data set]
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Where to work; must be empty or missing, and is kept [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary directory
    #[arg(long)]
    keep: bool,
    /// Entries per transaction of the leader
    #[arg(long, value_name = "N", default_value = "25")]
    batch: NonZeroUsize,
    /// One JSON object at the end
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "grafeo")]
pub(crate) fn run(args: &Args, quiet: bool) -> Result<(), Failure> {
    play::run(args, quiet)
}

#[cfg(not(feature = "grafeo"))]
pub(crate) fn run(args: &Args, _quiet: bool) -> Result<(), Failure> {
    let _ = (&args.input, &args.schema, &args.dir, args.keep, args.batch);
    Err(Failure::new(crate::failure::Kind::Usage, "this build has no graph database to show anything with")
        .hint("a build with the feature grafeo"))
}
