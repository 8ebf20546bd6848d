//! An encrypted journal: what opens it, what is noted before anything is sealed, what the disk shows, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod memory;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use graphstream_format::encryption::{DataKey, KeyId, KeyRing};
use graphstream_journal::{
    Ack, Entropy, Entry, Error, ErrorKind, Identity, Journal, JournalBuilder, JournalDir, JournalOptions,
    JournalReader, ReaderOptions, Result, SegmentVersion, Service, segment_name,
};
use graphstream_testkit::{CrashFs, Crashes};
use memory::{DIR, builder, payload, sealed};

fn key(seed: u8) -> DataKey {
    DataKey::taking(&mut [seed; 32])
}

fn id(seed: u8) -> KeyId {
    key(seed).id()
}

/// The first seed is the current key's.
fn ring(seeds: &[u8]) -> Arc<KeyRing> {
    let (first, older) = seeds.split_first().unwrap();
    Arc::new(older.iter().fold(KeyRing::new(key(*first)), |ring, seed| ring.with_older(key(*seed))))
}

fn opens(fs: &CrashFs, seeds: &[u8]) -> JournalBuilder {
    let builder = builder(fs);
    if seeds.is_empty() { builder } else { builder.keys(ring(seeds)) }
}

fn existing(fs: &CrashFs, seeds: &[u8]) -> JournalBuilder {
    let options = JournalOptions::default().with_service(Service::Inline).with_encrypt_existing(true);
    opens(fs, seeds).options(options)
}

fn reader(fs: &CrashFs, seeds: &[u8]) -> Result<JournalReader> {
    let mut options = ReaderOptions::default();
    options.keys = (!seeds.is_empty()).then(|| ring(seeds));
    JournalReader::open_on(DIR, options, Arc::new(fs.clone()))
}

fn read(fs: &CrashFs, seeds: &[u8]) -> Result<Vec<Entry>> {
    reader(fs, seeds)?.collect()
}

fn payloads(entries: &[Entry]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.payload.clone()).collect()
}

fn append(journal: &Journal, sequences: std::ops::RangeInclusive<u64>) {
    for n in sequences {
        let _ = journal.append(payload(n)).unwrap().wait(Ack::Synced).unwrap();
    }
}

fn dir(fs: &CrashFs) -> JournalDir {
    JournalDir::open_on(DIR, Arc::new(fs.clone())).unwrap()
}

fn identity(fs: &CrashFs) -> Identity {
    dir(fs).identity().unwrap().unwrap()
}

