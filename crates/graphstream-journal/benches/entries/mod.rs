//! The entries the benches append, and a directory for them on the disk that holds the build (a temporary directory may be in
//! memory, where a sync costs nothing).

use tempfile::TempDir;

/// Statements with parameters as text, about 150 bytes each.
pub fn payloads(count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| {
            let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let [a, b, c, d, ..] = scattered.to_le_bytes();
            format!(
                "CREATE (:Person {{id: $id, firstName: $firstName, birthday: $birthday, locationIP: $ip}}) \
                 id={index:08} firstName=Name{:03} birthday={:05} ip={a:03}.{b:03}.{c:03}.{d:03}",
                scattered % 997,
                scattered % 20_000,
            )
            .into_bytes()
        })
        .collect()
}

pub fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}
