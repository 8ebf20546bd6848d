//! Encryption from outside: what opens, what does not, and what the error says then.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chunk_header;

use std::collections::HashSet;

use chunk_header::header;
use graphstream_format::encryption::{
    CHUNK_PREFIX_LEN, ChunkOpener, ChunkSealer, DataKey, DocumentKind, EXTENSION_LEN, Extension, KeyId,
    KeyRing, SEGMENT_RANDOM_LEN, TAG_LEN, WRAPPED_KEY_LEN, WrappedKey,
};
use graphstream_format::header::{FLAG_SEALED, HEADER_LEN, Header, VERSION_2, field};
use graphstream_format::{ChainHash, ChunkDefect, Damage, Error, KeyLineDefect, Lineage, Position};
use proptest::prelude::*;

fn key(seed: u8) -> DataKey {
    DataKey::taking(&mut [seed; 32])
}

fn random(seed: u8) -> [u8; SEGMENT_RANDOM_LEN] {
    std::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add(at as u8))
}

/// A segment of these plaintexts: its extension, and its chunks without their lengths.
fn segment(key: &DataKey, seed: u8, texts: &[Vec<u8>]) -> (Extension, Vec<Vec<u8>>) {
    let mut sealer = ChunkSealer::new(key, &header(), &random(seed));
    let extension = *sealer.extension();
    let (last, others) = texts.split_last().unwrap();
    let mut chunks: Vec<_> = others.iter().map(|text| (sealer.next_chunk().unwrap(), text.clone())).collect();
    chunks.push((sealer.last_chunk(), last.clone()));
    let seal = |(slot, text): (graphstream_format::encryption::ChunkSlot, Vec<u8>)| {
        let mut chunk = [vec![0; CHUNK_PREFIX_LEN], text].concat();
        slot.seal(&mut chunk).unwrap();
        let (prefix, chunk) = chunk.split_first_chunk().unwrap();
        assert_eq!(ChunkOpener::length(*prefix, usize::MAX, 0).unwrap(), chunk.len());
        chunk.to_vec()
    };
    (extension, chunks.into_iter().map(seal).collect())
}

fn three() -> (Extension, Vec<Vec<u8>>) {
    segment(&key(1), 1, &[b"zero".to_vec(), b"first".to_vec(), b"the last".to_vec()])
}

fn open(opener: &ChunkOpener, number: u32, last: bool, chunk: &[u8]) -> Result<Vec<u8>, ChunkDefect> {
    let mut chunk = chunk.to_vec();
    match opener.open(number, last, &mut chunk, 184) {
        Ok(text) => Ok(text.to_vec()),
        Err(Error::Damaged { what: Damage::Chunk { number: found, defect }, .. }) => {
            assert!(found.is_none_or(|found| found == number));
            Err(defect)
        }
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #[test]
    fn every_chunk_opens_alone_and_in_any_order(
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..12),
        seed in any::<u8>(), first in any::<prop::sample::Index>(),
    ) {
        let (extension, chunks) = segment(&key(1), seed, &texts);
        let opener = ChunkOpener::new(&key(1), &header(), &extension).unwrap();
        let first = first.index(chunks.len());
        for number in (first..chunks.len()).chain(0..first) {
            let last = number + 1 == chunks.len();
            prop_assert_eq!(open(&opener, number as u32, last, &chunks[number]).unwrap(), texts[number].clone());
            prop_assert_eq!(chunks[number].len(), texts[number].len() + TAG_LEN);
        }
    }
}