/// Every file with its content, but for the lock.
fn disk(fs: &CrashFs) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs
        .files()
        .into_iter()
        .filter(|path| !path.ends_with("LOCK"))
        .map(|path| (path.clone(), fs.content(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn holds(content: &[u8], what: &[u8]) -> bool {
    content.windows(what.len()).any(|window| window == what)
}

/// Entries 1..=9 in three encrypted segments, closed.
fn encrypted() -> CrashFs {
    let fs = CrashFs::new();
    let (journal, _) = opens(&fs, &[1]).open().unwrap();
    for first in [1, 4, 7] {
        append(&journal, first..=first + 2);
        journal.seal().unwrap();
    }
    journal.close().unwrap();
    fs
}

#[test]
fn k01_what_is_sealed_shows_nothing_and_is_read_with_the_key_alone() {
    let (fs, plain) = (encrypted(), sealed(9));
    let expected = memory::read(&plain);
    let entries = read(&fs, &[1]).unwrap();
    assert_eq!(payloads(&entries), payloads(&expected));
    // The chain is the same with and without encryption, and the lineage is another one.
    assert!(entries.iter().zip(&expected).all(|(a, b)| a.chain_hash == b.chain_hash));
    for (path, content) in disk(&fs) {
        assert!(!holds(&content, b"entry number"), "{}", path.display());
        for entry in &entries {
            assert!(!holds(&content, &entry.chain_hash.as_bytes()[..8]), "{}", path.display());
        }
    }
    assert!(disk(&plain).iter().any(|(_, content)| holds(content, b"entry number")), "it can be seen");
    let dir = dir(&fs).with_keys(ring(&[1]));
    assert!(dir.segments().unwrap().iter().all(|segment| segment.header.is_encrypted()));
    for entry in &entries {
        assert_eq!(dir.chain_at(entry.sequence).unwrap(), entry.chain_hash);
    }
    assert_eq!(dir.position().unwrap().chain_hash, entries[8].chain_hash);
    for from in 1..=9 {
        let options = ReaderOptions::default().with_from_sequence(from).with_keys(ring(&[1]));
        let reader = JournalReader::open_on(DIR, options, Arc::new(fs.clone())).unwrap();
        assert!(reader.map(|entry| entry.unwrap().sequence).eq(from..=9));
    }
}

#[test]
fn h04_h07_missing_unknown_and_unwanted_keys_are_errors_of_their_own_and_change_nothing() {
    let fs = encrypted();
    // An unclean stop: there would be something to recover.
    let (journal, _) = opens(&fs, &[1]).open().unwrap();
    append(&journal, 10..=11);
    std::mem::forget(journal);
    fs.break_locks();
    let before = disk(&fs);
    let required =
        |error: &Error| matches!(error, Error::EncryptionRequired { id: found, .. } if *found == id(1));
    let missing = |error: &Error| {
        matches!(error, Error::EncryptionKeyMissing { id: found, given, .. }
            if *found == id(1) && *given == [id(2), id(3)])
    };
    for (seeds, expected) in [(&[][..], &required as &dyn Fn(&Error) -> bool), (&[2, 3], &missing)] {
        for encrypt_existing in [false, true] {
            let opened = if encrypt_existing { existing(&fs, seeds) } else { opens(&fs, seeds) };
            let error = opened.open().unwrap_err();
            assert!(expected(&error), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let error = reader(&fs, seeds).unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert!(disk(&fs) == before, "nothing was sealed, cut or removed");
    }
    let said = opens(&fs, &[2, 3]).open().unwrap_err().to_string();
    assert_eq!(
        said,
        format!(
            "{DIR}/journal.json says that the journal is encrypted with key {}, which is not among those given ({}, {})",
            id(1),
            id(2),
            id(3)
        )
    );
    // With it, what the unclean stop has left is sealed, encrypted.
    let (_, report) = opens(&fs, &[1]).open().unwrap();
    assert_eq!((report.sealed.len(), report.position.sequence), (1, 11));
    assert!(disk(&fs).iter().all(|(_, content)| !holds(content, b"entry number")));
    assert_eq!(read(&fs, &[1]).unwrap().len(), 11);
}

#[test]
fn h04_another_current_key_affects_new_segments_alone() {
    let fs = encrypted();
    let old = disk(&fs);
    let (journal, report) = opens(&fs, &[2, 1]).open().unwrap();
    assert!(report.is_clean());
    assert_eq!(identity(&fs).encryption_key, Some(id(2)), "before anything is sealed");
    append(&journal, 10..=12);
    journal.close().unwrap();
    for (path, content) in old.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "hadbj")) {
        assert!(fs.content(path).unwrap() == *content, "{} was left alone", path.display());
    }
    assert_eq!(read(&fs, &[2, 1]).unwrap().len(), 12);
    assert_eq!(read(&fs, &[3, 1, 2]).unwrap().len(), 12);
    let error = read(&fs, &[2]).unwrap_err();
    let unknown = |error: &Error| {
        let Error::Segment { path, source } = error else { return false };
        path.ends_with(segment_name(1))
            && matches!(**source, graphstream_format::Error::UnknownKey { id: found } if found == id(1))
    };
    assert!(unknown(&error) && error.kind() == ErrorKind::Invalid, "{error:?}");
    // The newest segment is all that opening reads: an older key may be at hand or not.
    opens(&fs, &[2]).open().unwrap();
    let error = opens(&fs, &[1]).open().unwrap_err();
    assert!(matches!(error, Error::EncryptionKeyMissing { id: found, .. } if found == id(2)), "{error:?}");
}

#[test]
fn h07_a_plain_journal_is_encrypted_from_here_on_only_if_that_is_said() {
    let fs = sealed(8);
    let before = disk(&fs);
    for result in [opens(&fs, &[1]).open().map(drop), reader(&fs, &[1]).map(drop)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::NotEncrypted { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("keys were given, but {DIR}/journal.json does not say that the journal is encrypted")
        );
        assert!(disk(&fs) == before);
    }
    let (journal, _) = existing(&fs, &[1]).open().unwrap();
    assert_eq!((identity(&fs).encryption_key, identity(&fs).plain_up_to), (Some(id(1)), Some(8)));
    append(&journal, 9..=10);
    journal.close().unwrap();
    // From now on it needs no saying.
    let (journal, _) = opens(&fs, &[2, 1]).open().unwrap();
    append(&journal, 11..=11);
    journal.close().unwrap();
    assert_eq!((identity(&fs).encryption_key, identity(&fs).plain_up_to), (Some(id(2)), Some(8)));
    assert_eq!(payloads(&read(&fs, &[2, 1]).unwrap()), (1..=11).map(payload).collect::<Vec<_>>());
    assert!(matches!(reader(&fs, &[]).unwrap_err(), Error::EncryptionRequired { .. }));
    let encrypted: Vec<_> =
        dir(&fs).segments().unwrap().iter().map(|segment| segment.header.is_encrypted()).collect();
    assert_eq!(encrypted, [false, false, false, true, true]);
}

#[test]
fn a_journal_without_sealed_segments_may_be_encrypted_at_once() {
    let fs = CrashFs::new();
    let (journal, _) = opens(&fs, &[]).open().unwrap();
    append(&journal, 1..=3);
    std::mem::forget(journal);
    fs.break_locks();
    // Nothing of it was sealed: the open segment is local and plain.
    let (_, report) = opens(&fs, &[1]).open().unwrap();
    assert_eq!(report.sealed.len(), 1);
    assert_eq!((identity(&fs).encryption_key, identity(&fs).plain_up_to), (Some(id(1)), None));
    assert!(disk(&fs).iter().all(|(_, content)| !holds(content, b"entry number")));
    assert_eq!(read(&fs, &[1]).unwrap().len(), 3);
}

/// H07: somebody puts a plain segment in the place of an encrypted one, with the right lineage and chain.
#[test]
fn h07_a_plain_segment_where_all_must_be_encrypted_is_refused() {
    let (fs, plain) = (encrypted(), CrashFs::new());
    let lineage = identity(&fs).lineage;
    let (journal, _) = builder(&plain).lineage(lineage).open().unwrap();
    for first in [1, 4, 7] {
        append(&journal, first..=first + 2);
        journal.seal().unwrap();
    }
    journal.close().unwrap();
    for first in [1, 4, 7] {
        let path = Path::new(DIR).join(segment_name(first));
        let own = fs.content(&path).unwrap();
        fs.put(&path, &plain.content(&path).unwrap());
        let refused = |error: &Error| {
            let Error::Segment { path: found, source } = error else { return false };
            *found == path && matches!(**source, graphstream_format::Error::PlaintextRefused)
        };
        let error = read(&fs, &[1]).unwrap_err();
        assert!(refused(&error) && error.kind() == ErrorKind::Integrity, "{error:?}");
        if first == 7 {
            let before = disk(&fs);
            for opened in [opens(&fs, &[1]).open(), existing(&fs, &[1]).open()] {
                let error = opened.unwrap_err();
                assert!(refused(&error), "{error:?}");
            }
            assert!(disk(&fs) == before);
        }
        fs.put(&path, &own);
    }
    assert_eq!(read(&fs, &[1]).unwrap().len(), 9);
}

#[test]
fn version_1_cannot_be_encrypted() {
    let fs = CrashFs::new();
    let options = JournalOptions::default().with_segment_version(SegmentVersion::V1);
    let error = opens(&fs, &[1]).options(options).open().unwrap_err();
    assert!(matches!(error, Error::InvalidOption { option: "segment_version", .. }), "{error:?}");
    assert!(fs.files().is_empty());
}

/// The power is cut at any step of turning encryption on, of rotating the key, and of a life between: what is encrypted is named by
/// `journal.json`, what is named there is all that opening takes, and no file but the open segment shows an entry.
#[test]
fn h07_the_key_is_noted_before_anything_is_sealed_with_it() {
    let fs = sealed(4);
    let (journal, _) = existing(&fs, &[1]).open().unwrap();
    append(&journal, 5..=6);
    journal.seal().unwrap();
    append(&journal, 7..=7);
    journal.close().unwrap();
    let (journal, _) = opens(&fs, &[2, 1]).open().unwrap();
    append(&journal, 8..=9);
    journal.close().unwrap();

    let (mut crashes, mut states, mut turned_on, mut rotated) = (Crashes::of(&fs), 0, 0, 0);
    for at in 0..crashes.boundaries() {
        for image in crashes.at(at, 1, at as u64) {
            let fs = image.boot();
            let Ok(dir) = JournalDir::open_on(DIR, Arc::new(fs.clone())) else { continue };
            let Some(identity) = dir.identity().unwrap() else { continue };
            let key_of =
                |path: &Path| -> [u8; 16] { fs.content(path).unwrap()[128..144].try_into().unwrap() };
            let keys: Vec<_> = dir
                .segments()
                .unwrap()
                .iter()
                .filter(|segment| segment.header.is_encrypted())
                .map(|segment| KeyId::from_bytes(key_of(&segment.path)))
                .collect();
            match identity.encryption_key {
                None => assert_eq!(keys, [], "encrypted before it was noted"),
                Some(noted) if noted == id(1) => assert!(keys.iter().all(|key| *key == id(1))),
                Some(noted) => assert_eq!(noted, id(2)),
            }
            turned_on += usize::from(identity.encryption_key == Some(id(1)));
            rotated += usize::from(identity.encryption_key == Some(id(2)));
            if identity.encryption_key.is_some() {
                assert!(matches!(reader(&fs, &[]), Err(Error::EncryptionRequired { .. })));
                assert_eq!(identity.plain_up_to, Some(4));
                let (_, report) = opens(&fs, &[2, 1]).open().unwrap();
                let entries = read(&fs, &[2, 1]).unwrap();
                assert_eq!(
                    payloads(&entries),
                    (1..=report.position.sequence).map(payload).collect::<Vec<_>>()
                );
                states += 1;
            }
        }
    }
    assert!(states > 100 && turned_on > 20 && rotated > 20, "{states} {turned_on} {rotated}");
}

#[test]
fn what_a_fence_cuts_off_stays_encrypted() {
    for after in 0..=9 {
        let fs = encrypted();
        let before = read(&fs, &[1]).unwrap();
        let (journal, _) = opens(&fs, &[1]).open().unwrap();
        journal.fence(after).unwrap();
        drop(journal);
        let (journal, report) = opens(&fs, &[2, 1]).open().unwrap();
        assert_eq!(report.position.sequence, after);
        append(&journal, after + 1..=after + 1);
        journal.close().unwrap();
        assert!(disk(&fs).iter().all(|(_, content)| !holds(content, b"entry number")), "after {after}");
        let entries = read(&fs, &[2, 1]).unwrap();
        assert_eq!(entries[..after as usize], before[..after as usize]);
        assert_eq!(entries.len() as u64, after + 1);
    }
}

/// Plain segments that are cut stay plain, and what takes the place of those set aside has to be encrypted.
#[test]
fn a_fence_in_the_plain_part_lowers_how_far_plain_segments_are_accepted() {
    let fs = sealed(6);
    let (journal, _) = existing(&fs, &[1]).open().unwrap();
    append(&journal, 7..=8);
    journal.fence(5).unwrap();
    drop(journal);
    let (journal, _) = opens(&fs, &[1]).open().unwrap();
    assert_eq!(identity(&fs).plain_up_to, Some(5));
    append(&journal, 6..=6);
    journal.close().unwrap();
    assert_eq!(payloads(&read(&fs, &[1]).unwrap()), (1..=6).map(payload).collect::<Vec<_>>());
    let segments = dir(&fs).segments().unwrap();
    let ends: Vec<_> =
        segments.iter().map(|segment| (segment.header.last_seq, segment.header.is_encrypted())).collect();
    assert_eq!(ends, [(3, false), (5, false), (6, true)]);
}

/// Its segments are plain, so it takes the saying; then it is taken over as ever, and what follows is encrypted.
#[test]
fn h07_a_predecessors_directory_is_encrypted_only_if_that_is_said() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../graphstream-format/tests/fixtures/graphstream-0.3.0/unsealed-tail");
    let fs = CrashFs::new();
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        fs.put(Path::new(DIR).join(entry.file_name()), &std::fs::read(entry.path()).unwrap());
    }
    let before = disk(&fs);
    assert!(matches!(opens(&fs, &[1]).open(), Err(Error::NotEncrypted { .. })));
    assert!(matches!(reader(&fs, &[1]), Err(Error::NotEncrypted { .. })));
    assert!(disk(&fs) == before);
    let (journal, report) = existing(&fs, &[1]).open().unwrap();
    assert!(report.adopted.is_some());
    assert_eq!((identity(&fs).encryption_key, identity(&fs).plain_up_to), (Some(id(1)), Some(450)));
    append(&journal, 451..=452);
    journal.close().unwrap();
    assert_eq!(read(&fs, &[1]).unwrap().len(), 452);
    assert!(dir(&fs).segments().unwrap().last().unwrap().header.is_encrypted());
}

/// A reader at the end goes on through rotation, sealing and another key.
#[test]
fn a_live_reader_follows_an_encrypted_journal() {
    let fs = CrashFs::new();
    let (journal, _) = opens(&fs, &[1]).open().unwrap();
    let options = ReaderOptions::default().with_follow(true).with_keys(ring(&[2, 1]));
    let mut live = JournalReader::open_on(DIR, options, Arc::new(fs.clone())).unwrap();
    let mut expect = |sequences: std::ops::RangeInclusive<u64>| {
        for n in sequences {
            assert_eq!(live.next().unwrap().unwrap().payload, payload(n));
        }
        assert!(live.next().is_none());
    };
    append(&journal, 1..=2);
    expect(1..=2);
    append(&journal, 3..=3);
    journal.seal().unwrap();
    expect(3..=3);
    append(&journal, 4..=5);
    journal.seal().unwrap();
    append(&journal, 6..=6);
    expect(4..=6);
    journal.close().unwrap();
    let (journal, _) = opens(&fs, &[2, 1]).open().unwrap();
    append(&journal, 7..=8);
    journal.seal().unwrap();
    expect(7..=8);
}

/// So many draws are left.
#[derive(Debug)]
struct Failing(AtomicUsize);

impl Entropy for Failing {
    fn random(&self) -> io::Result<[u8; 16]> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(1);
        self.0.store(left.ok_or_else(|| io::Error::other("nothing to draw from"))?, Ordering::Relaxed);
        Ok([7; 16])
    }
}

