//! Every operation, every fault, before and after the store has acted: no cell is empty. Under the default decorators each ends in the
//! right answer or in a typed error; what a store sends wrong without contradicting itself is named as such, for it is the checksums of
//! segments and heads that find it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use graphstream_metrics::GraphstreamMetrics;
use graphstream_storage::faults::{BodyFault, Fault, ListFault, Rule, StoreView};
use graphstream_storage::{
    Bytes, ErrorClass, FaultBackend, GetOptions, Key, ListRequest, Lister, MemoryBackend, Operation, PutMode,
    Result, StackConfig, StorageBackend,
};

/// What a call may end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// As if there were no fault.
    Right,
    /// An error of this class; of a change: nothing was changed, or, for `TimeoutUnknown`, it may have been.
    Fails(ErrorClass),
    /// An older or damaged answer that no store's client can tell from a right one.
    Unseen,
}
use Cell::{Fails, Right, Unseen};

/// A call of each operation, and for puts of each mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Get,
    Head,
    List,
    Overwrite,
    Create,
    Match,
    Delete,
    DeleteMany,
}

impl Call {
    const ALL: [Self; 8] = [
        Self::Get,
        Self::Head,
        Self::List,
        Self::Overwrite,
        Self::Create,
        Self::Match,
        Self::Delete,
        Self::DeleteMany,
    ];

    fn operation(self) -> Operation {
        match self {
            Self::Get => Operation::Get,
            Self::Head => Operation::Head,
            Self::List => Operation::List,
            Self::Overwrite | Self::Create | Self::Match => Operation::Put,
            Self::Delete => Operation::Delete,
            Self::DeleteMany => Operation::DeleteMany,
        }
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::List)
    }
}

const CLASSES: [ErrorClass; 9] = [
    ErrorClass::NotFound,
    ErrorClass::Exists,
    ErrorClass::VersionMismatch,
    ErrorClass::Denied,
    ErrorClass::Throttled,
    ErrorClass::Unavailable,
    ErrorClass::TimeoutUnknown,
    ErrorClass::Corrupt,
    ErrorClass::Other,
];

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn body() -> Bytes {
    (0..1000u32).map(|n| (n % 251) as u8).collect()
}

/// The store before each call: "k" of `body` (but for a create), "other", and a view from before.
async fn prepared(call: Call) -> (FaultBackend, StoreView) {
    let faults = FaultBackend::new(MemoryBackend::new());
    faults.put(&key("k"), "old".into(), PutMode::Create).await.unwrap();
    let view = faults.capture().await.unwrap();
    faults.put(&key("other"), body().slice(1..).into(), PutMode::Create).await.unwrap();
    match call {
        Call::Create => faults.delete(&key("k")).await.unwrap(),
        Call::Overwrite | Call::Match => {}
        _ => drop(faults.put(&key("k"), body().into(), PutMode::Overwrite).await.unwrap()),
    }
    (faults, view)
}

/// Whether the answer was right, and for changes what is there now as well.
async fn ends(call: Call, faults: &FaultBackend, backend: &dyn StorageBackend) -> Result<bool> {
    let name = key("k");
    let put = |mode| backend.put(&name, body().into(), mode);
    match call {
        Call::Get => {
            let object = backend.get(&name, GetOptions::default()).await?.found().unwrap();
            return Ok(object.bytes(10_000).await? == body());
        }
        Call::Head => return Ok(backend.head(&name).await?.size == 1000),
        Call::List => {
            let objects = Lister::new(backend, ListRequest::default().with_limit(1)).objects().await?;
            return Ok(objects.iter().map(|object| object.key.as_str()).eq(["k", "other"]));
        }
        Call::Overwrite => drop(put(PutMode::Overwrite).await?),
        Call::Create => {
            let version = put(PutMode::Create).await?;
            assert_eq!(faults.inner().head(&name).await?.version, version);
        }
        Call::Match => {
            let seen = faults.inner().head(&name).await?.version;
            let version = put(PutMode::Match(seen)).await?;
            assert_eq!(faults.inner().head(&name).await?.version, version);
        }
        Call::Delete => backend.delete(&name).await?,
        Call::DeleteMany => backend.delete_many(std::slice::from_ref(&name)).await?.remove(0).1?,
    }
    Ok(there(faults).await == (!matches!(call, Call::Delete | Call::DeleteMany)).then(body))
}

/// What is under the key, by the store's own word.
async fn there(faults: &FaultBackend) -> Option<Bytes> {
    let object = faults.inner().get(&key("k"), GetOptions::default()).await.ok()?.found().unwrap();
    Some(object.bytes(10_000).await.unwrap())
}

