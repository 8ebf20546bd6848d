//! A seeded simulation: leaders that crash, linger as zombies and come back with or without their disks, followers, a
//! compactor without any grace, and a network that loses, delays and fails. Every request of every process is a step of
//! its own, and a seed decides who steps next. After each change of the store the promises are checked:
//!
//! - what was committed stays committed, in every later head (I1), and all that was *stored* with it (I3);
//! - every object that the history rule admits holds committed entries (I2a), and all committed entries are held (I6);
//! - what was reported `Fenced` never becomes history (I2b); only a rival fences (I5);
//! - a follower never sees a gap, fork or rewind (I4);
//! - once the faults end, a leader alone commits all that it has, and a follower applies it (liveness).
//!
//! The head may be taken away once. Then nothing may be forked, and once it was repaired all of the above holds for what follows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code, unreachable_pub, reason = "shared between tests, each of which uses a part")]
mod world;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use graphstream_format::ChainHash;
use graphstream_remote::{
    Committed, EpochRow, Error, ErrorKind, Fenced, Floor, Head, HeadPoll, HeadReader, HistoryRule,
    LeaderSession, LocalChain, LocalError, OwnerNonce, RepairProblem, SegmentName, SessionOptions,
    UploadedSegment,
};
use graphstream_storage::{
    Error as StoreError, ErrorClass, GetOptions, GetOutcome, Key, ListPage, ListRequest, ObjectMeta,
    Operation, PutBody, PutMode, Result as StoreResult, StorageBackend, Version,
};
use world::{
    Encryption, EtagStore, Journal, Random, body_bytes, commits, encrypt, entries, identity, keys,
    merge_segments, remote,
};

/// Lets another process step.
async fn step() {
    let mut waited = false;
    std::future::poll_fn(
        |_| {
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        },
    )
    .await;
}

/// A change that its sender has given up on and that still travels.
#[derive(Debug)]
enum Travelling {
    Put(Key, Bytes, PutMode),
    Delete(Key),
}

/// One process's way to the store.
#[derive(Debug, Clone)]
struct Net {
    store: EtagStore,
    random: Arc<Random>,
    travelling: Arc<Mutex<Vec<Travelling>>>,
    faults_per_mille: Arc<AtomicUsize>,
    changes: Arc<AtomicUsize>,
}

impl Net {
    fn new(random: &Arc<Random>, faults_per_mille: usize) -> Self {
        Self {
            store: EtagStore::default(),
            random: Arc::clone(random),
            travelling: Arc::default(),
            faults_per_mille: Arc::new(faults_per_mille.into()),
            changes: Arc::default(),
        }
    }

    fn fails(&self) -> bool {
        self.random.per_mille(self.faults_per_mille.load(Ordering::Relaxed))
    }

    fn error(&self, class: ErrorClass, operation: Operation, key: &str) -> StoreError {
        StoreError::backend(class, operation, key, "net", graphstream_storage::faults::InjectedFault)
    }

    async fn read(&self, operation: Operation, subject: &str) -> StoreResult<()> {
        step().await;
        if self.fails() { Err(self.error(ErrorClass::Unavailable, operation, subject)) } else { Ok(()) }
    }

    fn land(&self, change: Travelling) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        match change {
            Travelling::Put(key, bytes, mode) => drop(self.store.put_now(&key, &bytes, &mode)),
            Travelling::Delete(key) => drop(self.store.objects().remove(&key)),
        }
    }

    /// Lets a random travelling change arrive, or loses it.
    fn arrive(&self) {
        let change = {
            let mut travelling = self.travelling.lock().unwrap();
            if travelling.is_empty() {
                return;
            }
            let at = self.random.below(travelling.len());
            travelling.swap_remove(at)
        };
        if self.random.per_mille(800) {
            self.land(change);
        }
    }
}

#[async_trait]
impl StorageBackend for Net {
    async fn get(&self, key: &Key, options: GetOptions) -> StoreResult<GetOutcome> {
        self.read(Operation::Get, key.as_str()).await?;
        let answer = self.store.get(key, options).await;
        step().await;
        answer
    }

