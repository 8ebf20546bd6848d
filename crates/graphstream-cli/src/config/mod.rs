//! What `replicate` runs with: `graphstream.toml`, then `GRAPHSTREAM_*` of the environment, then flags; the later wins.
//!
//! ```text
//!   file (its line) ──┐
//!   environment ──────┼──▶ Settings: each value with its origin ──▶ replicate, config show
//!   flags ────────────┘
//! ```
//! A file is read only where it is named (`--config`, `GRAPHSTREAM_CONFIG`): a daemon that picks up a file because of the
//! directory it happens to start in ships the wrong databases.

mod file;
mod setting;
mod snapshot;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::setting::{Origin, Setting};
pub(crate) use self::snapshot::SnapshotSettings;
use crate::cli::Global;
use crate::failure::{Failure, Kind};
use crate::keys::{self, KeyFiles, StoreKeyArgs};
use crate::logs::{Filter, Format};
use crate::store::StoreUrl;
use crate::verbs::verify::Depth;
use crate::{http, sizes, times};
use graphstream::remote::DatabaseName;
use graphstream::replication::CacheOptions;

/// The variable that names the file.
pub(crate) const CONFIG_VARIABLE: &str = "GRAPHSTREAM_CONFIG";

/// Segments that one process uploads at the same time, of all its databases.
const PROCESS_UPLOADS_MAX: u16 = 16;

/// What may be said for all databases, on the command line or in the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Overrides {
    /// How often new segments are looked for [default: 10s]
    #[arg(long, value_name = "TIME", env = "GRAPHSTREAM_UPLOAD_INTERVAL", hide_env_values = true, value_parser = times::parse_duration)]
    pub(crate) upload_interval: Option<Duration>,
    /// Segments of one database uploaded at the same time [default: 4]
    #[arg(long, value_name = "N", env = "GRAPHSTREAM_UPLOADS_MAX", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) uploads_max: Option<u16>,
    /// The --held-bytes-max of the process that appends, in bytes: then status and metrics tell when it is exhausted
    #[arg(long, value_name = "BYTES", env = "GRAPHSTREAM_HELD_BYTES_MAX", hide_env_values = true, value_parser = sizes::parse)]
    pub(crate) held_bytes_max: Option<u64>,
    /// Lead also in a store that does not keep conditions on writes: there a second leader, or a late request, costs stored entries
    #[arg(long)]
    pub(crate) allow_unconditional_store: bool,
    /// Upload sealed segments without reading their entries again: damage on this disk is then found by followers only
    #[arg(long)]
    pub(crate) no_verify_before_archive: bool,
    /// Remove local segments as soon as they are published and no cursor holds them back
    #[arg(long)]
    pub(crate) delete_after_archive: bool,
    /// How long published segments stay on the local disk [default: 1h]
    #[arg(long, value_name = "TIME", env = "GRAPHSTREAM_CACHE_AGE_MAX", hide_env_values = true, value_parser = times::parse_duration)]
    pub(crate) cache_age_max: Option<Duration>,
    /// How many bytes of published segments stay on the local disk [default: 256MiB]
    #[arg(long, value_name = "BYTES", env = "GRAPHSTREAM_CACHE_BYTES_MAX", hide_env_values = true, value_parser = sizes::parse)]
    pub(crate) cache_bytes_max: Option<u64>,
    /// A published database without its journal (a lost disk, not a wrong path): begin one right behind the head. Say it for one start
    #[arg(long)]
    pub(crate) continue_from_head: bool,
    #[command(flatten)]
    pub(crate) keys: StoreKeyArgs,
    /// Serve /metrics, /healthz, /readyz and /status over HTTP: a port (on 127.0.0.1), or ADDR:PORT
    #[arg(long, visible_alias = "metrics", value_name = "ADDR", env = "GRAPHSTREAM_HTTP", hide_env_values = true, value_parser = http::parse)]
    pub(crate) http: Option<SocketAddr>,
    /// How long what is sealed is still shipped after SIGTERM or ctrl-C [default: 60s]
    #[arg(long, value_name = "TIME", env = "GRAPHSTREAM_DRAIN_TIMEOUT", hide_env_values = true, value_parser = times::parse_duration)]
    pub(crate) drain_timeout: Option<Duration>,
}

