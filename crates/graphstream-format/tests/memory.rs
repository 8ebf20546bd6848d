//! Memory is bounded by an entry (or a record), not by the segment, and not by what hostile bytes claim.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, EXTENSION_LEN, EncryptWith, KeyRing, SEGMENT_RANDOM_LEN};
use graphstream_format::header::{HEADER_LEN, field};
use graphstream_format::open::{Outcome, Scanner};
use graphstream_format::v2::{FOOTER_LEN, RandomReader, SegmentRange, Workers, frame_field};
use graphstream_format::{
    Compression, Entry, ReadOptions, SegmentReader, SegmentVersion, SegmentWriter, WriteOptions,
    convert_encrypted, verify_stored,
};
use peak_alloc::PeakAlloc;
use segments::{CREATED_MS, Frames, OpenFile, columns, fix_frame, rebody, reheader, sealed, start, zstd};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// The most that was allocated at once by `work`, beyond what was before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let result = work();
    (ALLOCATED.peak_usage().saturating_sub(before), result)
}

/// Takes any amount of bytes and keeps none.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Ok(0)
    }
}

/// One test, because the allocator counts for the whole process.
#[test]
fn h01_memory_is_bounded() {
    a_large_segment_is_written_and_read_in_little_memory();
    claimed_lengths_cost_nothing();
    claimed_frames_cost_nothing();
    an_encrypted_segment_costs_what_a_plain_one_does();
    claimed_chunks_cost_nothing();
    an_open_segment_costs_one_record();
}

fn a_large_segment_is_written_and_read_in_little_memory() {
    let payload: Vec<u8> =
        (0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    let two = || Workers::new(2.try_into().unwrap()).unwrap();
    // With two threads, three frames of 256 KiB and as many encoded ones are under way, and two more of each wait to be used again. Who reads
    // has two frames decoded together, and a third whose entries are given out.
    for (version, workers, most) in [
        (SegmentVersion::V1, None, MIB),
        (SegmentVersion::V2, None, 2 * MIB),
        (SegmentVersion::V2, Some(two()), 6 * MIB),
    ] {
        for compression in [Compression::None, zstd(), columns()] {
            let mut options = WriteOptions::default().with_version(version).with_compression(compression);
            options.workers = workers.clone();
            let what = format!("32 MiB, {version:?}, {compression:?}, threads: {}", workers.is_some());
            let write = |writer: &mut dyn FnMut(&[u8])| (0..8192).for_each(|_| writer(&payload));
            let (used, ()) = peak(|| {
                let mut writer = SegmentWriter::new(Sink, start(), &options).unwrap();
                write(&mut |payload| {
                    writer.push(payload, CREATED_MS).unwrap();
                });
                writer.finish().unwrap();
            });
            assert!(used < most, "writing {what}: {used} bytes");

            let mut writer = SegmentWriter::new(std::io::Cursor::new(Vec::new()), start(), &options).unwrap();
            write(&mut |payload| {
                writer.push(payload, CREATED_MS).unwrap();
            });
            let file = writer.finish().unwrap().inner.into_inner();
            let (used, ()) = peak(|| {
                let mut reader =
                    SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default()).unwrap();
                if let Some(workers) = &workers {
                    reader = reader.with_workers(workers.clone());
                }
                let mut entry = Entry::default();
                while reader.read_next(&mut entry).unwrap() {}
                assert_eq!(reader.end().unwrap().entries, 8192);
            });
            assert!(used < most, "reading {what}: {used} bytes");
            if version == SegmentVersion::V2 {
                let (used, ()) = peak(|| {
                    let mut random = RandomReader::open(file.as_slice(), file.len() as u64).unwrap();
                    for sequence in (1..=8192).step_by(700) {
                        assert!(random.entry(sequence).unwrap().is_some());
                    }
                });
                assert!(used < MIB, "single entries of {what}: {used} bytes");
            }
        }
    }
}

fn keys() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(DataKey::taking(&mut [7; 32])))
}

fn encrypted<W: Write + Seek>(sink: W, entries: u64, payload: &[u8], options: &WriteOptions) -> W {
    let range = SegmentRange { last_seq: entries, first_commit_ms: CREATED_MS, last_commit_ms: CREATED_MS };
    let keys = keys();
    let with = EncryptWith::new(keys.current(), [9; SEGMENT_RANDOM_LEN]);
    let mut writer = SegmentWriter::encrypted(sink, start(), options, range, with).unwrap();
    for _ in 0..entries {
        writer.push(payload, CREATED_MS).unwrap();
    }
    writer.finish().unwrap().inner
}

