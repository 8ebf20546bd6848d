use proptest::collection::vec;
use proptest::prelude::*;

use super::shape::{Shaper, likeness};
use super::*;
use crate::limits;
use crate::varint;

fn rows(entries: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut rows = Vec::new();
    for (index, (payload, delta)) in entries.iter().enumerate() {
        varint::write(payload.len() as u64, &mut rows);
        varint::write(if index == 0 { 0 } else { *delta }, &mut rows);
        rows.extend_from_slice(payload);
    }
    rows
}

/// The rows that a columnar form stands for, as far as the decoder alone can tell.
fn decoded(columnar: &[u8], count: u32, raw_len: usize) -> Option<Vec<u8>> {
    if let Form::Rows { start } = form_of(columnar, raw_len)? {
        return Some(columnar[start..].to_vec());
    }
    let mut decoder = Decoder::default();
    decoder.begin(columnar, count)?;
    let mut buffer = vec![0xee; raw_len + SLACK];
    let (mut payloads, mut rows) = (Building::new(&mut buffer), Vec::new());
    for _ in 0..count {
        let start = payloads.at;
        let delta = decoder.next(columnar, &mut payloads)?;
        let payload = payloads.since(start)?;
        varint::write(payload.len() as u64, &mut rows);
        varint::write(delta, &mut rows);
        rows.extend_from_slice(payload);
    }
    decoder.finished().then_some(rows)
}

fn check(encoder: &mut Encoder, entries: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let rows = rows(entries);
    let columnar = encoder.encode(&rows, entries.len() as u32).to_vec();
    assert!(columnar.len() <= rows.len() + COLUMNAR_OVERHEAD_MAX);
    assert!(decoded(&columnar, entries.len() as u32, rows.len()) == Some(rows), "{columnar:02x?}");
    columnar
}

fn field(number: u64, wire_type: u64, out: &mut Vec<u8>) {
    varint::write(number << 3 | wire_type, out);
}

fn delimited(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    field(number, 2, out);
    varint::write(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn number(number: u64, value: u64, out: &mut Vec<u8>) {
    field(number, 0, out);
    varint::write(value, out);
}

/// An entry as `journal.proto` has it: a query, parameters {id, name, score}, a time.
fn entry(query: &str, id: u64, name: &str, time: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    delimited(1, query.as_bytes(), &mut payload);
    let mut value = Vec::new();
    number(3, id, &mut value);
    let mut text = Vec::new();
    delimited(5, name.as_bytes(), &mut text);
    let mut score = Vec::new();
    field(4, 1, &mut score);
    score.extend_from_slice(&(id as f64 / 3.0).to_le_bytes());
    for (key, value) in [("id", value), ("name", text), ("score", score)] {
        let mut param = Vec::new();
        delimited(1, key.as_bytes(), &mut param);
        delimited(2, &value, &mut param);
        delimited(2, &param, &mut payload);
    }
    number(3, time, &mut payload);
    payload
}

/// What the grammar knows, what it does not, and what looks like it.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        any::<u64>().prop_map(|value| {
            let mut out = Vec::new();
            number(3, value, &mut out);
            out
        }),
        vec(any::<u8>(), 0..200).prop_map(|bytes| {
            let mut out = Vec::new();
            delimited(5, &bytes, &mut out);
            out
        }),
        vec(any::<u8>(), 0..12),
    ];
    let param = (vec(any::<u8>(), 0..4), value, any::<bool>()).prop_map(|(key, value, turned)| {
        let mut out = Vec::new();
        if turned {
            delimited(2, &value, &mut out);
        }
        delimited(1, &key, &mut out);
        if !turned {
            delimited(2, &value, &mut out);
        }
        out
    });
    let one = prop_oneof![
        (1..6_u64, param).prop_map(|(at, param)| {
            let mut out = Vec::new();
            delimited(at, &param, &mut out);
            out
        }),
        (1..5_u64, any::<u64>()).prop_map(|(at, value)| {
            let mut out = Vec::new();
            number(at, value, &mut out);
            out
        }),
        (1..5_u64, any::<[u8; 8]>()).prop_map(|(at, value)| {
            let mut out = Vec::new();
            field(at, 1, &mut out);
            out.extend_from_slice(&value);
            out
        }),
        vec(any::<u8>(), 0..3),
    ];
    vec(one, 0..5).prop_map(|fields| fields.concat())
}

