//! The check of stores, against stores that lie: each lie has its own verdict.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use async_trait::async_trait;
use graphstream_storage::check::{Capability, Verdict, check, probe};
use graphstream_storage::{
    Error, ErrorClass, GetOptions, GetOutcome, Key, ListPage, ListRequest, Lister, MemoryBackend, ObjectMeta,
    Operation, PutBody, PutMode, Result, StorageBackend, Version,
};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// Says yes and overwrites.
    IgnoresConditions,
    /// Looks first, writes later.
    ChecksThenWrites,
    /// Stores a create, and says that the object existed.
    StoresAndRefuses,
    /// Says no, and stores it.
    StoresWhatItRefused,
    /// Says that it can't.
    Unsupported,
    /// Every second conditional put in a race meets a store that is too busy.
    Busy,
    /// `If-None-Match` on a get has no effect.
    SendsAgain,
    /// Nothing may be deleted.
    KeepsAll,
    /// Always the first page.
    PagesForEver,
    /// Pages larger than asked for.
    LargePages,
    IgnoresStartAfter,
    /// Nothing may be put.
    ReadOnly,
}

#[derive(Debug)]
struct Liar {
    inner: MemoryBackend,
    lie: Lie,
    puts: std::sync::atomic::AtomicU64,
}

impl Liar {
    fn new(lie: Lie) -> Self {
        Self { inner: MemoryBackend::new(), lie, puts: Default::default() }
    }

    fn fails(&self, class: ErrorClass, operation: Operation) -> Error {
        Error::backend(class, operation, "key", "liar", "scripted")
    }

    /// Whether the condition holds at this moment.
    async fn refusal(&self, key: &Key, mode: &PutMode) -> Option<Error> {
        let found = self.inner.head(key).await.ok().map(|meta| meta.version);
        match (mode, found) {
            (PutMode::Create, Some(_)) => Some(Error::Exists { key: key.clone() }),
            (PutMode::Match(expected), found) if found.as_ref() != Some(expected) => {
                Some(Error::VersionMismatch { key: key.clone(), expected: expected.clone(), found })
            }
            _ => None,
        }
    }
}

#[async_trait]
impl StorageBackend for Liar {
    async fn get(&self, key: &Key, mut options: GetOptions) -> Result<GetOutcome> {
        if self.lie == Lie::SendsAgain {
            options.if_changed_from = None;
        }
        self.inner.get(key, options).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let conditional = mode != PutMode::Overwrite;
        match self.lie {
            Lie::ReadOnly => return Err(self.fails(ErrorClass::Denied, Operation::Put)),
            Lie::Unsupported if conditional => {
                return Err(Error::Unsupported { backend: "liar".into(), operation: Operation::Put });
            }
            Lie::Busy
                if conditional
                    && self.puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 1
                    && key.as_str().contains("race") =>
            {
                return Err(self.fails(ErrorClass::Throttled, Operation::Put));
            }
            Lie::IgnoresConditions => return self.inner.put(key, body, PutMode::Overwrite).await,
            Lie::ChecksThenWrites => {
                if let Some(refusal) = self.refusal(key, &mode).await {
                    return Err(refusal);
                }
                tokio::task::yield_now().await;
                return self.inner.put(key, body, PutMode::Overwrite).await;
            }
            Lie::StoresAndRefuses if mode == PutMode::Create => {
                let put = self.inner.put(key, body, mode).await;
                return put.and_then(|_| Err(Error::Exists { key: key.clone() }));
            }
            Lie::StoresWhatItRefused => {
                let refusal = self.refusal(key, &mode).await;
                let put = self.inner.put(key, body, PutMode::Overwrite).await;
                return refusal.map_or(put, Err);
            }
            _ => {}
        }
        self.inner.put(key, body, mode).await
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        if self.lie == Lie::KeepsAll {
            return Err(self.fails(ErrorClass::Denied, Operation::Delete));
        }
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        if self.lie == Lie::KeepsAll {
            return Err(self.fails(ErrorClass::Denied, Operation::DeleteMany));
        }
        self.inner.delete_many(keys).await
    }

    async fn list(&self, mut request: ListRequest) -> Result<ListPage> {
        match self.lie {
            Lie::PagesForEver => request.continuation = None,
            Lie::LargePages => request.limit = None,
            Lie::IgnoresStartAfter => request.start_after = None,
            _ => {}
        }
        self.inner.list(request).await
    }

