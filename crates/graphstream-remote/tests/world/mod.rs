//! A small world for the protocol: a store whose versions are its contents (as S3's etags are), journals in memory that
//! seal real segments, and a loop that runs futures without a runtime.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::Cursor;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use graphstream_format::encryption::{DataKey, EncryptWith, KeyRing};
use graphstream_format::{
    ChainHash, Compression, Entry, Header, Lineage, Position, ReadOptions, SegmentReader, SegmentStart,
    SegmentWriter, WriteOptions, v1, v2,
};
use graphstream_remote::{
    Committed, DatabaseId, DatabaseName, Identity, LeaderSession, LocalChain, LocalError, LocalSegment,
    OwnerNonce, Randomness, Remote, Result, SegmentName, SessionOptions, UploadedSegment,
};
use graphstream_storage::{
    ByteStream, Error as StoreError, GetOptions, GetOutcome, Key, ListPage, ListRequest, Object, ObjectMeta,
    Operation, PutBody, PutMode, StorageBackend, Token, Version,
};
use sha2::{Digest, Sha256};

pub const DATABASE: &str = "people";
pub const LINEAGE: Lineage = Lineage::from_bytes([7; 16]);
pub const IDENTITY_BYTES: [u8; 16] = [9; 16];

pub fn identity() -> Identity {
    Identity::new(DatabaseId::from_bytes(IDENTITY_BYTES), LINEAGE)
}

/// Whether the histories of a test are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    Off,
    /// With one key.
    On,
    /// With two keys, of which every process has both: which one is current changes from one process to the next, and back.
    Rotating,
}

thread_local! {
    static ENCRYPTION: Cell<(Encryption, usize)> = const { Cell::new((Encryption::Off, 0)) };
}

/// Everything on this thread is encrypted so from here on.
pub fn encrypt(encryption: Encryption) {
    ENCRYPTION.set((encryption, 0));
}

/// Runs a test plain, encrypted, and with keys that change.
pub fn in_every_world(test: impl Fn()) {
    for encryption in [Encryption::Off, Encryption::On, Encryption::Rotating] {
        encrypt(encryption);
        eprintln!("encryption: {encryption:?}");
        test();
    }
}

pub fn data_key(number: u8) -> DataKey {
    DataKey::taking(&mut [0xc0 + number; 32])
}

/// The keys of a process; the current one first. No numbers, no keys.
pub fn ring(numbers: &[u8]) -> Option<Arc<KeyRing>> {
    let (current, older) = numbers.split_first()?;
    let ring = KeyRing::new(data_key(*current));
    Some(Arc::new(older.iter().fold(ring, |ring, older| ring.with_older(data_key(*older)))))
}

/// The keys of the next process.
pub fn next_keys() -> Option<Arc<KeyRing>> {
    let (encryption, turn) = ENCRYPTION.get();
    ENCRYPTION.set((encryption, turn + 1));
    keys_at(turn)
}

/// All keys there are.
pub fn keys() -> Option<Arc<KeyRing>> {
    keys_at(0)
}

fn keys_at(turn: usize) -> Option<Arc<KeyRing>> {
    match ENCRYPTION.get().0 {
        Encryption::Off => ring(&[]),
        Encryption::On => ring(&[1]),
        Encryption::Rotating => ring(if turn.is_multiple_of(2) { &[1, 2] } else { &[2, 1] }),
    }
}

/// Whether this is the chain hash that is committed.
pub fn commits(committed: &Committed, chain_hash: ChainHash) -> bool {
    let position = Position { lineage: LINEAGE, sequence: committed.sequence, chain_hash };
    committed.chain.is(&position, keys().as_deref()).unwrap()
}

/// Runs a future that never waits for anything outside.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future waits for something that never happens");
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SplitMix64: one seed, one run.
#[derive(Debug)]
pub struct Random(Mutex<u64>);

impl Random {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(seed)))
    }

    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn per_mille(&self, chance: usize) -> bool {
        self.below(1000) < chance
    }
}

impl Randomness for Random {
    fn bytes16(&self) -> Result<[u8; 16]> {
        let (high, low) = (self.next(), self.next());
        Ok(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }
}

/// An object store whose versions are derived from content only.
#[derive(Debug, Clone, Default)]
pub struct EtagStore(Arc<Mutex<BTreeMap<Key, Bytes>>>);

impl EtagStore {
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Bytes>> {
        self.0.lock().unwrap()
    }

