//! S09: the walk over directories answers exactly as an ordered map of keys does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use graphstream_storage::{Key, ListPage, ListRequest, Lister, MemoryBackend, PutMode, StorageBackend};
use graphstream_storage_fs::{FsBackend, FsOptions};
use proptest::prelude::*;

/// Creates objects without the price of their syncs.
fn plant(root: &Path, name: &str) -> bool {
    let path = root.join(name);
    let made = path.parent().is_some_and(|parent| std::fs::create_dir_all(parent).is_ok());
    made && !path.is_dir() && std::fs::write(path, name).is_ok()
}

async fn pages(backend: &dyn StorageBackend, request: &ListRequest) -> Vec<(Vec<String>, Vec<String>)> {
    let mut lister = Lister::new(backend, request.clone());
    let mut pages = Vec::new();
    while let Some(ListPage { objects, prefixes, .. }) = lister.next_page().await.unwrap() {
        let keys: Vec<String> = objects.into_iter().map(|object| object.key.as_str().to_owned()).collect();
        pages.push((keys, prefixes));
    }
    // A store may end with an empty page.
    pages.retain(|(objects, prefixes)| !objects.is_empty() || !prefixes.is_empty());
    pages
}

fn name() -> impl Strategy<Value = String> {
    "[ab0!-]{1,2}(/[ab0!-]{1,2}){0,3}"
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![name(), "[ab0!/-]{0,6}", Just(String::new())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn s09_fs_lists_as_memory_does(
        names in prop::collection::btree_set(name(), 0..40),
        requests in prop::collection::vec((text(), prop::option::of(text()), 1..12usize, any::<bool>()), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            // Each case opens a store, which syncs; that is not what is tested here.
            let shared_memory = Path::new("/dev/shm");
            let place = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
            let root = tempfile::tempdir_in(place).unwrap();
            let fs = FsBackend::open(root.path(), FsOptions::default()).unwrap();
            let memory = MemoryBackend::new();
            for name in names {
                // Not where a key nests in another one; that is refused here.
                if plant(root.path(), &name) {
                    memory.put(&Key::new(name).unwrap(), "".into(), PutMode::Create).await.unwrap();
                }
            }
            for (prefix, start_after, limit, delimiter) in requests {
                let mut request = ListRequest::new(prefix).with_limit(limit);
                request.start_after = start_after;
                request.delimiter = delimiter;
                let (found, expected) = (pages(&fs, &request).await, pages(&memory, &request).await);
                assert_eq!(found, expected, "{request:?}");
            }
        });
    }
}

#[tokio::test]
async fn s09_twelve_thousand_objects_in_one_directory_take_two_pages() {
    let root = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(root.path(), FsOptions::default()).unwrap();
    std::fs::create_dir_all(root.path().join("db/seg/0")).unwrap();
    let names: Vec<String> = (0..12_000).map(|n| format!("db/seg/0/{n:016x}-x.hadbj")).collect();
    for name in &names {
        std::fs::write(root.path().join(name), "").unwrap();
    }
    let pages = pages(&backend, &ListRequest::new("db/seg/0/")).await;
    assert_eq!(pages.iter().map(|(objects, _)| objects.len()).collect::<Vec<_>>(), [10_000, 2_000]);
    assert_eq!(pages.into_iter().flat_map(|(objects, _)| objects).collect::<Vec<_>>(), names);
    let request =
        ListRequest::new("db/seg/0/").with_start_after(format!("db/seg/0/{:016x}", 11_990)).with_limit(4);
    let page = backend.list(request).await.unwrap();
    assert_eq!(page.objects.first().map(|object| object.key.as_str()), names.get(11_990).map(String::as_str));
    let folded = backend.list(ListRequest::new("db/").with_delimiter()).await.unwrap();
    assert_eq!(folded.prefixes, ["db/seg/"]);
}
