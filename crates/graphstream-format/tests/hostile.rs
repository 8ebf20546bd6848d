//! Bytes made to hurt: lengths, counts, versions, flags, compression bombs. Checksums are valid unless said otherwise.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::io::Write;

use graphstream_format::header::{
    FLAG_CHAIN_TRAILER, FLAG_COLUMNS, FLAG_COMPRESSED, FLAG_SEALED, HEADER_LEN, field,
};
use graphstream_format::open::{RECORD_HEADER_LEN, RECORDS_START, record_field};
use graphstream_format::v2::{FOOTER_LEN, RandomReader, footer_field, frame_field};
use graphstream_format::{
    ChainHash, Compression, Damage, Error, Header, Offset, ReadOptions, RecordDefect, SegmentReader,
    SegmentVersion, SegmentWriter, WriteOptions, limits,
};
use segments::{
    Frames, OpenFile, columns, fix_frame, read, read_with, rebody, refooter, reheader, sealed, sealed_as,
    sealed_v2, start, zstd,
};
use sha2::{Digest, Sha256};

/// A version 1 file with this stored body, everything around it consistent.
fn around(body: &[u8], entries: u64, last_hash: ChainHash, compressed: bool) -> Vec<u8> {
    let header = Header {
        version: 1,
        flags: FLAG_SEALED | FLAG_CHAIN_TRAILER | if compressed { FLAG_COMPRESSED } else { 0 },
        compression: u8::from(compressed),
        ext_len: 0,
        first_seq: 1,
        last_seq: entries,
        entry_count: entries,
        body_len: body.len() as u64,
        body_checksum: Sha256::digest(body).into(),
        prev_segment_checksum: 0,
        created_ms: 0,
        lineage: start().lineage,
        first_commit_ms: 0,
        last_commit_ms: 0,
    };
    let mut file = header.encode().to_vec();
    file.extend_from_slice(body);
    file.extend_from_slice(last_hash.as_bytes());
    file
}

fn entry(sequence: u64, prev_hash: ChainHash, payload: &[u8]) -> Vec<u8> {
    let mut rest = (payload.len() as u32).to_be_bytes().to_vec();
    rest.extend_from_slice(&sequence.to_be_bytes());
    rest.extend_from_slice(prev_hash.as_bytes());
    rest.extend_from_slice(payload);
    let mut entry = crc32c::crc32c(&rest).to_be_bytes().to_vec();
    entry.extend_from_slice(&rest);
    entry
}

const EXTREMES: [u64; 7] = [0, 1 << 31, 1 << 32, u64::MAX / 2, u64::MAX - 160, u64::MAX - 1, u64::MAX];

#[test]
fn h01_every_header_number_at_its_extremes_is_refused_or_found_out() {
    for compression in [Compression::None, zstd(), columns()] {
        for (at, value, sealed) in [field::FIRST_SEQ, field::LAST_SEQ, field::ENTRY_COUNT, field::BODY_LEN]
            .into_iter()
            .flat_map(|at| EXTREMES.into_iter().map(move |value| (at, value)))
            .flat_map(|(at, value)| [sealed, sealed_v2].into_iter().map(move |sealed| (at, value, sealed)))
        {
            let file = reheader(sealed(3, compression), at, &value.to_be_bytes());
            assert!(matches!(read(&file).end, Err(Error::Damaged { .. })), "field {at} = {value}");
        }
        for (value, sealed) in [
            (1, sealed as fn(u64, Compression) -> Vec<u8>),
            (u32::MAX, sealed),
            (1, sealed_v2),
            (u32::MAX, sealed_v2),
        ] {
            let file = reheader(sealed(3, compression), field::EXT_LEN, &value.to_be_bytes());
            assert!(matches!(
                read(&file).end,
                Err(Error::Damaged { what: Damage::HeaderField { field: "ext_len", .. }, .. })
            ));
        }
    }
}

#[test]
fn h01_the_whole_range_of_sequences_and_counts_that_agree_still_ends_at_the_bytes() {
    let mut file = sealed(3, zstd());
    file = reheader(file, field::FIRST_SEQ, &1_u64.to_be_bytes());
    file = reheader(file, field::LAST_SEQ, &u64::MAX.to_be_bytes());
    file = reheader(file, field::ENTRY_COUNT, &u64::MAX.to_be_bytes());
    let read = read(&file);
    assert_eq!(read.entries.len(), 3);
    assert!(matches!(read.end, Err(Error::Damaged { .. })));
}

#[test]
fn h01_a_payload_length_of_u32_max_is_refused_before_allocating() {
    for length in [limits::PAYLOAD_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut body = entry(1, ChainHash::ZERO, b"x");
        body[4..8].copy_from_slice(&length.to_be_bytes());
        for compressed in [false, true] {
            let stored =
                if compressed { zstd::encode_all(body.as_slice(), 3).unwrap() } else { body.clone() };
            let Err(Error::Damaged { what, sequence, .. }) =
                read(&around(&stored, 1, ChainHash::ZERO, compressed)).end
            else {
                panic!("accepted");
            };
            assert_eq!(what, Damage::Length { found: length.into(), max: limits::PAYLOAD_BYTES_MAX as u64 });
            assert_eq!(sequence, Some(1));
        }
    }
}