/// Chunks are sealed and opened in place: the bounds are those of plain segments.
fn an_encrypted_segment_costs_what_a_plain_one_does() {
    let payload: Vec<u8> =
        (0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    for compression in [Compression::None, zstd(), columns()] {
        let options = WriteOptions::default().with_compression(compression);
        let (used, _) = peak(|| encrypted(Sink, 8192, &payload, &options));
        assert!(used < 3 * MIB / 2, "sealing 32 MiB, {compression:?}: {used} bytes");
        let file = encrypted(std::io::Cursor::new(Vec::new()), 8192, &payload, &options).into_inner();
        let keys = keys();
        let reader = || {
            let options = ReadOptions::default().with_keys(Arc::clone(&keys));
            SegmentReader::new(file.as_slice(), file.len() as u64, options).unwrap()
        };
        let (used, end) = peak(|| reader().verify().unwrap());
        assert_eq!(end.entries, 8192);
        assert!(used < 2 * MIB, "reading 32 MiB, {compression:?}: {used} bytes");
        let (used, ()) = peak(|| {
            let mut random = RandomReader::open_encrypted(file.as_slice(), file.len() as u64, &keys).unwrap();
            for sequence in (1..=8192).step_by(700) {
                assert!(random.entry(sequence).unwrap().is_some());
            }
        });
        assert!(used < MIB, "single entries of 32 MiB, {compression:?}: {used} bytes");
        let (used, _) = peak(|| {
            let with = EncryptWith::new(keys.current(), [8; SEGMENT_RANDOM_LEN]);
            let range = SegmentRange::of(&mut reader()).unwrap();
            convert_encrypted(&mut reader(), Sink, &options, None, range, with).unwrap()
        });
        assert!(used < 3 * MIB, "another key for 32 MiB, {compression:?}: {used} bytes");
        let (used, _) = peak(|| verify_stored(file.as_slice(), file.len() as u64).unwrap());
        assert!(used < MIB / 4, "without the key, {compression:?}: {used} bytes");
    }
}

/// A chunk's length is read before anything proves it: the largest that may be, and nothing there; and a chunk that is not authentic
/// is not looked into, whatever its frame would claim.
fn claimed_chunks_cost_nothing() {
    let options = WriteOptions::default().with_compression(zstd());
    let file = encrypted(std::io::Cursor::new(Vec::new()), 20, &[7; 500], &options).into_inner();
    let keys = keys();
    let at = HEADER_LEN + EXTENSION_LEN;
    for length in [0, 15, 16, 17, 1 << 20, 16 << 20, (16 << 20) + (1 << 16), u32::MAX] {
        let changed = rebody(file.clone(), at, &u32::to_be_bytes(length));
        // With as much behind it as the file says, all of it zeros.
        let mut long = changed.clone();
        long.splice(at + 8..at + 8, vec![0; 2 * MIB]);
        let body_len = (long.len() - at - FOOTER_LEN) as u64;
        long = reheader(long, field::BODY_LEN, &body_len.to_be_bytes());
        for (file, most) in [(changed, MIB), (long, 6 * MIB)] {
            let read = || {
                let options = ReadOptions::default().with_keys(Arc::clone(&keys));
                SegmentReader::new(file.as_slice(), file.len() as u64, options)?.verify()
            };
            let (used, result) = peak(read);
            assert!(result.is_err());
            assert!(used < most, "length {length}: {used} bytes for {} of file", file.len());
            let (used, result) = peak(|| {
                let mut random = RandomReader::open_encrypted(file.as_slice(), file.len() as u64, &keys)?;
                random.entry(1).map(|entry| assert!(entry.is_none()))
            });
            assert!(result.is_err());
            assert!(used < most, "length {length}: {used} bytes for {} of file", file.len());
        }
    }
}

/// A frame that claims to hold 16 MiB, as much as is allowed, in as few bytes as it says or fewer.
fn claimed_frames_cost_nothing() {
    for (compressed, raw_len, stored_len) in [
        (false, 16_u32 << 20, 16_u32 << 20),
        (true, 16 << 20, 16 << 20),
        (true, 16 << 20, 500),
        (true, 16 << 20, 40),
    ] {
        let mut frames = Frames::new(start(), compressed);
        frames.push(&[vec![7; 100]]);
        let frame = &mut frames.frames[0];
        frame[frame_field::RAW_LEN..][..4].copy_from_slice(&raw_len.to_be_bytes());
        frame[frame_field::STORED_LEN..][..4].copy_from_slice(&stored_len.to_be_bytes());
        fix_frame(frame);
        let file = frames.file();
        let (used, result) = peak(|| {
            SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default()).unwrap().verify()
        });
        assert!(result.is_err());
        assert!(used < MIB, "{used} bytes for {} of file", file.len());
        let (used, result) = peak(|| {
            let mut random = RandomReader::open(file.as_slice(), file.len() as u64)?;
            random.entry(1).map(|entry| assert!(entry.is_none()))
        });
        assert!(result.is_err());
        assert!(used < MIB, "{used} bytes for {} of file", file.len());
    }
}