    async fn put(&self, key: &Key, body: PutBody, mode: PutMode) -> StoreResult<Version> {
        step().await;
        let bytes = body_bytes(&body);
        if self.fails() {
            let change = Travelling::Put(key.clone(), bytes, mode);
            let unknown = self.error(ErrorClass::TimeoutUnknown, Operation::Put, key.as_str());
            match self.random.below(4) {
                0 => return Err(self.error(ErrorClass::Unavailable, Operation::Put, key.as_str())),
                1 => self.land(change),
                2 => self.travelling.lock().unwrap().push(change),
                _ => {}
            }
            return Err(unknown);
        }
        let answer = self.store.put_now(key, &bytes, &mode);
        self.changes.fetch_add(1, Ordering::Relaxed);
        step().await;
        answer
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectMeta> {
        self.read(Operation::Head, key.as_str()).await?;
        self.store.head(key).await
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        step().await;
        let change = Travelling::Delete(key.clone());
        if self.fails() {
            self.travelling.lock().unwrap().push(change);
            return Err(self.error(ErrorClass::TimeoutUnknown, Operation::Delete, key.as_str()));
        }
        self.land(change);
        Ok(())
    }

    async fn delete_many(&self, _: &[Key]) -> StoreResult<Vec<(Key, StoreResult<()>)>> {
        unreachable!("nobody deletes many here")
    }

    async fn list(&self, request: ListRequest) -> StoreResult<ListPage> {
        self.read(Operation::List, &request.prefix).await?;
        // Small pages: the pages of one listing are not one moment.
        let page = self.store.list(request.with_limit(3)).await;
        step().await;
        page
    }

    fn describe(&self) -> String {
        "net".to_owned()
    }
}

/// What nobody in the simulation sees: the truth.
#[derive(Debug, Default)]
struct Truth {
    /// Every entry that was ever appended: the chain hash before it, its sequence.
    appended: HashMap<ChainHash, (ChainHash, u64)>,
    /// The longest committed history: the chain hash after each entry.
    committed: Vec<ChainHash>,
    /// Entries whose waiters were told `Fenced`.
    fenced: HashSet<ChainHash>,
    /// Entries whose waiters were told *stored*.
    stored: HashSet<ChainHash>,
    incarnations: u64,
    /// The head as it was last parsed.
    head: Option<(Bytes, Head)>,
    /// Sequences and chain hashes of segments that were decoded before: they are immutable.
    decoded: HashMap<String, Vec<(u64, ChainHash)>>,
    counts: Counts,
}

/// What the seeds exercised, so that a simulation in which nothing happens cannot pass.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    claims: usize,
    fences: usize,
    forks: usize,
    merges: usize,
    crashes: usize,
    missing: usize,
    applied: usize,
    committed: usize,
    refused: usize,
    repairs: usize,
    /// Entries that were uploaded and not published, and that a repair made history.
    adopted: usize,
}

impl Truth {
    fn check(&mut self, store: &EtagStore) {
        let Some(bytes) = store.bytes("head.json") else { return };
        if self.head.as_ref().is_none_or(|(parsed, _)| *parsed != bytes) {
            self.head = Some((bytes.clone(), Head::parse(&bytes, keys().as_deref()).unwrap()));
        }
        let head = self.head.as_ref().unwrap().1.clone();
        if head.epoch() == 0 {
            return;
        }
        let committed = head.committed();
        let known = self.committed.len() as u64;
        assert!(committed.sequence >= known, "I1: committed went from {known} to {}", committed.sequence);
        let mut path = Vec::new();
        let mut at = self.end(&committed);
        for sequence in (known + 1..=committed.sequence).rev() {
            let (before, appended_at) = self.appended[&at];
            assert_eq!(appended_at, sequence, "an entry at another sequence");
            path.push(at);
            at = before;
        }
        let tip = self.committed.last().copied().unwrap_or(ChainHash::ZERO);
        assert_eq!(at, tip, "I1: the history forked after sequence {known}");
        path.reverse();
        for entry in path {
            assert!(!self.fenced.contains(&entry), "I2b: an entry reported Fenced was committed");
            self.committed.push(entry);
        }
        self.counts.committed = self.committed.len();
        self.check_objects(store, &head);
    }

