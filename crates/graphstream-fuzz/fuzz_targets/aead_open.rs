//! An encrypted segment that somebody with access to the bucket has changed: what is given out is what was written, up to the error;
//! and what verifies can be encrypted anew with another key.
#![no_main]

use std::io::Cursor;
use std::sync::Arc;

use graphstream_format::encryption::{DataKey, EncryptWith, KeyRing};
use graphstream_format::header::HEADER_LEN;
use graphstream_format::v2::{FOOTER_LEN, RandomReader, SegmentRange, Writer};
use graphstream_format::{
    ChainHash, Compression, Entry, Lineage, ReadOptions, SegmentEnd, SegmentReader, SegmentStart,
    WriteOptions, convert_encrypted,
};
use graphstream_fuzz::{BODY_BYTES_MAX, fix_body, fix_footer, fix_header, read_with};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Attack {
    /// A payload, and whether it is long enough for a few to fill a frame.
    entries: Vec<(Vec<u8>, bool)>,
    /// None, zstd, columns.
    compression: u8,
    changes: Vec<Change>,
}

#[derive(Arbitrary, Debug)]
enum Change {
    Flip {
        at: u32,
        bits: u8,
    },
    Cut {
        len: u32,
    },
    Insert {
        at: u32,
        bytes: Vec<u8>,
    },
    Move {
        from: u32,
        to: u32,
        len: u16,
    },
    /// As somebody does who knows the format: all checksums that have no key are made right.
    Checksums,
}

fuzz_target!(|attack: Attack| {
    let payloads: Vec<Vec<u8>> = attack
        .entries
        .iter()
        .take(12)
        .map(|(payload, long)| payload.repeat(if *long { 500 } else { 1 }))
        .collect();
    if payloads.is_empty() || payloads.iter().map(Vec::len).sum::<usize>() as u64 > BODY_BYTES_MAX / 2 {
        return;
    }
    let mut bytes = written(&payloads, attack.compression);
    let honest = bytes.clone();
    attack.changes.iter().for_each(|change| apply(change, &mut bytes));

    let keys = Arc::new(KeyRing::new(key()));
    let options = ReadOptions::default().with_body_bytes_max(BODY_BYTES_MAX).with_keys(Arc::clone(&keys));
    let (entries, end) = read_with(&bytes, options);
    assert!(entries.len() <= payloads.len());
    assert!(entries.iter().zip(&payloads).all(|(entry, payload)| entry.payload == *payload));
    if let Ok(end) = end {
        assert_eq!(entries.len(), payloads.len());
        let (again, rekeyed_end) = read_rekeyed(&bytes, &keys);
        assert_eq!(again, entries);
        assert_eq!(rekeyed_end.chain_hash, end.chain_hash);
    } else {
        assert_ne!(bytes, honest);
    }
    if let Ok(mut segment) = RandomReader::open_encrypted(bytes.as_slice(), bytes.len() as u64, &keys) {
        for (sequence, payload) in (1..).zip(&payloads) {
            if let Ok(Some(entry)) = segment.entry(sequence) {
                assert_eq!(entry.payload, payload);
            }
        }
    }
});

/// The entries of the segment that it becomes under another key.
fn read_rekeyed(bytes: &[u8], keys: &Arc<KeyRing>) -> (Vec<Entry>, SegmentEnd) {
    let reader = || {
        let options = ReadOptions::default().with_keys(Arc::clone(keys));
        SegmentReader::new(bytes, bytes.len() as u64, options).expect("read before")
    };
    let other = DataKey::taking(&mut [8; 32]);
    let rekeyed = convert_encrypted(
        &mut reader(),
        Cursor::new(Vec::new()),
        &WriteOptions::default(),
        None,
        SegmentRange::of(&mut reader()).expect("read before"),
        EncryptWith::new(&other, [9; 39]),
    )
    .expect("read before");
    let options = ReadOptions::default().with_keys(Arc::new(KeyRing::new(other)));
    let (entries, end) = read_with(&rekeyed.inner.into_inner(), options);
    (entries, end.expect("what was written"))
}

fn key() -> DataKey {
    DataKey::taking(&mut [7; 32])
}

fn written(payloads: &[Vec<u8>], compression: u8) -> Vec<u8> {
    let start = SegmentStart {
        lineage: Lineage::from_bytes(*b"0123456789abcdef"),
        first_seq: 1,
        chain_before: ChainHash::ZERO,
        created_ms: 1,
    };
    let compression = [Compression::None, Compression::Zstd { level: 3 }, Compression::Columns { level: 3 }]
        [usize::from(compression % 3)];
    let range = SegmentRange { last_seq: payloads.len() as u64, first_commit_ms: 1, last_commit_ms: 1 };
    let random = std::array::from_fn(|index| index as u8);
    let mut writer = Writer::encrypted(Cursor::new(Vec::new()), start, compression, range, &key(), &random)
        .expect("a start and a range");
    for payload in payloads {
        writer.push(payload, 1).expect("an entry");
    }
    writer.finish().expect("an end").inner.into_inner()
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    let place = |at: u32| at as usize % (bytes.len() + 1);
    match change {
        Change::Flip { at, bits } => {
            let at = place(*at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Change::Cut { len } => {
            let len = place(*len);
            bytes.truncate(len);
        }
        Change::Insert { at, bytes: new } => {
            let at = place(*at);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Move { from, to, len } => {
            let from = place(*from);
            let moved: Vec<u8> = bytes.drain(from..bytes.len().min(from + usize::from(*len))).collect();
            let to = *to as usize % (bytes.len() + 1);
            bytes.splice(to..to, moved);
        }
        Change::Checksums => {
            fix_footer(bytes);
            if bytes.len() > HEADER_LEN + FOOTER_LEN {
                fix_body(bytes, FOOTER_LEN);
            }
            fix_header(bytes);
        }
    }
}
