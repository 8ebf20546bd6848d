//! `graphstream.toml`: its shape, and what is wrong with it, by line and column.
//!
//! ```toml
//! drain_timeout = "60s"
//!
//! [log]
//! level = "info"                    # as --log-level
//! format = "json"                   # text, json
//!
//! [http]
//! address = "127.0.0.1:9464"
//!
//! [upload]
//! uploads_max = 16                  # segments at the same time, of all databases
//!
//! [defaults]                        # of every database
//! to = "s3://bucket/graphs?region=eu-central-1"
//! upload_interval = "10s"
//! uploads_max = 4
//! allow_unconditional_store = false
//! verify_before_archive = true
//! delete_after_archive = false
//! cache_age_max = "1h"              # what is published stays on the local disk for so long
//! cache_bytes_max = "256MiB"        # but no more of it
//! held_bytes_max = "1GiB"           # the disk budget of whoever appends, to tell when it is exhausted; not known without
//! encryption_key_file = "people.key" # of encrypted databases; several as a list, the current one first; relative to the file
//! encryption_master_key_file = "master.key"  # of the keys in the store's keys.json, if they are there
//! continue_from_head = false        # whether a database whose journal is gone begins one behind its head
//! verify_interval = "24h"           # how often what is published is verified; not without
//! verify_depth = "list"             # list, chain, replay
//!
//! [[database]]
//! name = "people"
//! journal = "/srv/people/journal"   # relative to the file
//! # to and all else of [defaults]: instead of it
//!
//! [database.snapshot]               # copies of this database in its store, on a schedule
//! source = "grafeo:people.grafeo"   # or jsonl:PATH; or exec:COMMAND, with path and engine
//! interval = "24h"                  # so long after the last one,
//! entries = 1000000                 # or after so many entries
//! quiesce = "people-ctl pause"      # its writers stand still, with everything in the files
//! resume = "people-ctl go-on"
//! staging = "/var/tmp"              # where the copy is made
//! ```
//! Nothing else is taken: a key that is not known is an error, and none holds a secret.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use graphstream::remote::DatabaseName;
use serde::Deserialize;
use toml::Spanned;

use super::snapshot::{RawSnapshot, SnapshotSettings};
use super::{Origin, Setting};
use crate::failure::{Failure, Kind};
use crate::logs::{self, Filter, Format};
use crate::store::{self, StoreUrl};
use crate::verbs::verify::Depth;
use crate::{http, sizes, times};

/// A file is read whole; more than that is none.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The checked values of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) log_level: Option<Setting<Filter>>,
    pub(super) log_format: Option<Setting<Format>>,
    pub(super) http: Option<Setting<SocketAddr>>,
    pub(super) uploads_max: Option<Setting<u16>>,
    pub(super) drain_timeout: Option<Setting<Duration>>,
    pub(super) default_to: Option<Setting<StoreUrl>>,
    pub(super) defaults: Options,
    pub(super) databases: Vec<Database>,
}

/// How databases are shipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) upload_interval: Option<Setting<Duration>>,
    pub(super) uploads_max: Option<Setting<u16>>,
    pub(super) allow_unconditional_store: Option<Setting<bool>>,
    pub(super) verify_before_archive: Option<Setting<bool>>,
    pub(super) delete_after_archive: Option<Setting<bool>>,
    pub(super) cache_age_max: Option<Setting<Duration>>,
    pub(super) cache_bytes_max: Option<Setting<u64>>,
    pub(super) held_bytes_max: Option<Setting<u64>>,
    pub(super) continue_from_head: Option<Setting<bool>>,
    pub(super) verify_interval: Option<Setting<Duration>>,
    pub(super) verify_depth: Option<Setting<Depth>>,
    pub(super) encryption_key_files: Option<Setting<Vec<PathBuf>>>,
    pub(super) encryption_master_key_files: Option<Setting<Vec<PathBuf>>>,
}

/// One `[[database]]`.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) name: Setting<DatabaseName>,
    pub(super) journal: Setting<PathBuf>,
    pub(super) to: Option<Setting<StoreUrl>>,
    pub(super) options: Options,
    pub(super) snapshot: Option<SnapshotSettings>,
}

pub(super) type Text = Option<Spanned<String>>;
type Number = Option<Spanned<u16>>;
type Truth = Option<Spanned<bool>>;
type Files = Option<Spanned<OneOrMore>>;

