//! What the retry decorator repeats, what it must not, and what a lost answer means.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use graphstream_metrics::{GraphstreamMetrics, StorageOperation};
use graphstream_storage::faults::{BodyFault, Fault, Rule};
use graphstream_storage::{
    Bytes, Error, ErrorClass, FaultBackend, GetOptions, Key, ListRequest, Lister, MemoryBackend, Operation,
    PutBody, PutMode, Result, RetryBackend, RetryConfig, RetryPolicy, StorageBackend, Version, conformance,
};
use tokio::time::Instant;

const LOST: ErrorClass = ErrorClass::TimeoutUnknown;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn retried(faults: &FaultBackend) -> RetryBackend<FaultBackend> {
    RetryBackend::new(faults.clone(), RetryPolicy::default().with_jitter_seed(7))
}

fn store() -> (FaultBackend, RetryBackend<FaultBackend>) {
    let faults = FaultBackend::new(MemoryBackend::new());
    let retry = retried(&faults);
    (faults, retry)
}

async fn read(backend: &dyn StorageBackend, name: &str) -> Result<Bytes> {
    backend.get(&key(name), GetOptions::default()).await?.found().unwrap().bytes(10 << 20).await
}

async fn create(
    backend: &dyn StorageBackend,
    name: &str,
    body: impl Into<PutBody> + Send,
) -> Result<Version> {
    backend.put(&key(name), body.into(), PutMode::Create).await
}

#[tokio::test(start_paused = true)]
async fn the_suite_runs_through_it() {
    conformance::all(&RetryBackend::new(MemoryBackend::new(), RetryPolicy::default())).await.unwrap();
    let boxed: Box<dyn StorageBackend> = Box::new(MemoryBackend::new());
    conformance::all(&RetryBackend::new(boxed, RetryPolicy::default())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s01_what_may_pass_is_asked_again_and_answers_are_not() {
    for (class, calls) in [
        (ErrorClass::Throttled, 6),
        (ErrorClass::Unavailable, 6),
        (ErrorClass::TimeoutUnknown, 6),
        (ErrorClass::NotFound, 1),
        (ErrorClass::Exists, 1),
        (ErrorClass::VersionMismatch, 1),
        (ErrorClass::Denied, 1),
        (ErrorClass::Corrupt, 1),
        (ErrorClass::Other, 1),
    ] {
        for operation in Operation::ALL {
            let (faults, retry) = store();
            faults.inject(Rule::new(operation, Fault::Before(class)).always());
            let name = key("k");
            let met = match operation {
                Operation::Get => retry.get(&name, GetOptions::default()).await.err(),
                Operation::Head => retry.head(&name).await.err(),
                Operation::List => retry.list(ListRequest::default()).await.err(),
                Operation::Delete => retry.delete(&name).await.err(),
                Operation::DeleteMany => retry.delete_many(std::slice::from_ref(&name)).await.unwrap()[0]
                    .1
                    .as_ref()
                    .err()
                    .map(|_| Error::Exists { key: name.clone() }),
                _ => retry.put(&name, "x".into(), PutMode::Overwrite).await.err(),
            };
            assert!(met.is_some(), "{operation} {class}");
            if operation != Operation::DeleteMany {
                assert_eq!(met.unwrap().class(), class, "{operation}");
            }
            assert_eq!(faults.calls(operation), calls, "{operation} {class}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s01_a_servers_retry_after_is_waited_for_unless_it_is_too_long() {
    let (faults, retry) = store();
    create(&faults, "k", "x").await.unwrap();
    faults.set_retry_after(Duration::from_secs(17));
    faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Throttled)).first(2));
    let start = Instant::now();
    assert_eq!(read(&retry, "k").await.unwrap(), "x");
    assert_eq!(start.elapsed(), Duration::from_secs(34));

    faults.set_retry_after(Duration::from_secs(121));
    faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Throttled)));
    let start = Instant::now();
    assert_eq!(read(&retry, "k").await.unwrap_err().class(), ErrorClass::Throttled);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn retries_and_resolved_puts_are_counted() {
    let metrics = GraphstreamMetrics::shared();
    let (faults, retry) = store();
    let retry = retry.with_metrics(metrics.clone());
    faults.inject(Rule::new(Operation::Put, Fault::After(LOST)));
    create(&retry, "k", "x").await.unwrap();
    faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Unavailable)).first(2));
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(0))).nth(3));
    read(&retry, "k").await.unwrap();
    let storage = metrics.snapshot().storage;
    assert_eq!(storage.resolved_puts, 1);
    assert_eq!((storage.retries(StorageOperation::Get), storage.retries(StorageOperation::Put)), (3, 0));
}

