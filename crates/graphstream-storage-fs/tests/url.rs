//! `file:` URLs: what they name, and what they make.
#![allow(missing_docs, clippy::unwrap_used)]

use graphstream_storage::{Access, ErrorClass, Key, OpenError, PutMode, StoreRegistry, StoreUrl};

fn registry() -> StoreRegistry {
    let mut registry = StoreRegistry::new();
    registry.register("file", "file:///path", graphstream_storage_fs::open_url);
    registry
}

#[tokio::test]
async fn a_store_is_made_to_write_and_never_to_read() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("with space, 100% and ?");
    let url = StoreUrl::file(&root);
    let missing = registry().open(&url, Access::Read).await.unwrap_err();
    assert!(matches!(&missing, OpenError::Store { class: ErrorClass::NotFound, .. }), "{missing:?}");
    assert!(!root.exists());
    let key = Key::new("k").unwrap();
    let store = registry().open(&url, Access::Write).await.unwrap();
    store.put(&key, "x".into(), PutMode::Create).await.unwrap();
    assert!(root.join("k").is_file());
    let reading = registry().open(&url, Access::Read).await.unwrap();
    assert_eq!(reading.head(&key).await.unwrap().size, 1);
    assert_eq!(reading.delete(&key).await.unwrap_err().class(), ErrorClass::Denied);
}

#[test]
fn only_absolute_paths_of_this_machine() {
    let check =
        |text: &str| registry().check(&StoreUrl::new(text).unwrap()).map_err(|error| error.to_string());
    for good in ["file:///srv", "file://localhost/srv", "file:///a%20b"] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in ["file:", "file://", "file:/srv", "file:srv", "file://host/srv", "file:///a%00b"] {
        assert_eq!(
            check(bad).unwrap_err(),
            "a file store takes an absolute path: file:///srv/store",
            "{bad}"
        );
    }
    assert!(check("file:///srv?sync=no").unwrap_err().contains("has no parameter \"sync\""));
}

#[test]
fn without_a_runtime_it_says_so() {
    let opening = registry();
    let place = tempfile::tempdir().unwrap();
    let url = StoreUrl::file(place.path());
    let opened = futures_util::FutureExt::now_or_never(opening.open(&url, Access::Write));
    assert_eq!(opened.unwrap().unwrap_err().class(), Some(ErrorClass::Other));
}
