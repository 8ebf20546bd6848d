//! The requests to the object store, by operation and outcome.

use std::time::Duration;

use crate::histogram::{DurationHistogram, HistogramSnapshot};
use crate::instruments::{Counter, Gauge};
use crate::prometheus::{Description, Encoder, MetricKind, Part};

/// Declares an enum of labels: its variants, their texts and their number.
macro_rules! labels {
    ($(#[doc = $doc:literal])+ $name:ident { $( #[doc = $variant_doc:literal] $variant:ident = $text:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $( #[doc = $variant_doc] $variant, )+ }

        impl $name {
            /// All of them, in the order of the text.
            pub const ALL: &[Self] = &[$( Self::$variant, )+];

            const COUNT: usize = Self::ALL.len();

            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }
    };
}

labels! {
    /// What was asked of the object store.
    StorageOperation {
        /// Reading an object.
        Get = "get",
        /// Writing an object.
        Put = "put",
        /// Asking for an object's size and version.
        Head = "head",
        /// Deleting one object.
        Delete = "delete",
        /// Deleting several objects.
        DeleteMany = "delete_many",
        /// Reading one page of a listing.
        List = "list",
    }
}

labels! {
    /// How the object store answered.
    StorageOutcome {
        /// It did what was asked.
        Ok = "ok",
        /// The object is still the version the caller has.
        NotModified = "not_modified",
        /// There is no such object.
        NotFound = "not_found",
        /// The object to create exists.
        Exists = "exists",
        /// The object to replace has another version.
        VersionMismatch = "version_mismatch",
        /// It refused: permission or credentials.
        Denied = "denied",
        /// It wants fewer requests.
        Throttled = "throttled",
        /// It can't be reached, or failed.
        Unavailable = "unavailable",
        /// No answer in time: a write may have happened.
        TimeoutUnknown = "timeout_unknown",
        /// What it returned is damaged.
        Corrupt = "corrupt",
        /// Anything else.
        Other = "other",
    }
}

const REQUESTS: &str = "graphstream_storage_requests";
const REQUESTS_HELP: &str = "Requests to the object store, by `operation` and `outcome`.";
const REQUEST_SECONDS: &str = "graphstream_storage_request_seconds";
const REQUEST_SECONDS_HELP: &str = "How long a request to the object store took, by `operation`.";
const READ_BYTES: &str = "graphstream_storage_read_bytes";
const READ_BYTES_HELP: &str = "Bytes of objects read from the object store.";
const WRITTEN_BYTES: &str = "graphstream_storage_written_bytes";
const WRITTEN_BYTES_HELP: &str = "Bytes of objects written to the object store.";
const RETRIES: &str = "graphstream_storage_retries";
const RETRIES_HELP: &str = "Calls made again after a failure, and bodies read on, by `operation`.";
const RESOLVED_PUTS: &str = "graphstream_storage_resolved_puts";
const RESOLVED_PUTS_HELP: &str = "Conditional puts whose answer was lost and that reading back found done.";
const CIRCUIT_STATE: &str = "graphstream_storage_circuit_state";
const CIRCUIT_STATE_HELP: &str =
    "Whether the store is asked: 0 yes (closed), 1 one call at a time (half-open), 2 no (open).";
const CIRCUIT_OPENINGS: &str = "graphstream_storage_circuit_openings";
const CIRCUIT_OPENINGS_HELP: &str =
    "How often the store failed so many times in a row that it was left alone.";
const CIRCUIT_REFUSALS: &str = "graphstream_storage_circuit_refusals";
const CIRCUIT_REFUSALS_HELP: &str = "Calls that failed at once because the store was left alone.";

/// What the object store's requests count.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StorageMetrics {
    requests: [[Counter; StorageOutcome::COUNT]; StorageOperation::COUNT],
    request_seconds: [DurationHistogram; StorageOperation::COUNT],
    /// Bytes of objects read from the object store.
    ///
    /// Exported as `graphstream_storage_read_bytes`.
    pub bytes_read: Counter,
    /// Bytes of objects written to the object store.
    ///
    /// Exported as `graphstream_storage_written_bytes`.
    pub bytes_written: Counter,
    retries: [Counter; StorageOperation::COUNT],
    /// Conditional puts whose answer was lost and that reading back found done.
    ///
    /// Exported as `graphstream_storage_resolved_puts`.
    pub resolved_puts: Counter,
    /// Whether the store is asked: 0 yes (closed), 1 one call at a time (half-open), 2 no (open).
    ///
    /// Exported as `graphstream_storage_circuit_state`.
    pub circuit_state: Gauge,
    /// How often the store failed so many times in a row that it was left alone.
    ///
    /// Exported as `graphstream_storage_circuit_openings`.
    pub circuit_openings: Counter,
    /// Calls that failed at once because the store was left alone.
    ///
    /// Exported as `graphstream_storage_circuit_refusals`.
    pub circuit_refusals: Counter,
}