proptest! {
    #[test]
    fn any_payloads_come_back(entries in vec((vec(any::<u8>(), 0..40), any::<u64>()), 1..40)) {
        check(&mut Encoder::default(), &entries);
    }

    /// With an encoder that was used before: nothing of a frame is left in the next.
    #[test]
    fn messages_and_what_looks_like_them_come_back(
        frames in vec(vec((fields(), 0..3_u64), 1..40), 1..4),
        again in 0..4_usize,
    ) {
        let mut encoder = Encoder::default();
        for mut entries in frames {
            let once = entries.clone();
            for _ in 0..again {
                entries.extend_from_slice(&once);
            }
            let columnar = check(&mut encoder, &entries);
            prop_assert_eq!(columnar, check(&mut Encoder::default(), &entries));
        }
    }

    #[test]
    fn h01_any_bytes_are_refused_or_decoded_within_limits(bytes in vec(any::<u8>(), 0..200), count in 1..50_u32) {
        let _ = decoded(&bytes, count, 4_096);
    }

    /// What is damaged gives other rows or none, and never more than was said.
    #[test]
    fn h01_a_changed_columnar_form_stays_within_its_length(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let entries: Vec<_> =
            (0..30).map(|id| (entry("CREATE (:Person)", id, "a name", 1_700_000_000_000 + id), 1)).collect();
        let rows = rows(&entries);
        let mut columnar = Encoder::default().encode(&rows, 30).to_vec();
        let at = at.index(columnar.len());
        if cut {
            columnar.truncate(at);
        } else {
            columnar[at] = byte;
        }
        if let Some(found) = decoded(&columnar, 30, rows.len()) {
            prop_assert!(found.len() <= rows.len() + 30 * limits::ENTRY_OVERHEAD_BYTES_MAX);
        }
    }
}

#[test]
fn entries_of_one_query_take_little_more_than_what_differs() {
    let query = "CREATE (:Person {id: $id, name: $name, score: $score})";
    let entries: Vec<_> = (0..500)
        .map(|id| (entry(query, 10_000_000_000 + id, "Ada", 1_700_000_000_000 + 40 * id), 0))
        .collect();
    let columnar = check(&mut Encoder::default(), &entries);
    // Shape and commit time one byte each, time 1, id 1, name 4, score 8.
    assert!(columnar.len() < 500 * 16 + 300, "{} bytes", columnar.len());
}

#[test]
fn numbers_are_stored_as_differences_to_what_they_are_near() {
    let entries: Vec<_> = (0..400_u64)
        .map(|index| {
            let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (entry("q", (scattered >> 20) + index % 50, "", scattered >> 20), 0)
        })
        .collect();
    let columnar = check(&mut Encoder::default(), &entries);
    // Six to seven bytes of time; none of the number but one.
    assert!(columnar.len() < 400 * (2 + 7 + 1 + 1 + 8) + 300, "{} bytes", columnar.len());
}

#[test]
fn more_shapes_than_a_frame_may_have_are_payloads_without_structure() {
    let entries: Vec<_> =
        (0..1000_u64).map(|id| (entry(&format!("query {}", id % 500), id, "", id), 0)).collect();
    let columnar = check(&mut Encoder::default(), &entries);
    assert_eq!(usize::from(columnar[0]), limits::FRAME_SHAPES_MAX);
}

#[test]
fn a_shape_of_too_many_operations_is_a_payload_without_structure() {
    let mut payload = Vec::new();
    for value in 0..limits::FRAME_OPERATIONS_MAX as u64 {
        number(7, value % 100, &mut payload);
    }
    let mut entries = vec![(payload.clone(), 0), (payload, 0)];
    entries.extend((0..50).map(|id| (entry("CREATE (:Person)", id, "", id), 0)));
    let columnar = check(&mut Encoder::default(), &entries);
    assert!(columnar.starts_with(&[2, op::WHOLE, op::END]), "{:?}", &columnar[..3]);
}

#[test]
fn shapes_may_have_all_the_operations_there_are_room_for_a_payload_without_structure_included() {
    // A literal and a number for each field, and the end.
    let payload = |fields: usize| {
        let mut payload = Vec::new();
        (0..fields as u64).for_each(|value| number(7, value % 100, &mut payload));
        payload
    };
    let most = (limits::FRAME_OPERATIONS_MAX - WHOLE_OPERATIONS - 1) / 2;
    // With one field more there are only rows: columns of payloads without structure take no less.
    // An empty message is three more.
    for (fields, messages, shapes) in [(most, 0, 2), (most - 1, 1, 2), (most, 1, 0), (most + 1, 0, 0)] {
        let mut payload = payload(fields);
        (0..messages).for_each(|_| delimited(2, &[], &mut payload));
        // So many that columns take less than rows.
        let mut entries = vec![(payload, 0); 20];
        entries.push((vec![0xff; 20], 0));
        let columnar = check(&mut Encoder::default(), &entries);
        assert_eq!(columnar[0], shapes, "{fields} fields, {messages} messages");
    }
}

