//! What arrives in a real LadybugDB, kind by kind.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod journal;
mod ladybug_db;

use graphstream_proto::{ParamValue, TemporalKind};
use graphstream_replay::ReplayTarget;
use journal::{apply, chain};
use ladybug_db::{Ladybug, statement, temporal};

fn list(items: impl IntoIterator<Item = ParamValue>) -> ParamValue {
    ParamValue::List(items.into_iter().collect())
}

fn text(text: &str) -> ParamValue {
    ParamValue::String(text.to_owned())
}

/// Every kind that LadybugDB holds: the column's type, the value, and Python's `ascii` of what arrived.
fn values() -> Vec<(&'static str, ParamValue, &'static str)> {
    let map = ParamValue::Map(vec![("a".to_owned(), ParamValue::Int64(1)), ("b".to_owned(), text("x"))]);
    let dollar = ParamValue::Map(vec![("$date".to_owned(), text("no date"))]);
    vec![
        ("STRING", ParamValue::Null, "None"),
        ("BOOL", ParamValue::Bool(true), "True"),
        ("BOOL", ParamValue::Bool(false), "False"),
        ("INT64", ParamValue::Int64(i64::MAX), "9223372036854775807"),
        ("INT64", ParamValue::Int64(i64::MIN), "-9223372036854775808"),
        ("DOUBLE", ParamValue::Double(0.1 + 0.2), "0.30000000000000004"),
        ("DOUBLE", ParamValue::Double(-0.0), "-0.0"),
        ("DOUBLE", ParamValue::Double(5.0), "5.0"),
        ("DOUBLE", ParamValue::Double(f64::MAX), "1.7976931348623157e+308"),
        ("DOUBLE", ParamValue::Double(f64::NAN), "nan"),
        ("DOUBLE", ParamValue::Double(f64::INFINITY), "inf"),
        ("DOUBLE", ParamValue::Double(f64::NEG_INFINITY), "-inf"),
        ("STRING", text(""), "''"),
        ("STRING", text("a \"line\"\n\0\u{2028}\u{1f980}"), r#"'a "line"\n\x00\u2028\U0001f980'"#),
        ("STRING", text("2024-02-29"), "'2024-02-29'"),
        ("INT64[]", list([]), "[]"),
        ("INT64[]", list([ParamValue::Int64(1), ParamValue::Null]), "[1, None]"),
        ("STRING[][]", list([list([text("")])]), "[['']]"),
        ("STRUCT(a INT64, b STRING)", map, "{'a': 1, 'b': 'x'}"),
        ("STRUCT(`$date` STRING)", dollar, "{'$date': 'no date'}"),
        ("BLOB", ParamValue::Bytes(vec![0, 0xff, b'\n']), r"b'\x00\xff\n'"),
        ("DATE", temporal(TemporalKind::Date, "2024-02-29"), "datetime.date(2024, 2, 29)"),
        (
            "TIMESTAMP",
            temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.5"),
            "datetime.datetime(2024, 2, 29, 12, 0, 0, 500000)",
        ),
        // The instant is kept, as UTC.
        (
            "TIMESTAMP_TZ",
            temporal(TemporalKind::DateTime, "2024-02-29T12:00:00.000001+01:00"),
            "datetime.datetime(2024, 2, 29, 11, 0, 0, 1, tzinfo=datetime.timezone.utc)",
        ),
        (
            "TIMESTAMP",
            temporal(TemporalKind::DateTime, "2024-02-29T00:30:00+01:00"),
            "datetime.datetime(2024, 2, 28, 23, 30)",
        ),
        (
            "INTERVAL",
            temporal(TemporalKind::Duration, "P3DT4H5.000006S"),
            "datetime.timedelta(days=3, seconds=14405, microseconds=6)",
        ),
        (
            "UUID",
            ParamValue::Uuid("00112233-4455-6677-8899-aabbccddeeff".to_owned()),
            "UUID('00112233-4455-6677-8899-aabbccddeeff')",
        ),
        ("DECIMAL(18, 3)", ParamValue::Decimal("-123.456".to_owned()), "Decimal('-123.456')"),
        ("DECIMAL(18, 3)", ParamValue::Decimal("1.5E+2".to_owned()), "Decimal('150.000')"),
        ("INT128", ParamValue::Int128("-9223372036854775808".to_owned()), "Decimal('-9223372036854775808')"),
    ]
}

#[test]
fn every_kind_of_value_arrives_as_it_was_sent() {
    let Some(ladybug) = Ladybug::new() else { return };
    let values = values();
    let journal = chain(values.iter().enumerate().flat_map(|(n, (kind, value, _))| {
        [
            statement(&format!("CREATE NODE TABLE T{n} (id INT64, v {kind}, PRIMARY KEY (id))")),
            statement(&format!("CREATE (:T{n} {{id: 0, v: $v}})")).with_param("v", value.clone()),
        ]
    }));
    let mut target = ladybug.open();
    apply(&mut target, &journal).unwrap_or_else(|error| panic!("{error}: {:?}", error.reason()));
    target.close().unwrap();
    let tables = values.len();
    let found = ladybug.ask(
        &ladybug.database(),
        &format!(
            "[print(ascii(c.execute(f'MATCH (t:T{{n}}) RETURN t.v').get_next()[0])) for n in range({tables})]"
        ),
    );
    let found: Vec<_> = found.lines().collect();
    assert_eq!(found.len(), tables);
    for ((kind, value, expected), found) in values.iter().zip(found) {
        assert_eq!(found, *expected, "{kind}: {value:?}");
    }
}
