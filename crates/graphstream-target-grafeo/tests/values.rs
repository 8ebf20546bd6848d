//! What goes into the database as a parameter comes back as it was, also after grafeo has written its file and read it again; or the
//! entry is refused, with the parameter's name.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};
use graphstream_replay::{Error as ReplayError, ReplayTarget};
use graphstream_target_grafeo::{Error, GrafeoTarget};
use proptest::prelude::*;

mod journal;

use journal::{apply, copy_open, rows};

/// Both file formats. The one-file format keeps milliseconds of a date-time, a directory microseconds.
const FORMATS: [&str; 2] = ["x.grafeo", "x"];

fn map(pairs: &[(&str, ParamValue)]) -> ParamValue {
    ParamValue::Map(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn list(values: &[ParamValue]) -> ParamValue {
    ParamValue::List(values.to_vec())
}

fn temporal(kind: TemporalKind, text: &str) -> ParamValue {
    ParamValue::Temporal { kind, text: text.to_owned() }
}

fn create(n: usize, value: &ParamValue) -> JournalEntry {
    JournalEntry::new("CREATE (:Kept {n: $n, value: $value})", 0)
        .with_param("n", i64::try_from(n).unwrap())
        .with_param("value", value.clone())
}

fn kept(target: &GrafeoTarget) -> Vec<ParamValue> {
    rows(target, "MATCH (k:Kept) RETURN k.value ORDER BY k.n").into_iter().flatten().collect()
}

/// Stores values and reads them: as committed, as recovered from the WAL, and as read from the closed file.
fn round_trips(path: &Path, values: &[ParamValue]) {
    let mut target = GrafeoTarget::open(path).unwrap();
    apply(&mut target, values.iter().enumerate().map(|(n, value)| create(n, value))).unwrap();
    assert_eq!(kept(&target), values, "after the commit");
    let digest = target.digest().unwrap();
    let crashed = path.with_file_name("crashed").with_extension(path.extension().unwrap_or_default());
    copy_open(path, &crashed);
    let recovered = GrafeoTarget::open(&crashed).unwrap();
    assert_eq!(kept(&recovered), values, "after recovery");
    assert_eq!(recovered.digest().unwrap(), digest);
    target.close().unwrap();
    target.reopen().unwrap();
    assert_eq!(kept(&target), values, "after closing");
    assert_eq!(target.digest().unwrap(), digest);
}

fn in_both_formats(values: &[ParamValue]) {
    for name in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        round_trips(&dir.path().join(name), values);
    }
}

#[test]
fn scalars_come_back_as_they_were() {
    in_both_formats(&[
        ParamValue::Null,
        true.into(),
        false.into(),
        0_i64.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        // Beyond what a double can count.
        9_007_199_254_740_993_i64.into(),
        "".into(),
        "it's \"quoted\" \\ `ticked` $param {brace}\n\t\0".into(),
        "\u{1f980} e\u{301} \u{feff}\u{202e}".into(),
        Vec::<u8>::new().into(),
        (0..=255).collect::<Vec<u8>>().into(),
    ]);
}

#[test]
fn every_bit_of_a_double_comes_back() {
    let doubles = [
        0.0,
        -0.0,
        1.0,
        0.1 + 0.2,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        // A NaN with a payload.
        f64::from_bits(0x7ff8_0000_dead_beef),
    ];
    in_both_formats(&doubles.map(ParamValue::from));
}

#[test]
fn lists_and_maps_come_back_with_all_that_is_in_them() {
    let mixed =
        list(&[ParamValue::Null, true.into(), 1_i64.into(), 1.0.into(), "1".into(), vec![1_u8].into()]);
    in_both_formats(&[
        list(&[]),
        list(&[list(&[]), list(&[list(&[])])]),
        list(&[list(&["".into()])]),
        mixed.clone(),
        map(&[]),
        map(&[("", ParamValue::Null), ("$map", 1_i64.into()), ("a b", mixed.clone())]),
        map(&[("deep", map(&[("deeper", list(&[map(&[("deepest", mixed)])]))]))]),
        list(&[temporal(TemporalKind::Date, "2024-02-29"), f64::NAN.into()]),
        // All numbers: grafeo has a vector type that must not take it over.
        list(&[1.0.into(), 2.5.into()]),
        list(&[1_i64.into(), 2_i64.into()]),
    ]);
}

#[test]
fn maps_come_back_with_their_keys_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x")).unwrap();
    apply(&mut target, [create(0, &map(&[("b", 1_i64.into()), ("a", 2_i64.into())]))]).unwrap();
    assert_eq!(kept(&target), [map(&[("a", 2_i64.into()), ("b", 1_i64.into())])]);
}

