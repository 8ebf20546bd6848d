//! Listings over many pages.

use futures_util::StreamExt;
use graphstream_storage::{ListRequest, Lister, PutMode, StorageBackend};
use graphstream_testkit::s3::S3Server;

use crate::support::{key, open};

#[tokio::test]
async fn s09_2500_keys_come_in_three_pages_and_go_in_three_requests() {
    let server = S3Server::honest().unwrap();
    let backend = open(&server).await;
    let names: Vec<String> = (0..2500).map(|n| format!("a b+c%/{:02}/é{n:05}", n / 100)).collect();
    let puts = names.iter().map(|name| {
        let (backend, key) = (backend.clone(), key(name));
        async move { backend.put(&key, "x".into(), PutMode::Create).await.unwrap() }
    });
    futures_util::stream::iter(puts).buffer_unordered(16).collect::<Vec<_>>().await;

    let listed = Lister::new(&backend, ListRequest::default()).objects().await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(server.count("ListObjectsV2"), 3);

    let after = ListRequest::new("a b+c%/").with_start_after(names[1499].clone());
    let listed = Lister::new(&backend, after).objects().await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), names[1500..]);

    let folded = backend.list(ListRequest::new("a b+c%/").with_delimiter()).await.unwrap();
    assert_eq!((folded.prefixes.len(), folded.objects.len()), (25, 0));
    assert_eq!(folded.prefixes[7], "a b+c%/07/");

    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    for (_, outcome) in backend.delete_many(&keys).await.unwrap() {
        outcome.unwrap();
    }
    assert_eq!(server.count("DeleteObjects"), 3);
    assert!(Lister::new(&backend, ListRequest::default()).objects().await.unwrap().is_empty());
}
