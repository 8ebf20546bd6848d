//! Payloads of both schemas: round trips, agreement with the generated messages, and hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod values;

use graphstream_proto::{
    Error, JournalEntry, ParamValue, Schema, TemporalKind, graphd, limits, schema_of, v1,
};
use proptest::prelude::*;
use prost::Message as _;

fn with_value(value: ParamValue) -> JournalEntry {
    JournalEntry { params: vec![("p".to_owned(), value)], ..JournalEntry::new("RETURN $p", 1) }
}

/// A field of wire type bytes.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn every_kind_survives_both_ways_and_is_what_the_schema_says() {
    for (name, value) in values::one_of_each() {
        let entry = with_value(value);
        let payload = entry.encode().unwrap();
        assert_eq!(JournalEntry::decode(&payload, 9).unwrap(), entry, "{name}");
        let message = v1::JournalEntry::decode(payload.as_slice()).unwrap();
        assert_eq!(message.encode_to_vec(), payload, "{name}: the generated messages write the same bytes");
        assert_eq!(JournalEntry::try_from(message).unwrap(), entry, "{name}");
    }
}

#[test]
fn the_numbers_of_the_kinds_are_fixed() {
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    let one_per_kind = [
        ParamValue::Null,
        ParamValue::Bool(true),
        ParamValue::Int64(1),
        ParamValue::Double(1.0),
        ParamValue::String("s".to_owned()),
        ParamValue::List(Vec::new()),
        ParamValue::Map(Vec::new()),
        ParamValue::Bytes(vec![1]),
        ParamValue::Temporal { kind: TemporalKind::Date, text: "2024-01-01".to_owned() },
        ParamValue::Point { srid: 1, x: 1.0, y: 1.0, z: None },
        ParamValue::Uuid("01234567-89ab-cdef-0123-456789abcdef".to_owned()),
        ParamValue::Decimal("1".to_owned()),
        ParamValue::Int128("1".to_owned()),
    ];
    for (value, number) in one_per_kind.into_iter().zip(expected) {
        let payload = with_value(value).encode().unwrap();
        // query "RETURN $p" (11 bytes), then the parameter: key, length, key "p" (3), value's key and length, value.
        assert_eq!(payload[11 + 2 + 3 + 2] >> 3, number);
    }
}

