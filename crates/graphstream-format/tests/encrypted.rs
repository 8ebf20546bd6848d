//! Encrypted segments: what they give back, what they hide, and what is refused. The chunks themselves are tested in `encryption.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::cell::Cell;
use std::io::Cursor;
use std::sync::Arc;

use graphstream_format::encryption::{
    DataKey, EXTENSION_LEN, EncryptWith, Extension, KeyRing, SEGMENT_RANDOM_LEN,
};
use graphstream_format::header::{HEADER_LEN, field};
use graphstream_format::v2::{
    FINAL_HASH_LEN, FOOTER_LEN, INDEX_ROW_LEN, RandomReader, SegmentRange, Workers, Writer, footer_field,
};
use graphstream_format::{
    ChunkDefect, Compression, Damage, Entry, Error, Offset, ReadAt, ReadOptions, SegmentReader, SegmentStart,
    SegmentVersion, Unwritable, WriteOptions, convert_encrypted, verify_stored,
};
use segments::{
    CREATED_MS, Read, columns, read_with, rebody, refooter, reheader, sealed, sealed_v2, start, zstd,
};

const RANDOM: [u8; SEGMENT_RANDOM_LEN] = [0x5a; SEGMENT_RANDOM_LEN];

fn key(byte: u8) -> DataKey {
    DataKey::taking(&mut [byte; 32])
}

fn options(byte: u8) -> ReadOptions {
    ReadOptions::default().with_keys(Arc::new(KeyRing::new(key(byte))))
}

/// Frames of one entry each, because each entry is larger than half of one.
fn payloads() -> Vec<Vec<u8>> {
    (0..5_u8).map(|byte| [b"a secret ".repeat(20_000), vec![byte; 9]].concat()).collect()
}

fn encrypted_as(
    start: SegmentStart,
    payloads: &[Vec<u8>],
    compression: Compression,
    key: &DataKey,
    random: &[u8; SEGMENT_RANDOM_LEN],
    workers: Option<Workers>,
) -> Vec<u8> {
    let last = payloads.len() as u64 - 1;
    let range = SegmentRange {
        last_seq: start.first_seq + last,
        first_commit_ms: CREATED_MS,
        last_commit_ms: CREATED_MS + last as i64,
    };
    let sink = Cursor::new(Vec::new());
    let mut writer = Writer::encrypted(sink, start, compression, range, key, random).unwrap();
    if let Some(workers) = workers {
        writer = writer.with_workers(workers);
    }
    for (payload, time) in payloads.iter().zip(CREATED_MS..) {
        writer.push(payload, time).unwrap();
    }
    writer.finish().unwrap().inner.into_inner()
}

fn encrypted(compression: Compression) -> Vec<u8> {
    encrypted_as(start(), &payloads(), compression, &key(7), &RANDOM, None)
}

/// Small, of one frame.
fn small(compression: Compression) -> Vec<u8> {
    encrypted_as(start(), &segments::payloads(6), compression, &key(7), &RANDOM, None)
}

