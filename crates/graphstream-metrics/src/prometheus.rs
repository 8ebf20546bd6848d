//! The OpenMetrics text, which Prometheus reads, by prometheus-client's encoder.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::histogram::HistogramSnapshot;
use crate::roles::MetricsSnapshot;

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

/// Writes metrics one after another.
pub(crate) struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    /// A metric without labels.
    pub(crate) fn single<I: Instrument>(&mut self, name: &str, help: &str, value: &I::Value) -> fmt::Result {
        value.encode(I::KIND, self.describe(name, help, I::KIND)?)
    }

    /// A metric with labels: one value per set of them.
    pub(crate) fn family<I: Instrument, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, I::Value)>,
    ) -> fmt::Result {
        let mut family = self.describe(name, help, I::KIND)?;
        for (labels, value) in values {
            value.encode(I::KIND, family.encode_family(&labels)?)?;
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

impl Collector for MetricsSnapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode(&mut Encoder(encoder))
    }
}

impl MetricsSnapshot {
    /// The values as OpenMetrics text, content type `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn to_prometheus(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            // A string takes whatever is written to it, so this is not reached; half a text must not be served.
            text.clear();
        }
        text
    }
}