#[test]
fn an_entry_is_encoded_to_these_bytes() {
    let entry = JournalEntry::new("Q", 5).with_param("a", 1_i64).with_param("b", "x");
    let expected = b"\x0a\x01Q\x12\x07\x0a\x01a\x12\x02\x18\x01\x12\x08\x0a\x01b\x12\x03\x2a\x01x\x18\x05";
    assert_eq!(entry.encode().unwrap(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn entries_survive_and_the_generated_messages_agree(entry in values::entry()) {
        let payload = entry.encode().unwrap();
        prop_assert_eq!(&JournalEntry::decode(&payload, 1).unwrap(), &entry);
        prop_assert_eq!(schema_of(&payload).unwrap(), Schema::V1);
        prop_assert_eq!(&v1::JournalEntry::from(&entry).encode_to_vec(), &payload);
        let message = v1::JournalEntry::decode(payload.as_slice()).unwrap();
        prop_assert_eq!(JournalEntry::try_from(message).unwrap(), entry);
    }

    #[test]
    fn the_predecessors_entries_are_read_as_it_wrote_them(entry in values::entry(), sequence in 1_u64..) {
        let supported: Vec<_> = entry
            .params
            .iter()
            .filter_map(|(key, value)| {
                let value = graphd::GraphValue::try_from(value).ok()?;
                Some(graphd::MapEntry { key: key.clone(), value: Some(value) })
            })
            .collect();
        let message = graphd::JournalEntry {
            sequence,
            query: entry.query.clone(),
            params: supported,
            timestamp_ms: entry.timestamp_ms,
        };
        let payload = message.encode_to_vec();
        prop_assert_eq!(schema_of(&payload).unwrap(), Schema::Predecessor);
        let read = JournalEntry::decode(&payload, sequence).unwrap();
        prop_assert_eq!(&read.query, &entry.query);
        prop_assert_eq!(read.timestamp_ms, entry.timestamp_ms);
        prop_assert_eq!(read.uuid_override, None);
        let expected: Vec<_> = entry
            .params
            .into_iter()
            .filter(|(_, value)| graphd::GraphValue::try_from(value).is_ok())
            .collect();
        prop_assert_eq!(read.params, expected);
    }

    #[test]
    fn decoding_over_another_entry_leaves_nothing_of_it(entries in proptest::collection::vec(values::entry(), 1..6)) {
        let mut reused = JournalEntry::default();
        for entry in entries {
            reused.decode_from(&entry.encode().unwrap(), 1).unwrap();
            prop_assert_eq!(&reused, &entry);
        }
    }

    #[test]
    fn what_is_done_beside_decoding_shows_in_nothing(entry in values::entry(), cut in any::<proptest::sample::Index>()) {
        let mut payload = entry.encode().unwrap();
        let mut beside = JournalEntry::default();
        let mut most = |max| {
            let mut calls = 0;
            let decoded = beside.decode_beside(&payload, 1, || {
                calls += 1;
                calls < max
            });
            decoded.map(|()| (beside.clone(), calls))
        };
        let (decoded, calls) = most(usize::MAX).unwrap();
        prop_assert_eq!(&decoded, &entry);
        prop_assert!(calls > entry.params.len(), "{} calls", calls);
        prop_assert_eq!(most(1).unwrap(), (entry, 1));
        payload.truncate(cut.index(payload.len()));
        let alone = JournalEntry::decode(&payload, 1).map_err(|error| format!("{error:?}"));
        let found = beside.decode_beside(&payload, 1, || true).map(|()| beside.clone());
        prop_assert_eq!(found.map_err(|error| format!("{error:?}")), alone);
    }

    #[test]
    fn h11_any_bytes_are_read_or_refused_alike_over_any_entry(
        any_other in values::entry(), other in values::entry(), nearly in any::<bool>(),
        at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        // Over an entry that is nearly the same, whose texts are compared before they are looked at.
        let mut reused = if nearly { other.clone() } else { any_other };
        let mut payload = other.encode().unwrap();
        let at = at.index(payload.len());
        payload[at] = byte;
        let fresh = JournalEntry::decode(&payload, 1).map_err(|error| format!("{error:?}"));
        let over = reused.decode_from(&payload, 1).map(|()| reused.clone()).map_err(|error| format!("{error:?}"));
        prop_assert_eq!(&over, &fresh);
        // What failed or not, the next one is not touched by it.
        reused.decode_from(&other.encode().unwrap(), 1).unwrap();
        prop_assert_eq!(&reused, &other);
    }

    #[test]
    fn h11_any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = JournalEntry::decode(&bytes, 1);
    }

    #[test]
    fn h11_a_changed_byte_or_a_cut_never_panics_and_what_is_accepted_can_be_written_again(
        entry in values::entry(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut payload = entry.encode().unwrap();
        let at = at.index(payload.len());
        if cut {
            payload.truncate(at);
        } else {
            payload[at] = byte;
        }
        if let Ok(read) = JournalEntry::decode(&payload, 1) {
            // Texts are checked when written, not when read.
            match read.encode() {
                Ok(again) => prop_assert_eq!(JournalEntry::decode(&again, 1).unwrap(), read),
                Err(Error::InvalidText { .. } | Error::EmptyQuery | Error::DuplicateKey { .. }) => {}
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn what_we_accept_the_generated_messages_accept(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut payload = field(1, b"Q");
        payload.extend_from_slice(&bytes);
        if JournalEntry::decode(&payload, 1).is_ok() {
            prop_assert!(v1::JournalEntry::decode(payload.as_slice()).is_ok());
        }
    }
}

#[test]
fn every_cut_of_an_entry_is_refused_or_a_shorter_entry() {
    let entry = JournalEntry::new("CREATE (:T {a: $a})", 1_700_000_000_000)
        .with_param("a", ParamValue::List(vec![1_i64.into(), "x".into(), ParamValue::Null]))
        .with_uuid_override("01234567-89ab-cdef-0123-456789abcdef");
    let payload = entry.encode().unwrap();
    let mut whole = 0;
    for cut in 0..payload.len() {
        match JournalEntry::decode(&payload[..cut], 1) {
            Ok(shorter) => {
                whole += 1;
                assert_eq!(shorter.query, entry.query);
                assert_ne!(shorter, entry);
            }
            Err(error) => assert!(
                matches!(error, Error::Truncated { .. } | Error::UnknownSchema),
                "cut at {cut}: {error}"
            ),
        }
    }
    assert_eq!(whole, 3, "after the query, the parameter and the time a payload may end");
}

#[test]
fn the_predecessors_sequence_must_be_that_of_the_frame() {
    let message = graphd::JournalEntry { sequence: 7, query: "Q".to_owned(), ..Default::default() };
    let payload = message.encode_to_vec();
    assert_eq!(JournalEntry::decode(&payload, 7).unwrap().query, "Q");
    let error = JournalEntry::decode(&payload, 8).unwrap_err();
    assert_eq!(error.to_string(), "the payload says sequence 7 but its frame says 8");
}

#[test]
fn what_the_predecessor_did_not_refuse_is_read() {
    let null = graphd::MapEntry { key: "a".to_owned(), value: None };
    let empty = graphd::MapEntry { key: "a".to_owned(), value: Some(graphd::GraphValue { value: None }) };
    let message = graphd::JournalEntry {
        sequence: 1,
        query: String::new(),
        params: vec![null, empty],
        timestamp_ms: 0,
    };
    let read = JournalEntry::decode(&message.encode_to_vec(), 1).unwrap();
    assert_eq!(read.query, "");
    assert_eq!(read.params, [("a".to_owned(), ParamValue::Null), ("a".to_owned(), ParamValue::Null)]);
}

#[test]
fn the_predecessors_maps_are_not_lost() {
    // graphstream 0.3 read a map as null (PARAM flattening in its types.rs).
    let map = ParamValue::Map(vec![("k".to_owned(), ParamValue::Int64(1))]);
    let params = vec![graphd::MapEntry {
        key: "m".to_owned(),
        value: Some(graphd::GraphValue::try_from(&map).unwrap()),
    }];
    let message = graphd::JournalEntry { sequence: 1, query: "Q".to_owned(), params, timestamp_ms: 0 };
    assert_eq!(JournalEntry::decode(&message.encode_to_vec(), 1).unwrap().params[0].1, map);
    let date = ParamValue::Temporal { kind: TemporalKind::Date, text: "2024-01-01".to_owned() };
    let refused = graphd::GraphValue::try_from(&ParamValue::List(vec![date])).unwrap_err();
    assert_eq!(refused.to_string(), "the predecessor's schema has no temporal value");
}

#[test]
fn an_entry_needs_a_query() {
    assert!(matches!(JournalEntry::new("", 0).encode(), Err(Error::EmptyQuery)));
    assert!(matches!(JournalEntry::decode(&field(1, b""), 1), Err(Error::EmptyQuery)));
    assert!(matches!(JournalEntry::decode(b"", 1), Err(Error::UnknownSchema)));
    assert!(matches!(JournalEntry::decode(b"\x18\x05", 1), Err(Error::UnknownSchema)));
    assert!(matches!(JournalEntry::decode(b"\x0d\x00\x00\x00\x00", 1), Err(Error::UnknownSchema)));
}

#[test]
fn the_schema_is_told_even_when_field_1_comes_late() {
    let payload = [b"\x18\x05".to_vec(), field(1, b"Q")].concat();
    let entry = JournalEntry::decode(&payload, 1).unwrap();
    assert_eq!((entry.query.as_str(), entry.timestamp_ms), ("Q", 5));
}

#[test]
fn a_key_given_twice_is_refused_everywhere() {
    let twice = vec![("k".to_owned(), ParamValue::Null), ("k".to_owned(), ParamValue::Null)];
    let params = JournalEntry { params: twice.clone(), ..JournalEntry::new("Q", 0) };
    let error = params.encode().unwrap_err();
    assert_eq!(error.to_string(), "parameter number 1 (from 0) has the same key as an earlier one");
    assert!(matches!(with_value(ParamValue::Map(twice)).encode(), Err(Error::DuplicateKey { .. })));
    let payload = v1::JournalEntry::from(&params).encode_to_vec();
    assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::DuplicateKey { index: 1, .. })));
}

#[test]
fn h10_fields_and_kinds_of_a_later_version_are_refused() {
    let query = field(1, b"Q");
    let param = |content: &[u8]| {
        let value = [field(1, b"p"), field(2, content)].concat();
        [query.clone(), field(2, &value)].concat()
    };
    for (payload, message) in [
        ([query.clone(), field(5, b"")].concat(), "JournalEntry"),
        ([query.clone(), field(2, &field(3, b""))].concat(), "ParamEntry"),
        (param(&field(14, b"later")), "GraphValue"),
        (param(&field(6, &field(2, b""))), "ListValue"),
        (param(&field(7, &field(2, b""))), "MapValue"),
        (param(&field(1, &field(1, b""))), "NullValue"),
        (param(&field(9, b"\x08\x01\x12\x01x\x1a\x00")), "TemporalValue"),
        (param(&field(10, b"\x2a\x00")), "PointValue"),
        // A known field with another wire type, and a srid beyond 32 bits.
        (param(b"\x2d\x00\x00\x00\x00"), "GraphValue"),
        (param(&field(10, b"\x08\xff\xff\xff\xff\x1f")), "PointValue"),
    ] {
        match JournalEntry::decode(&payload, 1) {
            Err(Error::UnknownField { message: found, .. }) => assert_eq!(found, message),
            other => panic!("{message}: {other:?}"),
        }
    }
    let unknown_kind = param(&field(9, b"\x08\x07\x12\x01x"));
    assert!(matches!(
        JournalEntry::decode(&unknown_kind, 1),
        Err(Error::UnknownTemporalKind { kind: 7, .. })
    ));
    // The predecessor has no kinds above map.
    let legacy = [b"\x08\x01".to_vec(), field(2, b"Q"), field(3, &field(2, &field(8, b"x")))].concat();
    assert!(matches!(JournalEntry::decode(&legacy, 1), Err(Error::UnknownField { field: 8, .. })));
}

#[test]
fn an_entry_that_says_two_things_is_refused() {
    let repeated =
        |payload: Vec<u8>| matches!(JournalEntry::decode(&payload, 1), Err(Error::RepeatedField { .. }));
    assert!(repeated([field(1, b"Q"), field(1, b"R")].concat()));
    assert!(repeated([field(1, b"Q"), b"\x18\x01\x18\x02".to_vec()].concat()));
    let value = [field(5, b"a"), field(5, b"b")].concat();
    assert!(repeated([field(1, b"Q"), field(2, &field(2, &value))].concat()));
    let value = [b"\x10\x01".to_vec(), field(5, b"b")].concat();
    assert!(repeated([field(1, b"Q"), field(2, &field(2, &value))].concat()), "two kinds of one value");
}

#[test]
fn incomplete_values_of_ours_are_refused() {
    let payload = |value: &[u8]| [field(1, b"Q"), field(2, value)].concat();
    for value in [
        field(1, b"k"),
        field(2, b""),
        field(2, &field(9, b"\x08\x01")),
        field(2, &field(9, b"\x12\x01x")),
        field(2, &field(10, b"\x11\0\0\0\0\0\0\0\0")),
    ] {
        let result = JournalEntry::decode(&payload(&value), 1);
        assert!(matches!(result, Err(Error::MissingField { .. })), "{result:?}");
    }
}

#[test]
fn h11_deep_nesting_is_refused_at_the_same_depth_in_both_directions() {
    let nested =
        |depth: usize| (0..depth).fold(ParamValue::Bool(true), |inner, _| ParamValue::List(vec![inner]));
    // A parameter's value is at 2, each list takes two more messages.
    let deepest = (limits::MESSAGES_DEEP_MAX - 2) / 2;
    let payload = with_value(nested(deepest)).encode().unwrap();
    assert!(JournalEntry::decode(&payload, 1).is_ok());
    assert!(v1::JournalEntry::decode(payload.as_slice()).is_ok());
    assert!(matches!(with_value(nested(deepest + 1)).encode(), Err(Error::NestingTooDeep { max: 100 })));
    let too_deep = v1::JournalEntry::from(&with_value(nested(deepest + 1))).encode_to_vec();
    assert!(matches!(JournalEntry::decode(&too_deep, 1), Err(Error::NestingTooDeep { max: 100 })));
    assert!(v1::JournalEntry::decode(too_deep.as_slice()).is_err(), "the generated messages agree");

    // A hundred thousand levels: neither the stack nor the encoder's time may suffer.
    let mut value = vec![0x10, 0x01];
    for _ in 0..15_000 {
        value = field(6, &field(1, &value));
    }
    let hostile = [field(1, b"Q"), field(2, &field(2, &value))].concat();
    assert!(matches!(JournalEntry::decode(&hostile, 1), Err(Error::NestingTooDeep { .. })));
}

#[test]
fn h11_a_million_parameters_are_refused_before_they_are_kept() {
    let param = field(2, &[field(1, b"k"), field(2, b"\x10\x01")].concat());
    let payload = [field(1, b"Q"), param.repeat(1_000_000)].concat();
    assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::TooManyParams { max: 65_536 })));
    let params = (0..=limits::PARAMS_MAX).map(|key| (key.to_string(), ParamValue::Null)).collect();
    let entry = JournalEntry { params, ..JournalEntry::new("Q", 0) };
    assert!(matches!(entry.encode(), Err(Error::TooManyParams { .. })));
}