/// What one database is shipped with.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseSettings {
    pub(crate) name: Setting<DatabaseName>,
    pub(crate) journal: Setting<PathBuf>,
    pub(crate) to: Setting<StoreUrl>,
    pub(crate) upload_interval: Setting<Duration>,
    pub(crate) uploads_max: Setting<u16>,
    pub(crate) allow_unconditional_store: Setting<bool>,
    pub(crate) verify_before_archive: Setting<bool>,
    pub(crate) delete_after_archive: Setting<bool>,
    pub(crate) cache_age_max: Setting<Duration>,
    pub(crate) cache_bytes_max: Setting<u64>,
    pub(crate) continue_from_head: Setting<bool>,
    /// How often what is published is verified.
    pub(crate) verify_interval: Setting<Option<Duration>>,
    pub(crate) verify_depth: Setting<Depth>,
    /// Files with the keys of an encrypted database, the current one first; none for a plain one.
    pub(crate) encryption_key_files: Setting<Vec<PathBuf>>,
    /// Files with the master key of the keys in its store's `keys.json`.
    pub(crate) encryption_master_key_files: Setting<Vec<PathBuf>>,
    /// Of the process that appends; only said to tell of it.
    pub(crate) held_bytes_max: Setting<Option<u64>>,
    /// How it is copied on a schedule, if it is.
    pub(crate) snapshot: Option<SnapshotSettings>,
}

/// What the process runs with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) log_level: Setting<Option<Filter>>,
    pub(crate) log_format: Setting<Format>,
    pub(crate) http: Setting<Option<SocketAddr>>,
    /// Of all databases together.
    pub(crate) uploads_max: Setting<u16>,
    pub(crate) drain_timeout: Setting<Duration>,
    pub(crate) databases: Vec<DatabaseSettings>,
}

/// One row of `config show`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Row {
    pub(crate) key: String,
    /// `null`: not set.
    pub(crate) value: Option<String>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// The one database that flags name.
#[derive(Debug)]
pub(crate) struct OnlyDatabase {
    pub(crate) name: DatabaseName,
    pub(crate) journal: PathBuf,
    pub(crate) to: StoreUrl,
}

impl DatabaseSettings {
    /// Where its keys are.
    pub(crate) fn keys(&self) -> KeyFiles {
        let (data, masters) = (&self.encryption_key_files, &self.encryption_master_key_files);
        KeyFiles { data: data.value.clone(), masters: masters.value.clone() }
    }
}

impl Settings {
    /// Of one database that flags name, without a file.
    ///
    /// # Errors
    /// None that flags can cause.
    pub(crate) fn of_flags(
        only: OnlyDatabase,
        overrides: &Overrides,
        global: &Global,
    ) -> Result<Self, Failure> {
        let database = file::Database {
            name: Setting::new(only.name, setting::of_call("--database", "GRAPHSTREAM_DATABASE")),
            journal: Setting::new(only.journal, setting::of_call("--journal", "GRAPHSTREAM_JOURNAL")),
            to: Some(Setting::new(only.to, setting::of_call("--to", "GRAPHSTREAM_TO"))),
            options: file::Options::default(),
            snapshot: None,
        };
        let file = file::File { databases: vec![database], ..file::File::default() };
        Self::layered(None, file, overrides, global)
    }

    /// Of a file.
    ///
    /// # Errors
    /// A failure with line and column for whatever in it can't work.
    pub(crate) fn of_file(path: &Path, overrides: &Overrides, global: &Global) -> Result<Self, Failure> {
        let file = file::read(path)?;
        Self::layered(Some(path), file, overrides, global)
    }

    fn none() -> Self {
        Self {
            file: None,
            log_level: Setting::default_value(None),
            log_format: Setting::default_value(Format::Text),
            http: Setting::default_value(None),
            uploads_max: Setting::default_value(PROCESS_UPLOADS_MAX),
            drain_timeout: Setting::default_value(Duration::from_secs(60)),
            databases: Vec::new(),
        }
    }

