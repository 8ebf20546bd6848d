//! One journal on one file system, through many lives. A seed says what happens to it; the moments depend on the machine.
//!
//! ```text
//!  mount ─▶ append ... ─▶ event ─▶ unmount ─▶ mount ─▶ verify, cat: compare with the acknowledgements ─┐
//!             ▲                  └─────── or the same mount goes on ───────────────────┘                │
//!             └──────────────────────────────── the next life ──────────────────────────────────────────┘
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use graphstream_testkit::AckLog;
use tempfile::TempDir;

use crate::disk::{Disk, Failing, Loss};
use crate::entry;
use crate::ext4::{Ext4, Options};
use crate::fuse::Served;
use crate::numbers::Numbers;
use crate::shutdown::{Flush, Shutdown};
use crate::tally::Tally;
use crate::tools::{program, run};
use crate::writer::{Ended, Load, Writer};

/// Of a file system: small, so that its journal goes round and mounting is cheap.
pub(crate) const DISK_BYTES: usize = 48 << 20;
/// How `graphstream` ends when the journal has failed.
const JOURNAL_FAILED: i32 = 3;

/// What is at hand.
pub(crate) struct Rig {
    pub(crate) binary: PathBuf,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) served: Option<Served>,
    /// For file systems; gone after what is mounted in it.
    pub(crate) dir: TempDir,
}

/// What happens to a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The process alone.
    Kill,
    /// The file system stops.
    Shutdown(Flush),
    /// The disk stops, and loses its cache.
    PowerCut(Loss),
    /// The kernel can't write back some pages: it reports it once, and takes them for clean.
    FailedWrites { failing: Failing, count: u64, then: Then },
}

/// What follows failed writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    PowerCut(Loss),
    Remount,
    /// Nothing: what was lost is still in the page cache, and the next process reads it.
    GoOn,
}

/// Where the file system lies.
#[derive(Clone, Copy)]
enum Under<'a> {
    File(&'a Path),
    Disk(&'a Served),
}

impl Under<'_> {
    fn file(&self) -> &Path {
        match self {
            Self::File(file) => file,
            Self::Disk(served) => served.file(),
        }
    }
}

impl Rig {
    /// The lives of one journal.
    pub(crate) fn run(&mut self, seed: u64, tally: &mut Tally) -> Result<()> {
        let mut numbers = Numbers::seeded(seed);
        let options = Options::random(&mut numbers);
        let file = self.dir.path().join("image");
        let on_disk = numbers.below(3) > 0 || self.shutdown.is_none();
        let under = match &self.served {
            Some(served) if on_disk => {
                *served.disk() = Disk::new(DISK_BYTES);
                Under::Disk(served)
            }
            _ => {
                std::fs::File::create(&file)?.set_len(DISK_BYTES as u64)?;
                Under::File(&file)
            }
        };
        Ext4::format(under.file(), options)?;
        let at = self.dir.path().join("mounted");
        std::fs::create_dir_all(&at)?;
        let ext4 = Ext4::mount(under.file(), &at, options)?;
        let mut lives = Lives {
            binary: &self.binary,
            shutdown: self.shutdown.as_mut(),
            under,
            options,
            ext4: Some(ext4),
            at,
            log: AckLog::default(),
            numbers,
            tally,
        };
        lives.all()?;
        tally.journals += 1;
        Ok(())
    }
}

struct Lives<'a> {
    binary: &'a Path,
    shutdown: Option<&'a mut Shutdown>,
    under: Under<'a>,
    options: Options,
    ext4: Option<Ext4>,
    at: PathBuf,
    log: AckLog,
    numbers: Numbers,
    tally: &'a mut Tally,
}

impl<'a> Lives<'a> {
    fn all(&mut self) -> Result<()> {
        let lives = 6 + self.numbers.below(15);
        let mut history = Vec::new();
        for life in 1..=lives {
            let event = self.choose();
            history.push(format!("{event:?}"));
            if let Err(error) = self.live(event) {
                let kept = self.keep();
                let history = history.join(", ");
                return Err(error.context(format!(
                    "life {life} on {:?} on {}; what has happened: {history}; {kept}",
                    self.options,
                    match self.under {
                        Under::File(_) => "a file",
                        Under::Disk(_) => "a disk with a write cache",
                    },
                )));
            }
        }
        self.last_life().context("the last life, to which nothing happens")?;
        self.ext4.take().context("it is mounted")?.unmount()
    }