#[test]
fn h11_more_values_than_an_entry_may_have_are_refused() {
    let values = |count| ParamValue::List(vec![ParamValue::Bool(true); count]);
    let most = with_value(values(limits::VALUES_MAX - 1));
    let payload = most.encode().unwrap();
    assert_eq!(JournalEntry::decode(&payload, 1).unwrap(), most);
    let more = with_value(values(limits::VALUES_MAX));
    assert!(matches!(more.encode(), Err(Error::TooManyValues { .. })));
    let payload = v1::JournalEntry::from(&more).encode_to_vec();
    assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::TooManyValues { .. })));
    // The predecessor's absent values count too.
    let empty = field(6, &field(1, b"").repeat(limits::VALUES_MAX));
    let legacy = [b"\x08\x01".to_vec(), field(3, &field(2, &empty))].concat();
    assert!(matches!(JournalEntry::decode(&legacy, 1), Err(Error::TooManyValues { .. })));
}

#[test]
fn h11_payloads_beyond_16_mib_are_refused_at_the_byte() {
    let overhead = with_value(ParamValue::Bytes(vec![0; 10_000_000])).encode().unwrap().len() - 10_000_000;
    let most = limits::PAYLOAD_BYTES_MAX - overhead;
    let payload = with_value(ParamValue::Bytes(vec![0; most])).encode().unwrap();
    assert_eq!(payload.len(), limits::PAYLOAD_BYTES_MAX);
    assert!(JournalEntry::decode(&payload, 1).is_ok());
    let more = with_value(ParamValue::Bytes(vec![0; most + 1]));
    assert!(matches!(more.encode(), Err(Error::PayloadTooLarge { .. })));
    let payload = v1::JournalEntry::from(&more).encode_to_vec();
    assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::PayloadTooLarge { .. })));
}