/// Without random numbers nothing is sealed, least of all plain; the next attempt draws anew.
#[test]
fn h05_no_segment_is_sealed_without_randomness() {
    // Database, lineage and the segment's nonce take one each.
    for drawn in 3..6 {
        let fs = CrashFs::new();
        let entropy = Arc::new(Failing(AtomicUsize::new(drawn)));
        let (journal, _) = opens(&fs, &[1]).entropy(entropy.clone()).open().unwrap();
        append(&journal, 1..=2);
        let error = journal.seal().unwrap_err();
        assert!(
            matches!(&error, Error::Shared(inner) if matches!(**inner, Error::Entropy { .. })),
            "{error:?}"
        );
        assert!(disk(&fs).iter().all(|(path, _)| path.extension().is_none_or(|e| e != "tmp")));
        assert!(!dir(&fs).segments().unwrap()[0].is_sealed());
        entropy.0.store(3, Ordering::Relaxed);
        journal.seal().unwrap();
        assert_eq!(read(&fs, &[1]).unwrap().len(), 2);
    }
}

#[test]
fn k01_nothing_that_can_be_printed_shows_a_key() {
    let fs = encrypted();
    let builder = opens(&fs, &[1]);
    let mut said = format!("{builder:?}");
    let (journal, report) = builder.open().unwrap();
    let options = ReaderOptions::default().with_keys(ring(&[1]));
    said +=
        &format!("{journal:?} {report:?} {:?} {options:?} {:?}", journal.dir(), reader(&fs, &[1]).unwrap());
    for error in [opens(&fs, &[2]).open().unwrap_err(), reader(&fs, &[]).unwrap_err()] {
        said += &format!("{error} {error:?}");
    }
    // Seeds are the bytes of the keys: 01 01 01 ...
    let line = key(1).to_line();
    let secret = line.trim_end().rsplit(' ').next().unwrap();
    assert!(said.contains(&id(1).to_string()), "the keys' names are told");
    for canary in [secret, "01010101", "1, 1, 1, 1", "\\u{1}\\u{1}"] {
        assert!(!said.contains(canary), "{said}");
    }
}
