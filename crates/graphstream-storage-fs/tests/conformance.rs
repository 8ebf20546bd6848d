//! The suite on directories: alone, under the fault injector, two handles of one root, and with tiny chunks.
#![allow(missing_docs, clippy::unwrap_used)]

use graphstream_storage::{FaultBackend, StorageBackend, conformance};
use graphstream_storage_fs::{FsBackend, FsOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fs() {
    let root = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    conformance::all(&backend).await.unwrap();
    // Not even a directory is left.
    let left: Vec<_> =
        std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".graphstream"]);
    assert_eq!(std::fs::read_dir(root.path().join(".graphstream/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn fs_in_small_chunks_under_faults_that_never_fire() {
    // Another file system, if there is one, on which syncs cost nothing.
    let shared_memory = std::path::Path::new("/dev/shm");
    let place = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
    let root = tempfile::tempdir_in(place).unwrap();
    let options = FsOptions::default().with_chunk_bytes(5000);
    let backend: Box<dyn StorageBackend> = Box::new(FsBackend::open(root.path(), options).unwrap());
    conformance::all(&FaultBackend::new(backend)).await.unwrap();
}
