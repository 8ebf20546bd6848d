//! `status`: how far a journal and a store are, and who works on them.

mod bucket;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphstream::format::encryption::KeyRing;
use graphstream::format::{self, ChainHash, Header, Lineage, Position};
use graphstream::journal::{self, JournalDir, LockState};
use graphstream::remote::{DatabaseName, HeadPoll, HeadReader};
use graphstream::replication::UPLOADER_CURSOR;
use serde::Serialize;

use self::bucket::Bucket;
use self::target::TargetStatus;
use crate::exit::Code;
use crate::failure::Failure;
use crate::keys::{KeyFiles, StoreKeyArgs};
use crate::out::Out;
use crate::store::{self, Access, StoreUrl};
use crate::terminal::{Palette, bytes, count, counted};
use crate::times;
use crate::verbs::follow::Target;

/// Flags of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  graphstream status --journal ./journal
  graphstream status --from file:///srv/store
  graphstream status --target grafeo:./replica.grafeo --digest
  graphstream status --from file:///srv/store --database social
  graphstream status --journal ./journal --from file:///srv/store --database social --json

Of a store alone it shows every database: how far it is and since when, its newest snapshot, and whether names alone show a
way to restore it (as verify --depth list). The exit code is that of the database that is worst off.

With a journal and its store it also says the RPO: what a lost disk would lose now. Reads the newest segment to find the
end of the journal; changes nothing.")]
pub(crate) struct Args {
    /// A journal's directory
    #[arg(long, value_name = "DIR", required_unless_present_any = ["from", "target"])]
    journal: Option<PathBuf>,
    /// An object store: s3://bucket/prefix, file:///path
    #[arg(long, value_name = "URL", value_parser = store::parse_url)]
    from: Option<StoreUrl>,
    /// The database in the object store [default: all]
    #[arg(long, value_name = "NAME", env = "GRAPHSTREAM_DATABASE", value_parser = store::parse_database)]
    database: Option<DatabaseName>,
    /// A follower's database, which nobody has open: grafeo:PATH, jsonl:PATH
    #[arg(long, value_name = "TARGET", value_parser = Target::parse)]
    target: Option<Target>,
    /// Look at everything in --target, for a digest to compare: as verify --depth replay prints it
    #[arg(long, requires = "target")]
    digest: bool,
    #[command(flatten)]
    keys: StoreKeyArgs,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreStatus>,
    /// Without a database's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpo: Option<Rpo>,
}

#[derive(Serialize)]
struct JournalStatus {
    directory: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_id: Option<String>,
    lineage: String,
    legacy: bool,
    written_sequence: u64,
    sealed_sequence: u64,
    /// Absent if its segment takes a key that was not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_up_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit_ms: Option<i64>,
    sealed_segments: u64,
    sealed_bytes: u64,
    open_segments: u64,
    writer: Lock,
    shipper: Lock,
    #[serde(skip_serializing_if = "Option::is_none")]
    fenced_after: Option<u64>,
    cursors: Vec<CursorStatus>,
    /// Bytes of segments that the slowest cursor has not passed.
    held_bytes: u64,
    held_segments: usize,
    /// What the shipper says, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<OutageNote>,
}

#[derive(Serialize)]
struct OutageNote {
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<i64>,
}

#[derive(Serialize)]
struct Lock {
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl From<LockState> for Lock {
    fn from(state: LockState) -> Self {
        Self { held: state.held, pid: state.holder_pid }
    }
}

impl std::fmt::Display for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.held, self.pid) {
            (false, _) => f.write_str("none"),
            (true, Some(pid)) => write!(f, "process {pid}"),
            (true, None) => f.write_str("running"),
        }
    }
}

#[derive(Serialize)]
struct CursorStatus {
    name: String,
    sequence: u64,
    lag_entries: u64,
    updated_ms: i64,
    age_ms: u64,
}

#[derive(Serialize)]
struct StoreStatus {
    url: String,
    database: String,
    database_id: String,
    lineage: String,
    epoch: u32,
    revision: u64,
    committed_sequence: u64,
    committed_commit_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_chain_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_up_to: Option<u64>,
    window_segments: usize,
    window_bytes: u64,
    epochs: Vec<Epoch>,
}

#[derive(Serialize)]
struct Epoch {
    epoch: u32,
    start_sequence: u64,
}

