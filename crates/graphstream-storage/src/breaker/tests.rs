use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;
use crate::faults::{Fault, FaultBackend, Rule};
use crate::{MemoryBackend, Operation};

const SECOND: Duration = Duration::from_secs(1);

/// A clock that tests set, also back.
#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Hand {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl MonotonicClock for Hand {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

fn config() -> CircuitBreakerConfig {
    CircuitBreakerConfig::default().with_failures_max(3).with_open_interval(10 * SECOND)
}

fn breaker() -> (CircuitBreaker, Arc<Hand>) {
    let hand = Arc::new(Hand::default());
    (CircuitBreaker::new(config()).with_clock(hand.clone()), hand)
}

fn open(breaker: &CircuitBreaker) {
    for _ in 0..3 {
        breaker.pass().unwrap().failed();
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn defect_33_a_failed_probe_opens_it_anew_every_time() {
    let (breaker, hand) = breaker();
    open(&breaker);
    for round in 1..=5 {
        hand.set(round * 10 - 1);
        assert_eq!(breaker.pass().unwrap_err(), SECOND, "round {round}");
        hand.set(round * 10);
        breaker.pass().unwrap().failed();
        assert_eq!(breaker.state(), CircuitState::Open, "round {round}");
        assert_eq!(breaker.pass().unwrap_err(), 10 * SECOND, "round {round}");
    }
    hand.set(60);
    breaker.pass().unwrap().answered();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn defect_33_a_clock_that_steps_back_is_survived() {
    let (breaker, hand) = breaker();
    hand.set(100);
    open(&breaker);
    hand.set(0);
    assert_eq!(breaker.pass().unwrap_err(), 110 * SECOND);
    hand.set(110);
    let probe = breaker.pass().unwrap();
    hand.set(0);
    assert!(breaker.pass().is_err());
    probe.answered();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn defect_33_half_open_admits_exactly_one() {
    let (breaker, hand) = breaker();
    open(&breaker);
    hand.set(10);
    let admitted: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16).map(|_| scope.spawn(|| breaker.pass())).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(admitted.iter().filter(|pass| pass.is_ok()).count(), 1);
    hand.set(14);
    assert_eq!(breaker.pass().unwrap_err(), 6 * SECOND);
}

#[test]
fn a_probe_that_is_given_up_frees_its_place() {
    let (breaker, hand) = breaker();
    open(&breaker);
    hand.set(10);
    let probe = breaker.pass().unwrap();
    assert!(breaker.pass().is_err());
    drop(probe);
    breaker.pass().unwrap().answered();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn what_calls_from_before_report_later_changes_nothing() {
    let (breaker, hand) = breaker();
    let (good, bad) = (breaker.pass().unwrap(), breaker.pass().unwrap());
    open(&breaker);
    good.answered();
    assert_eq!(breaker.state(), CircuitState::Open);
    hand.set(10);
    let probe = breaker.pass().unwrap();
    bad.failed();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    probe.answered();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

async fn head(backend: &dyn StorageBackend) -> Result<ObjectMeta> {
    backend.head(&Key::new("k").unwrap()).await
}

#[tokio::test]
async fn only_a_store_that_is_away_has_failed() {
    for (class, failure) in [
        (ErrorClass::Unavailable, true),
        (ErrorClass::TimeoutUnknown, true),
        (ErrorClass::NotFound, false),
        (ErrorClass::Exists, false),
        (ErrorClass::VersionMismatch, false),
        (ErrorClass::Denied, false),
        (ErrorClass::Throttled, false),
        (ErrorClass::Corrupt, false),
        (ErrorClass::Other, false),
    ] {
        let faults = FaultBackend::new(MemoryBackend::new());
        faults.inject(Rule::new(Operation::Head, Fault::Before(class)).always());
        let backend = CircuitBreakerBackend::new(faults.clone(), breaker().0);
        for _ in 0..5 {
            head(&backend).await.unwrap_err();
        }
        assert_eq!(backend.breaker().state() == CircuitState::Open, failure, "{class}");
        assert_eq!(faults.calls(Operation::Head), if failure { 3 } else { 5 }, "{class}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_object_is_an_answer() {
    let memory = MemoryBackend::new();
    let key = Key::new("k").unwrap();
    memory.put(&key, "x".into(), PutMode::Create).await.unwrap();
    let backend = CircuitBreakerBackend::new(memory, breaker().0);
    for _ in 0..5 {
        let error = backend.get(&key, GetOptions::default().with_range(5..6)).await.unwrap_err();
        assert!(matches!(error, Error::InvalidRange { .. }));
    }
    assert_eq!(backend.breaker().state(), CircuitState::Closed);
}

#[tokio::test]
async fn a_refused_call_fails_at_once_and_says_until_when() {
    let faults = FaultBackend::new(MemoryBackend::new());
    faults.inject(Rule::new(Operation::Head, Fault::Before(ErrorClass::Unavailable)).first(3));
    let (breaker, hand) = breaker();
    let metrics = GraphstreamMetrics::shared();
    let backend = CircuitBreakerBackend::new(faults.clone(), breaker.with_metrics(metrics.clone()));
    for _ in 0..3 {
        head(&backend).await.unwrap_err();
    }
    hand.set(4);
    let error = head(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!(error.retry_after(), Some(6 * SECOND));
    assert_eq!(error.to_string(), "memory:: not asked, because it kept failing; it may be asked again in 6s");
    assert_eq!(faults.calls(Operation::Head), 3);
    let storage = metrics.snapshot().storage;
    assert_eq!((storage.circuit_state, storage.circuit_openings, storage.circuit_refusals), (2, 1, 1));
    hand.set(10);
    head(&backend).await.unwrap_err();
    assert_eq!(metrics.snapshot().storage.circuit_state, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_leaves_is_followed_by_another() {
    let faults = FaultBackend::new(MemoryBackend::new());
    faults.inject(Rule::new(Operation::Head, Fault::Before(ErrorClass::Unavailable)).first(3));
    faults.inject(Rule::new(Operation::Head, Fault::Hang).nth(4));
    let backend = CircuitBreakerBackend::new(faults, CircuitBreaker::new(config()));
    for _ in 0..3 {
        head(&backend).await.unwrap_err();
    }
    tokio::time::sleep(10 * SECOND).await;
    let leaving = tokio::time::timeout(SECOND, head(&backend));
    let refused = async {
        tokio::task::yield_now().await;
        head(&backend).await.unwrap_err()
    };
    let (left, refused) = futures_util::future::join(leaving, refused).await;
    assert!(left.is_err());
    assert!(matches!(refused, Error::CircuitOpen { .. }));
    assert_eq!(head(&backend).await.unwrap_err().class(), ErrorClass::NotFound);
    assert_eq!(backend.breaker().state(), CircuitState::Closed);
}

// The model: what the breaker was told, as a plain history.

#[derive(Debug, Clone)]
enum Step {
    Clock(u64),
    Call,
    Answered(usize),
    Failed(usize),
    Dropped(usize),
}

/// When each call began and ended is all that the rules below need.
#[derive(Debug, Clone, Default)]
struct Model {
    now: u64,
    /// Failures in a row while closed.
    row: u32,
    /// Until when nobody is let through; set while open or half-open.
    shut_until: Option<u64>,
    /// The call that probes, by number.
    probe: Option<usize>,
    /// Calls that were let through, and whether their report still counts.
    calls: Vec<Option<bool>>,
}

impl Model {
    fn admits(&self) -> bool {
        self.probe.is_none() && self.shut_until.is_none_or(|until| self.now >= until)
    }

    /// From here on the reports of all calls so far are old.
    fn forget(&mut self) {
        for counts in self.calls.iter_mut().flatten() {
            *counts = false;
        }
        self.probe = None;
        self.row = 0;
    }

    fn end(&mut self, call: usize, failed: Option<bool>) {
        let Some(Some(counts)) = self.calls.get_mut(call).map(Option::take) else { return };
        let probed = self.probe == Some(call);
        match failed {
            _ if !counts => {}
            Some(true) => {
                self.row += 1;
                if probed || self.row == 3 {
                    self.forget();
                    self.shut_until = Some(self.now + 10);
                }
            }
            Some(false) if probed => {
                self.forget();
                self.shut_until = None;
            }
            Some(false) => self.row = 0,
            None if probed => {
                self.forget();
                self.shut_until = Some(self.now);
            }
            None => {}
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let calls = state.calls.len().max(1);
        prop_oneof![
            3 => (0..12u64).prop_map(Step::Clock),
            6 => Just(Step::Call),
            2 => (0..calls).prop_map(Step::Answered),
            4 => (0..calls).prop_map(Step::Failed),
            1 => (0..calls).prop_map(Step::Dropped),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match *step {
            Step::Clock(seconds) => state.now += seconds,
            Step::Call if state.admits() => {
                if state.shut_until.is_some() {
                    state.forget();
                    state.probe = Some(state.calls.len());
                }
                state.calls.push(Some(true));
            }
            Step::Call => state.calls.push(None),
            Step::Answered(call) => state.end(call, Some(false)),
            Step::Failed(call) => state.end(call, Some(true)),
            Step::Dropped(call) => state.end(call, None),
        }
        state
    }
}

struct Real {
    breaker: CircuitBreaker,
    hand: Arc<Hand>,
    passes: Vec<Option<CircuitPass>>,
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let (breaker, hand) = breaker();
        Self { breaker, hand, passes: Vec::new() }
    }

    fn apply(mut real: Self, model: &Model, step: Step) -> Self {
        let mut taken = |call: usize| real.passes.get_mut(call).and_then(Option::take);
        match step {
            Step::Clock(_) => real.hand.set(model.now),
            Step::Call => {
                let pass = real.breaker.pass();
                let admitted = model.calls.last().is_some_and(Option::is_some);
                assert_eq!(pass.is_ok(), admitted, "{model:?}");
                if let Err(wait) = &pass {
                    assert!(*wait <= 10 * SECOND, "{wait:?}");
                }
                real.passes.push(pass.ok());
            }
            Step::Answered(call) => taken(call).into_iter().for_each(CircuitPass::answered),
            Step::Failed(call) => taken(call).into_iter().for_each(CircuitPass::failed),
            Step::Dropped(call) => drop(taken(call)),
        }
        real
    }

    fn check_invariants(real: &Self, model: &Model) {
        let expected = match (model.shut_until, model.probe) {
            (None, _) => CircuitState::Closed,
            (Some(_), Some(_)) => CircuitState::HalfOpen,
            (Some(_), None) => CircuitState::Open,
        };
        assert_eq!(real.breaker.state(), expected, "{model:?}");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(sequential 1..80 => Real);
}
