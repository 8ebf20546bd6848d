//! The OpenMetrics text, which Prometheus reads, by prometheus-client's encoder.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::histogram::HistogramSnapshot;
use crate::roles::{
    FollowerSnapshot, JournalSnapshot, LeaderSnapshot, MetricsSnapshot, Role, SnapshotSnapshot,
    VerifySnapshot,
};
use crate::storage::StorageSnapshot;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Is set.
    Gauge,
    /// Observations in buckets; its names end in `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// What a metric is called and means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The name, without the ending its kind adds.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What it means.
    pub help: &'static str,
}

impl Description {
    pub(crate) fn new(name: &'static str, kind: MetricKind, help: &'static str) -> Self {
        Self { name, kind, help: help.trim() }
    }
}

/// The plain value and the kind of a handle.
pub(crate) trait Instrument {
    type Value: Encode;
    const KIND: MetricKind;
}

/// A plain value that knows its text.
pub(crate) trait Encode {
    fn encode(&self, kind: MetricKind, encoder: MetricEncoder<'_>) -> fmt::Result;
}

impl Encode for u64 {
    fn encode(&self, kind: MetricKind, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match kind {
            MetricKind::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(self, None),
            MetricKind::Gauge | MetricKind::Histogram => encoder.encode_gauge(self),
        }
    }
}

impl Encode for f64 {
    fn encode(&self, _kind: MetricKind, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(self)
    }
}

impl Encode for HistogramSnapshot {
    fn encode(&self, _kind: MetricKind, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.count, &self.buckets, None)
    }
}

/// The label that tells databases apart.
const DATABASE: &str = "database";

/// A role's values, of the process or of one of its databases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a, S> {
    pub(crate) database: Option<&'a str>,
    pub(crate) snapshot: &'a S,
}

/// Writes metrics one after another.
pub(crate) struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    /// A metric without labels, or with that of the database alone.
    pub(crate) fn single<I: Instrument, S>(
        &mut self,
        name: &str,
        help: &str,
        parts: &[Part<'_, S>],
        value: impl Fn(&S) -> &I::Value,
    ) -> fmt::Result {
        let mut metric = self.describe(name, help, I::KIND)?;
        for part in parts {
            let Some(database) = part.database else {
                // An empty set of labels would be written as such.
                return value(part.snapshot).encode(I::KIND, metric);
            };
            value(part.snapshot).encode(I::KIND, metric.encode_family(&[(DATABASE, database)])?)?;
        }
        Ok(())
    }

    /// A metric with labels of its own: one value per set of them.
    pub(crate) fn family<I: Instrument, S, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        parts: &[Part<'_, S>],
        values: impl Fn(&S) -> Vec<([(&'static str, &'static str); N], I::Value)>,
    ) -> fmt::Result {
        let mut family = self.describe(name, help, I::KIND)?;
        for part in parts {
            for (labels, value) in values(part.snapshot) {
                let database = part.database.map(|database| (DATABASE, database));
                let labels: Vec<(&str, &str)> = database.into_iter().chain(labels).collect();
                value.encode(I::KIND, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricKind,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        let kind = match kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        self.0.encode_descriptor(name, help.trim(), None, kind)
    }
}

/// What is encoded: the process's values, and in place of some roles those of its databases.
#[derive(Debug)]
struct Exposition {
    process: MetricsSnapshot,
    roles: Vec<Role>,
    databases: Vec<(String, MetricsSnapshot)>,
}

impl Exposition {
    fn parts<'a, S>(&'a self, role: Role, of: impl Fn(&'a MetricsSnapshot) -> &'a S) -> Vec<Part<'a, S>> {
        if !self.roles.contains(&role) {
            return vec![Part { database: None, snapshot: of(&self.process) }];
        }
        let part =
            |(database, snapshot): &'a (String, _)| Part { database: Some(database), snapshot: of(snapshot) };
        self.databases.iter().map(part).collect()
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut Encoder(encoder);
        JournalSnapshot::encode(&self.parts(Role::Journal, |of| &of.journal), encoder)?;
        LeaderSnapshot::encode(&self.parts(Role::Leader, |of| &of.leader), encoder)?;
        FollowerSnapshot::encode(&self.parts(Role::Follower, |of| &of.follower), encoder)?;
        SnapshotSnapshot::encode(&self.parts(Role::Snapshot, |of| &of.snapshot), encoder)?;
        VerifySnapshot::encode(&self.parts(Role::Verify, |of| &of.verify), encoder)?;
        StorageSnapshot::encode(&self.parts(Role::Storage, |of| &of.storage), encoder)
    }
}

impl MetricsSnapshot {
    /// The values as OpenMetrics text, content type `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn to_prometheus(&self) -> String {
        self.to_prometheus_by_database(&[], Vec::new())
    }

    /// As [`to_prometheus`](Self::to_prometheus), for a process with several databases: for `roles` the values are those of the
    /// databases, each with the label `database`, and for the others those of this snapshot.
    pub fn to_prometheus_by_database(
        &self,
        roles: &[Role],
        databases: Vec<(String, MetricsSnapshot)>,
    ) -> String {
        let exposition = Exposition { process: self.clone(), roles: roles.to_vec(), databases };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(exposition));
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            // A string takes whatever is written to it, so this is not reached; half a text must not be served.
            text.clear();
        }
        text
    }
}
