//! Which error of which crate means which kind, and so which exit code, and what to try next: a file for each layer.

mod format;
mod journal;
mod predecessor;
mod remote;
mod replay;
mod replication;
mod storage;

use graphstream::proto;

use super::{Failure, Kind};

const FENCED: &str = "decide which machine leads; for this one, remove its FENCED by hand: the next start sets aside what lies beyond the fence";
const VERIFY: &str = "graphstream verify --journal DIR names every damaged segment; fetch damaged ones again from the object store";

impl From<proto::Error> for Failure {
    fn from(error: proto::Error) -> Self {
        Self::of(Kind::Corruption, &error)
    }
}
