//! The entries of the bundled sample, in the shapes that the contestants take.

use anyhow::{Context as _, Result, bail};
use graphstream_proto::json::parse_line;
use graphstream_proto::{JournalEntry, ParamValue};
use predecessor::{ParamValue as OldValue, PendingEntry};

const SAMPLE: &[u8] = include_bytes!("../../graphstream-cli/sample/ldbc-snb-sample.jsonl.zst");

pub(crate) struct Sample {
    pub(crate) entries: Vec<JournalEntry>,
    /// The entries as our payloads.
    pub(crate) payloads: Vec<Vec<u8>>,
}

impl Sample {
    pub(crate) fn load() -> Result<Self> {
        let text = String::from_utf8(zstd::decode_all(SAMPLE).context("the bundled sample")?)?;
        let entries = text.lines().map(|line| parse_line(line, 0)).collect::<Result<Vec<_>, _>>()?;
        let payloads = entries.iter().map(JournalEntry::encode).collect::<Result<Vec<_>, _>>()?;
        // The predecessor makes null of kinds it does not know, without a word: then it would have less to do.
        entries.iter().try_for_each(|entry| pending(entry).map(drop))?;
        Ok(Self { entries, payloads })
    }

    /// So many payloads; the sample comes round again.
    pub(crate) fn cycle(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.payloads.iter().cycle().take(count).map(Vec::as_slice)
    }

    /// So many entries as the predecessor takes them: owned, so made before the clock starts.
    pub(crate) fn pending(&self, count: usize) -> Result<Vec<PendingEntry>> {
        self.entries.iter().cycle().take(count).map(pending).collect()
    }
}

pub(crate) fn pending(entry: &JournalEntry) -> Result<PendingEntry> {
    let params = entry.params.iter().map(|(key, value)| Ok((key.clone(), old_value(value)?)));
    Ok(PendingEntry { query: entry.query.clone(), params: params.collect::<Result<_>>()? })
}

fn old_value(value: &ParamValue) -> Result<OldValue> {
    Ok(match value {
        ParamValue::Null => OldValue::Null,
        ParamValue::Bool(bool) => OldValue::Bool(*bool),
        ParamValue::Int64(int) => OldValue::Int(*int),
        ParamValue::Double(double) => OldValue::Float(*double),
        ParamValue::String(text) => OldValue::String(text.clone()),
        ParamValue::List(values) => OldValue::List(values.iter().map(old_value).collect::<Result<_>>()?),
        other => bail!("the predecessor has no {}", other.kind()),
    })
}
