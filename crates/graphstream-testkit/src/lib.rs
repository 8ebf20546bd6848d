//! What the tests of several crates need: a file system that crashes and fails on demand, the log of what was acknowledged, a table of
//! damages, and small deterministic components; behind features what takes longer to compile.

mod ack_log;
mod crash_fs;
pub mod damage;
mod fixed;
mod moto;

#[cfg(feature = "fault-proxy")]
pub mod fault_proxy;
#[cfg(feature = "s3")]
pub mod s3;

pub use ack_log::{AckLog, Broken};
pub use crash_fs::{CrashFs, Crashes, Fault, Image, Lies, Persisted};
pub use fixed::{CountingEntropy, SteppingClock};
pub use moto::Moto;
