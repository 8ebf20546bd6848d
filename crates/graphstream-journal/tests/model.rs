//! The journal against a vector of entries: random runs of appends, waits, seals, restarts, kills and power cuts, in which the
//! journal must always be what the vector says.
//!
//! `PROPTEST_CASES=n` changes how many runs there are.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod model {
    pub(crate) mod actions;
    pub(crate) mod expected;
    pub(crate) mod reading;
    pub(crate) mod system;
}

use graphstream_journal::Service;
use model::actions::{Actions, Setup};
use model::system::System;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// Nobody but the caller touches the journal: every run does the same steps, and every commit time is foreseen.
struct Inline;

/// The pool writes, syncs and seals beside the caller.
struct Pooled;

macro_rules! runs_on {
    ($test:ident, $service:expr) => {
        impl StateMachineTest for $test {
            type SystemUnderTest = System;
            type Reference = Actions;

            fn init_test(setup: &Setup) -> System {
                System::new(setup, $service)
            }

            fn apply(
                mut system: System,
                _: &Setup,
                action: <Actions as ReferenceStateMachine>::Transition,
            ) -> System {
                system.act(&action);
                system
            }

            fn check_invariants(system: &System, _: &Setup) {
                system.check();
            }

            fn teardown(system: System, _: Setup) {
                system.finish();
            }
        }
    };
}

runs_on!(Inline, Service::Inline);
runs_on!(Pooled, Service::Pool);

fn cases(default: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES").map_or(default, |cases| cases.parse().unwrap());
    let failures = FileFailurePersistence::Direct("tests/model/regressions.txt");
    Config {
        cases,
        max_shrink_iters: 4096,
        failure_persistence: Some(Box::new(failures)),
        ..Config::default()
    }
}

prop_state_machine! {
    #![proptest_config(cases(1500))]

    #[test]
    fn l01_l11_l17_the_journal_is_what_the_vector_says(sequential 1..40 => Inline);
}

prop_state_machine! {
    #![proptest_config(cases(500))]

    #[test]
    fn l01_l11_l17_the_journal_is_what_the_vector_says_with_the_pool(sequential 1..40 => Pooled);
}