/// What a lost disk would lose.
#[derive(Debug, Serialize)]
struct Rpo {
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    same_history: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let keys = args.keys.ring()?;
    let target = args.target.as_ref().map(|target| target::read(target, args.digest)).transpose()?;
    let journal = args.journal.as_deref().map(|path| read_journal(path, keys.clone())).transpose();
    if let (Some(url), None) = (&args.from, &args.database) {
        return whole_store(url, target, journal?, &args.keys.files(), args.json);
    }
    let store = match (&args.from, &args.database) {
        (Some(url), Some(database)) => read_store(url, database.clone(), &args.keys).map(Some),
        _ => Ok(None),
    };
    let (journal, store) = match (journal, store) {
        // A journal that can't be reached must not hide that the store is damaged.
        (Err(_), Err(damage)) if damage.code() == Code::Integrity => return Err(damage),
        (journal, store) => (journal?, store?),
    };
    let rpo = match (&journal, &store) {
        (Some(journal), Some(store)) => {
            let (sequence, commit_ms) = (store.committed_sequence, store.committed_commit_ms);
            Some(rpo(journal, sequence, commit_ms, &store.lineage))
        }
        _ => None,
    };
    let status = Status { target, journal, store, bucket: None, rpo };
    let mut out = Out::new();
    if args.json {
        out.json(&status)?;
    } else {
        print(&mut out, &status)?;
    }
    out.flush()
}

/// Every database of a store. What is wrong with one comes after all were shown.
fn whole_store(
    url: &StoreUrl,
    target: Option<TargetStatus>,
    journal: Option<JournalStatus>,
    keys: &KeyFiles,
    json: bool,
) -> Result<(), Failure> {
    let bucket = bucket::read(url, journal.as_ref(), keys)?;
    let verdict = bucket.verdict();
    let status = Status { target, journal, store: None, bucket: Some(bucket), rpo: None };
    let mut out = Out::new();
    if json {
        out.json(&status)?;
    } else {
        print(&mut out, &status)?;
    }
    out.flush()?;
    verdict
}

fn read_journal(path: &Path, keys: Option<Arc<KeyRing>>) -> Result<JournalStatus, Failure> {
    let mut dir = JournalDir::open(path)?;
    if let Some(keys) = keys {
        dir = dir.with_keys(keys);
        dir.check_keys()?;
    }
    let identity = dir.identity()?;
    let segments = dir.segments()?;
    // Without its key, an encrypted segment says all but its chain hash.
    let (position, hidden) = match dir.position() {
        Ok(position) => (position, false),
        Err(error) if needs_key(&error) => {
            let sequence = segments.iter().map(|segment| segment.header.last_seq).max().unwrap_or(0);
            let lineage = identity.as_ref().map_or(Lineage::LEGACY, |identity| identity.lineage);
            (Position { lineage, sequence, chain_hash: ChainHash::ZERO }, true)
        }
        Err(error) => return Err(error.into()),
    };
    let sealed: Vec<_> = segments.iter().filter(|segment| segment.is_sealed()).collect();
    let now = times::now_ms();
    let cursors = dir.cursors()?.into_iter().map(|cursor| CursorStatus {
        lag_entries: position.sequence.saturating_sub(cursor.sequence),
        age_ms: cursor.age_ms(now),
        name: cursor.name,
        sequence: cursor.sequence,
        updated_ms: cursor.updated_ms,
    });
    let (writer, shipper) = (dir.writer()?.into(), Lock::from(dir.shipper()?));
    let outage = if shipper.held { Some(outage(&dir)?) } else { None };
    let held = dir.held()?;
    let fenced_after = match dir.fenced()? {
        Some(note) => Some(note.after),
        None => identity.as_ref().and_then(|identity| identity.fenced_after),
    };
    Ok(JournalStatus {
        directory: path.display().to_string(),
        database_id: identity
            .as_ref()
            .map(|identity| graphstream::remote::DatabaseId::from_bytes(identity.database_id).to_string()),
        lineage: position.lineage.to_string(),
        legacy: identity.is_none(),
        written_sequence: position.sequence,
        sealed_sequence: sealed.last().map_or(0, |segment| segment.header.last_seq),
        chain_hash: (!hidden).then(|| position.chain_hash.to_string()),
        encryption_key: identity
            .as_ref()
            .and_then(|identity| identity.encryption_key)
            .map(|id| id.to_string()),
        plain_up_to: identity.as_ref().and_then(|identity| identity.plain_up_to),
        first_sequence: segments.first().map(|segment| segment.first_sequence),
        last_commit_ms: sealed.iter().map(|segment| commit_ms(&segment.header)).max(),
        sealed_segments: sealed.len() as u64,
        sealed_bytes: sealed.iter().map(|segment| segment.file_bytes).sum(),
        open_segments: (segments.len() - sealed.len()) as u64,
        writer,
        shipper,
        fenced_after,
        cursors: cursors.collect(),
        held_bytes: held.bytes,
        held_segments: held.segments,
        outage,
    })
}