// Lost answers of conditional puts.

#[tokio::test(start_paused = true)]
async fn defect_19_a_create_whose_answer_was_lost_is_the_owners() {
    let (faults, retry) = store();
    faults.inject(Rule::new(Operation::Put, Fault::After(LOST)));
    let version = create(&retry, "lease", "owner 1").await.unwrap();
    assert_eq!(faults.head(&key("lease")).await.unwrap().version, version);
    assert_eq!(faults.calls(Operation::Put), 1);
    // The next one is told what it would have been told.
    assert_eq!(create(&retry, "lease", "owner 2").await.unwrap_err().class(), ErrorClass::Exists);
    assert_eq!(faults.calls(Operation::Put), 2);
}

#[tokio::test(start_paused = true)]
async fn defect_19_two_claimants_never_both_win_whatever_the_first_error_is() {
    for fault in
        [Fault::Before(ErrorClass::Unavailable), Fault::Before(LOST), Fault::After(LOST), Fault::Late(LOST)]
    {
        let (faults, retry) = store();
        faults.inject(Rule::new(Operation::Put, fault.clone()).first(2));
        let claims = [create(&retry, "lease", "owner 1"), create(&retry, "lease", "owner 2")];
        let claims = futures_util::future::join_all(claims).await;
        while faults.land_late().await.is_some() {}
        let winners: Vec<_> = claims.iter().enumerate().filter(|(_, claim)| claim.is_ok()).collect();
        assert_eq!(winners.len(), 1, "{fault:?}: {claims:?}");
        let held = read(&faults, "lease").await.unwrap();
        assert_eq!(held, format!("owner {}", winners[0].0 + 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s02_a_swap_whose_answer_was_lost_is_found_by_its_bytes() {
    let (faults, retry) = store();
    let first = create(&retry, "head", "0").await.unwrap();
    for fault in [Fault::After(LOST), Fault::Before(LOST), Fault::Late(LOST)] {
        let body = Bytes::from(format!("{fault:?}"));
        let seen = faults.head(&key("head")).await.unwrap().version;
        faults.inject(Rule::new(Operation::Put, fault));
        let version = retry.put(&key("head"), body.clone().into(), PutMode::Match(seen)).await.unwrap();
        assert_eq!(read(&faults, "head").await.unwrap(), body);
        assert_eq!(faults.head(&key("head")).await.unwrap().version, version);
        // What travelled on is refused when it arrives.
        if let Some(late) = faults.land_late().await {
            assert_eq!(late.unwrap_err().class(), ErrorClass::VersionMismatch);
        }
        faults.clear();
    }
    let stale = retry.put(&key("head"), "x".into(), PutMode::Match(first)).await;
    assert_eq!(stale.unwrap_err().class(), ErrorClass::VersionMismatch);
}

/// Runs a call, and `between` after the store was asked for the n-th time.
async fn s03_own_refusal(mode_of: impl Fn(Version) -> PutMode) -> (FaultBackend, Result<Version>) {
    let (faults, retry) = store();
    let seen = create(&faults, "k", "seen").await.unwrap();
    let mode = mode_of(seen);
    if mode == PutMode::Create {
        faults.delete(&key("k")).await.unwrap();
    }
    // The first attempt travels on; it lands while the second one waits to be sent.
    faults.inject(Rule::new(Operation::Put, Fault::Late(LOST)));
    faults.inject(Rule::new(Operation::Put, Fault::Delay(Duration::from_secs(5))).nth(2));
    let name = key("k");
    let call = retry.put(&name, "ours".into(), mode);
    let land = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        faults.land_late().await.unwrap().unwrap();
    };
    let (put, ()) = futures_util::future::join(call, land).await;
    (faults, put)
}

#[tokio::test(start_paused = true)]
async fn s03_a_refusal_by_our_own_earlier_attempt_is_success() {
    for mode in [|_| PutMode::Create, PutMode::Match as fn(Version) -> PutMode] {
        let (faults, put) = s03_own_refusal(mode).await;
        assert_eq!(faults.head(&key("k")).await.unwrap().version, put.unwrap());
        assert_eq!(read(&faults, "k").await.unwrap(), "ours");
        assert_eq!(faults.calls(Operation::Put), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn s03_when_a_rival_is_there_after_a_lost_answer_the_outcome_stays_unknown() {
    // Ours may have been there in between: "it exists" or "another version" would say that it never was.
    for rival_after_ours in [true, false] {
        let (faults, retry) = store();
        let fault = if rival_after_ours { Fault::After(LOST) } else { Fault::Before(LOST) };
        let seen = create(&faults, "k", "seen").await.unwrap();
        faults.inject(Rule::new(Operation::Put, fault));
        faults.inject(Rule::new(Operation::Get, Fault::Delay(Duration::from_secs(5))));
        let name = key("k");
        let call = retry.put(&name, "ours".into(), PutMode::Match(seen));
        let rival = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            faults.inner().put(&key("k"), "rival".into(), PutMode::Overwrite).await.unwrap()
        };
        let (put, rival) = futures_util::future::join(call, rival).await;
        let error = put.unwrap_err();
        assert_eq!(error.class(), LOST);
        assert!(matches!(&error, Error::Unresolved { found: Some(found), .. } if *found == rival), "{error}");
        assert_eq!(read(&faults, "k").await.unwrap(), "rival");
    }
}

#[tokio::test(start_paused = true)]
async fn o9_once_unknown_always_unknown() {
    for mode in [PutMode::Create, PutMode::Overwrite] {
        for class in [ErrorClass::Denied, ErrorClass::Other, ErrorClass::Unavailable, ErrorClass::Throttled] {
            let (faults, retry) = store();
            faults.inject(Rule::new(Operation::Put, Fault::Late(LOST)));
            faults.inject(Rule::new(Operation::Put, Fault::Before(class)).always());
            let put = retry.put(&key("k"), "x".into(), mode.clone()).await;
            assert_eq!(put.unwrap_err().class(), LOST, "{mode:?} {class}");
        }
    }
    let (faults, retry) = store();
    faults.inject(Rule::new(Operation::Delete, Fault::Late(LOST)));
    faults.inject(Rule::new(Operation::Delete, Fault::Before(ErrorClass::Denied)).always());
    assert_eq!(retry.delete(&key("k")).await.unwrap_err().class(), LOST);
    faults.clear();
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Late(LOST)));
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Before(ErrorClass::Denied)).always());
    let outcomes = retry.delete_many(&[key("k")]).await.unwrap();
    assert_eq!(outcomes[0].1.as_ref().unwrap_err().class(), LOST);
}

#[tokio::test(start_paused = true)]
async fn s07_a_lost_answer_is_not_resolved_by_a_damaged_or_foreign_body() {
    let others = Bytes::from_static(b"OURS");
    for fault in [
        BodyFault::FlipBit(3),
        BodyFault::Truncate(2),
        BodyFault::Extend(Bytes::from_static(b"!")),
        BodyFault::Replace(others),
        BodyFault::Swap(key("other")),
    ] {
        let (faults, retry) = store();
        create(&faults, "other", "else").await.unwrap();
        faults.inject(Rule::new(Operation::Put, Fault::After(LOST)));
        faults.inject(Rule::new(Operation::Get, Fault::Body(fault.clone())).always());
        let put = create(&retry, "k", "ours").await;
        assert_eq!(put.unwrap_err().class(), LOST, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s05_equal_bytes_under_the_key_are_ours_a_file_is_compared_as_it_streams() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("segment");
    let body: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&file, &body).unwrap();
    let (faults, retry) = store();
    faults.inject(Rule::new(Operation::Put, Fault::After(LOST)).first(2));
    // The first reading back breaks off.
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(70_000))));
    create(&retry, "seg", file.clone()).await.unwrap();
    assert_eq!(read(&faults, "seg").await.unwrap(), body);

    for (at, changed) in [(0, "a"), (299_999, "b"), (150_000, "c")] {
        let mut other = body.clone();
        other[at] ^= 1;
        let (faults, retry) = store();
        create(&faults, changed, other).await.unwrap();
        faults.inject(Rule::new(Operation::Put, Fault::After(LOST)));
        let put = create(&retry, changed, file.clone()).await;
        assert!(matches!(put, Err(Error::Unresolved { .. })), "{put:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_not_be_read_leaves_the_outcome_unknown() {
    for class in [ErrorClass::Denied, ErrorClass::Unavailable] {
        let (faults, retry) = store();
        faults.inject(Rule::new(Operation::Put, Fault::After(LOST)));
        faults.inject(Rule::new(Operation::Get, Fault::Before(class)).always());
        assert_eq!(create(&retry, "k", "x").await.unwrap_err().class(), LOST);
    }
}

// Bulk deletes.

#[tokio::test(start_paused = true)]
async fn s12_of_a_bulk_delete_only_what_failed_is_repeated() {
    let (faults, retry) = store();
    let keys: Vec<Key> = ["a", "b", "c", "d"].map(key).to_vec();
    for name in &keys {
        create(&faults, name.as_str(), "x").await.unwrap();
    }
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Before(ErrorClass::Denied)).on_key("a").always());
    faults.inject(
        Rule::new(Operation::DeleteMany, Fault::Before(ErrorClass::Unavailable)).on_key("b").first(2),
    );
    faults.inject(Rule::new(Operation::DeleteMany, Fault::After(LOST)).on_key("d"));
    // A key that was deleted must not be deleted again: somebody may have made it anew.
    faults.inject(Rule::new(Operation::DeleteMany, Fault::Before(ErrorClass::Other)).on_key("c").nth(2));
    let outcomes = retry.delete_many(&keys).await.unwrap();
    let classes: Vec<_> =
        outcomes.iter().map(|(_, outcome)| outcome.as_ref().err().map(Error::class)).collect();
    assert_eq!(classes, [Some(ErrorClass::Denied), None, None, None]);
    assert!(outcomes.iter().map(|(name, _)| name).eq(&keys));
    assert_eq!(faults.calls(Operation::DeleteMany), 3);
    assert_eq!(read(&faults, "b").await.unwrap_err().class(), ErrorClass::NotFound);
}

