//! What can be verified of a sealed segment as it is stored, without a key and without decompressing anything.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::damage::Damage;
use crate::encryption::{EXTENSION_LEN, Extension};
use crate::error::{Error, Result};
use crate::header::{HEADER_LEN, Header, SegmentKind, field};
use crate::reader::read_exact;
use crate::v2::{FOOTER_LEN, Footer};

/// Bytes that are read at once.
const STEP: usize = 64 << 10;

/// Verifies a sealed segment as far as that takes no key: header, exact length, the checksum of the whole body as stored, and for version 2
/// extension and footer. For whoever keeps encrypted segments without being able to read them. What the entries are, and whether they
/// continue a chain, only a reader can tell; and the checksum takes no key either: it shows accidents, no forgery.
///
/// # Errors
/// As [`Header::decode`]; [`Error::UnsupportedVersion`] for an open segment, which has no such checksum; [`Error::Damaged`]; [`Error::Io`].
pub fn verify_stored<R: Read>(mut read: R, file_len: u64) -> Result<Header> {
    let mut bytes = [0; HEADER_LEN];
    read_exact(&mut read, &mut bytes, 0)?;
    let header = Header::decode(&bytes)?;
    let Some(expected) = header.file_len() else {
        return Err(Error::UnsupportedVersion { found: header.version });
    };
    if expected != file_len {
        let what = Damage::FileLength { expected, found: file_len };
        return Err(Error::damaged(what, expected.min(file_len), None));
    }
    let mut offset = HEADER_LEN as u64;
    if header.is_encrypted() {
        let mut extension = [0; EXTENSION_LEN];
        read_exact(&mut read, &mut extension, offset)?;
        Extension::decode(&extension)?;
        offset += EXTENSION_LEN as u64;
    }
    let (mut hasher, mut left, mut buffer) = (Sha256::new(), header.body_len, vec![0; STEP]);
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(STEP).min(STEP);
        let Some(part) = buffer.get_mut(..step) else { break };
        read_exact(&mut read, part, offset)?;
        hasher.update(&*part);
        offset += step as u64;
        left -= step as u64;
    }
    let checksum: [u8; 32] = hasher.finalize().into();
    if checksum != header.body_checksum {
        return Err(Error::damaged(Damage::BodyChecksum, field::BODY_CHECKSUM as u64, None));
    }
    if header.kind() == SegmentKind::SealedV2 {
        let mut bytes = [0; FOOTER_LEN];
        read_exact(&mut read, &mut bytes, offset)?;
        Footer::decode(&bytes, file_len)?.check_against(&header, offset)?;
    }
    Ok(header)
}
