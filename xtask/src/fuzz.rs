//! The task `fuzz`: coverage-guided fuzzing of what reads bytes from elsewhere (`crates/graphstream-fuzz`), on the stable compiler.
//!
//! ```text
//!  crates/graphstream-fuzz/corpus/TARGET ─┐
//!  golden files ──────────────────────────┼──▶ TARGET ──▶ target/fuzz/corpus/TARGET    (grows from run to run)
//!                                         │        └────▶ target/fuzz/artifacts/TARGET (what made it fail)
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::run::{budget, cargo, output, root, run, target_dir};
use crate::summary::{Outcome, print_notice};

/// The tool that compiles with coverage counters; the version that was tried.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.1";
const PACKAGE: &str = "crates/graphstream-fuzz";
/// Per input: seconds, and MiB in one allocation and in all.
const LIMITS: [&str; 3] = ["-timeout=5", "-malloc_limit_mb=64", "-rss_limit_mb=512"];
/// Where seeds lie that are kept for another purpose.
const GOLDEN: &str = "crates/graphstream-format/tests/golden";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    /// So long in all, shared evenly by these targets (none: all).
    For(Duration, Vec<String>),
    /// One input again.
    Repeat(String, String),
    /// The corpus in the repository is made again from what the runs here found.
    Minimize,
}

/// The task `fuzz`.
pub(crate) fn run_task(arguments: &[String]) -> Result<()> {
    if let Outcome::Skipped(notice) = obey(&parse(arguments)?)? {
        print_notice(&notice);
        bail!("nothing was run");
    }
    Ok(())
}

/// All targets, so long in all.
pub(crate) fn all_for(time: Duration) -> Result<Outcome> {
    obey(&Order::For(time, Vec::new()))
}

fn parse(arguments: &[String]) -> Result<Order> {
    const USAGE: &str =
        "expected [--budget TIME (90s, 10m, 2h; 1m without)] [TARGET...], --repeat TARGET FILE or --minimize";
    let (time, targets) = match arguments {
        [flag, target, file] if flag == "--repeat" => return Ok(Order::Repeat(target.clone(), file.clone())),
        [flag] if flag == "--minimize" => return Ok(Order::Minimize),
        [flag, value, targets @ ..] if flag == "--budget" => (budget(value).context(USAGE)?, targets),
        targets => (Duration::from_secs(60), targets),
    };
    if targets.iter().any(|target| target.starts_with('-')) {
        bail!(USAGE);
    }
    Ok(Order::For(time, targets.to_vec()))
}

fn obey(order: &Order) -> Result<Outcome> {
    let bin = match build()? {
        Ok(bin) => bin,
        Err(reason) => {
            return Ok(Outcome::Skipped(format!(
                "SKIPPED: fuzzing.\n\
                 Reason: {reason}\n\
                 To run it: install a C++ compiler (or name it in CXX) and {CARGO_FUZZ}."
            )));
        }
    };
    match order {
        Order::For(time, chosen) => {
            let all = targets()?;
            if let Some(unknown) = chosen.iter().find(|target| !all.contains(target)) {
                bail!("there is no target {unknown}; there are {}", all.join(", "));
            }
            let chosen = if chosen.is_empty() { &all } else { chosen };
            let share = time.as_secs().div_ceil(chosen.len() as u64).max(1);
            for target in chosen {
                fuzz(&bin, target, share)?;
            }
        }
        Order::Repeat(target, file) => run(Command::new(bin.join(target)).args(LIMITS).arg(file))?,
        Order::Minimize => {
            for target in targets()? {
                minimize(&bin, &target)?;
            }
        }
    }
    Ok(Outcome::Done)
}

