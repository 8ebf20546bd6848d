//! URLs and the registry: what is taken apart how, and which error says what.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use graphstream_storage::{
    Access, Bytes, ErrorClass, Key, MemoryBackend, OpenError, PutMode, StorageBackend, StoreRegistry,
    StoreUrl,
};
use proptest::prelude::*;

fn registry() -> StoreRegistry {
    let mut registry = StoreRegistry::new();
    registry.register("memory", "memory:", MemoryBackend::open_url);
    registry.register("kept", "kept://name", {
        let shared = MemoryBackend::new();
        move |url, access| {
            let mut parameters = url.parameters()?;
            let fails = parameters.take_parsed("fails", "true or false")?.unwrap_or(false);
            let _ = parameters.take("color");
            parameters.end()?;
            let (shared, store) = (shared.clone(), url.to_string());
            Ok(Box::pin(async move {
                if fails || access == Access::Read {
                    return Err(OpenError::store(ErrorClass::Denied, store, "no entry"));
                }
                Ok(Arc::new(shared) as Arc<dyn StorageBackend>)
            }))
        }
    });
    registry.not_built("s3", "s3").not_built("kept", "never");
    registry
}

fn said(text: &str) -> String {
    let checked = StoreUrl::new(text).and_then(|url| registry().check(&url));
    checked.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
}

#[tokio::test]
async fn a_third_party_opens_stores_of_its_own() {
    let registry = registry();
    let url = StoreUrl::new("KEPT://name?color=red").unwrap();
    let first = registry.open(&url, Access::Write).await.unwrap();
    let key = Key::new("k").unwrap();
    first.put(&key, Bytes::from_static(b"x").into(), PutMode::Create).await.unwrap();
    assert_eq!(registry.open(&url, Access::Write).await.unwrap().head(&key).await.unwrap().size, 1);
    let refused = registry.open(&url, Access::Read).await.unwrap_err();
    assert_eq!(refused.class(), Some(ErrorClass::Denied));
    assert_eq!(refused.to_string(), "KEPT://name can't be opened");
    // Each memory: is a store of its own.
    let memory = StoreUrl::new("memory:").unwrap();
    registry
        .open(&memory, Access::Write)
        .await
        .unwrap()
        .put(&key, "x".into(), PutMode::Create)
        .await
        .unwrap();
    let other = registry.open(&memory, Access::Write).await.unwrap();
    assert_eq!(other.head(&key).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[test]
fn a_form_that_several_schemes_share_is_shown_once() {
    let mut registry = StoreRegistry::new();
    for scheme in ["az", "azure", "memory"] {
        let form = if scheme == "memory" { "memory:" } else { "az://name" };
        registry.register(scheme, form, MemoryBackend::open_url);
    }
    assert_eq!(registry.forms().to_string(), "az://name or memory:");
}

#[test]
fn every_mistake_has_a_message_that_says_what_was_expected() {
    for (url, message) in [
        ("", "not a URL: a store's URL begins with its scheme and a colon"),
        ("/srv/store", "not a URL: a store's URL begins with its scheme and a colon"),
        ("1a://b", "not a URL: a store's URL begins with its scheme and a colon"),
        ("kept://a\nb", "not a URL: a store's URL begins with its scheme and a colon"),
        ("ftp://host/x", "there are no ftp stores; expected kept://name or memory:"),
        (
            "s3://bucket",
            "this build has no s3 stores (its feature `s3` is off); expected kept://name or memory:",
        ),
        ("memory:x", "a memory store takes no name: memory:"),
        ("memory://x", "a memory store takes no name: memory:"),
        ("memory:?a=1", "a memory store has no parameter \"a\"; it has none"),
        ("kept://n?fails=perhaps", "the parameter \"fails\" of a kept store takes true or false"),
        ("kept://n?fals=true", "a kept store has no parameter \"fals\"; it has fails, color"),
        ("kept://n?color=a&color=b", "the parameter \"color\" of a kept store is given twice"),
        ("kept://n#part", "the URL of a kept store has no fragment: write # as %23"),
        ("memory:", "fine"),
        ("kept://n?fails=true", "fine"),
    ] {
        assert_eq!(said(url), message, "{url}");
    }
    assert_eq!(
        StoreRegistry::new().check(&StoreUrl::new("x:").unwrap()).unwrap_err().to_string(),
        "there are no x stores; expected no URL at all"
    );
}

#[test]
fn k01_no_message_repeats_credentials_or_values() {
    for url in [
        "kept://user:CANARY@host",
        "kept://n?fails=CANARY",
        "kept://CANARY@host/p?x=y",
        "kept://n?token=CANARY",
    ] {
        let text = said(url);
        assert!(!text.contains("CANARY"), "{text}");
        if let Ok(url) = StoreUrl::new(url) {
            assert!(!format!("{url} {url:?} {:?}", url.parameters()).contains("CANARY"));
        }
    }
    assert!(said("kept://user:CANARY@host").contains("use the environment"));
}

#[test]
fn parts_are_decoded() {
    let url = StoreUrl::new("s3://bucket/a%20b/c d?endpoint=http%3A%2F%2Fh%3A1&x=a+b").unwrap();
    assert_eq!((url.scheme(), url.authority()), ("s3", Some("bucket")));
    assert_eq!(url.path().unwrap(), "/a b/c d");
    let mut parameters = url.parameters().unwrap();
    assert_eq!(parameters.take("endpoint").unwrap(), "http://h:1");
    assert_eq!(parameters.take_rest().into_iter().collect::<Vec<_>>(), [("x".to_owned(), "a b".to_owned())]);
    parameters.end().unwrap();
    assert!(StoreUrl::new("x:%ff").unwrap().path().is_err());
    let bare = StoreUrl::new("x:rest/of?").unwrap();
    assert_eq!((bare.authority(), bare.path().unwrap().as_ref()), (None, "rest/of"));
}

proptest! {
    #[test]
    fn any_text_is_an_answer(text in "\\PC*") {
        let _ = said(&text);
        let _ = said(&format!("kept:{text}"));
    }

    #[test]
    fn any_path_survives_its_url(path in "/[^\u{0}-\u{1f}]*") {
        let url = StoreUrl::file(Path::new(&path));
        prop_assert_eq!(url.path().unwrap(), path.as_str());
        prop_assert_eq!(StoreUrl::new(url.as_str()).unwrap(), url);
    }
}