#[test]
fn h11_long_texts_in_different_places_do_not_add_up() {
    let long = "x".repeat(1 << 20);
    let mut entry = JournalEntry::default();
    for place in 0..64 {
        let mut written = JournalEntry::new(long.as_str(), 0);
        for index in 0..64 {
            written = written.with_param(index.to_string(), if index == place { long.as_str() } else { "" });
        }
        entry.decode_from(&written.encode().unwrap(), 1).unwrap();
        assert_eq!(entry, written);
    }
    let held = |value: &ParamValue| if let ParamValue::String(text) = value { text.capacity() } else { 0 };
    let held: usize = entry.params.iter().map(|(key, value)| key.capacity() + held(value)).sum();
    assert!(held <= (1 << 20) + 64 * 512, "{held} bytes are held");
    entry.decode_from(&JournalEntry::new("Q", 0).encode().unwrap(), 1).unwrap();
    assert!(entry.query.capacity() <= 64 << 10 && entry.params.is_empty());
}

#[test]
fn h01_lengths_beyond_the_payload_are_refused_before_allocating() {
    for length in [&[0x02_u8][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff; 9]] {
        let mut payload = vec![0x0a];
        payload.extend_from_slice(length);
        if length.len() == 9 {
            payload.push(0x01);
        }
        payload.push(b'Q');
        assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::Truncated { .. })), "{payload:x?}");
    }
}