#[test]
fn a_column_is_coded_by_what_most_of_its_numbers_take() {
    // The first two say nothing of the others.
    let id = |at: u64| if at < 2 { at } else { 10_000_000 + at };
    let entries: Vec<_> = (0..1000).map(|at| (entry("CREATE (:Person)", id(at), "", 5), 0)).collect();
    let columnar = check(&mut Encoder::default(), &entries);
    // Shape, commit time and time of each; a difference, a length, a score.
    assert!(columnar.len() < 1000 * (3 + 1 + 1 + 8) + 200, "{} bytes", columnar.len());
}

#[test]
fn a_shape_is_followed_by_whatever_has_it() {
    let texts = ["", "a", "a text that is longer than sixteen bytes", "x"];
    let payloads: Vec<_> = texts
        .into_iter()
        .zip([1, 127, 128, u64::MAX])
        .map(|(text, id)| {
            entry("MATCH (p:Person {id: $id}) SET p.name = $name, p.score = $score", id, text, id / 2)
        })
        .collect();
    for one in &payloads {
        let mut taken = Shaper::default();
        assert!(taken.take_apart(one));
        let shape = taken.shape.clone();
        for other in &payloads {
            let mut following = Shaper::default();
            assert!(following.follow(&shape, other));
            assert!(taken.take_apart(other) && taken.shape == shape);
            assert_eq!((&following.slots, following.time), (&taken.slots, taken.time));
            // Neither what goes on behind it nor what ends in it has it.
            let longer = [other.as_slice(), &[0x18, 1]].concat();
            assert!(!following.follow(&shape, &longer));
            for cut in 0..other.len() {
                assert!(!following.follow(&shape, &other[..cut]), "cut at {cut}");
            }
        }
    }
}

#[test]
fn payloads_of_one_query_are_alike_and_of_others_rarely() {
    let queries: Vec<_> = (0..64)
        .map(|at| format!("MATCH (p:Person {{id: $id}}) SET p.{} = ${}", "field".repeat(at % 4 + 1), at / 4))
        .collect();
    let of = |query: &str, id| likeness(&entry(query, id, "name", id));
    let mut places = std::collections::BTreeSet::new();
    for query in &queries {
        assert!(of(query, 1).is_some() && of(query, 1) == of(query, 1 << 40), "{query}");
        places.insert(of(query, 1).unwrap() >> 56);
    }
    // 64 into 256 by chance: 57 in the mean.
    assert!(places.len() >= 50, "{}", places.len());
    assert_eq!((likeness(b""), likeness(&[0x0a]), likeness(&[0x0a, 5, b'a'])), (None, None, None));
    assert_eq!(likeness(&[0x12, 1, b'a']), None);
}

#[test]
fn a_payload_larger_than_a_frame_is_a_row() {
    let payload = vec![8; limits::FRAME_RAW_BYTES_MAX + 1];
    let columnar = check(&mut Encoder::default(), &[(payload, 0)]);
    assert_eq!(columnar[0], 0);
}

/// Each frame has much in other columns than the ones before it.
#[test]
fn h01_an_encoder_does_not_keep_what_every_frame_needed() {
    let mut encoder = Encoder::default();
    for frame in 0..100 {
        let mut payload = Vec::new();
        for _ in 0..frame {
            number(7, 1, &mut payload);
        }
        delimited(9, &vec![frame as u8; 100_000], &mut payload);
        check(&mut encoder, &[(payload.clone(), 0), (payload, 0)]);
    }
    assert!(encoder.kept_bytes() < 3 << 20, "{} bytes", encoder.kept_bytes());
}

/// Small numbers take many times their bytes as columns: one such frame alone is more than is kept, each in a shape behind those of the frames before.
#[test]
fn an_encoder_keeps_what_an_ordinary_frame_needed() {
    let mut encoder = Encoder::default();
    let entries: Vec<_> = (0..1000).map(|id| (entry("CREATE (:Person)", id, "Ada", id), 0)).collect();
    check(&mut encoder, &entries);
    let kept = encoder.kept_bytes();
    check(&mut encoder, &entries[..1]);
    assert!(kept > 10_000 && encoder.kept_bytes() == kept, "{kept}, then {}", encoder.kept_bytes());
}

