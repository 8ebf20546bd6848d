//! Planted bugs: proof that the tests would notice them (`docs/testing.md`). Without the feature there are none.

#[cfg(feature = "sabotage")]
pub(crate) use graphstream_format::sabotage::is;

/// Whether this bug is to happen: never in this build.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is(_bug: &str) -> bool {
    false
}