/// A text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    drain_timeout: Text,
    #[serde(default)]
    log: RawLog,
    #[serde(default)]
    http: RawHttp,
    #[serde(default)]
    upload: RawUpload,
    #[serde(default)]
    defaults: RawDefaults,
    #[serde(default)]
    database: Vec<RawDatabase>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    level: Text,
    format: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    address: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpload {
    uploads_max: Number,
}

/// A table with `to` and the options of a database. (A flattened struct would let unknown keys pass.)
macro_rules! with_options {
    ($(#[$attribute:meta])* struct $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($field: $type,)*
            to: Text,
            upload_interval: Text,
            uploads_max: Number,
            allow_unconditional_store: Truth,
            verify_before_archive: Truth,
            delete_after_archive: Truth,
            cache_age_max: Text,
            cache_bytes_max: Text,
            held_bytes_max: Text,
            continue_from_head: Truth,
            verify_interval: Text,
            verify_depth: Text,
            encryption_key_file: Files,
            encryption_master_key_file: Files,
        }

        impl $name {
            fn options(&mut self, located: &Located<'_>, base: &Path) -> Result<Options, Wrong> {
                Ok(Options {
                    upload_interval: located.text(self.upload_interval.take(), times::parse_duration)?,
                    uploads_max: located.number(self.uploads_max.take(), 64)?,
                    allow_unconditional_store: located.plain(self.allow_unconditional_store.take()),
                    verify_before_archive: located.plain(self.verify_before_archive.take()),
                    delete_after_archive: located.plain(self.delete_after_archive.take()),
                    cache_age_max: located.text(self.cache_age_max.take(), times::parse_duration)?,
                    cache_bytes_max: located.text(self.cache_bytes_max.take(), sizes::parse)?,
                    held_bytes_max: located.text(self.held_bytes_max.take(), sizes::parse)?,
                    continue_from_head: located.plain(self.continue_from_head.take()),
                    verify_interval: located.text(self.verify_interval.take(), times::parse_duration)?,
                    verify_depth: located.text(self.verify_depth.take(), Depth::parse)?,
                    encryption_key_files: located.files(self.encryption_key_file.take(), base)?,
                    encryption_master_key_files: located.files(self.encryption_master_key_file.take(), base)?,
                })
            }
        }
    };
}

with_options! {
    #[derive(Default)]
    struct RawDefaults {}
}

with_options! {
    struct RawDatabase {
        name: Spanned<String>,
        journal: Spanned<String>,
        snapshot: Option<RawSnapshot>,
    }
}

/// Reads and checks a file.
pub(super) fn read(path: &Path) -> Result<File, Failure> {
    let unreadable = |error| Failure::opening(path, Kind::Usage, &error);
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("{} is no configuration: it has {bytes} bytes", path.display());
        return Err(Failure::new(Kind::Usage, message).file(path));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    // A daemon's working directory is an accident of how it was started.
    let base = path.parent().unwrap_or(Path::new(""));
    parse(&text, base).map_err(|wrong| {
        let (line, column) = position(&text, wrong.offset);
        let message = format!("{}, line {line}, column {column}: {}", path.display(), wrong.message);
        let failure = Failure::new(Kind::Usage, message).file(path).place(|place| place.line = Some(line));
        failure.hint(wrong.hint.unwrap_or_else(|| {
            "graphstream config check FILE after each change; docs/operations.md has every key".to_owned()
        }))
    })
}

/// What is wrong, and where in the text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

fn parse(text: &str, base: &Path) -> Result<File, Wrong> {
    let mut raw: RawFile = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let (message, hint) = explained(error.message());
        Wrong { offset, message, hint }
    })?;
    let of = |offset| Origin::File { line: position(text, offset).0 };
    let located = Located { of: &of };
    let file = File {
        log_level: located.text(raw.log.level, logs::parse)?,
        log_format: located.text(raw.log.format, Format::parse)?,
        http: located.text(raw.http.address, http::parse)?,
        uploads_max: located.number(raw.upload.uploads_max, 1024)?,
        drain_timeout: located.text(raw.drain_timeout, times::parse_duration)?,
        default_to: located.text(raw.defaults.to.take(), store::parse_url)?,
        defaults: raw.defaults.options(&located, base)?,
        databases: {
            let check = |raw: RawDatabase| located.database(raw, base);
            raw.database.into_iter().map(check).collect::<Result<_, _>>()?
        },
    };
    if file.databases.is_empty() {
        let message = "there is no [[database]] in it".to_owned();
        let hint = "[[database]] with name, journal and to".to_owned();
        return Err(Wrong { offset: text.len(), message, hint: Some(hint) });
    }
    Ok(file)
}