    /// The chain hash that a head commits: looked for among all that was appended, if it is keyed.
    fn end(&self, committed: &Committed) -> ChainHash {
        let at = self.appended.iter().filter(|(_, (_, sequence))| *sequence == committed.sequence);
        let mut found = at.map(|(chain, _)| *chain).filter(|chain| commits(committed, *chain));
        let end = found.next().or_else(|| (committed.sequence == 0).then_some(ChainHash::ZERO));
        end.expect("I1: what is committed was never appended")
    }

    fn check_objects(&mut self, store: &EtagStore, head: &Head) {
        let rule = HistoryRule::of(head);
        let mut held = HashSet::new();
        for name in store.names("seg/") {
            let segment = SegmentName::parse(&name).unwrap();
            if !rule.admits(&segment) {
                continue;
            }
            let decoded = self.decoded.entry(name.clone()).or_insert_with(|| {
                let entries = entries(&store.bytes(&name).unwrap());
                entries.iter().map(|entry| (entry.sequence, entry.chain_hash)).collect()
            });
            for (sequence, chain) in decoded {
                let at = usize::try_from(*sequence).unwrap() - 1;
                assert_eq!(*chain, self.committed[at], "I2a: {name} is admitted and not history");
                held.insert(*sequence);
            }
        }
        assert_eq!(held.len(), self.committed.len(), "I6: a committed entry is in no admitted object");
    }

    fn report_stored(&mut self, journal: &Journal, through: u64) {
        for sequence in 1..=through {
            let chain = journal.chain(sequence);
            let at = usize::try_from(sequence).unwrap() - 1;
            assert_eq!(self.committed.get(at), Some(&chain), "I3: told stored, not committed");
            self.stored.insert(chain);
        }
    }

    fn report_fenced(&mut self, journal: &Journal, fenced: &Fenced) {
        self.counts.fences += 1;
        self.report_stored(journal, fenced.fenced_after.min(journal.last_sequence()));
        for sequence in fenced.fenced_after + 1..=journal.last_sequence() {
            let chain = journal.chain(sequence);
            assert!(!self.stored.contains(&chain), "I3: told stored, then Fenced");
            assert!(!self.committed.contains(&chain), "I2b: told Fenced, but committed");
            self.fenced.insert(chain);
        }
    }
}

/// What survives a crash of a leader's process.
#[derive(Debug, Default)]
struct Disk {
    journal: Journal,
    fenced_after: Option<u64>,
    /// `journal.json` remembers that a head was once seen.
    published: bool,
}

#[derive(Clone)]
struct Shared {
    net: Net,
    truth: Arc<Mutex<Truth>>,
    random: Arc<Random>,
    /// Leaders stop appending: the end is near.
    quiet: Arc<AtomicBool>,
    /// The head is taken away once; from then on damage may be seen, but nothing may be forked.
    head_loss: Arc<AtomicBool>,
}

impl Shared {
    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    fn check(&self) {
        self.truth().check(&self.net.store);
    }

    /// Whether the error only means to try again.
    fn passing(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Storage
    }

    /// Errors of integrity are failures of the protocol, unless the head was really taken away.
    fn judge(&self, error: &Error, who: &str) {
        let lost = self.head_loss.load(Ordering::Relaxed) && error.kind().is_integrity();
        assert!(lost || self.passing(error), "I4: {who} met {error}: {error:?}");
        self.truth().counts.refused += usize::from(lost);
    }
}

type SharedDisk = Arc<Mutex<Disk>>;

/// The disk as the session asks it.
struct Chain(SharedDisk);

impl LocalChain for Chain {
    fn last(&self) -> (u64, ChainHash) {
        self.0.lock().unwrap().journal.last()
    }

    fn chain_at(&self, sequence: u64) -> Result<Option<ChainHash>, LocalError> {
        self.0.lock().unwrap().journal.chain_at(sequence)
    }
}

async fn leader(shared: Shared, disk: SharedDisk) {
    loop {
        live(&shared, &disk).await;
        step().await;
    }
}

