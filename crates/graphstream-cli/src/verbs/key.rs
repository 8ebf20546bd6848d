//! `graphstream key`: the keys that segments are encrypted with.

use std::io;
use std::path::{Path, PathBuf};

use graphstream::journal::{self, SystemEntropy, create_key_file, generate_key};
use graphstream::remote::DatabaseName;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::keys::{self, StoreKeyArgs};
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};

/// What to do with keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a new data key and write it into a file that only you can read
    Generate(Generate),
    /// Keep data keys in a database's store, wrapped by a master key: whoever has the master has them
    Wrap(Wrap),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream key generate --output /etc/graphstream/2026.key
  graphstream key generate --output new.key --json | jq -r .id

The key is in the file and nowhere else; its id, which is not secret, follows from it. Keep a copy where neither this machine nor the
object store is: without the key, nothing that it encrypts can be read.")]
struct Generate {
    /// The file to create; nothing that exists is replaced
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The result as one JSON line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream key generate --output master.key
  graphstream key wrap --to s3://bucket/prefix --database social --encryption-master-key-file master.key --encryption-key-file 2026.key
  graphstream key wrap --to s3://bucket/prefix --database social --encryption-master-key-file new-master.key --encryption-master-key-file master.key

The first master key wraps; the others open what was wrapped before. The keys named become the first ones of keys.json, the very first the
current one; those that are there already stay behind them. Without --encryption-key-file, what is there is wrapped again. Nothing else in the
store changes. Whoever appends on its machine takes a key file; every verb that opens a store takes --encryption-master-key-file.")]
struct Wrap {
    /// The object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", env = "GRAPHSTREAM_TO", value_parser = store::parse_url)]
    to: StoreUrl,
    /// The database in the object store
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: DatabaseName,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// The result as one JSON line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) const fn json(&self) -> bool {
        match &self.verb {
            Verb::Generate(generate) => generate.json,
            Verb::Wrap(wrap) => wrap.json,
        }
    }
}

#[derive(Serialize)]
struct Generated<'a> {
    id: String,
    file: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Wrapped {
    created: bool,
    master_key: String,
    keys: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Generate(generate) => make(generate),
        Verb::Wrap(wrap) => keep(wrap),
    }
}

fn keep(args: &Wrap) -> Result<(), Failure> {
    let Wrap { to, database, keys, json } = args;
    let Some(masters) = keys::ring(&keys.files().masters)? else {
        return Err(Failure::new(Kind::Usage, "no master key was given")
            .hint("--encryption-master-key-file FILE; graphstream key generate --output FILE makes one"));
    };
    let ring = keys.ring()?;
    let nothing = || {
        Failure::new(Kind::Usage, format!("the store has no keys.json for {database}, and no key was given"))
            .hint("--encryption-key-file FILE with the database's key")
    };
    let written = store::runtime()?.block_on(async {
        // No database is begun by this, and no store made: the name may be mistyped.
        store::open_bare(to).await?;
        let remote = store::open(to, database.clone(), Access::Write).await?;
        remote.write_keys(ring.as_deref(), &masters).await?.ok_or_else(nothing)
    })?;
    let mut out = Out::new();
    let wrapped = Wrapped {
        created: written.created,
        master_key: masters.current().id().to_string(),
        keys: written.keys.iter().map(ToString::to_string).collect(),
    };
    if *json {
        out.json(&wrapped)?;
    } else {
        let count = crate::terminal::counted(wrapped.keys.len() as u64, "key", "keys");
        out.line(format_args!("{count} in keys.json of {database}, wrapped by {}", wrapped.master_key))?;
        for (index, key) in wrapped.keys.iter().enumerate() {
            out.line(format_args!("  {key}{}", if index == 0 { "  (current)" } else { "" }))?;
        }
    }
    out.flush()
}

fn make(args: &Generate) -> Result<(), Failure> {
    let Generate { output, json } = args;
    let key = generate_key(&SystemEntropy)?;
    create_key_file(output, &key).map_err(|error| failed(output, &error))?;
    let generated = Generated { id: key.id().to_string(), file: output.to_string_lossy() };
    let mut out = Out::new();
    if *json {
        out.json(&generated)?;
    } else {
        out.line(format_args!("key {} in {}", generated.id, output.display()))?;
        out.line("Keep a copy where neither this machine nor the object store is: without it, nothing that it encrypts can be read.")?;
    }
    out.flush()
}

fn failed(output: &Path, error: &journal::Error) -> Failure {
    let exists =
        matches!(error, journal::Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists);
    let failure = Failure::of(if exists { Kind::Usage } else { Kind::Io }, error).file(output);
    if exists {
        failure.hint("name a new file: a key that is replaced takes everything it encrypted with it")
    } else {
        failure
    }
}