#[test]
fn h11_varints_beyond_64_bits_and_invalid_keys_are_refused() {
    let after_query = |bytes: &[u8]| JournalEntry::decode(&[&field(1, b"Q"), bytes].concat(), 1);
    let long = [&[0x18][..], &[0xff; 10], &[0x00]].concat();
    assert!(matches!(after_query(&long), Err(Error::VarintTooLong { offset: 4 })));
    let too_large = [&[0x18][..], &[0xff; 9], &[0x02]].concat();
    assert!(matches!(after_query(&too_large), Err(Error::VarintTooLong { offset: 4 })));
    let edges = [&[0x18][..], &[0xff; 9], &[0x01]].concat();
    assert_eq!(after_query(&edges).unwrap().timestamp_ms, -1);
    for key in [&[0x00_u8][..], &[0x0b], &[0x0c], &[0x0e], &[0x0f], &[0xff, 0xff, 0xff, 0xff, 0x7f]] {
        assert!(matches!(after_query(key), Err(Error::InvalidFieldKey { offset: 3, .. })), "{key:x?}");
    }
}

#[test]
fn h11_invalid_utf_8_is_refused_with_its_offset() {
    assert!(matches!(JournalEntry::decode(&field(1, b"\xff"), 1), Err(Error::NotUtf8 { offset: 2, .. })));
    let param = field(2, &[field(1, b"\xc3\x28"), field(2, b"\x10\x01")].concat());
    let payload = [field(1, b"Q"), param].concat();
    assert!(matches!(JournalEntry::decode(&payload, 1), Err(Error::NotUtf8 { offset: 7, .. })));
}

