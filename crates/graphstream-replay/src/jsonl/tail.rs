//! Finding the position in a file of lines, and cutting a torn one.

use std::path::Path;

use graphstream_format::{ChainHash, Lineage, Position};
use graphstream_proto::json::{LINE_BYTES_MAX, parse_entry_line};

use super::file::LineFile;
use crate::{Error, Result};

/// How much is read at a time, going backwards.
const BLOCK_BYTES: u64 = 64 << 10;

/// What every line of ours starts with: enough to tell a torn first line from somebody else's file.
const LINE_START: &[u8] = b"{\"";

/// Syncs what is there, reads the last whole line, and cuts what stands behind it.
pub(super) fn recover(target: &str, path: &Path, file: &mut dyn LineFile) -> Result<Option<Position>> {
    let gone = |attempt| {
        move |source: std::io::Error| Error::Gone {
            target: target.to_owned(),
            attempt,
            source: Box::new(source),
        }
    };
    let damaged =
        |offset, expected, source| Error::Damaged { path: path.to_path_buf(), offset, expected, source };
    let len = file.len();
    // The end of the last whole line, its newline included.
    let end = match find_newline(file, len).map_err(gone("reading its last line"))? {
        Search::Found(at) => at + 1,
        Search::None => 0,
        Search::TooFar(from) => return Err(damaged(from, "a line of at most 128 MiB", None)),
    };
    let position = if end == 0 {
        None
    } else {
        let start = match find_newline(file, end - 1).map_err(gone("reading its last line"))? {
            Search::Found(at) => at + 1,
            Search::None => 0,
            Search::TooFar(from) => return Err(damaged(from, "a line of at most 128 MiB", None)),
        };
        let line = read(file, start, end - 1 - start).map_err(gone("reading its last line"))?;
        Some(position_of(&line).map_err(|source| {
            damaged(start, "a line of `cat --json` with its lineage; nothing was changed", source)
        })?)
    };
    if len > end {
        if end == 0 {
            let probe = (LINE_START.len() as u64).min(len);
            let start = read(file, 0, probe).map_err(gone("reading its first line"))?;
            if !LINE_START.starts_with(&start) {
                return Err(damaged(0, "lines of `cat --json`; nothing was changed", None));
            }
        }
        tracing::warn!(target, torn_bytes = len - end, "cut a torn line");
        file.cut(end).map_err(gone("cutting a torn line"))?;
    }
    // What a crashed process wrote may still be in memory only; a position that is reported must hold.
    file.sync().map_err(gone("syncing"))?;
    Ok(position)
}

enum Search {
    Found(u64),
    None,
    TooFar(u64),
}

/// The offset of the last newline before `end`.
fn find_newline(file: &mut dyn LineFile, end: u64) -> std::io::Result<Search> {
    let mut upto = end;
    while upto > 0 {
        let from = upto.saturating_sub(BLOCK_BYTES);
        if end - from > LINE_BYTES_MAX as u64 + BLOCK_BYTES {
            return Ok(Search::TooFar(from));
        }
        let block = read(file, from, upto - from)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(Search::Found(from + at as u64));
        }
        upto = from;
    }
    Ok(Search::None)
}

/// Reads `len` bytes; callers have bounded it.
fn read(file: &mut dyn LineFile, offset: u64, len: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(std::io::Error::other)?];
    file.read_exact_at(offset, &mut bytes)?;
    Ok(bytes)
}

fn position_of(line: &[u8]) -> Result<Position, Option<crate::Cause>> {
    let text = std::str::from_utf8(line).map_err(|error| Some(error.into()))?;
    let line = parse_entry_line(text).map_err(|error| Some(error.into()))?;
    let lineage: Lineage = line.lineage.as_deref().ok_or(None)?.parse().map_err(boxed)?;
    let chain_hash: ChainHash = line.chain_hash.parse().map_err(boxed)?;
    Ok(Position { lineage, sequence: line.sequence, chain_hash })
}

fn boxed(error: graphstream_format::Error) -> Option<crate::Cause> {
    Some(error.into())
}