    fn describe(&self) -> String {
        format!("liar ({:?})", self.lie)
    }
}

/// What does not work, with its verdict.
async fn seen(lie: Lie) -> Vec<(Capability, Verdict)> {
    let liar = Liar::new(lie);
    let report = check(&liar).await.unwrap();
    assert_eq!(report.findings.len(), Capability::ALL.len(), "{report:?}");
    let left = Lister::new(&liar.inner, ListRequest::default()).objects().await.unwrap();
    if lie == Lie::KeepsAll {
        assert!(report.left >= left.len() && !left.is_empty());
        assert!(left.iter().all(|object| object.key.as_str().starts_with(report.prefix.as_str())));
    } else {
        assert_eq!((left.len(), report.left), (0, 0), "everything is gone afterwards");
    }
    for finding in &report.findings {
        assert_eq!(finding.detail.is_none(), finding.verdict == Verdict::Works, "{finding:?}");
    }
    let needed = report.lacking().count();
    let bad: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Works)
        .map(|finding| (finding.capability, finding.verdict))
        .collect();
    assert_eq!(needed, bad.iter().filter(|(capability, _)| capability.is_needed_to_lead()).count());
    bad
}

#[tokio::test]
async fn o4_o5_every_lie_has_its_verdict() {
    use Capability::{ConditionalGet, Create, Delete, DeleteMany, ListPages, ListStartAfter, Match};
    for (lie, expected) in [
        (Lie::None, vec![]),
        (Lie::IgnoresConditions, vec![(Create, Verdict::Ignored), (Match, Verdict::Ignored)]),
        (Lie::ChecksThenWrites, vec![(Create, Verdict::Races), (Match, Verdict::Races)]),
        (Lie::StoresAndRefuses, vec![(Create, Verdict::StoresRefused)]),
        (Lie::StoresWhatItRefused, vec![(Create, Verdict::StoresRefused), (Match, Verdict::StoresRefused)]),
        (Lie::Unsupported, vec![(Create, Verdict::Unsupported), (Match, Verdict::Unsupported)]),
        // Too busy for some is no lie.
        (Lie::Busy, vec![]),
        (Lie::SendsAgain, vec![(ConditionalGet, Verdict::Ignored)]),
        (Lie::KeepsAll, vec![(Delete, Verdict::Denied), (DeleteMany, Verdict::Denied)]),
        (Lie::PagesForEver, vec![(ListPages, Verdict::Wrong)]),
        (Lie::LargePages, vec![(ListPages, Verdict::Wrong)]),
        (Lie::IgnoresStartAfter, vec![(ListStartAfter, Verdict::Wrong)]),
    ] {
        assert_eq!(seen(lie).await, expected, "{lie:?}");
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_an_error_and_not_a_report() {
    let error = check(&Liar::new(Lie::ReadOnly)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
}

#[tokio::test]
async fn o4_o5_the_probe_sees_who_lies_and_leaves_one_object() {
    let key = Key::new("db/probe").unwrap();
    for (lie, create, swap) in [
        (Lie::None, Verdict::Works, Verdict::Works),
        (Lie::IgnoresConditions, Verdict::Ignored, Verdict::Ignored),
        (Lie::Unsupported, Verdict::Unsupported, Verdict::Unsupported),
        (Lie::ChecksThenWrites, Verdict::Works, Verdict::Races),
        (Lie::StoresWhatItRefused, Verdict::StoresRefused, Verdict::StoresRefused),
        // A put that arrived twice looks the same.
        (Lie::StoresAndRefuses, Verdict::Works, Verdict::Works),
    ] {
        let liar = Liar::new(lie);
        // On the empty store, and with the object from before.
        for round in 0..2 {
            let conditions = probe(&liar, &key, round).await.unwrap();
            assert_eq!((conditions.create, conditions.swap), (create, swap), "{lie:?}");
            assert_eq!(conditions.hold(), (create, swap) == (Verdict::Works, Verdict::Works));
            assert_eq!(conditions.can_put(), lie != Lie::Unsupported);
        }
        let left = Lister::new(&liar.inner, ListRequest::default()).objects().await.unwrap();
        assert!(left.iter().all(|object| object.key == key));
    }
    let error = probe(&Liar::new(Lie::ReadOnly), &key, 0).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
}
