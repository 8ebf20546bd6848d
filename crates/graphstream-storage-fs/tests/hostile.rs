//! Things in the store that are no objects, stores that are not there, and other surprises.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use graphstream_storage::{
    Error, ErrorClass, GetOptions, Key, KeyProblem, ListRequest, Lister, PutBody, PutMode, Result,
    StorageBackend,
};
use graphstream_storage_fs::{Error as FsError, FileKind, FsBackend, FsOptions};
use rustix::fs::{CWD, FileType, Mode};

fn open(root: &Path) -> FsBackend {
    FsBackend::open(root, FsOptions::default()).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(backend: &FsBackend, name: &str) -> Result<()> {
    backend.put(&key(name), "x".into(), PutMode::Overwrite).await.map(drop)
}

fn fs_error(error: &Error) -> &FsError {
    error.source().and_then(|source| source.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

/// Every call on `name` fails with `kind`, without waiting and without following.
async fn expect_refused(backend: &FsBackend, name: &str, kind: FileKind) {
    let key = key(name);
    let version = graphstream_storage::Version::new("v").unwrap();
    let calls = async {
        let mut errors = vec![
            backend.get(&key, GetOptions::default()).await.map(drop).unwrap_err(),
            backend.head(&key).await.map(drop).unwrap_err(),
            backend.delete(&key).await.unwrap_err(),
        ];
        for mode in [PutMode::Overwrite, PutMode::Create, PutMode::Match(version)] {
            errors.push(backend.put(&key, "new".into(), mode).await.map(drop).unwrap_err());
        }
        errors
    };
    let errors = tokio::time::timeout(Duration::from_secs(10), calls).await.unwrap();
    for error in errors {
        assert_eq!(error.class(), ErrorClass::Other, "{error}");
        match fs_error(&error) {
            FsError::NotAnObject { kind: found, .. } => assert_eq!(*found, kind),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn l15_links_fifos_and_sockets_are_refused_without_opening_them() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backend = open(root.path());
    put(&backend, "db/object").await.unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let db = root.path().join("db");
    std::os::unix::fs::symlink(outside.path().join("secret"), db.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), db.join("linked")).unwrap();
    std::os::unix::fs::symlink("object", db.join("inner")).unwrap();
    std::os::unix::fs::symlink("nowhere", db.join("dangling")).unwrap();
    rustix::fs::mknodat(CWD, db.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(db.join("socket")).unwrap();

    expect_refused(&backend, "db/link", FileKind::Symlink).await;
    expect_refused(&backend, "db/inner", FileKind::Symlink).await;
    expect_refused(&backend, "db/dangling", FileKind::Symlink).await;
    expect_refused(&backend, "db/linked/secret", FileKind::Symlink).await;
    expect_refused(&backend, "db/linked/new/object", FileKind::Symlink).await;
    expect_refused(&backend, "db/fifo", FileKind::Fifo).await;
    expect_refused(&backend, "db/socket", FileKind::Special).await;
    let listed = Lister::new(&backend, ListRequest::default()).objects().await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["db/object"]);
    for prefix in ["db/linked/", "db/linked/s"] {
        let error = backend.list(ListRequest::new(prefix)).await.unwrap_err();
        assert!(matches!(fs_error(&error), FsError::NotAnObject { kind: FileKind::Symlink, .. }), "{error}");
    }
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);

    // A FIFO as the source of a put.
    let source = PutBody::File(db.join("fifo"));
    let name = key("db/new");
    let put = backend.put(&name, source, PutMode::Overwrite);
    let error = tokio::time::timeout(Duration::from_secs(10), put).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
}

#[tokio::test]
async fn h03_the_control_directory_and_foreign_names_are_out_of_reach() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let backend = open(root.path());
    for name in [".graphstream/lock", ".graphstream", "a/.graphstream/b"] {
        let expected = name.find(".graphstream").unwrap();
        for error in [
            put(&backend, name).await.unwrap_err(),
            backend.get(&key(name), GetOptions::default()).await.map(drop).unwrap_err(),
            backend.delete(&key(name)).await.unwrap_err(),
        ] {
            let Error::InvalidKey { offset, problem: KeyProblem::Reserved } = error else {
                panic!("{error}")
            };
            assert_eq!(offset, expected);
        }
    }
    put(&backend, "fine").await.unwrap();
    for odd in [&b"not-utf8-\xff"[..], b"back\\slash", b"new\nline"] {
        std::fs::write(root.path().join(std::ffi::OsStr::from_bytes(odd)), "foreign").unwrap();
    }
    for prefix in ["", "n", "back", ".graph", ".graphstream/", ".graphstream/l"] {
        let page = backend.list(ListRequest::new(prefix)).await.unwrap();
        assert_eq!(page.objects.len(), usize::from(prefix.is_empty()), "{prefix:?}");
    }
}

#[tokio::test]
async fn a_store_that_goes_away_is_unavailable_and_never_empty() {
    let place = tempfile::tempdir().unwrap();
    let (root, away) = (place.path().join("store"), place.path().join("away"));
    let backend = open(&root);
    put(&backend, "db/head.json").await.unwrap();
    let version = backend.head(&key("db/head.json")).await.unwrap().version;
    let reader = FsBackend::open(&root, FsOptions::default().with_read_only(true)).unwrap();
    std::fs::rename(&root, &away).unwrap();
    // First nothing is there, then, as with an unmounted disk, an empty directory.
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(&root).unwrap();
        }
        for backend in [&backend, &reader] {
            let name = key("db/head.json");
            let errors = [
                backend.get(&name, GetOptions::default()).await.map(drop).unwrap_err(),
                backend.head(&name).await.map(drop).unwrap_err(),
                backend.list(ListRequest::new("db/")).await.map(drop).unwrap_err(),
                backend.list(ListRequest::default()).await.map(drop).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
                assert!(matches!(fs_error(&error), FsError::StoreGone { .. }), "{error}");
            }
        }
        for mode in [PutMode::Overwrite, PutMode::Create, PutMode::Match(version.clone())] {
            let error = backend.put(&key("db/head.json"), "lost".into(), mode).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
        }
        assert_eq!(backend.delete(&key("db/head.json")).await.unwrap_err().class(), ErrorClass::Unavailable);
        assert_eq!(root.exists(), empty);
    }
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "nothing was written below the mount point");
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    // The cause is gone: no need to open it again, and moving it has changed no version.
    backend.put(&key("db/head.json"), "on".into(), PutMode::Match(version)).await.unwrap();
}