#[test]
fn an_extension_whose_last_byte_is_not_zero_is_refused_there() {
    let mut bytes = [0; EXTENSION_LEN];
    bytes[EXTENSION_LEN - 1] = 3;
    let error = Extension::decode(&bytes).unwrap_err();
    let Error::Damaged { what: Damage::HeaderField { found: 3, .. }, offset, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(offset, Offset::File((HEADER_LEN + EXTENSION_LEN - 1) as u64));
}

#[test]
fn h02_an_encrypted_body_may_not_be_larger_than_is_said() {
    let file = encrypted(Compression::None);
    // Each with its length, in seven bits a byte, and a commit time of one byte.
    let bytes: u64 = payloads()
        .iter()
        .map(|payload| payload.len() as u64)
        .map(|len| len + u64::from(len.max(1).ilog2() / 7 + 1) + 1)
        .sum();
    let read = |most| read_with(&file, options(7).with_body_bytes_max(most)).end;
    read(bytes).unwrap();
    assert!(matches!(read(bytes - 1), Err(Error::BodyTooLarge { max, .. }) if max == bytes - 1));
}

#[test]
fn the_smallest_encrypted_segment_is_read_by_both_readers() {
    let file = encrypted_as(start(), &[Vec::new()], Compression::None, &key(7), &RANDOM, None);
    let Read { entries, end } = read_with(&file, options(7));
    assert_eq!((entries.len(), end.unwrap().last_seq), (1, 1));
    let ring = KeyRing::new(key(7));
    let mut single = RandomReader::open_encrypted(file.as_slice(), file.len() as u64, &ring).unwrap();
    assert!(single.entry(1).unwrap().unwrap().payload.is_empty());
}

#[test]
fn what_was_written_is_read_with_one_thread_or_several_and_entry_by_entry() {
    let workers = Workers::new(3.try_into().unwrap()).unwrap();
    assert_eq!(workers.threads(), 3);
    for compression in [Compression::None, zstd(), columns()] {
        let file = encrypted(compression);
        let threaded =
            encrypted_as(start(), &payloads(), compression, &key(7), &RANDOM, Some(workers.clone()));
        assert!(file == threaded);
        let Read { entries, end } = read_with(&file, options(7));
        assert!(end.unwrap().body_checksum_verified);
        assert!(entries.iter().map(|entry| &entry.payload).eq(&payloads()));
        let reader = SegmentReader::new(file.as_slice(), file.len() as u64, options(7)).unwrap();
        assert!(reader.with_workers(workers.clone()).map(|entry| entry.unwrap()).eq(entries.iter().cloned()));

        let ring = KeyRing::new(key(7));
        let mut random = RandomReader::open_encrypted(file.as_slice(), file.len() as u64, &ring).unwrap();
        assert_eq!(random.frames(), 5);
        for entry in entries.iter().rev() {
            let found = random.entry(entry.sequence).unwrap().unwrap();
            assert_eq!((found.chain_hash, found.commit_ms), (entry.chain_hash, entry.commit_ms));
            assert!(found.payload == entry.payload);
        }
    }
}

#[test]
fn nothing_of_an_entry_stands_in_the_file() {
    let later = SegmentStart { chain_before: graphstream_format::ChainHash::ZERO.after(b"x"), ..start() };
    let file = encrypted_as(later, &payloads(), Compression::None, &key(7), &RANDOM, None);
    let entries = read_with(&file, options(7)).entries;
    let absent = |what: &[u8]| !file.windows(what.len()).any(|window| window == what);
    assert!(absent(b"secret"));
    // Neither does a chain hash, or a part of one: with it a guess could be tested.
    assert!(absent(&later.chain_before.as_bytes()[..8]));
    assert!(entries.iter().all(|entry| absent(&entry.chain_hash.as_bytes()[..8])));
}

/// Header, extension and tail, the index, one frame: then one.
#[test]
fn a_single_entry_takes_four_reads_and_then_one() {
    struct Counted<'a>(&'a [u8], &'a Cell<usize>);
    impl ReadAt for Counted<'_> {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.1.set(self.1.get() + 1);
            self.0.read_at(buffer, offset)
        }
    }
    let (file, reads) = (encrypted(zstd()), Cell::new(0));
    let ring = KeyRing::new(key(7));
    let counted = Counted(&file, &reads);
    let mut random = RandomReader::open_encrypted(counted, file.len() as u64, &ring).unwrap();
    assert!(random.entry(2).unwrap().is_some());
    assert!(reads.replace(0) <= 4);
    assert!(random.entry(4).unwrap().is_some());
    assert_eq!(reads.get(), 1);
}

#[test]
fn h04_h07_keys_that_are_missing_unknown_or_asked_for_in_vain_are_errors_of_their_own() {
    let file = small(zstd());
    let single = |keys: Option<&KeyRing>, file: &[u8]| match keys {
        Some(keys) => RandomReader::open_encrypted(file.to_vec(), file.len() as u64, keys).map(drop),
        None => RandomReader::open(file.to_vec(), file.len() as u64).map(drop),
    };
    assert!(matches!(read_with(&file, ReadOptions::default()).end, Err(Error::KeyRequired { .. })));
    assert!(matches!(single(None, &file), Err(Error::KeyRequired { .. })));
    assert!(matches!(read_with(&file, options(8)).end, Err(Error::UnknownKey { .. })));
    assert!(matches!(single(Some(&KeyRing::new(key(8))), &file), Err(Error::UnknownKey { .. })));
    for plain in [sealed(3, zstd()), sealed_v2(3, zstd())] {
        assert!(matches!(read_with(&plain, options(7)).end, Err(Error::PlaintextRefused)));
    }
    assert!(matches!(
        single(Some(&KeyRing::new(key(7))), &sealed_v2(3, zstd())),
        Err(Error::PlaintextRefused)
    ));
    // An older key reads on.
    let ring = KeyRing::new(key(8)).with_older(key(7));
    assert!(read_with(&file, ReadOptions::default().with_keys(Arc::new(ring))).end.is_ok());
}

