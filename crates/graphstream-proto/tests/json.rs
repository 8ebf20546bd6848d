//! JSON lines: round trips, the shape as it is documented, and what is refused, with its path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod values;

use std::borrow::Cow;

use graphstream_proto::json::{EntryLine, parse_entry_line, parse_line, write_line};
use graphstream_proto::{Error, JournalEntry, ParamValue, limits};
use proptest::prelude::*;

fn line_of(entry: &JournalEntry) -> String {
    let line = EntryLine {
        sequence: 3,
        commit_ms: 17,
        chain_hash: "0f".repeat(32).into(),
        lineage: None,
        entry: Cow::Borrowed(entry),
    };
    let mut text = String::new();
    write_line(&line, &mut text);
    text
}

/// The value of parameter `p` in an input line.
fn value_of(json: &str) -> Result<ParamValue, Error> {
    let entry = parse_line(&format!("{{\"query\": \"RETURN $p\", \"params\": {{\"p\": {json}}}}}"), 0)?;
    Ok(entry.params.into_iter().next().unwrap().1)
}

fn json_of(value: ParamValue) -> String {
    let line = line_of(&JournalEntry::new("Q", 0).with_param("p", value));
    let start = line.find("\"p\":").unwrap() + 4;
    line[start..line.rfind("},\"timestamp_ms\"").unwrap()].to_owned()
}

fn refused(json: &str) -> String {
    match value_of(json) {
        Err(error) => error.to_string(),
        Ok(value) => panic!("{json} was read as {value:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn entries_survive_json_and_protobuf(entry in values::entry()) {
        let text = line_of(&entry);
        prop_assert!(!text.contains('\n'));
        let line = parse_entry_line(&text).unwrap();
        prop_assert_eq!(line.entry.as_ref(), &entry);
        prop_assert_eq!(line_of(&line.entry), text.clone());
        // The line is an input line too, and what it says can be journaled and printed again.
        let input = parse_line(&text, 99).unwrap();
        prop_assert_eq!(&input, &entry);
        let read = JournalEntry::decode(&input.encode().unwrap(), 1).unwrap();
        prop_assert_eq!(line_of(&read), text.clone());
        // Any JSON parser reads it.
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(parsed["query"].as_str(), Some(entry.query.as_str()));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), json in "[\\[\\]{}:,\"$a-z0-9.eE\\\\ -]{0,80}") {
        let _ = parse_line(&text, 0);
        let _ = parse_entry_line(&json);
        if let Ok(value) = value_of(&json) {
            prop_assert_eq!(value_of(&json_of(value.clone())).unwrap(), value);
        }
    }
}

#[test]
fn every_kind_survives() {
    for (name, value) in values::one_of_each() {
        let json = json_of(value.clone());
        assert_eq!(value_of(&json).unwrap(), value, "{name}: {json}");
    }
}

#[test]
fn values_are_written_as_documented() {
    let expected = [
        "null",
        "false",
        "-9223372036854775808",
        "0",
        "-0.0",
        "{\"$double\":\"NaN(0xfff80000deadbeef)\"}",
        "{\"$double\":\"-Infinity\"}",
        "\"\\u0000\\\"\\\\\\u001f ünï \u{1f980}\u{2028}\"",
        "\"\"",
        "[null,[]]",
        "{\"z\":null,\"a\":true}",
        "{\"$map\":{\"$date\":\"x\"}}",
        "{\"$map\":{\"$map\":{}}}",
        "{\"$bytes\":\"AP+A\"}",
        "{\"$date\":\"2024-02-29\"}",
        "{\"$datetime\":\"2024-02-29T23:59:59.123456789+02:00[Europe/Berlin]\"}",
        "{\"$localdatetime\":\"-0044-03-15T12:00\"}",
        "{\"$time\":\"12:00:00Z\"}",
        "{\"$localtime\":\"12:00:00.5\"}",
        "{\"$duration\":\"P1Y2M3W4DT5H6M7.5S\"}",
        "{\"$point\":{\"srid\":4326,\"x\":-0.0,\"y\":{\"$double\":\"NaN\"}}}",
        "{\"$point\":{\"srid\":0,\"x\":0.0,\"y\":1e300,\"z\":0.0}}",
        "{\"$uuid\":\"01234567-89ab-cdef-0123-456789abcdef\"}",
        "{\"$decimal\":\"-1.10\"}",
        "{\"$int128\":\"-170141183460469231731687303715884105728\"}",
    ];
    let values = values::one_of_each();
    assert_eq!(values.len(), expected.len());
    for ((name, value), expected) in values.into_iter().zip(expected) {
        assert_eq!(json_of(value), expected, "{name}");
    }
}