    fn choose(&mut self) -> Event {
        let flush = self.numbers.of([Flush::Nothing, Flush::Nothing, Flush::Log, Flush::All]);
        let loss = self.numbers.of([Loss::All, Loss::Later, Loss::Some, Loss::Sectors]);
        let event = match self.under {
            _ if self.numbers.one_in(8) => Event::Kill,
            Under::File(_) => Event::Shutdown(flush),
            Under::Disk(_) if self.numbers.one_in(8) => Event::Shutdown(flush),
            Under::Disk(_) if self.numbers.one_in(2) => Event::PowerCut(loss),
            Under::Disk(_) => {
                let failing = self.numbers.of([
                    Failing::With(entry::MARK),
                    Failing::With(entry::MARK),
                    Failing::With(entry::MARK),
                    Failing::With(b"HADBJ"),
                    Failing::Any,
                ]);
                let then = self.numbers.of([Then::PowerCut(loss), Then::Remount, Then::GoOn, Then::GoOn]);
                // Else the file system itself has failed, and takes nothing any more.
                let only_data = failing != Failing::Any && !self.options.journals_data();
                let then = if only_data || then != Then::GoOn { then } else { Then::Remount };
                Event::FailedWrites { failing, count: 1 + self.numbers.below(3), then }
            }
        };
        match event {
            Event::Shutdown(_) if self.shutdown.is_none() => Event::PowerCut(loss),
            event => event,
        }
    }

    fn load(&mut self) -> Load {
        let ahead = self.numbers.of([1, 1, 8, 200]);
        Load {
            first_line: self.log.send(0) + 1,
            lines: if ahead == 1 { 200 } else { 2000 },
            ahead,
            segment_bytes_max: self.numbers.of([1 << 10, 4 << 10, 64 << 10, 4 << 20]),
            pad_bytes_max: self.numbers.of(entry::PADS),
        }
    }

    /// A process writes, something happens, and what is there then is compared.
    fn live(&mut self, event: Event) -> Result<()> {
        let load = self.load();
        self.log.start_life();
        let mut writer = Writer::start(self.binary, &self.journal(), load)?;
        // A moment: after so many acknowledgements (none: perhaps in recovery), and a little later.
        let acks = self.numbers.of([0, 1, 5, 50, 150]);
        writer.wait_for_acks(if acks == 0 { 0 } else { self.numbers.below(acks) })?;
        let moment = Instant::now() + Duration::from_micros(self.numbers.of([100, 2_000, 10_000]));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        let ended = match event {
            Event::Kill => {
                self.tally.kills += 1;
                writer.kill()?
            }
            Event::Shutdown(flush) => {
                self.tally.shutdowns += 1;
                let shutdown = self.shutdown.as_mut().context("the ioctl can be called")?;
                let before = writer.acked_by_now();
                shutdown.cut(&self.at, flush)?;
                let mut ended = self.after_a_cut(writer)?;
                // An fdatasync under way may still return 0 without its data: ext4 drops the conversion of the blocks that were
                // reserved for it ("failed to convert unwritten extents to written extents -- potential data loss") and tells nobody. A machine
                // without power would not have answered.
                ended.acked.truncate(before);
                ended
            }
            Event::PowerCut(loss) if self.numbers.one_in(2) => {
                self.cut_power(loss)?;
                self.after_a_cut(writer)?
            }
            Event::PowerCut(loss) => {
                let (writes, numbers) = (1 + self.numbers.below(20), self.split_numbers());
                self.disk()?.disk().cut_at(writes, loss, numbers);
                let ended = writer.finish()?;
                // Perhaps there were not so many writes.
                self.cut_power(loss)?;
                ended
            }
            Event::FailedWrites { failing, count, .. } => {
                self.disk()?.disk().fail(failing, count);
                let ended = writer.finish()?;
                let failed = self.disk()?.disk().heal();
                self.tally.failed_write_backs += u64::from(failed > 0);
                self.tally.failed_writes += failed;
                let entries_failed = failed > 0 && failing == Failing::With(entry::MARK);
                // A file that was being sealed is made again from the segment, which is still there.
                let sealing_failed =
                    ["sealing failed", "sealing ahead failed"].iter().any(|said| ended.stderr.contains(said));
                ensure!(
                    !entries_failed || sealing_failed || ended.code == Some(JOURNAL_FAILED),
                    "{failed} writes of entries have failed, and it went on: {ended}"
                );
                ended
            }
        };
        self.note(load, &ended)?;
        let from_disk = match event {
            Event::Kill | Event::FailedWrites { then: Then::GoOn, .. } => false,
            Event::Shutdown(_) | Event::PowerCut(_) | Event::FailedWrites { then: Then::Remount, .. } => true,
            Event::FailedWrites { then: Then::PowerCut(loss), .. } => {
                self.cut_power(loss)?;
                true
            }
        };
        if from_disk {
            self.mount_again()?;
        }
        let shown = self.check().with_context(|| format!("the process said {ended}"))?;
        if from_disk {
            self.log.settle(&shown);
        }
        Ok(())
    }