#[test]
fn h02_a_body_may_not_decompress_without_bound() {
    let payload = vec![0; 8 << 20];
    let mut chain = ChainHash::ZERO;
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for sequence in 1..=8 {
        encoder.write_all(&entry(sequence, chain, &payload)).unwrap();
        chain = chain.after(&payload);
    }
    let file = around(&encoder.finish().unwrap(), 8, chain, true);
    assert!(file.len() < 16 << 10, "64 MiB in {} bytes", file.len());
    let read = read_with(&file, ReadOptions::default().with_body_bytes_max(20 << 20));
    assert_eq!(read.entries.len(), 2);
    assert!(
        matches!(read.end, Err(Error::BodyTooLarge { sequence: 3, max }) if max == 20 << 20),
        "{:?}",
        read.end
    );
}

#[test]
fn h02_what_follows_the_last_entry_in_the_frame_is_refused_without_decompressing_it() {
    /// Counts what is asked of it.
    struct Counted<'a>(&'a [u8], &'a std::cell::Cell<usize>);

    impl std::io::Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read);
            Ok(read)
        }
    }

    let first = entry(1, ChainHash::ZERO, b"x");
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&first).unwrap();
    // What can't be compressed: whoever decompresses it has to read it.
    let mut state = 1_u64;
    for _ in 0..1 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        encoder.write_all(&(state ^ state >> 29).to_le_bytes()).unwrap();
    }
    let file = around(&encoder.finish().unwrap(), 1, ChainHash::ZERO.after(b"x"), true);
    assert!(file.len() > 8 << 20);
    let taken = std::cell::Cell::new(0);
    let source = Counted(&file, &taken);
    let mut reader = SegmentReader::new(source, file.len() as u64, ReadOptions::default()).unwrap();
    let error = reader.verify().unwrap_err();
    assert!(matches!(error, Error::Damaged { what: Damage::TrailingBytes, .. }), "{error:?}");
    assert!(taken.get() < 1 << 20, "{} bytes were read", taken.get());
}

#[test]
fn h02_a_window_beyond_the_cap_is_refused() {
    let body = entry(1, ChainHash::ZERO, &[7; 5000]);
    let last = ChainHash::ZERO.after(&[7; 5000]);
    for (window_log, accepted) in
        [(limits::ZSTD_WINDOW_LOG_MAX, true), (limits::ZSTD_WINDOW_LOG_MAX + 1, false), (27, false)]
    {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(&body).unwrap();
        let file = around(&encoder.finish().unwrap(), 1, last, true);
        let end = read(&file).end;
        assert_eq!(end.is_ok(), accepted, "window of 2^{window_log}: {end:?}");
        if !accepted {
            assert!(matches!(end, Err(Error::Damaged { what: Damage::Compression, .. })));
        }
    }
}

#[test]
fn h02_concatenated_and_skippable_frames_are_refused() {
    let (first, last) = (entry(1, ChainHash::ZERO, b"x"), ChainHash::ZERO.after(b"x"));
    let second = entry(2, last, b"y");
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let whole = frame(&first);
    let behind = |more: &[u8]| [whole.as_slice(), more].concat();
    read(&around(&whole, 1, last, true)).end.unwrap();
    for (name, body, entries, hash) in [
        ("two frames", behind(&frame(&second)), 2, last.after(b"y")),
        ("an empty second frame", behind(&frame(b"")), 1, last),
        ("a skippable frame behind", behind(&skippable), 1, last),
        ("a skippable frame before", [&skippable, whole.as_slice()].concat(), 1, last),
        ("a byte behind", behind(&[0]), 1, last),
        ("a long tail behind", behind(&vec![0xaa; 300_000]), 1, last),
        ("a cut frame", whole[..whole.len() - 1].to_vec(), 1, last),
        ("no frame", first.clone(), 1, last),
        ("a lone skippable frame", skippable.to_vec(), 1, last),
    ] {
        let end = read(&around(&body, entries, hash, true)).end;
        let Err(Error::Damaged { what, offset, .. }) = end else { panic!("{name}: {end:?}") };
        if entries == 1 && body.starts_with(&whole) && body.len() > whole.len() {
            let behind = (HEADER_LEN + whole.len()) as u64;
            assert_eq!((what, offset), (Damage::TrailingBytes, Offset::File(behind)), "{name}");
        }
    }
}

#[test]
fn s07_a_stream_that_ends_with_the_zstd_frame_and_before_the_body_says_where() {
    let (first, last) = (entry(1, ChainHash::ZERO, b"x"), ChainHash::ZERO.after(b"x"));
    let frame = zstd::encode_all(first.as_slice(), 3).unwrap();
    let file = around(&[frame.as_slice(), &[0; 10]].concat(), 1, last, true);
    let ends = HEADER_LEN + frame.len();
    let mut reader = SegmentReader::new(&file[..ends], file.len() as u64, ReadOptions::default()).unwrap();
    let error = reader.verify().unwrap_err();
    let Error::Damaged { what: Damage::EndsEarly, offset, .. } = error else { panic!("{error:?}") };
    assert_eq!(offset, Offset::File(ends as u64));
}

#[test]
fn h10_other_versions_and_unknown_flags_are_refused() {
    let file = sealed(2, Compression::None);
    for version in (0..=255).filter(|version| *version != 1) {
        // Known, and then the flags or the layout are wrong.
        let end = read(&reheader(file.clone(), field::VERSION, &[version])).end;
        match version {
            2 | 3 => assert!(matches!(end, Err(Error::Damaged { .. })), "{end:?}"),
            _ => assert!(
                matches!(end, Err(Error::UnsupportedVersion { found }) if found == version),
                "{end:?}"
            ),
        }
        // An unknown version need not keep our checksum.
        let mut unchecked = file.clone();
        unchecked[field::VERSION] = version;
        assert!(read(&unchecked).end.is_err());
    }
    let good = FLAG_SEALED | FLAG_CHAIN_TRAILER;
    for flags in (0..=255).filter(|flags| *flags != good) {
        let end = read(&reheader(file.clone(), field::FLAGS, &[flags])).end;
        assert!(matches!(end, Err(Error::Damaged { .. })), "flags {flags:#04x}: {end:?}");
    }
    for compression in 1..=255 {
        let end = read(&reheader(file.clone(), field::COMPRESSION, &[compression])).end;
        assert!(matches!(end, Err(Error::Damaged { .. })), "compression {compression}: {end:?}");
    }
}

