#![allow(clippy::unwrap_used)]

use super::*;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn derivation_is_that_of_rfc_5869() {
    // Appendix A.1, A.2 (long inputs) and A.3 (no salt, no info).
    let all = |first: u8, last: u8| (first..=last).collect::<Vec<_>>();
    assert_eq!(
        expand::<42>(&[0x0b; 22], &all(0, 0x0c), &all(0xf0, 0xf9)).as_slice(),
        bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    );
    assert_eq!(
        expand::<82>(&all(0, 0x4f), &all(0x60, 0xaf), &all(0xb0, 0xff)).as_slice(),
        bytes(concat!(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09",
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ))
    );
    assert_eq!(
        expand::<42>(&[0x0b; 22], &[], &[]).as_slice(),
        bytes("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
}

#[test]
fn every_purpose_has_a_key_of_its_own() {
    let purposes =
        [Purpose::Id, Purpose::Segment, Purpose::Snapshot, Purpose::Chain, Purpose::Document, Purpose::Wrap];
    let keys: std::collections::BTreeSet<[u8; 32]> =
        purposes.iter().map(|&purpose| *derive(&[1; 32], &[], purpose)).collect();
    assert_eq!(keys.len(), purposes.len());
}