impl StorageMetrics {
    /// Counts one call that is made again, or one body that is read on.
    pub fn count_retry(&self, operation: StorageOperation) {
        if let Some(retries) = self.retries.get(operation as usize) {
            retries.inc();
        }
    }

    /// Counts one request that took `duration`.
    pub fn record(&self, operation: StorageOperation, outcome: StorageOutcome, duration: Duration) {
        let by_outcome = self.requests.get(operation as usize);
        if let Some(requests) = by_outcome.and_then(|counters| counters.get(outcome as usize)) {
            requests.inc();
        }
        if let Some(seconds) = self.request_seconds.get(operation as usize) {
            seconds.observe(duration);
        }
    }

    pub(crate) fn snapshot(&self) -> StorageSnapshot {
        let operations = StorageOperation::ALL.iter().zip(&self.requests).zip(&self.request_seconds);
        let requests = operations
            .map(|((operation, counters), seconds)| RequestSnapshot {
                operation: *operation,
                outcomes: StorageOutcome::ALL
                    .iter()
                    .copied()
                    .zip(counters.iter().map(Counter::get))
                    .collect(),
                seconds: seconds.get(),
            })
            .collect();
        StorageSnapshot {
            requests,
            bytes_read: self.bytes_read.get(),
            bytes_written: self.bytes_written.get(),
            retries: StorageOperation::ALL
                .iter()
                .copied()
                .zip(self.retries.iter().map(Counter::get))
                .collect(),
            resolved_puts: self.resolved_puts.get(),
            circuit_state: self.circuit_state.get(),
            circuit_openings: self.circuit_openings.get(),
            circuit_refusals: self.circuit_refusals.get(),
        }
    }
}

/// The object store's values at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct StorageSnapshot {
    /// The requests, one element per operation.
    pub requests: Vec<RequestSnapshot>,
    /// Bytes of objects read from the object store.
    pub bytes_read: u64,
    /// Bytes of objects written to the object store.
    pub bytes_written: u64,
    /// Calls made again after a failure, one element per operation.
    pub retries: Vec<(StorageOperation, u64)>,
    /// Conditional puts whose answer was lost and that reading back found done.
    pub resolved_puts: u64,
    /// Whether the store is asked: 0 yes (closed), 1 one call at a time (half-open), 2 no (open).
    pub circuit_state: u64,
    /// How often the store failed so many times in a row that it was left alone.
    pub circuit_openings: u64,
    /// Calls that failed at once because the store was left alone.
    pub circuit_refusals: u64,
}

/// The requests of one operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RequestSnapshot {
    /// What was asked.
    pub operation: StorageOperation,
    /// How often each outcome was met, all outcomes included.
    pub outcomes: Vec<(StorageOutcome, u64)>,
    /// How long the requests took.
    pub seconds: HistogramSnapshot,
}

