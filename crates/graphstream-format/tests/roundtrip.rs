//! What goes in comes out, for any payloads, times, groups and compression.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod segments;

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use graphstream_format::encryption::{DataKey, EncryptWith, KeyRing};
use graphstream_format::header::HEADER_LEN;
use graphstream_format::open::{Nonce, OpenHeader, Outcome, Placement, RecordEncoder, Scanner};
use graphstream_format::v2::{RandomReader, Workers};
use graphstream_format::{
    ChainHash, Compression, Entry, Error, Header, Lineage, Position, ReadOptions, SegmentReader,
    SegmentStart, SegmentVersion, WriteOptions, convert, convert_encrypted, v1, v2,
};
use proptest::collection::vec;
use proptest::prelude::*;
use segments::{OpenFile, Read, read, read_with};

static WORKERS: LazyLock<Workers> = LazyLock::new(|| Workers::new(NonZeroUsize::new(3).unwrap()).unwrap());

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![
        Just(Compression::None),
        (1..=5).prop_map(|level| Compression::Zstd { level }),
        (1..=5).prop_map(|level| Compression::Columns { level }),
    ]
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 0..200),
        16 => (0..1000_u64).prop_map(segments::message),
        1 => (any::<u8>(), 0..300_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    vec(payload, 1..30)
}

prop_compose! {
    fn starts()(
        lineage in any::<[u8; 16]>().prop_filter("not the predecessor's", |bytes| *bytes != [0; 16]),
        first_seq in prop_oneof![Just(1), 1..u64::MAX - 1000],
        chain in any::<[u8; 32]>(),
        created_ms in any::<i64>(),
    ) -> SegmentStart {
        SegmentStart {
            lineage: Lineage::from_bytes(lineage),
            first_seq,
            chain_before: ChainHash::from_bytes(chain),
            created_ms,
        }
    }
}

