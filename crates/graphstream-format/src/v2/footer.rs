//! The last 64 bytes of a segment: where its index is.

use super::{FINAL_HASH_LEN, FOOTER_LEN, INDEX_ROW_LEN, footer_field as at};
use crate::bytes::{array, put, u32_at, u64_at};
use crate::damage::Damage;
use crate::encryption::{CHUNK_PREFIX_LEN, TAG_LEN};
use crate::error::{Error, Result};
use crate::header::{FLAG_ENCRYPTED, HEADER_LEN, Header, VERSION_2};
use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) index_offset: u64,
    pub(crate) frame_count: u32,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) flags: u8,
}

impl Footer {
    pub(crate) const fn index_len(&self) -> u32 {
        self.frame_count.saturating_mul(INDEX_ROW_LEN as u32)
    }

    pub(crate) fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = [0; FOOTER_LEN];
        put(&mut out, at::INDEX_OFFSET, &self.index_offset.to_be_bytes());
        put(&mut out, at::INDEX_LEN, &self.index_len().to_be_bytes());
        put(&mut out, at::FRAME_COUNT, &self.frame_count.to_be_bytes());
        put(&mut out, at::FIRST_SEQ, &self.first_seq.to_be_bytes());
        put(&mut out, at::LAST_SEQ, &self.last_seq.to_be_bytes());
        put(&mut out, at::VERSION, &[VERSION_2, self.flags]);
        let (covered, _) = out.split_at(at::CRC32C);
        let crc = crc32c::crc32c(covered);
        put(&mut out, at::CRC32C, &crc.to_be_bytes());
        out
    }

    /// Reads the footer of a file of `file_len` bytes and checks what can be checked without header and body: its checksum, and that
    /// header, at least one frame, index, last chain hash and footer fill the file.
    pub(crate) fn decode(bytes: &[u8; FOOTER_LEN], file_len: u64) -> Result<Self> {
        let start = file_len.saturating_sub(FOOTER_LEN as u64);
        let wrong = |field, offset: usize, found| {
            Error::damaged(Damage::FooterField { field, found }, start + offset as u64, None)
        };
        let (covered, _) = bytes.split_at(at::CRC32C);
        let (found, computed) = (u32_at(bytes, at::CRC32C), crc32c::crc32c(covered));
        if found != computed {
            let what = Damage::FooterChecksum { found, computed };
            return Err(Error::damaged(what, start + at::CRC32C as u64, None));
        }
        let [version, flags] = array(bytes, at::VERSION);
        if version != VERSION_2 {
            return Err(wrong("version", at::VERSION, version.into()));
        }
        if let Some(&byte) = covered.iter().skip(at::ZEROS).find(|&&byte| byte != 0) {
            return Err(wrong("zeros", at::ZEROS, byte.into()));
        }
        let footer = Self {
            index_offset: u64_at(bytes, at::INDEX_OFFSET),
            frame_count: u32_at(bytes, at::FRAME_COUNT),
            first_seq: u64_at(bytes, at::FIRST_SEQ),
            last_seq: u64_at(bytes, at::LAST_SEQ),
            flags,
        };
        if footer.frame_count == 0 || footer.frame_count > limits::FRAMES_MAX {
            return Err(wrong("frame_count", at::FRAME_COUNT, footer.frame_count.into()));
        }
        let index_len = u32_at(bytes, at::INDEX_LEN);
        if index_len != footer.index_len() {
            return Err(wrong("index_len", at::INDEX_LEN, index_len.into()));
        }
        if footer.first_seq == 0 {
            return Err(wrong("first_seq", at::FIRST_SEQ, 0));
        }
        if footer.last_seq < footer.first_seq {
            return Err(wrong("last_seq", at::LAST_SEQ, footer.last_seq));
        }
        let sealing = if flags & FLAG_ENCRYPTED == 0 { 0 } else { CHUNK_PREFIX_LEN + TAG_LEN };
        let behind = u64::from(index_len) + (FINAL_HASH_LEN + sealing + FOOTER_LEN) as u64;
        if footer.index_offset <= HEADER_LEN as u64
            || footer.index_offset.checked_add(behind) != Some(file_len)
        {
            return Err(wrong("index_offset", at::INDEX_OFFSET, footer.index_offset));
        }
        Ok(footer)
    }

    /// Refuses a footer, at `start` in the file, that says another thing than the header.
    pub(crate) fn check_against(&self, header: &Header, start: u64) -> Result<()> {
        for (field, offset, found, expected) in [
            ("first_seq", at::FIRST_SEQ, self.first_seq, header.first_seq),
            ("last_seq", at::LAST_SEQ, self.last_seq, header.last_seq),
            ("flags", at::FLAGS, self.flags.into(), header.flags.into()),
        ] {
            if found != expected {
                return Err(Error::damaged(
                    Damage::FooterField { field, found },
                    start + offset as u64,
                    None,
                ));
            }
        }
        Ok(())
    }
}