#[test]
fn dates_and_times_come_back_as_they_were() {
    in_both_formats(&[
        temporal(TemporalKind::Date, "2024-02-29"),
        temporal(TemporalKind::Date, "0000-01-01"),
        temporal(TemporalKind::Date, "-0044-03-15"),
        temporal(TemporalKind::Date, "+12345-12-31"),
        temporal(TemporalKind::LocalDateTime, "1969-12-31T23:59:59.999"),
        temporal(TemporalKind::LocalDateTime, "0001-01-01T00:00:00"),
        temporal(TemporalKind::DateTime, "2024-02-29T12:00:00.5+01:00"),
        temporal(TemporalKind::DateTime, "2024-02-29T00:30:00-11:45"),
        temporal(TemporalKind::DateTime, "1969-12-31T23:59:59.999Z"),
        temporal(TemporalKind::Time, "12:00:00.123456789+01:00"),
        temporal(TemporalKind::Time, "23:59:59Z"),
        temporal(TemporalKind::LocalTime, "00:00:00"),
        temporal(TemporalKind::LocalTime, "23:59:59.999999999"),
        temporal(TemporalKind::Duration, "P14M3DT14706.5S"),
        temporal(TemporalKind::Duration, "P-1M-1DT-0.000000001S"),
        temporal(TemporalKind::Duration, "PT0S"),
    ]);
}

#[test]
fn equal_texts_of_one_moment_come_back_in_one_form() {
    let forms = [
        (TemporalKind::LocalTime, "12:00", "12:00:00"),
        (TemporalKind::LocalTime, "12:00:00.500", "12:00:00.5"),
        (TemporalKind::Time, "12:00+00:00", "12:00:00Z"),
        (TemporalKind::Date, "+2024-02-29", "2024-02-29"),
        (TemporalKind::Duration, "P1Y2M1W3DT4H5M6.5S", "P14M10DT14706.5S"),
        (TemporalKind::Duration, "-P1D", "P-1D"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x")).unwrap();
    let entries = forms.iter().enumerate().map(|(n, (kind, given, _))| create(n, &temporal(*kind, given)));
    apply(&mut target, entries).unwrap();
    let expected: Vec<_> = forms.iter().map(|(kind, _, kept)| temporal(*kind, kept)).collect();
    assert_eq!(kept(&target), expected);
}

#[test]
fn a_directory_keeps_microseconds_and_one_file_refuses_them() {
    let fine = temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.123456");
    let zoned = temporal(TemporalKind::DateTime, "2024-02-29T12:00:00.123456+05:30");
    let dir = tempfile::tempdir().unwrap();
    round_trips(&dir.path().join("x"), &[fine.clone(), zoned.clone()]);
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    for value in [fine, zoned] {
        refused(&mut target, &value);
    }
}

/// Applies an entry whose second parameter must be refused by its name, and leaves nothing.
fn refused(target: &mut GrafeoTarget, value: &ParamValue) {
    let before = (target.position().unwrap(), target.digest().unwrap());
    let error = apply(target, [create(0, &1_i64.into()), create(1, value)]).unwrap_err();
    let ReplayError::Poison { sequence, source, .. } = &error else { panic!("{value:?}: {error:?}") };
    assert_eq!(*sequence, before.0.map_or(0, |at| at.sequence) + 2);
    let Some(Error::Parameter { name, .. }) = source.downcast_ref() else { panic!("{value:?}: {source:?}") };
    assert_eq!(name, "value", "{value:?}");
    // What an operator reads.
    assert!(error.reason().unwrap().starts_with("parameter $value: "), "{error:?}");
    assert_eq!((target.position().unwrap(), target.digest().unwrap()), before);
}

#[test]
fn r07_what_grafeo_cannot_hold_is_refused_with_the_parameters_name() {
    let point = |z| ParamValue::Point { srid: 4326, x: 1.0, y: 2.0, z };
    let mut values = vec![
        point(None),
        point(Some(3.0)),
        ParamValue::Uuid("2ba4a1fe-6a25-4b6a-8c1c-000000000000".to_owned()),
        ParamValue::Decimal("0.1".to_owned()),
        ParamValue::Int128("170141183460469231731687303715884105727".to_owned()),
        ParamValue::Int128("1".to_owned()),
        temporal(TemporalKind::Date, "+999999999-01-01"),
        temporal(TemporalKind::LocalDateTime, "+300000-01-01T00:00:00"),
        temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.123456789"),
        temporal(TemporalKind::DateTime, "2024-02-29T12:00:00+01:00[Europe/Berlin]"),
        temporal(TemporalKind::DateTime, "-300000-01-01T00:00:00Z"),
        temporal(TemporalKind::Duration, "P9223372036854775807Y"),
        temporal(TemporalKind::Duration, "PT9223372036854775807S"),
        temporal(TemporalKind::Duration, "PT99999999999999999999S"),
        // Never valid, but a payload that was read isn't checked.
        temporal(TemporalKind::Date, "2024-02-30"),
        temporal(TemporalKind::Date, "29.2.2024"),
        temporal(TemporalKind::LocalTime, ""),
        temporal(TemporalKind::Duration, "P\u{1f980}"),
    ];
    // As deep as they may be hidden.
    values.extend(values.clone().iter().map(|value| list(&[1_i64.into(), map(&[("key", value.clone())])])));
    for name in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let mut target = GrafeoTarget::open(dir.path().join(name)).unwrap();
        for value in &values {
            // Encoding would refuse the invalid ones; a follower gets them from a foreign writer.
            let valid = create(1, value).encode().is_ok();
            if valid {
                refused(&mut target, value);
            } else {
                let error = graphstream_target_grafeo::to_grafeo(
                    value,
                    graphstream_target_grafeo::Precision::Microseconds,
                );
                assert!(matches!(error, Err(Error::Value { .. })), "{value:?}: {error:?}");
            }
        }
        // It goes on.
        apply(&mut target, [create(0, &"good".into())]).unwrap();
        assert_eq!(kept(&target), ["good".into()]);
    }
}

#[test]
fn r07_a_parameter_that_is_not_given_is_an_error_not_null() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    for entry in [
        JournalEntry::new("CREATE (:Kept {value: $value})", 0),
        JournalEntry::new("CREATE (:Kept {value: $value})", 0).with_param("other", 1_i64),
    ] {
        let error = apply(&mut target, [entry]).unwrap_err();
        assert!(error.reason().unwrap().contains("value"), "{error:?}");
    }
    assert_eq!(target.digest().unwrap().node_count, 0);
}