fn outage(dir: &JournalDir) -> Result<OutageNote, Failure> {
    Ok(match dir.outage()? {
        Some(note) => OutageNote { state: note.state, since_ms: Some(note.since_ms) },
        None => OutageNote { state: "healthy".to_owned(), since_ms: None },
    })
}

fn needs_key(error: &journal::Error) -> bool {
    let journal::Error::Segment { source, .. } = error else { return false };
    matches!(**source, format::Error::KeyRequired { .. })
}

/// When the last entry of a sealed segment was committed. The predecessor kept no such time: its reader takes the segment's.
fn commit_ms(header: &Header) -> i64 {
    if header.is_legacy() { header.created_ms } else { header.last_commit_ms }
}

fn read_store(url: &StoreUrl, database: DatabaseName, keys: &StoreKeyArgs) -> Result<StoreStatus, Failure> {
    let runtime = store::runtime()?;
    let opening = store::open(url, database.clone(), Access::Read);
    let remote = runtime.block_on(async { keys.give(opening.await?).await })?;
    let describe = remote.backend().describe();
    let mut reader = HeadReader::new(remote)?;
    let HeadPoll::Changed(stored) = runtime.block_on(reader.poll())? else {
        let database = database.to_string();
        return Err(graphstream::replication::Error::NoDatabase { database, store: describe }.into());
    };
    let head = &stored.head;
    let committed = head.committed();
    Ok(StoreStatus {
        url: url.to_string(),
        database: database.to_string(),
        database_id: head.database_id().to_string(),
        lineage: head.lineage().to_string(),
        epoch: head.epoch(),
        revision: head.revision(),
        committed_sequence: committed.sequence,
        committed_commit_ms: committed.commit_ms,
        committed_chain_hash: committed.chain.hash().map(|hash| hash.to_string()),
        encryption_key: committed.chain.key_id().map(|id| id.to_string()),
        plain_up_to: head.plain_up_to().filter(|last| *last > 0),
        window_segments: head.segments().len(),
        window_bytes: head.segments().iter().map(|segment| segment.size).sum(),
        epochs: head
            .epochs()
            .iter()
            .map(|row| Epoch { epoch: row.epoch, start_sequence: row.start_sequence })
            .collect(),
    })
}

fn rpo(journal: &JournalStatus, committed_sequence: u64, committed_commit_ms: i64, lineage: &str) -> Rpo {
    let entries = journal.written_sequence.saturating_sub(committed_sequence);
    // How old the oldest entry is that is not stored; its commit time is not before the last stored one's.
    let seconds = match entries {
        0 => Some(0.0),
        _ if committed_sequence == 0 => None,
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        _ => Some((times::now_ms().saturating_sub(committed_commit_ms)).max(0) as f64 / 1000.0),
    };
    Rpo { entries, seconds, same_history: journal.lineage == lineage }
}

