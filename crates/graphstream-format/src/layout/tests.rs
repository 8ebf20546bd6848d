use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{Encoding, Part, PartKind, Parts};
use crate::v2::{FINAL_HASH_LEN, INDEX_ROW_LEN};

/// The parts of these bytes, after a look at whether they and their fields fill them.
fn parts(bytes: &[u8]) -> Vec<Part> {
    let mut at = 0;
    let parts: Vec<_> = Parts::new(bytes, bytes.len() as u64).map(Result::unwrap).collect();
    for part in &parts {
        assert_eq!(part.offset, at, "a hole or an overlap before {part:?}");
        assert!(part.length > 0, "{part:?}");
        let mut field_at = part.offset;
        for field in part.fields() {
            assert_eq!(field.offset, field_at, "{part:?} {field:?}");
            if matches!(field.encoding, Encoding::Number | Encoding::Milliseconds) {
                assert!((1..=8).contains(&field.length), "{field:?}");
            }
            if field.encoding == Encoding::Bytes {
                assert!((1..=32).contains(&field.length), "{field:?}");
            }
            field_at += field.length;
        }
        at = part.end();
        assert_eq!(field_at, at, "the fields do not fill {part:?}");
    }
    assert_eq!(at, bytes.len() as u64);
    parts
}

/// Kinds in order, with how many of each follow each other: "header, 3 frame, 3 index row, chain hash, footer".
fn summary(parts: &[Part]) -> String {
    let mut runs: Vec<(PartKind, usize)> = Vec::new();
    for part in parts {
        match runs.last_mut() {
            Some((kind, count)) if *kind == part.kind => *count += 1,
            _ => runs.push((part.kind, 1)),
        }
    }
    let words = runs.iter().map(|(kind, count)| match count {
        1 => kind.name().to_owned(),
        count => format!("{count} {}", kind.name()),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

#[test]
fn the_parts_of_every_golden_file_fill_it() {
    let mut files = 0;
    for directory in ["v1", "v2", "v2-encrypted", "open"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(directory);
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                let bytes = fs::read(&path).unwrap();
                let unparsed = parts(&bytes).iter().any(|part| part.kind == PartKind::Unparsed);
                let broken = path.file_name().unwrap().to_str().unwrap().contains("broken");
                let torn =
                    path.to_str().unwrap().contains("torn") || path.to_str().unwrap().contains("no-record");
                assert!(!unparsed || broken || torn, "{}: {}", path.display(), summary(&parts(&bytes)));
                files += 1;
            }
        }
    }
    assert!(files > 50, "only {files} golden files");
}

#[test]
fn each_kind_of_segment_has_its_parts() {
    for (name, expected) in [
        ("v1/three-entries.seg", "header, 3 entry, chain hash"),
        ("v1/three-entries-zstd.seg", "header, body, chain hash"),
        ("v2/one-entry.seg", "header, frame, index row, chain hash, footer"),
        ("v2/three-frames.seg", "header, 3 frame, 3 index row, chain hash, footer"),
        ("v2/three-frames-zstd.seg", "header, 3 frame, 3 index row, chain hash, footer"),
        ("v2-encrypted/three-entries.seg", "header, extension, 2 chunk, footer"),
        ("open/three-records.seg", "header, extension, 3 record"),
        ("open/reserved-space.seg", "header, extension, 3 record, zeros"),
    ] {
        assert_eq!(summary(&parts(&golden(name))), expected, "{name}");
    }
}

#[test]
fn a_damaged_file_is_shown_as_far_as_it_goes() {
    for (name, expected) in [
        ("v1/broken-magic.seg", "unparsed"),
        ("v1/broken-header-crc.seg", "header, 3 entry, chain hash"),
        ("v1/broken-second-entry.seg", "header, 3 entry, chain hash"),
        ("v1/broken-appended.seg", "header, 3 entry, chain hash, zeros"),
        ("v2/broken-appended.seg", "header, frame, index row, chain hash, footer, zeros"),
        ("v2/broken-footer-crc.seg", "header, frame, index row, chain hash, footer"),
        ("v2/broken-second-frame.seg", "header, 3 frame, 3 index row, chain hash, footer"),
        ("v2/broken-frames-swapped.seg", "header, 3 frame, 3 index row, chain hash, footer"),
        ("open/broken-below-durable.seg", "header, extension, 3 record"),
        ("open/broken-nonce.seg", "header, extension, unparsed"),
        ("open/torn-last-record.seg", "header, extension, 2 record, unparsed"),
    ] {
        assert_eq!(summary(&parts(&golden(name))), expected, "{name}");
    }
}

#[test]
fn behind_a_frame_that_is_none_the_index_shows_the_next() {
    let mut bytes = golden("v2/three-frames.seg");
    let second = parts(&bytes)[2];
    bytes[second.offset as usize..][..64].fill(0xff);
    let found = parts(&bytes);
    assert_eq!(summary(&found), "header, frame, unparsed, frame, 3 index row, chain hash, footer");
    assert_eq!(found[2].end(), second.end());
}

#[test]
fn without_a_footer_the_index_is_found_by_its_first_row() {
    for name in ["v2/three-frames.seg", "v2/three-frames-zstd.seg"] {
        let mut bytes = golden(name);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(summary(&parts(&bytes)), "header, 3 frame, 3 index row, chain hash, footer", "{name}");
    }
}

#[test]
fn what_only_begins_as_an_index_is_none() {
    // No footer, and where the second frame was, a number that is the first frame's offset: whole rows to the end would make it an index.
    let mut bytes = golden("v2/three-frames.seg");
    *bytes.last_mut().unwrap() ^= 1;
    let second = parts(&bytes)[2];
    let room = bytes.len() as u64 - 64 - FINAL_HASH_LEN as u64 - second.offset;
    assert_ne!(room % INDEX_ROW_LEN as u64, 0, "else it would be one");
    let at = second.offset as usize;
    bytes[at..at + 64].fill(0xff);
    bytes[at..at + 8].copy_from_slice(&128_u64.to_be_bytes());
    assert_eq!(summary(&parts(&bytes)), "header, frame, unparsed, footer");
}

#[test]
fn a_chunk_longer_than_its_body_is_none() {
    let mut bytes = golden("v2-encrypted/three-entries.seg");
    let chunk = parts(&bytes)[2];
    assert_eq!(chunk.kind, PartKind::Chunk);
    let room = bytes.len() as u64 - 64 - chunk.offset;
    for (length, expected) in [(room - 4, "chunk"), (room - 3, "unparsed")] {
        bytes[chunk.offset as usize..][..4].copy_from_slice(&(length as u32).to_be_bytes());
        assert_eq!(summary(&parts(&bytes)), format!("header, extension, {expected}, footer"));
    }
}

#[test]
fn the_predecessors_open_segment_is_its_entries() {
    let mut bytes = golden("v1/three-entries.seg");
    bytes.truncate(bytes.len() - FINAL_HASH_LEN);
    // Flags, and the length of a body that nobody has counted.
    bytes[6] = 0;
    bytes[36..44].fill(0);
    assert_eq!(summary(&parts(&bytes)), "header, 3 entry");
    bytes.extend([0xab; 5]);
    bytes.extend([0; 100]);
    assert_eq!(summary(&parts(&bytes)), "header, 3 entry, unparsed, zeros");
}

#[test]
fn a_record_is_found_wherever_it_stands_behind_damage() {
    use crate::open::{Nonce, Placement, RECORDS_START, RecordEncoder, extension_field};
    let whole = golden("open/three-records.seg");
    let nonce = crate::bytes::array(&whole, 128 + extension_field::NONCE);
    // Around what is looked at in one step from the damaged place on, and around the step behind it.
    let step = 64_usize << 10;
    for gap in (step - 96..step + 112).chain(2 * step - 80..2 * step + 96).step_by(8) {
        let mut bytes = whole[..RECORDS_START as usize].to_vec();
        bytes.extend(std::iter::repeat_n(0xab, gap));
        let mut encoder = RecordEncoder::new(Nonce::from_bytes(nonce));
        encoder.begin(1);
        encoder.push(b"behind", 1).unwrap();
        let placement = Placement { offset: bytes.len() as u64, durable_offset: RECORDS_START };
        bytes.extend_from_slice(encoder.finish(placement).unwrap());
        bytes.extend([0xcd; 16]);
        bytes.extend(std::iter::repeat_n(0, step + 5));
        let found = parts(&bytes);
        assert_eq!(summary(&found), "header, extension, unparsed, record, unparsed, zeros", "gap {gap}");
        assert_eq!((found[2].length, found[4].length), (gap as u64, 16), "gap {gap}");
    }
}

#[test]
fn behind_a_record_that_is_none_the_next_one_is_found() {
    let whole = golden("open/reserved-space.seg");
    let records: Vec<_> = parts(&whole).into_iter().filter(|part| part.kind == PartKind::Record).collect();
    let mut bytes = whole.clone();
    bytes[records[1].offset as usize] ^= 1;
    let found = parts(&bytes);
    assert_eq!(summary(&found), "header, extension, record, unparsed, record, zeros");
    assert_eq!((found[3].offset, found[3].end()), (records[1].offset, records[1].end()));
    // One that was zeroed is no other thing than reserved space.
    let mut bytes = whole;
    bytes[records[1].offset as usize..records[1].end() as usize].fill(0);
    assert_eq!(summary(&parts(&bytes)), "header, extension, record, zeros, record, zeros");
}

#[test]
fn the_parts_of_an_encrypted_segment_are_its_chunks() {
    let plain = golden("v2/one-entry.seg");
    let mut bytes = plain[..128].to_vec();
    bytes[8..12].copy_from_slice(&56_u32.to_be_bytes());
    let body_len = 2 * (4 + 16 + 9_u64);
    bytes[36..44].copy_from_slice(&body_len.to_be_bytes());
    bytes.extend([7; 56]);
    for _ in 0..2 {
        bytes.extend(25_u32.to_be_bytes());
        bytes.extend([0xaa; 25]);
    }
    bytes.extend(&plain[plain.len() - 64..]);
    let found = parts(&bytes);
    assert_eq!(summary(&found), "header, extension, 2 chunk, footer");
    let names: Vec<_> =
        found[1].fields().chain(found[2].fields()).map(|field| (field.name, field.length)).collect();
    assert_eq!(
        names,
        [
            ("key_id", 16),
            ("salt", 32),
            ("nonce_prefix", 7),
            ("zero", 1),
            ("length", 4),
            ("ciphertext", 9),
            ("tag", 16),
        ]
    );
}

#[test]
fn h01_a_length_beyond_the_file_costs_nothing() {
    // An entry of 4 GiB, a frame of 4 GiB, a record of 4 GiB.
    for (name, part, field) in [
        ("v1/three-entries.seg", 1, "payload_len"),
        ("v2/three-frames.seg", 1, "stored_len"),
        ("open/three-records.seg", 2, "length"),
    ] {
        let mut bytes = golden(name);
        let found = parts(&bytes)[part].fields().find(|found| found.name == field).unwrap();
        bytes[found.offset as usize..][..4].fill(0xff);
        assert_eq!(parts(&bytes)[part].kind, PartKind::Unparsed, "{name}");
    }
}

#[test]
fn h01_an_index_without_an_end_is_shown_as_far_as_there_are_bytes() {
    let mut bytes = golden("v2/three-frames.seg");
    bytes[36..44].fill(0xff);
    // No footer is found in a file of a terabyte, and whole index rows would fill it.
    let index = parts(&golden("v2/three-frames.seg"))
        .iter()
        .find(|part| part.kind == PartKind::IndexRow)
        .unwrap()
        .offset;
    let file_len = index + (1 << 34) * INDEX_ROW_LEN as u64 + FINAL_HASH_LEN as u64;
    let found: Vec<_> = Parts::new(bytes.as_slice(), file_len).take(20).map(Result::unwrap).collect();
    assert_eq!(summary(&found), "header, 3 frame, 4 index row, unparsed");
    assert_eq!(found.last().unwrap().end(), file_len);
}

#[test]
fn a_golden_file_that_is_cut_anywhere_is_filled() {
    for name in [
        "v1/three-entries.seg",
        "v2/three-frames.seg",
        "v2-encrypted/three-entries.seg",
        "open/three-records.seg",
    ] {
        let whole = golden(name);
        for cut in 0..whole.len() {
            parts(&whole[..cut]);
        }
    }
}

/// Bytes of a golden file with some places overwritten, and cut or grown.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        "v1/three-entries.seg",
        "v1/three-entries-zstd.seg",
        "v2/three-frames.seg",
        "v2/three-frames-zstd.seg",
        "open/three-records.seg",
        "open/reserved-space.seg",
    ]);
    let writes =
        prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..9)), 0..6);
    (names, writes, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(name, writes, end, cut)| {
        let mut bytes = golden(name);
        for (at, new) in writes {
            // Half of the writes go to the header, on which everything depends.
            let range = if at.index(2) == 0 { bytes.len() } else { bytes.len().min(192) };
            let at = at.index(range);
            let room = new.len().min(bytes.len() - at);
            bytes[at..at + room].copy_from_slice(&new[..room]);
        }
        if cut {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_end_and_are_filled(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        parts(&bytes);
    }

    #[test]
    fn a_mangled_segment_ends_and_is_filled(bytes in mangled()) {
        parts(&bytes);
    }

    #[test]
    fn a_file_that_is_shorter_than_was_said_ends(bytes in mangled(), more in 0_u64..1 << 40) {
        let file_len = bytes.len() as u64 + more;
        let mut at = 0;
        // Every part is known by bytes that are there, but for the last one or two.
        for (number, part) in Parts::new(bytes.as_slice(), file_len).enumerate() {
            let part = part.unwrap();
            prop_assert_eq!(part.offset, at);
            prop_assert!(number <= bytes.len() + 2);
            at = part.end();
        }
        prop_assert_eq!(at, file_len);
    }
}
