//! What reading a single entry touches, as an object store would count it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::cell::Cell;
use std::io::Cursor;

use graphstream_format::v2::{FINAL_HASH_LEN, FOOTER_LEN, INDEX_ROW_LEN, RandomReader, Writer, index_field};
use graphstream_format::{Compression, Error, Offset, ReadAt};
use segments::{CREATED_MS, Frames, OpenFile, sealed, sealed_v2, start, zstd};

/// Counts ranged reads and their bytes.
struct Counted<'a> {
    file: &'a [u8],
    reads: &'a Cell<(usize, usize)>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        let (reads, bytes) = self.reads.get();
        self.reads.set((reads + 1, bytes + read));
        Ok(read)
    }
}

#[test]
fn one_entry_of_a_large_segment_takes_three_reads_and_then_one() {
    for (compression, entries, large) in [(Compression::None, 65_536_u64, true), (zstd(), 1 << 18, false)] {
        let payload: Vec<u8> =
            (0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
        let payload = &payload[..if large { 4096 } else { 500 }];
        let mut writer = Writer::new(Cursor::new(Vec::new()), start(), compression).unwrap();
        for entry in 0..entries {
            writer.push(payload, CREATED_MS + entry as i64).unwrap();
        }
        let file = writer.finish().unwrap().inner.into_inner();
        assert_eq!(file.len() > 256 << 20, large);
        let reads = Cell::new((0, 0));
        let counted = Counted { file: &file, reads: &reads };
        let mut segment = RandomReader::open(counted, file.len() as u64).unwrap();
        assert!(segment.frames() > 400);
        let sequence = entries / 3;
        assert_eq!(segment.entry(sequence).unwrap().unwrap().payload, payload);
        let (cold, bytes) = reads.replace((0, 0));
        assert!(cold <= 3 && bytes <= 512 << 10, "{cold} reads, {bytes} bytes");
        // The frame is there.
        assert!(segment.entry(sequence - 1).unwrap().is_some());
        assert!(reads.get().0 <= 1);
        reads.set((0, 0));
        assert_eq!(segment.entry(entries - 7).unwrap().unwrap().sequence, entries - 7);
        let (warm, bytes) = reads.replace((0, 0));
        assert!(warm == 1 && bytes <= 512 << 10, "{warm} reads, {bytes} bytes");
        let found = segment.first_at_or_after(CREATED_MS + 1000).unwrap().unwrap();
        assert_eq!((found.sequence, found.commit_ms), (1001, CREATED_MS + 1000));
        assert!(reads.get().0 <= 2);
    }
}

/// More frames than the first read covers.
#[test]
fn an_index_longer_than_the_first_read_takes_one_more() {
    let mut frames = Frames::new(start(), false);
    for _ in 0..3000 {
        frames.push(&[b"x".to_vec()]);
    }
    let file = frames.file();
    let reads = Cell::new((0, 0));
    let mut segment = RandomReader::open(Counted { file: &file, reads: &reads }, file.len() as u64).unwrap();
    assert_eq!((segment.frames(), reads.get().0), (3000, 2));
    for sequence in [1, 2, 1500, 3000] {
        assert_eq!(segment.entry(sequence).unwrap().unwrap().sequence, sequence);
    }
    assert_eq!(reads.get().0, 6);
}

/// A segment of another layout has no index, and is no damaged one of this.
#[test]
fn other_segments_are_refused_by_their_version() {
    let mut open = OpenFile::new();
    open.push_standard(9);
    for (file, version) in [(sealed(3, Compression::None), 1), (sealed(3, zstd()), 1), (open.bytes, 3)] {
        let refused = RandomReader::open(file.as_slice(), file.len() as u64).unwrap_err();
        assert!(matches!(refused, Error::UnsupportedVersion { found } if found == version), "{refused:?}");
    }
    let refused = RandomReader::open([7_u8; 200].as_slice(), 200).unwrap_err();
    assert!(matches!(refused, Error::NotASegment { .. }), "{refused:?}");
}

/// Who reads single entries verifies no body checksum: what the index says wrongly is found by comparing it with the frames, and said where it stands.
#[test]
fn what_is_wrong_in_the_index_is_said_where_it_stands() {
    let whole = Frames::standard(false).file();
    let rows_at = whole.len() - FOOTER_LEN - FINAL_HASH_LEN - 3 * INDEX_ROW_LEN;
    let offset_of = |at: usize| {
        let mut file = whole.clone();
        file[at] ^= 1;
        let error = RandomReader::open(file.as_slice(), file.len() as u64)
            .and_then(|mut reader| (1..=6).try_for_each(|sequence| reader.entry(sequence).map(drop)));
        let Err(Error::Damaged { offset: Offset::File(found), .. }) = error else {
            panic!("byte {at}: {error:?}")
        };
        found as usize
    };
    let row = |number: usize| rows_at + number * INDEX_ROW_LEN;
    for number in 0..3 {
        // A frame that stands elsewhere, or begins with another sequence or time, makes its own row wrong or the one before it too long.
        for field in 0..index_field::CHAIN_BEFORE {
            let found = offset_of(row(number) + field);
            let near = found == row(number) || found + INDEX_ROW_LEN == row(number);
            // Or the frame is not whole that is read at another place.
            let elsewhere = field < index_field::FIRST_SEQ && found < rows_at;
            assert!(near || elsewhere, "row {number}, byte {field}: {found}");
        }
        let chain = row(number) + index_field::CHAIN_BEFORE;
        // That of the first row is compared with its frame alone, the others with what the frame before them comes to.
        assert_eq!(offset_of(chain + 7), if number == 0 { row(0) } else { chain }, "row {number}");
    }
    assert_eq!(offset_of(row(3) + 7), row(3), "the last chain hash");
}

/// Fails once at the `fails`th read, or again and again.
struct Failing<'a> {
    file: &'a [u8],
    reads: std::cell::Cell<u32>,
    fails: u32,
    kind: std::io::ErrorKind,
}

impl ReadAt for Failing<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let number = self.reads.get();
        self.reads.set(number + 1);
        assert!(number < 100, "it is asked for ever");
        let interrupted = self.kind == std::io::ErrorKind::Interrupted;
        if number == self.fails || (number > self.fails && !interrupted) {
            return Err(self.kind.into());
        }
        self.file.read_at(buffer, offset)
    }
}

#[test]
fn a_read_that_is_interrupted_is_repeated_and_one_that_fails_is_an_error() {
    use std::io::ErrorKind;
    let file = sealed_v2(20, zstd());
    let read = |fails, kind| {
        let source = Failing { file: &file, reads: 0.into(), fails, kind };
        RandomReader::open(source, file.len() as u64)
            .and_then(|mut reader| reader.entry(7).map(|entry| entry.unwrap().sequence))
    };
    for fails in 0..2 {
        assert_eq!(read(fails, ErrorKind::Interrupted).unwrap(), 7);
        let failed = read(fails, ErrorKind::PermissionDenied).unwrap_err();
        assert!(matches!(failed, Error::Io { .. }), "{failed:?}");
    }
}
