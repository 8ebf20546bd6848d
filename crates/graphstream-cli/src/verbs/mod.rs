//! One module per verb: its flags, and what it does.

pub(crate) mod append;
pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod config;
pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod follow;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod label;
pub(crate) mod repair;
pub(crate) mod replicate;
pub(crate) mod restore;
mod skip;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod tail;
pub(crate) mod verify;
