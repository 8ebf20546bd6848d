//! Failing and dying at every step of a put or delete. The child process is this test binary, started again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graphstream_storage::{ErrorClass, GetOptions, Key, ListRequest, PutBody, PutMode, Version};
use rustix::io::Errno;

use crate::error::{Failure, Step};
use crate::options::FsOptions;
use crate::store::{Hook, Store};

const ROOT: &str = "GRAPHSTREAM_TEST_FS_ROOT";
const STEP: &str = "GRAPHSTREAM_TEST_FS_STEP";
const CALL: &str = "GRAPHSTREAM_TEST_FS_CALL";

const PUT_STEPS: [Step; 9] = [
    Step::CreateTemp,
    Step::WriteTemp,
    Step::TakeVersion,
    Step::SyncTemp,
    Step::MakeDirectory,
    Step::SyncDirectory,
    Step::Lock,
    Step::Publish,
    Step::SyncPublished,
];

fn open(root: &Path) -> Store {
    Store::open(root, FsOptions::default()).unwrap()
}

fn with_hook(root: &Path, hook: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Store {
    let mut store = open(root);
    store.hook = Some(Arc::new(hook) as Hook);
    store
}

fn key() -> Key {
    Key::new("db/deep/object").unwrap()
}

fn body(store: &Store) -> Option<Vec<u8>> {
    match store.get(&key(), &GetOptions::default()) {
        Ok(opened) => Some(opened.unwrap().first.to_vec()),
        Err(Failure::Contract(graphstream_storage::Error::NotFound { .. })) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn put(store: &Store, text: &'static str, mode: &PutMode) -> Result<Version, Failure> {
    store.put(&key(), PutBody::from(text), mode)
}

fn class(failure: Failure) -> ErrorClass {
    failure.fold(graphstream_storage::Operation::Put, "k", "file:").class()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What the child does: everything in the environment, and dies on the way.
fn call(store: &Store, call: &str) -> Result<(), Failure> {
    match call {
        "overwrite" => put(store, "new", &PutMode::Overwrite).map(drop),
        "create" => put(store, "new", &PutMode::Create).map(drop),
        "match" => put(store, "new", &PutMode::Match(store.head(&key())?.version)).map(drop),
        "delete" => store.delete(&key()),
        other => panic!("{other}"),
    }
}

#[test]
fn child_that_dies() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let (step, what) = (std::env::var(STEP).unwrap(), std::env::var(CALL).unwrap());
    let store = with_hook(Path::new(&root), move |at| {
        if format!("{at:?}") == step {
            // As with SIGKILL, nothing of ours runs any more: no destructor, no unlock, no removal.
            std::process::abort();
        }
        Ok(())
    });
    call(&store, &what).unwrap();
}

/// Runs `what` in a child that dies at `step`; false when it did not come by there.
fn dies(root: &Path, step: Step, what: &str) -> bool {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash_tests::child_that_dies", "--test-threads=1"])
        .env(ROOT, root)
        .env(STEP, format!("{step:?}"))
        .env(CALL, what)
        .output()
        .unwrap();
    !child.status.success()
}

#[test]
fn r01_a_put_killed_at_any_step_leaves_the_old_object_or_the_new_one() {
    let mut died = BTreeSet::new();
    for what in ["overwrite", "create", "match"] {
        for step in PUT_STEPS {
            let root = tempfile::tempdir().unwrap();
            let before = open(root.path());
            let old = (what != "create").then(|| put(&before, "old", &PutMode::Overwrite).unwrap());
            if !dies(root.path(), step, what) {
                continue;
            }
            died.insert((what, format!("{step:?}")));
            let after = open(root.path());
            let expected = match step {
                Step::SyncPublished => Some(b"new".to_vec()),
                _ => old.is_some().then(|| b"old".to_vec()),
            };
            assert_eq!(body(&after), expected, "{what} killed at {step:?}");
            let listed = after.list(&ListRequest::default()).unwrap().objects;
            assert_eq!(listed.len(), usize::from(expected.is_some()), "{what} killed at {step:?}");
            let folded = after.list(&ListRequest::default().with_delimiter()).unwrap().prefixes;
            assert_eq!(folded.len(), usize::from(expected.is_some()), "{what} killed at {step:?}");

            // The lock is free, the next put works, and the stray file goes once it is old.
            put(&after, "next", &PutMode::Overwrite).unwrap();
            assert_eq!(body(&after).unwrap(), b"next");
            let temp = root.path().join(".graphstream/tmp");
            let strays = !matches!(step, Step::CreateTemp | Step::SyncPublished);
            assert_eq!(files(&temp).len(), usize::from(strays), "{what} killed at {step:?}");
            open(root.path());
            assert_eq!(files(&temp).len(), usize::from(strays), "a young file is somebody's");
            Store::open(root.path(), FsOptions::default().with_stray_age(Duration::ZERO)).unwrap();
            assert_eq!(files(&temp), [] as [PathBuf; 0]);
        }
    }
    // 9 steps each; an overwrite and a match of an existing object make no directory, a create takes no lock.
    assert_eq!(died.len(), 8 + 8 + 8, "{died:?}");
}

#[test]
fn r01_a_delete_killed_at_any_step_deletes_or_does_not() {
    for (step, left) in [(Step::Lock, true), (Step::Unlink, true), (Step::SyncUnlinked, false)] {
        let root = tempfile::tempdir().unwrap();
        put(&open(root.path()), "old", &PutMode::Create).unwrap();
        assert!(dies(root.path(), step, "delete"));
        let after = open(root.path());
        assert_eq!(body(&after).is_some(), left, "{step:?}");
        assert_eq!(
            after.list(&ListRequest::default().with_delimiter()).unwrap().prefixes.len(),
            usize::from(left)
        );
        after.delete(&key()).unwrap();
        put(&after, "next", &PutMode::Create).unwrap();
    }
}

#[test]
fn l06_a_put_that_fails_at_any_step_leaves_nothing_behind_and_says_whether_it_is_known() {
    for (errno, definite) in [(Errno::NOSPC, ErrorClass::Unavailable), (Errno::ROFS, ErrorClass::Denied)] {
        for mode in ["overwrite", "create", "match"] {
            for failing in PUT_STEPS {
                let root = tempfile::tempdir().unwrap();
                if mode != "create" {
                    put(&open(root.path()), "old", &PutMode::Overwrite).unwrap();
                }
                let reached = Arc::new(Mutex::new(false));
                let seen = Arc::clone(&reached);
                let store = with_hook(root.path(), move |at| {
                    if at == failing {
                        *seen.lock().unwrap() = true;
                        return Err(errno.into());
                    }
                    Ok(())
                });
                let result = call(&store, mode);
                if !*reached.lock().unwrap() {
                    result.unwrap();
                    continue;
                }
                let unknown = failing == Step::SyncPublished;
                let expected = if unknown { ErrorClass::TimeoutUnknown } else { definite };
                assert_eq!(class(result.unwrap_err()), expected, "{mode} failing at {failing:?}");
                let new = unknown.then_some(&b"new"[..]);
                let old = (mode != "create").then_some(&b"old"[..]);
                assert_eq!(body(&store).as_deref(), new.or(old), "{mode} failing at {failing:?}");
                assert_eq!(files(&root.path().join(".graphstream/tmp")), [] as [PathBuf; 0], "{failing:?}");
                if new.or(old).is_none() {
                    assert_eq!(files(root.path()), [root.path().join(".graphstream")], "{failing:?}");
                }
                // Once there is space again, the same handle goes on.
                put(&open(root.path()), "next", &PutMode::Overwrite).unwrap();
            }
        }
    }
}

#[test]
fn o9_a_delete_that_fails_says_whether_it_is_known() {
    for (failing, expected) in [
        (Step::Lock, ErrorClass::Unavailable),
        (Step::Unlink, ErrorClass::TimeoutUnknown),
        (Step::SyncUnlinked, ErrorClass::TimeoutUnknown),
    ] {
        let root = tempfile::tempdir().unwrap();
        put(&open(root.path()), "old", &PutMode::Create).unwrap();
        let hook = move |at| if at == failing { Err(Errno::IO.into()) } else { Ok(()) };
        let store = with_hook(root.path(), hook);
        assert_eq!(class(store.delete(&key()).unwrap_err()), expected, "{failing:?}");
        let others = Key::new("db/other").unwrap();
        let mut outcomes = with_hook(root.path(), hook).delete_many(&[others.clone(), key()]);
        // What does not exist is deleted; of what does (unless the first delete took it), the outcome is told.
        let gone = failing == Step::SyncUnlinked;
        assert_eq!(outcomes.pop().unwrap().map_err(class).is_ok(), gone, "{failing:?}");
    }
}

#[test]
fn o9_a_bulk_delete_tells_every_key_that_its_directory_was_not_synced() {
    let root = tempfile::tempdir().unwrap();
    let keys = ["a/1", "b/1", "a/2", "none/1"].map(|key| Key::new(key).unwrap());
    let store = open(root.path());
    for key in &keys[..3] {
        store.put(key, "x".into(), &PutMode::Create).unwrap();
    }
    let store =
        with_hook(root.path(), |at| if at == Step::SyncUnlinked { Err(Errno::IO.into()) } else { Ok(()) });
    let unknown = Some(ErrorClass::TimeoutUnknown);
    let outcomes = store.delete_many(&keys).into_iter().map(|outcome| outcome.err().map(class));
    assert_eq!(outcomes.collect::<Vec<_>>(), [unknown, unknown, unknown, None]);
}