#[test]
fn h06_every_flipped_bit_and_every_cut_is_refused() {
    for compression in [Compression::None, zstd(), columns()] {
        let file = small(compression);
        let whole = read_with(&file, options(7)).entries;
        let ring = KeyRing::new(key(7));
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Read { entries, end } = read_with(&flipped, options(7));
            assert!(end.is_err(), "bit {bit} of byte {} went unseen", bit / 8);
            assert!(whole.starts_with(&entries));
            let single = RandomReader::open_encrypted(flipped.as_slice(), file.len() as u64, &ring)
                .and_then(|mut reader| reader.entry(3).map(|entry| entry.is_some()));
            // Who reads a single entry reads no body checksum, but the header is bound to every chunk.
            let unseen = (field::BODY_CHECKSUM..field::PREV_SEGMENT_CHECKSUM).contains(&(bit / 8));
            assert!(single.is_err() || unseen, "bit {bit} of byte {}: {single:?}", bit / 8);
        }
        for cut in 0..file.len() {
            assert!(read_with(&file[..cut], options(7)).end.is_err(), "cut at {cut}");
        }
    }
}

/// With every checksum that takes no key made right again.
#[test]
fn h06_a_changed_header_is_refused_though_its_checksum_is_right() {
    let file = small(zstd());
    for at in (field::FIRST_SEQ..field::BODY_LEN).chain(field::CREATED_MS..field::HEADER_CRC32C) {
        let changed = reheader(file.clone(), at, &[file[at] ^ 1]);
        let end = read_with(&changed, options(7)).end;
        assert!(matches!(end, Err(Error::Damaged { .. })), "byte {at}: {end:?}");
        if (field::CREATED_MS..field::FIRST_COMMIT_MS).contains(&at) {
            let header = Damage::Chunk { number: Some(0), defect: ChunkDefect::Header };
            assert!(matches!(end, Err(Error::Damaged { what, .. }) if what == header), "byte {at}");
        }
    }
    // The extension: another salt is another key.
    let mut changed = file.clone();
    changed[HEADER_LEN + 20] ^= 1;
    let end = read_with(&changed, options(7)).end;
    assert!(matches!(end, Err(Error::Damaged { what: Damage::Chunk { .. }, .. })), "{end:?}");
}

/// Where each chunk starts, the index's the last, and the end of the body.
fn chunks(file: &[u8]) -> Vec<usize> {
    let end = file.len() - FOOTER_LEN;
    let mut starts = vec![HEADER_LEN + EXTENSION_LEN];
    while *starts.last().unwrap() < end {
        let at = *starts.last().unwrap();
        starts.push(at + 4 + u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize);
    }
    starts
}

/// A file of these chunks, its checksums right.
fn of_chunks(file: &[u8], chunks: &[&[u8]]) -> Vec<u8> {
    let mut new = file[..HEADER_LEN + EXTENSION_LEN].to_vec();
    for chunk in chunks {
        new.extend_from_slice(chunk);
    }
    let body_len = (new.len() - HEADER_LEN - EXTENSION_LEN) as u64;
    let frames = chunks.len() as u32 - 1;
    new.extend_from_slice(&file[file.len() - FOOTER_LEN..]);
    let index_len = frames * INDEX_ROW_LEN as u32;
    let index_offset = new.len() - FOOTER_LEN - FINAL_HASH_LEN - index_len as usize - 20;
    new = refooter(new, footer_field::INDEX_OFFSET, &(index_offset as u64).to_be_bytes());
    new = refooter(new, footer_field::INDEX_LEN, &index_len.to_be_bytes());
    new = refooter(new, footer_field::FRAME_COUNT, &frames.to_be_bytes());
    new = reheader(new, field::BODY_LEN, &body_len.to_be_bytes());
    // The extension is not part of the body.
    let checksum = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(
        &new[HEADER_LEN + EXTENSION_LEN..new.len() - FOOTER_LEN],
    ));
    reheader(new, field::BODY_CHECKSUM, &checksum)
}

