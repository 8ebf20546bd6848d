//! The report for people.

use super::Report;
use crate::failure::Failure;
use crate::out::Out;
use crate::terminal::{Palette, bytes, count, counted};
use crate::times;

pub(super) fn print(out: &mut Out, report: &Report) -> Result<(), Failure> {
    let palette = Palette::stdout();
    out.line(format_args!("{} ({}, {})", palette.head(&report.file), report.kind, bytes(report.file_bytes)))?;
    for (title, fields) in
        [("header", &report.header), ("extension", &report.extension), ("footer", &report.footer)]
    {
        if fields.is_empty() {
            continue;
        }
        out.line(format_args!("\n{}", palette.head(format_args!("{:<28}offset  length   value", title))))?;
        for field in fields {
            let meaning = field.meaning.as_ref().map_or(String::new(), |meaning| format!("  ({meaning})"));
            out.line(format_args!(
                "  {:<22}{:>10}{:>8}   {}{}",
                field.name,
                field.offset,
                field.length,
                field.value,
                palette.quiet(meaning)
            ))?;
        }
    }
    let body = &report.body;
    out.line(format_args!("\n{}", palette.head("body")))?;
    let status = match body.status {
        "whole" => palette.good("whole").to_string(),
        "torn" => palette.warning("torn tail").to_string(),
        other => palette.error(other).to_string(),
    };
    out.line(format_args!("  status       {status}"))?;
    if let Some(problem) = &body.problem {
        out.line(format_args!("  problem      {problem}"))?;
    }
    if let Some(offset) = body.torn_offset {
        out.line(format_args!("  torn at      file offset {offset}"))?;
    }
    let range = match (body.first_sequence, body.last_sequence) {
        (Some(first), Some(last)) => format!(", sequences {first}..={last}"),
        _ => String::new(),
    };
    out.line(format_args!("  entries      {}{range}", count(body.entries)))?;
    if let (Some(first), Some(last)) = (body.first_commit_ms, body.last_commit_ms) {
        let exact = if body.commit_times_exact { "" } else { " (one for the segment)" };
        out.line(format_args!(
            "  commit time  {} to {}{exact}",
            times::rfc3339(first),
            times::rfc3339(last)
        ))?;
    }
    let share = ratio(body.payload_bytes, body.stored_bytes);
    out.line(format_args!(
        "  payloads     {}, the largest {}; stored in {}{share}",
        bytes(body.payload_bytes),
        bytes(body.payload_bytes_largest),
        bytes(body.stored_bytes)
    ))?;
    if body.payloads_graphd + body.payloads_other > 0 {
        out.line(format_args!(
            "  schemas      graphstream.v1 {}, graphd {}, unknown {}",
            body.payloads_v1, body.payloads_graphd, body.payloads_other
        ))?;
    }
    if let Some(records) = &body.records {
        out.line(format_args!(
            "  records      {}, the largest {} with at most {} entries; they end at offset {}, durable to {}",
            count(records.count),
            bytes(records.bytes_largest),
            records.entries_largest,
            records.end_offset,
            records.durable_offset
        ))?;
    }
    if let Some(frames) = &body.frames {
        out.line(format_args!(
            "  frames       {} of at most {} entries; {} stored in {}{}, the largest in {}",
            count(frames.count),
            frames.entries_largest,
            bytes(frames.raw_bytes),
            bytes(frames.stored_bytes),
            ratio(frames.raw_bytes, frames.stored_bytes),
            bytes(frames.stored_bytes_largest)
        ))?;
        let rows = counted(frames.index_rows, "row", "rows");
        out.line(format_args!("  index        {rows}, {}", bytes(frames.index_bytes)))?;
        if frames.unparsed_bytes > 0 {
            out.line(format_args!("  unparsed     {}", bytes(frames.unparsed_bytes)))?;
        }
    }
    if let Some(chain_hash) = &body.chain_hash {
        out.line(format_args!("  chain hash   {chain_hash}"))?;
    }
    for (number, frame) in report.frames.iter().enumerate() {
        if number == 0 {
            let title = format_args!(
                "{:<10}offset    length   sequence  entries     bytes",
                format!("{}s", frame.kind)
            );
            out.line(format_args!("\n{}", palette.head(title)))?;
        }
        let raw = frame.raw_bytes.map_or(String::new(), |raw| ratio(raw, frame.stored_bytes));
        out.line(format_args!(
            "  {:>14}{:>10} {:>10} {:>8} {:>9}{raw}  {}",
            frame.offset,
            frame.length,
            frame.first_sequence,
            frame.entries,
            frame.stored_bytes,
            times::rfc3339(frame.first_commit_ms)
        ))?;
    }
    for (number, entry) in report.entries.iter().enumerate() {
        if number == 0 {
            out.line(format_args!("\n{}", palette.head("entries")))?;
        }
        out.line(format_args!(
            "  {:>10}  {}  {:>8} bytes  {}",
            entry.sequence,
            times::rfc3339(entry.commit_ms),
            entry.payload_bytes,
            entry.chain_hash
        ))?;
    }
    Ok(())
}

fn ratio(raw: u64, stored: u64) -> String {
    if raw == 0 || stored == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let percent = stored as f64 * 100.0 / raw as f64;
    format!(" ({percent:.0} %)")
}