#[test]
fn h06_truncated_extended_reordered_and_spliced_chunks_have_names() {
    let (extension, chunks) = three();
    let (_, foreign) = segment(&key(1), 2, &[b"zero".to_vec(), b"first".to_vec(), b"the last".to_vec()]);
    let opener = || ChunkOpener::new(&key(1), &header(), &extension).unwrap();
    assert_eq!(open(&opener(), 1, true, &chunks[1]), Err(ChunkDefect::Truncated));
    assert_eq!(open(&opener(), 2, false, &chunks[2]), Err(ChunkDefect::Extended));
    assert_eq!(open(&opener(), 0, false, &chunks[1]), Err(ChunkDefect::Reordered { found: 1 }));
    assert_eq!(open(&opener(), 0, false, &chunks[2]), Err(ChunkDefect::Reordered { found: 2 }));
    assert_eq!(open(&opener(), 2, true, &chunks[0]), Err(ChunkDefect::Reordered { found: 0 }));
    assert_eq!(open(&opener(), 1, false, &chunks[1][..TAG_LEN - 1]), Err(ChunkDefect::TooShort));
    // Before any chunk opened, one from elsewhere can't be told from a changed header; afterwards it can.
    let opener = opener();
    assert_eq!(open(&opener, 1, false, &foreign[1]), Err(ChunkDefect::Header));
    open(&opener, 0, false, &chunks[0]).unwrap();
    assert_eq!(open(&opener, 1, false, &foreign[1]), Err(ChunkDefect::Foreign));
    assert_eq!(open(&opener, 1, false, &chunks[1]).unwrap(), b"first");
}

