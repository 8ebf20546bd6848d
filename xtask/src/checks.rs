//! What CI checks.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::fuzz;
use crate::layers;
use crate::python::{self, Python};
use crate::run::{cargo, run};
use crate::sabotage;
use crate::summary::{Outcome, Step, print_notice, run_steps};
use crate::workspace::{Package, packages};

/// All fuzz targets together.
const FUZZ: Duration = Duration::from_secs(60);

/// The task `ci`: cheap checks before expensive ones, and the tests before what rarely breaks.
pub(crate) fn ci(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("this task takes no arguments");
    }
    let mut steps = vec![
        Step::whole("fmt", || run(&mut cargo(&["fmt", "--all", "--check"])?)),
        Step::whole("layers", || layers::run(&[])),
        Step::whole("clippy, all features", || clippy(&["--workspace", "--all-targets", "--all-features"])),
    ];
    for set in packages()?.iter().flat_map(feature_sets) {
        steps.push(Step::whole(set.name(), move || clippy(&set.arguments())));
    }
    steps.push(Step::new("test", || tests(&[])));
    steps.push(Step::whole("sabotage", || sabotage::run(&[])));
    steps.push(Step::new("fuzz", || fuzz::all_for(FUZZ)));
    steps.push(Step::whole("doc", doc));
    steps.push(Step::whole("codegen --check", || codegen(&["--check".to_owned()])));
    steps.push(Step::new("deny", deny));
    run_steps(steps)
}

/// The task `test`: what follows goes to `cargo test`.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    if let Outcome::Skipped(notice) = tests(arguments)? {
        print_notice(&notice);
    }
    Ok(())
}

/// The task `codegen`. The generator is a package of its own: it compiles a protobuf compiler, which nobody else needs.
pub(crate) fn codegen(arguments: &[String]) -> Result<()> {
    run(cargo(&["run", "--quiet", "--package", "xtask-codegen", "--"])?.args(arguments))
}

/// The task `compare`: what follows goes to the program. It shares the target directory, so that nothing is compiled twice.
pub(crate) fn compare(arguments: &[String]) -> Result<()> {
    let manifest = "crates/graphstream-compare/Cargo.toml";
    let fixed = ["run", "--release", "--manifest-path", manifest, "--target-dir", "target", "--"];
    run(cargo(&fixed)?.args(arguments))
}

fn clippy(arguments: &[&str]) -> Result<()> {
    run(cargo(&["clippy", "--quiet"])?.args(arguments).args(["--", "-D", "warnings"]))
}

fn tests(arguments: &[String]) -> Result<Outcome> {
    let mut command = cargo(&["test"])?;
    let selected = arguments.iter().any(|argument| {
        ["-p", "--package", "--workspace", "--all"].iter().any(|flag| argument.starts_with(flag))
    });
    if !selected {
        command.arg("--workspace");
    }
    command.arg("--all-features").args(arguments);
    let outcome = match python::prepare()? {
        Python::Ready(python) => {
            command.env(python::VARIABLE, python);
            Outcome::Done
        }
        Python::Missing(reason) => {
            let notice = Python::notice(&reason);
            print_notice(&notice);
            Outcome::Skipped(notice)
        }
    };
    run(&mut command)?;
    Ok(outcome)
}

fn doc() -> Result<()> {
    let arguments = ["doc", "--quiet", "--workspace", "--no-deps", "--all-features"];
    run(cargo(&arguments)?.env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Result<Outcome> {
    let version =
        Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return Ok(Outcome::Skipped(
            "SKIPPED: licences, bans and sources of dependencies were not checked.\n\
             Reason: cargo-deny is not installed.\n\
             To run it: cargo install --locked cargo-deny"
                .to_owned(),
        ));
    }
    // Advisories need a network and fail for reasons outside the change, so they have a place of their own, not this one.
    run(&mut cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"])?)?;
    Ok(Outcome::Done)
}

/// One package compiled alone with some of its features, so that nothing is borrowed from what others enable.
#[derive(Debug, PartialEq, Eq)]
struct FeatureSet {
    package: String,
    flag: Option<&'static str>,
}

impl FeatureSet {
    fn name(&self) -> String {
        let features = match self.flag {
            None => "default features",
            Some("--no-default-features") => "no features",
            Some(_) => "all features",
        };
        format!("{} alone, {features}", self.package)
    }

    fn arguments(&self) -> Vec<&str> {
        ["--package", self.package.as_str()].into_iter().chain(self.flag).collect()
    }
}

/// Without features one set, with features none and all, and the default where it is a third.
fn feature_sets(package: &Package) -> Vec<FeatureSet> {
    if !package.name.starts_with("graphstream") {
        return Vec::new();
    }
    let flags: &[Option<&str>] = match (package.features.is_empty(), package.has_default) {
        (true, _) => &[None],
        (false, false) => &[None, Some("--all-features")],
        (false, true) => &[Some("--no-default-features"), None, Some("--all-features")],
    };
    flags.iter().map(|flag| FeatureSet { package: package.name.clone(), flag: *flag }).collect()
}
