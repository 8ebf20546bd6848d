//! The backend over the testkit's S3 servers. One binary, because each links the whole SDK.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod conformance;
mod credentials;
mod deletes;
mod encryption;
mod liars;
mod lists;
mod parts;
mod reads;
mod tls;
mod urls;
