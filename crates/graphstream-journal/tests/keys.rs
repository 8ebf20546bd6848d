//! Key files: who may read them, and what they may hold.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use graphstream_format::encryption::DataKey;
use graphstream_journal::{
    Entropy, Error, ErrorKind, Journal, JournalDir, Level, SystemEntropy, create_key_file, generate_key,
    read_key_file, read_key_files,
};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn key(&self, name: &str) -> (PathBuf, DataKey) {
        let (path, key) = (self.path(name), generate_key(&SystemEntropy).unwrap());
        create_key_file(&path, &key).unwrap();
        (path, key)
    }
}

#[test]
fn k03_a_key_file_is_its_owners_alone_and_comes_back() {
    let place = Place::new();
    let (path, key) = place.key("key");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), **key.to_line());
    assert_eq!(read_key_file(&path).unwrap().id(), key.id());
    symlink(&path, place.path("link")).unwrap();
    assert_eq!(read_key_file(&place.path("link")).unwrap().id(), key.id());
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read_key_file(&path).unwrap().id(), key.id());
}

#[test]
fn k03_any_right_of_others_is_refused_also_behind_a_link() {
    let place = Place::new();
    let (path, _) = place.key("key");
    symlink(&path, place.path("link")).unwrap();
    for bit in 0..6 {
        let mode = 0o600 | (1 << bit);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for path in [&path, &place.path("link")] {
            let error = read_key_file(path).err().unwrap();
            assert!(matches!(error, Error::KeyFileExposed { mode: found, .. } if found == mode), "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
    let said = read_key_file(&path).err().unwrap().to_string();
    assert_eq!(said, format!("the key file {} has mode 0640, expected 0600", path.display()));
}

#[test]
fn k03_an_existing_file_is_never_replaced() {
    let place = Place::new();
    let (path, key) = place.key("key");
    let other = generate_key(&SystemEntropy).unwrap();
    let error = create_key_file(&path, &other).unwrap_err();
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(read_key_file(&path).unwrap().id(), key.id());
    // Neither through a link that points nowhere yet.
    symlink(place.path("elsewhere"), place.path("link")).unwrap();
    create_key_file(&place.path("link"), &other).unwrap_err();
    assert!(!place.path("elsewhere").exists());
}

#[test]
fn k01_what_holds_no_key_is_named_without_its_content() {
    let place = Place::new();
    let (path, key) = place.key("key");
    let line = key.to_line();
    let secret = line.trim_end().rsplit(' ').next().unwrap();
    for text in [secret.to_owned(), line.repeat(2), line.replace("key-1", "key-9"), line.repeat(9)] {
        fs::write(&path, &text).unwrap();
        let error = read_key_file(&path).err().unwrap();
        let said =
            format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(!said.contains(&secret[..6]), "{said}");
    }
    assert!(matches!(read_key_file(place.0.path()), Err(Error::Io { .. })), "a directory is no key file");
    assert!(matches!(read_key_file(&place.path("none")), Err(Error::Io { .. })));
}

#[test]
fn h04_the_first_file_is_the_current_key_and_the_others_are_older() {
    let place = Place::new();
    let ((new, new_key), (old, old_key)) = (place.key("new"), place.key("old"));
    let ring = read_key_files([&new, &old, &new]).unwrap().unwrap();
    assert_eq!(ring.current().id(), new_key.id());
    assert_eq!(ring.ids().collect::<Vec<_>>(), [new_key.id(), old_key.id()]);
    assert!(read_key_files::<PathBuf>([]).unwrap().is_none());
    assert!(read_key_files([&new, &place.path("none")]).is_err());
}

#[derive(Debug)]
struct Broken;

impl Entropy for Broken {
    fn random(&self) -> io::Result<[u8; 16]> {
        Err(io::Error::other("nothing to draw from"))
    }
}

#[test]
fn k02_no_key_is_made_without_randomness() {
    assert!(matches!(generate_key(&Broken), Err(Error::Entropy { .. })));
    assert_ne!(generate_key(&SystemEntropy).unwrap().id(), generate_key(&SystemEntropy).unwrap().id());
}

#[test]
fn h07_a_journal_that_has_to_be_encrypted_is_not_opened_without_its_key() {
    let place = Place::new();
    let dir = place.path("journal");
    let (journal, _) = Journal::builder(&dir).open().unwrap();
    drop(journal.append(b"entry").unwrap());
    journal.wait(1, Level::Synced).unwrap();
    drop(journal);
    let identity = dir.join("journal.json");
    let plain = fs::read_to_string(&identity).unwrap();
    assert!(JournalDir::open(&dir).unwrap().identity().unwrap().unwrap().encryption_key.is_none());

    let key = generate_key(&SystemEntropy).unwrap();
    let required = plain.replacen('{', &format!("{{\n  \"encryption_key\": \"{}\",", key.id()), 1);
    fs::write(&identity, &required).unwrap();
    let files = || {
        let mut files: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()).map(|entry| entry.file_name()).collect();
        files.sort();
        files
    };
    let before = files();
    let error = Journal::builder(&dir).open().err().unwrap();
    assert!(matches!(error, Error::EncryptionRequired { id, .. } if id == key.id()), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        format!(
            "{} says that the journal is encrypted with key {}, which was not given",
            identity.display(),
            key.id()
        )
    );
    assert_eq!(files(), before, "nothing was sealed, cut or removed");
    // What is written about the directory later keeps it.
    let opened = JournalDir::open(&dir).unwrap();
    opened.note_fenced_after(Some(1)).unwrap();
    assert_eq!(opened.identity().unwrap().unwrap().encryption_key, Some(key.id()));
}