#[test]
fn h06_chunks_that_are_missing_swapped_or_from_elsewhere_are_told_apart() {
    let file = encrypted(Compression::None);
    let other =
        encrypted_as(start(), &payloads(), Compression::None, &key(7), &[3; SEGMENT_RANDOM_LEN], None);
    let parts = |file: &[u8]| -> Vec<Vec<u8>> {
        chunks(file).windows(2).map(|pair| file[pair[0]..pair[1]].to_vec()).collect()
    };
    let (own, foreign) = (parts(&file), parts(&other));
    assert_eq!(own.len(), 6);
    let with = |chunks: &[&Vec<u8>]| {
        let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.as_slice()).collect();
        read_with(&of_chunks(&file, &chunks), options(7))
    };
    let [a, b, c, d, e, index] = own.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(with(&[a, b, c, d, e, index]).entries.len(), 5);
    with(&[a, b, c, d, e, index]).end.unwrap();
    for (name, read, entries, expected) in [
        ("cut after a frame", with(&[a, b, c, d]), 3, ChunkDefect::Truncated),
        ("two frames swapped", with(&[a, c, b, d, e, index]), 1, ChunkDefect::Reordered { found: 2 }),
        ("a frame left out", with(&[a, b, d, e, index]), 2, ChunkDefect::Reordered { found: 3 }),
        ("a frame twice", with(&[a, b, b, c, d, e, index]), 2, ChunkDefect::Reordered { found: 1 }),
        ("a frame of another segment", with(&[a, b, &foreign[2], d, e, index]), 2, ChunkDefect::Foreign),
        ("the index of another segment", with(&[a, b, c, d, e, &foreign[5]]), 5, ChunkDefect::Foreign),
        ("a frame behind the index", with(&[a, b, c, d, e, index, a]), 5, ChunkDefect::Extended),
    ] {
        assert_eq!(read.entries.len(), entries, "{name}");
        let Err(error @ Error::Damaged { what: Damage::Chunk { defect, number }, .. }) = read.end else {
            panic!("{name}: {:?}", read.end);
        };
        assert_eq!(defect, expected, "{name}");
        let shown = number.map_or("chunk does".to_owned(), |number| format!("chunk {number} does"));
        assert!(error.to_string().contains(&shown), "{name}: {error}");
    }
}

/// The cipher is a stream: a flipped bit of the ciphertext is that bit of what would be parsed and decompressed next. Nobody gets so far: of the
/// whole frame only the chunk is spoken of, in order and when a single entry is read.
#[test]
fn h12_nothing_is_decompressed_that_was_not_authenticated() {
    for compression in [Compression::None, zstd(), columns()] {
        let file = small(compression);
        let ring = KeyRing::new(key(7));
        let starts = chunks(&file);
        for at in starts[0] + 4..starts[1] {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            let parts: Vec<&[u8]> = starts.windows(2).map(|pair| &changed[pair[0]..pair[1]]).collect();
            let changed = of_chunks(&file, &parts);
            let Read { entries, end } = read_with(&changed, options(7));
            assert!(entries.is_empty(), "byte {at}");
            let single = RandomReader::open_encrypted(changed.as_slice(), changed.len() as u64, &ring)
                .and_then(|mut reader| reader.entry(3).map(|entry| entry.is_some()));
            for error in [end.err(), single.err()] {
                let damage = matches!(error, Some(Error::Damaged { what: Damage::Chunk { .. }, .. }));
                assert!(damage, "byte {at}: {error:?}");
            }
        }
    }
}