/// Every number of a frame at its extremes, its CRC right: refused, whichever way it is read, before anything is allocated for it.
#[test]
fn h01_every_number_of_a_frame_at_its_extremes_is_refused() {
    use frame_field as at;
    for compressed in [false, true] {
        for (which, field, len) in [
            (0, at::STORED_LEN, 4),
            (1, at::STORED_LEN, 4),
            (0, at::RAW_LEN, 4),
            (1, at::RAW_LEN, 4),
            (0, at::COUNT, 4),
            (2, at::COUNT, 4),
            (0, at::FIRST_SEQ, 8),
            (2, at::FIRST_SEQ, 8),
            (0, at::FIRST_COMMIT_MS, 8),
            (2, at::FIRST_COMMIT_MS, 8),
            (0, at::CHAIN_BEFORE, 8),
            (2, at::CHAIN_BEFORE, 8),
        ] {
            let more = [1, 1 << 18, 1 << 24, (1 << 24) + 14, 0x8000_0000_8000_0000, 0xffff_ffff_7fff_ffff];
            for value in EXTREMES.into_iter().chain(more) {
                let mut frames = Frames::standard(compressed);
                let place = field..field + len;
                let bytes = &value.to_be_bytes()[8 - len..];
                if frames.frames[which][place.clone()] == *bytes
                    || (field == at::CHAIN_BEFORE && value == 0 && which == 0)
                {
                    continue;
                }
                frames.frames[which][place].copy_from_slice(bytes);
                fix_frame(&mut frames.frames[which]);
                let file = frames.file();
                let what = format!("frame {which}, field at {field} = {value:#x}, compressed: {compressed}");
                let end = read(&file).end;
                let Err(Error::Damaged { what: damage, offset, .. }) = end else { panic!("{what}: {end:?}") };
                if let Damage::FrameField { field, .. } = damage {
                    let starts: Vec<usize> = (0..3)
                        .map(|before| {
                            HEADER_LEN + frames.frames[..before].iter().map(Vec::len).sum::<usize>()
                        })
                        .collect();
                    let field = match field {
                        "count" => at::COUNT,
                        "stored_len" => at::STORED_LEN,
                        "first_seq" => at::FIRST_SEQ,
                        "first_commit_ms" => at::FIRST_COMMIT_MS,
                        other => panic!("{what}: {other}"),
                    };
                    let places = starts.iter().map(|start| Offset::File((start + field) as u64));
                    assert!(
                        places.into_iter().any(|place| place == offset),
                        "{what}: {damage:?} at {offset:?}"
                    );
                }
                let single = RandomReader::open(file.as_slice(), file.len() as u64)
                    .and_then(|mut reader| reader.entry([1, 3, 4][which]).map(|entry| entry.map(|_| ())));
                // Who does not read the header can't know when the first entry was committed.
                let known = field != at::FIRST_COMMIT_MS;
                assert!(!known || matches!(single, Err(Error::Damaged { .. })), "{what}: {single:?}");
            }
        }
    }
}

#[test]
fn h01_every_number_of_the_footer_at_its_extremes_is_refused() {
    use footer_field as at;
    for (field, len) in [
        (at::INDEX_OFFSET, 8),
        (at::INDEX_LEN, 4),
        (at::FRAME_COUNT, 4),
        (at::FIRST_SEQ, 8),
        (at::LAST_SEQ, 8),
        (at::VERSION, 1),
        (at::FLAGS, 1),
        (at::ZEROS, 8),
    ] {
        let more = [2, 3, 4, 56, 112, 224, u64::from(limits::FRAMES_MAX), u64::from(limits::FRAMES_MAX) * 56];
        for value in EXTREMES.into_iter().chain(more) {
            let whole = Frames::standard(false).file();
            let start = whole.len() - FOOTER_LEN + field;
            let bytes = &value.to_be_bytes()[8 - len..];
            if whole[start..start + len] == *bytes {
                continue;
            }
            let file = refooter(whole, field, bytes);
            let end = read(&file).end;
            assert!(matches!(end, Err(Error::Damaged { .. })), "field at {field} = {value:#x}: {end:?}");
            // Reading single entries can't know the segment's flags and ends but from the footer; then the frames differ.
            let single = RandomReader::open(file.as_slice(), file.len() as u64).and_then(|mut reader| {
                reader.entry(reader.first_seq())?;
                reader.entry(reader.last_seq()).map(|entry| entry.map(|_| ()))
            });
            assert!(
                matches!(single, Err(Error::Damaged { .. })),
                "field at {field} = {value:#x}: {single:?}"
            );
        }
    }
}