#[test]
fn h01_an_encoder_keeps_nothing_of_a_frame_that_needed_much() {
    let numbers = |count| {
        let mut payload = Vec::new();
        (0..count).for_each(|_| number(7, 1, &mut payload));
        (payload, 0)
    };
    let mut encoder = Encoder::default();
    for shapes_before in 1..10 {
        let mut frame: Vec<_> = (1..=shapes_before).map(numbers).collect();
        frame.resize(3000, numbers(40));
        check(&mut encoder, &frame);
        assert!((2 << 20..4 << 20).contains(&encoder.kept_bytes()), "{} bytes", encoder.kept_bytes());
    }
}

#[test]
fn nested_lengths_of_any_size_come_back() {
    for len in [0, 1, 100, 122, 123, 124, 125, 126, 127, 128, 129, 16_370, 16_380, 16_384, 20_000, 100_000] {
        let text = "x".repeat(len);
        let columnar =
            check(&mut Encoder::default(), &[(entry("q", 1, &text, 1), 0), (entry("q", 2, &text, 2), 5)]);
        assert!(columnar[0] < 2);
    }
}

/// A columnar form by hand: shapes, then streams.
fn form(shapes: &[&[u8]], streams: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![shapes.len() as u8];
    out.extend(shapes.concat());
    for stream in streams {
        varint::write(stream.len() as u64, &mut out);
        out.extend_from_slice(stream);
    }
    out
}

/// What a shape may be made of, with the values of its slots.
#[derive(Clone, Debug)]
enum Part {
    Literal(Vec<u8>),
    Varint(u64),
    Fixed([u8; 8]),
    Bytes(Vec<u8>),
    Inside(Vec<Self>),
}

fn part() -> impl Strategy<Value = Part> {
    let len = prop_oneof![0..4_usize, 25..35_usize, 110..140_usize];
    let bytes = (any::<u8>(), len).prop_map(|(byte, len)| vec![byte; len]);
    let literal = bytes.clone().prop_map(|bytes| Part::Literal([&[1], &bytes[..]].concat()));
    let number = (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| Part::Varint(number >> shift));
    let slot = prop_oneof![number, any::<[u8; 8]>().prop_map(Part::Fixed), bytes.prop_map(Part::Bytes)];
    prop_oneof![literal, slot].prop_recursive(2, 12, 4, |inner| vec(inner, 0..4).prop_map(Part::Inside))
}

/// Appends what parts are: to a shape, to the streams of their slots, to a payload.
fn add(parts: &[Part], shape: &mut Vec<u8>, streams: &mut Vec<Vec<u8>>, payload: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Literal(bytes) => {
                shape.push(op::LITERAL);
                varint::write(bytes.len() as u64, shape);
                shape.extend_from_slice(bytes);
                payload.extend_from_slice(bytes);
            }
            Part::Varint(number) => {
                shape.push(op::VARINT);
                let mut stream = vec![coding::PLAIN];
                varint::write(zigzag(*number), &mut stream);
                streams.push(stream);
                varint::write(*number, payload);
            }
            Part::Fixed(bytes) => {
                shape.push(op::FIXED);
                streams.push(bytes.to_vec());
                payload.extend_from_slice(bytes);
            }
            Part::Bytes(bytes) => {
                shape.push(op::BYTES);
                let mut lengths = Vec::new();
                varint::write(bytes.len() as u64, &mut lengths);
                varint::write(bytes.len() as u64, payload);
                streams.extend([lengths, bytes.clone()]);
                payload.extend_from_slice(bytes);
            }
            Part::Inside(parts) => {
                let mut inside = Vec::new();
                shape.push(op::OPEN);
                add(parts, shape, streams, &mut inside);
                shape.push(op::CLOSE);
                varint::write(inside.len() as u64, payload);
                payload.extend_from_slice(&inside);
            }
        }
    }
}