#[test]
fn h06_every_flipped_bit_of_header_and_extension_is_refused() {
    let (extension, chunks) = three();
    let not_bound = [field::BODY_LEN..field::BODY_CHECKSUM + 32, field::HEADER_CRC32C..HEADER_LEN];
    for bit in 0..(HEADER_LEN * 8) {
        let mut bytes = header().encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if bit / 8 == field::MAGIC || bit / 8 < field::VERSION {
            continue; // The magic is in no field.
        }
        // The checksum is mended, as somebody would who knows the format. Fields that decode would refuse are put together by hand.
        let changed = fields(&bytes);
        let opener = ChunkOpener::new(&key(1), &changed, &extension).unwrap();
        let opened = open(&opener, 0, false, &chunks[0]);
        if not_bound.iter().any(|range| range.contains(&(bit / 8))) {
            assert_eq!(opened.unwrap(), b"zero", "bit {bit}");
        } else {
            assert_eq!(opened, Err(ChunkDefect::Header), "bit {bit}");
        }
    }
    for bit in 0..(EXTENSION_LEN * 8) {
        let mut bytes = extension.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = Extension::decode(&bytes) else {
            assert_eq!(bit / 8, EXTENSION_LEN - 1);
            continue;
        };
        match ChunkOpener::new(&key(1), &header(), &changed) {
            Ok(opener) => assert_eq!(open(&opener, 0, false, &chunks[0]), Err(ChunkDefect::Header)),
            Err(Error::WrongKey { .. }) => assert!(bit / 8 < 16),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The fields of a header, unchecked.
fn fields(bytes: &[u8; HEADER_LEN]) -> Header {
    let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    Header {
        version: bytes[field::VERSION],
        flags: bytes[field::FLAGS],
        compression: bytes[field::COMPRESSION],
        ext_len: u32::from_be_bytes(bytes[field::EXT_LEN..field::EXT_LEN + 4].try_into().unwrap()),
        first_seq: u64_at(field::FIRST_SEQ),
        last_seq: u64_at(field::LAST_SEQ),
        entry_count: u64_at(field::ENTRY_COUNT),
        body_len: u64_at(field::BODY_LEN),
        body_checksum: bytes[field::BODY_CHECKSUM..field::BODY_CHECKSUM + 32].try_into().unwrap(),
        prev_segment_checksum: u64_at(field::PREV_SEGMENT_CHECKSUM),
        created_ms: u64_at(field::CREATED_MS).cast_signed(),
        lineage: Lineage::from_bytes(bytes[field::LINEAGE..field::LINEAGE + 16].try_into().unwrap()),
        first_commit_ms: u64_at(field::FIRST_COMMIT_MS).cast_signed(),
        last_commit_ms: u64_at(field::LAST_COMMIT_MS).cast_signed(),
    }
}

#[test]
fn h06_every_flipped_bit_and_every_cut_of_a_chunk_is_refused() {
    let (extension, chunks) = three();
    let opener = ChunkOpener::new(&key(1), &header(), &extension).unwrap();
    open(&opener, 0, false, &chunks[0]).unwrap();
    for bit in 0..chunks[1].len() * 8 {
        let mut chunk = chunks[1].clone();
        chunk[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&opener, 1, false, &chunk), Err(ChunkDefect::Foreign));
    }
    for length in 0..chunks[1].len() {
        let expected = if length < TAG_LEN { ChunkDefect::TooShort } else { ChunkDefect::Foreign };
        assert_eq!(open(&opener, 1, false, &chunks[1][..length]), Err(expected));
    }
}

#[test]
fn h06_a_chunks_length_is_capped_before_anything_is_allocated() {
    let length = |length: u32| ChunkOpener::length(length.to_be_bytes(), 100, 184);
    assert_eq!(length(116).unwrap(), 116);
    assert_eq!(length(16).unwrap(), 16);
    let too_long = length(117).unwrap_err().to_string();
    assert_eq!(
        too_long,
        "damaged segment at file offset 184: a length of 117 bytes exceeds the limit of 116"
    );
    let too_short = length(15).unwrap_err().to_string();
    assert_eq!(
        too_short,
        "damaged segment at file offset 184: chunk does not open: it is shorter than its tag"
    );
    length(u32::MAX).unwrap_err();
}

#[test]
fn h05_nonces_do_not_repeat_in_a_million_seals() {
    let data_key = key(1);
    let mut seen = HashSet::with_capacity(1_000_000);
    let mut entropy = 0_u64;
    for segment in 0..1000_u64 {
        let random = std::array::from_fn(|_| {
            entropy = entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (entropy >> 56) as u8
        });
        let mut sealer = ChunkSealer::new(&data_key, &header(), &random);
        let mut chunk = Vec::new();
        for _ in 0..999 {
            seal(sealer.next_chunk().unwrap(), &mut chunk);
            assert!(seen.insert(stream_of(&chunk)), "segment {segment}");
        }
        seal(sealer.last_chunk(), &mut chunk);
        assert!(seen.insert(stream_of(&chunk)), "segment {segment}");
    }
    assert_eq!(seen.len(), 1_000_000);
}

/// Sixteen zero bytes, so that the chunk shows the cipher's key stream: equal pairs of key and nonce would show equal streams.
fn seal(slot: graphstream_format::encryption::ChunkSlot, chunk: &mut Vec<u8>) {
    chunk.clear();
    chunk.resize(CHUNK_PREFIX_LEN + 16, 0);
    slot.seal(chunk).unwrap();
}

fn stream_of(chunk: &[u8]) -> [u8; 16] {
    chunk[CHUNK_PREFIX_LEN..CHUNK_PREFIX_LEN + 16].try_into().unwrap()
}

#[test]
fn h04_unknown_missing_and_wrong_keys_and_plaintext_have_errors_of_their_own() {
    let (extension, _) = three();
    let ring = KeyRing::new(key(2)).with_older(key(1));
    let chosen = KeyRing::for_reading(Some(&ring), Some(&extension)).unwrap().unwrap();
    assert_eq!(chosen.id(), key(1).id());
    assert!(KeyRing::for_reading(None, None).unwrap().is_none());
    let id = key(1).id();
    let other = KeyRing::new(key(3));
    let said = |keys, extension| KeyRing::for_reading(keys, extension).err().unwrap().to_string();
    assert_eq!(said(Some(&other), Some(&extension)), format!("key {id} is not among the keys given"));
    assert_eq!(
        said(None, Some(&extension)),
        format!("the segment is encrypted with key {id}, and no key was given")
    );
    assert_eq!(said(Some(&ring), None), "the segment is not encrypted, although encryption is required");
    let wrong = ChunkOpener::new(&key(3), &header(), &extension).unwrap_err();
    assert!(matches!(wrong, Error::WrongKey { expected, found } if expected == id && found == key(3).id()));
}

#[test]
fn h04_a_key_line_says_its_key_and_no_other() {
    let line = key(1).to_line();
    let read = DataKey::from_line(&line).unwrap();
    assert_eq!(read.id(), key(1).id());
    assert_eq!(*read.to_line(), *line);
    let (extension, chunks) = three();
    let opener = ChunkOpener::new(&read, &header(), &extension).unwrap();
    assert_eq!(open(&opener, 0, false, &chunks[0]).unwrap(), b"zero");
    DataKey::from_line(line.trim_end()).unwrap();
    DataKey::from_line(&line.replace('\n', "\r\n")).unwrap();

    let of_another = line.replace(&key(1).id().to_string(), &key(2).id().to_string());
    let wrong = DataKey::from_line(&of_another).err().unwrap();
    assert_eq!(
        wrong.to_string(),
        format!("the key given as {} is another one: its id is {}", key(2).id(), key(1).id())
    );
    // A character of the key that was copied wrong is found out too.
    assert!(matches!(DataKey::from_line(&line.replacen("AQ", "AR", 1)), Err(Error::WrongKey { .. })));
}

#[test]
fn k01_what_is_no_key_line_is_named_without_showing_it() {
    let line = key(1).to_line();
    let [label, id, secret] = line.trim_end().split(' ').collect::<Vec<_>>()[..] else { panic!() };
    let cases = [
        (String::new(), KeyLineDefect::Label),
        (secret.to_owned(), KeyLineDefect::Label),
        (format!("graphstream-key-2 {id} {secret}"), KeyLineDefect::Label),
        (format!("{label} {id}"), KeyLineDefect::Fields),
        (format!("{label} {id} {secret} more"), KeyLineDefect::Fields),
        (format!("{label}  {id} {secret}"), KeyLineDefect::Fields),
        (format!("{label} {secret} {id}"), KeyLineDefect::Id),
        (format!("{label} {id} {}", &secret[..40]), KeyLineDefect::Secret),
        (format!("{label} {id} {secret}AAAA"), KeyLineDefect::Secret),
        (format!("{label} {id} {}", secret.replace('A', "-")), KeyLineDefect::Secret),
        (format!("{label} {id} {}", secret.trim_end_matches('=')), KeyLineDefect::Secret),
        (line.repeat(2), KeyLineDefect::Lines),
    ];
    for (text, expected) in cases {
        let error = DataKey::from_line(&text).err().unwrap();
        assert!(!error.to_string().contains(&secret[..8]), "{error}");
        assert!(!format!("{error:?}").contains(&secret[..8]), "{error:?}");
        let Error::InvalidKeyLine { defect } = error else { panic!("{error}") };
        assert_eq!(defect, expected, "{}", text.len());
    }
}

#[test]
fn k02_a_key_leaves_zeros_where_it_was_taken_from() {
    let mut secret = [7; 32];
    let _key = DataKey::taking(&mut secret);
    assert_eq!(secret, [0; 32]);
}

#[test]
fn k02_what_holds_keys_shows_their_ids_alone() {
    let ring = KeyRing::new(key(1)).with_older(key(2)).with_older(key(1)).with_older(key(2));
    assert_eq!(format!("{ring:?}"), format!("KeyRing[{:?}, {:?}]", key(1).id(), key(2).id()));
    assert_eq!(ring.ids().collect::<Vec<_>>(), [key(1).id(), key(2).id()]);
    let (extension, _) = three();
    let shown = format!(
        "{:?} {:?}",
        ChunkOpener::new(&key(1), &header(), &extension).unwrap(),
        ChunkSealer::new(&key(1), &header(), &random(1))
    );
    assert!(shown.contains(&key(1).id().to_string()));
    assert!(!shown.contains("1, 1, 1, 1"), "{shown}");
}

#[test]
fn a_key_id_is_hex_and_follows_from_the_key() {
    // Computed by another implementation: HKDF-SHA256 of 32 bytes of 1, no salt, "graphstream key id", 16 bytes.
    assert_eq!(key(1).id().to_string(), "54efd9962bf99a4582d924e8b9887547");
    assert_eq!("0F".repeat(16).parse::<KeyId>().unwrap().to_string(), "0f".repeat(16));
    assert!("0f".parse::<KeyId>().is_err());
}

#[test]
fn h09_macs_are_hmac_sha256_and_bind_key_kind_and_content() {
    let position = Position {
        lineage: Lineage::from_bytes([3; 16]),
        sequence: 7,
        chain_hash: ChainHash::from_bytes([9; 32]),
    };
    // Both computed by another implementation.
    let chain = key(1).chain_mac(&position);
    assert_eq!(hex(&chain.mac), "554be8afd55e4b7b160ef22ab4fd8bdc56eb314d4be5b750212e1a6158f20277");
    let head = key(1).document_mac(DocumentKind::Head, b"{}");
    assert_eq!(hex(&head.mac), "ff05c2e92d88c9cc884abfac4642647ad55404e2c87f5b3d0258c202f422fe40");

    let ring = KeyRing::new(key(2)).with_older(key(1));
    ring.verify_chain(&chain, &position).unwrap();
    ring.verify_document(&head, DocumentKind::Head, b"{}").unwrap();
    let id = key(1).id();
    let later = Position { sequence: 8, ..position };
    let said = ring.verify_chain(&chain, &later).unwrap_err().to_string();
    assert_eq!(said, format!("the chain value does not have the MAC that key {id} gives it"));
    let said = ring.verify_document(&head, DocumentKind::Epoch, b"{}").unwrap_err().to_string();
    assert_eq!(said, format!("the epoch does not have the MAC that key {id} gives it"));
    ring.verify_document(&head, DocumentKind::Head, b"{ }").unwrap_err();
    for bit in 0..256 {
        let mut changed = chain;
        changed.mac[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(ring.verify_chain(&changed, &position), Err(Error::MacMismatch { .. })));
    }
    let alone = KeyRing::new(key(2));
    assert!(
        matches!(alone.verify_chain(&chain, &position), Err(Error::UnknownKey { id: found }) if found == id)
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn h04_a_wrapped_key_opens_with_its_master_alone_and_under_its_own_name() {
    let (master, data) = (key(10), key(1));
    let wrapped = WrappedKey::wrap(&master, &data, &[4; 24]);
    assert_eq!((wrapped.master_id, wrapped.key_id), (master.id(), data.id()));
    assert_eq!(wrapped.unwrap_with(&master).unwrap().id(), data.id());
    let hidden = [1; 32];
    assert!(!wrapped.bytes.windows(8).any(|window| window == &hidden[..8]), "the key is not readable");
    assert!(
        matches!(wrapped.unwrap_with(&key(11)), Err(Error::WrongKey { expected, .. }) if expected == master.id())
    );
    for bit in 0..WRAPPED_KEY_LEN * 8 {
        let mut changed = wrapped;
        changed.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(changed.unwrap_with(&master), Err(Error::WrappedKeyDamaged { .. })), "bit {bit}");
    }
    let renamed = WrappedKey { key_id: key(2).id(), ..wrapped };
    assert!(matches!(renamed.unwrap_with(&master), Err(Error::WrappedKeyDamaged { .. })));
    // Rotating the master: the same key inside.
    let again = WrappedKey::wrap(&key(11), &wrapped.unwrap_with(&master).unwrap(), &[5; 24]);
    assert_eq!(again.unwrap_with(&key(11)).unwrap().id(), data.id());
}
