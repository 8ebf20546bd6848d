//! What a walk over the parts gives: the fields of header, extension and footer, and the frames or records with their sums.

use graphstream::format::layout::{Part, PartKind};
use graphstream::format::{Header, SegmentKind};
use serde::Serialize;

use super::bytes::FileBytes;
use super::fields::{Field, milliseconds, number, of_part};
use crate::failure::Failure;

/// The parts of a segment, as far as `inspect` shows them.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) header: Vec<Field>,
    pub(super) extension: Vec<Field>,
    pub(super) footer: Vec<Field>,
    pub(super) records: Option<Records>,
    pub(super) frames: Option<Frames>,
    /// Each frame or record, if they were asked for.
    pub(super) rows: Vec<FrameRow>,
}

/// The records of an open segment.
#[derive(Debug, Default, Serialize)]
pub(super) struct Records {
    pub(super) count: u64,
    pub(super) entries_largest: u64,
    pub(super) bytes_largest: u64,
    pub(super) end_offset: u64,
    pub(super) durable_offset: u64,
}

/// The frames of a segment of version 2, as its bytes say.
#[derive(Debug, Default, Serialize)]
pub(super) struct Frames {
    pub(super) count: u64,
    pub(super) entries_largest: u64,
    /// Entries as stored, and before compression.
    pub(super) stored_bytes: u64,
    pub(super) raw_bytes: u64,
    pub(super) stored_bytes_largest: u64,
    pub(super) index_rows: u64,
    pub(super) index_bytes: u64,
    /// Bytes that are no part of anything.
    pub(super) unparsed_bytes: u64,
}

/// One frame or record.
#[derive(Debug, Serialize)]
pub(super) struct FrameRow {
    pub(super) kind: &'static str,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) first_sequence: u64,
    pub(super) entries: u64,
    pub(super) first_commit_ms: i64,
    pub(super) stored_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raw_bytes: Option<u64>,
}

impl Walk {
    /// Walks the parts. Sums of records end with the one that holds `last_sequence`, the last that was verified.
    pub(super) fn new(
        file: &FileBytes<'_>,
        header: &Header,
        last_sequence: Option<u64>,
        rows: bool,
    ) -> Result<Self, Failure> {
        let mut this = Self::default();
        match header.kind() {
            // What an encrypted one has in its chunks takes the key.
            SegmentKind::SealedV2 if !header.is_encrypted() => this.frames = Some(Frames::default()),
            SegmentKind::Open => this.records = Some(Records::default()),
            _ => {}
        }
        for part in file.parts() {
            let part = part?;
            match part.kind {
                PartKind::Header => this.header = of_part(&part, file, Some(header))?,
                PartKind::Extension | PartKind::EncryptionExtension => {
                    this.extension = of_part(&part, file, Some(header))?;
                    if let Some(records) = &mut this.records {
                        records.end_offset = part.end();
                    }
                }
                PartKind::Footer => this.footer = of_part(&part, file, Some(header))?,
                PartKind::Frame | PartKind::Record => {
                    let row = FrameRow::new(&part, file)?;
                    this.add(&row, &part, file, last_sequence)?;
                    if rows {
                        this.rows.push(row);
                    }
                }
                kind => {
                    if let Some(frames) = &mut this.frames {
                        frames.add(kind, part.length);
                    }
                }
            }
            // Version 1 has nothing more to show than its entries.
            if matches!(header.kind(), SegmentKind::SealedV1 | SegmentKind::LegacyOpen) {
                break;
            }
        }
        Ok(this)
    }

    fn add(
        &mut self,
        row: &FrameRow,
        part: &Part,
        file: &FileBytes<'_>,
        last_sequence: Option<u64>,
    ) -> Result<(), Failure> {
        if let Some(frames) = &mut self.frames {
            frames.count += 1;
            frames.entries_largest = frames.entries_largest.max(row.entries);
            frames.stored_bytes += row.stored_bytes;
            frames.raw_bytes += row.raw_bytes.unwrap_or(0);
            frames.stored_bytes_largest = frames.stored_bytes_largest.max(row.stored_bytes);
        }
        if let Some(records) = &mut self.records {
            let last = row.first_sequence.saturating_add(row.entries).saturating_sub(1);
            // What stands behind the last whole record, or behind a hole, is shown and not counted.
            let follows = records.end_offset == part.offset;
            if follows && row.entries > 0 && last_sequence.is_some_and(|known| last <= known) {
                records.count += 1;
                records.entries_largest = records.entries_largest.max(row.entries);
                records.bytes_largest = records.bytes_largest.max(part.length);
                records.durable_offset = number(&of_part(part, file, None)?, "durable_offset");
                records.end_offset = part.end();
            }
        }
        Ok(())
    }
}

impl Frames {
    fn add(&mut self, kind: PartKind, length: u64) {
        match kind {
            PartKind::IndexRow => {
                self.index_rows += 1;
                self.index_bytes += length;
            }
            PartKind::Unparsed | PartKind::Zeros => self.unparsed_bytes += length,
            _ => {}
        }
    }
}

impl FrameRow {
    fn new(part: &Part, file: &FileBytes<'_>) -> Result<Self, Failure> {
        let fields = of_part(part, file, None)?;
        let frame = part.kind == PartKind::Frame;
        Ok(Self {
            kind: part.kind.name(),
            offset: part.offset,
            length: part.length,
            first_sequence: number(&fields, "first_seq"),
            entries: number(&fields, "count"),
            first_commit_ms: milliseconds(&fields, "first_commit_ms"),
            stored_bytes: number(&fields, if frame { "stored_len" } else { "length" }),
            raw_bytes: frame.then(|| number(&fields, "raw_len")),
        })
    }
}
