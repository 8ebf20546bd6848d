//! Whether a world is encrypted. Then every process has two keys, and which one is the current one changes from start to start: a rotation that
//! never ends.

use std::cell::Cell;
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, KeyRing};
use graphstream_format::{ChainHash, Header, Position, ReadOptions};
use graphstream_remote::{ChainValue, Remote};

use super::chance::Chance;
use super::machine::LINEAGE;

thread_local! {
    // A world has a thread of its own.
    static ENCRYPTED: Cell<bool> = const { Cell::new(false) };
}

pub fn encrypt(encrypted: bool) {
    ENCRYPTED.set(encrypted);
}

fn ring(current: u8, older: u8) -> Option<Arc<KeyRing>> {
    let key = |number: u8| DataKey::taking(&mut [number; 32]);
    ENCRYPTED.get().then(|| Arc::new(KeyRing::new(key(current)).with_older(key(older))))
}

/// Both keys.
pub fn keys() -> Option<Arc<KeyRing>> {
    ring(1, 2)
}

/// A process's way to the database, with the keys that it has today.
pub fn given(remote: Remote, chance: &Chance) -> Remote {
    let second = ENCRYPTED.get() && chance.per_mille(500);
    match if second { ring(2, 1) } else { ring(1, 2) } {
        Some(keys) => remote.with_keys(keys),
        None => remote,
    }
}

/// Whether that is what is published of this position.
pub fn publishes(chain: &ChainValue, sequence: u64, chain_hash: Option<ChainHash>) -> bool {
    chain_hash.is_some_and(|chain_hash| {
        chain.is(&Position { lineage: LINEAGE, sequence, chain_hash }, keys().as_deref()).unwrap()
    })
}

/// How a segment is read. In an encrypted world none is plain.
pub fn read_options(segment: &[u8]) -> ReadOptions {
    let header = Header::decode(segment.first_chunk().unwrap()).unwrap();
    assert_eq!(header.is_encrypted(), ENCRYPTED.get(), "promise 7: a segment in the store");
    match keys() {
        Some(keys) => ReadOptions::default().with_keys(keys),
        None => ReadOptions::default(),
    }
}
