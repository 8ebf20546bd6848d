//! The layers: which crate may depend on which, and what some crates must never pull in.
//!
//! ```text
//! L5  cli                                                      the binary; facade only
//! L4  graphstream                                              the facade
//! L3  replication   history   target-*
//! L2  compaction
//! L1  journal   remote   replay   storage-fs / -s3 / -object-store
//! L0  format   storage   metrics   proto   kv
//! dev testkit   power-cuts   xtask   compare
//! ```
//!
//! Edges of libraries, binaries and build scripts must be in [`TABLE`]. Tests, examples and benches may use the same, the
//! crate itself (with other features) and testkit. Whatever is not in the table is an error: a crate nobody has placed too.
//! `compare` is a workspace of its own (see its Cargo.toml), so cargo does not show it here.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::run::{cargo, output};
use crate::workspace::{Dependency, DependencyKind, Package, packages};

/// A crate and what it may depend on, both without the prefix `graphstream-`. A `*` at the end stands for any name.
struct Layer {
    name: &'static str,
    may: &'static [&'static str],
}

const FORMAT: &str = "format";
const FACADE: &str = "graphstream";
const TESTKIT: &str = "testkit";
/// Not published either: runs the binary, and may use what tests may.
const POWER_CUTS: &str = "power-cuts";

const TABLE: &[Layer] = &[
    Layer { name: FORMAT, may: &[] },
    Layer { name: "proto", may: &[] },
    Layer { name: "metrics", may: &[] },
    Layer { name: "kv", may: &[] },
    Layer { name: "storage", may: &["metrics"] },
    Layer { name: "storage-fs", may: &["storage"] },
    Layer { name: "storage-s3", may: &["storage"] },
    Layer { name: "storage-object-store", may: &["storage"] },
    Layer { name: "journal", may: &[FORMAT, "metrics"] },
    // The journal's own source once more, under a scheduler; for tests, not published.
    Layer { name: "journal-schedules", may: &[FORMAT, "metrics"] },
    Layer { name: "remote", may: &[FORMAT, "storage"] },
    Layer { name: "replay", may: &["proto", FORMAT] },
    Layer { name: "compaction", may: &["remote", "storage", FORMAT, "metrics"] },
    Layer {
        name: "replication",
        may: &["journal", "remote", "replay", "compaction", "storage", FORMAT, "proto", "metrics"],
    },
    Layer { name: "history", may: &["replay", "journal", "remote", "storage", FORMAT, "proto", "kv"] },
    Layer { name: "target-*", may: &["replay", "proto", FORMAT] },
    Layer {
        name: FACADE,
        may: &[
            FORMAT,
            "proto",
            "metrics",
            "kv",
            "storage",
            "storage-fs",
            "storage-s3",
            "storage-object-store",
            "journal",
            "remote",
            "replay",
            "compaction",
            "replication",
            "history",
            "target-*",
        ],
    },
    Layer { name: "cli", may: &[FACADE] },
];

/// Packages that are not part of what is published: testkit may use every crate, the tasks none.
const TASK_PACKAGES: &[&str] = &["xtask", "xtask-codegen"];

/// What a crate, compiled alone with all its features, must not pull in: names, or beginnings of names followed by `*`.
struct Purity {
    package: &'static str,
    without: &'static [&'static str],
    reason: &'static str,
}

const RUNTIMES: &[&str] = &["tokio*", "async-std", "async-io", "async-executor", "smol*", "futures-executor"];

const PURITY: &[Purity] = &[
    Purity { package: "graphstream-format", without: RUNTIMES, reason: "a decoder needs no async runtime" },
    Purity {
        package: "graphstream-format",
        without: &[
            "rustls*",
            "native-tls*",
            "openssl*",
            "boring*",
            "ring",
            "aws-lc*",
            "webpki*",
            "hyper*",
            "reqwest",
        ],
        reason: "a decoder needs no TLS and no network",
    },
    Purity {
        package: "graphstream-format",
        without: &["prost*", "protobuf*", "quick-protobuf*"],
        reason: "payloads are opaque to the format",
    },
    Purity {
        package: "graphstream-storage-s3",
        without: &["aws-lc*", "boring*", "cmake", "native-tls*", "openssl", "openssl-sys", "s2n-tls*"],
        reason: "its TLS is rustls with ring: a fresh machine has a C compiler, and neither cmake nor OpenSSL",
    },
    Purity {
        package: "graphstream-storage-object-store",
        without: &[
            "aws-lc*",
            "boring*",
            "cmake",
            "native-tls*",
            "openssl",
            "openssl-sys",
            "reqwest",
            "s2n-tls*",
        ],
        reason: "its HTTP client and TLS are those that graphstream-storage-s3 has already",
    },
    Purity {
        package: "graphstream-journal",
        without: RUNTIMES,
        reason: "the journal runs on threads; a polled future of it never does I/O",
    },
];

/// The task: all checks.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("this task takes no arguments");
    }
    let packages = packages()?;
    let mut problems = misplaced(&packages);
    for purity in PURITY {
        problems.extend(impure(purity, &dependencies_alone(purity.package)?));
    }
    if !problems.is_empty() {
        bail!("the layers are broken (see xtask/src/layers.rs):\n  {}", problems.join("\n  "));
    }
    let edges: usize = packages.iter().map(|package| package.dependencies.len()).sum();
    eprintln!("layers: {} packages and {edges} edges between them are as the table says", packages.len());
    Ok(())
}