#[test]
fn a_line_is_written_as_documented() {
    let entry = JournalEntry::new("RETURN \"$a\"", -5)
        .with_param("b", 1_i64)
        .with_param("a", 2.0)
        .with_uuid_override("01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(
        line_of(&entry),
        format!(
            "{{\"sequence\":3,\"commit_ms\":17,\"chain_hash\":\"{}\",\"query\":\"RETURN \\\"$a\\\"\",\
             \"params\":{{\"b\":1,\"a\":2.0}},\"timestamp_ms\":-5,\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\"}}",
            "0f".repeat(32)
        )
    );
}

/// Texts are looked at sixteen bytes at a time: each character is tried at each place of two such pieces and of what is left.
#[test]
fn a_character_is_escaped_wherever_it_stands_and_no_other_is() {
    let others = ['\u{7f}', '\u{80}', 'ü', '\u{2028}', '\u{ffff}', '\u{1f980}'];
    for character in (0..=0x7f_u8).map(char::from).chain(others) {
        let written = match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\0'..='\u{1f}' => format!("\\u{:04x}", u32::from(character)),
            _ => character.to_string(),
        };
        for (before, behind) in (0..36).flat_map(|before| [(before, 0), (before, 1), (before, 20)]) {
            let [before, behind] = [before, behind].map(|count| "x".repeat(count));
            let text = format!("{before}{character}{behind}{character}");
            let json = json_of(ParamValue::String(text.clone()));
            assert_eq!(json, format!("\"{before}{written}{behind}{written}\""));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}

#[test]
fn numbers_are_told_apart_by_how_they_are_written() {
    assert_eq!(value_of("1").unwrap(), ParamValue::Int64(1));
    assert_eq!(value_of("-0").unwrap(), ParamValue::Int64(0));
    assert_eq!(value_of("1.0").unwrap(), ParamValue::Double(1.0));
    assert_eq!(value_of("1e0").unwrap(), ParamValue::Double(1.0));
    assert_eq!(value_of("-0.0").unwrap(), ParamValue::Double(-0.0));
    assert_eq!(value_of("9223372036854775807").unwrap(), ParamValue::Int64(i64::MAX));
    assert_eq!(value_of("9223372036854775808.0").unwrap(), ParamValue::Double(9_223_372_036_854_775_808.0));
    assert_eq!(value_of("2.2250738585072011e-308").unwrap(), ParamValue::Double(2.225_073_858_507_201e-308));
    for large in
        ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "1000000000000000000000"]
    {
        assert!(refused(large).contains("$int128"), "{large}: {}", refused(large));
    }
    assert!(refused("1e999").starts_with("a number too large for a double at $.params.p"));
}

