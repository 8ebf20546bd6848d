//! Encryption of sealed segments, and keyed proofs of what stands outside of them.
//!
//! ```text
//!                  HKDF-SHA256, one info string per purpose
//! data key (32) --+-- id ----------------> KeyId (16), public: names the key, and tells a wrong key from the right one
//!                 +-- salt, "segment" ---> segment key -> ChaCha20-Poly1305 STREAM: chunk 0, 1, ..., last
//!                 +-- salt, "snapshot" --> ChaCha20-Poly1305 STREAM over the objects of a snapshot (ObjectSealer)
//!                 +-- "chain" -----------> HMAC-SHA256 of chain values outside of segments     (KeyedMac)
//!                 +-- "document" --------> HMAC-SHA256 of heads, epoch objects, manifests     (KeyedMac)
//!                 +-- "wrap" ------------> XChaCha20-Poly1305 of other data keys, if it is a master key (WrappedKey)
//!
//! file   header (128) | extension (56) | chunk 0 | chunk 1 | ... | last chunk | footer (64)
//! chunk  length u32, with the tag | ciphertext | tag (16)
//! ```
//!
//! A [`KeyRing`] holds the keys. A writer takes a [`ChunkSealer`], which hands out each chunk number once, so that no nonce is used
//! twice. A reader takes a [`ChunkOpener`], which opens chunks in any order and says what is wrong with one that does not open
//! ([`ChunkDefect`](crate::ChunkDefect)). Random bytes come from the caller; this module draws none.

mod cipher;
mod derive;
mod extension;
mod key;
mod key_file;
mod key_ring;
mod mac;
mod objects;
mod wrap;

pub use cipher::{CHUNK_PREFIX_LEN, ChunkOpener, ChunkSealer, ChunkSlot, TAG_LEN};
pub use derive::info;
pub use extension::{EXTENSION_LEN, Extension, SEGMENT_RANDOM_LEN, extension_field};
pub use key::{DATA_KEY_LEN, DataKey, EncryptWith, KEY_ID_LEN, KeyId};
pub use key_file::KEY_FILE_LABEL;
pub use key_ring::KeyRing;
pub use mac::{DocumentKind, KeyedMac, MAC_LEN};
pub use objects::{ObjectOpener, ObjectSealer};
pub use wrap::{WRAP_NONCE_LEN, WRAPPED_KEY_LEN, WrappedKey};