#[test]
fn h10_a_footer_has_no_flags_that_no_segment_has() {
    let whole = sealed_v2(3, columns());
    let flags = whole[whole.len() - FOOTER_LEN + footer_field::FLAGS];
    assert_eq!(flags, FLAG_SEALED | FLAG_COMPRESSED | FLAG_COLUMNS);
    // Columns that are not compressed; not sealed; and one that there is not.
    for wrong in [FLAG_SEALED | FLAG_COLUMNS, flags & !FLAG_SEALED, flags | 0x40] {
        let file = refooter(whole.clone(), footer_field::FLAGS, &[wrong]);
        let error = RandomReader::open(file.as_slice(), file.len() as u64).unwrap_err();
        let Error::Damaged { what: Damage::FooterField { field: "flags", .. }, offset, .. } = error else {
            panic!("{wrong:#x}: {error:?}")
        };
        assert_eq!(offset, Offset::File((file.len() - FOOTER_LEN + footer_field::FLAGS) as u64));
    }
}

#[test]
fn h01_a_footer_says_no_more_frames_than_a_segment_may_have() {
    for count in [0, limits::FRAMES_MAX + 1] {
        let file = refooter(Frames::standard(false).file(), footer_field::FRAME_COUNT, &count.to_be_bytes());
        let file = refooter(file, footer_field::INDEX_LEN, &(count * 56).to_be_bytes());
        let error = RandomReader::open(file.as_slice(), file.len() as u64).unwrap_err();
        assert!(error.to_string().contains("frame_count"), "{count}: {error}");
    }
}

#[test]
fn h01_a_body_that_goes_on_behind_its_index_is_refused() {
    let whole = Frames::standard(false).file();
    let index_offset = whole.len() - FOOTER_LEN - 32 - 3 * 56;
    let (body, footer) = whole.split_at(whole.len() - FOOTER_LEN);
    let longer = [body, &[0; 4], footer].concat();
    let body_len = (longer.len() - HEADER_LEN - FOOTER_LEN) as u64;
    let file = rebody(reheader(longer, field::BODY_LEN, &body_len.to_be_bytes()), body.len(), &[1; 4]);
    let end = read(&file).end;
    let Err(Error::Damaged { what: Damage::TrailingBytes, offset, .. }) = end else { panic!("{end:?}") };
    assert_eq!(offset, Offset::File(index_offset as u64));
    // A footer that is right in itself, of an index with one more row.
    let (count, len, offset) = (4_u32, 4 * 56_u32, (index_offset - 56) as u64);
    let file = refooter(whole.clone(), footer_field::FRAME_COUNT, &count.to_be_bytes());
    let file = refooter(file, footer_field::INDEX_LEN, &len.to_be_bytes());
    let file = refooter(file, footer_field::INDEX_OFFSET, &offset.to_be_bytes());
    let end = read(&file).end;
    let Err(Error::Damaged { what: Damage::FooterField { field: "index_offset", .. }, offset, .. }) = end
    else {
        panic!("{end:?}")
    };
    assert_eq!(offset, Offset::File((whole.len() - FOOTER_LEN + footer_field::INDEX_OFFSET) as u64));
}

/// One frame whose stored bytes are these, everything around it right.
fn one_frame(stored: &[u8], raw_len: usize, count: u32, last: ChainHash) -> Vec<u8> {
    let mut frames = Frames::new(start(), false);
    let mut frame = frames.frame(stored, raw_len as u32, count, ChainHash::ZERO);
    fix_frame(&mut frame);
    frames.frames.push(frame);
    frames.compressed = true;
    (frames.next_seq, frames.chain) = (1 + u64::from(count), last);
    frames.commit_ms += i64::from(count);
    frames.file()
}

#[test]
fn h02_a_frame_holds_exactly_what_it_says_and_is_one_zstd_frame() {
    let payload = b"CREATE (:Person {id: 1})";
    let (raw, last) =
        ([&[payload.len() as u8, 0], payload.as_slice()].concat(), ChainHash::ZERO.after(payload));
    let whole = zstd::bulk::compress(&raw, 3).unwrap();
    read(&one_frame(&whole, raw.len(), 1, last)).end.unwrap();
    let behind = |more: &[u8]| [whole.as_slice(), more].concat();
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let streamed = zstd::encode_all(raw.as_slice(), 3).unwrap();
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
    for (name, stored, raw_len) in [
        ("a shorter raw_len", whole.clone(), raw.len() - 1),
        ("a longer raw_len", whole.clone(), raw.len() + 1),
        ("an empty second frame", behind(&zstd::bulk::compress(b"", 3).unwrap()), raw.len()),
        ("a second frame", behind(&whole), raw.len()),
        ("both frames", behind(&whole), 2 * raw.len()),
        ("a skippable frame behind", behind(&skippable), raw.len()),
        ("a skippable frame before", [&skippable, whole.as_slice()].concat(), raw.len()),
        ("a byte behind", behind(&[0]), raw.len()),
        ("a cut frame", whole[..whole.len() - 1].to_vec(), raw.len()),
        ("no frame", raw.clone(), raw.len()),
        ("a content size left open", streamed, raw.len()),
        ("eight MiB in a frame of a few bytes", bomb.clone(), raw.len()),
        ("eight MiB that are no entry", bomb, 8 << 20),
        ("nothing", Vec::new(), raw.len()),
    ] {
        let file = one_frame(&stored, raw_len, 1, last);
        let read = read(&file);
        assert!(read.entries.is_empty(), "{name}");
        assert!(matches!(read.end, Err(Error::Damaged { .. })), "{name}: {:?}", read.end);
        let single = RandomReader::open(file.as_slice(), file.len() as u64)
            .and_then(|mut reader| reader.entry(1).map(|entry| entry.map(|_| ())));
        assert!(matches!(single, Err(Error::Damaged { .. })), "{name}: {single:?}");
    }
}

