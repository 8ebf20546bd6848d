//! H03: what is a key, and what is not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use graphstream_storage::{Error, ErrorClass, Key, KeyProblem, Version};
use proptest::prelude::*;

fn problem(text: &str) -> (usize, KeyProblem) {
    match Key::new(text) {
        Err(error @ Error::InvalidKey { offset, problem }) => {
            assert_eq!(error.class(), ErrorClass::Other);
            (offset, problem)
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn h03_keys_that_lead_out_of_the_store_are_refused() {
    for (text, expected) in [
        ("", (0, KeyProblem::Empty)),
        ("/", (0, KeyProblem::Absolute)),
        ("/etc/passwd", (0, KeyProblem::Absolute)),
        ("..", (0, KeyProblem::Dots)),
        (".", (0, KeyProblem::Dots)),
        ("../x", (0, KeyProblem::Dots)),
        ("a/../b", (2, KeyProblem::Dots)),
        ("a/b/..", (4, KeyProblem::Dots)),
        ("a/./b", (2, KeyProblem::Dots)),
        ("a//b", (2, KeyProblem::EmptySegment)),
        ("a/", (2, KeyProblem::EmptySegment)),
        ("a\0b", (1, KeyProblem::Character)),
        ("a/b\nc", (3, KeyProblem::Character)),
        ("a\\..\\b", (1, KeyProblem::Character)),
        ("c:\\x", (2, KeyProblem::Character)),
        ("a\u{7f}", (1, KeyProblem::Character)),
        ("a\u{85}", (1, KeyProblem::Character)),
        ("a\u{ffff}", (1, KeyProblem::Character)),
    ] {
        assert_eq!(problem(text), expected, "{text:?}");
    }
    assert_eq!(problem(&"x/".repeat(513)[..1025]), (1024, KeyProblem::TooLong));
    assert_eq!(problem(&format!("a/{}", "x".repeat(256))), (2, KeyProblem::SegmentTooLong));
    assert!(Key::new(format!("{}/{}", "x".repeat(255), "é".repeat(127))).is_ok());
}

#[test]
fn h03_an_invalid_key_is_not_repeated_in_the_message() {
    let text = Key::new("../secret\0").unwrap_err().to_string();
    assert_eq!(text, "invalid key: a segment is `.` or `..` (at byte 0)");
}

#[test]
fn joins_segments_and_prefixes() {
    let key = Key::new("db").unwrap().join("seg/0/x.hadbj").unwrap();
    assert_eq!(key.as_str(), "db/seg/0/x.hadbj");
    assert_eq!(key.segments().collect::<Vec<_>>(), ["db", "seg", "0", "x.hadbj"]);
    assert_eq!((key.name(), key.as_prefix().as_str()), ("x.hadbj", "db/seg/0/x.hadbj/"));
    for bad in ["", "/x", "../x", "x/"] {
        assert!(key.join(bad).is_err(), "{bad:?}");
    }
    assert!(
        Key::is_segment("x") && !Key::is_segment("x/y") && !Key::is_segment("..") && !Key::is_segment("")
    );
}

#[test]
fn versions_from_a_store_are_bounded_and_printable() {
    assert!(Version::new("\"d41d8cd98f00b204e9800998ecf8427e-3\"").is_ok());
    for bad in ["", "a\nb", "é", &"x".repeat(513)] {
        assert_eq!(Version::new(bad).unwrap_err().class(), ErrorClass::Corrupt);
    }
}

proptest! {
    #[test]
    fn h03_an_accepted_key_is_a_relative_path_without_steps_back(text in "[a./\\\\\u{0}~é]{0,12}|.{0,20}") {
        if let Ok(key) = Key::new(text.clone()) {
            prop_assert_eq!(key.as_str(), &text);
            let path = std::path::Path::new(&text);
            prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            prop_assert_eq!(path.components().count(), key.segments().count());
            prop_assert!(!text.contains(['\0', '\\']));
        }
    }
}