fn claimed_lengths_cost_nothing() {
    // Version 1: sixteen MiB claimed, as much as is allowed, and nothing there.
    let mut file = sealed(1, Compression::None);
    file[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&(16_u32 << 20).to_be_bytes());
    // As many entries as there are numbers.
    let mut many = sealed(3, zstd());
    many[field::LAST_SEQ..field::LAST_SEQ + 8].copy_from_slice(&u64::MAX.to_be_bytes());
    many[field::ENTRY_COUNT..field::ENTRY_COUNT + 8].copy_from_slice(&u64::MAX.to_be_bytes());
    let crc = crc32c::crc32c(&many[..field::HEADER_CRC32C]);
    many[field::HEADER_CRC32C..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
    for file in [file, many] {
        let (used, result) = peak(|| {
            let mut reader =
                SegmentReader::new(file.as_slice(), file.len() as u64, ReadOptions::default()).unwrap();
            reader.verify()
        });
        assert!(result.is_err());
        assert!(used < MIB, "{used} bytes for {} of file", file.len());
    }

    // A legacy tail whose first entry claims 16 MiB.
    let mut legacy = [0; HEADER_LEN].to_vec();
    legacy[..6].copy_from_slice(b"HADBJ\x01");
    legacy[field::FIRST_SEQ + 7] = 1;
    legacy.extend_from_slice(&[1, 2, 3, 4, 1, 0, 0, 0]);
    legacy.extend_from_slice(&[0; 200]);
    let (used, result) = peak(|| {
        SegmentReader::new(legacy.as_slice(), legacy.len() as u64, ReadOptions::default()).unwrap().verify()
    });
    assert!(result.unwrap().torn.is_some());
    assert!(used < MIB, "{used} bytes for a legacy tail");
}

fn an_open_segment_costs_one_record() {
    let mut file = OpenFile::new();
    for _ in 0..16 {
        file.push(&vec![vec![0xa5; 1000]; 2000]);
        file.sync();
    }
    // Growing a buffer holds the old and the new one for a moment.
    let bound = 2 * (file.records[1] - file.records[0]) as usize + MIB / 2;
    assert!(file.bytes.len() > 30 * MIB);
    let (used, entries) = peak(|| {
        let mut scanner = Scanner::open(file.bytes.as_slice()).unwrap();
        let mut entries = 0;
        while scanner.next_entry().unwrap().is_some() {
            entries += 1;
        }
        assert!(matches!(scanner.judge().unwrap(), Outcome::Clean { .. }));
        entries
    });
    assert_eq!(entries, 32_000);
    assert!(used < bound, "scanning: {used} bytes, at most {bound} expected");

    // The search behind a damaged record, over a stream.
    file.bytes[file.records[0] as usize + 1000] ^= 1;
    let last = *file.records.last().unwrap() as usize;
    for at in file.records[1..file.records.len() - 1].iter().map(|&at| at as usize) {
        file.bytes[at] ^= 1;
    }
    assert!(last > 28 * MIB);
    let (used, result) = peak(|| {
        let stream = file.bytes.as_slice().take(u64::MAX);
        SegmentReader::new(stream, file.bytes.len() as u64, ReadOptions::default()).unwrap().verify()
    });
    assert!(result.is_err());
    assert!(used < bound, "searching: {used} bytes, at most {bound} expected");
}
