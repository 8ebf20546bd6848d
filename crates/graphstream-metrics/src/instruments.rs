//! The single values: counters and gauges.
//!
//! Every operation is one relaxed atomic instruction. Relaxed is enough because a value stands for itself: no reader
//! concludes from one metric that another one, or any memory, has been written.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that only grows, and starts at 0 with the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A whole number that is set: a sequence, an amount, or 0 and 1 for no and yes.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Sets 1 for yes, 0 for no.
    pub fn set_bool(&self, yes: bool) {
        self.set(u64::from(yes));
    }

    /// Sets the value if it is larger than the one there is: for positions that several threads report.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A duration that is set, in seconds.
#[derive(Debug, Default)]
pub struct SecondsGauge(AtomicU64);

impl SecondsGauge {
    /// Sets the value.
    pub fn set(&self, value: Duration) {
        self.0.store(value.as_secs_f64().to_bits(), Relaxed);
    }

    /// The value in seconds.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}
