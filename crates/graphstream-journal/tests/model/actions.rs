//! What a run may do. What comes of it is known only when it runs (what survives a power cut, say): the vector is kept beside the
//! system, not here, so that every action is possible at any time.

use std::time::Duration;

use graphstream_journal::{Ack, SyncPolicy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::ReferenceStateMachine;

pub(crate) const CURSORS: [&str; 2] = ["uploader", "audit"];

/// What a run's journal is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) sync_policy: SyncPolicy,
    pub(crate) queue_bytes_max: usize,
    pub(crate) queue_fails: bool,
    pub(crate) waiting_segments_max: usize,
    /// Appends fail when cursors hold back so much.
    pub(crate) held_bytes_max: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Append {
        bytes: usize,
        commit_ms: Option<i64>,
        wait: Option<Ack>,
    },
    Batch {
        sizes: Vec<usize>,
        wait: Option<Ack>,
    },
    Sync,
    Seal,
    /// Closed and opened.
    Reopen,
    /// The handle is dropped without closing, and opened.
    Drop,
    /// The process ends at once; the system keeps what it was given.
    Kill,
    /// What was not synced may be lost, in one of many ways.
    PowerCut {
        image: Index,
        seed: u64,
    },
    /// The power is cut in the recovery from a kill.
    KillThenPowerCut {
        boundary: Index,
        image: Index,
    },
    Read {
        from: Index,
    },
    /// The reader that lives as long as the file system reads on.
    Follow,
    ChainAt(Index),
    SetCursor {
        name: usize,
        at: Index,
    },
    RemoveCursor {
        name: usize,
    },
    Release,
    /// The cursors are read, as at each rotation.
    LookAtCursors,
    Clock {
        ms: i64,
    },
    RaiseFloor {
        ms: i64,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Actions;

impl ReferenceStateMachine for Actions {
    type State = Setup;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<Setup> {
        let sync_policy = prop_oneof![
            Just(SyncPolicy::Never),
            Just(SyncPolicy::Always),
            Just(SyncPolicy::Interval(Duration::from_millis(1)))
        ];
        let held_bytes_max = prop_oneof![Just(None), Just(Some(1024)), Just(Some(5000))];
        let queue_bytes_max = prop_oneof![Just(500_usize), Just(1 << 20)];
        (sync_policy, queue_bytes_max, any::<bool>(), 1..4_usize, held_bytes_max)
            .prop_map(|(sync_policy, queue_bytes_max, queue_fails, waiting_segments_max, held_bytes_max)| {
                Setup { sync_policy, queue_bytes_max, queue_fails, waiting_segments_max, held_bytes_max }
            })
            .boxed()
    }

    fn transitions(_: &Setup) -> BoxedStrategy<Action> {
        let wait = || prop_oneof![Just(None), Just(Some(Ack::Written)), Just(Some(Ack::Synced))];
        // A segment takes 1 KiB.
        let bytes = || prop_oneof![6 => 0..300_usize, 1 => 1000..3000_usize];
        let ms = || prop_oneof![8 => 0..10_000_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
        let asked = prop_oneof![3 => Just(None), 1 => (0..10_000_i64).prop_map(Some)];
        prop_oneof![
            10 => (bytes(), asked, wait())
                .prop_map(|(bytes, commit_ms, wait)| Action::Append { bytes, commit_ms, wait }),
            5 => (vec(bytes(), 1..5), wait()).prop_map(|(sizes, wait)| Action::Batch { sizes, wait }),
            3 => Just(Action::Sync),
            3 => Just(Action::Seal),
            2 => Just(Action::Reopen),
            1 => Just(Action::Drop),
            1 => Just(Action::Kill),
            2 => (any::<Index>(), any::<u64>()).prop_map(|(image, seed)| Action::PowerCut { image, seed }),
            1 => (any::<Index>(), any::<Index>())
                .prop_map(|(boundary, image)| Action::KillThenPowerCut { boundary, image }),
            4 => any::<Index>().prop_map(|from| Action::Read { from }),
            4 => Just(Action::Follow),
            1 => any::<Index>().prop_map(Action::ChainAt),
            3 => (0..CURSORS.len(), any::<Index>()).prop_map(|(name, at)| Action::SetCursor { name, at }),
            1 => (0..CURSORS.len()).prop_map(|name| Action::RemoveCursor { name }),
            2 => Just(Action::Release),
            2 => Just(Action::LookAtCursors),
            2 => ms().prop_map(|ms| Action::Clock { ms }),
            1 => (0..10_000_i64).prop_map(|ms| Action::RaiseFloor { ms }),
        ]
        .boxed()
    }

    fn apply(setup: Setup, _: &Action) -> Setup {
        setup
    }
}
