//! The determinism guard's verdicts: a corpus, and what holds for any text.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod guard_corpus;

use graphstream_proto::{JournalEntry, ParamValue, TemporalKind};
use graphstream_replay::guard::{
    AdmitError, DEPTH_MAX, Dialect, EDITS_MAX, Guard, GuardOptions, Place, Reason, Refusal, Token, TokenKind,
    Tokens, Verdict,
};
use guard_corpus::{Expected, cases};
use proptest::prelude::*;

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const NOON_MS: i64 = 1_709_208_000_123;

fn guard(dialect: Dialect) -> Guard {
    Guard::new(GuardOptions::default().with_dialect(dialect))
}

/// An entry as it is admitted, or why it isn't. Nothing here needs randomness.
fn admit(dialect: Dialect, entry: &JournalEntry) -> Result<JournalEntry, Refusal> {
    let random = || panic!("the entry has a UUID");
    match guard(dialect).admit(entry, random) {
        Ok(admitted) => Ok(admitted.into_owned()),
        Err(AdmitError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

fn entry(query: &str) -> JournalEntry {
    JournalEntry::new(query, NOON_MS).with_uuid_override(UUID)
}

#[test]
fn r06_every_statement_of_the_corpus_has_its_verdict() {
    let cases = cases();
    assert!(cases.len() >= 300, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = match admit(case.dialect, &entry(&case.query)) {
            Ok(admitted) if admitted.query == case.query => Expected::Accept,
            Ok(admitted) => Expected::Rewrite(admitted.query),
            Err(refusal) => {
                assert!(!refusal.words.is_empty() || case.query.trim().is_empty(), "line {}", case.line);
                Expected::Refuse { reason: format!("{:?}", refusal.reason), offset: refusal.place.offset }
            }
        };
        if found != case.expected {
            wrong.push(format!(
                "line {}: {}\n  {:?}, expected {:?}",
                case.line, case.query, found, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_refusal_says_where_what_and_what_to_do() {
    let query = "MATCH (n:N)\nSET n.s = 'é', n.x = rand()";
    let refusal = guard(Dialect::Any).check(query).unwrap_err();
    assert_eq!(refusal.place, Place { offset: 34, line: 2, column: 22 });
    assert_eq!(refusal.place.offset, query.find("rand").unwrap());
    assert_eq!((refusal.words.as_str(), refusal.reason), ("rand", Reason::Random));
    assert_eq!(
        refusal.to_string(),
        "rand at line 2, column 22 (byte 34): it gives another result at every replay: compute it first and pass it as a parameter"
    );
}

/// What stands in a text can be a secret: a refusal names functions and keywords only.
#[test]
fn k04_a_refusal_shows_no_values() {
    for query in [
        "'s3cr3t'",
        "\"s3cr3t\" CREATE",
        "CREATE (:N {x: 's3cr3t})",
        "CREATE (:N {x: 's3cr3t', y: rand()})",
        "RETURN 's3cr3t'; RETURN 1",
        "COPY N FROM 's3cr3t'",
        "CALL threads='s3cr3t'",
        "CALL show_tables('s3cr3t')",
        "CREATE (:N {x: now('s3cr3t')})",
        "CREATE (:N) /* s3cr3t",
    ] {
        let refusal = guard(Dialect::Any).check(query).unwrap_err();
        assert!(!refusal.to_string().contains("s3cr3t"), "{refusal}");
    }
    let obeyed = guard(Dialect::Any).check("RETURN `\u{1b}[2J`(1)").unwrap_err();
    assert_eq!(obeyed.words, "\\u{1b}[2j");
    let long = guard(Dialect::Any).check(&"x".repeat(1 << 20)).unwrap_err();
    assert!(long.to_string().len() < 300, "{long}");
}

#[test]
fn the_entrys_values_are_bound_to_what_takes_their_place() {
    let temporal = |kind, text: &str| ParamValue::Temporal { kind, text: text.to_owned() };
    let date = temporal(TemporalKind::Date, "2024-02-29");
    let at = temporal(TemporalKind::LocalDateTime, "2024-02-29T12:00:00.123");
    let uuid = || ParamValue::Uuid(UUID.to_owned());
    let text = || ParamValue::String(UUID.to_owned());
    for (dialect, call, key, value) in [
        (Dialect::Any, "current_date()", "graphstream_date", date.clone()),
        (Dialect::Any, "current_timestamp()", "graphstream_timestamp", at.clone()),
        (Dialect::Ladybug, "current_timestamp()", "graphstream_timestamp", at.clone()),
        (Dialect::Grafeo, "datetime()", "graphstream_timestamp", at),
        (Dialect::Any, "timestamp()", "graphstream_timestamp_ms", ParamValue::Int64(NOON_MS)),
        (Dialect::Any, "time()", "graphstream_time", temporal(TemporalKind::LocalTime, "12:00:00.123")),
        (
            Dialect::Any,
            "zoneddatetime()",
            "graphstream_datetime",
            temporal(TemporalKind::DateTime, "2024-02-29T12:00:00.123Z"),
        ),
        (Dialect::Any, "gen_random_uuid()", "graphstream_uuid", uuid()),
        (Dialect::Any, "`gen_random_uuid`()", "graphstream_uuid", uuid()),
        (Dialect::Any, "randomUUID()", "graphstream_uuid", text()),
        (Dialect::Ladybug, "randomUUID()", "graphstream_uuid", uuid()),
        (Dialect::Grafeo, "gen_random_uuid()", "graphstream_uuid", text()),
    ] {
        let entry = entry(&format!("CREATE (:N {{x: {call}}})")).with_param("kept", 1_i64);
        let admitted = admit(dialect, &entry).unwrap();
        assert_eq!(admitted.query, format!("CREATE (:N {{x: ${key}}})"), "{call}");
        assert_eq!(
            admitted.params,
            [("kept".to_owned(), ParamValue::Int64(1)), (key.to_owned(), value)],
            "{call}"
        );
        assert_eq!((admitted.timestamp_ms, admitted.uuid_override.as_deref()), (NOON_MS, Some(UUID)));
        admitted.encode().unwrap();
        // It is what it is from then on.
        assert_eq!(admit(dialect, &admitted).unwrap(), admitted);
    }
    // A parameter of the entry's own is not overwritten.
    let own = entry("CREATE (:N {d: current_date()})").with_param("Graphstream_Date", "mine");
    let admitted = admit(Dialect::Any, &own).unwrap();
    assert_eq!(admitted.query, "CREATE (:N {d: $graphstream_date_2})");
    assert_eq!(
        admitted.params,
        [("Graphstream_Date".to_owned(), "mine".into()), ("graphstream_date_2".to_owned(), date)]
    );
}

#[test]
fn an_entry_without_a_uuid_gets_one_if_it_needs_it() {
    let guard = Guard::default();
    let needs = JournalEntry::new("CREATE (:U {id: gen_random_uuid()})", 0);
    let admitted = guard.admit(&needs, || Ok([0xff; 16])).unwrap();
    assert_eq!(admitted.uuid_override.as_deref(), Some("ffffffff-ffff-4fff-bfff-ffffffffffff"));
    admitted.encode().unwrap();
    let failed = guard.admit(&needs, || Err(std::io::Error::other("no entropy"))).unwrap_err();
    assert!(matches!(failed, AdmitError::Random(_)), "{failed}");
    let nothing = || panic!("it needs none");
    let needs_none = JournalEntry::new("CREATE (:N {d: current_date()})", 0);
    assert_eq!(guard.admit(&needs_none, nothing).unwrap().uuid_override, None);
}

#[test]
fn a_timestamp_beyond_the_calendar_takes_no_clocks_place() {
    for timestamp_ms in [i64::MIN, -62_135_596_800_001, 253_402_300_800_000, i64::MAX] {
        let entry = JournalEntry::new("CREATE (:N {at: current_timestamp()})", timestamp_ms);
        let refusal = admit(Dialect::Any, &entry).unwrap_err();
        assert_eq!((refusal.reason, refusal.place.offset), (Reason::Timestamp, 16));
        // Nobody needs it here.
        admit(Dialect::Any, &JournalEntry::new("CREATE (:N {id: 1})", timestamp_ms)).unwrap();
    }
}

#[test]
fn what_is_allowed_by_name_is_accepted() {
    let options =
        GuardOptions::default().with_function("My_Macro").with_function("db.labels").with_function("rand");
    let guard = Guard::new(options);
    for query in [
        "CREATE (:N {x: my_macro(1)})",
        "CALL db.labels() YIELD label CREATE (:N {s: label})",
        "RETURN rand()",
    ] {
        assert_eq!(guard.check(query), Ok(Verdict::AsItIs), "{query}");
    }
    assert_eq!(guard.check("RETURN other(1)").unwrap_err().reason, Reason::UnknownFunction);
    // What a procedure gives comes in any order.
    let limited = guard.check("CALL db.labels() YIELD label WITH label LIMIT 1 CREATE (:N {s: label})");
    assert_eq!(limited.unwrap_err().reason, Reason::UnorderedLimit);
}

#[test]
fn h01_nesting_calls_and_length_are_bounded() {
    let check = |query: String| guard(Dialect::Any).check(&query);
    let nested = |depth: usize| format!("RETURN {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(check(nested(DEPTH_MAX)), Ok(Verdict::AsItIs));
    assert_eq!(check(nested(DEPTH_MAX + 1)).unwrap_err().reason, Reason::TooDeep);
    let clocks = |count: usize| format!("RETURN {}1", "now(), ".repeat(count));
    assert_eq!(check(clocks(EDITS_MAX)), Ok(Verdict::Rewritten));
    assert_eq!(check(clocks(EDITS_MAX + 1)).unwrap_err().reason, Reason::TooManyCalls);
    // Each of these would be slow if anything were looked at again and again.
    for unit in [
        "a.",
        "a ",
        "/**/",
        "'x' ",
        "`a`.",
        "$graphstream_date ",
        "(), ",
        "1..",
        "x -> ",
        "IN ",
        ";",
        "// \n",
        "LIMIT ",
    ] {
        let started = std::time::Instant::now();
        let _ = check(format!("RETURN {}", unit.repeat((1 << 19) / unit.len())));
        assert!(started.elapsed().as_secs() < 20, "{unit:?} took {:?}", started.elapsed());
    }
    let mut crowded = entry("RETURN current_date()");
    crowded.params = (0..20_000).map(|n| (format!("graphstream_date_{n}"), ParamValue::Null)).collect();
    crowded.params.push(("graphstream_date".to_owned(), ParamValue::Null));
    let admitted = admit(Dialect::Any, &crowded).unwrap();
    assert_eq!(admitted.query, "RETURN $graphstream_date_20000");
}

fn tokens(query: &str, dialect: Dialect) -> Option<Vec<Token<'_>>> {
    Tokens::new(query, dialect).collect::<Result<_, _>>().ok()
}

/// Pieces of statements, so that random texts go deep.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "CREATE",
        "MATCH",
        "MERGE",
        "SET",
        "WITH",
        "RETURN",
        "UNWIND",
        "LIMIT 1",
        "SKIP",
        "ORDER BY",
        "ON",
        "FOREACH",
        "CALL",
        "UNION",
        "DISTINCT",
        "AS",
        "DEFAULT",
        "MACRO",
        "NODE",
        "TABLE",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        ";",
        ".",
        "|",
        "-",
        ">",
        "=",
        "$",
        "$p",
        "$graphstream_uuid",
        "rand",
        "now",
        "date",
        "gen_random_uuid",
        "collect",
        "count",
        "nextval",
        "id",
        "n",
        "N",
        "`x`",
        "'s'",
        "\"t\"",
        "1",
        "1.5",
        "//",
        "/*",
        "*/",
        "\n",
        "\r",
        "`",
        "'",
        "\\",
        "\u{e9}",
        "\u{17f}et",
        "\u{180e}",
        "IN",
        "LOAD",
        "FROM",
        "()",
    ];
    prop_oneof![
        6 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec((piece(), prop_oneof![Just(""), Just(" ")]), 0..40)
            .prop_map(|pieces| pieces.iter().map(|(piece, space)| format!("{piece}{space}")).collect()),
        any::<String>(),
        // A statement of the corpus, cut and with something in it.
        (proptest::sample::select(cases()), any::<proptest::sample::Index>(), piece()).prop_map(
            |(case, at, piece)| {
                let mut query = case.query;
                let boundaries: Vec<usize> =
                    query.char_indices().map(|(at, _)| at).chain([query.len()]).collect();
                query.insert_str(boundaries[at.index(boundaries.len())], &piece);
                query
            }
        ),
    ]
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Any), Just(Dialect::Ladybug), Just(Dialect::Grafeo)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn tokens_cover_the_text(query in text(), dialect in dialect()) {
        let mut tokens = Tokens::new(&query, dialect);
        let (mut at, mut failed) = (0, false);
        for token in tokens.by_ref() {
            let Ok(token) = token else { failed = true; break };
            prop_assert_eq!(token.offset, at);
            prop_assert!(!token.text.is_empty());
            at += token.text.len();
            prop_assert_eq!(&query[token.offset..at], token.text);
        }
        prop_assert_eq!(tokens.offset(), at);
        prop_assert!(tokens.next().is_none());
        prop_assert!(failed || at == query.len());
    }

    #[test]
    fn h02_no_text_makes_it_panic_and_what_it_admits_it_admits_again(query in text(), dialect in dialect()) {
        match admit(dialect, &entry(&query)) {
            Ok(admitted) => prop_assert_eq!(admit(dialect, &admitted).expect("it was admitted"), admitted),
            Err(refusal) => {
                prop_assert!(query.is_char_boundary(refusal.place.offset));
                prop_assert_eq!(refusal.place, Place::of(&query, refusal.place.offset));
            }
        }
    }

    /// Space and comments between tokens mean nothing.
    #[test]
    fn a_verdict_does_not_depend_on_what_stands_between_tokens(
        case in proptest::sample::select(cases()),
        between in proptest::collection::vec(
            prop_oneof![Just(""), Just(" "), Just("\n"), Just("\t "), Just("/* rand() */"), Just("// now()\n"), Just("/**/")],
            1..8,
        ),
    ) {
        let Some(tokens) = tokens(&case.query, case.dialect) else { return Ok(()) };
        let mut spaced = String::new();
        let mut starts = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            // What is an operator together stays together; a comment made of `/` and `*` is another text, and one to the
            // line's end needs that end.
            let joined = index.checked_sub(1).is_some_and(|before| {
                let before = tokens[before];
                (before.kind, token.kind) == (TokenKind::Symbol, TokenKind::Symbol) || before.text.starts_with("//")
            });
            if !joined {
                spaced.push_str(between[index % between.len()]);
            }
            starts.push((token.offset, spaced.len()));
            spaced.push_str(token.text);
        }
        let verdict = |query: &str| admit(case.dialect, &entry(query));
        match (verdict(&case.query), verdict(&spaced)) {
            (Ok(before), Ok(after)) => prop_assert_eq!(before.params, after.params),
            (Err(before), Err(after)) => {
                prop_assert_eq!((&before.words, before.reason), (&after.words, after.reason), "{}", spaced);
                if let Some((_, moved)) = starts.iter().find(|(at, _)| *at == before.place.offset) {
                    prop_assert_eq!(*moved, after.place.offset, "{}", spaced);
                }
            }
            (before, after) => prop_assert!(false, "{before:?} became {after:?}: {spaced}"),
        }
    }

    /// Keywords and functions are the same in capitals; a name in backticks is the same function.
    #[test]
    fn a_verdict_does_not_depend_on_capitals(case in proptest::sample::select(cases()), seed in any::<u64>()) {
        let Some(tokens) = tokens(&case.query, case.dialect) else { return Ok(()) };
        let mut random = seed;
        let folded: String = tokens.iter().map(|token| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (token.kind, random >> 62) {
                (TokenKind::Word, 0) if token.text.is_ascii() => token.text.to_ascii_uppercase(),
                (TokenKind::Word, 1) if token.text.is_ascii() => token.text.to_ascii_lowercase(),
                _ => token.text.to_owned(),
            }
        }).collect();
        let reason = |query: &str| admit(case.dialect, &entry(query)).map(|_| ()).map_err(|refusal| (refusal.reason, refusal.place));
        prop_assert_eq!(reason(&case.query), reason(&folded), "{}", folded);
    }
}
