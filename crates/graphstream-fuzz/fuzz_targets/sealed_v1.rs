//! A sealed version 1 segment: entries that are given out as whole can be written again, and read the same.
#![no_main]

use std::io::Cursor;

use graphstream_format::header::HEADER_LEN;
use graphstream_format::v1::{TRAILER_LEN, Writer};
use graphstream_format::{Compression, Header, SegmentKind, SegmentReader, SegmentStart};
use graphstream_fuzz::{fix_body, fix_header, fix_v1_entries, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: Vec<u8>| {
    let mut bytes = bytes;
    if bytes.len() > HEADER_LEN + TRAILER_LEN {
        let end = bytes.len() - TRAILER_LEN;
        fix_v1_entries(&mut bytes[HEADER_LEN..end]);
        fix_body(&mut bytes, TRAILER_LEN);
    }
    fix_header(&mut bytes);
    let (entries, end) = read(&bytes);
    let Ok(end) = end else { return };
    assert_eq!(end.entries, entries.len() as u64);
    let Ok(header) =
        bytes[..HEADER_LEN].try_into().map_err(drop).and_then(|bytes| Header::decode(bytes).map_err(drop))
    else {
        return;
    };
    if header.kind() != SegmentKind::SealedV1 || header.is_legacy() {
        return;
    }
    let mut reader =
        SegmentReader::new(bytes.as_slice(), bytes.len() as u64, Default::default()).expect("read above");
    let _ = reader.next();
    let start = SegmentStart {
        lineage: header.lineage,
        first_seq: header.first_seq,
        chain_before: reader.chain_before().expect("it has an entry"),
        created_ms: header.created_ms,
    };
    let compression = if header.compression == 0 { Compression::None } else { Compression::default() };
    let mut writer = Writer::new(Cursor::new(Vec::new()), start, compression).expect("a start that was read");
    for entry in &entries {
        writer.push(&entry.payload, entry.commit_ms).expect("an entry that was read");
    }
    let written = writer.finish().expect("entries that were read").inner.into_inner();
    assert_eq!(read(&written).0, entries);
});
