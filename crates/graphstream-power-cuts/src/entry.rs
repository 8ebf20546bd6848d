//! The entries: each says which line it was, and is checked to its last byte.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// What every entry contains; sealed segments contain it once or so, as they are compressed.
pub(crate) const MARK: &[u8] = b"CREATE (:Surge";
const QUERY: &str = "CREATE (:Surge {id: $id, pad: $pad})";

/// The largest paddings there are, in bytes.
pub(crate) const PADS: [u64; 3] = [64, 1000, 20_000];

/// The line with this number. Its length is a matter of its number.
pub(crate) fn line(number: u64, pad_bytes_max: u64) -> Value {
    json!({"query": QUERY, "params": {"id": number, "pad": pad(number, pad_bytes_max)}})
}

fn pad(number: u64, bytes_max: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    // Mostly short.
    let bytes =
        if mixed.is_multiple_of(8) { mixed % (bytes_max + 1) } else { mixed % (bytes_max.min(64) + 1) };
    let letters = ('a'..='z').cycle().skip(usize::try_from(number % 26).unwrap_or(0));
    letters.take(usize::try_from(bytes).unwrap_or(0)).collect()
}

/// The sequence and the line's number of an entry as `cat --json` prints it.
pub(crate) fn read(shown: &str) -> Result<(u64, u64)> {
    let entry: Value = serde_json::from_str(shown).context("cat --json prints JSON")?;
    let number = |pointer: &str| entry.pointer(pointer).and_then(Value::as_u64);
    let sequence = number("/sequence").context("an entry without a sequence")?;
    let id = number("/params/id").with_context(|| format!("sequence {sequence} has no number"))?;
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let found = text("/params/pad").unwrap_or_default();
    let whole = PADS.iter().any(|bytes_max| pad(id, *bytes_max) == found);
    ensure!(whole && text("/query") == Some(QUERY), "sequence {sequence} is not what was sent as line {id}");
    Ok((sequence, id))
}
