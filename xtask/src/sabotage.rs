//! The task `sabotage`: plants one bug after another and expects the test that is there for it to fail.
//!
//! The bugs are in the sources, behind the feature `sabotage` and an environment variable, so everything is built once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::run::{cargo, output, root};

/// What plants a bug in a test's process.
const VARIABLE: &str = "GRAPHSTREAM_SABOTAGE";
/// The packages whose tests catch the bugs.
const PACKAGES: &[&str] = &["graphstream-journal", "graphstream-remote", "graphstream-testkit"];
const FEATURES: &str =
    "graphstream-journal/sabotage,graphstream-remote/sabotage,graphstream-testkit/sabotage";
/// The tests take a second each, the simulation some; a bug may make one wait for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bug, and the test that catches it.
struct Bug {
    name: &'static str,
    package: &'static str,
    /// The test binary.
    binary: &'static str,
    /// The whole name of the test in it.
    test: &'static str,
}

const fn bug(name: &'static str, binary: &'static str, test: &'static str) -> Bug {
    Bug { name, package: "graphstream-journal", binary, test }
}

/// A bug that the simulation catches.
const fn simulated(name: &'static str) -> Bug {
    Bug { name, package: "graphstream-testkit", binary: "simulation", test: SIMULATION }
}

const SIMULATION: &str = "r03_r04_200_hours_of_leaders_zombies_and_crashes";

const BUGS: &[Bug] = &[
    bug("ack_before_sync", "ack_order", "nothing_counts_as_synced_before_its_fdatasync_has_returned"),
    bug("retry_a_failed_fsync", "faults", "l04_one_failed_fdatasync_ends_the_writer"),
    bug("skip_a_directory_sync", "faults", "l04_one_failed_fdatasync_ends_the_writer"),
    bug("cut_at_the_first_bad_byte", "recovery", "l12_bit_rot_below_a_durable_offset_is_refused"),
    bug("trust_the_page_cache", "faults", "l04_one_failed_fdatasync_ends_the_writer"),
    bug("n_plus_1_before_n", "ack_order", "l09_a_rotated_segment_is_synced_even_if_sealing_fails"),
    bug(
        "n_plus_1_sealed_before_n",
        "sealing_at_once",
        "a_segment_becomes_visible_behind_the_one_in_front_of_it",
    ),
    bug("durable_offset_at_return", "ack_order", "l03_what_is_written_during_a_sync_is_not_durable_by_it"),
    bug("search_ignores_the_nonce", "recovery", "l02_recycled_bytes_never_parse"),
    bug("ack_before_the_renames_sync", "predecessor_defects", "defect_13_names_are_synced_before_an_ack"),
    bug("full_keeps_sequences", "faults", "l06_a_full_disk_recovers_without_a_restart"),
    bug("drafts_keep_sequences", "large_groups", "l06_drafts_behind_a_full_disk_were_never_there"),
    bug(
        "a_good_group_clears_poison",
        "ack_order",
        "l04_a_group_written_during_a_failing_sync_does_not_revive_the_journal",
    ),
    bug("rotation_splits_a_batch", "appending", "segments_rotate_by_size_and_batches_stay_together"),
    simulated("publish_out_of_order"),
    simulated("older_epochs_are_adopted"),
    simulated("failed_upload_is_passed"),
    simulated("unknown_counts_as_success"),
    simulated("stored_before_it_is_published"),
    simulated("conflict_counts_as_exists"),
    simulated("fenced_is_not_noted"),
    simulated("missing_head_is_created_anew"),
    simulated("older_head_is_trusted"),
    Bug {
        name: "repair_adopts_orphans",
        package: "graphstream-remote",
        binary: "simulation",
        test: "s08_a_lost_head_is_repaired_under_leaders_zombies_and_a_compactor",
    },
    Bug {
        name: "repair_trusts_one_look",
        package: "graphstream-remote",
        binary: "simulation",
        test: "s08_a_lost_head_is_repaired_under_leaders_zombies_and_a_compactor",
    },
];

/// How a test ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Passed,
    Failed,
    Hung,
}