// Reads.

#[tokio::test(start_paused = true)]
async fn defect_34_a_body_that_breaks_off_is_read_on_from_there() {
    let body: Vec<u8> = (0..200_000u32).map(|n| (n % 253) as u8).collect();
    for fault in
        [BodyFault::Cut(70_000), BodyFault::Truncate(70_000), BodyFault::Cut(200_000), BodyFault::Cut(0)]
    {
        let (faults, retry) = store();
        create(&faults, "k", body.clone()).await.unwrap();
        faults.inject(Rule::new(Operation::Get, Fault::Body(fault.clone())));
        assert_eq!(read(&retry, "k").await.unwrap(), body, "{fault:?}");

        faults.inject(Rule::new(Operation::Get, Fault::Body(fault)));
        let options = GetOptions::default().with_range(100..190_000);
        let object = retry.get(&key("k"), options).await.unwrap().found().unwrap();
        assert_eq!(object.range, 100..190_000);
        assert_eq!(object.bytes(1 << 20).await.unwrap(), &body[100..190_000]);
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_body_may_break_off_often_as_long_as_it_moves() {
    let body = vec![5; 20 * (70 << 10)];
    let (faults, retry) = store();
    create(&faults, "k", body.clone()).await.unwrap();
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(70 << 10))).always());
    assert_eq!(read(&retry, "k").await.unwrap(), body);
    assert!(faults.calls(Operation::Get) >= 20);

    // Less than 64 KiB at a time is no progress: the attempts are counted on.
    let (faults, retry) = store();
    create(&faults, "k", body).await.unwrap();
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(1000))).always());
    assert_eq!(read(&retry, "k").await.unwrap_err().class(), ErrorClass::Unavailable);
    assert_eq!(faults.calls(Operation::Get), 6);
}