    /// The journal goes on as if nothing had ever happened.
    fn last_life(&mut self) -> Result<()> {
        let load = self.load();
        self.log.start_life();
        let ended = Writer::start(self.binary, &self.journal(), load)?.finish()?;
        ensure!(ended.code == Some(0) && ended.acked.len() as u64 == load.lines, "{ended}");
        self.note(load, &ended)?;
        self.mount_again()?;
        self.check()?;
        Ok(())
    }

    /// A process without a disk: killed at once, or it has to notice.
    fn after_a_cut(&mut self, writer: Writer) -> Result<Ended> {
        if self.numbers.one_in(2) {
            return writer.kill();
        }
        let ended = writer.finish()?;
        ensure!(ended.code == Some(JOURNAL_FAILED), "it has no disk any more: {ended}");
        Ok(ended)
    }

    fn note(&mut self, load: Load, ended: &Ended) -> Result<()> {
        self.tally.lives += 1;
        self.tally.acks += ended.acked.len() as u64;
        self.tally.early_ends += u64::from(ended.acked.is_empty());
        ensure!(ended.acked.len() as u64 <= ended.sent, "more acknowledgements than lines: {ended}");
        self.log.send(ended.sent);
        for (sequence, line) in ended.acked.iter().zip(load.first_line..) {
            self.log.acknowledge(*sequence, line);
        }
        Ok(())
    }

    fn journal(&self) -> PathBuf {
        self.at.join("journal")
    }

    fn disk(&self) -> Result<&'a Served> {
        match self.under {
            Under::Disk(served) => Ok(served),
            Under::File(_) => bail!("there is no disk with a write cache"),
        }
    }

    fn split_numbers(&mut self) -> Numbers {
        Numbers::seeded(self.numbers.below(u64::MAX))
    }

    fn cut_power(&mut self, loss: Loss) -> Result<()> {
        let numbers = self.split_numbers();
        let writes = self.disk()?.disk().cut(loss, numbers)?;
        self.tally.power_cuts += 1;
        self.tally.power_cuts_with_writes += u64::from(writes > 0);
        Ok(())
    }

    fn mount_again(&mut self) -> Result<()> {
        self.ext4.take().context("it is mounted")?.unmount()?;
        if let Under::Disk(served) = self.under {
            served.disk().power_on();
        }
        self.ext4 = Some(Ext4::mount(self.under.file(), &self.at, self.options)?);
        Ok(())
    }

    /// What the journal shows, which agrees with everything that was said.
    fn check(&self) -> Result<Vec<(u64, u64)>> {
        let journal = self.journal();
        if self.log.acknowledged() == 0 && !journal.join("journal.json").exists() {
            return Ok(Vec::new());
        }
        let call = |verb: &str, flags: &[&str]| {
            run(Command::new(self.binary).arg(verb).args(flags).arg("--journal").arg(&journal))
                .with_context(|| format!("graphstream {verb}"))
        };
        call("verify", &[])?;
        let shown = String::from_utf8(call("cat", &["--json"])?)?;
        let shown = shown.lines().map(entry::read).collect::<Result<Vec<_>>>()?;
        self.log.check(&shown)?;
        Ok(shown)
    }

    /// Copies the journal to where it can be looked at.
    fn keep(&self) -> String {
        let copy = std::env::temp_dir().join(format!("graphstream-power-cut-{}", std::process::id()));
        match run(program("cp").arg("-a").arg(self.journal()).arg(&copy)) {
            Ok(_) => format!("the journal was copied to {}", copy.display()),
            Err(error) => format!("the journal could not be copied: {error:#}"),
        }
    }
}
