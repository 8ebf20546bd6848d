//! `graphstream label`: names for points of a history, to restore to.

use std::path::PathBuf;

use graphstream::format::Position;
use graphstream::remote::{ChainValue, DatabaseName, Label, LabelName, LabelSet};
use graphstream::replication::{Goal, find_point};
use serde::Serialize;

use crate::failure::{Failure, warn};
use crate::keys::StoreKeyArgs;
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Palette, count};
use crate::times;

/// What to do with labels.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Give a point of the history a name
    Set(Set),
    /// Show all labels
    List(List),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream label set before-migration --to s3://bucket/graphs --database social
  graphstream label set end-of-march --timestamp 2026-03-31T23:59:59Z --to s3://bucket/graphs --database social
  graphstream restore --label before-migration --from s3://bucket/graphs --database social --target grafeo:./old.grafeo

Without --sequence and --timestamp the label names what is committed now. What is only in the journal can't be named: wait until
it is stored (append --ack stored). Setting a label again to the same point changes nothing; another point takes --replace. A label
keeps nothing from being collected.")]
struct Set {
    /// What the point is to be called: 1 to 63 characters of a-z, 0-9, '.', '_', '-'
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: LabelName,
    #[command(flatten)]
    place: Place,
    /// The last entry that belongs to it
    #[arg(long, value_name = "N", conflicts_with = "timestamp")]
    sequence: Option<u64>,
    /// The last entry committed at this time or before: RFC 3339, or a span back from now as in 15m
    #[arg(long, value_name = "TIME", value_parser = times::parse_moment)]
    timestamp: Option<i64>,
    /// Move a label that names another point
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// The label as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// One JSON object a label
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long = "to", visible_alias = "from", value_name = "URL", value_parser = store::parse_url)]
    url: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
}

/// Parses the name of a label.
pub(crate) fn parse_name(text: &str) -> Result<LabelName, String> {
    LabelName::new(text).map_err(|error| {
        format!("{error} (1 to 63 characters of a-z, 0-9, '.', '_', '-', first a letter or digit)")
    })
}

/// A row of `--json`.
#[derive(Serialize)]
struct Row {
    label: String,
    /// Absent with `problem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Row {
    fn of(name: &LabelName, label: &Label) -> Self {
        Self {
            label: name.to_string(),
            sequence: Some(label.sequence),
            commit_ms: Some(label.commit_ms),
            chain_hash: Some(label.chain.to_string()),
            lineage: Some(label.lineage.to_string()),
            set_ms: Some(label.set_ms),
            set_by: Some(label.set_by.clone()),
            problem: None,
        }
    }

    fn damaged(name: &LabelName, failure: &Failure) -> Self {
        Self {
            label: name.to_string(),
            sequence: None,
            commit_ms: None,
            chain_hash: None,
            lineage: None,
            set_ms: None,
            set_by: None,
            problem: Some(failure.sentence()),
        }
    }
}

impl Args {
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            Verb::Set(set) => set.json,
            Verb::List(list) => list.json,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Set(args) => set(args),
        Verb::List(args) => list(args),
    }
}

fn set(args: &Set) -> Result<(), Failure> {
    let goal = match (args.sequence, args.timestamp) {
        (Some(sequence), _) => Goal::Sequence(sequence),
        (None, Some(ms)) => Goal::Time(ms),
        (None, None) => Goal::Latest,
    };
    let runtime = store::runtime()?;
    let (label, outcome) = runtime.block_on(async {
        let remote = store::open(&args.place.url, args.place.database.clone(), Access::Write).await?;
        let remote = args.keys.give(remote).await?;
        let (stored, point) = find_point(&remote, &goal).await?;
        if args.timestamp.is_some() && !point.commit_exact {
            warn(
                "the entry's segment is of version 1, which keeps one time for all its entries: those before it in the segment may be older",
            );
        }
        let (id, lineage) = (stored.head.database_id(), stored.head.lineage());
        let position = Position { lineage, sequence: point.sequence, chain_hash: point.chain_hash };
        let chain = ChainValue::of(&position, remote.keys().map(|keys| &**keys));
        let label = Label::new(id, lineage, point.sequence, chain, point.commit_ms)
            .with_setter(&setter(), times::now_ms());
        let outcome = remote.set_label(&args.name, &label, args.replace).await?;
        Ok::<_, Failure>((label, outcome))
    })?;
    let (label, unchanged) = match outcome {
        LabelSet::Set => (label, false),
        LabelSet::Unchanged(found) => (found, true),
    };
    let mut out = Out::new();
    if args.json {
        out.json(&Row::of(&args.name, &label))?;
    } else {
        out.line(format_args!(
            "{} {} sequence {}, committed {}",
            args.name,
            if unchanged { "already names" } else { "names" },
            count(label.sequence),
            times::rfc3339(label.commit_ms)
        ))?;
    }
    out.flush()
}

/// Who sets a label, for people: the user at the machine, as far as the environment says it.
fn setter() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let host = std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname")).unwrap_or_default();
    match (user.trim(), host.trim()) {
        (user, "") => user.to_owned(),
        (user, host) => format!("{user}@{host}"),
    }
}

fn list(args: &List) -> Result<(), Failure> {
    let runtime = store::runtime()?;
    let (rows, failure) = runtime.block_on(async {
        let remote = store::open(&args.place.url, args.place.database.clone(), Access::Read).await?;
        let (mut rows, mut damage) = (Vec::new(), None);
        for name in remote.list_labels().await? {
            match remote.read_label(&name).await {
                Ok(Some(label)) => rows.push(Row::of(&name, &label)),
                // Removed meanwhile.
                Ok(None) => {}
                // One that is damaged hides no other.
                Err(error) if error.kind().is_integrity() => {
                    let failure = Failure::from(error);
                    rows.push(Row::damaged(&name, &failure));
                    damage.get_or_insert(failure);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok::<_, Failure>((rows, damage))
    })?;
    let (mut out, palette) = (Out::new(), Palette::stdout());
    for row in &rows {
        if args.json {
            out.json(row)?;
            continue;
        }
        match (&row.problem, row.sequence) {
            (None, Some(sequence)) => out.line(format_args!(
                "{}  sequence {}  committed {}  {}",
                palette.head(&row.label),
                count(sequence),
                times::rfc3339(row.commit_ms.unwrap_or_default()),
                palette.quiet(format_args!(
                    "set {} by {}",
                    times::rfc3339(row.set_ms.unwrap_or_default()),
                    row.set_by.as_deref().filter(|by| !by.is_empty()).unwrap_or("somebody")
                ))
            ))?,
            _ => out.line(format_args!("{}  {}", palette.head(&row.label), palette.error("damaged")))?,
        }
    }
    if rows.is_empty() && !args.json {
        out.line("no labels")?;
    }
    out.flush()?;
    failure.map_or(Ok(()), Err)
}
