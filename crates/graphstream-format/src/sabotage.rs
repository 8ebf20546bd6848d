//! Planted bugs: proof that the tests would notice them (`docs/testing.md`).
//!
//! A place that can go wrong asks [`is`]. It answers `true` only in a debug build with the feature `sabotage`, when the
//! environment variable `GRAPHSTREAM_SABOTAGE` bears the bug's name. In every other build it is the constant `false`.

/// Whether this bug is to happen.
#[cfg(all(feature = "sabotage", debug_assertions))]
#[must_use]
pub fn is(bug: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("GRAPHSTREAM_SABOTAGE").ok()).as_deref() == Some(bug)
}

/// Whether this bug is to happen: never in this build.
#[cfg_attr(not(feature = "sabotage"), expect(unreachable_pub, reason = "exported with the feature alone"))]
#[cfg(not(all(feature = "sabotage", debug_assertions)))]
#[must_use]
pub const fn is(_bug: &str) -> bool {
    false
}
