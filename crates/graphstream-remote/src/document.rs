//! Documents that prove who wrote them: a JSON value, and the MAC over its bytes exactly as they stand.
//!
//! ```text
//! {"format":2,"key_id":"<32 hex digits>","mac":"<64 hex digits>","content":{ ... }}
//!                                                                          ^^^^^^^ HMAC-SHA256 over these bytes and the kind
//! ```
//! Nothing of the content is looked at before the MAC was. A document of one kind never passes for one of another.

use graphstream_format::encryption::{DataKey, DocumentKind, KeyId, KeyRing, KeyedMac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::head::HeadProblem;
use crate::ids::hex_text;

/// The format of keyed documents. Plain ones have another, so that neither passes for the other.
pub const KEYED_FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    format: u32,
    #[serde(with = "hex_text")]
    key_id: KeyId,
    #[serde(with = "hex_text")]
    mac: [u8; 32],
    #[serde(borrow)]
    content: &'a RawValue,
}

/// Reads the version before the shape, so that a newer shape is named as such.
pub(crate) fn format_of(bytes: &[u8]) -> Result<u64, HeadProblem> {
    #[derive(Deserialize)]
    struct Probe {
        format: u64,
    }
    let Probe { format } = serde_json::from_slice(bytes)?;
    Ok(format)
}

/// The bytes of a keyed document; equal content under one key gives equal bytes.
///
/// # Errors
/// [`HeadProblem::Json`] for content that JSON can't say.
pub fn seal_document(
    kind: DocumentKind,
    content: &impl Serialize,
    key: &DataKey,
) -> Result<Vec<u8>, HeadProblem> {
    let content = serde_json::value::to_raw_value(content)?;
    let KeyedMac { key_id, mac } = key.document_mac(kind, content.get().as_bytes());
    let mut bytes = serde_json::to_vec(&Envelope { format: KEYED_FORMAT, key_id, mac, content: &content })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The content of a keyed document, after its MAC, and the key it was made with.
///
/// # Errors
/// [`HeadProblem::Format`] for another version (plain ones included), [`HeadProblem::KeyRequired`], [`HeadProblem::UnknownKey`],
/// [`HeadProblem::Forged`]; [`HeadProblem::Json`].
pub fn open_document<'a>(
    kind: DocumentKind,
    bytes: &'a [u8],
    keys: Option<&KeyRing>,
) -> Result<(&'a str, KeyId), HeadProblem> {
    let found = format_of(bytes)?;
    if found != u64::from(KEYED_FORMAT) {
        return Err(HeadProblem::Format { found, supported: KEYED_FORMAT });
    }
    let Envelope { format: _, key_id: id, mac, content } = serde_json::from_slice(bytes)?;
    let keys = keys.ok_or(HeadProblem::KeyRequired { id })?;
    keys.key(id).ok_or(HeadProblem::UnknownKey { id })?;
    let content = content.get();
    keys.verify_document(&KeyedMac { key_id: id, mac }, kind, content.as_bytes())
        .map_err(|_| HeadProblem::Forged { id })?;
    Ok((content, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(DataKey::taking(&mut [byte; 32]))
    }

    #[test]
    fn k06_a_document_opens_under_its_key_and_kind_alone() {
        let keys = ring(1);
        let bytes = seal_document(DocumentKind::Head, &[1, 2, 3], keys.current()).unwrap();
        assert_eq!(bytes, seal_document(DocumentKind::Head, &[1, 2, 3], keys.current()).unwrap());
        let (content, id) = open_document(DocumentKind::Head, &bytes, Some(&keys)).unwrap();
        assert_eq!((content, id), ("[1,2,3]", keys.current().id()));
        let other = ring(2);
        let open = |kind, keys| open_document(kind, &bytes, keys).map(drop).unwrap_err();
        assert!(matches!(open(DocumentKind::Head, None), HeadProblem::KeyRequired { .. }));
        assert!(matches!(open(DocumentKind::Head, Some(&other)), HeadProblem::UnknownKey { .. }));
        for other in [DocumentKind::Epoch, DocumentKind::SnapshotManifest] {
            assert!(matches!(open(other, Some(&keys)), HeadProblem::Forged { .. }));
        }
    }

    #[test]
    fn h06_every_changed_byte_of_a_document_is_found() {
        let keys = ring(1);
        let bytes = seal_document(DocumentKind::Head, &"content", keys.current()).unwrap();
        for at in 0..bytes.len() - 1 {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let opened = open_document(DocumentKind::Head, &changed, Some(&keys));
                assert!(opened.is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}