/// One start of a leader's process, to its end.
async fn live(shared: &Shared, disk: &SharedDisk) {
    let incarnation = {
        let mut disk = disk.lock().unwrap();
        if let Some(after) = disk.fenced_after.take() {
            disk.journal.truncate(after);
        }
        let mut truth = shared.truth();
        truth.incarnations += 1;
        truth.incarnations
    };
    let chain = Chain(Arc::clone(disk));
    let nonce = OwnerNonce::random(&*shared.random).unwrap();
    let options = SessionOptions::default().with_create(!disk.lock().unwrap().published);
    let opened =
        LeaderSession::open(remote(shared.net.clone(), &shared.random), identity(), nonce, options, &chain)
            .await;
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => return set_aside(shared, disk, &error),
    };
    loop {
        match session.claim(&chain, 0).await {
            Ok(()) => break,
            Err(Error::Behind { .. }) => {
                if catch_up(shared, disk).await.is_none() {
                    return;
                }
            }
            Err(error) if shared.passing(&error) => {}
            Err(error) => return set_aside(shared, disk, &error),
        }
        step().await;
    }
    shared.truth().counts.claims += 1;
    disk.lock().unwrap().published = true;
    // Exactly to the start of our epoch: what lies behind it by now, a rival has committed.
    let start = session.committed().sequence;
    while chain.last().0 < start {
        if catch_up(shared, disk).await.is_none() {
            return;
        }
        if chain.last().0 > start {
            disk.lock().unwrap().journal.truncate(start);
        }
    }
    let mut sealed = session.epoch_start().unwrap();
    let mut uploaded: Vec<UploadedSegment> = Vec::new();
    let mut waiting: Vec<(u64, u64)> = Vec::new();
    let mut appends = 1 + shared.random.below(4);
    loop {
        step().await;
        let result = match shared.random.below(6) {
            0 | 1 if appends > 0 && !shared.quiet.load(Ordering::Relaxed) => {
                appends -= 1;
                append(shared, disk, incarnation);
                Ok(())
            }
            2 if chain.last().0 > sealed => {
                let last = (sealed + 1 + shared.random.below(2) as u64).min(chain.last().0);
                waiting.push((sealed + 1, last));
                sealed = last;
                Ok(())
            }
            // Uploads run in any order.
            3 | 4 if !waiting.is_empty() => {
                let at = shared.random.below(waiting.len());
                let (first, last) = waiting[at];
                let segment = disk.lock().unwrap().journal.segment(first..=last);
                let uploader = session.uploader().unwrap();
                match uploader.upload(&segment).await {
                    Ok(done) => {
                        waiting.swap_remove(at);
                        uploaded.push(done);
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            5 if !uploaded.is_empty() => session.publish(&uploaded, &chain).await.map(|published| {
                shared.check();
                shared.truth().report_stored(&disk.lock().unwrap().journal, published.committed.sequence);
                uploaded.retain(|segment| segment.name().last() > published.committed.sequence);
            }),
            0 => session.check(&chain).await,
            _ => Ok(()),
        };
        match result {
            Ok(()) => {}
            Err(Error::Fenced(fenced)) => {
                assert_ne!(fenced.by_owner, nonce, "I5: fenced by itself");
                assert!(fenced.by_epoch >= fenced.epoch, "I5: fenced by an older epoch");
                shared.check();
                let mut disk = disk.lock().unwrap();
                // Durable before anybody is told.
                disk.fenced_after = Some(fenced.fenced_after);
                shared.truth().report_fenced(&disk.journal, &fenced);
                return;
            }
            Err(error) => {
                shared.judge(&error, "a leader");
                if !shared.passing(&error) {
                    return;
                }
            }
        }
    }
}

fn append(shared: &Shared, disk: &SharedDisk, incarnation: u64) {
    let mut disk = disk.lock().unwrap();
    let sequence = disk.journal.last_sequence() + 1;
    let before = disk.journal.chain(sequence - 1);
    disk.journal.append(format!("{incarnation}/{sequence}").as_bytes());
    shared.truth().appended.insert(disk.journal.chain(sequence), (before, sequence));
}

/// A fork at the start: what is beyond the last common sequence moves aside. Nothing else may happen.
fn set_aside(shared: &Shared, disk: &SharedDisk, error: &Error) {
    if let Error::Fork { common_through, .. } = error {
        shared.truth().counts.forks += 1;
        disk.lock().unwrap().journal.truncate(*common_through);
        return;
    }
    shared.judge(error, "a starting leader");
}

/// Brings the journal to what is committed; `None` when the process should start over.
async fn catch_up(shared: &Shared, disk: &SharedDisk) -> Option<()> {
    let mut reader = HeadReader::new(remote(shared.net.clone(), &shared.random)).unwrap();
    let mut journal = disk.lock().unwrap().journal.clone();
    match advance(shared, &mut reader, &mut journal).await {
        Ok(true) => disk.lock().unwrap().journal = journal,
        Ok(false) => {
            // The published history does not continue ours: what is beyond the last epoch start in common goes.
            let head = &reader.current().unwrap().head;
            let chain = Chain(Arc::clone(disk));
            let common = |row: &&EpochRow| {
                let found = chain.chain_at(row.start_sequence).unwrap();
                found.is_some_and(|chain| {
                    commits(&Committed::new(row.start_sequence, row.start_chain, 0), chain)
                })
            };
            let start = head.epochs().iter().rev().find(common);
            shared.truth().counts.forks += 1;
            disk.lock().unwrap().journal.truncate(start.map_or(0, |row| row.start_sequence));
            return None;
        }
        Err(error) => {
            shared.judge(&error, "a leader that catches up");
            return shared.passing(&error).then_some(());
        }
    }
    Some(())
}

/// Reads all that is committed into `journal`; `false` when it does not continue the journal, which then is as before.
async fn advance(shared: &Shared, reader: &mut HeadReader, journal: &mut Journal) -> Result<bool, Error> {
    reader.poll().await?;
    let mut read = journal.clone();
    let mut missing = Vec::new();
    loop {
        let from = read.last_sequence();
        if reader.current().is_none() {
            return Ok(true);
        }
        let plan = reader.resolve(from, &missing).await?;
        for segment in &plan.segments {
            let mut bytes = Vec::new();
            if reader.remote().fetch_segment(&plan.head.head, segment, &mut bytes).await?.is_none() {
                shared.truth().counts.missing += 1;
                missing.push(segment.name);
                break;
            }
            for entry in entries(&bytes) {
                if entry.sequence <= read.last_sequence() {
                    continue;
                }
                read.append(&entry.payload);
                if read.chain(entry.sequence) != entry.chain_hash {
                    return Ok(false);
                }
            }
        }
        // Nothing is applied until its path reaches the head's chain.
        let committed = plan.head.head.committed();
        if read.last_sequence() == committed.sequence {
            if !commits(&committed, read.chain(committed.sequence)) {
                return Ok(false);
            }
            *journal = read;
            return Ok(true);
        }
    }
}

/// A follower; `applied` and the floor survive its crashes.
async fn follower(shared: Shared, applied: Arc<Mutex<(Journal, Option<Floor>)>>) {
    let (mut journal, floor) = applied.lock().unwrap().clone();
    let mut reader = HeadReader::new(remote(shared.net.clone(), &shared.random)).unwrap();
    if let Some(floor) = floor {
        reader = reader.with_identity(identity()).with_floor(floor);
    }
    loop {
        step().await;
        match advance(&shared, &mut reader, &mut journal).await {
            Ok(whole) => {
                assert!(whole, "I1: what a follower applied is not in a later head");
                shared.check();
                let mut truth = shared.truth();
                let through = journal.chains.len();
                assert_eq!(journal.chains[..], truth.committed[..through], "I1: applied, not committed");
                truth.counts.applied = truth.counts.applied.max(through);
                *applied.lock().unwrap() = (journal.clone(), reader.floor());
            }
            Err(error) => shared.judge(&error, "a follower"),
        }
    }
}

/// Merges runs of level 0 under heads as old as its patience, and deletes the inputs at once.
async fn compactor(shared: Shared) {
    let remote = remote(shared.net.clone(), &shared.random);
    loop {
        let mut reader = HeadReader::new(remote.clone()).unwrap();
        let polled = reader.poll().await;
        for _ in 0..shared.random.below(30) {
            step().await;
        }
        let Ok(HeadPoll::Changed(stored)) = polled else { continue };
        let rule = HistoryRule::of(&stored.head);
        let prefix = remote.layout().prefix("seg/0/");
        let mut lister = graphstream_storage::Lister::new(&**remote.backend(), ListRequest::new(prefix));
        let mut names = Vec::new();
        while let Ok(Some(page)) = lister.next_page().await {
            names.extend(page.objects.iter().filter_map(
                |object| match remote.layout().parse(&object.key)? {
                    graphstream_remote::ObjectName::Segment(name) => rule.admits(&name).then_some(name),
                    _ => None,
                },
            ));
        }
        let mut run: Vec<SegmentName> = Vec::new();
        for name in names {
            if run.last().is_some_and(|last| last.last() + 1 != name.first()) {
                if run.len() > 1 {
                    break;
                }
                run.clear();
            }
            run.push(name);
        }
        let run = &run[..run.len().min(2 + shared.random.below(3))];
        if run.len() < 2 {
            continue;
        }
        let Some(inputs) = fetch_inputs(&remote, run).await else { continue };
        let (name, bytes) = merge_segments(run, &inputs, 1);
        let key = remote.layout().key(&graphstream_remote::ObjectName::Segment(name)).unwrap();
        match remote.backend().put(&key, bytes.into(), PutMode::Create).await {
            Ok(_) => {}
            Err(error) if error.class() == ErrorClass::Exists => {}
            Err(_) => continue,
        }
        shared.truth().counts.merges += 1;
        for input in run {
            let key = remote.layout().key(&graphstream_remote::ObjectName::Segment(*input)).unwrap();
            let _ = remote.backend().delete(&key).await;
        }
    }
}

async fn fetch_inputs(remote: &graphstream_remote::Remote, names: &[SegmentName]) -> Option<Vec<Bytes>> {
    let mut inputs = Vec::new();
    for name in names {
        let key = remote.layout().key(&graphstream_remote::ObjectName::Segment(*name)).unwrap();
        let object = remote.backend().get(&key, GetOptions::default()).await.ok()?.found()?;
        inputs.push(object.bytes(1 << 20).await.ok()?);
    }
    Some(inputs)
}

/// Puts the head back once it is gone, until it finds it standing. Whoever does it may be killed between any two requests, and begins anew; two
/// do it at once.
async fn repairer_of(shared: Shared) {
    while !shared.head_loss.load(Ordering::Relaxed) {
        step().await;
    }
    let remote = remote(shared.net.clone(), &shared.random);
    loop {
        for _ in 0..shared.random.below(100) {
            step().await;
        }
        let proposal = match remote.propose_head(0).await {
            Ok(proposal) => proposal,
            Err(Error::Unrepairable { problem: RepairProblem::HeadStands { .. } }) => break,
            Err(Error::Unrepairable { problem: RepairProblem::NoEpoch }) => continue,
            Err(error) => {
                assert!(shared.passing(&error), "a repair met {error}: {error:?}");
                continue;
            }
        };
        let before = shared.truth().committed.len();
        match remote.restore_head(&proposal).await {
            Ok(()) => {
                shared.check();
                let mut truth = shared.truth();
                truth.counts.repairs += 1;
                truth.counts.adopted += truth.committed.len() - before;
            }
            // Another repair was faster: with its head, or with its epoch object, above which there must be a head.
            Err(Error::EpochObjectDiffers { .. }) => {}
            Err(error) => assert!(shared.passing(&error), "a repair met {error}: {error:?}"),
        }
    }
    loop {
        step().await;
    }
}

type Process = Pin<Box<dyn Future<Output = ()>>>;

struct Simulation {
    shared: Shared,
    disks: Vec<SharedDisk>,
    leaders: Vec<Process>,
    applied: Arc<Mutex<(Journal, Option<Floor>)>>,
    follower: Process,
    compactor: Option<Process>,
    repairers: Vec<Process>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    leaders: usize,
    steps: usize,
    faults_per_mille: usize,
    crashes_per_mille: usize,
    compactor: bool,
    lose_head: bool,
    /// Two of them at once.
    repairers: bool,
}

impl Simulation {
    fn new(seed: u64, bounds: Bounds) -> Self {
        let random = Random::new(seed);
        let shared = Shared {
            net: Net::new(&random, bounds.faults_per_mille),
            truth: Arc::default(),
            random,
            quiet: Arc::default(),
            head_loss: Arc::default(),
        };
        let disks: Vec<SharedDisk> = (0..bounds.leaders).map(|_| Arc::default()).collect();
        let leaders = disks.iter().map(|disk| start_leader(&shared, disk)).collect();
        let applied = Arc::default();
        let follower = Box::pin(follower(shared.clone(), Arc::clone(&applied)));
        let compactor = bounds.compactor.then(|| Box::pin(compactor(shared.clone())) as Process);
        let repairers = if bounds.repairers { 2 } else { 0 };
        let repairers = (0..repairers).map(|_| Box::pin(repairer_of(shared.clone())) as Process).collect();
        Self { shared, disks, leaders, applied, follower, compactor, repairers }
    }

    fn run(mut self, bounds: Bounds) -> Counts {
        let random = Arc::clone(&self.shared.random);
        let lose_at = random.below(bounds.steps);
        for at in 0..bounds.steps {
            if bounds.lose_head && at == lose_at {
                self.shared.head_loss.store(true, Ordering::Relaxed);
                self.shared.net.store.remove("head.json");
            }
            self.one(bounds.crashes_per_mille);
        }
        if !bounds.lose_head || self.repaired() {
            self.settle();
        }
        self.shared.truth().counts
    }

    fn one(&mut self, crashes_per_mille: usize) {
        let random = Arc::clone(&self.shared.random);
        let changes = self.shared.net.changes.load(Ordering::Relaxed);
        if random.per_mille(crashes_per_mille) {
            self.crash();
        }
        if random.per_mille(50) {
            self.shared.net.arrive();
            self.shared.check();
        }
        let who = random.below(self.leaders.len() + 2 + self.repairers.len());
        if let Some(leader) = self.leaders.get_mut(who) {
            poll(leader);
        } else if who >= self.leaders.len() + 2 {
            poll(&mut self.repairers[who - self.leaders.len() - 2]);
        } else if who == self.leaders.len() {
            poll(&mut self.follower);
        } else if let Some(compactor) = &mut self.compactor {
            poll(compactor);
        }
        if self.shared.net.changes.load(Ordering::Relaxed) != changes {
            self.shared.check();
        }
    }

    /// Whether the lost head is there again, given time and a store that works. There may be nothing to make it from: the claim had
    /// reached the head and nothing else.
    fn repaired(&mut self) -> bool {
        self.shared.net.faults_per_mille.store(0, Ordering::Relaxed);
        for _ in 0..2000 {
            for repairer in &mut self.repairers {
                poll(repairer);
            }
        }
        self.shared.truth().counts.repairs > 0
    }

    /// Drops a process wherever it is. A leader may lose its disk, too.
    fn crash(&mut self) {
        let random = Arc::clone(&self.shared.random);
        self.shared.truth().counts.crashes += 1;
        for repairer in &mut self.repairers {
            if random.per_mille(300) {
                *repairer = Box::pin(repairer_of(self.shared.clone()));
            }
        }
        let who = random.below(self.leaders.len() + 1);
        if let Some(leader) = self.leaders.get_mut(who) {
            if random.per_mille(250) {
                *self.disks[who].lock().unwrap() = Disk::default();
            }
            *leader = start_leader(&self.shared, &self.disks[who]);
        } else {
            self.follower = Box::pin(follower(self.shared.clone(), Arc::clone(&self.applied)));
        }
    }

    /// Liveness: without faults, and with all that travelled landed or lost, one leader alone commits its journal and the
    /// follower applies it.
    fn settle(&mut self) {
        let shared = self.shared.clone();
        shared.net.faults_per_mille.store(0, Ordering::Relaxed);
        shared.quiet.store(true, Ordering::Relaxed);
        while !shared.net.travelling.lock().unwrap().is_empty() {
            shared.net.arrive();
            shared.check();
        }
        self.compactor = None;
        // What was taken away stands again: no damage is excused any more.
        shared.head_loss.store(false, Ordering::Relaxed);
        self.follower = Box::pin(follower(shared.clone(), Arc::clone(&self.applied)));
        let alone = shared.random.below(self.leaders.len());
        // Started anew, so that it owns the newest epoch.
        self.leaders[alone] = start_leader(&shared, &self.disks[alone]);
        for _ in 0..20_000 {
            let changes = shared.net.changes.load(Ordering::Relaxed);
            poll(&mut self.leaders[alone]);
            poll(&mut self.follower);
            if shared.net.changes.load(Ordering::Relaxed) != changes {
                shared.check();
            }
            let truth = shared.truth();
            let disk = self.disks[alone].lock().unwrap();
            let applied = self.applied.lock().unwrap();
            if disk.published && disk.journal.chains == truth.committed && applied.0.chains == truth.committed
            {
                return;
            }
        }
        panic!("liveness: a leader alone does not commit its journal, or the follower does not apply it");
    }
}

fn start_leader(shared: &Shared, disk: &SharedDisk) -> Process {
    Box::pin(leader(shared.clone(), Arc::clone(disk)))
}

fn poll(process: &mut Process) {
    let ended = process.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!ended, "processes never end by themselves");
}

/// Runs seeds and adds up what they exercised. `GRAPHSTREAM_SEED` runs one, `GRAPHSTREAM_SEEDS` more of them.
fn simulate(name: &str, seeds: u64, bounds: Bounds) -> Counts {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match number("GRAPHSTREAM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("GRAPHSTREAM_SEEDS").unwrap_or(seeds)),
    };
    let mut total = Counts::default();
    // All plain, and a third of them again, encrypted, with a key that changes from one process to the next.
    let plain = (first..first + count).map(|seed| (seed, Encryption::Off));
    let encrypted = (first..first + count.div_ceil(3)).map(|seed| (seed, Encryption::Rotating));
    for (seed, encryption) in plain.chain(encrypted) {
        encrypt(encryption);
        let run = || Simulation::new(seed, bounds).run(bounds);
        let counts = std::panic::catch_unwind(run).unwrap_or_else(|_| {
            panic!("{name}: seed {seed}, encryption {encryption:?}: GRAPHSTREAM_SEED={seed} repeats it")
        });
        total.claims += counts.claims;
        total.fences += counts.fences;
        total.forks += counts.forks;
        total.merges += counts.merges;
        total.crashes += counts.crashes;
        total.missing += counts.missing;
        total.applied += counts.applied;
        total.committed += counts.committed;
        total.refused += counts.refused;
        total.repairs += counts.repairs;
        total.adopted += counts.adopted;
    }
    eprintln!("{name}: {count} seeds, {total:?}");
    total
}

const LEADERS: Bounds = Bounds {
    leaders: 2,
    steps: 3000,
    faults_per_mille: 80,
    crashes_per_mille: 2,
    compactor: false,
    lose_head: false,
    repairers: false,
};

#[test]
fn r03_zombie_leaders_and_a_follower() {
    let counts = simulate("two leaders", 60, LEADERS);
    assert!(counts.claims > 400 && counts.fences > 300 && counts.crashes > 150, "{counts:?}");
    assert!(counts.committed > 500 && counts.applied > 500 && counts.forks > 5, "{counts:?}");
}

#[test]
fn r04_three_leaders_claim_against_each_other() {
    let bounds = Bounds { leaders: 3, faults_per_mille: 150, ..LEADERS };
    let counts = simulate("three leaders", 40, bounds);
    assert!(counts.claims > 400 && counts.fences > 300, "{counts:?}");
}

#[test]
fn s13_compactor_without_grace_beside_readers() {
    let bounds = Bounds { compactor: true, faults_per_mille: 30, ..LEADERS };
    let counts = simulate("compactor", 60, bounds);
    assert!(counts.merges > 100 && counts.missing > 50, "{counts:?}");
}

#[test]
fn s08_lost_head_forks_nothing() {
    let bounds = Bounds { lose_head: true, crashes_per_mille: 5, ..LEADERS };
    let counts = simulate("lost head", 60, bounds);
    assert!(counts.refused > 100, "{counts:?}");
}

#[test]
fn s08_a_lost_head_is_repaired_under_leaders_zombies_and_a_compactor() {
    let bounds =
        Bounds { lose_head: true, repairers: true, compactor: true, crashes_per_mille: 5, ..LEADERS };
    let counts = simulate("repaired head", 60, bounds);
    assert!(counts.repairs > 60 && counts.adopted > 10 && counts.claims > 400, "{counts:?}");
}
