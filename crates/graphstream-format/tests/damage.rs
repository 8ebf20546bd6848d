//! Every single flipped bit and every cut: a sealed segment is refused or fails, an open one gives a prefix and never a wrong entry.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use graphstream_format::open::{Outcome, RECORDS_START, Scanner};
use graphstream_format::v2::RandomReader;
use graphstream_format::{Compression, Damage, Error, Offset, RecordDefect, SegmentStart, SegmentVersion};
use segments::{
    CREATED_MS, Frames, OpenFile, Read, columns, messages, payload, read, sealed, sealed_as, sealed_v2,
    start, zstd,
};

/// Six entries, in every sealed layout.
fn sealed_files() -> [(&'static str, Vec<u8>); 8] {
    [
        ("version 1", sealed(6, Compression::None)),
        ("version 1, zstd", sealed(6, zstd())),
        ("version 2", sealed_v2(6, Compression::None)),
        ("version 2, zstd", sealed_v2(6, zstd())),
        ("version 2, columns", sealed_as(SegmentVersion::V2, start(), &messages(6), columns())),
        ("version 2, columns that are rows", sealed_v2(6, columns())),
        ("version 2, three frames", Frames::standard(false).file()),
        ("version 2, three frames, zstd", Frames::standard(true).file()),
    ]
}

/// Whatever a flipped bit or a cut leaves: single entries are the right ones, or errors.
#[test]
fn every_flipped_bit_and_every_cut_is_an_error_or_the_right_entry_for_who_reads_single_entries() {
    for compressed in [false, true] {
        let bytes = Frames::standard(compressed).file();
        let whole = read(&bytes).entries;
        let (first, last) = (whole[0].commit_ms, whole[5].commit_ms);
        let check = |file: &[u8], what: String| {
            let mut errors = 0;
            let mut reader = match RandomReader::open(file, file.len() as u64) {
                Ok(reader) => reader,
                Err(_) => return 1,
            };
            for sequence in 0..9 {
                match reader.entry(sequence) {
                    Err(_) => errors += 1,
                    Ok(found) => {
                        let expected = whole.iter().find(|entry| entry.sequence == sequence);
                        assert_eq!(found.is_some(), expected.is_some(), "{what}: {sequence}");
                        if let (Some(found), Some(expected)) = (found, expected) {
                            assert_eq!(found.payload, expected.payload, "{what}: {sequence}");
                            assert_eq!(found.chain_hash, expected.chain_hash, "{what}: {sequence}");
                            assert_eq!(found.commit_ms, expected.commit_ms, "{what}: {sequence}");
                        }
                    }
                }
            }
            for time in first - 1..=last + 1 {
                match reader.first_at_or_after(time) {
                    Err(_) => errors += 1,
                    Ok(found) => {
                        let expected = whole.iter().find(|entry| entry.commit_ms >= time);
                        let found = found.map(|entry| entry.sequence);
                        assert_eq!(found, expected.map(|entry| entry.sequence), "{what}: time {time}");
                    }
                }
            }
            errors
        };
        assert_eq!(check(&bytes, "whole".to_owned()), 0);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let errors = check(&flipped, format!("bit {bit} of byte {}", bit / 8));
            // The header is not read for this.
            assert_eq!(errors > 0, bit / 8 >= 128, "bit {bit} of byte {}: {errors} errors", bit / 8);
        }
        for cut in 0..bytes.len() {
            assert!(check(&bytes[..cut], format!("cut at {cut}")) > 0, "cut at {cut}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_segment_is_detected() {
    for (compression, bytes) in sealed_files() {
        let whole = read(&bytes);
        whole.end.unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Read { entries, end } = read(&flipped);
            assert!(end.is_err(), "{compression}: bit {bit} of byte {} went unseen", bit / 8);
            assert!(whole.entries.starts_with(&entries), "{compression}: bit {bit} gave a wrong entry");
            if bit / 8 < 128 {
                assert!(
                    entries.is_empty(),
                    "{compression}: bit {bit} of the header went unseen until {entries:?}"
                );
            }
        }
    }
}

#[test]
fn every_cut_and_every_appended_byte_of_a_sealed_segment_is_detected() {
    for (compression, bytes) in sealed_files() {
        for cut in 0..bytes.len() {
            let Read { entries, end } = read(&bytes[..cut]);
            assert!(entries.is_empty());
            assert!(matches!(end, Err(Error::Damaged { .. })), "{compression}: cut at {cut}: {end:?}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(read(&longer).end, Err(Error::Damaged { what: Damage::FileLength { .. }, .. })));
    }
}

/// A stream that is longer or shorter than the length that was given for it.
#[test]
fn s07_a_stream_of_another_length_is_detected() {
    use graphstream_format::{ReadOptions, SegmentReader};
    for (compression, bytes) in sealed_files() {
        let mut longer = bytes.clone();
        longer.push(0);
        for cut in 128..bytes.len() {
            let mut reader =
                SegmentReader::new(&bytes[..cut], bytes.len() as u64, ReadOptions::default()).unwrap();
            let error = reader.verify().unwrap_err();
            // Where the stream ended, if nothing in what it gave was wrong, or wrong for being cut.
            if let Error::Damaged { what: Damage::EndsEarly, offset: Offset::File(at), .. } = error {
                assert!((128..=cut as u64).contains(&at), "{compression}: short at {cut}, said of {at}");
            }
        }
        let mut reader =
            SegmentReader::new(longer.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
        let error = reader.verify().unwrap_err();
        assert!(matches!(error, Error::Damaged { what: Damage::TrailingBytes, .. }), "{error:?}");
    }
}

/// Three records; the first was synced before the third was written.
fn three_records() -> OpenFile {
    let mut file = OpenFile::new();
    file.push_standard(2);
    file.sync();
    file.push_standard(3);
    file.push_standard(1);
    file.bytes.resize(file.bytes.len() + 100, 0);
    file
}

#[test]
fn an_open_segment_ends_when_its_last_entry_was_committed() {
    let file = three_records();
    assert_eq!(read(&file.bytes).end.unwrap().last_commit_ms, CREATED_MS + 6);
    assert_eq!(read(&file.bytes[..RECORDS_START as usize]).end.unwrap().last_commit_ms, CREATED_MS);
}

#[test]
fn l12_every_flipped_bit_of_an_open_segment_gives_a_prefix_and_the_right_verdict() {
    let file = three_records();
    let whole = read(&file.bytes);
    assert_eq!((whole.entries.len(), whole.end.unwrap().torn), (6, None));
    let third_end = (file.bytes.len() - 100) as u64;
    for bit in 0..file.bytes.len() * 8 {
        let mut flipped = file.bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let at = (bit / 8) as u64;
        let Read { entries, end } = read(&flipped);
        let scanner = Scanner::open(flipped.as_slice());
        if at < RECORDS_START {
            assert!(end.is_err() && entries.is_empty(), "bit {bit} of the header");
            assert!(scanner.is_err());
            continue;
        }
        // Records 0, 1, 2 and the reserved space.
        let damaged =
            file.records.iter().filter(|&&start| start <= at).count() - 1 + usize::from(at >= third_end);
        let (prefix, offset) = match damaged {
            0 => (0, file.records[0]),
            1 => (2, file.records[1]),
            2 => (5, file.records[2]),
            _ => (6, third_end),
        };
        assert_eq!(entries, whole.entries[..prefix], "bit {bit}");
        let outcome = judged(&flipped);
        if damaged == 0 {
            // The second record says that the first was on disk.
            let Err(Error::Damaged {
                what: Damage::BelowDurable { durable_offset, .. },
                offset: at,
                sequence,
            }) = end
            else {
                panic!("bit {bit}: {end:?}");
            };
            assert_eq!((at.get(), sequence, durable_offset), (offset, Some(1), file.records[1]));
            assert!(matches!(outcome, Outcome::Corrupt { offset: at, .. } if at == offset));
        } else {
            assert_eq!(end.unwrap().torn.unwrap().offset, offset, "bit {bit}");
            assert!(matches!(outcome, Outcome::Torn { offset: at, .. } if at == offset));
        }
    }
}

fn judged(bytes: &[u8]) -> Outcome {
    let mut scanner = Scanner::open(bytes).unwrap();
    while scanner.next_entry().unwrap().is_some() {}
    scanner.judge().unwrap()
}

#[test]
fn l01_torn_append_at_every_byte_gives_exactly_the_records_before() {
    let file = three_records();
    let whole = read(&file.bytes).entries;
    let ends = [file.records[1], file.records[2], (file.bytes.len() - 100) as u64];
    let entries_at = [2, 5, 6];
    for cut in RECORDS_START as usize..file.bytes.len() {
        for reserved in [false, true] {
            let mut torn = file.bytes[..cut].to_vec();
            if reserved {
                torn.resize(file.bytes.len(), 0);
            }
            // A cut through padding is no cut where reserved space follows: zeros complete it.
            let complete = |end: u64| torn.get(..end as usize) == file.bytes.get(..end as usize);
            let records = ends.iter().filter(|&&end| complete(end)).count();
            let count = if records == 0 { 0 } else { entries_at[records - 1] };
            let end = if records == 0 { RECORDS_START } else { ends[records - 1] };
            let Read { entries, end: verdict } = read(&torn);
            assert_eq!(entries, whole[..count], "cut at {cut}, reserved {reserved}");
            let torn_at = verdict.unwrap().torn.map(|torn| torn.offset);
            let zeros = torn[end as usize..].iter().all(|&byte| byte == 0);
            assert_eq!(torn_at, (!zeros).then_some(end), "cut at {cut}, reserved {reserved}");
        }
    }
}

/// What was written but not synced may reach the disk out of order.
#[test]
fn l03_a_hole_before_a_whole_unsynced_record_is_a_torn_tail() {
    let mut file = OpenFile::new();
    file.push_standard(2);
    file.sync();
    for _ in 0..4 {
        file.push_standard(1);
    }
    let whole = read(&file.bytes).entries;
    for hole in 1..4 {
        let mut bytes = file.bytes.clone();
        let (from, to) = (file.records[hole] as usize, file.records[hole + 1] as usize);
        bytes[from..to].fill(0);
        let Read { entries, end } = read(&bytes);
        assert_eq!(entries, whole[..hole + 1]);
        assert_eq!(end.unwrap().torn.unwrap().offset, file.records[hole]);
    }
}

#[test]
fn l12_a_hole_below_a_later_durable_offset_is_corruption() {
    let mut file = OpenFile::new();
    for _ in 0..6 {
        file.push_standard(1);
        file.sync();
    }
    for hole in 0..5 {
        let mut bytes = file.bytes.clone();
        let (from, to) = (file.records[hole] as usize, file.records[hole + 1] as usize);
        bytes[from..to].fill(0);
        let Read { entries, end } = read(&bytes);
        assert_eq!(entries.len(), hole);
        let Err(Error::Damaged { what: Damage::BelowDurable { defect, durable_offset }, .. }) = end else {
            panic!("hole {hole}: {end:?}");
        };
        assert_eq!(defect, RecordDefect::NoRecord);
        // The next whole record carries its own offset: everything before it was synced.
        assert_eq!(durable_offset, file.records[hole + 1]);
        assert!(matches!(judged(&bytes), Outcome::Corrupt { .. }));
    }
    // Of the last record nothing says that it was on disk.
    let mut bytes = file.bytes.clone();
    bytes[file.records[5] as usize + 58] ^= 1;
    assert_eq!(read(&bytes).end.unwrap().torn.unwrap().offset, file.records[5]);
}

/// The covering record is found however far behind the damage it stands, at any place relative to the reader's buffers.
#[test]
fn l12_a_covering_record_is_found_behind_a_long_stretch() {
    // Also where a buffer ends inside the covering record's nonce.
    for filler in (65_400..65_560).step_by(4).chain([130_000, 400_000]) {
        let mut file = OpenFile::new();
        file.push_standard(1);
        file.push(&[vec![0xee; filler]]);
        file.sync();
        file.push_standard(1);
        let mut bytes = file.bytes.clone();
        bytes[file.records[1] as usize + 20] ^= 1;
        let Read { entries, end } = read(&bytes);
        assert_eq!(entries.len(), 1);
        assert!(matches!(end, Err(Error::Damaged { .. })), "filler {filler}: {end:?}");
        let zeros = (file.records[1] as usize)..(file.records[2] as usize);
        bytes[zeros].fill(0);
        assert!(matches!(judged(&bytes), Outcome::Corrupt { .. }), "filler {filler}");
        assert!(matches!(read(&bytes).end, Err(Error::Damaged { .. })), "filler {filler}");
    }
}

#[test]
fn l02_recycled_and_foreign_bytes_never_parse() {
    let mut old = OpenFile::starting(segments::start(), [0x11; 16]);
    let mut new = OpenFile::starting(segments::start(), [0x22; 16]);
    for _ in 0..5 {
        old.push_standard(1);
        old.sync();
    }
    new.push_standard(1);
    new.sync();
    // The file got the old segment's blocks: its records stand at the very offsets where ours would.
    let mut bytes = new.bytes.clone();
    bytes.extend_from_slice(&old.bytes[new.bytes.len()..]);
    let Read { entries, end } = read(&bytes);
    assert_eq!((entries.len(), end.unwrap().torn.unwrap().offset), (1, new.bytes.len() as u64));

    // Records of the same segment, but elsewhere in it.
    let mut same = new.clone();
    same.push_standard(1);
    let record = same.bytes[new.bytes.len()..].to_vec();
    for shift in [8, 16, 4096] {
        let mut moved = new.bytes.clone();
        moved.resize(moved.len() + shift, 0);
        moved.extend_from_slice(&record);
        let Read { entries, end } = read(&moved);
        assert_eq!((entries.len(), end.unwrap().torn.unwrap().offset), (1, new.bytes.len() as u64));
    }
}

/// A record that was cut back (its sequences were given out again) must not count as later than what replaced it.
#[test]
fn a_stale_record_with_sequences_given_out_again_proves_nothing() {
    let mut file = OpenFile::new();
    file.push_standard(1);
    file.sync();
    // Written at this place by an attempt that failed and was cut back, far behind the tail of today.
    let mut stale = file.clone();
    stale.bytes.resize(stale.bytes.len() + 512, 0);
    stale.durable_offset = stale.bytes.len() as u64;
    stale.next_seq = 1;
    stale.push_standard(1);
    let Read { entries, end } = read(&stale.bytes);
    assert_eq!((entries.len(), end.unwrap().torn.unwrap().offset), (1, file.bytes.len() as u64));
}

#[test]
fn a_record_is_read_whole_or_not_at_all() {
    let mut file = OpenFile::new();
    file.push(&(1..=50).map(payload).collect::<Vec<_>>());
    let last = file.bytes.len() - 9;
    let mut bytes = file.bytes.clone();
    bytes[last] ^= 1;
    assert_eq!(read(&bytes).entries.len(), 0);
    assert_eq!(read(&file.bytes).entries.len(), 50);
}

/// Version 1 is read two entries at a time: the first of two is given out, whatever is wrong with the second, and each is blamed for
/// its own damage.
#[test]
fn entries_before_a_damaged_one_are_given_out_whichever_of_two_it_is() {
    // Two large ones, which are read alone.
    let payloads: Vec<Vec<u8>> = [20_usize, 200, 70_000, 3, 80_000, 0, 31, 32, 33]
        .iter()
        .zip(1..)
        .map(|(&len, seed)| (0..len).map(|at| (at as u8).wrapping_mul(seed)).collect())
        .collect();
    for count in 1..=payloads.len() {
        let payloads = &payloads[..count];
        let file = segments::sealed_from(segments::start(), payloads, Compression::None);
        let whole = read(&file);
        assert_eq!(
            whole.entries.iter().map(|entry| &entry.payload).collect::<Vec<_>>(),
            payloads.iter().collect::<Vec<_>>()
        );
        assert_eq!(whole.end.unwrap().entries, count as u64);
        let mut start = 128;
        for (index, payload) in payloads.iter().enumerate() {
            // Its CRC; what it says of the entry before it, with its CRC put right; and the file's end within it.
            let mut crc = file.clone();
            crc[start] ^= 1;
            let mut link = file.clone();
            link[start + 16] ^= 1;
            let end = start + 48 + payload.len();
            let checksum = crc32c::crc32c(&link[start + 4..end]);
            link[start..start + 4].copy_from_slice(&checksum.to_be_bytes());
            // The body's checksum, now wrong, would show at the end alone.
            for (what, damaged) in [("checksum", crc), ("link", link)] {
                let found = read(&damaged);
                assert_eq!(found.entries, whole.entries[..index], "{what} of entry {index} of {count}");
                let Err(Error::Damaged { what: damage, sequence, .. }) = found.end else {
                    panic!("{what} of entry {index} of {count}: {:?}", found.end)
                };
                assert_eq!(
                    sequence,
                    Some(whole.entries[index].sequence),
                    "{what} of entry {index} of {count}"
                );
                let named = match damage {
                    Damage::EntryChecksum { .. } => "checksum",
                    Damage::Chain { expected, .. } => {
                        assert_eq!(expected, whole.entries[index - 1].chain_hash);
                        "link"
                    }
                    Damage::ChainPrefix { .. } if index == 0 => "link",
                    other => panic!("{other:?}"),
                };
                assert_eq!(named, what);
            }
            start = end;
        }
    }
}

#[test]
fn the_last_sequence_there_is_may_stand_in_a_record() {
    let mut file = OpenFile::starting(SegmentStart { first_seq: u64::MAX - 1, ..start() }, [3; 16]);
    let record = file.encode(&[payload(1), payload(2)]);
    file.bytes.extend_from_slice(&record);
    let sequences: Vec<_> = read(&file.bytes).entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [u64::MAX - 1, u64::MAX]);
}
