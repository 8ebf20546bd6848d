//! Reading, verifying and decoding everything, on one thread, from sealed segments and from an open one; each journal reads its own.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use graphstream_format::{Entry, SegmentVersion};
use graphstream_journal::{JournalOptions, JournalReader, ReaderOptions};
use graphstream_proto::JournalEntry;

use crate::peers::{SEGMENT, old, ours};
use crate::report::{Goal, Row};
use crate::turns::{Contestant, Setting, rate, take};

const ENTRIES: usize = 200_000;
const ONE_SEGMENT: u64 = 64 << 20;

pub(crate) fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let dir = setting.scratch()?;
    let path = |name: &str| dir.path().join(name);
    for (name, segment, version) in [
        ("ours-v1", SEGMENT, SegmentVersion::V1),
        ("ours-v2", SEGMENT, SegmentVersion::V2),
        ("ours-open", ONE_SEGMENT, SegmentVersion::V2),
    ] {
        let options = JournalOptions::default().with_segment_bytes_max(segment);
        let journal = ours::open_with(&path(name), ours::sealing(options, version))?;
        for payload in setting.sample.cycle(ENTRIES) {
            let _ = journal.append(payload)?;
        }
        if segment == SEGMENT { journal.seal().map(drop)? } else { journal.sync().map(drop)? }
    }
    // The predecessor's segment stays open as long as its writer.
    let old_open = old::Writer::open(&path("old-open"), ONE_SEGMENT);
    let old_sealed = old::Writer::open(&path("old-sealed"), SEGMENT);
    for (writer, entries) in
        [(&old_open, setting.sample.pending(ENTRIES)?), (&old_sealed, setting.sample.pending(ENTRIES)?)]
    {
        entries.into_iter().try_for_each(|entry| writer.append(entry))?;
        writer.flush()?;
    }
    old_sealed.seal()?;

    let (sealed, compact, open, old_sealed_dir, old_open_dir) =
        (path("ours-v1"), path("ours-v2"), path("ours-open"), path("old-sealed"), path("old-open"));
    let contestants: [Contestant<'_>; 11] = [
        Box::new(|| ours(&sealed, decoded())),
        Box::new(|| ours(&open, decoded())),
        Box::new(|| ours(&sealed, kept)),
        Box::new(|| ours(&open, kept)),
        Box::new(|| predecessor(&old_sealed_dir)),
        Box::new(|| predecessor(&old_open_dir)),
        Box::new(|| ours(&old_sealed_dir, decoded())),
        Box::new(|| ours(&sealed, as_bytes)),
        Box::new(|| ours(&open, as_bytes)),
        Box::new(|| ours(&compact, decoded())),
        Box::new(|| ours(&compact, as_bytes)),
    ];
    let [
        sealed,
        open,
        sealed_kept,
        open_kept,
        old_sealed,
        old_open,
        theirs,
        sealed_bytes,
        open_bytes,
        compact,
        compact_bytes,
    ] = take(setting, contestants)?;
    let name = "read + verify + decode, version 1";
    let open_name = "read + verify + decode, open segment";
    let each_its_own = "the same, each entry in buffers of its own";
    let without = "the same without decoding payloads";
    Ok(vec![
        Row::new(name, "/s", &sealed, ("predecessor", &old_sealed), Goal::AtLeast(2.0)),
        Row::new(each_its_own, "/s", &sealed_kept, ("predecessor", &old_sealed), Goal::None),
        Row::new(without, "/s", &sealed_bytes, ("predecessor", &old_sealed), Goal::None),
        Row::new(
            "the same, of the predecessor's files",
            "/s",
            &theirs,
            ("predecessor", &old_sealed),
            Goal::None,
        ),
        Row::new(
            "read + verify + decode, version 2",
            "/s",
            &compact,
            ("predecessor", &old_sealed),
            Goal::None,
        ),
        Row::new(without, "/s", &compact_bytes, ("predecessor", &old_sealed), Goal::None),
        Row::new(open_name, "/s", &open, ("predecessor", &old_open), Goal::AtLeast(2.0)),
        Row::new(each_its_own, "/s", &open_kept, ("predecessor", &old_open), Goal::None),
        Row::new(without, "/s", &open_bytes, ("predecessor", &old_open), Goal::None),
    ])
}

/// Decodes into one entry that is used again, as what looks at entry after entry does; the next one is hashed meanwhile.
fn decoded() -> impl FnMut(&Entry, &mut JournalReader) -> Result<()> {
    let mut decoded = JournalEntry::default();
    move |entry, reader| {
        decoded.decode_beside(&entry.payload, entry.sequence, || reader.hash_ahead())?;
        black_box(&decoded);
        Ok(())
    }
}

/// Decodes into an entry of its own, as what keeps entries does; the predecessor's reader can do nothing else.
fn kept(entry: &Entry, reader: &mut JournalReader) -> Result<()> {
    let mut decoded = JournalEntry::default();
    decoded.decode_beside(&entry.payload, entry.sequence, || reader.hash_ahead())?;
    black_box(decoded);
    Ok(())
}

fn as_bytes(entry: &Entry, _: &mut JournalReader) -> Result<()> {
    black_box(&entry.payload);
    Ok(())
}

fn ours(dir: &Path, mut each: impl FnMut(&Entry, &mut JournalReader) -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut reader = JournalReader::open(dir, ReaderOptions::default())?;
    let (mut entry, mut count) = (Entry::default(), 0);
    while reader.read_next(&mut entry)? {
        each(&entry, &mut reader)?;
        count += 1;
    }
    let took = started.elapsed();
    ensure!(count == ENTRIES, "{count} entries in {}", dir.display());
    Ok(rate(count as u64, took))
}

fn predecessor(dir: &Path) -> Result<f64> {
    let started = Instant::now();
    let mut count = 0;
    for entry in predecessor::JournalReader::from_sequence(dir, 1, [0; 32]).map_err(|error| anyhow!(error))? {
        black_box(entry.map_err(|error| anyhow!(error))?);
        count += 1;
    }
    let took = started.elapsed();
    ensure!(count == ENTRIES, "{count} entries in {}", dir.display());
    Ok(rate(count as u64, took))
}
