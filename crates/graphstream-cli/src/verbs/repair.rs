//! `repair`: puts back a head that was lost. Shows what it would do, and does it with `--confirm`.

use std::time::{SystemTime, UNIX_EPOCH};

use graphstream::remote::{self, DatabaseName, HeadProposal, RepairProblem, Standing};
use serde::Serialize;

use crate::failure::{Failure, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::counted;
use crate::times;

/// Flags of `repair`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream repair --from s3://bucket/graphs --database social                what it would do
  graphstream repair --from s3://bucket/graphs --database social --confirm      do it

Repairs a head.json that is gone, is no head any more, or is older than an epoch object. What it said follows from the epoch objects, which are
never deleted, and from the names of the segments; the chains of those that follow the last epoch's start must meet. Segments that
were uploaded and not yet published become part of the history. Stop the leader before, and start it after: a leader that runs
meanwhile is fenced. Never put an old head.json back by hand. If it was cut off, or met another repair, run it again.
Nothing is deleted, and no segment is changed: graphstream verify names damage in those.")]
pub(crate) struct Args {
    /// The object store
    #[arg(long = "from", value_name = "URL", value_parser = store::parse_url)]
    url: StoreUrl,
    /// The database in it
    #[arg(long, value_name = "NAME", value_parser = store::parse_database)]
    database: DatabaseName,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// Put the head back
    #[arg(long)]
    confirm: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Report {
    database: String,
    /// `stands`, `missing`, `older` or `damaged`.
    head: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<Proposed>,
    repaired: bool,
}

#[derive(Serialize)]
struct Proposed {
    epoch: u32,
    lineage: String,
    committed_sequence: u64,
    committed_ms: i64,
    chain: String,
    segments_behind_the_last_epochs_start: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    store::runtime()?.block_on(async {
        // A store that is not there is not made.
        let mut remote = store::open(&args.url, args.database.clone(), Access::Read).await?;
        if args.confirm {
            remote = store::open(&args.url, args.database.clone(), Access::Write).await?;
        }
        let remote = args.keys.give(remote).await?;
        let proposal = match remote.propose_head(now_ms()).await {
            Ok(proposal) => proposal,
            Err(remote::Error::Unrepairable { problem: RepairProblem::HeadStands { epoch } }) => {
                return stands(args, epoch);
            }
            Err(error) => return Err(error.into()),
        };
        if args.confirm {
            remote.restore_head(&proposal).await?;
        }
        print(args, &proposal)
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn stands(args: &Args, epoch: u32) -> Result<(), Failure> {
    let mut out = Out::new();
    if args.json {
        let database = args.database.to_string();
        out.json(&Report { database, head: "stands", proposed: None, repaired: false })?;
    } else {
        out.line(format_args!(
            "the head of {} stands, at epoch {epoch}: nothing to repair. graphstream verify looks at what it publishes",
            args.database
        ))?;
    }
    out.flush()
}

fn print(args: &Args, proposal: &HeadProposal) -> Result<(), Failure> {
    let committed = proposal.head.committed();
    let (word, found) = match proposal.standing {
        Standing::Older { epoch } => ("older", format!("older than an epoch object (epoch {epoch})")),
        Standing::Damaged => ("damaged", "no head any more".to_owned()),
        _ => ("missing", "missing".to_owned()),
    };
    let mut out = Out::new();
    if args.json {
        let proposed = Proposed {
            epoch: proposal.head.epoch(),
            lineage: proposal.head.lineage().to_string(),
            committed_sequence: committed.sequence,
            committed_ms: committed.commit_ms,
            chain: committed.chain.to_string(),
            segments_behind_the_last_epochs_start: proposal.run.len(),
        };
        let (database, repaired) = (args.database.to_string(), args.confirm);
        out.json(&Report { database, head: word, proposed: Some(proposed), repaired })?;
    } else {
        let run = counted(proposal.run.len() as u64, "segment", "segments");
        out.line(format_args!("head.json    {found}"))?;
        out.line(format_args!("lineage      {}", proposal.head.lineage()))?;
        out.line(format_args!(
            "committed    sequence {} of {}, chain {}",
            committed.sequence,
            times::rfc3339(committed.commit_ms),
            committed.chain
        ))?;
        out.line(format_args!("proven by    {run} behind the last epoch's start, whose chains meet"))?;
        let done = if args.confirm { "put back" } else { "proposed" };
        out.line(format_args!("{done}, as epoch {}", proposal.head.epoch()))?;
    }
    out.flush()?;
    if args.confirm {
        warn("start the leader again: it claims the next epoch. graphstream verify reads what is published");
    } else {
        warn("nothing was changed: stop the leader, then --confirm puts this head in its place");
    }
    Ok(())
}
