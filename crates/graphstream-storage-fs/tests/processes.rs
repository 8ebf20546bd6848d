//! Several real processes on one root: this test binary, started again.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graphstream_storage::{ErrorClass, GetOptions, Key, ListRequest, PutMode, StorageBackend};
use graphstream_storage_fs::{FsBackend, FsOptions};

const ROOT: &str = "GRAPHSTREAM_TEST_FS_ROOT";
const NAME: &str = "GRAPHSTREAM_TEST_FS_NAME";
const KEYS: usize = 40;
const INCREMENTS: usize = 40;

fn start(test: &str, root: &Path, name: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROOT, root)
        .env(NAME, name.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn child() -> Option<(FsBackend, String)> {
    let root = std::env::var_os(ROOT)?;
    Some((FsBackend::open(root, FsOptions::default()).unwrap(), std::env::var(NAME).unwrap()))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn body(backend: &FsBackend, key: &Key) -> (graphstream_storage::Version, Vec<u8>) {
    let object = backend.get(key, GetOptions::default()).await.unwrap().found().unwrap();
    (object.meta.version.clone(), object.bytes(1 << 20).await.unwrap().to_vec())
}

#[tokio::test]
async fn child_creates() {
    let Some((backend, name)) = child() else { return };
    for n in 0..KEYS {
        let body = name.clone().into_bytes();
        match backend.put(&key(&format!("deep/{n}/object")), body.into(), PutMode::Create).await {
            Ok(_) => println!("won {n}"),
            Err(error) => assert_eq!(error.class(), ErrorClass::Exists, "{error}"),
        }
    }
}

#[tokio::test]
async fn r04_of_creates_in_three_processes_one_wins_each_key() {
    let root = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3).map(|name| start("child_creates", root.path(), name)).collect();
    let mut winners = vec![Vec::new(); KEYS];
    for (name, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some((_, n)) = line.split_once("won ") {
                winners[n.parse::<usize>().unwrap()].push(name);
            }
        }
    }
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    for (n, winners) in winners.into_iter().enumerate() {
        assert_eq!(winners.len(), 1, "key {n} was won by {winners:?}");
        let stored = body(&backend, &key(&format!("deep/{n}/object"))).await.1;
        assert_eq!(stored, winners[0].to_string().into_bytes());
    }
}

#[tokio::test]
async fn child_counts() {
    let Some((backend, _)) = child() else { return };
    let counter = key("counter");
    for _ in 0..INCREMENTS {
        loop {
            let (version, body) = body(&backend, &counter).await;
            let next = String::from_utf8(body).unwrap().parse::<usize>().unwrap() + 1;
            match backend.put(&counter, next.to_string().into_bytes().into(), PutMode::Match(version)).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error.class(), ErrorClass::VersionMismatch, "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn r04_counters_in_three_processes_lose_no_increment() {
    let root = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    backend.put(&key("counter"), "0".into(), PutMode::Create).await.unwrap();
    let children: Vec<Child> = (0..3).map(|name| start("child_counts", root.path(), name)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(body(&backend, &key("counter")).await.1, (3 * INCREMENTS).to_string().into_bytes());
}

/// A body that shows whether it is whole: its length is in its first bytes.
fn numbered(n: usize) -> Vec<u8> {
    let length = 10_000 + (n * 7919) % 60_000;
    let mut body = format!("{length:08}").into_bytes();
    body.resize(length, b'0' + (n % 10) as u8);
    body
}

#[tokio::test]
async fn child_writes_until_killed() {
    let Some((backend, name)) = child() else { return };
    let object = key("db/object");
    for n in 0.. {
        let mode = match backend.head(&object).await {
            Ok(meta) if n % 2 == 0 => PutMode::Match(meta.version),
            _ => PutMode::Overwrite,
        };
        match backend.put(&object, numbered(n).into(), mode).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.class(), ErrorClass::VersionMismatch, "{error}"),
        }
        backend
            .put(&key(&format!("db/{name}/deep/{}", n % 3)), "x".into(), PutMode::Overwrite)
            .await
            .unwrap();
        backend.delete(&key(&format!("db/{name}/deep/{}", (n + 1) % 3))).await.unwrap();
    }
}

#[tokio::test]
async fn r01_writers_killed_at_any_time_leave_whole_objects_and_a_free_lock() {
    let root = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    backend.put(&key("db/object"), numbered(0).into(), PutMode::Create).await.unwrap();
    for round in 0..12_usize {
        let mut children: Vec<Child> =
            (0..2).map(|name| start("child_writes_until_killed", root.path(), name)).collect();
        let end = std::time::Instant::now() + Duration::from_millis(40 + 13 * (round as u64));
        while std::time::Instant::now() < end {
            let (_, body) = body(&backend, &key("db/object")).await;
            let length: usize = std::str::from_utf8(&body[..8]).unwrap().parse().unwrap();
            assert_eq!(body.len(), length);
            assert!(body[8..].iter().all(|byte| *byte == body[8]));
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let listed = backend.list(ListRequest::default()).await.unwrap().objects;
        assert!(listed.iter().any(|object| object.key.as_str() == "db/object"));
        // Nobody holds the lock any more.
        let object = key("db/object");
        let put = backend.put(&object, numbered(round).into(), PutMode::Overwrite);
        tokio::time::timeout(Duration::from_secs(10), put).await.unwrap().unwrap();
    }
    let options = FsOptions::default().with_stray_age(Duration::ZERO);
    drop(FsBackend::open(root.path(), options).unwrap());
    assert_eq!(std::fs::read_dir(root.path().join(".graphstream/tmp")).unwrap().count(), 0);
}