    fn layered(
        path: Option<&Path>,
        file: file::File,
        overrides: &Overrides,
        global: &Global,
    ) -> Result<Self, Failure> {
        let none = Self::none();
        let mut settings = Self {
            file: path.map(Path::to_path_buf),
            log_level: setting::layer(
                global.log_level.clone().map(|level| (Some(level), ("--log-level", "GRAPHSTREAM_LOG"))),
                [file.log_level.map(|level| level.map(Some))],
                none.log_level,
            ),
            log_format: setting::layer(
                global.log_format.map(|format| (format, ("--log-format", "GRAPHSTREAM_LOG_FORMAT"))),
                [file.log_format],
                none.log_format,
            ),
            http: setting::layer(
                overrides.http.map(|address| (Some(address), ("--http", "GRAPHSTREAM_HTTP"))),
                [file.http.map(|address| address.map(Some))],
                none.http,
            ),
            uploads_max: file.uploads_max.unwrap_or(none.uploads_max),
            drain_timeout: setting::layer(
                overrides.drain_timeout.map(|time| (time, ("--drain-timeout", "GRAPHSTREAM_DRAIN_TIMEOUT"))),
                [file.drain_timeout],
                none.drain_timeout,
            ),
            databases: Vec::with_capacity(file.databases.len()),
        };
        for database in file.databases {
            let options = [database.options, file.defaults.clone()];
            let of = |pick: fn(&file::Options) -> Option<Setting<u16>>| options.each_ref().map(pick);
            let Some(to) = database.to.or_else(|| file.default_to.clone()) else {
                let message =
                    format!("the database {} has no `to`, and [defaults] has none", database.name.value);
                return Err(Failure::new(Kind::Usage, message)
                    .hint("to = \"s3://bucket/prefix\" in its [[database]], or in [defaults] for all"));
            };
            settings.databases.push(DatabaseSettings {
                upload_interval: setting::layer(
                    overrides
                        .upload_interval
                        .map(|time| (time, ("--upload-interval", "GRAPHSTREAM_UPLOAD_INTERVAL"))),
                    options.each_ref().map(|options| options.upload_interval.clone()),
                    Setting::default_value(Duration::from_secs(10)),
                ),
                uploads_max: setting::layer(
                    overrides.uploads_max.map(|max| (max, ("--uploads-max", "GRAPHSTREAM_UPLOADS_MAX"))),
                    of(|options| options.uploads_max.clone()),
                    Setting::default_value(4),
                ),
                allow_unconditional_store: setting::layer(
                    overrides
                        .allow_unconditional_store
                        .then_some((true, ("--allow-unconditional-store", ""))),
                    options.each_ref().map(|options| options.allow_unconditional_store.clone()),
                    Setting::default_value(false),
                ),
                verify_before_archive: setting::layer(
                    overrides.no_verify_before_archive.then_some((false, ("--no-verify-before-archive", ""))),
                    options.each_ref().map(|options| options.verify_before_archive.clone()),
                    Setting::default_value(true),
                ),
                delete_after_archive: setting::layer(
                    overrides.delete_after_archive.then_some((true, ("--delete-after-archive", ""))),
                    options.each_ref().map(|options| options.delete_after_archive.clone()),
                    Setting::default_value(false),
                ),
                cache_age_max: setting::layer(
                    overrides
                        .cache_age_max
                        .map(|time| (time, ("--cache-age-max", "GRAPHSTREAM_CACHE_AGE_MAX"))),
                    options.each_ref().map(|options| options.cache_age_max.clone()),
                    Setting::default_value(CacheOptions::default().age_max),
                ),
                cache_bytes_max: setting::layer(
                    overrides
                        .cache_bytes_max
                        .map(|bytes| (bytes, ("--cache-bytes-max", "GRAPHSTREAM_CACHE_BYTES_MAX"))),
                    options.each_ref().map(|options| options.cache_bytes_max.clone()),
                    Setting::default_value(CacheOptions::default().bytes_max),
                ),
                verify_interval: setting::layer(
                    None,
                    options
                        .each_ref()
                        .map(|options| options.verify_interval.clone().map(|said| said.map(Some))),
                    Setting::default_value(None),
                ),
                verify_depth: setting::layer(
                    None,
                    options.each_ref().map(|options| options.verify_depth.clone()),
                    Setting::default_value(Depth::List),
                ),
                continue_from_head: setting::layer(
                    overrides.continue_from_head.then_some((true, ("--continue-from-head", ""))),
                    options.each_ref().map(|options| options.continue_from_head.clone()),
                    Setting::default_value(false),
                ),
                encryption_key_files: setting::layer(
                    Some(overrides.keys.files().data)
                        .filter(|files| !files.is_empty())
                        .map(|files| (files, (keys::FLAG, keys::VARIABLE))),
                    options.each_ref().map(|options| options.encryption_key_files.clone()),
                    Setting::default_value(Vec::new()),
                ),
                encryption_master_key_files: setting::layer(
                    Some(overrides.keys.files().masters)
                        .filter(|files| !files.is_empty())
                        .map(|files| (files, (keys::MASTER_FLAG, keys::MASTER_VARIABLE))),
                    options.each_ref().map(|options| options.encryption_master_key_files.clone()),
                    Setting::default_value(Vec::new()),
                ),
                held_bytes_max: setting::layer(
                    overrides
                        .held_bytes_max
                        .map(|bytes| (Some(bytes), ("--held-bytes-max", "GRAPHSTREAM_HELD_BYTES_MAX"))),
                    options
                        .each_ref()
                        .map(|options| options.held_bytes_max.clone().map(|said| said.map(Some))),
                    Setting::default_value(None),
                ),
                name: database.name,
                journal: database.journal,
                snapshot: database.snapshot,
                to,
            });
        }
        settings.refuse_twice()?;
        Ok(settings)
    }