/// The faults that strike once.
fn once(call: Call, view: &StoreView) -> Vec<(Fault, Cell)> {
    use ErrorClass::{Corrupt, Throttled, TimeoutUnknown, Unavailable};
    let mut cells = Vec::new();
    for class in CLASSES {
        let passes = matches!(class, Throttled | Unavailable | TimeoutUnknown);
        let cell = if passes { Right } else { Fails(class) };
        cells.push((Fault::Before(class), cell));
        // A definite error after the store has acted is a lie of the store (O9); of a repeat it makes a refusal or nothing.
        let after = match (call, class) {
            (Call::Create, Throttled | Unavailable) => Fails(ErrorClass::Exists),
            (Call::Match, Throttled | Unavailable) => Fails(ErrorClass::VersionMismatch),
            _ => cell,
        };
        cells.push((Fault::After(class), after));
        cells.push((Fault::Late(class), cell));
    }
    cells.push((Fault::Hang, Right));
    cells.push((Fault::HangAfter, Right));
    cells.push((Fault::Delay(Duration::from_secs(20)), Right));
    cells.push((Fault::Delay(Duration::from_secs(40)), Right));
    cells.push((Fault::Stale(view.clone()), if call.is_read() { Unseen } else { Right }));
    cells.push((Fault::IgnoreCondition, Right));
    let of_body = |cell| if call == Call::Get { cell } else { Right };
    for (fault, cell) in [
        (BodyFault::Cut(0), Right),
        (BodyFault::Cut(400), Right),
        (BodyFault::Cut(1000), Right),
        (BodyFault::Truncate(400), Right),
        (BodyFault::Extend(Bytes::from_static(b"!")), Fails(Corrupt)),
        (BodyFault::FlipBit(77), Unseen),
        (BodyFault::Replace(Bytes::from_static(b"rubbish")), Unseen),
        (BodyFault::Swap(key("other")), Unseen),
    ] {
        cells.push((Fault::Body(fault), of_body(cell)));
    }
    let of_list = |cell| if call == Call::List { cell } else { Right };
    for (fault, cell) in [
        (ListFault::Omit("k".into()), Unseen),
        (ListFault::Duplicate, Fails(Corrupt)),
        // One object per page: turned round it is the same.
        (ListFault::Reverse, Right),
        (ListFault::RepeatToken, Fails(Corrupt)),
        (ListFault::Forget, Unseen),
    ] {
        cells.push((Fault::List(fault), of_list(cell)));
    }
    cells
}

/// Of a fault that strikes every time: what may pass does not, the rest is as above.
fn always(call: Call, fault: &Fault, first: Cell) -> Cell {
    use ErrorClass::{Throttled, TimeoutUnknown, Unavailable};
    let lost = if call.is_read() { Fails(Unavailable) } else { Fails(TimeoutUnknown) };
    match fault {
        Fault::Before(Throttled) | Fault::Late(Throttled) => Fails(Throttled),
        Fault::Before(Unavailable) | Fault::Late(Unavailable) => Fails(Unavailable),
        Fault::Before(TimeoutUnknown) | Fault::Late(TimeoutUnknown) => Fails(TimeoutUnknown),
        // Found by reading back.
        Fault::After(TimeoutUnknown) | Fault::HangAfter if matches!(call, Call::Create | Call::Match) => {
            Right
        }
        Fault::After(class @ (Throttled | Unavailable | TimeoutUnknown)) => Fails(*class),
        Fault::Hang | Fault::HangAfter => lost,
        Fault::Delay(delay) if *delay > Duration::from_secs(30) => lost,
        Fault::Body(BodyFault::Cut(0)) if call == Call::Get => Fails(Unavailable),
        _ => first,
    }
}

async fn check(call: Call, rule: Rule, cell: Cell, name: &str) {
    let (faults, _) = prepared(call).await;
    let before = there(&faults).await;
    faults.inject(rule);
    let backend: Arc<dyn StorageBackend> =
        StackConfig::default().wrap(faults.clone(), &GraphstreamMetrics::shared());
    let end = ends(call, &faults, &backend).await;
    let met = match &end {
        Ok(true) => Right,
        Ok(false) => Unseen,
        Err(error) => Fails(error.class()),
    };
    assert_eq!(met, cell, "{call:?} under {name}: {end:?}");
    // Whatever was said: under the key is what was there or what was to be there, and never anything else.
    let now = there(&faults).await;
    let after = (!matches!(call, Call::Delete | Call::DeleteMany)).then(body);
    assert!(now == before || (!call.is_read() && now == after), "{call:?} under {name}");
}

#[tokio::test(start_paused = true)]
async fn every_operation_under_every_fault_that_strikes_once() {
    for call in Call::ALL {
        let (_, view) = prepared(call).await;
        for (fault, cell) in once(call, &view) {
            let name = format!("{fault:?} once");
            check(call, Rule::new(call.operation(), fault), cell, &name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_under_every_fault_that_never_ends() {
    for call in Call::ALL {
        let (_, view) = prepared(call).await;
        for (fault, first) in once(call, &view) {
            let cell = always(call, &fault, first);
            let name = format!("{fault:?} always");
            check(call, Rule::new(call.operation(), fault).always(), cell, &name).await;
        }
    }
}

/// While a lost answer is being resolved, the store fails again, at reading back.
#[tokio::test(start_paused = true)]
async fn every_fault_of_reading_back() {
    for call in [Call::Create, Call::Match] {
        for lost in [Fault::After(ErrorClass::TimeoutUnknown), Fault::HangAfter] {
            let (_, view) = prepared(call).await;
            for (fault, _) in once(Call::Get, &view) {
                for always in [false, true] {
                    let (faults, _) = prepared(call).await;
                    faults.inject(Rule::new(Operation::Put, lost.clone()));
                    let rule = Rule::new(Operation::Get, fault.clone());
                    faults.inject(if always { rule.always() } else { rule });
                    let backend = StackConfig::default().wrap(faults.clone(), &GraphstreamMetrics::shared());
                    let end = ends(call, &faults, &backend).await;
                    // It has landed: so the end is that it did, or that nobody knows. Never that it did not.
                    let good = match &end {
                        Ok(right) => *right,
                        Err(error) => error.class() == ErrorClass::TimeoutUnknown,
                    };
                    assert!(good, "{call:?}, {lost:?}, then {fault:?} (always: {always}): {end:?}");
                    assert_eq!(there(&faults).await, Some(body()));
                }
            }
        }
    }
}
