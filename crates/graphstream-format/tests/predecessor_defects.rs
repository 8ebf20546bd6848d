//! What the predecessor's reader and format got wrong, one test each (numbers as in our list of its defects; 3, 6 and 10 are in
//! `legacy.rs`, where its own files are).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::io::{Cursor, Error as IoError, ErrorKind, Read, Seek, SeekFrom, Write};

use graphstream_format::header::{HEADER_LEN, field};
use graphstream_format::{
    ChainHash, Compression, Damage, Entry, Error, Header, ReadOptions, SegmentKind, SegmentReader,
    SegmentStart, Unwritable, v1,
};
use segments::{CREATED_MS, OpenFile, payload, read, read_with, sealed, sealed_from, start, text, zstd};
use sha2::{Digest, Sha256};

/// Like a disk that is full after so many bytes.
struct Full {
    inner: Cursor<Vec<u8>>,
    room: u64,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.room.saturating_sub(self.inner.position()) as usize;
        if room == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.inner.write(&bytes[..bytes.len().min(room)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// 7: a seal that failed was logged and the file dropped. Here the error comes back, the writer refuses to go on, and what was
/// written is nothing that a reader takes for a segment.
#[test]
fn p07_a_failed_seal_is_an_error_and_leaves_no_segment() {
    for compression in [Compression::None, zstd()] {
        let whole = sealed(2000, compression).len() as u64;
        for room in [0, 1, 127, 128, 4096, whole - 33, whole - 1] {
            let mut disk = Full { inner: Cursor::new(Vec::new()), room };
            let failed = write_all(&mut disk, compression).unwrap_err();
            assert!(matches!(failed, Error::Io { .. }), "{room}: {failed:?}");
            assert!(text(&failed).contains("writing a segment at file offset"), "{}", text(&failed));
            assert!(read(disk.inner.get_ref()).end.is_err());
        }
        let mut disk = Full { inner: Cursor::new(Vec::new()), room: whole };
        write_all(&mut disk, compression).unwrap();
        read(disk.inner.get_ref()).end.unwrap();
    }
}

fn write_all(disk: &mut Full, compression: Compression) -> graphstream_format::Result<()> {
    let mut writer = v1::Writer::new(disk, start(), compression)?;
    for sequence in 1..=2000 {
        if let Err(error) = writer.push(&payload(sequence), CREATED_MS) {
            let again = writer.push(b"more", CREATED_MS).unwrap_err();
            assert!(matches!(again, Error::Unwritable(Unwritable::Poisoned)));
            assert!(matches!(writer.finish(), Err(Error::Unwritable(Unwritable::Poisoned))));
            return Err(error);
        }
    }
    writer.finish().map(|_| ())
}

/// 35: an unreadable segment gave errors for ever.
#[test]
fn p35_one_error_then_none() {
    let mut bytes = sealed(5, Compression::None);
    bytes[200] ^= 1;
    let reader = SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
    let items: Vec<_> = reader.take(100).collect();
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    assert!(items.last().unwrap().is_err());
}

/// 36: without the entry before it, a segment could not be read. Its own start is enough, and a caller that knows the
/// chain has it checked.
#[test]
fn p36_a_segment_reads_from_its_own_start() {
    let chain_before = ChainHash::ZERO.after(b"what was before");
    let later = SegmentStart { first_seq: 41, chain_before, ..start() };
    let mut open = OpenFile::starting(later, [4; 16]);
    open.push_standard(2);
    for bytes in [sealed_from(later, &[payload(41), payload(42)], zstd()), open.bytes] {
        let any = read(&bytes);
        assert_eq!(any.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [41, 42]);
        assert_eq!(any.entries[1].chain_hash, chain_before.after(&payload(41)).after(&payload(42)));
        let known = read_with(&bytes, ReadOptions::default().with_expected_chain(chain_before));
        assert_eq!(known.end.unwrap(), any.end.unwrap());
        let other = read_with(&bytes, ReadOptions::default().with_expected_chain(ChainHash::ZERO));
        assert!(
            matches!(other.end, Err(Error::ChainMismatch { sequence: 41, expected: ChainHash::ZERO, found }) if found == chain_before)
        );
    }
}

/// Gives its bytes one at a time and counts how often it was asked for many.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

/// 38: the whole file was read at once, and a second time after decompression. The reader is a stream (its memory is measured in
/// `memory.rs`): the first entry comes before the rest of the file exists.
#[test]
fn p38_entries_come_before_the_rest_is_there() {
    let bytes = sealed(200, Compression::None);
    let broken_off = bytes[..400].chain(Failing);
    let mut reader = SegmentReader::new(broken_off, bytes.len() as u64, ReadOptions::default()).unwrap();
    let mut entry = Entry::default();
    assert!(reader.read_next(&mut entry).unwrap());
    assert_eq!(entry.payload, payload(1));
    let failure = loop {
        match reader.read_next(&mut entry) {
            Ok(more) => assert!(more),
            Err(error) => break error,
        }
    };
    // A failing disk is not a damaged segment.
    assert!(matches!(failure, Error::Io { operation: "reading", .. }) && !failure.is_damage(), "{failure:?}");
    assert_eq!(text(&failure), "reading a segment at file offset 400 failed: a disk on fire");

    for bytes in [bytes, sealed(200, zstd())] {
        let mut reader =
            SegmentReader::new(Trickle(&bytes), bytes.len() as u64, ReadOptions::default()).unwrap();
        assert_eq!(reader.verify().unwrap().entries, 200);
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(IoError::other("a disk on fire"))
    }
}

/// 39: the header had no checksum: a flipped count panicked, a cleared sealed bit made compressed bytes parse as entries, a flipped
/// last sequence was believed.
#[test]
fn p39_every_header_byte_is_covered() {
    for bytes in [sealed(3, zstd()), OpenFile::new().bytes] {
        for at in 0..HEADER_LEN {
            for flip in 1..=255_u8 {
                let mut header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
                header[at] ^= flip;
                assert!(Header::decode(&header).is_err(), "byte {at} ^ {flip:#04x}");
            }
        }
    }
}

/// 39, in the predecessor's own files, whose headers stay without one: the fields must agree with each other.
#[test]
fn p39_a_legacy_header_must_agree_with_itself() {
    let bytes = legacy(&sealed(3, zstd()));
    read(&bytes).end.unwrap();
    let mut unsealed = bytes.clone();
    unsealed[field::FLAGS] = 0;
    assert!(matches!(read(&unsealed).end, Err(Error::Damaged { what: Damage::HeaderField { .. }, .. })));
    let mut last = bytes.clone();
    last[field::LAST_SEQ + 7] = 99;
    assert!(matches!(read(&last).end, Err(Error::Damaged { what: Damage::HeaderField { .. }, .. })));
    let mut length = bytes.clone();
    length[field::BODY_LEN..field::BODY_LEN + 8].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(matches!(read(&length).end, Err(Error::Damaged { what: Damage::HeaderField { .. }, .. })));
}

/// The same segment as the predecessor would have written it.
fn legacy(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[field::LINEAGE..HEADER_LEN].fill(0);
    bytes
}

fn entry(sequence: u64, prev_hash: ChainHash, payload: &[u8]) -> Vec<u8> {
    let mut rest = (payload.len() as u32).to_be_bytes().to_vec();
    rest.extend_from_slice(&sequence.to_be_bytes());
    rest.extend_from_slice(prev_hash.as_bytes());
    rest.extend_from_slice(payload);
    [crc32c::crc32c(&rest).to_be_bytes().as_slice(), &rest].concat()
}

fn file(sequences: [u64; 3], prev_hashes: [ChainHash; 3], trailer: ChainHash) -> Vec<u8> {
    let body: Vec<u8> = sequences
        .iter()
        .zip(prev_hashes)
        .flat_map(|(&sequence, prev_hash)| entry(sequence, prev_hash, &payload(sequence)))
        .collect();
    let mut bytes = sealed(3, Compression::None)[..HEADER_LEN].to_vec();
    bytes[field::BODY_LEN..field::BODY_LEN + 8].copy_from_slice(&(body.len() as u64).to_be_bytes());
    bytes[field::BODY_CHECKSUM..field::BODY_CHECKSUM + 32].copy_from_slice(&Sha256::digest(&body));
    let crc = crc32c::crc32c(&bytes[..field::HEADER_CRC32C]);
    bytes[field::HEADER_CRC32C..].copy_from_slice(&crc.to_be_bytes());
    [bytes.as_slice(), &body, trailer.as_bytes()].concat()
}

/// 40: sequences 1, 5, 2 decoded; the chain started wherever the first entry said.
#[test]
fn p40_sequences_and_the_chain_are_checked_from_the_first_entry() {
    let chain = |sequences: &[u64]| {
        sequences.iter().fold(ChainHash::ZERO, |chain, &sequence| chain.after(&payload(sequence)))
    };
    let linked = |sequences: [u64; 3]| {
        let hashes = [ChainHash::ZERO, chain(&sequences[..1]), chain(&sequences[..2])];
        file(sequences, hashes, chain(&sequences))
    };
    read(&linked([1, 2, 3])).end.unwrap();
    for (sequences, sound, expected, found) in
        [([1, 5, 2], 1, 2, 5), ([1, 2, 2], 2, 3, 2), ([2, 3, 4], 0, 1, 2), ([1, 3, 4], 1, 2, 3)]
    {
        let read = read(&linked(sequences));
        assert_eq!(read.entries.len(), sound, "{sequences:?}");
        assert!(
            matches!(&read.end, Err(Error::Damaged { what, .. }) if *what == Damage::Sequence { expected, found }),
            "{sequences:?}: {:?}",
            read.end
        );
    }

    let other = ChainHash::ZERO.after(b"somewhere else");
    let first = file([1, 2, 3], [other, other.after(&payload(1)), chain(&[1, 2])], chain(&[1, 2, 3]));
    assert!(matches!(read(&first).end, Err(Error::Damaged { what: Damage::ChainPrefix { .. }, .. })));
    let third = file([1, 2, 3], [ChainHash::ZERO, chain(&[1]), other], other.after(&payload(3)));
    assert!(
        matches!(read(&third).end, Err(Error::Damaged { what: Damage::Chain { found, .. }, sequence: Some(3), .. }) if found == other)
    );
    let trailer = file([1, 2, 3], [ChainHash::ZERO, chain(&[1]), chain(&[1, 2])], other);
    assert!(
        matches!(read(&trailer).end, Err(Error::Damaged { what: Damage::Chain { found, .. }, .. }) if found == other)
    );
}

/// 41: lengths were cut to 32 bits, and library code asserted. The writers refuse with typed errors (also `hostile.rs`).
#[test]
fn p41_a_length_is_refused_never_cut() {
    let large = vec![0; graphstream_format::limits::PAYLOAD_BYTES_MAX + 1];
    let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start(), Compression::None).unwrap();
    let refused = writer.push(&large, CREATED_MS).unwrap_err();
    assert_eq!(text(&refused), "a payload of 16777217 bytes exceeds the limit of 16777216");
    writer.push(b"the writer is as it was", CREATED_MS).unwrap();
    assert_eq!(read(&writer.finish().unwrap().inner.into_inner()).entries.len(), 1);
}

/// 42: a sealed file with a damaged header counted as not sealed, was never uploaded and never reported.
#[test]
fn p42_a_damaged_sealed_file_is_never_taken_for_an_open_one() {
    let bytes = sealed(3, zstd());
    for bit in 0..HEADER_LEN * 8 {
        let mut header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
        header[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&header).is_err(), "bit {bit}");
        // The predecessor's files have no checksum there: no flip may turn sealed into open.
        let mut old: [u8; HEADER_LEN] = legacy(&bytes)[..HEADER_LEN].try_into().unwrap();
        old[bit / 8] ^= 1 << (bit % 8);
        if let Ok(header) = Header::decode(&old) {
            assert_eq!(header.kind(), SegmentKind::SealedV1, "bit {bit}");
        }
    }
}