fn print(out: &mut Out, status: &Status) -> Result<(), Failure> {
    let palette = Palette::stdout();
    let ago = |ms: i64| times::span(u64::try_from(times::now_ms().saturating_sub(ms)).unwrap_or(0));
    if let Some(journal) = &status.journal {
        out.line(palette.head(format_args!("journal {}", journal.directory)))?;
        if let Some(id) = &journal.database_id {
            out.line(format_args!("  database id  {id}"))?;
        }
        let legacy = if journal.legacy { "  (a journal of the predecessor)" } else { "" };
        out.line(format_args!("  lineage      {}{legacy}", journal.lineage))?;
        out.line(format_args!("  writer       {}", journal.writer))?;
        out.line(format_args!("  shipper      {}", journal.shipper))?;
        out.line(format_args!(
            "  segments     {} sealed ({}), {} open",
            count(journal.sealed_segments),
            bytes(journal.sealed_bytes),
            journal.open_segments
        ))?;
        let first = journal.first_sequence.map_or(String::new(), |first| format!(", from {}", count(first)));
        out.line(format_args!(
            "  entries      written {}, sealed {}{first}",
            count(journal.written_sequence),
            count(journal.sealed_sequence)
        ))?;
        match &journal.chain_hash {
            Some(chain_hash) => out.line(format_args!("  chain hash   {chain_hash}"))?,
            None => out.line("  chain hash   takes the key (--encryption-key-file FILE)")?,
        }
        if let Some(key) = &journal.encryption_key {
            let plain = journal
                .plain_up_to
                .map_or(String::new(), |last| format!(", segments up to sequence {} are plain", count(last)));
            out.line(format_args!("  encrypted    with key {key}{plain}"))?;
        }
        if let Some(after) = journal.fenced_after {
            out.line(format_args!(
                "  {}       after sequence {after}: another leader has taken over",
                palette.error("fenced")
            ))?;
        }
        for cursor in &journal.cursors {
            let what = if cursor.name == UPLOADER_CURSOR { " (stored)" } else { "" };
            out.line(format_args!(
                "  cursor       {} at {}{what}, {} behind, moved {} ago",
                cursor.name,
                count(cursor.sequence),
                counted(cursor.lag_entries, "entry", "entries"),
                times::span(cursor.age_ms)
            ))?;
        }
    }
    if let Some(journal) = status.journal.as_ref().filter(|journal| !journal.cursors.is_empty()) {
        out.line(format_args!(
            "  held back    {} ({})",
            counted(journal.held_segments as u64, "segment", "segments"),
            bytes(journal.held_bytes)
        ))?;
    }
    if let Some(outage) = status.journal.as_ref().and_then(|journal| journal.outage.as_ref()) {
        match outage.since_ms {
            None => out.line(format_args!("  shipping     {}", palette.good(&outage.state)))?,
            Some(since) => {
                out.line(format_args!("  shipping     {} for {}", palette.error(&outage.state), ago(since)))?;
            }
        }
    }
    if let Some(store) = &status.store {
        out.line(palette.head(format_args!("store {} database {}", store.url, store.database)))?;
        out.line(format_args!("  database id  {}", store.database_id))?;
        out.line(format_args!("  lineage      {}", store.lineage))?;
        out.line(format_args!("  head         epoch {}, revision {}", store.epoch, store.revision))?;
        let when = if store.committed_sequence == 0 {
            String::new()
        } else {
            format!(
                ", {} ({} ago)",
                times::rfc3339(store.committed_commit_ms),
                ago(store.committed_commit_ms)
            )
        };
        out.line(format_args!("  committed    {}{when}", count(store.committed_sequence)))?;
        if let Some(chain_hash) = &store.committed_chain_hash {
            out.line(format_args!("  chain hash   {chain_hash}"))?;
        }
        if let Some(key) = &store.encryption_key {
            let plain = store
                .plain_up_to
                .map_or(String::new(), |last| format!(", segments up to sequence {} are plain", count(last)));
            out.line(format_args!("  encrypted    with key {key}{plain}"))?;
        }
        out.line(format_args!(
            "  window       {} ({})",
            counted(store.window_segments as u64, "segment", "segments"),
            bytes(store.window_bytes)
        ))?;
    }
    if let Some(target) = &status.target {
        target.print(out)?;
    }
    if let Some(bucket) = &status.bucket {
        bucket.print(out)?;
    }
    if let Some(rpo) = &status.rpo {
        let text = if !rpo.same_history {
            palette.error("the journal and the store hold different histories").to_string()
        } else if rpo.entries == 0 {
            palette.good("0 entries: everything written is stored").to_string()
        } else {
            let since = rpo.seconds.map_or(String::new(), |seconds| format!(", {seconds:.1} s"));
            format!("{}{since}", counted(rpo.entries, "entry", "entries"))
        };
        out.line(format_args!("{} {text}", palette.head("RPO")))?;
    }
    Ok(())
}
