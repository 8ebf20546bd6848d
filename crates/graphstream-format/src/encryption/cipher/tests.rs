#![allow(clippy::unwrap_used)]

use super::*;
use aead_stream::{NewStream, StreamBE32, StreamPrimitive};

use crate::Lineage;
use crate::header::{FLAG_SEALED, VERSION_2};

#[path = "../../../tests/chunk_header/mod.rs"]
mod chunk_header;

use chunk_header::header;

fn key() -> DataKey {
    DataKey::taking(&mut [5; 32])
}

#[test]
fn chunks_are_those_of_stream_be32() {
    let mut random = [0; SEGMENT_RANDOM_LEN];
    random.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
    let mut sealer = ChunkSealer::new(&key(), &header(), &random);
    let cipher = Arc::clone(&sealer.cipher);
    let stream = StreamBE32::from_aead(cipher.aead.clone(), &cipher.extension.nonce_prefix.into());
    for number in 0..5 {
        let slot = sealer.next_chunk().unwrap();
        check(&stream, &cipher, slot, number, false);
    }
    check(&stream, &cipher, sealer.last_chunk(), 5, true);
}

fn check(
    stream: &StreamBE32<ChaCha20Poly1305>,
    cipher: &SegmentCipher,
    slot: ChunkSlot,
    number: u32,
    last: bool,
) {
    let text = vec![number as u8; 100 * number as usize];
    let mut expected = text.clone();
    stream.encrypt_in_place(number, last, &cipher.associated, &mut expected).unwrap();
    let mut chunk = [vec![0; CHUNK_PREFIX_LEN], text].concat();
    slot.seal(&mut chunk).unwrap();
    let (prefix, chunk) = chunk.split_first_chunk::<CHUNK_PREFIX_LEN>().unwrap();
    assert_eq!(chunk, expected);
    assert_eq!(u32::from_be_bytes(*prefix) as usize, expected.len());
}

/// RFC 8439, 2.8.2: the nonce splits into a prefix of 7 bytes, a chunk number and a last flag only if its last byte is 0 or 1, so the
/// vector goes through the cipher that the chunks go through.
#[test]
fn the_cipher_is_that_of_rfc_8439() {
    let key: [u8; 32] = std::array::from_fn(|at| 0x80 + at as u8);
    let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
    let associated = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let mut text = *b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let aead = ChaCha20Poly1305::new(&key.into());
    let tag =
        aead.encrypt_inout_detached(&nonce.into(), &associated, InOutBuf::from(text.as_mut_slice())).unwrap();
    assert_eq!(
        hex::encode(text),
        concat!(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b",
            "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc",
            "3ff4def08e4b7a9de576d26586cec64b6116"
        )
    );
    assert_eq!(hex::encode(tag), "1ae10b594f09e26a7e902ecbd0600691");
}
