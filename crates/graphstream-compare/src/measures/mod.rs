//! The rows of the table.

mod batch;
mod burst;
mod latency;
pub(crate) mod memory;
mod open;
mod read;
mod synced;

use anyhow::Result;

use crate::report::Row;
use crate::turns::Setting;

type Measure = fn(&Setting) -> Result<Vec<Row>>;

pub(crate) const MEASURES: &[(&str, Measure)] = &[
    ("burst", burst::burst),
    ("sustained", burst::sustained),
    ("synced-1", synced::one_producer),
    ("synced-64", synced::many_producers),
    ("batch", batch::measure),
    ("latency", latency::measure),
    ("read", read::measure),
    ("open", open::measure),
    ("memory", memory::measure),
];
