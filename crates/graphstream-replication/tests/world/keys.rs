//! Keys of encrypted histories, by numbers.

use std::sync::Arc;

use graphstream_format::encryption::{DataKey, KeyRing};

pub fn key(number: u8) -> DataKey {
    DataKey::taking(&mut [0xc0 + number; 32])
}

/// The first is the current one.
pub fn ring(numbers: &[u8]) -> Arc<KeyRing> {
    let (current, older) = numbers.split_first().unwrap();
    let ring = KeyRing::new(key(*current));
    Arc::new(older.iter().fold(ring, |ring, older| ring.with_older(key(*older))))
}