    /// Two shippers of one journal exclude each other, and two journals in one name are two histories.
    fn refuse_twice(&self) -> Result<(), Failure> {
        for (index, one) in self.databases.iter().enumerate() {
            for other in self.databases.iter().skip(index + 1) {
                let line = |origin: &Origin| origin.line().unwrap_or(0);
                let (twice, lines) = if one.name.value == other.name.value {
                    let lines = (line(&one.name.origin), line(&other.name.origin));
                    (format!("the database name {}", one.name.value), lines)
                } else if one.journal.value == other.journal.value {
                    let lines = (line(&one.journal.origin), line(&other.journal.origin));
                    (format!("the journal {}", one.journal.value.display()), lines)
                } else {
                    continue;
                };
                let message = format!("{twice} is given twice, in lines {} and {}", lines.0, lines.1);
                let failure = Failure::new(Kind::Usage, message).hint("one [[database]] for each");
                return Err(failure.place(|place| place.line = Some(lines.1)));
            }
        }
        Ok(())
    }

    /// Everything, in the order of the file.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            row("log.level", &self.log_level, |level| level.as_ref().map(|level| level.text().to_owned())),
            row("log.format", &self.log_format, |format| Some(format.to_string())),
            row("http.address", &self.http, |address| address.map(|address| address.to_string())),
            row("upload.uploads_max", &self.uploads_max, |max| Some(max.to_string())),
            row("drain_timeout", &self.drain_timeout, shown),
        ];
        for database in &self.databases {
            let key = |name: &str| format!("database.{}.{name}", database.name.value);
            rows.extend([
                row(key("name"), &database.name, |name| Some(name.to_string())),
                row(key("journal"), &database.journal, |path| Some(path.display().to_string())),
                row(key("to"), &database.to, |to| Some(to.as_str().to_owned())),
                row(key("upload_interval"), &database.upload_interval, shown),
                row(key("uploads_max"), &database.uploads_max, |max| Some(max.to_string())),
                row(key("allow_unconditional_store"), &database.allow_unconditional_store, |allow| {
                    Some(allow.to_string())
                }),
                row(key("verify_before_archive"), &database.verify_before_archive, |it| Some(it.to_string())),
                row(key("delete_after_archive"), &database.delete_after_archive, |it| Some(it.to_string())),
                row(key("cache_age_max"), &database.cache_age_max, shown),
                row(key("cache_bytes_max"), &database.cache_bytes_max, |max| Some(max.to_string())),
                row(key("held_bytes_max"), &database.held_bytes_max, |max| max.map(|max| max.to_string())),
                row(key("continue_from_head"), &database.continue_from_head, |it| Some(it.to_string())),
                row(key("verify_interval"), &database.verify_interval, |interval| {
                    interval.as_ref().and_then(shown)
                }),
                row(key("verify_depth"), &database.verify_depth, |depth| Some(depth.name().to_owned())),
                row(key("encryption_key_file"), &database.encryption_key_files, |files| shown_files(files)),
                row(key("encryption_master_key_file"), &database.encryption_master_key_files, |files| {
                    shown_files(files)
                }),
            ]);
            rows.extend(database.snapshot.iter().flat_map(|snapshot| snapshot.rows(key)));
        }
        rows
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a row's value may be absent")]
fn shown(duration: &Duration) -> Option<String> {
    Some(humantime::format_duration(*duration).to_string())
}

fn shown_files(files: &[PathBuf]) -> Option<String> {
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    (!files.is_empty()).then(|| files.join(":"))
}

fn row<T>(key: impl Into<String>, setting: &Setting<T>, shown: impl FnOnce(&T) -> Option<String>) -> Row {
    Row { key: key.into(), value: shown(&setting.value), origin: setting.origin.clone() }
}