#[tokio::test(start_paused = true)]
async fn s07_a_replaced_object_is_never_mixed_with_the_one_before() {
    let (faults, retry) = store();
    let first = create(&faults, "k", vec![1; 1000]).await.unwrap();
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(400))));
    let mut object = retry.get(&key("k"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.body.next_chunk().await.unwrap().unwrap(), vec![1; 400]);
    // Of equal length, so that nothing but the version can tell.
    let second = faults.put(&key("k"), vec![2; 1000].into(), PutMode::Overwrite).await.unwrap();
    let error = object.body.next_chunk().await.unwrap_err();
    assert!(
        matches!(&error, Error::Changed { expected, found, .. } if (expected, found) == (&first, &second)),
        "{error}"
    );
    assert!(object.body.next_chunk().await.unwrap().is_none(), "the stream has ended");

    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(400))));
    let object = retry.get(&key("k"), GetOptions::default()).await.unwrap().found().unwrap();
    faults.delete(&key("k")).await.unwrap();
    assert_eq!(object.bytes(1000).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test(start_paused = true)]
async fn s07_more_bytes_than_announced_are_not_passed_on() {
    let (faults, retry) = store();
    create(&faults, "k", "0123456789").await.unwrap();
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Extend(Bytes::from_static(b"!!")))));
    let mut object = retry.get(&key("k"), GetOptions::default()).await.unwrap().found().unwrap();
    assert_eq!(object.body.next_chunk().await.unwrap().unwrap(), "0123456789");
    let error = object.body.next_chunk().await.unwrap_err();
    assert!(matches!(error, Error::BodyLength { expected: 10, found: 12, .. }), "{error}");

    // A store that sends the whole object when it is asked for the rest.
    faults.clear();
    faults.inject(Rule::new(Operation::Get, Fault::Body(BodyFault::Cut(4))));
    let whole = BodyFault::Replace(Bytes::from_static(b"0123456789"));
    faults.inject(Rule::new(Operation::Get, Fault::Body(whole)).nth(2));
    let error = read(&retry, "k").await.unwrap_err();
    assert!(
        matches!(&error, Error::WrongRange { expected, found, .. } if (expected, found) == (&(4..10), &(0..10))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn defect_34_a_listing_is_asked_for_again_page_by_page() {
    let (faults, retry) = store();
    for name in ["a", "b", "c", "d", "e"] {
        create(&faults, name, "x").await.unwrap();
    }
    faults.inject(Rule::new(Operation::List, Fault::Before(ErrorClass::Unavailable)).nth(1));
    faults.inject(Rule::new(Operation::List, Fault::After(LOST)).nth(3));
    let request = ListRequest::default().with_limit(2);
    let listed = Lister::new(&retry, request).objects().await.unwrap();
    assert_eq!(listed.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn defect_32_a_key_that_looks_like_a_status_is_no_reason_to_ask_again() {
    let (faults, retry) = store();
    for name in ["500", "503 slow down", "timeout/connection reset"] {
        let error = retry.head(&key(name)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::NotFound);
        faults.inject(Rule::new(Operation::Get, Fault::Before(ErrorClass::Denied)));
        let error = retry.get(&key(name), GetOptions::default()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Denied);
        faults.clear();
    }
    assert_eq!((faults.calls(Operation::Head), faults.calls(Operation::Get)), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_retry_stops_at_its_time() {
    let config = RetryConfig::default().with_attempts_max(u32::MAX).with_elapsed_max(Duration::from_secs(20));
    let faults = FaultBackend::new(MemoryBackend::new());
    let retry = RetryBackend::new(faults.clone(), RetryPolicy::new(config));
    faults.inject(Rule::new(Operation::Head, Fault::Before(ErrorClass::Unavailable)).always());
    let start = Instant::now();
    assert_eq!(retry.head(&key("k")).await.unwrap_err().class(), ErrorClass::Unavailable);
    assert!(start.elapsed() <= Duration::from_secs(20));
    assert!(faults.calls(Operation::Head) > 6);
}