/// The targets: the files of their directory.
fn targets() -> Result<Vec<String>> {
    let directory = root()?.join(PACKAGE).join("fuzz_targets");
    let mut names = Vec::new();
    for file in fs::read_dir(&directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Compiles the targets and returns where they lie, or why they can't be compiled here.
fn build() -> Result<Result<PathBuf, String>> {
    let cxx = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if !runs(Command::new(&cxx).arg("--version")) {
        return Ok(Err(format!("there is no C++ compiler `{}`", cxx.display())));
    }
    let target = target_dir()?;
    let tools = target.join("tools");
    let tool = tools.join("bin").join("cargo-fuzz");
    let version = CARGO_FUZZ.replace('@', " ");
    if !output(Command::new(&tool).arg("--version")).is_ok_and(|found| found.trim() == version) {
        let mut install = cargo(&["install", "--quiet", "--locked", CARGO_FUZZ, "--root"])?;
        if let Err(error) = run(install.arg(&tools)) {
            return Ok(Err(format!("{CARGO_FUZZ} could not be installed: {error:#}")));
        }
    }
    let fuzz = target.join("fuzz");
    // Instrumented for coverage alone: the sanitizers need an unstable compiler, and there is no unsafe code of ours to watch.
    let mut build = Command::new(tool);
    build.current_dir(root()?).args(["build", "--sanitizer", "none", "--fuzz-dir", PACKAGE, "--target-dir"]);
    run(build.arg(&fuzz))?;
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    Ok(Ok(fuzz.join(host.trim()).join("release")))
}

fn fuzz(bin: &Path, target: &str, seconds: u64) -> Result<()> {
    let corpus = made(&target_dir()?.join("fuzz/corpus").join(target))?;
    let artifacts = made(&target_dir()?.join("fuzz/artifacts").join(target))?;
    let mut command = Command::new(bin.join(target));
    command.current_dir(root()?).args(LIMITS).arg(format!("-max_total_time={seconds}"));
    command.args(["-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus).args(seeds(target)?);
    run(&mut command).with_context(|| {
        format!("to repeat it: cargo xtask fuzz --repeat {target} {}/FILE", artifacts.display())
    })
}

/// The directories of inputs to begin with.
fn seeds(target: &str) -> Result<Vec<PathBuf>> {
    let root = root()?;
    let mut directories = vec![root.join(PACKAGE).join("corpus").join(target)];
    if ["header", "layout", "open_scan", "sealed_v1", "sealed_v2"].contains(&target) {
        for golden in fs::read_dir(root.join(GOLDEN)).context("listing the golden files")? {
            directories.push(golden?.path());
        }
    }
    directories.retain(|directory| directory.is_dir());
    Ok(directories)
}

/// Keeps in the repository the fewest and smallest inputs that reach what all known ones reach.
fn minimize(bin: &Path, target: &str) -> Result<()> {
    let kept = root()?.join(PACKAGE).join("corpus").join(target);
    let fresh = target_dir()?.join("fuzz/minimized").join(target);
    if fresh.exists() {
        fs::remove_dir_all(&fresh).context("removing an earlier corpus")?;
    }
    let mut command = Command::new(bin.join(target));
    command.args(LIMITS).args(["-set_cover_merge=1", "-use_counters=0", "-max_len=4096"]).arg(made(&fresh)?);
    run(command.arg(made(&target_dir()?.join("fuzz/corpus").join(target))?).args(seeds(target)?))?;
    if kept.exists() {
        fs::remove_dir_all(&kept).context("removing the corpus")?;
    }
    made(&kept)?;
    for file in fs::read_dir(&fresh)? {
        let file = file?;
        fs::copy(file.path(), kept.join(file.file_name())).context("copying an input")?;
    }
    Ok(())
}

fn made(directory: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    Ok(directory.to_path_buf())
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Order, parse, targets};

    fn order(text: &str) -> Option<Order> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn a_budget_is_for_all_targets_or_the_named_ones() {
        assert_eq!(order(""), Some(Order::For(Duration::from_secs(60), vec![])));
        assert_eq!(order("--budget 10m"), Some(Order::For(Duration::from_secs(600), vec![])));
        assert_eq!(
            order("--budget 2h head header"),
            Some(Order::For(Duration::from_secs(7200), vec!["head".to_owned(), "header".to_owned()]))
        );
        assert_eq!(order("--repeat head x"), Some(Order::Repeat("head".to_owned(), "x".to_owned())));
        for wrong in ["--budget", "--budget 1w", "head --budget 1m", "--fast", "--repeat head"] {
            assert_eq!(order(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_target_is_declared() {
        let manifest = include_str!("../../crates/graphstream-fuzz/Cargo.toml");
        let targets = targets().unwrap_or_default();
        assert!(targets.len() >= 8);
        for target in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }
}