#[test]
fn input_fields_may_be_absent_but_for_the_query() {
    let entry = parse_line(r#" {"query":"Q"} "#, 42).unwrap();
    assert_eq!(entry, JournalEntry::new("Q", 42));
    let entry = parse_line(r#"{"timestamp_ms":-1,"params":{},"query":"Q"}"#, 42).unwrap();
    assert_eq!(entry, JournalEntry::new("Q", -1));
    let error = parse_entry_line(r#"{"query":"Q"}"#).unwrap_err();
    assert_eq!(error.to_string(), "the field `sequence` is missing at $");
}

#[test]
fn params_itself_is_never_a_one_key_value() {
    let entry = parse_line(r#"{"query":"Q","params":{"$date":1}}"#, 0).unwrap();
    assert_eq!(entry.params, [("$date".to_owned(), ParamValue::Int64(1))]);
    let entry = parse_line(r#"{"query":"Q","params":{"$map":{"$uuid":2,"x":1}}}"#, 0).unwrap();
    assert_eq!(entry.params[0].0, "$map");
    assert_eq!(parse_line(&line_of(&entry), 0).unwrap(), entry);
}

#[test]
fn one_key_objects_are_read_and_others_are_maps() {
    let map = |pairs: &[(&str, i64)]| {
        ParamValue::Map(pairs.iter().map(|(key, int)| ((*key).to_owned(), ParamValue::Int64(*int))).collect())
    };
    assert_eq!(value_of(r#"{"$date":1,"x":2}"#).unwrap(), map(&[("$date", 1), ("x", 2)]));
    assert_eq!(value_of(r#"{"$map":{"$date":1}}"#).unwrap(), map(&[("$date", 1)]));
    assert_eq!(value_of(r#"{"$map":{"a":1}}"#).unwrap(), map(&[("a", 1)]));
    assert_eq!(value_of("{}").unwrap(), map(&[]));
    assert_eq!(
        value_of(r#"{"$point":{"y":2,"x":1.5,"srid":7203}}"#).unwrap(),
        ParamValue::Point { srid: 7203, x: 1.5, y: 2.0, z: None }
    );
    // The escape may hide the dollar sign; it is one all the same.
    assert_eq!(value_of(r#"{"\u0024int128":"5"}"#).unwrap(), ParamValue::Int128("5".to_owned()));
}

#[test]
fn wrong_lines_are_refused_with_what_is_wrong_and_where() {
    let cases: &[(&str, &str)] = &[
        ("", "invalid JSON: EOF while parsing a value in column 0 at $"),
        ("{\"query\": \"Q\"", "invalid JSON: EOF while parsing an object in column 13 at $"),
        ("{\"query\": \"Q\"} x", "invalid JSON: trailing characters in column 16 at $"),
        ("\"secret\"", "expected an object, found a string at $"),
        ("[1]", "expected an object, found an array at $"),
        ("{}", "the field `query` is missing at $"),
        ("{\"query\": \"\"}", "an empty query at $.query"),
        ("{\"query\": 5}", "expected a string, found a number at $.query"),
        (
            "{\"query\": \"Q\", \"param\": {}}",
            "an unknown field (known are query, params, timestamp_ms, uuid) at $.param",
        ),
        ("{\"query\": \"Q\", \"query\": \"R\"}", "a key given twice at $.query"),
        ("{\"query\": \"Q\", \"params\": []}", "expected an object, found an array at $.params"),
        ("{\"query\": \"Q\", \"params\": {\"a\": 1, \"a\": 2}}", "a key given twice at $.params.a"),
        ("{\"query\": \"Q\", \"params\": {\"a\": 1, \"\\u0061\": 2}}", "a key given twice at $.params.a"),
        (
            "{\"query\": \"Q\", \"timestamp_ms\": \"1\"}",
            "expected an integer, found a string at $.timestamp_ms",
        ),
        (
            "{\"query\": \"Q\", \"timestamp_ms\": 1.0}",
            "expected an integer, found a double at $.timestamp_ms",
        ),
        (
            "{\"query\": \"Q\", \"timestamp_ms\": 9223372036854775808}",
            "an integer outside -2^63 to 2^63 - 1 at $.timestamp_ms",
        ),
        (
            "{\"query\": \"Q\", \"uuid\": \"secret\"}",
            "a UUID must be 8-4-4-4-12 hexadecimal digits at $.uuid",
        ),
        ("{\"query\": \"Q\", \"sequence\": -1}", "an integer outside 0 to 2^64 - 1 at $.sequence"),
        (
            "{\"query\": \"Q\", \"chain_hash\": \"AB\"}",
            "expected 64 lowercase hexadecimal digits at $.chain_hash",
        ),
    ];
    for (line, expected) in cases {
        let error = parse_line(line, 0).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{line}");
        assert!(std::error::Error::source(&error).is_none(), "printed once, not chained");
    }
}

#[test]
fn wrong_values_are_refused_with_what_is_wrong_and_where() {
    let cases: &[(&str, &str)] = &[
        (
            r#"{"$dat": 1}"#,
            "an unknown kind of value (an object whose only key begins with `$` is written as {\"$map\": {...}}) at $.params.p.$dat",
        ),
        (
            r#"{"$": 1}"#,
            "an unknown kind of value (an object whose only key begins with `$` is written as {\"$map\": {...}}) at $.params.p.$",
        ),
        (r#"{"$date": "2024-02-30"}"#, "a date must be an ISO 8601 date: YYYY-MM-DD at $.params.p.$date"),
        (r#"{"$date": 5}"#, "expected a string, found a number at $.params.p.$date"),
        (r#"[1, {"a b": {"$bytes": "?"}}]"#, "expected base64 with padding at $.params.p[1][\"a b\"].$bytes"),
        (r#"{"$double": "nan"}"#, "expected \"NaN\", \"Infinity\" or \"-Infinity\" at $.params.p.$double"),
        (
            r#"{"$double": "NaN(0x3ff0000000000000)"}"#,
            "expected \"NaN\", \"Infinity\" or \"-Infinity\" at $.params.p.$double",
        ),
        (r#"{"$double": 1.0}"#, "expected a string, found a number at $.params.p.$double"),
        (r#"{"$map": 1}"#, "expected an object, found a number at $.params.p.$map"),
        (r#"{"$point": {"srid": 1, "x": 1.0}}"#, "the field `y` is missing at $.params.p.$point"),
        (
            r#"{"$point": {"srid": 1, "x": 1.0, "y": "a"}}"#,
            "expected a number, found a string at $.params.p.$point.y",
        ),
        (
            r#"{"$point": {"srid": 4294967296, "x": 1, "y": 1}}"#,
            "an integer outside 0 to 2^32 - 1 at $.params.p.$point.srid",
        ),
        (
            r#"{"$point": {"srid": 1, "x": 1, "y": 1, "w": 1}}"#,
            "an unknown field (known are srid, x, y, z) at $.params.p.$point.w",
        ),
        (r#"{"x": {"y": 1, "y": 2}}"#, "a key given twice at $.params.p.x.y"),
        (r#""\ud800""#, "invalid JSON: unexpected end of hex escape in column 8 at $.params.p"),
    ];
    for (json, expected) in cases {
        assert_eq!(refused(json), *expected, "{json}");
    }
}

#[test]
fn k01_messages_contain_no_value_and_long_paths_are_cut() {
    let secret = "s3cr3t";
    for line in [
        format!("\"{secret}\""),
        secret.to_owned(),
        format!("{{\"query\": {{\"a\": \"{secret}\"}}}}"),
        format!("{{\"query\": \"{secret}\", \"params\": \"{secret}\"}}"),
        format!("{{\"query\": \"{secret}\", \"params\": {{\"a\": {{\"$date\": \"{secret}\"}}}}}}"),
        format!("{{\"query\": \"{secret}\", \"params\": {{\"a\": \"{secret}\\q\"}}}}"),
    ] {
        let error = parse_line(&line, 0).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{line}: {error:?}");
    }
    let key = "k".repeat(1000);
    let json = format!("{}1e999{}", format!("{{\"{key}\":").repeat(30), "}".repeat(30));
    let message = refused(&json);
    assert!(message.len() < 2000, "{}", message.len());
    assert!(message.ends_with("and 16 levels more"), "{message}");
}

#[test]
fn h11_deep_nesting_is_refused() {
    let nested = |depth| format!("{}true{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = (limits::MESSAGES_DEEP_MAX - 2) / 2;
    let value = value_of(&nested(deepest)).unwrap();
    assert!(JournalEntry::new("Q", 0).with_param("p", value).encode().is_ok());
    assert!(refused(&nested(deepest + 1)).starts_with("values nested too deep at $.params.p[0][0]"));
    assert!(refused(&nested(200_000)).starts_with("values nested too deep"));
    let maps = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    assert!(refused(&maps).starts_with("values nested too deep"));
}

#[test]
fn h11_too_many_values_and_parameters_are_refused() {
    let list = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert!(value_of(&list(limits::VALUES_MAX - 1)).is_ok());
    assert!(refused(&list(limits::VALUES_MAX + 1)).starts_with("more than 1048576 values in one entry"));
    let lists = format!("[{0},{0}]", list(limits::VALUES_MAX / 2));
    assert!(refused(&lists).starts_with("more than 1048576 values"), "the limit is for the whole entry");
    let params: Vec<String> = (0..=limits::PARAMS_MAX).map(|key| format!("\"{key}\":1")).collect();
    let line = format!("{{\"query\":\"Q\",\"params\":{{{}}}}}", params.join(","));
    let error = parse_line(&line, 0).unwrap_err();
    assert_eq!(error.to_string(), "more than 65536 parameters in one entry at $.params");
    // A value written as an object counts once.
    let dates = format!("[{}{{\"$int128\":\"1\"}}]", "{\"$int128\":\"1\"},".repeat(600_000));
    assert!(value_of(&dates).is_ok());
}

#[test]
fn lines_of_the_jsonl_target_keep_their_lineage() {
    let entry = JournalEntry::new("Q", 1);
    let line = EntryLine {
        sequence: u64::MAX,
        commit_ms: -1,
        chain_hash: "ab".repeat(32).into(),
        lineage: Some("cd".repeat(16).into()),
        entry: Cow::Owned(entry),
    };
    let mut text = String::from("kept ");
    write_line(&line, &mut text);
    let text = text.strip_prefix("kept ").unwrap();
    assert_eq!(parse_entry_line(text).unwrap(), line);
}