proptest! {
    /// Steps are what the shape's operations are one by one, whatever of it does not change: also shapes that no writer makes.
    #[test]
    fn any_shape_builds_what_its_operations_append(payloads in vec(vec(part(), 0..6), 1..4)) {
        let (mut shapes, mut columns, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for parts in &payloads {
            let (mut shape, mut payload) = (Vec::new(), Vec::new());
            add(parts, &mut shape, &mut columns, &mut payload);
            shape.push(op::END);
            shapes.push(shape);
            expected.push((payload, 0));
        }
        let ids: Vec<u8> = (0..payloads.len() as u8).collect();
        let (deltas, times) = (vec![0; payloads.len()], Vec::new());
        let streams: Vec<&[u8]> =
            [&ids, &deltas, &times].into_iter().chain(&columns).map(Vec::as_slice).collect();
        let columnar = form(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>(), &streams);
        let rows = rows(&expected);
        prop_assert_eq!(decoded(&columnar, payloads.len() as u32, rows.len()), Some(rows));
    }
}

#[test]
fn h01_each_defect_of_a_columnar_form_is_refused() {
    use op::*;
    let number: &[u8] = &[LITERAL, 1, b'n', VARINT, END];
    let good = form(&[number], &[&[0, 0], &[0, 3], &[], &[coding::PLAIN, 2, 4]]);
    assert_eq!(decoded(&good, 2, 8), Some(vec![2, 0, b'n', 1, 2, 3, b'n', 2]));
    let number_with = |streams: &[&[u8]]| form(&[number], streams);
    let shape_alone = |shape: &[u8]| form(&[shape], &[&[0], &[0], &[], &[coding::PLAIN, 0], &[0], &[0]]);
    let long = [&[VARINT; limits::FRAME_OPERATIONS_MAX][..], &[END]].concat();
    for (what, columnar) in [
        ("nothing", Vec::new()),
        ("no shape", form(&[], &[&[0, 0], &[0, 3], &[]])),
        ("rows of another length", vec![0, 1, 0, b'n', 1, 3, b'n', b'n']),
        ("an unknown shape", number_with(&[&[0, 1], &[0, 3], &[], &[coding::PLAIN, 2, 4]])),
        ("a shape too few", number_with(&[&[0], &[0, 3], &[], &[coding::PLAIN, 2, 4]])),
        ("a shape too many", number_with(&[&[0, 0, 0], &[0, 3], &[], &[coding::PLAIN, 2, 4]])),
        ("a commit time too few", number_with(&[&[0, 0], &[0], &[], &[coding::PLAIN, 2, 4]])),
        ("a commit time too many", number_with(&[&[0, 0], &[0, 3, 3], &[], &[coding::PLAIN, 2, 4]])),
        ("a time that nobody has", number_with(&[&[0, 0], &[0, 3], &[1], &[coding::PLAIN, 2, 4]])),
        ("a number too few", number_with(&[&[0, 0], &[0, 3], &[], &[coding::PLAIN, 2]])),
        ("a number too many", number_with(&[&[0, 0], &[0, 3], &[], &[coding::PLAIN, 2, 4, 6]])),
        ("a long varint", number_with(&[&[0, 0], &[0, 3], &[], &[coding::PLAIN, 0x82, 0, 4]])),
        ("an unknown coding", number_with(&[&[0, 0], &[0, 3], &[], &[3, 2, 4]])),
        ("no coding", number_with(&[&[0, 0], &[0, 3], &[], &[]])),
        ("no column", number_with(&[&[0, 0], &[0, 3], &[]])),
        ("a column too many", number_with(&[&[0, 0], &[0, 3], &[], &[coding::PLAIN, 2, 4], &[]])),
        ("a stream beyond the end", [&good[..good.len() - 4], &[200]].concat()),
        ("a payload too long", form(&[&[BYTES, END]], &[&[0, 0], &[0, 3], &[], &[9, 9], &[7; 18]])),
        ("more text than there is", form(&[&[BYTES, END]], &[&[0, 0], &[0, 3], &[], &[1, 2], &[7, 7]])),
        ("less text than there is", form(&[&[BYTES, END]], &[&[0, 0], &[0, 3], &[], &[1, 0], &[7, 7]])),
        ("half of a fixed", form(&[&[FIXED, END]], &[&[0], &[0], &[], &[7; 4]])),
    ] {
        assert_eq!(decoded(&columnar, 2, 8), None, "{what}");
    }
    assert!(decoded(&shape_alone(&[OPEN, OPEN, VARINT, CLOSE, CLOSE, WHOLE, END]), 1, 100).is_none());
    for (what, shape) in [
        ("no end", &[VARINT][..]),
        ("an unknown operation", &[9, END]),
        ("an empty literal", &[LITERAL, 0, END]),
        ("a literal beyond the end", &[LITERAL, 100, END]),
        ("two times", &[TIME, TIME, END]),
        ("an open end", &[OPEN, VARINT, END]),
        ("a close too many", &[VARINT, CLOSE, END]),
        ("three levels", &[OPEN, OPEN, OPEN, VARINT, CLOSE, CLOSE, CLOSE, END]),
        ("something before a whole", &[LITERAL, 1, 7, WHOLE, END]),
        ("something behind a whole", &[WHOLE, VARINT, END]),
        ("too many operations", &long),
    ] {
        let mut at = 0;
        assert!(program::Program::default().add(shape, &mut at).is_none(), "{what}");
    }
}
