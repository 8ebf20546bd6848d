//! Strategies for entries of every value kind.
#![allow(dead_code, reason = "each test binary uses some of them")]

use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};
use proptest::prelude::*;

/// Doubles of all bits, and often the special ones.
fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        proptest::sample::select(vec![
            0.0,
            -0.0,
            1.0,
            f64::NAN,
            -f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::MAX,
            1e16,
            123_456_789_012_345_680.0,
        ]),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{1,6}", 1 => "\\$[a-z]{0,5}", 1 => any::<String>()]
}

fn temporal() -> impl Strategy<Value = ParamValue> {
    let number = (0..10_000_u32, 1..=12_u32, 1..=28_u32, 0..24_u32, 0..60_u32, 0..60_u32);
    (number, 0..6_u8).prop_map(|((year, month, day, hour, minute, second), kind)| {
        let date = format!("{year:04}-{month:02}-{day:02}");
        let time = format!("{hour:02}:{minute:02}:{second:02}.{second}");
        let (kind, text) = match kind {
            0 => (TemporalKind::Date, date),
            1 => (TemporalKind::DateTime, format!("{date}T{time}+01:{minute:02}[Europe/Berlin]")),
            2 => (TemporalKind::LocalDateTime, format!("{date}T{time}")),
            3 => (TemporalKind::Time, format!("{time}Z")),
            4 => (TemporalKind::LocalTime, time),
            _ => (TemporalKind::Duration, format!("P{month}M{day}DT{second}.{minute}S")),
        };
        ParamValue::Temporal { kind, text }
    })
}

fn leaf() -> impl Strategy<Value = ParamValue> {
    let int64 = prop_oneof![any::<i64>(), proptest::sample::select(vec![i64::MIN, i64::MAX, 0, -1])];
    prop_oneof![
        Just(ParamValue::Null),
        any::<bool>().prop_map(ParamValue::Bool),
        int64.prop_map(ParamValue::Int64),
        double().prop_map(ParamValue::Double),
        any::<String>().prop_map(ParamValue::String),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(ParamValue::Bytes),
        temporal(),
        (any::<u32>(), double(), double(), proptest::option::of(double()))
            .prop_map(|(srid, x, y, z)| ParamValue::Point { srid, x, y, z }),
        "[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_map(ParamValue::Uuid),
        "[-+]?[0-9]{1,40}(\\.[0-9]{1,20})?([eE]-?[0-9]{1,4})?".prop_map(ParamValue::Decimal),
        any::<i128>().prop_map(|int| ParamValue::Int128(int.to_string())),
    ]
}

/// Pairs whose keys differ.
fn pairs(value: impl Strategy<Value = ParamValue>) -> impl Strategy<Value = Vec<(String, ParamValue)>> {
    proptest::collection::vec((key(), value), 0..5).prop_map(|mut pairs: Vec<(String, ParamValue)>| {
        let mut seen = std::collections::HashSet::new();
        pairs.retain(|(key, _)| seen.insert(key.clone()));
        pairs
    })
}

/// A value of any kind, nested or not.
pub(crate) fn value() -> impl Strategy<Value = ParamValue> {
    leaf().prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(ParamValue::List),
            pairs(inner).prop_map(ParamValue::Map),
        ]
    })
}

/// An entry that can be encoded.
pub(crate) fn entry() -> impl Strategy<Value = JournalEntry> {
    let uuid = proptest::option::of(Just("00000000-0000-4000-8000-00000000000a".to_owned()));
    (".{1,60}", pairs(value()), any::<i64>(), uuid).prop_map(
        |(query, params, timestamp_ms, uuid_override)| JournalEntry {
            query,
            params,
            timestamp_ms,
            uuid_override,
        },
    )
}

/// One value of each kind, in the order of their numbers, with texts and bits that are easily lost.
pub(crate) fn one_of_each() -> Vec<(&'static str, ParamValue)> {
    let temporal = |kind, text: &str| ParamValue::Temporal { kind, text: text.to_owned() };
    vec![
        ("null", ParamValue::Null),
        ("bool", ParamValue::Bool(false)),
        ("int64", ParamValue::Int64(i64::MIN)),
        ("int64 zero", ParamValue::Int64(0)),
        ("double", ParamValue::Double(-0.0)),
        ("double nan", ParamValue::Double(f64::from_bits(0xfff8_0000_dead_beef))),
        ("double infinity", ParamValue::Double(f64::NEG_INFINITY)),
        ("string", ParamValue::String("\u{0}\"\\\u{1f} ünï \u{1f980}\u{2028}".to_owned())),
        ("string empty", ParamValue::String(String::new())),
        ("list", ParamValue::List(vec![ParamValue::Null, ParamValue::List(Vec::new())])),
        (
            "map",
            ParamValue::Map(vec![
                ("z".to_owned(), ParamValue::Null),
                ("a".to_owned(), ParamValue::Bool(true)),
            ]),
        ),
        ("map dollar", ParamValue::Map(vec![("$date".to_owned(), ParamValue::String("x".to_owned()))])),
        ("map nested dollar", ParamValue::Map(vec![("$map".to_owned(), ParamValue::Map(Vec::new()))])),
        ("bytes", ParamValue::Bytes(vec![0, 255, 128])),
        ("date", temporal(TemporalKind::Date, "2024-02-29")),
        ("datetime", temporal(TemporalKind::DateTime, "2024-02-29T23:59:59.123456789+02:00[Europe/Berlin]")),
        ("localdatetime", temporal(TemporalKind::LocalDateTime, "-0044-03-15T12:00")),
        ("time", temporal(TemporalKind::Time, "12:00:00Z")),
        ("localtime", temporal(TemporalKind::LocalTime, "12:00:00.5")),
        ("duration", temporal(TemporalKind::Duration, "P1Y2M3W4DT5H6M7.5S")),
        ("point", ParamValue::Point { srid: 4326, x: -0.0, y: f64::NAN, z: None }),
        ("point 3d", ParamValue::Point { srid: 0, x: 0.0, y: 1e300, z: Some(0.0) }),
        ("uuid", ParamValue::Uuid("01234567-89ab-cdef-0123-456789abcdef".to_owned())),
        ("decimal", ParamValue::Decimal("-1.10".to_owned())),
        ("int128", ParamValue::Int128(i128::MIN.to_string())),
    ]
}