#[test]
fn rows_of_a_list_parameter_come_back_as_they_were() {
    let values =
        [ParamValue::Null, f64::NAN.into(), i64::MIN.into(), vec![0_u8, 255].into(), list(&["x".into()])];
    let items = values.iter().enumerate();
    let items: Vec<_> =
        items.map(|(n, value)| map(&[("n", (n as i64).into()), ("value", value.clone())])).collect();
    let entry = JournalEntry::new("UNWIND $rows AS row CREATE (:Kept {n: row.n, value: row.value})", 0)
        .with_param("rows", items);
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    apply(&mut target, [entry]).unwrap();
    assert_eq!(kept(&target), values);
}

#[test]
fn values_are_set_and_matched_like_they_are_created() {
    let values = [i64::MAX.into(), "text".into(), temporal(TemporalKind::Date, "2024-02-29"), true.into()];
    let dir = tempfile::tempdir().unwrap();
    let mut target = GrafeoTarget::open(dir.path().join("x.grafeo")).unwrap();
    for value in values {
        let entry = |query| JournalEntry::new(query, 0).with_param("value", value.clone());
        apply(
            &mut target,
            [
                entry("CREATE (:Kept)"),
                entry("MATCH (k:Kept) SET k.value = $value"),
                entry("MATCH (k:Kept {value: $value}) SET k.found = $value"),
                entry("MATCH (k:Kept) WHERE k.found = $value SET k += {map: $value}"),
            ],
        )
        .unwrap();
        assert_eq!(rows(&target, "MATCH (k:Kept) RETURN k.value, k.found, k.map"), [vec![value.clone(); 3]]);
        journal::run(&mut target, &["MATCH (k:Kept) DELETE k"]).unwrap();
    }
}

fn any_value() -> impl Strategy<Value = ParamValue> {
    let scalar = prop_oneof![
        Just(ParamValue::Null),
        any::<bool>().prop_map(ParamValue::Bool),
        any::<i64>().prop_map(ParamValue::Int64),
        any::<u64>().prop_map(|bits| ParamValue::Double(f64::from_bits(bits))),
        any::<String>().prop_map(ParamValue::String),
        any::<Vec<u8>>().prop_map(ParamValue::Bytes),
    ];
    scalar.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(ParamValue::List),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| ParamValue::Map(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_values_come_back_as_they_were(values in prop::collection::vec(any_value(), 1..40)) {
        in_both_formats(&values);
    }
}