#[test]
fn h11_doubles_keep_their_bits_and_integers_their_edges() {
    for bits in [0, 1 << 63, 0x7ff8_0000_0000_0000, 0xfff0_dead_beef_0001, 0x7ff0_0000_0000_0000, 1, u64::MAX]
    {
        let payload = with_value(ParamValue::Double(f64::from_bits(bits))).encode().unwrap();
        match JournalEntry::decode(&payload, 1).unwrap().params.pop() {
            Some((_, ParamValue::Double(read))) => assert_eq!(read.to_bits(), bits),
            other => panic!("{other:?}"),
        }
    }
    for int in [i64::MIN, -1, 0, 1, i64::MAX] {
        let entry = JournalEntry { timestamp_ms: int, ..with_value(ParamValue::Int64(int)) };
        assert_eq!(JournalEntry::decode(&entry.encode().unwrap(), 1).unwrap(), entry);
    }
}

#[test]
fn k01_messages_contain_no_query_no_key_and_no_value() {
    let secret = "s3cr3t";
    let errors = [
        with_value(ParamValue::Uuid(secret.to_owned())).encode().unwrap_err(),
        with_value(ParamValue::Map(vec![(secret.to_owned(), ParamValue::Null); 2])).encode().unwrap_err(),
        JournalEntry::new(secret, 0).with_uuid_override(secret).encode().unwrap_err(),
        JournalEntry::decode(&[field(1, secret.as_bytes()), field(9, secret.as_bytes())].concat(), 1)
            .unwrap_err(),
        JournalEntry::decode(&field(1, &[secret.as_bytes(), b"\xff"].concat()), 1).unwrap_err(),
    ];
    for error in errors {
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
}

#[test]
fn texts_are_checked_by_kind() {
    use graphstream_proto::TextKind::{
        Date, DateTime, Decimal, Duration, Int128, LocalDateTime, LocalTime, Time, Uuid,
    };
    let valid = [
        (Date, &["2024-02-29", "0000-01-01", "-0044-03-15", "+999999999-12-31", "2000-02-29"][..]),
        (Time, &["12:00Z", "23:59:59.999999999-18:00", "00:00:00+00:00:30"]),
        (LocalTime, &["00:00", "12:34:56", "12:34:56.1"]),
        (LocalDateTime, &["2024-01-31T00:00:00"]),
        (DateTime, &["2024-01-31T00:00Z", "2024-01-31T00:00:00.5+02:00[Etc/GMT-2]"]),
        (Duration, &["P1Y", "PT0S", "-P1D", "P1Y2M3W4DT5H6M7.000000001S", "P-1M", "PT-0.5S"]),
        (Uuid, &["01234567-89AB-cdef-0123-456789abcdef"]),
        (Decimal, &["0", "-1.", ".5", "+1.5e-10", "123456789012345678901234567890.5E+3"]),
        (
            Int128,
            &["170141183460469231731687303715884105727", "-170141183460469231731687303715884105728", "0"],
        ),
    ];
    let invalid = [
        (
            Date,
            &[
                "",
                "2024-2-29",
                "2023-02-29",
                "1900-02-29",
                "2024-04-31",
                "2024-13-01",
                "2024-00-10",
                "12024-01-01",
            ][..],
        ),
        (
            Date,
            &["2024-01-32", "2024-01-00", "20240101", "2024-01-01Z", "2024-01-01 ", "+2024-01", "٢٠٢٤-01-01"],
        ),
        (
            Time,
            &["12:00", "24:00Z", "12:60Z", "12:00:60Z", "12:00:00.Z", "12:00:00.1234567890Z", "12:00+19:00"],
        ),
        (LocalTime, &["12", "12:00Z", "1:00", "12:00:00,5"]),
        (LocalDateTime, &["2024-01-31", "2024-01-31 00:00", "2024-01-31T00:00Z", "T00:00"]),
        (
            DateTime,
            &["2024-01-31T00:00", "2024-01-31T00:00Z[", "2024-01-31T00:00Z[]", "2024-01-31T00:00Z[a b]"],
        ),
        (
            Duration,
            &["P", "PT", "1D", "P1", "P1H", "PT1D", "P1M1Y", "P1DT", "P1D1D", "P.5D", "P1.D", "P1DT1H1"],
        ),
        (
            Uuid,
            &[
                "",
                "0123456789abcdef0123456789abcdef",
                "01234567-89ab-cdef-0123-456789abcdeg",
                "{01234567-89ab",
            ],
        ),
        (Decimal, &["", ".", "-", "e5", "1e", "1.2.3", "NaN", "Infinity", "0x10", "1_000", " 1"]),
        (Int128, &["170141183460469231731687303715884105728", "", "1.0", "1e3", "0x10", "-"]),
    ];
    for (kind, texts) in valid {
        texts.iter().for_each(|text| assert!(kind.check(text).is_ok(), "{kind:?} {text}"));
    }
    for (kind, texts) in invalid {
        texts.iter().for_each(|text| assert!(kind.check(text).is_err(), "{kind:?} {text}"));
    }
}