/// Commit times that do not decrease, from anywhere.
fn times(first: i64, deltas: &[u32]) -> impl Iterator<Item = i64> {
    deltas.iter().scan(first, |time, &delta| {
        *time = time.saturating_add(delta.into());
        Some(*time)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealed_version_1(
        start in starts(), payloads in payloads(), deltas in vec(any::<u32>(), 30), first in any::<i64>(),
        compression in compression(),
    ) {
        let mut writer = v1::Writer::new(Cursor::new(Vec::new()), start, compression).unwrap();
        let times: Vec<_> = times(first, &deltas).take(payloads.len()).collect();
        for (payload, &time) in payloads.iter().zip(&times) {
            writer.push(payload, time).unwrap();
        }
        let finished = writer.finish().unwrap();
        let bytes = finished.inner.into_inner();
        prop_assert_eq!(finished.header.file_len(), Some(bytes.len() as u64));
        let header = Header::decode(bytes.first_chunk::<HEADER_LEN>().unwrap()).unwrap();
        prop_assert_eq!(&header, &finished.header);
        prop_assert_eq!((header.first_commit_ms, header.last_commit_ms), (times[0], times[times.len() - 1]));

        let Read { entries, end } = read(&bytes);
        let end = end.unwrap();
        let mut chain = start.chain_before;
        prop_assert_eq!(entries.len(), payloads.len());
        for (index, (entry, payload)) in entries.iter().zip(&payloads).enumerate() {
            chain = chain.after(payload);
            prop_assert_eq!(entry.sequence, start.first_seq + index as u64);
            prop_assert_eq!(&entry.payload, payload);
            prop_assert_eq!(entry.chain_hash, chain);
            prop_assert_eq!((entry.commit_ms, entry.commit_exact), (header.last_commit_ms, false));
        }
        prop_assert_eq!((end.chain_hash, finished.chain_hash), (chain, chain));
        prop_assert_eq!(end.last_seq, header.last_seq);
        prop_assert!(end.body_checksum_verified);
    }

    /// Exact times, any payloads, any cuts; the same bytes and the same entries with threads; single entries as in the whole.
    #[test]
    fn sealed_version_2(
        start in starts(), payloads in payloads(), deltas in vec(any::<u32>(), 30), first in any::<i64>(),
        compression in compression(), probe in any::<u32>(),
    ) {
        let write = |workers: Option<Workers>| {
            let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, compression).unwrap();
            if let Some(workers) = workers {
                writer = writer.with_workers(workers);
            }
            for (payload, time) in payloads.iter().zip(times(first, &deltas)) {
                writer.push(payload, time).unwrap();
            }
            writer.finish().unwrap()
        };
        let finished = write(None);
        let bytes = finished.inner.into_inner();
        prop_assert!(write(Some(WORKERS.clone())).inner.into_inner() == bytes, "threads wrote other bytes");
        prop_assert_eq!(finished.header.file_len(), Some(bytes.len() as u64));
        let header = Header::decode(bytes.first_chunk::<HEADER_LEN>().unwrap()).unwrap();
        prop_assert_eq!(&header, &finished.header);

        let Read { entries, end } = read(&bytes);
        let end = end.unwrap();
        let mut chain = start.chain_before;
        prop_assert_eq!(entries.len(), payloads.len());
        for (index, (entry, time)) in entries.iter().zip(times(first, &deltas)).enumerate() {
            chain = chain.after(&payloads[index]);
            prop_assert_eq!(entry.sequence, start.first_seq + index as u64);
            prop_assert!(entry.payload == payloads[index]);
            prop_assert_eq!(entry.chain_hash, chain);
            prop_assert_eq!((entry.commit_ms, entry.commit_exact), (time, true));
        }
        prop_assert_eq!((end.chain_hash, finished.chain_hash), (chain, chain));
        prop_assert_eq!((end.last_seq, end.last_commit_ms), (header.last_seq, header.last_commit_ms));
        prop_assert!(end.body_checksum_verified);

        let reader = SegmentReader::new(bytes.as_slice(), bytes.len() as u64, ReadOptions::default()).unwrap();
        let parallel: Vec<_> = reader.with_workers(WORKERS.clone()).map(|entry| entry.unwrap()).collect();
        prop_assert!(parallel == entries);

        let mut random = RandomReader::open(bytes.as_slice(), bytes.len() as u64).unwrap();
        prop_assert_eq!((random.first_seq(), random.last_seq()), (header.first_seq, header.last_seq));
        for step in 0..entries.len() {
            let expected = &entries[(probe as usize + 7 * step) % entries.len()];
            let found = random.entry(expected.sequence).unwrap().unwrap();
            prop_assert_eq!((found.commit_ms, found.chain_hash), (expected.commit_ms, expected.chain_hash));
            prop_assert!(found.payload == expected.payload);
            for time in [expected.commit_ms.saturating_sub(1), expected.commit_ms, expected.commit_ms.saturating_add(1)] {
                let expected = entries.iter().find(|entry| entry.commit_ms >= time).map(|entry| entry.sequence);
                let found = random.first_at_or_after(time).unwrap().map(|entry| entry.sequence);
                prop_assert_eq!(found, expected);
            }
        }
        prop_assert!(random.entry(header.first_seq - 1).unwrap().is_none());
        prop_assert!(random.entry(header.last_seq + 1).unwrap().is_none());
    }

    /// There and back, and from one compression to another: the chain, payloads and sequences stay, times as far as they were kept.
    #[test]
    fn converted(
        start in starts(), payloads in payloads(), deltas in vec(any::<u32>(), 30), first in any::<i64>(),
        from in compression(), to in compression(),
    ) {
        let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, from).unwrap();
        for (payload, time) in payloads.iter().zip(times(first, &deltas)) {
            writer.push(payload, time).unwrap();
        }
        let original = writer.finish().unwrap();
        let converted = |bytes: &[u8], version, compression| {
            let mut reader = SegmentReader::new(bytes, bytes.len() as u64, ReadOptions::default()).unwrap();
            let options = WriteOptions::default().with_version(version).with_compression(compression);
            convert(&mut reader, Cursor::new(Vec::new()), &options, None).unwrap()
        };
        let bytes = original.inner.into_inner();
        let entries = read(&bytes).entries;

        // Only compressed in another way, then back: the very bytes.
        let other = converted(&bytes, SegmentVersion::V2, to);
        prop_assert_eq!(other.chain_hash, original.chain_hash);
        let other = other.inner.into_inner();
        prop_assert!(read(&other).entries == entries);
        prop_assert!(converted(&other, SegmentVersion::V2, from).inner.into_inner() == bytes);

        let old = converted(&bytes, SegmentVersion::V1, to);
        prop_assert_eq!(old.chain_hash, original.chain_hash);
        prop_assert_eq!(old.header.created_ms, original.header.created_ms);
        let new = converted(&old.inner.into_inner(), SegmentVersion::V2, from);
        prop_assert_eq!(new.chain_hash, original.chain_hash);
        prop_assert_eq!(new.header.prev_segment_checksum, original.header.prev_segment_checksum);
        for (entry, expected) in read(&new.inner.into_inner()).entries.iter().zip(&entries) {
            prop_assert_eq!((entry.sequence, entry.chain_hash), (expected.sequence, expected.chain_hash));
            prop_assert!(entry.payload == expected.payload);
            prop_assert_eq!(entry.commit_ms, original.header.last_commit_ms);
        }
    }

    /// Plain, encrypted, with another key, plain again: the entries and the chain stay, and the last file is the first one.
    #[test]
    fn rekeyed(
        start in starts(), payloads in payloads(), compression in compression(), deltas in vec(any::<u32>(), 30), first in any::<i64>(),
        random in any::<[u8; 32]>(),
    ) {
        let mut writer = v2::Writer::new(Cursor::new(Vec::new()), start, compression).unwrap();
        for (payload, time) in payloads.iter().zip(times(first, &deltas)) {
            writer.push(payload, time).unwrap();
        }
        let original = writer.finish().unwrap();
        let bytes = original.inner.into_inner();
        let entries = read(&bytes).entries;
        let options = WriteOptions::default().with_compression(compression);
        let key = |byte| DataKey::taking(&mut [byte; 32]);
        let with = |byte| ReadOptions::default().with_keys(Arc::new(KeyRing::new(key(byte))));
        let encrypted = |bytes: &[u8], read: ReadOptions, to: &DataKey, salt: u8| {
            let open = || SegmentReader::new(bytes, bytes.len() as u64, read.clone()).unwrap();
            let range = v2::SegmentRange::of(&mut open()).unwrap();
            let mut drawn = [salt; 39];
            drawn[1..33].copy_from_slice(&random);
            convert_encrypted(
                &mut open(), Cursor::new(Vec::new()), &options, None, range, EncryptWith::new(to, drawn),
            ).unwrap()
        };
        let once = encrypted(&bytes, ReadOptions::default(), &key(1), 1);
        prop_assert_eq!(once.chain_hash, original.chain_hash);
        prop_assert!(once.header.is_encrypted());
        let once = once.inner.into_inner();
        prop_assert!(read_with(&once, with(1)).entries == entries);
        let unknown = matches!(read_with(&once, with(2)).end, Err(Error::UnknownKey { .. }));
        prop_assert!(unknown);
        let twice = encrypted(&once, with(1), &key(2), 2);
        prop_assert_eq!(twice.chain_hash, original.chain_hash);
        let twice = twice.inner.into_inner();
        prop_assert!(read_with(&twice, with(2)).entries == entries);
        let mut reader = SegmentReader::new(twice.as_slice(), twice.len() as u64, with(2)).unwrap();
        let back = convert(&mut reader, Cursor::new(Vec::new()), &options, None).unwrap();
        prop_assert!(back.inner.into_inner() == bytes);
    }

    #[test]
    fn open(
        start in starts(), payloads in payloads(), groups in vec(1..8_usize, 30), deltas in vec(any::<u32>(), 30),
        first in any::<i64>(), nonce in any::<[u8; 16]>().prop_filter("not zero", |nonce| *nonce != [0; 16]),
        syncs in vec(any::<bool>(), 30), reserved in 0..100_000_usize,
    ) {
        let header = OpenHeader { start, nonce: Nonce::from_bytes(nonce) };
        let mut bytes = header.encode().unwrap().to_vec();
        prop_assert_eq!(&OpenHeader::decode(&bytes).unwrap(), &header);
        let mut encoder = RecordEncoder::new(header.nonce);
        let mut timed = payloads.iter().zip(times(first, &deltas));
        let (mut sequence, mut durable_offset) = (start.first_seq, bytes.len() as u64);
        let mut expected = Vec::new();
        for (group, sync) in groups.iter().zip(syncs) {
            encoder.begin(sequence);
            for (payload, time) in timed.by_ref().take(*group) {
                prop_assert!(encoder.fits(payload.len()));
                encoder.push(payload, time).unwrap();
                expected.push((sequence, payload, time));
                sequence += 1;
            }
            if encoder.is_empty() {
                break;
            }
            let offset = bytes.len() as u64;
            if sync {
                durable_offset = offset;
            }
            let len = encoder.record_len();
            let record = encoder.finish(Placement { offset, durable_offset }).unwrap();
            prop_assert_eq!((record.len(), record.len() % 8), (len, 0));
            bytes.extend_from_slice(record);
        }
        let end_offset = bytes.len() as u64;
        bytes.resize(bytes.len() + reserved, 0);

        let Read { entries, end } = read(&bytes);
        prop_assert_eq!(end.unwrap().torn, None);
        prop_assert_eq!(entries.len(), expected.len());
        let mut chain = start.chain_before;
        let mut scanner = Scanner::open(bytes.as_slice()).unwrap();
        for (entry, (sequence, payload, time)) in entries.iter().zip(expected) {
            chain = chain.after(payload);
            prop_assert_eq!((entry.sequence, entry.commit_ms, entry.commit_exact), (sequence, time, true));
            prop_assert_eq!((&entry.payload, entry.chain_hash), (payload, chain));
            let scanned = scanner.next_entry().unwrap().unwrap();
            prop_assert_eq!((scanned.sequence, scanned.commit_ms, scanned.chain_hash), (sequence, time, chain));
            prop_assert_eq!(scanned.payload, payload.as_slice());
        }
        prop_assert!(scanner.next_entry().unwrap().is_none());
        prop_assert_eq!(scanner.point().offset, end_offset);
        prop_assert_eq!(scanner.judge().unwrap(), Outcome::Clean { end: end_offset });
    }

    /// Whatever is hashed ahead, and wherever: entries are the same, those whose chain hash is given included.
    #[test]
    fn hashing_ahead_shows_in_nothing(
        payloads in vec(vec(any::<u8>(), 0..300), 1..20), groups in vec(1..8_usize, 20), steps in vec(0..9_usize, 21), how in vec(0..3_u8, 20),
    ) {
        let mut file = OpenFile::new();
        let mut left = payloads.as_slice();
        for group in groups {
            let (now, later) = left.split_at(group.min(left.len()));
            if !now.is_empty() {
                file.push(now);
            }
            left = later;
        }
        let expected = read(&file.bytes).entries;
        prop_assert_eq!(expected.len(), payloads.len() - left.len());
        let mut scanner = Scanner::open(file.bytes.as_slice()).unwrap();
        let mut reader =
            SegmentReader::new(file.bytes.as_slice(), file.bytes.len() as u64, ReadOptions::default()).unwrap();
        let (mut scanned, mut entry) = (Entry::default(), Entry::default());
        for ((expected, how), steps) in expected.iter().zip(how).zip(&steps) {
            for _ in 0..*steps {
                prop_assert_eq!(scanner.hash_ahead(), reader.hash_ahead());
            }
            match how {
                0 => prop_assert!(scanner.read_next(&mut scanned).unwrap()),
                1 => scanner.next_entry().unwrap().unwrap().copy_to(&mut scanned),
                _ => scanner.next_entry_known(expected.chain_hash).unwrap().unwrap().copy_to(&mut scanned),
            }
            prop_assert!(reader.read_next(&mut entry).unwrap());
            prop_assert_eq!((&scanned, &entry), (expected, expected));
        }
        prop_assert!(!scanner.hash_ahead());
        prop_assert!(!scanner.read_next(&mut scanned).unwrap());
        prop_assert!(!reader.read_next(&mut entry).unwrap());
        prop_assert_eq!(scanner.point().offset, file.bytes.len() as u64);
    }

    /// Any bytes at all: no panic, no endless loop, and nothing unverified comes out of them.
    #[test]
    fn arbitrary_bytes_never_panic(
        mut bytes in vec(any::<u8>(), 0..2000), version in 0..5_u8, sealed in any::<bool>(), legacy in any::<bool>(),
        start in starts(),
    ) {
        if let Some(header) = bytes.first_chunk_mut::<HEADER_LEN>() {
            header[..5].copy_from_slice(b"HADBJ");
            header[5] = version;
            header[6] = if sealed && version == 2 { 0x04 } else if sealed { 0x0c } else { 0 };
            if legacy {
                header[7..12].fill(0);
                header[20..84].fill(0);
                header[92..].fill(0);
            } else {
                let crc = crc32c::crc32c(&header[..124]);
                header[124..].copy_from_slice(&crc.to_be_bytes());
            }
        }
        let Read { entries, .. } = read(&bytes);
        prop_assert!(entries.is_empty());

        // The same behind a good header.
        let header = OpenHeader { start, nonce: Nonce::from_bytes([1; 16]) };
        let mut open = header.encode().unwrap().to_vec();
        open.extend_from_slice(&bytes);
        let Read { entries, end } = read(&open);
        prop_assert!(entries.is_empty());
        let zeros = bytes.iter().all(|&byte| byte == 0);
        prop_assert_eq!(end.unwrap().torn.is_none(), zeros);
    }

    #[test]
    fn lineage_and_chain_hash_text(lineage in any::<[u8; 16]>(), chain in any::<[u8; 32]>()) {
        let (lineage, chain) = (Lineage::from_bytes(lineage), ChainHash::from_bytes(chain));
        prop_assert_eq!(lineage.to_string().parse::<Lineage>().unwrap(), lineage);
        prop_assert_eq!(chain.to_string().parse::<ChainHash>().unwrap(), chain);
        prop_assert!(chain.to_string()[1..].parse::<ChainHash>().is_err());
        prop_assert_eq!(Position::start(lineage), Position { lineage, sequence: 0, chain_hash: ChainHash::ZERO });
    }
}
