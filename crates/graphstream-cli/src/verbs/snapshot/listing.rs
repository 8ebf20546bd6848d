//! `snapshot list` and `snapshot show`.

use graphstream::remote::{ErrorKind, SnapshotListing, SnapshotManifest};
use serde::Serialize;

use super::{From, List, Show};
use crate::failure::{Failure, Kind, warn};
use crate::out::Out;
use crate::store::{self, Access};
use crate::terminal::{Palette, bytes, count, counted};
use crate::times;

/// A snapshot in `--json`.
#[derive(Serialize)]
struct Row {
    snapshot: String,
    complete: bool,
    sequence: u64,
    epoch: u32,
    commit_ms: i64,
    /// Data objects, also of attempts that were given up.
    objects: u64,
    object_bytes: u64,
    modified_ms: i64,
    #[serde(flatten)]
    manifest: Option<ManifestRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What its manifest says.
#[derive(Serialize)]
pub(super) struct ManifestRow {
    engine: String,
    engine_version: String,
    /// The key that it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    chain_hash: String,
    lineage: String,
    created_ms: i64,
    parts: usize,
    stored_bytes: u64,
    file_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileRow>>,
}

#[derive(Serialize)]
struct FileRow {
    path: String,
    bytes: u64,
    sha256: String,
}

impl ManifestRow {
    pub(super) fn of(manifest: &SnapshotManifest, with_files: bool) -> Self {
        let file = |file: &graphstream::remote::SnapshotFile| FileRow {
            path: file.path.to_string(),
            bytes: file.size,
            sha256: file.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Self {
            engine: manifest.engine.name.clone(),
            engine_version: manifest.engine.version.clone(),
            key_id: manifest.key_id().map(|id| id.to_string()),
            chain_hash: manifest.chain_hash.to_string(),
            lineage: manifest.lineage.to_string(),
            created_ms: manifest.created_ms,
            parts: manifest.parts.len(),
            stored_bytes: manifest.stored_bytes(),
            file_bytes: manifest.file_bytes(),
            files: with_files.then(|| manifest.files.iter().map(file).collect()),
        }
    }
}

fn rows(place: &From) -> Result<(Vec<Row>, Option<Failure>), Failure> {
    let runtime = store::runtime()?;
    runtime.block_on(async {
        let remote = store::open(&place.url, place.database.clone(), Access::Read).await?;
        let remote = place.keys.give(remote).await?;
        let (mut rows, mut damage) = (Vec::new(), None);
        for listing in remote.list_snapshots().await? {
            let SnapshotListing { name, is_complete, objects, bytes, modified_ms, .. } = listing;
            let mut row = Row {
                snapshot: name.to_string(),
                complete: is_complete,
                sequence: name.sequence(),
                epoch: name.epoch(),
                commit_ms: name.commit_ms(),
                objects,
                object_bytes: bytes,
                modified_ms,
                manifest: None,
                problem: None,
            };
            if is_complete {
                match remote.read_snapshot_manifest(&name).await {
                    Ok(Some(manifest)) => row.manifest = Some(ManifestRow::of(&manifest, true)),
                    Ok(None) => row.complete = false,
                    // One that is damaged hides no other.
                    Err(error) if error.kind().is_integrity() || error.kind() == ErrorKind::Key => {
                        let failure = Failure::from(error);
                        row.problem = Some(failure.sentence());
                        damage.get_or_insert(failure);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            rows.push(row);
        }
        Ok((rows, damage))
    })
}

pub(super) fn list(args: &List) -> Result<(), Failure> {
    let (mut rows, damage) = rows(&args.place)?;
    let (mut out, palette) = (Out::new(), Palette::stdout());
    if rows.is_empty() && !args.json {
        out.line("no snapshots")?;
    }
    for row in &mut rows {
        if let Some(manifest) = &mut row.manifest {
            manifest.files = None;
        }
        if args.json {
            out.json(row)?;
            continue;
        }
        let head = palette.head(format!("sequence {}", count(row.sequence)));
        match (&row.manifest, &row.problem) {
            (Some(manifest), _) => out.line(format_args!(
                "{head}  committed {}  {} in {}  {} {}  made {}",
                times::rfc3339(row.commit_ms),
                bytes(manifest.file_bytes),
                bytes(manifest.stored_bytes),
                manifest.engine,
                manifest.engine_version,
                times::rfc3339(manifest.created_ms)
            ))?,
            (None, Some(problem)) => out.line(format_args!("{head}  {}", palette.error(problem)))?,
            (None, None) => out.line(format_args!(
                "{head}  {}: {} of {} that nothing uses",
                palette.warning("incomplete"),
                counted(row.objects, "object", "objects"),
                bytes(row.object_bytes)
            ))?,
        }
    }
    out.flush()?;
    damage.map_or(Ok(()), Err)
}

pub(super) fn show(args: &Show) -> Result<(), Failure> {
    let (rows, damage) = rows(&args.place)?;
    let wanted = |row: &&Row| args.sequence.is_none_or(|sequence| row.sequence == sequence);
    let found = rows.iter().rev().find(|row| wanted(row) && row.manifest.is_some());
    let Some((row, manifest)) = found.and_then(|row| Some((row, row.manifest.as_ref()?))) else {
        if let Some(damage) = damage {
            return Err(damage);
        }
        let what = args
            .sequence
            .map_or_else(|| "no snapshot".to_owned(), |n| format!("no snapshot of sequence {n}"));
        let message = format!("there is {what} of database {}", args.place.database);
        return Err(Failure::new(Kind::Usage, message)
            .hint("graphstream snapshot list --from URL --database NAME shows all"));
    };
    let mut out = Out::new();
    if args.json {
        out.json(row)?;
        return out.flush();
    }
    if rows.iter().filter(wanted).count() > 1 && args.sequence.is_some() {
        warn("there are several of this sequence, of different epochs: this is the newest");
    }
    let palette = Palette::stdout();
    out.line(palette.head(format_args!("snapshot {}", row.snapshot)))?;
    out.line(format_args!(
        "  sequence    {}, committed {}",
        count(row.sequence),
        times::rfc3339(row.commit_ms)
    ))?;
    out.line(format_args!("  chain hash  {}", manifest.chain_hash))?;
    out.line(format_args!("  lineage     {}, epoch {}", manifest.lineage, row.epoch))?;
    out.line(format_args!("  engine      {} {}", manifest.engine, manifest.engine_version))?;
    if let Some(id) = &manifest.key_id {
        out.line(format_args!("  key         {id}"))?;
    }
    out.line(format_args!("  made        {}", times::rfc3339(manifest.created_ms)))?;
    out.line(format_args!(
        "  stored      {} in {}",
        bytes(manifest.stored_bytes),
        counted(manifest.parts as u64, "object", "objects")
    ))?;
    for file in manifest.files.iter().flatten() {
        out.line(format_args!("  {}  {}  sha256 {}", file.path, bytes(file.bytes), file.sha256))?;
    }
    out.flush()
}