/// Packages and edges that the table does not have.
fn misplaced(packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in packages {
        if TASK_PACKAGES.contains(&package.name.as_str()) {
            for Dependency { name, .. } in &package.dependencies {
                problems.push(format!("{} is a task and must not depend on {name}", package.name));
            }
            continue;
        }
        let Some(name) = short(&package.name) else {
            problems.push(format!("{} has no place in the layer table", package.name));
            continue;
        };
        if name == TESTKIT || name == POWER_CUTS {
            continue;
        }
        let Some(layer) = TABLE.iter().find(|layer| matches(layer.name, name)) else {
            problems.push(format!("{} has no place in the layer table", package.name));
            continue;
        };
        for Dependency { name: target, kind } in &package.dependencies {
            let target_name = short(target).unwrap_or(target);
            let allowed = layer.may.iter().any(|allowed| matches(allowed, target_name));
            let for_tests = target_name == TESTKIT || target_name == name;
            match kind {
                DependencyKind::NormalOrBuild if !allowed => {
                    problems.push(format!("{} must not depend on {target}", package.name));
                }
                DependencyKind::Dev if !allowed && !for_tests => {
                    problems.push(format!("the tests of {} must not depend on {target}", package.name));
                }
                _ => {}
            }
        }
    }
    problems
}

/// A crate's name without the prefix; `None` when it is none of ours.
fn short(package: &str) -> Option<&str> {
    if package == FACADE { Some(FACADE) } else { package.strip_prefix("graphstream-") }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// The names of all packages that are compiled for one package alone, with all its features.
fn dependencies_alone(package: &str) -> Result<BTreeSet<String>> {
    let arguments =
        ["tree", "--package", package, "--all-features", "--edges", "normal,build", "--prefix", "none"];
    let text = output(cargo(&arguments)?.args(["--format", "{p}"]))?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn impure(purity: &Purity, dependencies: &BTreeSet<String>) -> Vec<String> {
    dependencies
        .iter()
        .filter(|dependency| purity.without.iter().any(|pattern| matches(pattern, dependency)))
        .map(|dependency| format!("{} alone pulls in {dependency}: {}", purity.package, purity.reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, DependencyKind)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: *kind })
            .collect();
        Package { name: name.to_owned(), dependencies, features: BTreeSet::new(), has_default: false }
    }

    use DependencyKind::{Dev, NormalOrBuild};

    #[test]
    fn the_workspace_is_layered() {
        run(&[]).unwrap();
    }

    #[test]
    fn edges_that_are_not_in_the_table_are_found() {
        let cases = [
            ("graphstream-format", "graphstream-proto", NormalOrBuild, false),
            ("graphstream-proto", "graphstream-format", Dev, false),
            ("graphstream-journal", "graphstream-format", NormalOrBuild, true),
            ("graphstream-journal", "graphstream-remote", NormalOrBuild, false),
            ("graphstream-journal", "graphstream-testkit", Dev, true),
            ("graphstream-journal", "graphstream-testkit", NormalOrBuild, false),
            ("graphstream-storage", "graphstream-storage", Dev, true),
            ("graphstream-target-new", "graphstream-replay", NormalOrBuild, true),
            ("graphstream-target-new", "graphstream-target-grafeo", NormalOrBuild, false),
            ("graphstream", "graphstream-target-new", NormalOrBuild, true),
            ("graphstream", "graphstream-cli", NormalOrBuild, false),
            ("graphstream-cli", "graphstream", NormalOrBuild, true),
            ("graphstream-cli", "graphstream-format", NormalOrBuild, false),
            ("graphstream-testkit", "graphstream-journal", NormalOrBuild, true),
            ("xtask", "graphstream-format", NormalOrBuild, false),
        ];
        for (from, to, kind, allowed) in cases {
            let problems = misplaced(&[package(from, &[(to, kind)])]);
            assert_eq!(problems.is_empty(), allowed, "{from} -> {to} ({kind:?}): {problems:?}");
        }
    }

    #[test]
    fn a_package_nobody_has_placed_is_found() {
        assert_eq!(misplaced(&[package("graphstream-new", &[])]).len(), 1);
        assert_eq!(misplaced(&[package("other", &[])]).len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Every crate stands below those that may depend on it, so the table can be walked once from top to bottom.
        for (place, layer) in TABLE.iter().enumerate() {
            for allowed in layer.may {
                let below = TABLE.iter().position(|other| other.name == *allowed);
                assert!(below.is_some_and(|below| below < place), "{} may depend on {allowed}", layer.name);
            }
        }
    }

    #[test]
    fn what_a_crate_must_not_pull_in_is_found() {
        let pulled: BTreeSet<String> = ["sha2", "tokio-util", "prost-derive"].map(str::to_owned).into();
        let found: usize = PURITY
            .iter()
            .filter(|purity| purity.package == "graphstream-format")
            .map(|purity| impure(purity, &pulled).len())
            .sum();
        assert_eq!(found, 2);
        assert!(
            dependencies_alone("graphstream-format").unwrap().contains("sha2"),
            "the tree is really read"
        );
    }
}
