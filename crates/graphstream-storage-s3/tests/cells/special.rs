//! Faults that need a scene of their own.

use graphstream_storage::{
    Bytes, Error, ErrorClass, GetOptions, Key, ListRequest, Lister, ListingProblem, PutMode, StorageBackend,
};
use graphstream_testkit::fault_proxy::{Answer, Failure, Fault, FaultProxy, ListFault, Rule, S3Operation};
use graphstream_testkit::s3::S3Server;

use crate::rig::{backend_at, patient};
use crate::support::{config_at, key};

fn refusal() -> Failure {
    Failure::Answer(Answer::error(412, "PreconditionFailed"))
}

async fn body_of(backend: &dyn StorageBackend, key: &Key) -> Option<Bytes> {
    let object = backend.get(key, GetOptions::default()).await.ok()?.found().unwrap();
    Some(object.bytes(100 << 20).await.unwrap())
}

/// A server that answers 412 and closes while the client still writes (plain s3s-fs does): the client sees the answer, or a broken
/// connection. Neither is ever taken for a success, and no put of ours is taken for a rival's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s03_a_refusal_while_the_client_still_writes() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let truth = backend_at(&server.endpoint()).await;
    let whole = config_at(&proxy.url()).with_multipart_bytes_min(64 << 20);
    let bare = graphstream_storage_s3::S3Backend::open(whole).await.unwrap();
    let decorated = patient(bare.clone());
    let (name, ours): (_, Bytes) = (key("k"), vec![7; 8 << 20].into());
    let early = |failure| Rule::new(S3Operation::PutObject, Fault::Early { body_bytes: 1, failure });
    for failure in [refusal(), Failure::Reset, Failure::Close] {
        for there in [None, Some(Bytes::from("a rival's")), Some(ours.clone())] {
            for backend in [&bare as &dyn StorageBackend, &decorated] {
                truth.delete(&name).await.unwrap();
                if let Some(body) = &there {
                    truth.put(&name, body.clone().into(), PutMode::Overwrite).await.unwrap();
                }
                proxy.clear();
                proxy.inject(early(failure.clone()));
                let end = backend.put(&name, ours.clone().into(), PutMode::Create).await;
                let now = body_of(&truth, &name).await;
                assert!(now == there || now.as_ref() == Some(&ours), "{failure:?}");
                match end {
                    Ok(_) => assert_eq!(now, Some(ours.clone()), "{failure:?}: acknowledged and lost"),
                    Err(error) => {
                        let class = error.class();
                        let known = matches!(class, ErrorClass::Exists | ErrorClass::TimeoutUnknown);
                        assert!(known, "{failure:?} over {there:?}: {error:?}");
                    }
                }
            }
        }
    }
}

/// A server that stored what it rejected. The rejection is a lie (O9), but what is there is the body that was to be put, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s02_a_rejected_put_that_was_stored_and_then_matched() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let truth = backend_at(&server.endpoint()).await;
    let decorated = patient(backend_at(&proxy.url()).await);
    let name = key("k");
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::After(refusal())));
    let create = |body: &'static str| decorated.put(&name, body.into(), PutMode::Create);
    assert_eq!(create("ours").await.unwrap_err().class(), ErrorClass::Exists);
    assert_eq!(body_of(&truth, &name).await.unwrap(), "ours");
    assert_eq!(create("theirs").await.unwrap_err().class(), ErrorClass::Exists);
    // A digest that is called wrong says nothing about what is there: it is looked up.
    proxy.clear();
    let bad = Failure::Answer(Answer::error(400, "BadDigest"));
    proxy.inject(Rule::new(S3Operation::PutObject, Fault::After(bad)));
    let seen = truth.head(&name).await.unwrap().version;
    let swapped = decorated.put(&name, "new".into(), PutMode::Match(seen)).await.unwrap();
    assert_eq!(truth.head(&name).await.unwrap().version, swapped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s01_refused_connections_are_definite_and_pass() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let bare = backend_at(&proxy.url()).await;
    let decorated = patient(bare.clone());
    let name = key("k");
    for backend in [&bare as &dyn StorageBackend, &decorated] {
        // With connections from before, and without.
        backend.put(&name, "body".into(), PutMode::Overwrite).await.unwrap();
        proxy.refuse().unwrap();
        let mut classes = vec![
            backend.get(&name, GetOptions::default()).await.unwrap_err().class(),
            backend.head(&name).await.unwrap_err().class(),
            backend.list(ListRequest::default()).await.unwrap_err().class(),
        ];
        for mode in [PutMode::Overwrite, PutMode::Create] {
            classes.push(backend.put(&name, "other".into(), mode).await.unwrap_err().class());
        }
        classes.push(backend.delete(&name).await.unwrap_err().class());
        classes.push(backend.delete_many(std::slice::from_ref(&name)).await.unwrap_err().class());
        assert_eq!(classes, vec![ErrorClass::Unavailable; 7]);
        proxy.accept().unwrap();
        assert_eq!(body_of(backend, &name).await.unwrap(), "body");
    }
}

/// The outcome of each key is believed by itself, and silence about a key is no success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_a_bulk_delete_that_fails_for_one_key_or_says_nothing_about_it() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let bare = backend_at(&proxy.url()).await;
    let keys = [key("a"), key("b")];
    for (said, class) in [
        ("<Error><Key>b</Key><Code>InternalError</Code></Error>", ErrorClass::TimeoutUnknown),
        ("<Error><Key>b</Key><Code>SlowDown</Code></Error>", ErrorClass::Throttled),
        ("<Error><Key>b</Key><Code>AccessDenied</Code></Error>", ErrorClass::Denied),
        ("", ErrorClass::TimeoutUnknown),
        ("<Deleted><Key>c</Key></Deleted>", ErrorClass::TimeoutUnknown),
    ] {
        for name in &keys {
            bare.put(name, "x".into(), PutMode::Overwrite).await.unwrap();
        }
        let body = format!("<DeleteResult><Deleted><Key>a</Key></Deleted>{said}</DeleteResult>");
        let answer = Answer::status(200).with_header("content-type", "application/xml").with_body(body);
        proxy.clear();
        proxy.inject(Rule::new(S3Operation::DeleteObjects, Fault::Before(Failure::Answer(answer))));
        let outcomes = bare.delete_many(&keys).await.unwrap();
        let classes: Vec<_> = outcomes.iter().map(|(_, end)| end.as_ref().err().map(Error::class)).collect();
        assert_eq!(classes, [None, Some(class)], "{said}");
    }
}

/// On the second page the token can be the one that was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s09_a_second_page_that_repeats_its_token_or_its_keys() {
    let server = S3Server::honest().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let bare = backend_at(&proxy.url()).await;
    for name in ["p/a", "p/b", "p/c", "p/d", "p/e"] {
        bare.put(&key(name), "x".into(), PutMode::Overwrite).await.unwrap();
    }
    let request = ListRequest::new("p/").with_limit(2);
    for (fault, expected) in [
        (ListFault::RepeatToken, ListingProblem::Token),
        (ListFault::Duplicate, ListingProblem::Order),
        (ListFault::Reverse, ListingProblem::Order),
    ] {
        proxy.clear();
        proxy.inject(Rule::new(S3Operation::ListObjectsV2, Fault::List(fault.clone())).nth(2));
        let error = Lister::new(&bare, request.clone()).objects().await.unwrap_err();
        let found = matches!(&error, Error::BrokenListing { problem, page: 2, .. } if *problem == expected);
        assert!(found, "{fault:?}: {error:?}");
    }
}