#[test]
fn h02_a_frames_window_beyond_the_cap_is_refused() {
    let payload = vec![7; limits::PAYLOAD_BYTES_MAX];
    let mut raw = vec![0x80, 0x80, 0x80, 0x08, 0];
    raw.extend_from_slice(&payload);
    for (window_log, accepted) in
        [(limits::ZSTD_WINDOW_LOG_MAX, true), (limits::ZSTD_WINDOW_LOG_MAX + 1, false)]
    {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        compressor.window_log(window_log).unwrap();
        let stored = compressor.compress(&raw).unwrap();
        let mut file = one_frame(&stored, raw.len(), 1, ChainHash::ZERO.after(&payload));
        assert_eq!(read(&file).end.is_ok(), accepted, "window of 2^{window_log}");
        if window_log == limits::ZSTD_WINDOW_LOG_MAX {
            // The window descriptor stands behind magic and frame descriptor: its mantissa, then its exponent one higher.
            for descriptor in [(13 << 3) | 1, 14 << 3] {
                let mut stored = stored.clone();
                assert_eq!(stored[5], 13 << 3);
                stored[5] = descriptor;
                file = one_frame(&stored, raw.len(), 1, ChainHash::ZERO.after(&payload));
                assert!(matches!(read(&file).end, Err(Error::Damaged { what: Damage::Compression, .. })));
            }
        }
    }
}

/// Entries that do not fill their frame, in every way, with valid checksums.
#[test]
fn h01_entries_that_do_not_fill_their_frame_are_refused() {
    for (name, raw, count) in [
        ("a length beyond the frame", &[5, 0, 1, 2][..], 1),
        ("a byte behind", &[1, 0, 7, 0], 1),
        ("one entry less than counted", &[1, 0, 7, 1], 2),
        ("one entry more than counted", &[0, 0, 0, 0], 1),
        ("a time before the frame's", &[1, 1, 7], 1),
        ("a length in a longer form", &[0x81, 0, 0, 7], 1),
        ("a delta in a longer form", &[1, 0x80, 0, 7], 1),
        ("a length without end", &[0xff; 20], 1),
        ("a delta beyond all times", &[0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], 2),
    ] {
        for compressed in [false, true] {
            let mut frames = Frames::new(start(), compressed);
            let frame = frames.frame(raw, raw.len() as u32, count, ChainHash::ZERO);
            frames.frames.push(frame);
            frames.next_seq += u64::from(count);
            frames.commit_ms = i64::MAX;
            let file = frames.file();
            let read = read(&file);
            assert!(read.entries.is_empty(), "{name}");
            assert!(
                matches!(read.end, Err(Error::Damaged { what: Damage::FrameEntries, .. })),
                "{name}: {:?}",
                read.end
            );
        }
    }
}

#[test]
fn an_entry_larger_than_a_frame_is_alone_in_one() {
    let big = limits::FRAME_RAW_BYTES_MAX;
    // The lengths of the frames that follow from these payloads, by hand.
    for (lengths, frames) in [
        (vec![1, big, 1], 3),
        (vec![big - 4], 1),
        (vec![big - 4, 0], 2),
        (vec![big - 6, 0], 1),
        (vec![big - 6, 1], 2),
        (vec![big, big], 2),
        (vec![limits::PAYLOAD_BYTES_MAX, 1, 1], 2),
    ] {
        let payloads: Vec<_> = lengths.iter().map(|&len| vec![9; len]).collect();
        for compression in [Compression::None, zstd(), columns()] {
            let file = sealed_as(SegmentVersion::V2, start(), &payloads, compression);
            assert_eq!(
                RandomReader::open(file.as_slice(), file.len() as u64).unwrap().frames(),
                frames,
                "{lengths:?}"
            );
            assert!(read(&file).entries.iter().map(|entry| &entry.payload).eq(&payloads));
        }
    }
}

/// A record with valid checksums and these fields.
fn record_with(patch: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = OpenFile::new();
    file.push_standard(2);
    let mut record = file.bytes.split_off(RECORDS_START as usize);
    patch(&mut record);
    let body_crc = crc32c::crc32c(&record[RECORD_HEADER_LEN..]);
    record[record_field::BODY_CRC32C..][..4].copy_from_slice(&body_crc.to_be_bytes());
    let mut covered = record[..record_field::HEADER_CRC32C].to_vec();
    covered.extend_from_slice(&record[record_field::BODY_CRC32C..RECORD_HEADER_LEN]);
    covered.extend_from_slice(&RECORDS_START.to_be_bytes());
    record[record_field::HEADER_CRC32C..][..4].copy_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
    file.bytes.extend_from_slice(&record);
    file.bytes
}