#[test]
fn a_writer_that_gets_other_entries_than_its_header_was_bound_to_fails() {
    let range = SegmentRange { last_seq: 2, first_commit_ms: 5, last_commit_ms: 6 };
    let new = |range| Writer::encrypted(Cursor::new(Vec::new()), start(), zstd(), range, &key(7), &RANDOM);
    for times in [&[5, 6][..], &[5], &[5, 5], &[4, 6], &[5, 6, 6]] {
        let mut writer = new(range).unwrap();
        for time in times {
            writer.push(b"x", *time).unwrap();
        }
        match writer.finish() {
            Ok(_) => assert_eq!(times, [5, 6]),
            Err(error) => assert!(matches!(error, Error::Unwritable(Unwritable::Range)) && times != [5, 6]),
        }
    }
    for impossible in [SegmentRange { last_seq: 0, ..range }, SegmentRange { last_commit_ms: 4, ..range }] {
        assert!(matches!(new(impossible), Err(Error::Unwritable(Unwritable::Range))));
    }
}

/// Lengths that are claimed and not there, with checksums that are right.
#[test]
fn h01_a_chunks_length_is_checked_before_it_is_believed() {
    let file = small(Compression::None);
    let at = HEADER_LEN + EXTENSION_LEN;
    for length in [0, 15, 16, 17, 1 << 24, (1 << 24) + (1 << 20), u32::MAX] {
        let changed = rebody(file.clone(), at, &length.to_be_bytes());
        let end = read_with(&changed, options(7)).end;
        assert!(matches!(end, Err(Error::Damaged { .. })), "{length}: {end:?}");
    }
}

#[test]
fn the_range_of_a_segment_of_any_kind_is_what_converting_it_takes() {
    let mut open = segments::OpenFile::new();
    open.push(&segments::payloads(5));
    for (name, file) in
        [("open", open.bytes), ("version 1", sealed(5, zstd())), ("version 2", sealed_v2(5, zstd()))]
    {
        let reader =
            || SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default()).unwrap();
        let (range, key) = (SegmentRange::of(&mut reader()).unwrap(), key(7));
        let to = |options: &WriteOptions, range| {
            let with = EncryptWith::new(&key, RANDOM);
            convert_encrypted(&mut reader(), Cursor::new(Vec::new()), options, None, range, with)
        };
        let told = |entry: Entry| (entry.sequence, entry.commit_ms, entry.chain_hash, entry.payload);
        let entries: Vec<_> = reader().map(|entry| told(entry.unwrap())).collect();
        let converted = to(&WriteOptions::default(), range).unwrap().inner.into_inner();
        assert!(read_with(&converted, options(7)).entries.into_iter().map(told).eq(entries), "{name}");
        let short = SegmentRange { last_seq: range.last_seq - 1, ..range };
        let error = to(&WriteOptions::default(), short).unwrap_err();
        assert!(matches!(error, Error::Unwritable(Unwritable::Range)), "{name}: {error}");
        let version_1 = WriteOptions::default().with_version(SegmentVersion::V1);
        let error = to(&version_1, range).unwrap_err();
        assert!(matches!(error, Error::Unwritable(Unwritable::EncryptedVersion)), "{name}: {error}");
    }
}

/// Who keeps segments without a key sees every accident, but for the extension: no checksum is over that.
#[test]
fn what_takes_no_key_is_verified_without_one() {
    let check = |file: &[u8]| verify_stored(file, file.len() as u64);
    let extension = HEADER_LEN..HEADER_LEN + EXTENSION_LEN - 1;
    let version_1 = sealed(6, zstd());
    let trailer = version_1.len() - 32..version_1.len();
    for (file, unseen) in [
        (small(zstd()), extension.clone()),
        (small(Compression::None), extension),
        (sealed_v2(6, zstd()), 0..0),
        // What the last chain hash must be takes reading the entries.
        (version_1, trailer),
    ] {
        assert_eq!(check(&file).unwrap().last_seq, 6);
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&flipped).is_ok(), unseen.contains(&(bit / 8)), "bit {bit} of byte {}", bit / 8);
        }
        for cut in 0..file.len() {
            assert!(check(&file[..cut]).is_err(), "cut at {cut}");
        }
    }
    let mut open = segments::OpenFile::new();
    open.push(&segments::payloads(5));
    assert!(matches!(check(&open.bytes), Err(Error::UnsupportedVersion { found: 3 })));
}