/// The task itself: all bugs, or those named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let bugs = chosen(arguments)?;
    let binaries = build()?;
    let (mut survivors, mut sound) = (Vec::new(), BTreeSet::new());
    eprintln!("{:<30} {:<14} caught by", "bug", "verdict");
    for Bug { name, package, binary, test } in bugs {
        let key = ((*package).to_owned(), (*binary).to_owned());
        let path = binaries.get(&key).with_context(|| format!("{package} has no test binary {binary}"))?;
        // Once for all bugs of a test.
        if sound.insert((path, test)) && outcome(package, path, test, None)? != Ended::Passed {
            bail!("{binary}::{test} fails without any bug");
        }
        let verdict = match outcome(package, path, test, Some(name))? {
            Ended::Failed => "caught",
            Ended::Hung => "hangs",
            Ended::Passed => "SURVIVES",
        };
        eprintln!("{name:<30} {verdict:<14} {binary}::{test}");
        if verdict != "caught" {
            survivors.push(*name);
        }
    }
    if survivors.is_empty() { Ok(()) } else { bail!("not caught: {}", survivors.join(", ")) }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bug>> {
    if names.is_empty() {
        return Ok(BUGS.iter().collect());
    }
    let find = |name: &String| {
        let known = || BUGS.iter().map(|bug| bug.name).collect::<Vec<_>>().join(", ");
        BUGS.iter()
            .find(|bug| bug.name == name)
            .with_context(|| format!("no bug `{name}`; there are {}", known()))
    };
    names.iter().map(find).collect()
}

/// Builds the tests and returns their binaries by package and name.
fn build() -> Result<BTreeMap<(String, String), PathBuf>> {
    let mut command =
        cargo(&["test", "--no-run", "--message-format", "json-render-diagnostics", "--features", FEATURES])?;
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    for binary in BUGS.iter().map(|bug| bug.binary).collect::<BTreeSet<_>>() {
        command.args(["--test", binary]);
    }
    let messages = output(command.stderr(Stdio::inherit()))?;
    let mut binaries = BTreeMap::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("a message of cargo")?;
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let (Some(id), Some(target), Some(path)) =
            (text("/package_id"), text("/target/name"), text("/executable"))
        else {
            continue;
        };
        let Some(package) = PACKAGES.iter().find(|package| names(id, package)) else { continue };
        binaries.insert(((*package).to_owned(), target.to_owned()), PathBuf::from(path));
    }
    Ok(binaries)
}

/// Whether a package id (`path+file:///checkout/crates/NAME#0.1.0`, or `...#NAME@0.1.0`) is this package's.
fn names(id: &str, package: &str) -> bool {
    let Some((place, rest)) = id.rsplit_once('#') else { return false };
    rest.split_once('@').map_or_else(|| place.ends_with(&format!("/{package}")), |(name, _)| name == package)
}

/// Runs one test, with a bug or without.
fn outcome(package: &str, binary: &Path, test: &str, bug: Option<&str>) -> Result<Ended> {
    let mut command = Command::new(binary);
    // As cargo does.
    command.current_dir(root()?.join("crates").join(package));
    command.args(["--exact", test]).env_remove(VARIABLE).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(bug) = bug {
        command.env(VARIABLE, bug);
    }
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Hung);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains("running 1 test\n") {
        bail!("there is no test {test} in {}", binary.display());
    }
    Ok(if output.status.success() { Ended::Passed } else { Ended::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), BUGS.len());
        let one = chosen(&["ack_before_sync".to_owned()]).unwrap();
        assert_eq!(one.iter().map(|bug| bug.name).collect::<Vec<_>>(), ["ack_before_sync"]);
        assert!(chosen(&["unheard_of".to_owned()]).is_err());
    }

    #[test]
    fn every_bug_is_planted_somewhere() {
        let root = root().unwrap();
        let mut sources = String::new();
        let crates = ["journal", "format", "remote", "replication"];
        let mut left = crates.map(|name| root.join(format!("crates/graphstream-{name}/src"))).to_vec();
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
        for bug in BUGS {
            assert!(sources.contains(&format!("sabotage::is(\"{}\")", bug.name)), "{}", bug.name);
        }
        let planted: BTreeSet<_> =
            sources.split("sabotage::is(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(planted.len(), BUGS.len(), "a planted bug without a test");
    }

    #[test]
    fn package_ids_are_understood() {
        assert!(names("path+file:///checkout/crates/graphstream-journal#0.1.0", "graphstream-journal"));
        assert!(names("path+file:///elsewhere#graphstream-journal@0.1.0", "graphstream-journal"));
        assert!(!names("path+file:///checkout/crates/other#0.1.0", "graphstream-journal"));
        assert!(!names("path+file:///elsewhere#other@0.1.0", "graphstream-journal"));
    }
}