/// Checks values where they stand.
pub(super) struct Located<'a> {
    of: &'a dyn Fn(usize) -> Origin,
}

impl Located<'_> {
    pub(super) fn one<T>(
        &self,
        raw: Spanned<String>,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Setting<T>, Wrong> {
        let offset = raw.span().start;
        let value = check(raw.get_ref()).map_err(|message| Wrong { offset, message, hint: None })?;
        Ok(Setting::new(value, (self.of)(offset)))
    }

    pub(super) fn text<T>(
        &self,
        raw: Text,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Setting<T>>, Wrong> {
        raw.map(|raw| self.one(raw, check)).transpose()
    }

    fn number(&self, raw: Number, max: u16) -> Result<Option<Setting<u16>>, Wrong> {
        let Some(raw) = raw else { return Ok(None) };
        let offset = raw.span().start;
        let value = raw.into_inner();
        if !(1..=max).contains(&value) {
            let message = format!("expected a number from 1 to {max}, found {value}");
            return Err(Wrong { offset, message, hint: None });
        }
        Ok(Some(Setting::new(value, (self.of)(offset))))
    }

    fn files(&self, raw: Files, base: &Path) -> Result<Option<Setting<Vec<PathBuf>>>, Wrong> {
        let Some(raw) = raw else { return Ok(None) };
        let offset = raw.span().start;
        let files = match raw.into_inner() {
            OneOrMore::One(file) => vec![file],
            OneOrMore::More(files) => files,
        };
        if files.is_empty() || files.iter().any(String::is_empty) {
            let message = "expected the path of a key file, or a list of them".to_owned();
            return Err(Wrong { offset, message, hint: None });
        }
        let files = files.iter().map(|file| base.join(file)).collect();
        Ok(Some(Setting::new(files, (self.of)(offset))))
    }

    pub(super) fn plain<T>(&self, raw: Option<Spanned<T>>) -> Option<Setting<T>> {
        raw.map(|raw| {
            let origin = (self.of)(raw.span().start);
            Setting::new(raw.into_inner(), origin)
        })
    }

    fn database(&self, mut raw: RawDatabase, base: &Path) -> Result<Database, Wrong> {
        let journal = |text: &str| match text {
            "" => Err("expected the journal's directory".to_owned()),
            text => Ok(base.join(text)),
        };
        let options = raw.options(self, base)?;
        Ok(Database {
            name: self.one(raw.name, store::parse_database)?,
            journal: self.one(raw.journal, journal)?,
            to: self.text(raw.to, store::parse_url)?,
            options,
            snapshot: raw.snapshot.map(|raw| raw.check(self, base)).transpose()?,
        })
    }
}

/// What the parser says, and what was probably meant. Its own rendering shows the line, in which a secret may stand.
fn explained(message: &str) -> (String, Option<String>) {
    let mut words = message.split('`').skip(1).step_by(2);
    let (Some(unknown), true) = (words.next(), message.starts_with("unknown field")) else {
        return (message.lines().collect::<Vec<_>>().join(" "), None);
    };
    let secret = ["secret", "password", "token", "access_key", "credential", "encryption_key"];
    if secret.iter().any(|word| unknown.to_ascii_lowercase().contains(word)) {
        let hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, a profile, or the machine's role";
        return (format!("`{unknown}`: no secret stands in this file"), Some(hint.to_owned()));
    }
    let known: Vec<&str> = words.collect();
    let distance = |known: &&&str| strsim::damerau_levenshtein(unknown, known);
    let nearest = known.iter().filter(|known| distance(known) <= 3).min_by_key(distance);
    let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
    (format!("there is no key `{unknown}` here; known are {}", known.join(", ")), hint)
}

/// Line and column, both from 1, columns in characters.
fn position(text: &str, offset: usize) -> (u64, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> (u64, usize, String, Option<String>) {
        let wrong = parse(text, Path::new("/etc")).unwrap_err();
        let (line, column) = position(text, wrong.offset);
        (line, column, wrong.message, wrong.hint)
    }

    const ONE: &str = "[[database]]\nname = \"people\"\njournal = \"people\"\nto = \"memory:\"\n";

    #[test]
    fn a_file_says_what_it_says_and_where() {
        let file = parse(ONE, Path::new("/etc/graphstream")).unwrap();
        let people = &file.databases[0];
        assert_eq!(people.journal.value, Path::new("/etc/graphstream/people"));
        assert_eq!(people.journal.origin, Origin::File { line: 3 });
        assert!(people.options.uploads_max.is_none());
    }

    #[test]
    fn the_shape_in_the_documentation_is_accepted() {
        for document in [include_str!("file.rs"), include_str!("../../../../docs/operations.md")] {
            let toml = document.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line));
            let toml = toml.skip_while(|line| !line.ends_with("```toml")).skip(1);
            let toml: Vec<_> = toml.take_while(|line| !line.ends_with("```")).collect();
            let toml = toml.join("\n").replace("//!", "");
            if cfg!(feature = "s3") {
                let file = parse(&toml, Path::new("")).unwrap();
                assert!(!file.databases.is_empty());
            }
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_what_was_meant() {
        let (line, column, message, hint) = wrong(&ONE.replace("journal", "jurnal"));
        assert_eq!((line, column), (3, 1));
        assert!(message.contains("no key `jurnal`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `journal`?"));
        let (line, .., hint) = wrong(&format!("[htpp]\naddress = \"1\"\n{ONE}"));
        assert_eq!((line, hint.as_deref()), (1, Some("did you mean `http`?")));
    }

    #[test]
    fn k01_secrets_are_refused_and_not_repeated() {
        for key in ["aws_secret_access_key", "password", "session_token"] {
            let (_, _, message, hint) = wrong(&format!("{ONE}{key} = \"hunter2\"\n"));
            assert!(message.contains("no secret stands in this file"), "{message}");
            assert!(!message.contains("hunter2") && !hint.unwrap().contains("hunter2"));
        }
        let url = ONE.replace("memory:", "s3://id:hunter2@bucket/a");
        let (line, _, message, _) = wrong(&url);
        assert_eq!(line, 4);
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn values_are_checked_where_they_stand() {
        for (text, at) in [
            ("", (1, 1)),
            ("[log]\nlevel = \"loud\"\n", (2, 9)),
            ("[log]\nformat = \"xml\"\n", (2, 10)),
            ("[http]\naddress = \"localhost\"\n", (2, 11)),
            ("[upload]\nuploads_max = 0\n", (2, 15)),
            ("[upload]\nuploads_max = 70000\n", (2, 15)),
            ("drain_timeout = \"soon\"\n", (1, 17)),
            ("[defaults]\nto = \"/srv/store\"\n", (2, 6)),
            ("[[database]]\nname = \"Not A Name\"\njournal = \"a\"\n", (2, 8)),
            ("[[database]]\nname = \"a\"\njournal = \"\"\n", (3, 11)),
            ("[[database]]\nname = \"a\"\n", (1, 1)),
            (&format!("{ONE}[database.snapshot]\nsource = \"jsonl:-\"\ninterval = \"1h\"\n"), (6, 10)),
            (&format!("{ONE}[database.snapshot]\nsource = \"exec:x\"\ninterval = \"1h\"\n"), (6, 10)),
            (
                &format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\npath = \"y\"\nentries = 1\n"),
                (6, 10),
            ),
            (&format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\n"), (6, 10)),
            (&format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\nentries = 0\n"), (7, 11)),
            (&format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\ninterval = \"0s\"\n"), (7, 12)),
            (
                &format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\nentries = 1\nquiesce = \"q\"\n"),
                (6, 10),
            ),
            (&format!("{ONE}[database.snapshot]\nsource = \"jsonl:x\"\nevery = 1\n"), (7, 1)),
            ("a = [", (1, 6)),
            ("[upload]\nuploads_max = 1\nuploads_max = 2\n", (3, 1)),
        ] {
            let (line, column, message, _) = wrong(text);
            assert_eq!((line, column), at, "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
