//! The parts of version 2: frames (or chunks), index, footer.

use super::PartKind;
use super::parts::{Bytes, Found};
use crate::bytes::{array, u32_at, u64_at};
use crate::encryption::{CHUNK_PREFIX_LEN, EXTENSION_LEN, TAG_LEN};
use crate::error::Result;
use crate::header::{FLAG_ENCRYPTED, HEADER_LEN, field};
use crate::read_at::ReadAt;
use crate::v2::{
    FINAL_HASH_LEN, FOOTER_LEN, FRAME_HEADER_LEN, Footer, FrameHeader, INDEX_ROW_LEN, IndexRow, Place, Stored,
};

/// Where frames end and the index begins, as far as it can be told.
#[derive(Debug)]
pub(super) struct Frames {
    form: Stored,
    encrypted: bool,
    /// Where the frames begin.
    start: u64,
    /// Where the index begins, from a whole footer, or from a row that was met.
    index: Option<u64>,
    /// The row that may tell where the next frame begins.
    row: u64,
    /// Where the footer begins; the end of the file if there is none.
    footer: u64,
}

impl Frames {
    /// `header` is the segment's; what it says is compared with a whole footer, if there is one.
    pub(super) fn new<S: ReadAt>(
        window: &mut Bytes<S>,
        header: &[u8; HEADER_LEN],
        file_len: u64,
    ) -> Result<Self> {
        let [flags] = array(header, field::FLAGS);
        let encrypted =
            flags & FLAG_ENCRYPTED != 0 || u32_at(header, field::EXT_LEN) as usize == EXTENSION_LEN;
        let extension = if encrypted { EXTENSION_LEN as u64 } else { 0 };
        let start = HEADER_LEN as u64 + extension;
        let mut this =
            Self { form: Stored::by(flags), encrypted, start, index: None, row: 0, footer: file_len };
        // At the end of the file, or, if something was appended to that, where the header says.
        let said = start.checked_add(u64_at(header, field::BODY_LEN));
        let said = said.filter(|end| end.checked_add(FOOTER_LEN as u64).is_some_and(|end| end <= file_len));
        let last = file_len.checked_sub(FOOTER_LEN as u64).filter(|at| *at >= start);
        for at in last.into_iter().chain(said) {
            let Some(bytes) = window.array::<FOOTER_LEN>(at)? else { continue };
            if let Ok(footer) = Footer::decode(&bytes, at + FOOTER_LEN as u64) {
                this.footer = at;
                if !this.encrypted && footer.index_offset >= start {
                    (this.index, this.row) = (Some(footer.index_offset), footer.index_offset);
                }
                return Ok(this);
            }
        }
        this.footer = said.unwrap_or(file_len);
        Ok(this)
    }

    /// The part at `at`; `None` behind the footer.
    pub(super) fn find<S: ReadAt>(
        &mut self,
        window: &mut Bytes<S>,
        at: u64,
        file_len: u64,
    ) -> Result<Option<Found>> {
        if at >= self.footer {
            let footer = at == self.footer && file_len - at >= FOOTER_LEN as u64;
            return Ok(footer.then_some(Found::new(PartKind::Footer, FOOTER_LEN as u64)));
        }
        self.find_in_body(window, at).map(Some)
    }

    fn find_in_body<S: ReadAt>(&mut self, window: &mut Bytes<S>, at: u64) -> Result<Found> {
        if at < self.start {
            let whole = self.start <= self.footer;
            return Ok(if whole {
                Found::new(PartKind::EncryptionExtension, self.start - at)
            } else {
                Found::new(PartKind::Unparsed, self.footer - at)
            });
        }
        if self.encrypted {
            let prefix = window.array::<CHUNK_PREFIX_LEN>(at)?.map_or(0, u32::from_be_bytes);
            let length = CHUNK_PREFIX_LEN as u64 + u64::from(prefix);
            let possible = prefix as usize >= TAG_LEN && length <= self.footer - at;
            return Ok(if possible {
                Found { kind: PartKind::Chunk, length, tail: TAG_LEN as u64 }
            } else {
                Found::new(PartKind::Unparsed, self.footer - at)
            });
        }
        let frames_end = self.index.unwrap_or(self.footer);
        if at < frames_end {
            if let Some(found) = self.frame(window, at, frames_end)? {
                return Ok(found);
            }
            if self.index.is_none() && self.is_index(window, at)? {
                self.index = Some(at);
            } else {
                let next = self.next_frame(window, at, frames_end)?;
                return Ok(Found::new(PartKind::Unparsed, next - at));
            }
        }
        let rows_end = self.footer.saturating_sub(FINAL_HASH_LEN as u64);
        let room = rows_end.saturating_sub(at) >= INDEX_ROW_LEN as u64;
        // Rows that a file only claims to have would be as many as it claims.
        Ok(if room && window.array::<INDEX_ROW_LEN>(at)?.is_some() {
            Found::new(PartKind::IndexRow, INDEX_ROW_LEN as u64)
        } else if at == rows_end {
            Found::new(PartKind::ChainHash, FINAL_HASH_LEN as u64)
        } else {
            Found::new(PartKind::Unparsed, self.footer - at)
        })
    }

    fn frame<S: ReadAt>(&self, window: &mut Bytes<S>, at: u64, end: u64) -> Result<Option<Found>> {
        let Some(fixed) = window.array::<FRAME_HEADER_LEN>(at)? else { return Ok(None) };
        let header = FrameHeader::decode(&fixed);
        let length = FRAME_HEADER_LEN as u64 + u64::from(header.stored_len);
        let place = Place { offset: at, sequence: None };
        let possible = header.check(self.form, place).is_ok() && length <= end - at;
        Ok(possible.then_some(Found::new(PartKind::Frame, length)))
    }

    /// Whether the index seems to begin here: from here to its end are whole rows, of which the first points at the first frame.
    fn is_index<S: ReadAt>(&self, window: &mut Bytes<S>, at: u64) -> Result<bool> {
        let length = self.footer.saturating_sub(FINAL_HASH_LEN as u64).saturating_sub(at);
        if length == 0 || !length.is_multiple_of(INDEX_ROW_LEN as u64) {
            return Ok(false);
        }
        let Some(row) = window.array::<INDEX_ROW_LEN>(at)? else { return Ok(false) };
        Ok(IndexRow::decode(&row).offset == self.start)
    }

    /// Where the index says that the frame behind the bytes at `at` begins; else where the frames end. The rows are gone through once.
    fn next_frame<S: ReadAt>(&mut self, window: &mut Bytes<S>, at: u64, frames_end: u64) -> Result<u64> {
        if self.index.is_none() {
            return Ok(frames_end);
        }
        while self.row < self.footer {
            let Some(row) = window.array::<INDEX_ROW_LEN>(self.row)? else { break };
            self.row += INDEX_ROW_LEN as u64;
            let offset = IndexRow::decode(&row).offset;
            if offset > at && offset < frames_end {
                return Ok(offset);
            }
        }
        Ok(frames_end)
    }
}