#[test]
fn h01_records_with_valid_checksums_and_impossible_fields_are_corruption() {
    let put = |at: usize, bytes: Vec<u8>| {
        record_with(move |record| record[at..at + bytes.len()].copy_from_slice(&bytes))
    };
    let be32 = |value: u32| value.to_be_bytes().to_vec();
    let be64 = |value: u64| value.to_be_bytes().to_vec();
    let unpatched = record_with(|_| ());
    assert_eq!(read(&unpatched).entries.len(), 2);
    let length = u32::from_be_bytes(
        unpatched[RECORDS_START as usize + record_field::LENGTH..][..4].try_into().unwrap(),
    );
    let entries = record_field::ENTRIES;
    let over = limits::BATCH_BYTES_MAX as u32 + 1;
    for (name, file) in [
        ("length of u32::MAX", put(record_field::LENGTH, be32(u32::MAX))),
        ("length above the limit", put(record_field::LENGTH, be32(over))),
        ("length one short", put(record_field::LENGTH, be32(length - 1))),
        ("count of zero", put(record_field::COUNT, be32(0))),
        ("count one low", put(record_field::COUNT, be32(1))),
        ("count one high", put(record_field::COUNT, be32(3))),
        ("count of u32::MAX", put(record_field::COUNT, be32(u32::MAX))),
        ("sequence zero", put(record_field::FIRST_SEQ, be64(0))),
        ("another sequence", put(record_field::FIRST_SEQ, be64(2))),
        ("sequence overflow", put(record_field::FIRST_SEQ, be64(u64::MAX))),
        ("commit time overflow", put(record_field::FIRST_COMMIT_MS, i64::MAX.to_be_bytes().to_vec())),
        ("durable offset behind itself", put(record_field::DURABLE_OFFSET, be64(RECORDS_START + 8))),
        ("durable offset in the header", put(record_field::DURABLE_OFFSET, be64(8))),
        ("durable offset of u64::MAX", put(record_field::DURABLE_OFFSET, be64(u64::MAX))),
        ("payload length beyond the record", put(entries, vec![0x7f])),
        ("payload length in a longer form", put(entries, vec![0x80, 0x00])),
        ("payload length of 2^63", put(entries, vec![0xff; 9])),
        ("first delta not zero", put(entries + 1, vec![0x01])),
        ("padding not zero", record_with(|record| *record.last_mut().unwrap() = 1)),
    ] {
        let read = read(&file);
        assert!(read.entries.is_empty(), "{name}");
        let Err(Error::Damaged { what: Damage::Record { .. }, offset, sequence }) = read.end else {
            panic!("{name}: {:?}", read.end);
        };
        assert_eq!((offset.get(), sequence), (RECORDS_START, Some(1)), "{name}");
    }
}

/// What stands in a record must continue the record before it in every respect.
#[test]
fn l12_a_record_that_steps_back_is_corruption() {
    let two = |step_back: fn(&mut OpenFile)| {
        let mut file = OpenFile::new();
        file.push_standard(1);
        file.sync();
        file.push_standard(1);
        step_back(&mut file);
        file.push_standard(1);
        (file.records[2], read(&file.bytes))
    };
    assert_eq!(two(|_| ()).1.entries.len(), 3);
    let (at, earlier) = two(|file| file.commit_ms -= 2);
    let (again, less_durable) = two(|file| file.durable_offset = RECORDS_START);
    for (read, expected) in [
        (earlier, RecordDefect::CommitTime),
        (less_durable, RecordDefect::DurableOffset { found: RECORDS_START }),
    ] {
        assert_eq!(read.entries.len(), 2);
        let Err(Error::Damaged { what: Damage::Record { what }, offset, sequence: Some(3) }) = read.end
        else {
            panic!("{:?}", read.end);
        };
        assert_eq!((what, offset.get()), (expected, at));
    }
    assert_eq!(at, again);
}

#[test]
fn a_header_of_ours_never_has_the_predecessors_lineage() {
    let file = reheader(sealed(2, Compression::None), field::LINEAGE, &[0; 16]);
    assert!(matches!(
        read(&file).end,
        Err(Error::Damaged { what: Damage::HeaderField { field: "lineage", .. }, .. })
    ));
}

#[test]
fn a_zero_nonce_is_refused() {
    let mut header = OpenFile::new().header;
    header.nonce = graphstream_format::open::Nonce::from_bytes([0; 16]);
    assert!(header.encode().is_err());
    let mut file = OpenFile::new().bytes;
    file[128..144].fill(0);
    let checksum = Sha256::digest(&file[128..176]);
    let file = reheader(file, field::BODY_CHECKSUM, &checksum);
    assert!(matches!(
        read(&file).end,
        Err(Error::Damaged { what: Damage::HeaderField { field: "nonce", .. }, .. })
    ));
}

