//! Random faults, clients in parallel, late answers: what the default decorators say about a put is what the store has seen of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use graphstream_metrics::GraphstreamMetrics;
use graphstream_storage::faults::{BodyFault, Fault, Rule};
use graphstream_storage::{
    ErrorClass, FaultBackend, GetOptions, GetOutcome, Key, ListPage, ListRequest, MemoryBackend, ObjectMeta,
    Operation, PutBody, PutMode, Result, StackConfig, StorageBackend, Version,
};
use proptest::prelude::*;

/// Notes every put that the store has performed.
#[derive(Debug, Clone, Default)]
struct Recorder {
    store: MemoryBackend,
    landed: Arc<Mutex<Vec<(Key, String)>>>,
}

#[async_trait]
impl StorageBackend for Recorder {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome> {
        self.store.get(key, options).await
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version> {
        let PutBody::Bytes(bytes) = &body else { panic!("{body:?}") };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let version = self.store.put(key, body, mode).await?;
        self.landed.lock().unwrap().push((key.clone(), text));
        Ok(version)
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.store.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.store.delete(key).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<()>)>> {
        self.store.delete_many(keys).await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage> {
        self.store.list(request).await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

impl Recorder {
    fn landed(&self, key: &Key, body: &str) -> usize {
        self.landed.lock().unwrap().iter().filter(|(at, text)| at == key && text == body).count()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Creates the object of this number.
    Create(usize),
    /// Reads it, and swaps it for something new if it is there.
    Swap(usize),
    Read(usize),
    Pause(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize).prop_map(Step::Create),
        4 => (0..3usize).prop_map(Step::Swap),
        2 => (0..3usize).prop_map(Step::Read),
        1 => (0..20u64).prop_map(Step::Pause),
    ];
    proptest::collection::vec(step, 1..8)
}

/// Faults of an honest store: what it calls definite is (O9), and bodies are at worst cut short.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let lost = ErrorClass::TimeoutUnknown;
    let definite = prop_oneof![
        Just(ErrorClass::Throttled),
        Just(ErrorClass::Unavailable),
        Just(ErrorClass::Denied),
        Just(lost)
    ];
    let fault = prop_oneof![
        2 => definite.prop_map(Fault::Before),
        3 => Just(Fault::After(lost)),
        3 => Just(Fault::Late(lost)),
        1 => Just(Fault::Hang),
        1 => Just(Fault::HangAfter),
        1 => (1..60u64).prop_map(|seconds| Fault::Delay(Duration::from_secs(seconds))),
        2 => (0..40u64).prop_map(|bytes| Fault::Body(BodyFault::Cut(bytes))),
        1 => (0..40u64).prop_map(|bytes| Fault::Body(BodyFault::Truncate(bytes))),
    ];
    let operation = prop_oneof![3 => Just(Operation::Put), 2 => Just(Operation::Get)];
    let rule = (operation, fault, 1..6u64, 0..600u32, any::<bool>()).prop_map(
        |(operation, fault, nth, chance, by_chance)| {
            let rule = Rule::new(operation, fault);
            if by_chance { rule.per_mille(chance) } else { rule.nth(nth) }
        },
    );
    proptest::collection::vec(rule, 0..8)
}

struct Client<'a> {
    number: usize,
    backend: &'a dyn StorageBackend,
    recorder: &'a Recorder,
    said: &'a Mutex<Vec<(Key, String, Result<Version>)>>,
}

impl Client<'_> {
    async fn run(&self, steps: Vec<Step>) {
        for (at, step) in steps.into_iter().enumerate() {
            let object = |n: usize| Key::new(format!("object-{n}")).unwrap();
            // Nobody else ever writes it, and this client only once.
            let text = format!("client {} step {at}", self.number);
            match step {
                Step::Create(n) => self.put(object(n), text, PutMode::Create).await,
                Step::Swap(n) => {
                    if let Some(version) = self.read(&object(n)).await {
                        self.put(object(n), text, PutMode::Match(version)).await;
                    }
                }
                Step::Read(n) => drop(self.read(&object(n)).await),
                Step::Pause(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            }
        }
    }

    async fn put(&self, key: Key, text: String, mode: PutMode) {
        let put = self.backend.put(&key, text.clone().into_bytes().into(), mode).await;
        if put.is_ok() {
            assert_eq!(self.recorder.landed(&key, &text), 1, "acknowledged, {key}: {text}");
        }
        self.said.lock().unwrap().push((key, text, put));
    }

    async fn read(&self, key: &Key) -> Option<Version> {
        let object = self.backend.get(key, GetOptions::default()).await.ok()?.found()?;
        let version = object.meta.version.clone();
        let bytes = object.bytes(1000).await.ok()?;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(self.recorder.landed(key, &text), 1, "read, but never put whole, {key}: {text}");
        Some(version)
    }
}

async fn run(seed: u64, rules: Vec<Rule>, clients: Vec<Vec<Step>>, late_seconds: u64) {
    let recorder = Recorder::default();
    let faults = FaultBackend::with_seed(recorder.clone(), seed);
    rules.into_iter().for_each(|rule| faults.inject(rule));
    let backend = StackConfig::default().wrap(faults.clone(), &GraphstreamMetrics::shared());
    let said = Mutex::default();
    let work = join_all(clients.into_iter().enumerate().map(|(number, steps)| {
        let client = Client { number, backend: &backend, recorder: &recorder, said: &said };
        async move { client.run(steps).await }
    }));
    let land = async {
        loop {
            tokio::time::sleep(Duration::from_secs(late_seconds)).await;
            faults.land_late().await;
        }
    };
    tokio::select! {
        _ = work => {}
        () = land => {}
    }
    // What was acknowledged stays so whatever lands later.
    while faults.land_late().await.is_some() {}

    let said = said.into_inner().unwrap();
    for (key, text, put) in &said {
        let landed = recorder.landed(key, text);
        match put {
            Ok(_) => assert_eq!(landed, 1, "acknowledged, {key}: {text}"),
            Err(error) if error.class().is_unknown() => assert!(landed <= 1, "doubled, {key}: {text}"),
            Err(error) => assert_eq!(landed, 0, "called undone ({error}), {key}: {text}"),
        }
    }
    // Versions that callers were given name what they wrote.
    let versions: std::collections::HashSet<_> =
        said.iter().filter_map(|(_, _, put)| put.as_ref().ok().map(Version::as_str)).collect();
    assert_eq!(versions.len(), said.iter().filter(|(_, _, put)| put.is_ok()).count());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s02_s03_acknowledged_once_means_landed_once_and_definite_means_never(
        seed: u64,
        rules in rules(),
        clients in proptest::collection::vec(steps(), 1..4),
        late_seconds in 1..40u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(seed, rules, clients, late_seconds));
    }
}