    pub fn version(bytes: &[u8]) -> Version {
        Version::new(hex::encode(sha256(bytes))).unwrap()
    }

    fn meta(key: &Key, bytes: &Bytes) -> ObjectMeta {
        ObjectMeta::new(key.clone(), bytes.len() as u64, Self::version(bytes), 0)
    }

    pub fn bytes(&self, relative: &str) -> Option<Bytes> {
        self.objects().get(&key(relative)).cloned()
    }

    /// Overwrites behind everybody's back.
    pub fn set(&self, relative: &str, bytes: impl Into<Bytes>) {
        self.objects().insert(key(relative), bytes.into());
    }

    pub fn remove(&self, relative: &str) -> Option<Bytes> {
        self.objects().remove(&key(relative))
    }

    pub fn names(&self, prefix: &str) -> Vec<String> {
        let below = format!("{DATABASE}/");
        let keys = self.objects().keys().map(ToString::to_string).collect::<Vec<_>>();
        keys.iter()
            .filter_map(|key| key.strip_prefix(&below))
            .filter(|key| key.starts_with(prefix))
            .map(str::to_owned)
            .collect()
    }

    pub fn put_now(&self, key: &Key, bytes: &Bytes, mode: &PutMode) -> Result<Version, StoreError> {
        let mut objects = self.objects();
        match (mode, objects.get(key)) {
            (PutMode::Create, Some(_)) => return Err(StoreError::Exists { key: key.clone() }),
            (PutMode::Match(_), None) => {
                return Err(StoreError::NotFound { operation: Operation::Put, key: key.clone() });
            }
            (PutMode::Match(expected), Some(found)) if *expected != Self::version(found) => {
                let found = Some(Self::version(found));
                return Err(StoreError::VersionMismatch {
                    key: key.clone(),
                    expected: expected.clone(),
                    found,
                });
            }
            _ => {}
        }
        objects.insert(key.clone(), bytes.clone());
        Ok(Self::version(bytes))
    }
}

pub fn key(relative: &str) -> Key {
    Key::new(format!("{DATABASE}/{relative}")).unwrap()
}

pub fn body_bytes(body: &PutBody) -> Bytes {
    match body {
        PutBody::Bytes(bytes) => bytes.clone(),
        PutBody::File(path) => std::fs::read(path).unwrap().into(),
        _ => unreachable!("two kinds of bodies"),
    }
}

#[async_trait]
impl StorageBackend for EtagStore {
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetOutcome, StoreError> {
        let Some(bytes) = self.objects().get(key).cloned() else {
            return Err(StoreError::NotFound { operation: Operation::Get, key: key.clone() });
        };
        let meta = Self::meta(key, &bytes);
        if options.if_changed_from.as_ref() == Some(&meta.version) {
            return Ok(GetOutcome::NotModified);
        }
        let range = options.range.map_or(0..meta.size, |range| range.start..range.end.min(meta.size));
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        Ok(GetOutcome::Found(Object::new(meta, range, ByteStream::from_bytes(bytes))))
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> Result<Version, StoreError> {
        self.put_now(key, &body_bytes(&body), &mode)
    }

    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        let missing = || StoreError::NotFound { operation: Operation::Head, key: key.clone() };
        self.objects().get(key).map(|bytes| Self::meta(key, bytes)).ok_or_else(missing)
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.objects().remove(key);
        Ok(())
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<(Key, Result<(), StoreError>)>, StoreError> {
        keys.iter().for_each(|key| drop(self.objects().remove(key)));
        Ok(keys.iter().map(|key| (key.clone(), Ok(()))).collect())
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        assert!(!request.delimiter, "nothing here folds");
        let token = request.continuation.as_ref().map(Token::as_str);
        let after = [request.start_after.as_deref(), token].into_iter().flatten().max();
        let limit = request.limit.unwrap_or(1000);
        let objects = self.objects();
        let mut matching = objects.iter().filter(|(key, _)| {
            key.as_str().starts_with(&request.prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        let page: Vec<_> = matching.by_ref().take(limit).map(|(key, bytes)| Self::meta(key, bytes)).collect();
        let next = matching.next().and(page.last()).map(|last| Token::new(last.key.as_str()));
        Ok(ListPage::new(page, Vec::new(), next))
    }

    fn describe(&self) -> String {
        "etags:".to_owned()
    }
}

/// A leader's journal in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    pub payloads: Vec<Vec<u8>>,
    pub chains: Vec<ChainHash>,
}

impl Journal {
    pub fn of(payloads: &[&str]) -> Self {
        let mut journal = Self::default();
        payloads.iter().for_each(|payload| journal.append(payload.as_bytes()));
        journal
    }

    pub fn append(&mut self, payload: &[u8]) {
        let chain = self.chain(self.last_sequence()).after(payload);
        self.payloads.push(payload.to_vec());
        self.chains.push(chain);
    }

    pub fn last_sequence(&self) -> u64 {
        self.payloads.len() as u64
    }

    /// The chain hash after `sequence`, which the journal holds.
    pub fn chain(&self, sequence: u64) -> ChainHash {
        match usize::try_from(sequence).unwrap().checked_sub(1) {
            None => ChainHash::ZERO,
            Some(at) => self.chains[at],
        }
    }

    pub fn truncate(&mut self, sequence: u64) {
        self.payloads.truncate(usize::try_from(sequence).unwrap());
        self.chains.truncate(usize::try_from(sequence).unwrap());
    }

    /// Seals these entries into a real segment.
    pub fn segment(&self, sequences: RangeInclusive<u64>) -> LocalSegment {
        let (first, last) = (*sequences.start(), *sequences.end());
        let bytes = self.sealed(sequences.clone());
        let chain = (self.chain(first - 1), self.chain(last));
        let (size, sum) = (bytes.len() as u64, sha256(&bytes));
        LocalSegment::new(sequences, chain, commit_ms(last), size, sum, bytes.into())
            .with_encrypted(keys().is_some())
    }

    pub fn sealed(&self, sequences: RangeInclusive<u64>) -> Vec<u8> {
        let first = *sequences.start();
        let payloads: Vec<_> =
            sequences.map(|sequence| &self.payloads[usize::try_from(sequence - 1).unwrap()][..]).collect();
        sealed(first, self.chain(first - 1), &payloads, keys().as_deref())
    }
}

/// Seals entries: version 1 if they stay plain, so that both versions are seen. Equal entries always make equal segments: the key, and
/// what is random elsewhere, follow from them.
pub fn sealed(
    first_seq: u64,
    chain_before: ChainHash,
    payloads: &[&[u8]],
    keys: Option<&KeyRing>,
) -> Vec<u8> {
    let start = SegmentStart { lineage: LINEAGE, first_seq, chain_before, created_ms: 0 };
    let output = Cursor::new(Vec::new());
    let last_seq = first_seq + payloads.len() as u64 - 1;
    let mut writer = match keys {
        None => {
            let version = WriteOptions::default().with_version(graphstream_format::SegmentVersion::V1);
            SegmentWriter::new(output, start, &version.with_compression(Compression::None)).unwrap()
        }
        Some(keys) => {
            let range = v2::SegmentRange {
                last_seq,
                first_commit_ms: commit_ms(first_seq),
                last_commit_ms: commit_ms(last_seq),
            };
            let seed = [sha256(&payloads.concat()), sha256(chain_before.as_bytes())].concat();
            let random = seed[..graphstream_format::encryption::SEGMENT_RANDOM_LEN].try_into().unwrap();
            let ids: Vec<_> = keys.ids().collect();
            let key = keys.key(ids[usize::from(seed[0]) % ids.len()]).unwrap();
            let with = EncryptWith::new(key, random);
            SegmentWriter::encrypted(output, start, &WriteOptions::default(), range, with).unwrap()
        }
    };
    for (sequence, payload) in (first_seq..).zip(payloads) {
        writer.push(payload, commit_ms(sequence)).unwrap();
    }
    writer.finish().unwrap().inner.into_inner()
}

/// Every entry has its own commit time, so that the same entries always make the same segment.
pub fn commit_ms(sequence: u64) -> i64 {
    i64::try_from(sequence * 1000).unwrap()
}

impl LocalChain for Journal {
    fn last(&self) -> (u64, ChainHash) {
        (self.last_sequence(), self.chain(self.last_sequence()))
    }

    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError> {
        Ok((sequence <= self.last_sequence()).then(|| self.chain(sequence)))
    }
}

/// The entries of a sealed segment, verified.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
    let options = match keys().filter(|_| header.is_encrypted()) {
        Some(keys) => ReadOptions::default().with_keys(keys),
        None => ReadOptions::default(),
    };
    let mut reader = SegmentReader::new(bytes, bytes.len() as u64, options).unwrap();
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    while reader.read_next(&mut entry).unwrap() {
        entries.push(entry.clone());
    }
    entries
}

pub fn remote(backend: impl StorageBackend, random: &Arc<Random>) -> Remote {
    let name = DatabaseName::new(DATABASE).unwrap();
    let remote = Remote::new(Arc::new(backend), "", name).unwrap();
    let remote = remote.with_randomness(Arc::<Random>::clone(random));
    match next_keys() {
        Some(keys) => remote.with_keys(keys),
        None => remote,
    }
}

/// A leader with its journal, as a scenario drives it.
#[derive(Debug)]
pub struct Leader {
    pub session: LeaderSession,
    pub journal: Journal,
    pub uploaded: Vec<UploadedSegment>,
}

impl Leader {
    /// Opens a session and claims.
    pub fn start(remote: &Remote, journal: Journal) -> Result<Self> {
        let mut leader = Self::open(remote, journal)?;
        leader.claim()?;
        Ok(leader)
    }

    pub fn open(remote: &Remote, journal: Journal) -> Result<Self> {
        let nonce = OwnerNonce::random(remote.randomness()).unwrap();
        let options = SessionOptions::default().with_create(true);
        let session = run(LeaderSession::open(remote.clone(), identity(), nonce, options, &journal))?;
        Ok(Self { session, journal, uploaded: Vec::new() })
    }

    pub fn claim(&mut self) -> Result<()> {
        run(self.session.claim(&self.journal, 1_000_000))
    }

    /// Uploads these entries as one segment.
    pub fn upload(&mut self, sequences: RangeInclusive<u64>) -> Result<SegmentName> {
        let segment = self.journal.segment(sequences);
        let uploaded = run(self.session.uploader()?.upload(&segment))?;
        self.uploaded.push(uploaded);
        Ok(*uploaded.name())
    }

    /// Publishes all that was uploaded; the committed sequence then.
    pub fn publish(&mut self) -> Result<u64> {
        let published = run(self.session.publish(&self.uploaded, &self.journal))?;
        self.uploaded.retain(|segment| segment.name().last() > published.committed.sequence);
        Ok(published.committed.sequence)
    }

    /// Appends, uploads each entry as one segment, publishes.
    pub fn store(&mut self, payloads: &[&str]) -> Result<u64> {
        for payload in payloads {
            self.journal.append(payload.as_bytes());
            let last = self.journal.last_sequence();
            self.upload(last..=last)?;
        }
        self.publish()
    }

    pub fn epoch(&self) -> u32 {
        self.session.epoch().unwrap()
    }
}

/// The merged segment of a contiguous run: what a compactor writes before it deletes the inputs.
pub fn merge_segments(names: &[SegmentName], segments: &[Bytes], level: u8) -> (SegmentName, Vec<u8>) {
    let (first, last) = (names[0], names[names.len() - 1]);
    let name = SegmentName::new(level, first.first(), last.last(), last.epoch(), last.commit_ms()).unwrap();
    let merged: Vec<_> = segments.iter().flat_map(|segment| entries(segment)).collect();
    let payloads: Vec<_> = merged.iter().map(|entry| &entry.payload[..]).collect();
    (name, sealed(first.first(), chain_before(&segments[0]), &payloads, keys().as_deref()))
}

/// Writes the merged segment; the inputs stay.
pub fn merge(store: &EtagStore, names: &[SegmentName], level: u8) -> SegmentName {
    let segments: Vec<_> = names.iter().map(|name| store.bytes(&name.to_string()).unwrap()).collect();
    let (name, bytes) = merge_segments(names, &segments, level);
    store.set(&name.to_string(), bytes);
    name
}

/// The chain hash before the first entry: version 1 repeats it in each entry, version 2 has it in its index.
pub fn chain_before(segment: &[u8]) -> ChainHash {
    if let Some(keys) = keys() {
        return v2::RandomReader::open_encrypted(segment, segment.len() as u64, &keys).unwrap().chain().0;
    }
    let at = 128 + v1::entry_field::PREV_HASH;
    ChainHash::from_bytes(segment[at..at + 32].try_into().unwrap())
}