/// Thousands of places that look like records and claim 32 MiB each must not cost 32 MiB of checksumming each.
#[test]
fn a_file_full_of_false_records_is_refused_in_bounded_time() {
    let mut file = OpenFile::new();
    file.push_standard(1);
    let from = file.bytes.len();
    let size = 20 << 20;
    file.bytes.resize(from + 8, 0xff);
    while file.bytes.len() < from + size / 8 {
        let offset = file.bytes.len() as u64;
        let mut fields = file.header.nonce.as_bytes().to_vec();
        fields.extend_from_slice(&[0; 4]);
        fields.extend_from_slice(&7_u32.to_be_bytes());
        fields.extend_from_slice(&(size as u32 - (size / 8) as u32).to_be_bytes());
        fields.extend_from_slice(&1_u32.to_be_bytes());
        fields.extend_from_slice(&9_u64.to_be_bytes());
        fields.extend_from_slice(&0_i64.to_be_bytes());
        fields.extend_from_slice(&RECORDS_START.to_be_bytes());
        let mut covered = fields[..16].to_vec();
        covered.extend_from_slice(&fields[20..]);
        covered.extend_from_slice(&offset.to_be_bytes());
        fields[16..20].copy_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
        file.bytes.extend_from_slice(&fields);
    }
    file.bytes.resize(from + size, 0xab);
    let begun = std::time::Instant::now();
    let end = read(&file.bytes).end;
    assert!(
        matches!(
            end,
            Err(Error::Damaged { what: Damage::SearchExhausted { defect: RecordDefect::NoRecord }, .. })
        ),
        "{end:?}"
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it took {:?}", begun.elapsed());
}

/// The same for the predecessor's open segments, where anything with the right sequence looks like an entry.
#[test]
fn a_legacy_tail_full_of_false_entries_is_refused_in_bounded_time() {
    let mut file = legacy_open();
    let size = 4 << 20;
    while file.len() < size / 2 {
        file.extend_from_slice(&[0xff; 4]);
        file.extend_from_slice(&(size as u32 / 2 - 100).to_be_bytes());
        file.extend_from_slice(&2_u64.to_be_bytes());
        file.extend_from_slice(&[0xff; 32]);
    }
    file.resize(size, 0xab);
    let end = read(&file).end;
    assert!(matches!(end, Err(Error::Damaged { what: Damage::SearchExhausted { .. }, .. })), "{end:?}");
}

/// A predecessor's open segment that begins with sequence 1.
fn legacy_open() -> Vec<u8> {
    let mut file = [0; HEADER_LEN].to_vec();
    file[..6].copy_from_slice(b"HADBJ\x01");
    file[field::FIRST_SEQ + 7] = 1;
    file
}

#[test]
fn l12_behind_a_damaged_legacy_entry_only_later_ones_prove_anything() {
    let (first, after) = (entry(1, ChainHash::ZERO, b"first"), ChainHash::ZERO.after(b"first"));
    let mut damaged = entry(2, after, b"second");
    *damaged.last_mut().unwrap() ^= 1;
    let begin = [legacy_open(), first.clone(), damaged].concat();
    // The last good entry once more, as a recycled block has it: the tail is torn.
    let end = read(&[begin.clone(), first].concat()).end.unwrap();
    assert_eq!(end.last_seq, 1);
    assert!(end.torn.is_some());
    // A false entry, whose checksum is computed for nothing, and then a true one of a later sequence.
    let mut wrong = entry(3, after, b"false");
    wrong[0] ^= 1;
    let later = entry(3, after, b"third");
    let end = read(&[begin.clone(), wrong.clone(), later].concat()).end;
    let expected = (begin.len() + wrong.len()) as u64;
    assert!(
        matches!(
            end,
            Err(Error::Damaged {
                what: Damage::EntriesBehind { defect: RecordDefect::BodyChecksum, later },
                ..
            }) if later == expected
        ),
        "{end:?}"
    );
}

#[test]
fn a_legacy_entry_may_be_as_large_as_any() {
    let payload = vec![7; limits::PAYLOAD_BYTES_MAX + 1];
    let read = |payload| read(&[legacy_open(), entry(1, ChainHash::ZERO, payload)].concat());
    let largest = read(&payload[1..]);
    assert_eq!(largest.entries[0].payload.len(), limits::PAYLOAD_BYTES_MAX);
    assert_eq!(largest.end.unwrap().last_seq, 1);
    assert!(read(&payload).entries.is_empty());
}

#[test]
fn h01_a_body_is_at_least_as_long_as_its_entries_must_be() {
    use graphstream_format::header::{
        COMPRESSION_COLUMNS, COMPRESSION_NONE, COMPRESSION_ZSTD, FLAG_ENCRYPTED,
    };
    use graphstream_format::v2::{FINAL_HASH_LEN, FRAME_HEADER_LEN, INDEX_ROW_LEN};
    // A frame, its row in the index, the chain hash behind it; encrypted in two chunks with length and tag each. An entry takes two bytes in
    // version 2, 48 in version 1.
    let v2 = (FRAME_HEADER_LEN + INDEX_ROW_LEN + FINAL_HASH_LEN) as u64;
    let (zstd, columns) = (FLAG_COMPRESSED, FLAG_COMPRESSED | FLAG_COLUMNS);
    let (encrypted, chunks) = (FLAG_ENCRYPTED, 2 * (4 + 16));
    for (version, flags, compression, ext_len, least) in [
        (1, FLAG_CHAIN_TRAILER, COMPRESSION_NONE, 0, 3 * 48),
        (1, FLAG_CHAIN_TRAILER | zstd, COMPRESSION_ZSTD, 0, 1),
        (2, 0, COMPRESSION_NONE, 0, v2 + 3 * 2),
        (2, zstd, COMPRESSION_ZSTD, 0, v2 + 1),
        (2, columns, COMPRESSION_COLUMNS, 0, v2 + 1),
        (2, encrypted, COMPRESSION_NONE, 56, v2 + chunks + 3 * 2),
        (2, encrypted | columns, COMPRESSION_COLUMNS, 56, v2 + chunks + 1),
    ] {
        let header = |body_len| Header {
            version,
            flags: FLAG_SEALED | flags,
            compression,
            ext_len,
            first_seq: 5,
            last_seq: 7,
            entry_count: 3,
            body_len,
            body_checksum: [1; 32],
            prev_segment_checksum: 0,
            created_ms: 0,
            lineage: start().lineage,
            first_commit_ms: 0,
            last_commit_ms: 0,
        };
        let context = format!("version {version}, flags {flags:#x}");
        let decoded = Header::decode(&header(least).encode());
        assert_eq!(decoded.unwrap_or_else(|error| panic!("{context}: {error}")), header(least));
        let short = Header::decode(&header(least - 1).encode()).unwrap_err().to_string();
        assert!(short.contains("body_len"), "{context}: {short}");
    }
}

#[test]
fn a_payload_fits_into_a_record_as_long_as_it_surely_does() {
    use graphstream_format::open::RecordEncoder;
    let mut encoder = RecordEncoder::new(OpenFile::new().header.nonce);
    encoder.begin(1);
    assert!(encoder.fits(limits::PAYLOAD_BYTES_MAX) && !encoder.fits(limits::PAYLOAD_BYTES_MAX + 1));
    encoder.push(&vec![0; limits::PAYLOAD_BYTES_MAX], 1).unwrap();
    // Four bytes for the length of 16 MiB and one for the time.
    let length = limits::PAYLOAD_BYTES_MAX + 5;
    let most = limits::BATCH_BYTES_MAX - length - limits::ENTRY_OVERHEAD_BYTES_MAX;
    assert!(encoder.fits(most) && !encoder.fits(most + 1));
    encoder.push(&vec![0; most], 1).unwrap();
}

/// A record can be finished for another place, and go on growing after that, as when a write is tried again.
#[test]
fn a_finished_record_can_be_finished_again() {
    use graphstream_format::open::{Placement, RecordEncoder};
    let mut file = OpenFile::new();
    let mut encoder = RecordEncoder::new(file.header.nonce);
    encoder.begin(1);
    encoder.push(b"first", 1).unwrap();
    let first = encoder.finish(Placement { offset: 4096, durable_offset: RECORDS_START }).unwrap().to_vec();
    encoder.push(b"second", 2).unwrap();
    let place = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
    let both = encoder.finish(place).unwrap().to_vec();
    assert_eq!(encoder.finish(place).unwrap(), both);
    file.bytes.extend_from_slice(&both);
    let payloads: Vec<_> = read(&file.bytes).entries.into_iter().map(|entry| entry.payload).collect();
    assert_eq!(payloads, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(both.len(), encoder.record_len());
    // Bound to its place: not a record elsewhere.
    file.bytes.truncate(RECORDS_START as usize);
    file.bytes.extend_from_slice(&first);
    assert!(read(&file.bytes).entries.is_empty());
}

#[test]
fn writers_refuse_what_readers_would() {
    use graphstream_format::open::{Nonce, Placement, RecordEncoder};
    use graphstream_format::{Lineage, SegmentStart, Unwritable};
    use std::io::Cursor;

    let large = vec![0; limits::PAYLOAD_BYTES_MAX + 1];
    for version in [SegmentVersion::V1, SegmentVersion::V2] {
        let new = |start, compression| {
            let options = WriteOptions::default().with_version(version).with_compression(compression);
            SegmentWriter::new(Cursor::new(Vec::new()), start, &options)
        };
        let legacy = SegmentStart { lineage: Lineage::LEGACY, ..start() };
        assert!(matches!(new(legacy, zstd()), Err(Error::Unwritable(Unwritable::LegacyLineage))));
        let zero = SegmentStart { first_seq: 0, ..start() };
        assert!(matches!(new(zero, zstd()), Err(Error::Unwritable(Unwritable::SequenceRange))));
        for level in [i32::MIN, -1, 0, 20, 22, i32::MAX] {
            let refused = new(start(), Compression::Zstd { level });
            assert!(
                matches!(refused, Err(Error::Unwritable(Unwritable::ZstdLevel(found))) if found == level)
            );
        }
        let empty = new(start(), zstd()).unwrap().finish();
        assert!(matches!(empty, Err(Error::Unwritable(Unwritable::Empty))));

        let mut writer = new(SegmentStart { first_seq: u64::MAX, ..start() }, Compression::None).unwrap();
        assert!(matches!(writer.push(&large, 5), Err(Error::PayloadTooLarge { .. })));
        assert_eq!(writer.push(&large[1..], 5).unwrap(), u64::MAX);
        assert!(matches!(writer.push(b"", 5), Err(Error::Unwritable(Unwritable::SequenceRange))));
        let file = writer.finish().unwrap().inner.into_inner();
        assert_eq!(read(&file).end.unwrap().last_seq, u64::MAX);

        let mut writer = new(start(), Compression::None).unwrap();
        writer.push(b"", 5).unwrap();
        assert!(matches!(
            writer.push(b"", 4),
            Err(Error::CommitTimeDecreases { sequence: 2, previous: 5, found: 4 })
        ));
        assert_eq!(writer.push(b"", 5).unwrap(), 2);
    }

    let mut encoder = RecordEncoder::new(Nonce::from_bytes([1; 16]));
    let place = Placement { offset: RECORDS_START, durable_offset: RECORDS_START };
    assert!(matches!(encoder.finish(place), Err(Error::Unwritable(Unwritable::Empty))));
    assert!(matches!(encoder.push(b"", 0), Err(Error::Unwritable(Unwritable::SequenceRange))));
    encoder.begin(1);
    assert!(matches!(encoder.push(&large, 0), Err(Error::PayloadTooLarge { .. })));
    encoder.push(&large[1..], i64::MIN).unwrap();
    assert!(!encoder.fits(limits::PAYLOAD_BYTES_MAX));
    assert!(matches!(encoder.push(&large[1..], 0), Err(Error::BatchTooLarge { .. })));
    encoder.push(&large[..limits::PAYLOAD_BYTES_MAX - 64], i64::MAX).unwrap();
    assert_eq!(encoder.entries(), 2);
    for (offset, durable_offset) in [(177, 176), (184, 192), (176, 168), (168, 168), (192, 180)] {
        let place = Placement { offset, durable_offset };
        let refused = encoder.finish(place).map(<[u8]>::len);
        assert!(matches!(refused, Err(Error::Unwritable(Unwritable::Placement { .. }))), "{place:?}");
    }
    let mut file = OpenFile::starting(start(), [1; 16]).bytes;
    file.extend_from_slice(encoder.finish(place).unwrap());
    let read = read(&file);
    assert_eq!(read.end.unwrap().entries, 2);
    assert_eq!(read.entries[1].commit_ms, i64::MAX);
}
