//! The file from its first byte to its last: every part, every field, and what it says.

use graphstream::format::Header;
use graphstream::format::layout::{self, Encoding, Part, PartKind};

use super::bytes::FileBytes;
use super::fields::{FieldValue, meaning};
use crate::failure::Failure;
use crate::out::Out;
use crate::terminal::{Palette, counted};

/// Bytes in a line, and read at once.
const LINE_BYTES: usize = 16;
const CHUNK_BYTES: u64 = 64 << 10;

pub(super) fn dump(out: &mut Out, file: &FileBytes<'_>, header: Option<&Header>) -> Result<(), Failure> {
    let palette = Palette::stdout();
    for part in file.parts() {
        let part = part?;
        let length = counted(part.length, "byte", "bytes");
        let head = format_args!("{}, {length}", part.kind.name()).to_string();
        let head = match part.kind {
            PartKind::Unparsed => palette.error(head),
            _ => palette.head(head),
        };
        out.line(format_args!("{:08x}  {head}", part.offset))?;
        // Reserved space may be megabytes of nothing.
        if part.kind == PartKind::Zeros {
            continue;
        }
        for field in part.fields() {
            if field.encoding == Encoding::Content {
                content(out, file, &part, field)?;
            } else {
                value(out, file, &part, field, header)?;
            }
        }
    }
    out.line(format_args!("{:08x}  end", file.length))
}

/// A field with its bytes, its name, and what it says.
fn value(
    out: &mut Out,
    file: &FileBytes<'_>,
    part: &Part,
    field: layout::Field,
    header: Option<&Header>,
) -> Result<(), Failure> {
    let palette = Palette::stdout();
    let bytes = file.read(field.offset, field.length)?;
    let value = FieldValue::read(field.encoding, &bytes);
    let mut said = field.name.to_owned();
    // Of a hash its bytes say all.
    if let Some(value) = value.as_ref().filter(|_| field.encoding != Encoding::Bytes) {
        said.push_str(&format!(" = {value}"));
    }
    if let Some(meaning) = value.and_then(|value| meaning(part.kind, field.name, &value, header)) {
        said.push_str(&format!("  {}", palette.quiet(format_args!("({meaning})"))));
    }
    let mut offset = field.offset;
    for line in bytes.chunks(LINE_BYTES) {
        out.line(format_args!("  {offset:08x}  {:<47}  {said}", spaced(line)).to_string().trim_end())?;
        said.clear();
        offset += line.len() as u64;
    }
    Ok(())
}

/// Bytes of any number, as they are.
fn content(out: &mut Out, file: &FileBytes<'_>, part: &Part, field: layout::Field) -> Result<(), Failure> {
    if field.length == 0 {
        return Ok(());
    }
    // A part without other fields has said it in its own line.
    if field.length < part.length {
        let length = counted(field.length, "byte", "bytes");
        out.line(format_args!("  {:08x}  {}, {length}", field.offset, field.name))?;
    }
    let end = field.offset + field.length;
    let mut offset = field.offset;
    while offset < end {
        let bytes = file.read(offset, (end - offset).min(CHUNK_BYTES))?;
        for line in bytes.chunks(LINE_BYTES) {
            let text: String = line
                .iter()
                .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
                .collect();
            out.line(format_args!("  {offset:08x}  {:<47}  |{text}|", spaced(line)))?;
            offset += line.len() as u64;
        }
    }
    Ok(())
}

fn spaced(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().enumerate().fold(String::with_capacity(bytes.len() * 3), |mut text, (number, byte)| {
        let _ = write!(text, "{}{byte:02x}", if number == 0 { "" } else { " " });
        text
    })
}