#[tokio::test]
async fn opening_says_what_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("a/b/c");
    for options in [FsOptions::default().with_create_root(false), FsOptions::default().with_read_only(true)] {
        let error = FsBackend::open(&missing, options).unwrap_err();
        assert!(matches!(error, FsError::MissingRoot { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::NotFound);
        assert!(!place.path().join("a").exists());
    }
    drop(open(&missing));
    assert!(missing.join(".graphstream/tmp").is_dir());

    let file = place.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(FsBackend::open(&file, FsOptions::default()).unwrap_err().class(), ErrorClass::Other);
    // A directory in which even the super-user cannot create anything.
    if cfg!(target_os = "linux") && Path::new("/sys/kernel").is_dir() {
        let error = FsBackend::open("/sys/kernel", FsOptions::default()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Denied, "{error}: {:?}", error.source());
        assert_eq!(error.to_string(), "could not open the store at /sys/kernel");
    }
}

#[tokio::test]
async fn reading_only_needs_no_store_mark_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    // As another tool may have copied the objects.
    std::fs::create_dir(root.path().join("db")).unwrap();
    std::fs::write(root.path().join("db/object"), "copied").unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default().with_read_only(true)).unwrap();
    let object = backend.get(&key("db/object"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.bytes(100).await.unwrap(), "copied");
    assert_eq!(backend.head(&key("db/none")).await.unwrap_err().class(), ErrorClass::NotFound);
    assert!(backend.list(ListRequest::new("none/")).await.unwrap().objects.is_empty());
    for error in
        [put(&backend, "db/new").await.unwrap_err(), backend.delete(&key("db/object")).await.unwrap_err()]
    {
        assert_eq!(error.class(), ErrorClass::Denied);
        assert!(matches!(fs_error(&error), FsError::ReadOnly { .. }));
        assert!(error.to_string().starts_with(&format!(
            "{} db/",
            if error.to_string().starts_with("put") { "put" } else { "delete" }
        )));
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn v7_no_version_ever_returns_not_for_equal_bytes_and_not_after_delete() {
    let root = tempfile::tempdir().unwrap();
    let backend = open(root.path());
    let object = key("db/head.json");
    let mut seen = HashSet::new();
    for round in 0..150 {
        // Three puts of the same bytes under one key: the file system reuses the inode number of the first for the third.
        for _ in 0..2 {
            let version = backend.put(&object, "equal bytes".into(), PutMode::Overwrite).await.unwrap();
            assert!(seen.insert(version), "round {round}");
        }
        backend.delete(&object).await.unwrap();
        let version = backend.put(&object, "equal bytes".into(), PutMode::Create).await.unwrap();
        assert!(seen.insert(version), "round {round}");
    }
    for stale in seen.iter().take(20) {
        if backend.head(&object).await.unwrap().version != *stale {
            let swap = backend.put(&object, "fork".into(), PutMode::Match(stale.clone())).await;
            assert_eq!(swap.unwrap_err().class(), ErrorClass::VersionMismatch);
        }
    }
}

#[tokio::test]
async fn s07_a_file_cut_while_it_is_read_ends_with_an_error() {
    let root = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default().with_chunk_bytes(4096)).unwrap();
    backend.put(&key("object"), vec![7; 100_000].into(), PutMode::Create).await.unwrap();
    let mut object = backend.get(&key("object"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.body.next_chunk().await.unwrap().unwrap().len(), 4096);
    std::fs::File::options().write(true).open(root.path().join("object")).unwrap().set_len(50_000).unwrap();
    let error = loop {
        match object.body.next_chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the body ended short without an error"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::BodyLength { expected: 100_000, found: 50_000, .. }), "{error}");
    assert!(object.body.next_chunk().await.unwrap().is_none(), "after its error the stream has ended");
}

#[test]
fn outside_of_a_runtime_calls_fail_instead_of_panicking() {
    let root = tempfile::tempdir().unwrap();
    let backend = open(root.path());
    let name = key("k");
    let mut future = backend.head(&name);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = future.as_mut().poll(&mut context) else { panic!("no error") };
    assert!(matches!(fs_error(&error), FsError::NoRuntime), "{error}");
}
