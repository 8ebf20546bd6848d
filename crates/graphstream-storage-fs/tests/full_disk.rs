//! L06 on a real full disk. `GRAPHSTREAM_TEST_SMALL_FS` names a directory on a file system of a few MiB, for example a tmpfs
//! mounted with `size=4m`; the injected form of this test runs always, in the crate.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::error::Error as _;

use graphstream_storage::{ErrorClass, GetOptions, Key, PutMode, StorageBackend};
use graphstream_storage_fs::{FsBackend, FsOptions};

#[tokio::test]
async fn l06_a_full_disk_fails_the_put_leaves_nothing_and_recovers() {
    let Some(small) = std::env::var_os("GRAPHSTREAM_TEST_SMALL_FS") else {
        eprintln!("SKIPPED: GRAPHSTREAM_TEST_SMALL_FS is not set");
        return;
    };
    let root = tempfile::tempdir_in(small).unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    let (head, large) = (Key::new("db/head.json").unwrap(), Key::new("db/seg/0/large").unwrap());
    let version = backend.put(&head, "old".into(), PutMode::Create).await.unwrap();
    for mode in [PutMode::Create, PutMode::Overwrite] {
        let error = backend.put(&large, vec![1; 64 << 20].into(), mode).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
        let cause = error.source().unwrap().source().unwrap();
        assert!(cause.to_string().contains("No space left on device"), "{error}: {cause}");
    }
    let swap = backend.put(&head, vec![1; 64 << 20].into(), PutMode::Match(version.clone())).await;
    assert_eq!(swap.unwrap_err().class(), ErrorClass::Unavailable);
    assert_eq!(backend.head(&large).await.unwrap_err().class(), ErrorClass::NotFound);
    assert_eq!(std::fs::read_dir(root.path().join(".graphstream/tmp")).unwrap().count(), 0);
    assert!(!root.path().join("db/seg").exists());
    // The space is back: the same handle goes on, and nothing had changed.
    backend.put(&head, "new".into(), PutMode::Match(version)).await.unwrap();
    let object = backend.get(&head, GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.bytes(10).await.unwrap(), "new");
}
