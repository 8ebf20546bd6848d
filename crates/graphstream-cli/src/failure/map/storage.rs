//! Errors of object stores, with what the backend itself would try next.

use graphstream::storage;

use crate::failure::{Failure, Kind};

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        let (kind, hint) = storage_kind(error.class());
        Self::of(kind, &error).hint_or(advice(&error), hint)
    }
}

/// What the backend itself would try next.
#[cfg(feature = "s3")]
pub(super) fn advice(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<graphstream::storage_s3::Error>()?.hint())
}

/// No other backend has any.
#[cfg(not(feature = "s3"))]
pub(super) fn advice(_: &(dyn std::error::Error + 'static)) -> Option<String> {
    None
}

pub(super) fn storage_kind(class: storage::ErrorClass) -> (Kind, Option<&'static str>) {
    match class {
        storage::ErrorClass::Denied => {
            (Kind::Denied, Some("check the credentials and permissions for this store"))
        }
        storage::ErrorClass::Corrupt => {
            (Kind::Corruption, Some("graphstream verify --from URL --database NAME"))
        }
        storage::ErrorClass::Throttled
        | storage::ErrorClass::Unavailable
        | storage::ErrorClass::TimeoutUnknown => {
            (Kind::Store, Some("the same command again once the store answers"))
        }
        _ => (Kind::Store, Some("check the URL of the store")),
    }
}

impl From<storage::OpenError> for Failure {
    fn from(error: storage::OpenError) -> Self {
        // Without a class the URL itself is at fault.
        let (kind, hint) = error.class().map_or((Kind::Usage, None), storage_kind);
        Self::of(kind, &error).hint_or(advice(&error), hint)
    }
}