impl StorageSnapshot {
    /// How often `operation` had `outcome`.
    pub fn requests(&self, operation: StorageOperation, outcome: StorageOutcome) -> u64 {
        self.requests
            .iter()
            .filter(|requests| requests.operation == operation)
            .flat_map(|requests| &requests.outcomes)
            .filter(|(met, _)| *met == outcome)
            .map(|(_, count)| count)
            .sum()
    }

    /// How often calls of `operation` were made again.
    pub fn retries(&self, operation: StorageOperation) -> u64 {
        self.retries.iter().filter(|(met, _)| *met == operation).map(|(_, count)| count).sum()
    }

    pub(crate) fn encode(parts: &[Part<'_, Self>], encoder: &mut Encoder<'_>) -> std::fmt::Result {
        encoder.family::<Counter, Self, 2>(REQUESTS, REQUESTS_HELP, parts, |values| {
            let of = |requests: &RequestSnapshot| {
                let operation = requests.operation.as_str();
                let labelled = |(outcome, count): &(StorageOutcome, u64)| {
                    ([("operation", operation), ("outcome", outcome.as_str())], *count)
                };
                requests.outcomes.iter().map(labelled).collect::<Vec<_>>()
            };
            values.requests.iter().flat_map(of).collect()
        })?;
        encoder.family::<DurationHistogram, Self, 1>(
            REQUEST_SECONDS,
            REQUEST_SECONDS_HELP,
            parts,
            |values| {
                let of = |requests: &RequestSnapshot| {
                    ([("operation", requests.operation.as_str())], requests.seconds.clone())
                };
                values.requests.iter().map(of).collect()
            },
        )?;
        encoder.single::<Counter, Self>(READ_BYTES, READ_BYTES_HELP, parts, |values| &values.bytes_read)?;
        encoder.single::<Counter, Self>(WRITTEN_BYTES, WRITTEN_BYTES_HELP, parts, |values| {
            &values.bytes_written
        })?;
        encoder.family::<Counter, Self, 1>(RETRIES, RETRIES_HELP, parts, |values| {
            let of =
                |(operation, count): &(StorageOperation, u64)| ([("operation", operation.as_str())], *count);
            values.retries.iter().map(of).collect()
        })?;
        encoder.single::<Counter, Self>(RESOLVED_PUTS, RESOLVED_PUTS_HELP, parts, |values| {
            &values.resolved_puts
        })?;
        encoder.single::<Gauge, Self>(CIRCUIT_STATE, CIRCUIT_STATE_HELP, parts, |values| {
            &values.circuit_state
        })?;
        encoder.single::<Counter, Self>(CIRCUIT_OPENINGS, CIRCUIT_OPENINGS_HELP, parts, |values| {
            &values.circuit_openings
        })?;
        encoder.single::<Counter, Self>(CIRCUIT_REFUSALS, CIRCUIT_REFUSALS_HELP, parts, |values| {
            &values.circuit_refusals
        })
    }

    pub(crate) fn describe(descriptions: &mut Vec<Description>) {
        descriptions.extend([
            Description::new(REQUESTS, MetricKind::Counter, REQUESTS_HELP),
            Description::new(REQUEST_SECONDS, MetricKind::Histogram, REQUEST_SECONDS_HELP),
            Description::new(READ_BYTES, MetricKind::Counter, READ_BYTES_HELP),
            Description::new(WRITTEN_BYTES, MetricKind::Counter, WRITTEN_BYTES_HELP),
            Description::new(RETRIES, MetricKind::Counter, RETRIES_HELP),
            Description::new(RESOLVED_PUTS, MetricKind::Counter, RESOLVED_PUTS_HELP),
            Description::new(CIRCUIT_STATE, MetricKind::Gauge, CIRCUIT_STATE_HELP),
            Description::new(CIRCUIT_OPENINGS, MetricKind::Counter, CIRCUIT_OPENINGS_HELP),
            Description::new(CIRCUIT_REFUSALS, MetricKind::Counter, CIRCUIT_REFUSALS_HELP),
        ]);
    }
}
