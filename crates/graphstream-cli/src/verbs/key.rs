//! `graphstream key`: the keys that segments are encrypted with.

use std::io;
use std::path::{Path, PathBuf};

use graphstream::journal::{self, SystemEntropy, create_key_file, generate_key};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::out::Out;

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

impl Args {
    pub(crate) const fn json(&self) -> bool {
        let Verb::Generate(generate) = &self.verb;
        generate.json
    }
}

#[derive(Serialize)]
struct Generated<'a> {
    id: String,
    file: std::borrow::Cow<'a, str>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Verb::Generate(Generate { output, json }) = &args.verb;
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
