//! What the tests of several crates need: a file system that crashes and fails on demand, and small deterministic components.

mod crash_fs;
mod fixed;

pub use crash_fs::{CrashFs, Crashes, Fault, Image, Lies, Persisted};
pub use fixed::{CountingEntropy, SteppingClock};
